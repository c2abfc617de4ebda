"""How to hurt a running stack, and the table of the faults, by name.

A strike gets a Strike (the stack, a random generator of the seed) and returns when the fault is over,
in us of time.monotonic(): from then on everything has to be well within 2 s.
"""

import collections
import os
import pathlib
import signal
import subprocess
import time

from stack import SLOW, children, until


# strike      what is done
# env         settings of the stack
# may_lose    Redis is made to forget the newest changes
# resets      clients may see their connection to the web server end
# exits       programs that may end besides those that were killed
# disk        folders of the run folder that get a small file system of their own: name -> size
# also        what else has to be true: a function of the judgement that returns what is not
# sessions    guarded, keyed, churning, idle, ticking (crowd.h)
# rate        of commands: so many a second, or a share of what they can
Fault = collections.namedtuple(
    "Fault",
    "strike env may_lose resets exits disk also sessions rate",
    defaults=({}, False, False, (), {}, lambda judgement: [], (20, 12, 4, 8, 8), "55%"),
)
FAULTS = {}


def fault(into=FAULTS, **how):
    def add(strike):
        into[strike.__name__] = Fault(strike, **how)
        return strike

    return add


def now_us():
    return time.monotonic_ns() // 1000


class Strike:
    """The stack, and how to hurt it.

    began   when it was struck, us
    rate    changes a second until then
    wrong   what was seen to be wrong on the way, as sentences
    notes   what is worth telling"""

    def __init__(self, stack, crowd, random):
        self.stack, self.crowd, self.random = stack, crowd, random
        self.began, self.rate = 0, 0.0
        self.wrong, self.notes = [], []

    def nap(self, least, most):
        time.sleep(self.random.uniform(least, most))

    def redis_answers(self, seconds=20):
        """Wait until Redis does what it is told; returns when."""

        def writes():
            try:
                return self.stack.redis().set("fault:probe", "1", px=100)
            except Exception:  # redis-py raises classes of its own
                return False

        until(writes, seconds, every=0.005, say="Redis")
        return now_us()

    def freeze(self, pids, seconds):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return now_us()

    def restarted(self, name, old):
        self.stack.wait_restarted(name, old, 20)
        self.stack.wait_ready(20)
        return now_us()

    def workers(self):
        return self.stack.workers()

    def redis_down(self):
        """Kill Redis and keep it down until redis_up()."""
        self.stack.hold("redis")
        pid = self.stack.kill("redis")
        until(lambda: self.stack.pid("redis") != pid, 10, say="the end of Redis")

    def redis_up(self):
        self.stack.release("redis")
        return self.redis_answers(30)

    def append_only_file(self):
        """The part of Redis's log that grows."""
        folder = self.stack.run_dir / "redis" / "appendonlydir"
        return max(folder.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for child in children(pid):
        found += tree(child)
    return found


# --- the small file systems ---


class Disk:
    """A file system of `size` on a folder, until close(). It takes root to mount one."""

    def __init__(self, folder, size):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", self.folder], check=True)

    def close(self):
        for _ in range(int(50 * SLOW)):
            if subprocess.run(["umount", self.folder], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.folder} is still in use")
