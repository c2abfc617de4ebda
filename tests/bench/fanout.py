"""Fan-out: one session that many sockets watch, beside nchan and socket.io."""

import re
import time

import requests

from clients import create_started, header_line, wsload
from measure import PERCENTILES, Row, latencies, others, ratio, rounds
from programs import Ours, nchan, node, push

CLIENTS = 1000
SMALL = 200  # bytes of a message of the peers
FIRST = 100001  # of the versions that are only counted: all have as many digits
P99_MS = 50
STEP = 2 ** (1 / 8)  # between two rates that are tried
STRIDE, FARTHEST = 4, 24  # in such steps
PUBLISHERS = 4
NCHAN, SOCKET_IO, RAW = "nchan", "socket.io", "epoll + send"


def figures(run, pids, idle=0):
    """
    Figures of one run of the load client; `pids` is name -> processes in the order that it was given. `idle`: their CPU time in a
    second when nothing happens, which is taken off what a message costs.
    """
    every, per_million = run["all_deliveries"], 1e6 / max(1, run["all_deliveries"])
    cpu, used = iter(run["cpu_s"]), {}
    for name, of_name in pids.items():
        used[name] = sum(next(cpu) for _ in of_name)
    return {"per_s": every / run["seconds"], "whole": run["deliveries"] >= .999 * run["wanted"] and not run["failed"] and not run["lost"],
            "cpu": sum(used.values()) * per_million, "cpu_push": used.get("broadcaster", sum(used.values())) * per_million,
            "cpu_us": 1e6 * (sum(used.values()) - idle * run["seconds"]) / max(1, run["published"]), "answer": run["answer_bytes"] / max(1, run["published"]),
            "bytes": run["bytes"] / max(1, run["deliveries"]),
            "wire": run["answer_bytes"] / max(1, run["published"]) + run["bytes"] / max(1, run["deliveries"]), **{key: run[key] for key in PERCENTILES}}


class Watched:
    """A session of ours that load clients watch."""

    def __init__(self, ours, session, idle=0):
        self.ours, self.idle, self.session, self.url = ours, idle, session, f"/v1/sessions/{session}"
        self.pids = {name: ours.pids(name) for name in ("broadcaster", *(n for n in ours.stack.names() if not n.startswith("broadcaster")))}

    def run(self, delta=False, **options):
        """Switches over REST, and their states, or with delta what they changed, there as in the answers."""
        return self._load(path=f"/ws?sessionId={self.session}" + ("&delta=1" if delta else ""), publish_port=self.ours.port,
                          publish_path=f"{self.url}/switch", body="{}", first=self._state()["version"] + 1,
                          publish_header="Prefer: return=minimal" if delta else None, **options)

    def run_small(self, **options):
        """The shortest message about a session, a TIME_WARNING, published to Redis as a timekeeper does."""
        state, redis = self._state(), self.ours.stack.redis()
        tag = re.search(r"{s\d\d}", next(redis.scan_iter(f"sk:*{self.session}")))[0]
        return self._load(path=f"/ws?sessionId={self.session}", publish_redis=self.ours.stack.redis_socket,
                          publish_path=f"sk:{tag}:ch:{self.session}", key="time_remaining_ms", first=FIRST,
                          body=f"!i{self.session} e{state['epoch']} v{state['version']} s{int(time.time() * 1000)} w10000 m@v", **options)

    def _state(self):
        return requests.get(self.ours.base_url + self.url, headers=self.ours.headers).json()["data"]

    def _load(self, **options):
        return figures(wsload(port=self.ours.ws_port, header=header_line(self.ours.headers), pids=[p for part in self.pids.values() for p in part],
                              **options), self.pids, self.idle)


def _peer(one, **options):
    def run(size=SMALL, **more):
        text = '{"version":@v,"text":""}'
        return figures(wsload(port=one.port, publish_port=one.port, first=FIRST, pids=one.pids(),
                              body=text[:-2] + "x" * (size - len(text) - 4) + '"}', **options, **more), {"all": one.pids()})
    return run


