"""What a stack uses, and what it leaves behind."""

import os
import pathlib
import re

import requests

from stack import SLOW, children, until
from truth import drained

GROWN_BYTES = 6 << 20
IN_HAND = 16  # descriptors that what is being done just then may have open


def ours(stack):
    found = [stack.pid("fcgi"), *stack.workers()]
    return [pid for pid in found + [stack.pid(name) for name in stack.broadcasters()] if pid]


def memory(pids):
    """What they have written to themselves; what they share is divided."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss_Anon: +(\d+)", text, re.M)[1]) * 1024
    return total


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def usage(stack):
    pids, postgres = ours(stack), stack.pid("postgres")
    return {
        "memory": memory(pids),
        "descriptors": descriptors(pids),
        "descriptors of nginx": descriptors([stack.pid("nginx"), *children(stack.pid("nginx"))]),
        "descriptors of Redis": descriptors([stack.pid("redis")]),
        "processes of PostgreSQL": len(children(postgres)),
        "processes": len(pids),
    }


def compare(before, after, clients):
    """What has grown, as sentences. Some memory is kept for the next use, so it may differ a little."""
    found = []
    if after["memory"] > before["memory"] * 1.2 + GROWN_BYTES:
        found.append(f"memory grew from {before['memory'] >> 10} to {after['memory'] >> 10} KB")
    may_grow = {"descriptors of nginx": 2 * clients, "processes of PostgreSQL": 4, "processes": 1}
    for what in before.keys() - {"memory"}:
        if after[what] > before[what] + may_grow.get(what, IN_HAND):
            found.append(f"{what} grew from {before[what]} to {after[what]}")
    return found


def is_left(key, ttl):
    """Whether a key should not be there any more: what partitions have stays, claims and verdicts end by themselves."""
    last = key.rsplit(":", 1)[-1]
    if last in ("life", "audit") or ttl == -2:
        return False
    return ttl == -1 or not (last in ("lease", "timekeeper") or ":idem:" in key)


def left_behind(stack, uuids):
    """Keys in Redis that were not there before there was a session."""
    http, redis = requests.Session(), stack.redis()
    for uuid in uuids:
        assert http.delete(f"{stack.base_url}/v1/sessions/{uuid}", timeout=10 * SLOW).status_code == 204
    until(lambda: drained(stack), 60, every=0.1, say="an empty backlog")
    return [key for key in redis.scan_iter("*") if is_left(key, redis.ttl(key))]


def unexpected_ends(stack, fault):
    """Of processes that nobody killed."""
    found = []
    for line in (stack.run_dir / "exits").read_text().splitlines():
        name, pid, status = line.split()[:3]
        if int(pid) not in stack.expected and name not in fault.exits:
            found.append(f"{name} (process {pid}) ended with status {status}")
    for line in stack.log("fcgi").splitlines():
        if '"worker_failed"' in line or '"worker_killed"' in line:
            if not any(f'"pid":{pid},' in line for pid in stack.expected):
                found.append(line)
    for name, words in ("nginx", "exited on signal"), ("postgres", "terminated by signal"):
        if name not in fault.exits:
            found += [f"{name}: {line}" for line in stack.log(name).splitlines() if words in line]
    return found
