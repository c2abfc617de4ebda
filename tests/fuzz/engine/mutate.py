#!/usr/bin/python3
"""Breaks the engine in listed ways, one at a time: the tests must notice every one.

    mutate.py BUILD [--only N,N...] [--jobs J]

BUILD holds what `make test` builds. Each mutant is one replacement of text that occurs exactly
once; the file is compiled again and linked before the library into the driver and into the unit
tests, which run until one fails. A mutant that passes them all is a hole in the tests, and so is
one that no longer fits the source: it has to be written anew.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from mutants import MUTANTS

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
UNITS = ("id", "row", "control", "session", "session_modes", "session_groups", "session_members", "session_timeout", "session_warn", "session_row", "event", "session_json")
SOURCES = {path: path.read_text() for path in sorted((ROOT / "common").glob("*.c"))}


def run(command, seconds=120):
    """What it said and returned, or None when it took too long: then all that it started ends with it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True)
    try:
        said = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return subprocess.CompletedProcess(command, process.returncode, said)


def flags(build):
    """How the Makefile compiles and links here."""
    said = subprocess.run(["make", "-s", "mutate-flags", f"BUILD={build}"], stdout=subprocess.PIPE,
                          cwd=ROOT, text=True, check=True,
                          env={**os.environ, "MAKEFLAGS": ""}).stdout.splitlines()
    return said[0].split(), said[1].split()


def broken(mutant):
    """(file, its text with the mutant in it). How lines are broken does not matter, and what
    has moved to another file is found when nothing else there reads like it."""
    name, old, new = mutant
    pattern = re.compile(r"\s+".join(re.escape(word) for word in old.split()))
    places = [(path.name, match) for path, text in SOURCES.items() for match in pattern.finditer(text)]
    places = [place for place in places if place[0] == name] or places
    if len(places) != 1:
        raise LookupError(f"occurs {len(places)} times")
    name, found = places[0]
    return name, found.string[:found.start()] + new.strip() + found.string[found.end():]


class Bench:
    """Builds and runs what has to notice."""

    def __init__(self, build):
        self.build = build
        self.compile_with, self.link_with = flags(build)
        self.tests = [("driver", ["--commands", "3000", "--seed", "1", "--jobs", "1"])] + \
            [(f"test_{unit}", None) for unit in UNITS] + \
            [("driver", ["--commands", "20000", "--seed", "2", "--jobs", "1"])]

    def link(self, work, test, extra):
        parts = ("fuzz/engine/driver", "fuzz/hold", "fuzz/draft") if test == "driver" else (f"unit/common/{test}",)
        done = run(self.compile_with + ["-pie", "-o", str(work / test)] + [f"{self.build}/tests/{part}.o" for part in parts] + extra +
                   [f"{self.build}/libcommon.a", "-lcmocka"] + self.link_with)
        if done is None or done.returncode != 0:
            raise LookupError("does not link: " + done.stdout.decode())

    def noticed(self, work, extra):
        """The name of the first test that fails, or None."""
        for test, options in self.tests:
            self.link(work, test, extra)
            command = [str(work / test)]
            if test == "driver":
                command = [sys.executable, str(HERE / "props.py"), "--driver", command[0]] + options
            done = run(command)
            if done is None or done.returncode != 0:
                return test
        return None

    def killer(self, mutant):
        """(the test that notices or None, what else there is to say)"""
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            try:
                name, text = broken(mutant)
                (work / name).write_text(text)
                made = str(work / "mutant.o")
                done = run(self.compile_with + ["-Icommon", "-w", "-c", "-o", made, str(work / name)])
                if done is None or done.returncode != 0:
                    raise LookupError("does not compile: " + done.stdout.decode())
                return self.noticed(work, [made]), ""
            except LookupError as error:
                return None, str(error)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--only", type=lambda text: [int(k) for k in text.split(",")])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    bench = Bench(args.build)
    with tempfile.TemporaryDirectory() as folder:
        test = bench.noticed(pathlib.Path(folder), [])
        if test is not None:
            sys.exit(f"{test} fails without any mutant")
    numbers = range(len(MUTANTS)) if args.only is None else args.only
    alive = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for k, (test, said) in zip(numbers, pool.map(lambda k: bench.killer(MUTANTS[k]), numbers)):
            alive += test is None
            what = " ".join(MUTANTS[k][1].split())[:60]
            print(f"{k:3} {MUTANTS[k][0]:15} {what:60} {test or 'SURVIVED ' + said}", flush=True)
    print(f"{len(numbers)} mutants, {alive} survived")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
