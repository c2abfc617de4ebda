#!/usr/bin/python3
"""Instructions per request of one worker, counted by callgrind: the same on every machine and under any load.

    cost.py            measure, and compare with tests/bench/instructions.txt
    cost.py --write    measure, and write that file

A worker serves its socket with tokens, limits and idempotency on, against a private Redis. It is run twice, with few and with
more requests; the difference is what requests cost, without the start of the program.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

from fcgi_client import Request  # noqa: E402 (the path comes first)
from stack import until  # noqa: E402

BIN = ROOT / os.environ.get("BIN_DIR", "build/release")
LIMITS = ROOT / "tests/bench/instructions.txt"
SECRET = "a secret of thirty-two characters"
FEW, MORE = 30, 130
SLACK = 1.10


def body(participants):
    return json.dumps({"session_id": str(uuid.uuid4()), "sync_mode": "per_participant", "total_time_ms": 86400000,
                       "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": 86400000}
                                        for k in range(participants)]}).encode()


class Worker:
    """One worker under callgrind, or another tool of valgrind, on a socket of its own; and one that makes what the first works on."""

    def __init__(self, folder, tool=None, redis=()):
        """`redis`: what stands in front of the Redis, a tool of valgrind perhaps."""
        self.folder = pathlib.Path(folder)
        self.tool = tool or ["--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        self.env = {
            "PATH": os.environ["PATH"], "REDIS_URL": f"unix://{folder}/redis.sock", "STATUS_FILE": f"{folder}/status",
            "JWT_SECRET": SECRET, "DATABASE_URL": "", "LOG_LEVEL": "info", "RATE_LIMIT_SWITCH": "100000/1s", "RATE_LIMIT_CREATE": "100000/60s",
            "RATE_LIMIT_GET": "100000/60s", "RATE_LIMIT_GENERAL": "100000/60s"}
        self.redis = subprocess.Popen([*redis, "redis-server", ROOT / "etc/redis/redis.conf", "--port", "0", "--dir", folder, "--unixsocket",
                                       self.folder / "redis.sock"], stdout=subprocess.DEVNULL)
        until((self.folder / "redis.sock").exists, 60, say="Redis")
        self.token = subprocess.run([BIN / "kairosctl", "token", "mint", "--sub", "bench"], env=self.env, check=True, capture_output=True,
                                    text=True).stdout.split()[-1]
        self.maker = self.serve("maker.sock")

    def serve(self, name, *wrap):
        listening = socket.socket(socket.AF_UNIX)
        (self.folder / name).unlink(missing_ok=True)
        listening.bind(str(self.folder / name))
        listening.listen(64)
        with listening, open(self.folder / "log", "ab") as log:
            return subprocess.Popen([*wrap, BIN / "synckairos.fcgi", "--worker"], stdin=listening, env=self.env, stderr=log)

    def start(self):
        self.process = self.serve("fcgi.sock", "valgrind", "-q", *self.tool)

    def ask(self, method, path, sent=b"", expect=(200,), to="fcgi.sock", **headers):
        request = Request(str(self.folder / to), path, method, sent, timeout=60, HTTP_AUTHORIZATION=f"Bearer {self.token}", **headers)
        status, text = (request.send_body() if sent else request).answer()
        assert status in expect, text
        return text

    def stop(self):
        """Instructions since start()."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, (self.folder / "log").read_text()
        return int(re.search(r"^(?:totals|summary): (\d+)", (self.folder / "out").read_text(), re.M)[1])

    def close(self):
        for process in (self.maker, self.redis):
            process.terminate()
            process.wait()


def started(worker, participants):
    """
    The path of a running session. It is not made below valgrind: what takes a second between its two round trips is done over,
    and the first session of a partition costs more.
    """
    sent = body(participants)
    worker.ask("POST", "/v1/sessions", sent, (201,), "maker.sock")
    path = f"/v1/sessions/{json.loads(sent)['session_id']}"
    worker.ask("POST", f"{path}/start", to="maker.sock")
    return path


def switches(participants, **more):
    def work(worker, count):
        path = started(worker, participants)
        for _ in range(count):
            worker.ask("POST", f"{path}/switch", **more)
    return work


def keyed_switches(worker, count):
    path = started(worker, 2)
    for k in range(count):
        worker.ask("POST", f"{path}/switch", HTTP_IDEMPOTENCY_KEY=f"key-{k}")


def reads(participants):
    def work(worker, count):
        path = started(worker, participants)
        for _ in range(count):
            worker.ask("GET", path)
    return work


def creations(worker, count):
    started(worker, 2)
    for _ in range(count):
        worker.ask("POST", "/v1/sessions", body(2), (201,))


WORK = {
    "switch": switches(2),
    "switch with Idempotency-Key": keyed_switches,
    "switch of 100 participants": switches(100),
    "switch of 100 participants, minimal": switches(100, HTTP_PREFER="return=minimal"),
    "switch of 1,000 participants, minimal": switches(1000, HTTP_PREFER="return=minimal"),
    "get": reads(2),
    "create": creations,
}


def measure():
    """Name -> instructions per request."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="sk-cost-") as folder:
        worker = Worker(folder)
        try:
            for name, work in WORK.items():
                totals = []
                for count in (FEW, MORE):
                    worker.start()
                    work(worker, count)
                    totals.append(worker.stop())
                found[name] = round((totals[1] - totals[0]) / (MORE - FEW))
        finally:
            worker.close()
    return found


def limits():
    lines = [line.rsplit(None, 1) for line in LIMITS.read_text().splitlines() if line and not line.startswith("#")]
    return {name: int(count) for name, count in lines}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help="write tests/bench/instructions.txt")
    given = options.parse_args()
    found = measure()
    for name, count in found.items():
        print(f"{name:40} {count:10,}")
    if given.write:
        LIMITS.write_text("# Instructions of one worker per request: what tests/bench/cost.py --write found. make test allows 10 % more.\n"
                          + "".join(f"{name:40} {count}\n" for name, count in found.items()))


if __name__ == "__main__":
    main()
