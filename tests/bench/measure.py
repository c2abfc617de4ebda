"""How figures are taken: side by side, in turns, on a quiet machine; medians, and the spread beside them.

A machine that is shared is noisy, so no figure stands alone: what counts is the ratio of two figures of one run. What disturbs
one round mostly disturbs all sides of it, so the ratio is taken in each round, and given as the median of the rounds; not at
all when its spread, (max - min) / median, is over 20 %.
"""

import pathlib
import statistics
import time
from dataclasses import dataclass, field

SPREAD_MAX = 0.20
BUSY_MAX = 0.10  # of all processors
PERCENTILES = ("p50_ms", "p99_ms", "p999_ms", "max_ms")


@dataclass
class Figure:
    """What one side did, by round."""

    values: list

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def spread(self):
        return (max(self.values) - min(self.values)) / self.median if self.median else float("inf")

    def __str__(self):
        if len(self.values) == 1:
            return short(self.median)
        return f"{short(self.median)} ({short(min(self.values))}-{short(max(self.values))})"


def ratio(ours, theirs):
    """Ours / theirs, round by round; None where that cannot be."""
    if len(ours.values) != len(theirs.values) or not all(theirs.values):
        return None
    return Figure([a / b for a, b in zip(ours.values, theirs.values)])


@dataclass
class Row:
    """One line of the table: our figure, the others' figures, what is wanted of ours."""

    key: str  # in peers/figures.txt
    work: str
    unit: str
    ours: Figure
    peers: dict = field(default_factory=dict)  # name -> Figure
    want: str = ""
    reached: bool = None  # None: nothing was wanted
    note: str = ""
    latencies: dict = field(default_factory=dict)  # name -> PERCENTILES in ms

    def ratio(self, peer):
        """Ours / theirs as text."""
        figure = ratio(self.ours, self.peers[peer])
        if figure is None:
            return "-"
        return f"{figure.median:.3g}" if figure.spread <= SPREAD_MAX else "too noisy"


def short(value):
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rounds(sides, count, warm_up=False):
    """
    Run every side `count` times, in turns, and return name -> key -> Figure. A side is a function without arguments that returns
    a dict of figures. The first time does not count when that is a warm-up.
    """
    taken = {name: {} for name in sides}
    for k in range(count + warm_up):
        for name, run in sides.items():
            quiet.wait()
            got = run()
            for key, value in got.items() if k >= warm_up else ():
                taken[name].setdefault(key, []).append(value)
    return {name: {key: Figure(v) for key, v in keys.items()} for name, keys in taken.items()}


def latencies(taken):
    """Of each side the medians of its percentiles, for a Row."""
    return {name: {key: t[key].median for key in PERCENTILES} for name, t in taken.items() if PERCENTILES[0] in t}


def others(taken, key):
    """The figures of all sides but ours, for a Row."""
    return {name: t[key] for name, t in taken.items() if name != "ours" and key in t}


def jiffies():
    """Of all processors since the start: (busy, stolen by the host, all)."""
    with open("/proc/stat") as f:
        parts = [int(v) for v in f.readline().split()[1:9]]
    return sum(parts) - parts[3] - parts[4], parts[7], sum(parts)


class Quiet:
    """Waits for a quiet machine before each run; of patience there is only so much in all."""

    def __init__(self, patience):
        self.patience, self.waits, self.failed = patience, 0, 0

    def wait(self, seconds=5):
        """Until less than BUSY_MAX of the processors is used. What ours and the peers still do after a run is waited for, too."""
        self.waits += 1
        end = time.monotonic() + min(seconds, self.patience)
        while time.monotonic() < end:
            before = jiffies()
            time.sleep(0.1)
            after = jiffies()
            if after[0] - before[0] <= BUSY_MAX * max(1, after[2] - before[2]):
                return True
            self.patience -= 0.1
        self.failed += 1
        return False


quiet = Quiet(90)


def cpu_seconds(pids):
    """Time on a processor of the processes so far, of all their threads, from the scheduler (which counts in ns)."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total / 1e9


def memory(pid):
    """Bytes of a process: {"Rss": all that is resident, "Pss": with a share of what others have, too}."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("Rss:", "Pss:"))}


def tree(pid):
    """A process and everything below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree(int(child))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return found
