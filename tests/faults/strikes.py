"""The faults: what is done to a running stack, as a table by name.

A strike gets a Strike (the stack, a random generator of the seed) and returns when the fault is over,
in us of time.monotonic(): from then on everything has to be well within 2 s.
"""

import collections
import os
import pathlib
import signal
import subprocess
import time

from cutter import Cutter
from stack import SLOW, children, until

FREEZE_S = 10
LEASE_S = 1.5  # of a partition, in timekeeper.c

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


# --- kill -9 ---


@fault()
def worker_killed(s):
    for _ in range(5):
        s.stack.kill_pid(s.random.choice(s.workers()))
        s.nap(0.05, 0.4)
    until(lambda: len(s.workers()) >= 2, 10, say="new workers")
    return now_us()


@fault()
def master_killed(s):
    for pid in s.workers():
        s.stack.expected.add(pid)  # they go with it
    return s.restarted("fcgi", s.stack.kill("fcgi"))


@fault()
def broadcaster_killed(s):
    for _ in range(4):
        name = s.random.choice(s.stack.broadcasters())
        old = s.stack.kill(name)
        s.nap(0, 0.3)
        s.stack.wait_restarted(name, old, 20)
    until(lambda: len(s.stack.broadcasters()) == 2, 20, say="both broadcasters")
    return now_us()


@fault(may_lose=True)
def redis_killed(s):
    """A log that is just being synced is written to late, so kill -9 may lose what was answered."""
    for _ in range(s.random.choice([1, 1, 2])):
        s.redis_down()
        s.nap(0, 1.5)
        back = s.redis_up()
    return back


@fault(exits=("postgres",))
def postgres_killed(s):
    for pid in tree(s.stack.pid("postgres")):
        s.stack.expected.add(pid)
    s.stack.hold("postgres")
    old = s.stack.kill("postgres")
    s.nap(0, 2)
    name = s.random.choice(s.stack.broadcasters())
    dead = s.stack.kill(name)  # and with it what it was about to write
    s.stack.wait_restarted(name, dead, 20)
    s.nap(0, 1)
    s.stack.release("postgres")
    s.stack.wait_restarted("postgres", old, 30)
    return now_us()


@fault(resets=True)
def web_server_killed(s):
    return s.restarted("nginx", s.stack.kill("nginx"))


@fault(may_lose=True, exits=("postgres",))
def all_killed(s):
    """But the web server: the power of a host whose disks are safe."""
    names = ["redis", "postgres", "fcgi", *s.stack.broadcasters()]
    s.stack.expected.update(s.workers())
    old = {name: s.stack.kill(name) for name in s.random.sample(names, len(names))}
    for name, pid in old.items():
        s.stack.wait_restarted(name, pid, 30)
    s.redis_answers(30)
    s.stack.wait_ready(20)
    return now_us()


# --- SIGSTOP ---


@fault()
def worker_frozen(s):
    return s.freeze([s.random.choice(s.workers())], FREEZE_S)


@fault()
def master_frozen(s):
    return s.freeze([s.stack.pid("fcgi")], FREEZE_S)


@fault()
def broadcaster_frozen(s):
    return s.freeze([s.stack.pid(s.random.choice(s.stack.broadcasters()))], FREEZE_S)


@fault()
def redis_frozen(s):
    s.freeze([s.stack.pid("redis")], FREEZE_S)
    return s.redis_answers()


@fault()
def postgres_frozen(s):
    return s.freeze(tree(s.stack.pid("postgres")), FREEZE_S)


@fault()
def timekeeper_frozen(s):
    """Each broadcaster in turn, for longer than its claims on partitions last."""
    for name in s.stack.broadcasters():
        back = s.freeze([s.stack.pid(name)], s.random.uniform(1.1, 2.5) * LEASE_S)
        s.nap(0, 0.5)
    return back


# --- orderly, and yet under load ---


@fault()
def fcgi_terminated(s):
    old = s.stack.kill("fcgi", signal.SIGTERM)
    return s.restarted("fcgi", old)


@fault()
def workers_replaced(s):
    for _ in range(2):
        s.stack.kill("fcgi", signal.SIGHUP)
        s.nap(0.3, 1.0)
    return now_us()


@fault()
def broadcaster_terminated(s):
    name = s.random.choice(s.stack.broadcasters())
    old = s.stack.kill(name, signal.SIGTERM)
    s.stack.wait_restarted(name, old, 20)
    return now_us()


@fault(resets=True)
def web_server_reloaded(s):
    for _ in range(2):
        s.stack.kill("nginx", signal.SIGHUP)
        s.nap(0.2, 0.8)
    time.sleep(9)  # worker_shutdown_timeout: until then old workers hold their sockets
    return now_us()


# --- a bad line ---


@fault()
def answers_lost(s):
    """Redis has done what it was asked, or not, and the connection ends before anyone is told."""
    cutter = Cutter(s.stack, s.random)
    try:
        s.nap(3, 5)
    finally:
        cutter.close()
    assert cutter.cuts > 5
    return s.redis_answers()


# --- disks ---


def fill(folder):
    """Use up what is left of a file system; returns the file that does."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as out:
        size = 1 << 20
        while size:
            try:
                if out.write(b"x" * size) < size:
                    raise OSError
            except OSError:
                size //= 2
    return ballast


@fault(disk={"redis": "64m"})
def redis_disk_full(s):
    ballast = fill(s.stack.run_dir / "redis")
    s.nap(2, 4)
    ballast.unlink()
    return s.redis_answers()


@fault(disk={"postgres": "200m"}, exits=("postgres",))
def postgres_disk_full(s):
    ballast = fill(s.stack.run_dir / "postgres")
    s.nap(3, 6)
    ballast.unlink()
    return now_us()


# --- what Redis forgets ---


@fault(may_lose=True)
def newest_second_lost(s):
    """Power is lost: what the log got within the last second never came to the disk."""
    log = s.append_only_file()
    sizes = collections.deque(maxlen=20)
    for _ in range(20):
        sizes.append(log.stat().st_size)
        time.sleep(0.05)
    s.redis_down()
    os.truncate(log, sizes[s.random.randrange(10)])
    return s.redis_up()


@fault(may_lose=True)
def redis_emptied(s):
    """It comes back without its data, or somebody empties it while it runs."""
    if s.random.random() < 0.5:
        s.redis_down()
        for path in s.append_only_file().parent.iterdir():
            path.unlink()
        return s.redis_up()
    s.stack.redis().flushall()
    return now_us()


def everybody_was_paused(judgement):
    """Every session whose clock ran was paused as of the last time that was known."""
    missing = []
    for n, trail in judgement.trails.items():
        if not any((r.event, r.reason) == ("session_paused", "recovery") for r in trail.records.values()):
            missing.append(judgement.history.uuids[n])
    return [f"not paused: {missing[:5]}"] if len(missing) > 3 else []


@fault(env={"OUTAGE_PAUSE_S": "2"}, may_lose=True, also=everybody_was_paused)
def long_outage(s):
    s.redis_down()
    s.nap(3, 5)
    return s.redis_up()


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
