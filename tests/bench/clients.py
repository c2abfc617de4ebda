"""The load clients: wrk for REST, wsload for WebSockets, and sessions to work on."""

import json
import os
import subprocess
import tempfile
import uuid

import requests

from measure import cpu_seconds
from programs import HERE, TOOLS

CONNECTIONS, THREADS = 64, 2
SESSION_KEYS = "sk:*:session:*"
CREATE_BODY = json.dumps({
    "session_id": "@", "sync_mode": "per_participant", "total_time_ms": 86400000,
    "participants": [{"participant_id": f"123e4567-e89b-42d3-a456-42661417400{k}", "participant_index": k, "total_time_ms": 86400000}
                     for k in range(2)]})


def body(participants=2):
    return {"session_id": str(uuid.uuid4()), "sync_mode": "per_participant", "total_time_ms": 86400000,
            "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": 86400000}
                             for k in range(participants)]}


def create_started(base_url, count, participants=2, headers=None):
    """Ids of new sessions that run."""
    http, made = requests.Session(), []
    http.headers.update(headers or {})
    for _ in range(count):
        sent = body(participants)
        http.post(f"{base_url}/v1/sessions", json=sent).raise_for_status()
        http.post(f"{base_url}/v1/sessions/{sent['session_id']}/start").raise_for_status()
        made.append(sent["session_id"])
    return made


def wrk(base_url, method="GET", path="/", seconds=2, ids=None, sent=None, headers=None, keys=False, connections=CONNECTIONS, count=None,
        pids=()):
    """
    What load.lua prints of one run, and with `pids` cpu_us: their CPU time per answer. seconds is a whole number. The runs of a
    round must not differ but in the server: same connections, same threads. count: end when about so many are sent, then of
    how long the run was nothing is known.
    """
    env = {**os.environ, "BENCH_METHOD": method, "BENCH_PATH": path,
           "BENCH_HEADERS": "".join(f"{name}: {value}\n" for name, value in (headers or {}).items())}
    if keys:
        env["BENCH_KEYS"] = "yes"
    if sent:
        env["BENCH_BODY"] = sent
    if count:
        env["BENCH_COUNT"] = str(count // THREADS)
    with tempfile.NamedTemporaryFile("w", prefix="sk-ids-") as f:
        if ids:
            f.write("\n".join(ids) + "\n")
            f.flush()
            env["BENCH_IDS"] = f.name
        before = cpu_seconds(pids)
        out = subprocess.run(
            ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", HERE / "load.lua", base_url],
            env=env, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    got = json.loads(out.splitlines()[-1])
    if pids:
        got["cpu_us"] = 1e6 * (cpu_seconds(pids) - before) / max(1, got["answered"])
    return got


def ids_of(one):
    """The sessions that its Redis holds."""
    return [key[-36:] for key in one.stack.redis().scan_iter(SESSION_KEYS, count=1000)]


def create_many(one, count, started=True):
    """At least `count` sessions more, and hardly more than that, as fast as they can be made."""
    before = len(ids_of(one))
    while (left := before + count - len(ids_of(one))) > 0:
        wrk(one.base_url, "POST", "/v1/sessions", sent=CREATE_BODY, headers=one.headers, count=left + CONNECTIONS, seconds=60)
    if started:
        ids = ids_of(one)
        # the thread that ends first has been through all of them; what the other one did is done
        wrk(one.base_url, "POST", "/v1/sessions/@/start", ids=ids, headers=one.headers, count=THREADS * (len(ids) + CONNECTIONS), seconds=60)


def wsload(pids=(), **options):
    """One run of the WebSocket load client: what it printed. An option that is None is left out, True is one without a value."""
    command = [str(TOOLS / "wsload/wsload")]
    for pid in pids:
        command += ["--pid", str(pid)]
    for name, value in options.items():
        if value is not None:
            command += ["--" + name.replace("_", "-"), *([] if value is True else [str(value)])]
    out = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if out.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {out.stderr[-2000:]}")
    return json.loads(out.stdout)


def header_line(headers):
    """For wsload: the one header that there may be."""
    return next((f"{name}: {value}" for name, value in headers.items()), None)