class Search:
    """
    One side, round after round: the highest rate that is delivered whole with p99 < P99_MS, among those that are STEP apart, and
    what was measured at it. The first round goes by strides, those after it step by step from where it ended.
    """

    def __init__(self, run, guess):
        self.run, self.guess, self.stride = run, guess, STRIDE

    def __call__(self):
        tried = {}

        def holds(k):
            if k not in tried:
                got = self.run(max(1, round(self.guess * STEP ** k)))
                tried[k] = got if got["whole"] and got["p99_ms"] < P99_MS else None
            return tried[k] is not None

        way = 1 if holds(0) else -1
        k = way * self.stride
        while holds(k) == (way > 0) and abs(k) < FARTHEST:
            k += way * self.stride
        low, high = (k - self.stride, k) if way > 0 else (k, k + self.stride)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds(middle) else (low, middle)
        if not tried.get(low):
            return {**self.run(1), "per_s": 0.0}
        self.guess, self.stride = self.guess * STEP ** low, 1
        return tried[low]


def _sides(programs, session):
    """Key of WORK -> name -> function of wsload's options, and for the peers size, that makes one run."""
    ours, hub, node_io, raw = programs
    watched = Watched(ours, session)
    peers = {
        NCHAN: _peer(hub, path="/watch?id=b", publish_path="/publish?id=b"),
        SOCKET_IO: _peer(node_io, path="/socket.io/?EIO=4&transport=websocket&room=b", publish_path="/publish/b", greeting="40", socket_io=True),
        RAW: _peer(raw, path="/", publish_path="/"),
    }
    size = round(watched.run(clients=1, rate=20, seconds=1)["bytes"])
    sized = {name: lambda run=run, **options: run(size=size, **options) for name, run in peers.items()}
    return {"small": {"ours": watched.run_small, **peers}, "state": {"ours": watched.run, **sized}}


#        key: what, deliveries a second that are wanted, CPU-s per million, times nchan
WORK = {
    "small": ("messages of 200 bytes", 800000, 1.5, 5),
    "state": ("states after switches", 300000, None, None),
}
GUESS = {"ours": 800, NCHAN: 100, SOCKET_IO: 30, RAW: 150}


def _row(key, taken):
    what, want, cpu, times = WORK[key]
    mine = taken["ours"]
    row = Row(key, f"fan-out to {CLIENTS:,} sockets, {what}", "deliveries/s", mine["per_s"], others(taken, "per_s"), latencies=latencies(taken))
    row.want = f">= {want:,}/s at p99 < {P99_MS} ms" + (f", <= {cpu} CPU-s per million, >= {times} x nchan" if cpu else "")
    row.reached = mine["per_s"].median >= want
    if cpu:
        of_nchan = ratio(mine["per_s"], taken[NCHAN]["per_s"])
        row.reached = row.reached and mine["cpu"].median <= cpu and of_nchan is not None and of_nchan.median >= times
    row.note = ("bytes of a message: " + ", ".join(f"{name} {t['bytes'].median:.0f}" for name, t in taken.items())
                + "; CPU-s of all servers per million: " + ", ".join(f"{name} {t['cpu'].median:.2f}" for name, t in taken.items())
                + f", our broadcasters alone {mine['cpu_push'].median:.2f}")
    return row


def rows(how):
    programs = []
    try:
        for make in (Ours, nchan, lambda: node("fanout.js"), push):
            programs.append(make())
        sides = _sides(programs, create_started(programs[0].base_url, 1, headers=programs[0].headers)[0])
        load = dict(clients=CLIENTS, seconds=how.seconds_short, warm_up=.5, publishers=PUBLISHERS)
        for key in WORK:
            at = {name: lambda rate, run=run: run(rate=max(2, rate), **load) for name, run in sides[key].items()}
            if how.quick:
                searches = {name: lambda name=name: at[name](GUESS[name] // 4) for name in at}
            else:
                searches = {name: Search(at[name], GUESS[name]) for name in at}
            taken = rounds(searches, how.rounds_few)
            yield _row(key, taken)
        yield latency(how, sides["state"])
    finally:
        for one in programs:
            one.close()


def latency(how, sides):
    """From the request to the frame: 1,000 sockets, 10 switches a second, from the intended instant of the request."""
    taken = rounds({name: (lambda run=run: run(clients=CLIENTS, rate=10, seconds=how.seconds)) for name, run in sides.items()}, how.rounds_few)
    mine = taken["ours"]
    row = Row("latency", f"request to frame, {CLIENTS:,} sockets, 10/s: p99", "ms", mine["p99_ms"], others(taken, "p99_ms"),
              want="p50 <= 3, p99 <= 10 ms", latencies=latencies(taken))
    row.reached = mine["p50_ms"].median <= 3 and mine["p99_ms"].median <= 10
    row.note = "p50: " + ", ".join(f"{name} {t['p50_ms'].median:.2f}" for name, t in taken.items()) + " ms"
    return row
