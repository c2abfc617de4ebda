#!/usr/bin/python3
"""Where the time goes: what stands in tests/bench/PROFILE.md.

    where.py worker [what ...]   instructions of a worker per request, by theme; what: a line of instructions.txt
    where.py broadcaster [N]     (N participants, 2) what a broadcaster does about a change: calls, and instructions of one
    where.py redis               instructions of Redis per switch, of which its scripts: of 2 and of 1,000 participants
    where.py heap                blocks that a worker allocates per request, and who asked for them
    where.py syscalls [SETTING=value ...]   system calls of every process per switch, under load
    where.py load [SETTING=value ...]       processor time, in the program and in the kernel, and context switches per switch, under load

The first four count, so that they come out the same on every machine and under any load. In place of settings, `echo` is the FastCGI
program that does nothing, behind the same web server.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import callgrind
import cost
from clients import create_started, header_line, wrk, wsload
from large import PROCESSES, cpu_us
from measure import tree
from programs import Ours, echo
from stack import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = 300
# What a broadcaster does about a change, in this order; each with all that it calls.
CHANGE = ("hub_event", "event_decode", "delta_begin", "watch_apply", "delta_end", "hub_push_state", "protocol_state", "protocol_delta",
          "frame_new", "client_queue", "client_flush")

REDIS = ("readQueryFromClient", "evalShaCommand")


def table(columns, names=None):
    """{column: {row: number}} as text; without names the largest row comes first, and the sum last."""
    names, last = (names, ()) if names else (
        sorted({name for column in columns.values() for name in column}, key=lambda name: -max(c.get(name, 0) for c in columns.values())), ("all",))
    width = max(26, *(len(name) + 2 for name in columns))
    print(f"{'':28}" + "".join(f"{name:>{width}}" for name in columns))
    for name in (*names, *last):
        values = (sum(c.values()) if name == "all" else c.get(name, 0) for c in columns.values())
        print(f"{name:28}" + "".join(f"{value:{width},.1f}" if value < 100 else f"{value:{width},.0f}" for value in values))


def difference(more, few, count):
    """Of two counts that hold the start of a program, too."""
    return {name: (more[name] - few.get(name, 0)) / count for name in more if more[name] > few.get(name, 0)}


# --- instructions ---


def worker(*names):
    found = {}
    with tempfile.TemporaryDirectory(prefix="sk-where-") as folder:
        one = cost.Worker(folder)
        try:
            for name in names or ("switch", "get", "create"):
                taken = []
                for count in (cost.FEW, cost.MORE):
                    one.start()
                    cost.WORK[name](one, count)
                    one.stop()
                    taken.append(callgrind.by_theme(f"{folder}/out"))
                found[name] = difference(taken[1], taken[0], cost.MORE - cost.FEW)
        finally:
            one.close()
    table(found)


class Counted(Ours):
    """Our programs, those of their own below callgrind; what a broadcaster does is looked at."""

    def __init__(self, participants):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sk-where-"))
        self.folder.chmod(0o777)
        super().__init__(BROADCASTERS=1, POSTGRES="off", START_SECONDS=240, DRAIN_SECONDS=60, WS_CONNECTION_TIMEOUT=600_000,
                         WS_HEARTBEAT_INTERVAL=300_000, WRAP=f"valgrind -q --tool=callgrind --callgrind-out-file={self.folder}/out.%p")
        self.pid = self.pids("broadcaster")[-1]
        self.session = create_started(self.base_url, 1, participants, self.headers)[0]
        self.dumps = 0

    def switches(self, clients, rate, options):
        """{function: calls for one switch} and {function: instructions of one call} while that many watch."""
        before = self.version()
        self.control("--zero")
        wsload(port=self.ws_port, header=header_line(self.headers), path=f"/ws?sessionId={self.session}{options}", clients=clients,
               publish_port=self.port, publish_path=f"/v1/sessions/{self.session}/switch", body="{}", first=before + 1, rate=rate, seconds=8)
        self.control("--dump")
        self.dumps += 1
        until(lambda: len(list(self.folder.glob(f"out.{self.pid}.*"))) == self.dumps, 20, say="the counts")
        time.sleep(1)
        newest = max(self.folder.glob(f"out.{self.pid}.*"), key=lambda f: f.stat().st_mtime)
        found, count = callgrind.inclusive(newest, CHANGE), self.version() - before
        return {f: calls / count for f, (calls, _) in found.items()}, {f: n / calls for f, (calls, n) in found.items() if calls}

    def control(self, what):
        """Ask callgrind, which finds its process by what that one was started with."""
        lines = pathlib.Path(f"/proc/{self.pid}/environ").read_text().split("\0")
        env = {**dict(line.split("=", 1) for line in lines if "=" in line), "PATH": os.environ["PATH"]}
        subprocess.run(["callgrind_control", what, str(self.pid)], check=True, stdout=subprocess.DEVNULL, env=env)

    def version(self):
        """As it is read from Redis, which asks nobody."""
        redis = self.stack.redis()
        return int(redis.hget(next(redis.scan_iter(f"sk:*:session:{self.session}")), "v"))

    def close(self):
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


def broadcaster(participants="2"):
    ours, found = Counted(int(participants)), {}
    try:
        for options, name in (("", "whole"), ("&delta=1", "delta")):
            for clients, rate in ((1, 20), (CLIENTS, 4)):
                calls, each = ours.switches(clients, rate, options)
                found[f"{name}, {clients}: calls"], found[f"{name}, {clients}: of one"] = calls, each
    finally:
        ours.close()
    table(found, CHANGE)


def redis():
    found = {}
    for participants in (2, 1000):
        taken = []
        for count in (cost.FEW, cost.MORE):
            with tempfile.TemporaryDirectory(prefix="sk-where-") as folder:
                one = cost.Worker(folder, redis=["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/redis"])
                try:
                    path = cost.started(one, participants)
                    for _ in range(count):
                        one.ask("POST", f"{path}/switch", to="maker.sock", HTTP_PREFER="return=minimal")
                finally:
                    one.close()
                taken.append({name: n for name, (_, n) in callgrind.inclusive(f"{folder}/redis", REDIS).items()})
        found[f"switch of {participants:,}"] = difference(taken[1], taken[0], cost.MORE - cost.FEW)
    table(found, REDIS)


# --- memory ---


def heap():
    """Blocks per switch by the innermost function of ours, as dhat tells them."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="sk-where-") as folder:
        one = cost.Worker(folder, tool=["--tool=dhat", f"--dhat-out-file={folder}/heap"])
        try:
            for name in ("switch", "get", "create"):
                taken = []
                for count in (cost.FEW, cost.MORE):
                    one.start()
                    cost.WORK[name](one, count)
                    one.process.send_signal(signal.SIGTERM)
                    assert one.process.wait(60) == 0
                    taken.append(blocks(json.loads(pathlib.Path(f"{folder}/heap").read_text())))
                found[name] = difference(taken[1], taken[0], cost.MORE - cost.FEW)
        finally:
            one.close()
    table(found)


