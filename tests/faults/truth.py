"""What is true in the end: the sessions themselves, and what PostgreSQL has of them."""

import re

import requests

from history import Record, State
from postgres import rows
from stack import SLOW

DAY_MS = 86_400_000


def metric(text, name):
    """The value of a metric without labels, 0 when it is absent."""
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


def metrics(stack):
    return requests.get(f"{stack.base_url}/metrics", timeout=10 * SLOW).text


def time_adds_up(state):
    """Whoever was killed when: what was used and what is left are what there was."""
    if state["sync_mode"] != "per_participant":
        return []
    people = state["participants"]
    total = sum(one["time_used_ms"] + one["total_time_ms"] for one in people)
    return [] if total == DAY_MS * len(people) else [f"time does not add up: {state}"]


def final_states(stack, uuids):
    """uuid -> State or None, and what is wrong with them."""
    found, faults, http = {}, [], requests.Session()
    for uuid in uuids:
        answer = http.get(f"{stack.base_url}/v1/sessions/{uuid}", timeout=10 * SLOW)
        assert answer.status_code in (200, 404), answer.text
        state = answer.json().get("data")
        found[uuid] = state and State(state["epoch"], state["version"], state["status"])
        faults += time_adds_up(state) if state else []
    return found, faults


def waiting(stack):
    """Audit records that PostgreSQL does not have yet."""
    redis = stack.redis()
    return sum(redis.xlen(key) for key in redis.scan_iter("sk:*:audit"))


def drained(stack):
    return waiting(stack) == 0


def recovered(stack):
    """Whether what Redis has lost was looked after, in every partition."""
    redis = stack.redis()
    lives = [redis.hmget(key, "n", "recovered") for key in redis.scan_iter("sk:*:life")]
    return all(n == done for n, done in lives)


def recorded(stack, path):
    """uuid -> [Record], by way of the file `path`: they may be many."""
    db, found = stack.database(), {}
    with open(path, "w", encoding="utf-8") as out, db.cursor() as cursor:
        cursor.copy_expert(
            "COPY (SELECT session_id, epoch, version, event_type, coalesce(reason, '') FROM sync_events) TO STDOUT", out
        )
    db.close()
    names = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            uuid, epoch, version, event, reason = (names.setdefault(word, word) for word in line.rstrip("\n").split("\t"))
            found.setdefault(uuid, []).append(Record(epoch, int(version), event, reason))
    return found


def out_of_order(stack):
    """Records that took effect before the one with the version before theirs, as sentences."""
    db = stack.database()
    found = rows(
        db,
        "SELECT session_id, epoch, version FROM (SELECT *, timestamp < lag(timestamp) OVER"
        " (PARTITION BY session_id ORDER BY epoch, version) AS back FROM sync_events) AS e WHERE back LIMIT 5",
    )
    db.close()
    return [f"recorded as earlier than what was before it: {row}" for row in found]


def summed_up(stack):
    db = stack.database()
    found = rows(
        db,
        "SELECT session_id::text, epoch, version, CASE WHEN deleted_at IS NULL THEN status::text ELSE 'deleted' END"
        " FROM sync_sessions",
    )
    db.close()
    return {uuid: State(*state) for uuid, *state in found}
