"""How figures are taken: side by side, in turns, on a quiet machine; medians, and the spread beside them.

A machine that is shared is noisy, so no figure stands alone: what counts is the ratio of two
figures of one run. A ratio is not given when either side's spread, (max - min) / median, is over
20 %.
"""

import os
import pathlib
import statistics
import time
from dataclasses import dataclass, field

TICKS = os.sysconf("SC_CLK_TCK")
SPREAD_MAX = 0.20


@dataclass
class Figure:
    """What one side did in all rounds."""

    values: list
    unit: str = ""

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def spread(self):
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def __str__(self):
        if len(self.values) == 1:
            return short(self.median)
        return f"{short(self.median)} ({short(min(self.values))}-{short(max(self.values))})"


@dataclass
class Row:
    """One line of the table: our figure, the others' figures, what we want."""

    work: str
    unit: str
    ours: Figure
    peers: dict = field(default_factory=dict)  # name -> Figure
    want: str = ""
    reached: bool = None  # None: nothing was wanted, or it cannot be said
    note: str = ""

    def ratio(self, peer):
        """Ours / theirs as text."""
        theirs = self.peers[peer]
        if self.ours.spread > SPREAD_MAX or theirs.spread > SPREAD_MAX or not theirs.median:
            return "(too noisy)"
        return f"{self.ours.median / theirs.median:.2f}"


def short(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rounds(sides, count, unit=""):
    """
    Run every side `count` times, in turns, and return name -> key -> Figure. A side is a function
    without arguments that returns a dict of figures.
    """
    taken = {name: {} for name in sides}
    for _ in range(count):
        for name, run in sides.items():
            for key, value in run().items():
                taken[name].setdefault(key, []).append(value)
    return {name: {key: Figure(v, unit) for key, v in keys.items()} for name, keys in taken.items()}


def _busy():
    with open("/proc/stat") as f:
        parts = [int(v) for v in f.readline().split()[1:9]]
    return sum(parts) - parts[3] - parts[4], sum(parts)


def wait_quiet(limit=0.10, patience=60):
    """Wait until others use less than `limit` of the processors; False when they do not stop."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        busy, total = _busy()
        time.sleep(1)
        busy2, total2 = _busy()
        if (busy2 - busy) / max(1, total2 - total) < limit:
            return True
    return False


def cpu_seconds(pids):
    """User and system time of the processes so far."""
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            continue
        fields = text.rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident(pid):
    """Resident bytes of a process that are its own (the shared pages of the program not counted)."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def tree(pid):
    """A process and everything below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found