def blocks(dhat):
    """Who asked -> blocks; who: the first caller that is not the allocator."""
    found = collections.Counter()
    for point in dhat["pps"]:
        frames = [re.sub(r"^0x[0-9A-F]+: (?:(\w+)|\?\?\? \(in .*/([\w-]+).*).*", r"\1\2", dhat["ftbl"][i]) for i in point["fs"]]
        who = next((f for f in frames if f not in ("malloc", "calloc", "realloc", "xalloc", "xrealloc", "xstrdup")), "?")
        found[who] += point["tbk"]
    return found


# --- the whole, under load ---


class Load:
    """wrk on 200 sessions, as the bench's row for switch; or on the echo, which does nothing."""

    def __init__(self, *settings):
        if "echo" in settings:
            self.one, self.work = echo(), {"method": "POST"}
            return
        self.one = Ours(BROADCASTERS=1, **dict(setting.split("=", 1) for setting in settings))
        self.work = {"method": "POST", "path": "/v1/sessions/@/switch", "ids": create_started(self.one.base_url, 200, headers=self.one.headers),
                     "headers": self.one.headers, "keys": True}

    def run(self, seconds):
        """How many were answered."""
        got = wrk(self.one.base_url, seconds=seconds, **self.work)
        assert not got["bad"], got
        return got["answered"]

    def pids(self):
        """Program -> its processes."""
        if isinstance(self.one, Ours):
            off = [] if self.one.stack.pid("postgres") else ["PostgreSQL"]
            return {name: self.one.pids(program) for name, program in PROCESSES.items() if name not in off}
        return {name: tree(process.pid) for name, process in zip(("echo", "nginx"), self.one.started)}


def syscalls(*settings):
    load, found = Load(*settings), {}
    try:
        load.run(2)
        for name, pids in load.pids().items():
            with tempfile.NamedTemporaryFile("r") as out:
                tracer = subprocess.Popen(["strace", "-c", "-f", "-q", "-o", out.name, *[f"-p{pid}" for pid in pids]], stderr=subprocess.DEVNULL)
                time.sleep(1)
                done = load.run(5)
                tracer.send_signal(signal.SIGINT)
                tracer.wait(30)
                lines = [line.split() for line in out if re.match(r"\s+\d+\.\d+ ", line)]
            found[name] = {line[-1]: int(line[3]) / done for line in lines if line[-1] != "total" and int(line[3]) >= done / 50}
    finally:
        load.one.close()
    table(found)


def switched(pids):
    """Context switches so far: of its own will, and against it."""
    text = "".join(status.read_text() for pid in pids for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))
    return [sum(map(int, re.findall(rf"^{kind}_ctxt_switches:\s+(\d+)", text, re.M))) for kind in ("voluntary", "nonvoluntary")]


def kernel_share(pids):
    """(ticks in the program, ticks in the kernel) so far."""
    lines = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return [sum(int(line[k]) for line in lines) for k in (11, 12)]


def under_load(*settings):
    load = Load(*settings)
    try:
        load.run(2)
        pids = load.pids()
        before = {name: (cpu_us(p), kernel_share(p), switched(p)) for name, p in pids.items()}
        done = load.run(10)
        print(f"{done / 10:,.0f} requests/s\n{'of one request':14}{'us of processor':>16}{'in the kernel':>15}{'slept':>8}{'was put off':>13}")
        for name, p in pids.items():
            us, (user, system), (own, forced) = cpu_us(p), kernel_share(p), switched(p)
            was_us, (was_user, was_system), (was_own, was_forced) = before[name]
            share = (system - was_system) / max(1, user + system - was_user - was_system)
            print(f"{name:14}{(us - was_us) / done:16.1f}{share:15.0%}{(own - was_own) / done:8.2f}{(forced - was_forced) / done:13.2f}")
    finally:
        load.one.close()


WHAT = {"worker": worker, "broadcaster": broadcaster, "redis": redis, "heap": heap, "syscalls": syscalls, "load": under_load}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in WHAT:
        sys.exit(__doc__)
    WHAT[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
