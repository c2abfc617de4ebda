"""PostgreSQL is away, and what it has to be told becomes a heap. The long ones `make soak` runs once each.

Nobody may notice until the heap is at its limit: everybody is judged as if nothing had happened.
"""

import time

import requests

from stack import SLOW, until
from strike import fault, now_us, tree
from truth import metric, metrics, waiting

SOAKS = {}
LOOK_S = 2
LIMIT = 1_000_000  # bytes, where it is to be reached
MANY = (100, 300, 8, 20, 40)  # sessions: each is changed and watched by few, so that the history stays small


class Look:
    """What the service says of itself, and what is true."""

    def __init__(self, s, began):
        self.at = (now_us() - began) / 1e6
        least = waiting(s.stack)
        said = metrics(s.stack)
        self.rate, self.sockets = s.crowd.look()
        self.queue, self.truth = int(metric(said, "synckairos_db_write_queue_size")), (least, waiting(s.stack))
        self.bytes = int(metric(said, "synckairos_audit_backlog_bytes"))
        self.age = metric(said, "synckairos_audit_backlog_age_seconds")
        self.memory = s.stack.redis().info("memory")["used_memory"]
        self.ready = requests.get(f"{s.stack.base_url}/ready", timeout=10 * SLOW).status_code
        self.database = requests.get(f"{s.stack.base_url}/health", timeout=10 * SLOW).json()["database"]

    def __str__(self):
        return (
            f"{self.at:.0f} s: {self.rate:.0f} changes/s, {self.queue} records in {self.bytes >> 20} MB, the oldest "
            f"{self.age:.0f} s old, Redis {self.memory >> 20} MB, database {self.database}"
        )


def follow(s, began, done, every):
    """Look every LOOK_S until done(look); all looks. Each `every` s one of them is noted."""
    looks, noted = [], 0.0
    while not looks or not done(looks[-1]):
        time.sleep(LOOK_S)
        looks.append(Look(s, began))
        if looks[-1].at >= noted:
            noted = looks[-1].at + every
            s.notes.append(str(looks[-1]))
    return looks


def told_while_away(looks, seconds):
    """The backlog's metrics tell the story: as many records as there are, growing, as old as the outage."""
    found = [f"said to be waiting: {x.queue}, there are {x.truth}" for x in looks if not x.truth[0] <= x.queue <= x.truth[1]]
    for before, after in zip(looks, looks[1:]):
        if after.queue < before.queue or after.bytes < before.bytes:
            found.append(f"less is waiting: {before}, then {after}")
    if looks[-1].age < seconds - 5:
        found.append(f"not as old as the outage: {looks[-1]}")
    found += [f"the database is said to be {x.database}: {x}" for x in looks if x.at > 8 and x.database != "down"]
    return found[:5]


def postgres_down(s):
    """Kill it, and keep it down until postgres_up()."""
    s.stack.expected.update(tree(s.stack.pid("postgres")))
    s.stack.hold("postgres")
    return s.stack.kill("postgres")


def postgres_up(s, old):
    s.stack.release("postgres")
    s.stack.wait_restarted("postgres", old, 60)


def postgres_is_away(s, seconds, least):
    """Let what has come together be written, all under load."""
    began = now_us()
    old = postgres_down(s)
    away = follow(s, began, lambda look: look.at >= seconds, seconds / 10)
    changes = sum(x.rate * LOOK_S for x in away) / (LOOK_S * len(away))
    s.notes.append(f"PostgreSQL was away for {away[-1].at:.0f} s, at {changes:.0f} changes/s")
    s.wrong += told_while_away(away, seconds)
    if changes < least:
        s.wrong.append(f"{changes:.0f} changes/s, and not {least:.0f}")
    postgres_up(s, old)
    back = now_us()
    after = follow(s, began, lambda look: look.queue < look.rate or look.at > 4 * seconds + 60, seconds / 10)
    s.notes.append(
        f"drained in {(now_us() - back) / 1e6:.0f} s under load; at most {max(x.queue for x in away + after)} records in "
        f"{max(x.bytes for x in away + after) >> 20} MB waited, Redis used {max(x.memory for x in away + after) >> 20} MB"
    )
    s.wrong += [f"not ready: {x}" for x in away + after if x.ready != 200][:3]
    if after[-1].queue >= after[-1].rate:
        s.wrong.append(f"the backlog does not go away under load: {after[-1]}")
    until(lambda: Look(s, began).database == "connected", 10, every=0.2, say="a database that is connected")
    return began


def nobody_noticed(judgement):
    """Not one request failed in all that time."""
    failed = [a for a in judgement.history.answers if a.status == 0 or a.status >= 500]
    return [f"somebody noticed: {a}" for a in failed[:5]]


@fault(SOAKS, exits=("postgres",), also=nobody_noticed, sessions=MANY)
def postgres_away_for_60_s(s):
    return postgres_is_away(s, 60, s.crowd.peak / 2)


@fault(SOAKS, exits=("postgres",), also=nobody_noticed, sessions=MANY, rate="1050")
def postgres_away_for_10_minutes(s):
    return postgres_is_away(s, 600, 1000)


# --- the limit ---


def backlog_bytes(s):
    return int(metric(metrics(s.stack), "synckairos_audit_backlog_bytes"))


def creations_were_refused_first(judgement):
    """From the limit on they are, from twice the limit on commands too, and nothing else ever is."""
    refused = [a for a in judgement.history.answers if a.code == "STORE_FULL"]
    found = [f"refused: {a}" for a in refused if a.op in "GD"]
    found += [f"refused as something else: {a}" for a in judgement.history.answers if a.status >= 500 and a.code != "STORE_FULL"]
    creations, commands = ([a.at for a in refused if (a.op == "C") == creates] for creates in (True, False))
    if not creations or not commands or min(creations) > min(commands):
        found.append(f"{len(creations)} creations and {len(commands)} commands were refused: {creations[:1]}, {commands[:1]}")
    return found[:5]


@fault(env={"AUDIT_BACKLOG_MAX": str(LIMIT)}, exits=("postgres",), also=creations_were_refused_first)
def backlog_full(s):
    old = postgres_down(s)
    until(lambda: backlog_bytes(s) >= 2 * LIMIT, 120, every=0.2, say=lambda: f"a full backlog: {backlog_bytes(s)}")
    s.nap(1.5, 3)
    postgres_up(s, old)
    until(lambda: backlog_bytes(s) < LIMIT / 2, 60, every=0.1, say="room in the backlog")
    return now_us()
