// socket.io with its Redis adapter, WebSocket only (so that no sticky sessions are needed), and a
// small address that emits what is POSTed to it to a room, on whichever process it arrives.
import { createServer } from "node:http";
import express from "express";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { createAdapter } from "@socket.io/redis-adapter";
import { onEveryCore } from "./cluster.js";

const [port, socket] = process.argv.slice(2);

onEveryCore(() => {
    const publisher = new Redis(socket);
    const app = express();
    app.disable("x-powered-by");
    app.use(express.json());
    const server = createServer(app);
    const io = new Server(server, {
        transports: ["websocket"],
        perMessageDeflate: false,
        pingInterval: 5000, // as ours and nchan here, so that idle sockets do the same
        adapter: createAdapter(publisher, publisher.duplicate()),
    });
    io.on("connection", (client) => client.join(client.handshake.query.room));
    app.post("/publish/:room", (request, response) => {
        io.to(request.params.room).emit("update", request.body);
        response.json({ data: {} });
    });
    server.listen(Number(port), "127.0.0.1", 4096);
});
