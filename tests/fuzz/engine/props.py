#!/usr/bin/python3
"""Random lives of sessions: the engine (driver.c) against the oracle, on a virtual clock.

    props.py [--driver PROGRAM] [--commands N] [--seed S] [--jobs J]

Each batch has a seed of its own, printed when it fails; `--seed S --commands 1` runs it again.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time

import audit
from lives import Life
from view import iso

ROOT = pathlib.Path(__file__).resolve().parents[3]
DRIVER = str(ROOT / os.environ.get("BIN_DIR", "build/release") / "tests/fuzz/engine/driver")
BATCH = 2500


def explain(seed, life, k, got):
    want = life.expected[k]
    print("seed %d: the engine and the oracle differ at the last line of" % seed)
    print("\n".join(life.lines[:k + 1]))
    differ(want, got, "")


def differ(want, got, name):
    """Print the members that differ, not all that they are in."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            differ(want.get(key), got.get(key), name + "." + key)
    elif want != got:
        print("%s\n  oracle %s\n  engine %s" % (name, json.dumps(want), json.dumps(got)))


def same(want, got):
    """Where the oracle knows no more than the code of an error, the rest is the engine's."""
    if want["error"] and "message" not in want["error"] and got["error"]:
        got["error"] = {"code": got["error"]["code"]}
    return want == got


class Trail:
    """The audit records of one life; taken off the answers, which have to be equal without."""

    def __init__(self):
        self.records, self.snapshots, self.shown = [], {}, None

    def take(self, answer):
        for change in answer["changes"]:
            self.records.append(change.pop("record"))
            if "snapshot" in change:
                self.snapshots[change["version"]] = change.pop("snapshot")
        self.shown = answer["state"] or self.shown
        self.is_gone = answer["state"] is None

    def fault(self, stored):
        """What the records do not say about the end of this life, or None."""
        try:
            folded = audit.fold(self.records, self.snapshots)
            if self.records and folded != audit.fields(stored):
                return "the records do not fold to\n" + stored
            if self.records and not self.is_gone:
                audit.compare(folded, self.shown, iso)
        except audit.Broken as broken:
            return str(broken)
        return None


def batch(job):
    """What compare(job) returns; what it says is out before the pool ends its processes."""
    try:
        return compare(job)
    finally:
        sys.stdout.flush()


def compare(job):
    """Returns the number of commands that agreed and how often each outcome occurred."""
    driver, seed = job
    rng = random.Random(seed)
    lives, n = [], 0
    while n < BATCH:
        lives.append(Life(rng))
        lives[-1].run()
        n += len(lives[-1].lines)
    text = "".join(line + "\n" for life in lives for line in life.lines + ["0 stored"])
    done = subprocess.run([driver], input=text.encode(), stdout=subprocess.PIPE, check=False)
    answers = iter(done.stdout.splitlines())
    seen = {}
    for life in lives:
        trail = Trail()
        for k, want in enumerate(life.expected):
            answer = next(answers, None)
            if answer is None:
                print("seed %d: the driver ended (%d) at\n%s" % (seed, done.returncode,
                                                                "\n".join(life.lines[:k + 1])))
                return None
            got = json.loads(answer)
            trail.take(got)
            if not same(want, got):
                explain(seed, life, k, got)
                return None
            for outcome in [c["type"] for c in got["changes"]] + \
                    [got["error"]["code"] if got["error"] else "fine"] + \
                    ["warning"] * len(got["warnings"]):
                seen[outcome] = seen.get(outcome, 0) + 1
        fault = trail.fault(json.loads(next(answers, b'{"stored":""}'))["stored"])
        if fault is not None:
            print("seed %d: %s, after\n%s" % (seed, fault, "\n".join(life.lines)))
            return None
        seen["folded"] = seen.get("folded", 0) + (len(trail.records) > 0)
    if done.returncode != 0:
        print("seed %d: the driver ended with %d" % (seed, done.returncode))
        return None
    return n, seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", default=DRIVER)
    parser.add_argument("--commands", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2 ** 40))
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    begun = said = time.monotonic()
    batches = (args.commands + BATCH - 1) // BATCH
    print("engine properties: %d commands, seed %d" % (args.commands, args.seed), flush=True)
    total, seen = 0, {}
    with multiprocessing.Pool(args.jobs) as pool:
        jobs = [(args.driver, args.seed + i) for i in range(batches)]
        for result in pool.imap_unordered(batch, jobs):
            if result is None:
                pool.terminate()
                print("%d commands had agreed" % total)
                return 1
            total += result[0]
            for key, n in result[1].items():
                seen[key] = seen.get(key, 0) + n
            if time.monotonic() > said + 60:
                said = time.monotonic()
                print("%d commands agree so far" % total, flush=True)
    print("%d commands agree, %.1f s: %s" % (total, time.monotonic() - begun,
          ", ".join("%s %d" % pair for pair in sorted(seen.items()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
