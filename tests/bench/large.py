#!/usr/bin/python3
"""What a switch costs end to end as sessions grow: processor time of every process, and bytes on every wire.

    large.py [participants ...]        2 and 1000 when nothing is said

One client switches with `Prefer: return=minimal`, another watches with `delta=1`. The sizes take turns, in blocks of 256 switches:
every 64th version is recorded with a snapshot, which is part of the price. What the processes use by themselves, while nothing
happens, is taken off.
"""

import argparse
import http.client
import json
import pathlib
import threading
import time

from clients import body
from measure import Figure
from programs import Ours

from raw_socket import RawSocket
from stack import until

BLOCK = 256
ROUNDS = 3
PROCESSES = {"worker": "fcgi", "nginx": "nginx", "Redis": "redis", "broadcaster": "broadcaster", "PostgreSQL": "postgres"}


def cpu_us(pids):
    """Processor time so far, finer than the ticks of /proc/PID/stat."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except FileNotFoundError:
                pass  # it has ended
    return total / 1000


class Reader:
    """Counts the bytes that a socket brings."""

    def __init__(self, raw):
        self.sock = raw.sock
        self.sock.settimeout(None)
        self.bytes = len(raw.rest)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while part := self.sock.recv(1 << 20):
                self.bytes += len(part)
        except OSError:
            pass


class Bench:
    def __init__(self, ours):
        self.ours = ours
        self.redis = ours.stack.redis()
        self.connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=60)
        self.programs = [name for name, program in PROCESSES.items() if program == "broadcaster" or ours.stack.pid(program)]

    def ask(self, method, path, sent=None, **headers):
        """The answer as JSON, and its length with the head, about."""
        text = json.dumps(sent) if sent is not None else None
        headers |= self.ours.headers | ({"Content-Type": "application/json"} if text else {})
        self.connection.request(method, path, text, headers)
        answer = self.connection.getresponse()
        got = answer.read()
        assert answer.status < 300, got
        return json.loads(got), len(got) + sum(len(k) + len(v) + 4 for k, v in answer.getheaders())

    def session(self, participants):
        """A running session that somebody watches; its path and what reads its frames."""
        sent = body(participants)
        self.ask("POST", "/v1/sessions", sent)
        path = f"/v1/sessions/{sent['session_id']}"
        self.ask("POST", f"{path}/start")
        head = "".join(f"{name}: {value}\r\n" for name, value in self.ours.headers.items())
        reader = Reader(RawSocket(self.ours.port, f"/ws?sessionId={sent['session_id']}&delta=1", head))
        until(lambda: reader.bytes > 100 * participants, 20, say="the state")
        return path, reader

    def drained(self):
        """All is written, where something writes it."""
        if "PostgreSQL" in self.programs:
            until(lambda: all(self.redis.xlen(key) == 0 for key in self.redis.scan_iter("sk:*:audit", count=1000)), 60, 0.1, say="the audit drain")

    def counts(self, reader):
        at = {f"cpu {name}": cpu_us(self.ours.pids(PROCESSES[name])) for name in self.programs}
        info = self.redis.info("stats")
        at["bytes Redis in"] = info["total_net_input_bytes"]
        at["bytes Redis out"] = info["total_net_output_bytes"]
        at["bytes frames"] = reader.bytes
        at["s"] = time.monotonic()
        return at

    def block(self, path, reader, count):
        """What `count` switches cost, each."""
        self.drained()
        before = self.counts(reader)
        answered = 0
        for _ in range(count):
            answered += self.ask("POST", f"{path}/switch", Prefer="return=minimal")[1]
        self.drained()
        after = self.counts(reader)
        time.sleep(after["s"] - before["s"])
        idle = self.counts(reader)
        cost = {name: (2 * after[name] - before[name] - idle[name]) / count for name in before if name != "s"}
        cost["bytes answer"] = answered / count
        return cost


def measure(sizes, rounds=ROUNDS, count=BLOCK, **settings):
    """participants -> name -> Figure, of one switch."""
    ours = Ours(FCGI_WORKERS=1, WS_CONNECTION_TIMEOUT=3_600_000, WS_HEARTBEAT_INTERVAL=600_000, **settings)
    try:
        bench = Bench(ours)
        sessions = {n: bench.session(n) for n in sizes}
        for n in sizes:
            bench.block(*sessions[n], 64)
        found = {n: {} for n in sizes}
        for _ in range(rounds):
            for n in sizes:
                for name, value in bench.block(*sessions[n], count).items():
                    found[n].setdefault(name, []).append(value)
        return {n: {name: Figure(values) for name, values in costs.items()} for n, costs in found.items()}
    finally:
        ours.close()


def total(costs, kind):
    return sum(figure.median for name, figure in costs.items() if name.startswith(kind + " "))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("participants", nargs="*", type=int, default=[2, 1000])
    sizes = options.parse_args().participants
    found = measure(sizes)
    print(f"{'of one switch':22}" + "".join(f"{n:>26,}" for n in sizes))
    for name in found[sizes[0]]:
        print(f"{name:22}" + "".join(f"{str(found[n][name]):>26}" for n in sizes))
    for kind in ("cpu", "bytes"):
        print(f"{kind + ' of all':22}" + "".join(f"{total(found[n], kind):26,.0f}" for n in sizes))


if __name__ == "__main__":
    main()
