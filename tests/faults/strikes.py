"""The faults (strike.py): what is done to a running stack."""

import collections
import os
import signal
import time

from cutter import Cutter
from stack import until
from strike import fault, now_us, tree

FREEZE_S = 10
LEASE_S = 1.5  # of a partition, in timekeeper.c


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


@fault()
def redis_terminated(s):
    """Told to end it writes all that it has: nothing is lost."""
    old = s.stack.kill("redis", signal.SIGTERM)
    s.stack.wait_restarted("redis", old, 20)
    return s.redis_answers()


@fault()
def postgres_terminated(s):
    began, old = now_us(), s.stack.pid("postgres")
    s.stack.expected.add(old)
    s.stack.kill("postgres", signal.SIGINT)
    s.stack.wait_restarted("postgres", old, 30)
    return began  # it is nobody's business


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


@fault()
def redis_unreachable(s):
    """What is sent to Redis or by it does not arrive, and nobody is told that; then connections end."""
    cutter = Cutter(s.stack, s.random)
    try:
        s.nap(0.2, 0.6)
        cutter.stall()
        s.nap(2, 5)
    finally:
        cutter.close()
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
    """Every session whose clock ran was paused as of the last time that was known. What is churning may just have
    been nobody's, and what is guarded may have been paused already."""
    missing = {kind: [] for kind in "gkcit"}
    for n, trail in judgement.trails.items():
        if not any((r.event, r.reason) == ("session_paused", "recovery") for r in trail.records.values()):
            missing[judgement.history.kinds[n]].append(judgement.history.uuids[n])
    found = missing["k"] + missing["i"] + missing["t"] + missing["g"][3:]
    return [f"not paused: {found[:5]}"] if found else []


@fault(env={"OUTAGE_PAUSE_S": "2"}, may_lose=True, also=everybody_was_paused)
def long_outage(s):
    s.redis_down()
    s.nap(3, 5)
    return s.redis_up()
