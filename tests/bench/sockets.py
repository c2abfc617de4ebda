"""What a socket costs while nothing happens: memory, CPU for its pings, and the making of it."""

from measure import Row, rounds
from programs import nchan, node, ours, processes, wsload
from rest import create_started

COUNT = 10000
NCHAN, SOCKET_IO = "nchan", "socket.io"


def rows(how):
    count = COUNT if not how.quick else 2000

    def idle(make):
        """One run on fresh processes, since memory that was once used is not given back."""
        port, pids, options, close = make()
        try:
            run = wsload(port=port, clients=count, rate=0, seconds=how.idle_seconds, pids=pids, **options)
        finally:
            close()
        assert run["lost"] == 0, run
        return {"rss": run["rss_per_socket"], "idle": 100 * run["server_cpu_s"] / run["seconds"] * 10000 / count,
                "connects": run["connects_per_s"], "connect_cpu": run["connect_cpu_s"] / count * 1e6}

    def us():
        stack = ours(BROADCASTERS=1, WS_MAX_OPEN_PER_USER=None)
        session = create_started(stack.base_url, 1)[0]
        return stack.ws_port, processes(stack, "broadcaster"), {"path": f"/ws?sessionId={session}"}, stack.close

    def peer(make, **options):
        def begin():
            one = make()
            return one.port, one.pids(), options, one.close
        return begin

    sides = {"ours": lambda: idle(us), NCHAN: lambda: idle(peer(nchan, path="/watch?id=b")),
             SOCKET_IO: lambda: idle(peer(lambda: node("fanout.js"), path="/socket.io/?EIO=4&transport=websocket&room=b",
                                          greeting="40", socket_io=True))}
    taken = rounds(sides, how.rounds)
    mine = taken["ours"]

    def others(key):
        return {name: t[key] for name, t in taken.items() if name != "ours"}

    yield Row(f"memory of an idle socket, {count:,}", "bytes", mine["rss"], others("rss"), "<= 3.2 KB", mine["rss"].median <= 3277)
    yield Row("CPU of 10,000 idle sockets, pings every 5 s", "% of a core", mine["idle"], others("idle"), "<= 3 %", mine["idle"].median <= 3,
              "the pings of the peers are as their manuals have them: nchan none, socket.io every 25 s")
    yield Row("connects", "per second", mine["connects"], others("connects"), ">= 8,000/s", mine["connects"].median >= 8000,
              f"{mine['connect_cpu'].median:.0f} us of CPU each")

