#!/usr/bin/python3
"""make bench: one table of what we do and what others do, in the same run; writes tests/bench/RESULTS.md.

    run.py [--quick] [--no-file] [NAME...]

NAME is a file beside this one that has rows(how): rest, fanout, sockets, ...
"""

import argparse
import datetime
import importlib
import math
import os
import pathlib
import platform
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measure import wait_quiet  # noqa: E402 (the path comes first)

NAMES = ("rest", "fanout", "sockets", "lateness")


@dataclass
class How:
    """How long and how often."""

    quick: bool
    rounds: int
    seconds: int
    idle_seconds: int
    through_nginx: bool = False


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "not installed"


def conditions(how, quiet):
    """What the figures depend on."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    packages = said("sh", "-c", "dpkg-query -W -f '${Package} ${Version}, ' nginx redis-server postgresql-15 libwebsockets-dev libhiredis-dev "
                                "libnginx-mod-nchan nodejs 2>/dev/null")
    return [
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, commit {said('git', '-C', str(HERE), 'rev-parse', '--short', 'HEAD')}",
        f"{os.cpu_count()} cores of {model}, Linux {platform.release()}; client and all servers share them",
        f"{packages}Node {said('node', '--version')}",
        f"medians of {how.rounds} rounds of {how.seconds} s, the sides in turns; in brackets the lowest and the highest",
        "the machine was quiet before" if quiet else "**the machine was not quiet**",
    ]


def table(rows):
    lines = ["| work | unit | ours | beside it | ours / theirs | wanted | reached |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        peers = "<br>".join(f"{name} {figure}" for name, figure in row.peers.items())
        ratios = "<br>".join(f"{name} {row.ratio(name)}" for name in row.peers)
        reached = {True: "yes", False: "**no**", None: ""}[row.reached]
        work = row.work + (f" ({row.note})" if row.note else "")
        lines.append(f"| {work} | {row.unit} | {row.ours} | {peers} | {ratios} | {row.want} | {reached} |")
    return lines


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="one short round of everything: is it sane?")
    options.add_argument("--no-file", action="store_true", help="do not write RESULTS.md")
    options.add_argument("names", nargs="*", choices=[[], *NAMES], default=[])
    given = options.parse_args()
    how = How(True, 1, 2, 5) if given.quick else How(False, 3, 5, 20)
    quiet, began, rows = wait_quiet(), time.monotonic(), []
    for name in given.names or NAMES:
        for row in importlib.import_module(name).rows(how):
            rows.append(row)
            print(f"{row.work}: {row.ours} {row.unit}; " + "; ".join(f"{p} {f} ({row.ratio(p)})" for p, f in row.peers.items())
                  + (f"; {row.note}" if row.note else ""), flush=True)
    lines = ["# What was measured", "", "Made by `make bench`.", ""] + [f"- {c}" for c in conditions(how, quiet)] + ["", *table(rows), ""]
    if not given.quick and not given.no_file and not given.names:
        (HERE / "RESULTS.md").write_text("\n".join(lines))
    missed = [row.work for row in rows if row.reached is False]
    print(f"{len(rows)} rows in {math.ceil(time.monotonic() - began)} s; {len(missed)} below what is wanted" + "".join(f"\n  {m}" for m in missed))


if __name__ == "__main__":
    main()
