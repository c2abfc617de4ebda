"""A worker: what it takes of memory, and how soon it answers after its start."""

import os
import subprocess
import time

import requests

from clients import CREATE_BODY, create_started, wrk
from fcgi_client import Request
from measure import Figure, Row, latencies, memory, others, rounds, tree
from programs import BIN, Ours, node

MEMORY_MB, ANSWER_MS = 6, 10
PEER = "express + ioredis"
CGI_RUNS = 50


def _until_answer(ask, limit=20):
    """Milliseconds until ask() gives no error."""
    began = time.monotonic()
    while True:
        try:
            ask()
            return 1000 * (time.monotonic() - began)
        except (OSError, AssertionError):
            if time.monotonic() - began > limit:
                raise
            time.sleep(0.0002)


def _environment(ours):
    """The settings that the programs of the stack run with."""
    return {"PATH": os.environ["PATH"], "SYNCKAIROS_CONFIG": str(ours.stack.run_dir / "settings")}


def cold_start(ours, path):
    """From the start of the master, of which there is none before, to the first answer of a worker, with all that the answer needs."""
    address = str(ours.stack.dir / "cold.sock")
    env = {**_environment(ours), "FCGI_LISTEN": f"unix:{address}", "STATUS_FILE": f"{address}.status", "FCGI_WORKERS": "1"}

    def ask():
        status, _ = Request(address, path, HTTP_AUTHORIZATION=ours.headers["Authorization"]).answer()
        assert status == 200, status

    began = time.monotonic()
    master = subprocess.Popen([BIN / "synckairos.fcgi"], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_answer(ask)
        return {"ms": 1000 * (time.monotonic() - began)}
    finally:
        master.terminate()
        master.wait(20)


def cgi(ours, path):
    """A process for each request, as a web server starts it: until it has answered and ended."""
    env = {**_environment(ours), "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "REQUEST_URI": path, "SERVER_PROTOCOL": "HTTP/1.1",
           "REMOTE_ADDR": "127.0.0.1", "HTTP_AUTHORIZATION": ours.headers["Authorization"]}
    took = []
    for _ in range(CGI_RUNS):
        began = time.monotonic()
        ran = subprocess.run([BIN / "synckairos.fcgi"], env=env, stdin=subprocess.DEVNULL, capture_output=True)
        took.append(1000 * (time.monotonic() - began))
        assert b"Status: 200" in ran.stdout, ran
    took.sort()
    return {"p50_ms": took[len(took) // 2], "p99_ms": took[int(len(took) * .99)], "p999_ms": took[-1], "max_ms": took[-1]}


def node_start():
    began = time.monotonic()
    peer = node("rest.js")
    try:
        _until_answer(lambda: requests.get(peer.base_url + "/nothing", timeout=5))
        return {"ms": 1000 * (time.monotonic() - began)}
    finally:
        peer.close()


def worked(base_url, pids, headers, how):
    """Rss and Pss in MB of each process, after it has worked."""
    wrk(base_url, "POST", "/v1/sessions", sent=CREATE_BODY, headers=headers, seconds=how.seconds)
    found = [memory(pid) for pid in pids]
    return {key: Figure([each[key] / 2**20 for each in found]) for key in ("Rss", "Pss")}


def rows(how):
    ours, peer = Ours(), None
    try:
        session = create_started(ours.base_url, 1, headers=ours.headers)[0]
        path = f"/v1/sessions/{session}"
        peer = node("rest.js")
        workers = worked(ours.base_url, ours.stack.workers(), ours.headers, how)
        services = worked(peer.base_url, tree(peer.started[-1].pid)[1:], None, how)
        row = Row("resident", "resident memory of a worker that has worked", "MB", workers["Rss"], {PEER: services["Rss"]},
                  f"<= {MEMORY_MB} MB", workers["Rss"].median <= MEMORY_MB)
        row.note = ("in brackets the smallest and the largest process; of a page that several have only its share counted: "
                    f"ours {workers['Pss'].median:.1f}, {PEER} {services['Pss'].median:.1f}")
        yield row
        peer.close()
        taken = rounds({"ours": lambda: cold_start(ours, path), PEER: node_start}, how.rounds)
        yield Row("cold", "cold start: master, worker, first answer of a session", "ms", taken["ours"]["ms"], others(taken, "ms"),
                  f"<= {ANSWER_MS} ms", taken["ours"]["ms"].median <= ANSWER_MS)
        taken = rounds({"ours": lambda: cgi(ours, path)}, how.rounds)
        yield Row("cgi", "plain CGI: a process for each request, a session read: p50", "ms", taken["ours"]["p50_ms"], {},
                  f"<= {ANSWER_MS} ms", taken["ours"]["p50_ms"].median <= ANSWER_MS,
                  latencies=latencies(taken))
    finally:
        ours.close()
        if peer:
            peer.close()
