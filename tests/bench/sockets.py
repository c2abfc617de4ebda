"""What a socket costs while nothing happens: memory, CPU for its pings, and the making of it."""

from clients import create_started, header_line, wsload
from measure import Row, others, rounds
from programs import Ours, nchan, node

COUNT, COUNT_QUICK = 10000, 1000
PINGS_S = 5
NCHAN, SOCKET_IO = "nchan", "socket.io"


def rows(how):
    count, seconds = (COUNT_QUICK, 1) if how.quick else (COUNT, PINGS_S)  # so that each has one

    def idle(make):
        """One run on fresh processes, since memory that was once used is not given back."""
        one, pids, options = make()
        try:
            run = wsload(clients=count, rate=0, seconds=seconds, pids=pids, **options)
        finally:
            one.close()
        assert run["lost"] == 0, run
        return {"rss": sum(run["rss"]) / count, "idle": 100 * sum(run["cpu_s"]) / seconds * 10000 / count,
                "connects": run["connects_per_s"], "connect_cpu": sum(run["connect_cpu_s"]) / count * 1e6}

    def us():
        ours = Ours(BROADCASTERS=1)
        session = create_started(ours.base_url, 1, headers=ours.headers)[0]
        return ours, ours.pids("broadcaster"), {"port": ours.ws_port, "path": f"/ws?sessionId={session}", "header": header_line(ours.headers)}

    def peer(make, **options):
        def begin():
            one = make()
            return one, one.pids(), {"port": one.port, **options}
        return begin

    sides = {"ours": lambda: idle(us), NCHAN: lambda: idle(peer(nchan, path="/watch?id=b")),
             SOCKET_IO: lambda: idle(peer(lambda: node("fanout.js"), path="/socket.io/?EIO=4&transport=websocket&room=b",
                                          greeting="40", socket_io=True))}
    taken = rounds(sides, how.rounds_few)
    mine = taken["ours"]
    yield Row("memory", f"memory of an idle socket with its subscription, {count:,} of them", "bytes", mine["rss"], others(taken, "rss"),
              "<= 3.2 KB", mine["rss"].median <= 3277)
    yield Row("idle", f"CPU of 10,000 idle sockets, a ping of each every {PINGS_S} s", "% of a core", mine["idle"], others(taken, "idle"),
              "<= 3 %", mine["idle"].median <= 3)
    yield Row("connects", "connects, with a token", "connects/s", mine["connects"], others(taken, "connects"), ">= 8,000/s",
              mine["connects"].median >= 8000, "CPU each: " + ", ".join(f"{n} {t['connect_cpu'].median:.0f}" for n, t in taken.items())
              + " us; the peers ask for no token")
