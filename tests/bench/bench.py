#!/usr/bin/python3
"""make bench: one table of what we do and what others do, in the same run, and curves; writes tests/bench/RESULTS.md and curve-*.svg.

    bench.py [--quick] [--figures] [--no-file] [PART...]

A part is a file beside this one: with rows(how), or curves(how). RESULTS.md is only written by a whole run. The exit status is 1
when a part failed or a peer did much less than it can; a wanted number that is not reached changes nothing about it.
"""

import argparse
import importlib
import os
import pathlib
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("PATH", "/usr/bin:/bin")
os.environ["PATH"] += ":/usr/sbin:/sbin"

import measure  # noqa: E402 (the path comes first)
import report  # noqa: E402

PARTS = ("rest", "ceilings", "audit", "fanout", "sockets", "lateness", "worker", "curves")
PART_MAX_S = 420


@dataclass
class How:
    """How long and how often."""

    quick: bool

    @property
    def rounds(self):
        return 1 if self.quick else 4

    @property
    def rounds_few(self):
        """Of what takes long."""
        return 1 if self.quick else 3

    @property
    def seconds(self):
        """Of one run; whole, as wrk takes no others."""
        return 1 if self.quick else 2

    @property
    def seconds_short(self):
        """Of one run with sockets, after half a second that does not count."""
        return .5 if self.quick else 1.5


@dataclass
class Run:
    """What has been gathered."""

    rows: list = field(default_factory=list)
    curves: list = field(default_factory=list)
    took: dict = field(default_factory=dict)  # part -> seconds
    failures: list = field(default_factory=list)
    voids: list = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0
    stolen: float = 0  # share of the processors' time


def say(row, quick):
    ratios = "; ".join(f"{name} {figure} [{row.ratio(name)}]" for name, figure in row.peers.items())
    print(f"{row.work}: {row.ours} {row.unit}" + (f"; {ratios}" if ratios else "") + (f"; {row.note}" if row.note else "")
          + ("" if quick else {True: "; reached", False: f"; NOT REACHED: {row.want}", None: ""}[row.reached]), flush=True)


def _too_long(_signum, _frame):
    raise RuntimeError(f"not done after {PART_MAX_S} s")


def take(part, how, run):
    """All that a part gives. One that fails, or does not end, is told and does not keep the others from being measured."""
    began = time.monotonic()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(PART_MAX_S)
    try:
        module = importlib.import_module(part)
        for row in module.rows(how) if hasattr(module, "rows") else ():
            run.rows.append(row)
            say(row, how.quick)
        for curve in module.curves(how) if hasattr(module, "curves") else ():
            run.curves.append(curve)
            print("\n".join([f"{curve.title}:", *curve.lines()]), flush=True)
    except Exception as e:  # noqa: BLE001 (whatever it is, it is this part's)
        traceback.print_exc()
        run.failures.append(f"{part} failed: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
    finally:
        signal.alarm(0)
    run.took[part] = time.monotonic() - began
    print(f"  {part}: {run.took[part]:.0f} s, the whole run {time.monotonic() - run.began:.0f} s", flush=True)


def write(how, run):
    """The page and the pictures."""
    for curve in run.curves:
        (HERE / f"curve-{curve.name}.svg").write_text(curve.svg())
    (HERE / "RESULTS.md").write_text(report.page(how, run))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="one short round of everything: is it sane?")
    options.add_argument("--figures", action="store_true", help="write what all peers did into peers/figures.txt")
    options.add_argument("--no-file", action="store_true", help="do not write RESULTS.md")
    options.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    given = options.parse_args()
    how, run, before = How(given.quick), Run(), measure.jiffies()
    measure.quiet = measure.Quiet(0 if given.quick else 60)
    measure.quiet.wait(60)
    for part in given.parts or PARTS:
        take(part, how, run)
    after = measure.jiffies()
    run.seconds, run.stolen = time.monotonic() - run.began, (after[1] - before[1]) / max(1, after[2] - before[2])
    if given.figures:
        report.write_figures(run.rows, True)
    run.voids = [] if given.quick else report.voids(run.rows, report.known_figures())
    if not (given.quick or given.no_file or given.parts):
        write(how, run)
        if not run.voids + run.failures:
            report.write_figures(run.rows, False)
    missed = [row.work for row in run.rows if row.reached is False]
    print(f"{len(run.rows)} rows and {len(run.curves)} curves in {run.seconds:.0f} s" + ("" if given.quick else f"; not reached: {len(missed)}"))
    for why in run.voids + run.failures:
        print(f"VOID: {why}")
    sys.exit(1 if run.voids or run.failures else 0)


if __name__ == "__main__":
    main()
