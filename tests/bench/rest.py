"""REST: switch, read and create, beside a straightforward Node service and the ceilings of the machine."""

import json
import uuid

import requests

from measure import Figure, Row, rounds
from programs import echo, node, ours, wrk

SESSIONS = 200
PEER = "express + ioredis"
ECHO = "FastCGI echo"
PAGE = "nginx page"


def body(participants=2):
    return {"session_id": str(uuid.uuid4()), "sync_mode": "per_participant", "total_time_ms": 86400000,
            "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": 86400000}
                             for k in range(participants)]}


def create_started(base_url, count, participants=2):
    http, made = requests.Session(), []
    for _ in range(count):
        sent = body(participants)
        http.post(f"{base_url}/v1/sessions", json=sent).raise_for_status()
        http.post(f"{base_url}/v1/sessions/{sent['session_id']}/start").raise_for_status()
        made.append(sent["session_id"])
    return made


def each(ids, method, suffix=""):
    """Lua for wrk: requests to the sessions in turn."""
    names = ",".join(json.dumps(i) for i in ids)
    return (f"local ids = {{{names}}}\nlocal k = 0\nwrk.method = '{method}'\n"
            f"function request() k = k % #ids + 1; return wrk.format(nil, '/v1/sessions/' .. ids[k] .. '{suffix}') end\n")


CREATE = """
local n, salt = 0, 0
function setup(thread) salt = salt + 1; thread:set('salt', salt) end
wrk.method = 'POST'
wrk.headers['Content-Type'] = 'application/json'
math.randomseed(os.time())
local run = math.random(0, 65535)
function request()
    n = n + 1
    local id = string.format('%08x-%04x-4%03x-8000-%012x', math.random(0, 2147483647), run, salt, n)
    return wrk.format(nil, '/v1/sessions', nil, '{"session_id":"' .. id .. '","sync_mode":"per_participant","total_time_ms":600000,' ..
        '"participants":[{"participant_id":"123e4567-e89b-42d3-a456-426614174001","participant_index":0,"total_time_ms":300000},' ..
        '{"participant_id":"123e4567-e89b-42d3-a456-426614174002","participant_index":1,"total_time_ms":300000}]}')
end
"""


def _row(work, taken, wants):
    """Rates beside each other, and what we want: (per second, share of the echo, p99 in ms)."""
    mine, floor = taken["ours"], taken[ECHO]["per_s"].median
    rate, share, p99 = wants
    got = mine["per_s"].median
    row = Row(work, "requests/s", mine["per_s"], {name: t["per_s"] for name, t in taken.items() if name != "ours"})
    row.want = f">= {rate:,}/s" + (f", >= {share:.0%} of the echo" if share else "") + (f", p99 <= {p99} ms" if p99 else "")
    row.reached = got >= rate and got >= share * floor and (not p99 or mine["p99_ms"].median <= p99)
    row.note = f"p50 {mine['p50_ms'].median:.1f}, p99 {mine['p99_ms'].median:.1f} ms; {got / floor:.0%} of the echo"
    lost = sum(mine["bad"].values)
    if lost:
        row.reached, row.note = False, row.note + f"; {lost} answers were not 2xx"
    return row


def rows(how):
    stack, peer, ceiling = ours(), node("rest.js"), echo()
    try:
        mine, theirs = create_started(stack.base_url, SESSIONS), create_started(peer.base_url, SESSIONS)
        seconds = how.seconds

        def beside(method, suffix):
            return {
                "ours": lambda: wrk(stack.base_url, each(mine, method, suffix), seconds=seconds),
                PEER: lambda: wrk(peer.base_url, each(theirs, method, suffix), seconds=seconds),
                ECHO: lambda: wrk(ceiling.base_url, each(theirs, method, suffix), seconds=seconds),
                PAGE: lambda: wrk(ceiling.base_url, path="/page", seconds=seconds),
            }

        yield _row("POST switch, 200 sessions, 64 connections", rounds(beside("POST", "/switch"), how.rounds), (10000, .35, 10))
        yield _row("GET session", rounds(beside("GET", ""), how.rounds), (16000, .50, 0))
        yield _row("POST session", rounds({
            "ours": lambda: wrk(stack.base_url, CREATE, seconds=seconds),
            PEER: lambda: wrk(peer.base_url, CREATE, seconds=seconds),
            ECHO: lambda: wrk(ceiling.base_url, CREATE, seconds=seconds),
        }, how.rounds), (9000, 0, 0))
        yield lost_updates(stack, peer)
    finally:
        for each_one in (stack, peer, ceiling):
            each_one.close()


def lost_updates(stack, peer):
    """Sixteen clients switch one session: how many of the answered changes the version does not show."""
    def share(base_url):
        session = create_started(base_url, 1)[0]
        url = f"{base_url}/v1/sessions/{session}"
        before = requests.get(url).json()["data"]["version"]
        script = "answered = 0\nfunction response(status) if status == 200 then answered = answered + 1 end end\n"
        script += "local threads = {}\nfunction setup(t) table.insert(threads, t) end\n"
        script += "function done() local n = 0; for _, t in ipairs(threads) do n = n + t:get('answered') end; io.write('answered ' .. n .. '\\n') end\n"
        answered = wrk(base_url, each([session], "POST", "/switch") + script, seconds=2, connections=16, answered=True)
        after = requests.get(url).json()["data"]["version"]
        return max(0.0, 100 * (1 - (after - before) / answered))

    row = Row("concurrent switches lost", "%", Figure([share(stack.base_url)]), {PEER: Figure([share(peer.base_url)])}, "0")
    row.reached = row.ours.median == 0
    return row
