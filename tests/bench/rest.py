"""REST: switch, read and create, beside a straightforward Node service and the ceilings of the machine."""

import requests

from clients import CREATE_BODY, create_started, wrk
from measure import Figure, Row, latencies, others, ratio, rounds
from programs import Bare, Ours, echo, node

SESSIONS = 200
BARE, PEER, ECHO, PAGE = "ours, bare", "express + ioredis", "FastCGI echo", "nginx page"
#       key       what                                     per second, share of the echo, p99 in ms; per second of the bare path
WORK = {
    "switch": ("POST switch, 200 sessions, 64 connections", (10000, .35, 10, 14000)),
    "get": ("GET session", (16000, .50, None, 20000)),
    "create": ("POST session", (9000, None, None, None)),
}


def _row(key, taken):
    """Rates beside each other, and whether ours is what we want."""
    work, (rate, share, p99, _) = WORK[key]
    mine, of_echo = taken["ours"], ratio(taken["ours"]["per_s"], taken[ECHO]["per_s"]).median
    row = Row(key, work, "requests/s", mine["per_s"], others(taken, "per_s"), latencies=latencies(taken))
    row.want = f">= {rate:,}/s" + (f", >= {share:.0%} of the echo" if share else "") + (f", p99 <= {p99} ms" if p99 else "")
    row.reached = mine["per_s"].median >= rate and (not share or of_echo >= share) and (not p99 or mine["p99_ms"].median <= p99)
    row.note = "CPU of the servers a request: " + ", ".join(f"{name} {t['cpu_us'].median:.0f}" for name, t in taken.items()) + " us"
    return _sound(row, taken)


def _sound(row, taken):
    bad = {name: sum(t["bad"].values) for name, t in taken.items() if sum(t["bad"].values)}
    if bad:
        row.reached, row.note = False, row.note + "; answers that were no success: " + ", ".join(f"{n} {b}" for n, b in bad.items())
    return row


def _bare_row(key, taken):
    work, (_, _, _, rate) = WORK[key]
    mine = taken[BARE]["per_s"]
    row = Row(f"{key}, bare", f"{work}: the bare path", "requests/s", mine, {ECHO: taken[ECHO]["per_s"]}, want=f">= {rate:,}/s")
    row.reached = mine.median >= rate
    return _sound(row, {BARE: taken[BARE]})


def _sides(how, ours, bare, peer, ceiling):
    """Key of WORK -> name -> one run."""
    made = {id(one): create_started(one.base_url, SESSIONS, headers=getattr(one, "headers", None)) for one in (ours, bare, peer)}

    def side(one, method, path, **more):
        more = {"headers": getattr(one, "headers", None), "pids": one.pids(), "seconds": how.seconds, **more}
        return lambda: wrk(one.base_url, method, path, **more)

    def of(key, method, path, **more):
        def ids(one):
            return {} if key == "create" else {"ids": made[id(one)]}
        keyed = ours.keys and method == "POST"
        return {"ours": side(ours, method, path, keys=keyed, **ids(ours), **more), BARE: side(bare, method, path, **ids(bare), **more),
                PEER: side(peer, method, path, **ids(peer), **more), ECHO: side(ceiling, method, path, **ids(peer), **more)}

    return {"switch": of("switch", "POST", "/v1/sessions/@/switch"),
            "get": {**of("get", "GET", "/v1/sessions/@"), PAGE: side(ceiling, "GET", "/page")},
            "create": of("create", "POST", "/v1/sessions", sent=CREATE_BODY)}


def rows(how):
    programs = []
    try:
        for make in (Ours, Bare, lambda: node("rest.js"), echo):
            programs.append(make())
        for key, sides in _sides(how, *programs).items():
            taken = rounds(sides, how.rounds, warm_up=not how.quick)
            yield _row(key, taken)
            if WORK[key][1][3]:
                yield _bare_row(key, taken)
        yield lost_updates(programs[0], programs[2])
    finally:
        for one in programs:
            one.close()


def lost_updates(ours, peer):
    """Sixteen clients switch one session: how many of the answered changes the version does not show."""
    def share(one):
        headers = getattr(one, "headers", None)
        session = create_started(one.base_url, 1, headers=headers)[0]
        state = lambda: requests.get(f"{one.base_url}/v1/sessions/{session}", headers=headers).json()["data"]
        before = state()["version"]
        ran = wrk(one.base_url, "POST", "/v1/sessions/@/switch", ids=[session], headers=headers, keys=getattr(one, "keys", False), connections=16)
        return max(0.0, 100 * (1 - (state()["version"] - before) / ran["answered"]))

    row = Row("lost", "concurrent switches of one session that are lost", "%", Figure([share(ours)]), {PEER: Figure([share(peer)])}, "0")
    row.reached = row.ours.median == 0
    return row
