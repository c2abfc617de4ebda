"""Fan-out: one session that many sockets watch, beside nchan and socket.io."""

import json

import requests

from measure import Row, rounds
from programs import nchan, node, ours, processes, push, wsload
from rest import create_started

SMALL = 200  # bytes
P99_MS = 50
NCHAN, SOCKET_IO, RAW = "nchan", "socket.io", "epoll + send"


def _of(run):
    """Figures of one run of the load client; p99 infinite when something was not delivered."""
    whole = run["deliveries"] >= .999 * run["wanted"] and not run["failed"]
    rate = run["all_deliveries"] / run["seconds"]
    return {"per_s": rate, "p50_ms": run["p50_ms"], "p99_ms": run["p99_ms"] if whole else float("inf"),
            "cpu_per_million": run["server_cpu_s"] / max(1, run["all_deliveries"]) * 1e6,
            "bytes": run["bytes"] / max(1, run["deliveries"])}


def sides(how, delta):
    """Name -> (function of (clients, rate) that makes one run, what to close)."""
    stack, hub, node_io, raw = ours(), nchan(), node("fanout.js"), push()
    session = create_started(stack.base_url, 1)[0]
    text = json.dumps({"version": 0, "text": ""})
    padded = '{"version":@v,"text":"' + "x" * (SMALL - len(text)) + '"}'

    def us(clients, rate):
        version = requests.get(f"{stack.base_url}/v1/sessions/{session}").json()["data"]["version"]
        return _of(wsload(port=stack.port if how.through_nginx else stack.ws_port, clients=clients, rate=rate, seconds=how.seconds,
                          path=f"/ws?sessionId={session}" + ("&delta=1" if delta else ""),
                          publish_port=stack.port, publish_path=f"/v1/sessions/{session}/switch", body="{}",
                          first=version + 1, pids=processes(stack, "broadcaster")))

    def peer(one, **options):
        return lambda clients, rate: _of(wsload(port=one.port, clients=clients, rate=rate, seconds=how.seconds, publish_port=one.port,
                                                body=padded, first=1, pids=one.pids(), **options))

    return {
        "ours": us,
        NCHAN: peer(hub, path="/watch?id=b", publish_path="/publish?id=b"),
        SOCKET_IO: peer(node_io, path="/socket.io/?EIO=4&transport=websocket&room=b", publish_path="/publish/b", greeting="40", socket_io=True),
        RAW: peer(raw, path="/", publish_path="/"),
    }, (stack, hub, node_io, raw)


def best(run, clients, start=25):
    """The highest rate, doubled and then halved in steps, that is delivered whole with p99 below 50 ms."""
    reached, rate = None, start
    while rate <= 6400:
        got = run(clients, rate)
        if got["p99_ms"] > P99_MS:
            break
        reached, rate = got, rate * 2
    for step in (1.5, 1.25):
        got = run(clients, int(rate / 2 * step))
        if got["p99_ms"] <= P99_MS:
            reached = got
            break
    return reached or {**run(clients, start // 5), "per_s": 0.0}


def rows(how):
    for delta, work, want in ((True, "small messages", 800000), (False, "whole states", 300000)):
        runs, programs = sides(how, delta)
        try:
            taken = rounds({name: (lambda run=run: best(run, 1000)) for name, run in runs.items()}, how.rounds)
        finally:
            for program in programs:
                program.close()
        mine = taken["ours"]
        row = Row(f"fan-out to 1,000 sockets, {work}", "deliveries/s", mine["per_s"],
                  {name: t["per_s"] for name, t in taken.items() if name != "ours"}, f">= {want:,}/s at p99 < {P99_MS} ms")
        row.reached = mine["per_s"].median >= want
        row.note = (f"{mine['bytes'].median:.0f} bytes each, p99 {mine['p99_ms'].median:.1f} ms; CPU-s per million: "
                    + ", ".join(f"{name} {t['cpu_per_million'].median:.2f}" for name, t in taken.items()))
        yield row
    yield latency(how)


def latency(how):
    """From the request to the frame: 1,000 sockets, 10 switches a second, from the intended instant of the request."""
    runs, programs = sides(how, False)
    try:
        taken = rounds({name: (lambda run=run: run(1000, 10)) for name, run in runs.items()}, how.rounds)
    finally:
        for program in programs:
            program.close()
    mine = taken["ours"]
    row = Row("request to frame, 1,000 sockets, 10/s: p99", "ms", mine["p99_ms"],
              {name: t["p99_ms"] for name, t in taken.items() if name != "ours"}, "p50 <= 3, p99 <= 10 ms")
    row.reached = mine["p50_ms"].median <= 3 and mine["p99_ms"].median <= 10
    row.note = f"p50 {mine['p50_ms'].median:.2f} ms"
    return row

