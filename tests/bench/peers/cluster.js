// One process per core behind one port, as the manual of Node's cluster module shows it.
import cluster from "node:cluster";
import { availableParallelism } from "node:os";

export function onEveryCore(serve) {
    if (!cluster.isPrimary) {
        serve();
        return;
    }
    let up = 0;
    for (let k = 0; k < availableParallelism(); k++)
        cluster.fork().on("listening", () => ++up === availableParallelism() && console.log("ready"));
    process.on("SIGTERM", () => process.exit(0));
}
