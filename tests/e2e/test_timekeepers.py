"""Three broadcasters keep time together: one is killed, one is frozen past its leases, and the last one goes on with all sessions; nothing
happens twice, not even when the frozen one wakes up in the middle of its work."""
import collections
import re
import signal
import time
import uuid

import requests

from stack import SLOW, until

CYCLE_MS = 1000
SESSIONS = 40
PARTITIONS = 64
# A lease and the way to Redis are less than 2 s; the rest is for a machine that is busy with other tests.
TAKEN_OVER_MS = 3000 * max(1, SLOW)

Record = collections.namedtuple("Record", "version timeout at_ms committed_ms")


def start_quizzes(stack):
    """Sessions that go on by themselves, every second."""
    http, made = requests.Session(), []
    for _ in range(SESSIONS):
        sent = {"session_id": str(uuid.uuid4()), "sync_mode": "per_cycle", "total_time_ms": CYCLE_MS, "auto_advance": True,
                "max_cycles": 100_000, "warn_at_ms": [500],
                "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": CYCLE_MS} for k in range(3)]}
        for path, content, status in (("", sent, 201), (f"/{sent['session_id']}/start", {}, 200)):
            assert http.post(f"{stack.base_url}/v1/sessions{path}", json=content, timeout=10 * SLOW).status_code == status
        made.append(sent["session_id"])
    return made


def records(stack):
    """Session id -> its audit records, in the order of the commits."""
    found = collections.defaultdict(list)
    for k in range(PARTITIONS):
        for at, fields in stack.redis().xrange(f"sk:{{s{k:02}}}:audit"):
            row = dict((word[0], word[1:]) for word in fields["d"].split("\n", 1)[0].split(" "))
            found[row["i"]].append(Record(int(row["v"]), row.get("r") == "1", int(row["a"]), int(at.split("-")[0])))
    return found


def newest(stack, sessions):
    """The lowest of their newest versions."""
    found = records(stack)
    return min(found[session][-1].version for session in sessions)


def wait_for_turns(stack, sessions, turns):
    """Every session goes on for so many turns, whoever drives it."""
    wanted = newest(stack, sessions) + turns
    until(lambda: newest(stack, sessions) >= wanted, 4 * turns * CYCLE_MS / 1000 + 5, every=0.2, say=f"version {wanted} everywhere")


def test_the_last_timekeeper_takes_over_and_nothing_happens_twice(make_stack):
    stack = make_stack(BROADCASTERS=3)
    sessions = start_quizzes(stack)
    wait_for_turns(stack, sessions, 2)
    stack.hold("broadcaster-0")
    stack.kill("broadcaster-0")
    frozen = stack.pid("broadcaster-1")
    stack.kill_pid(frozen, signal.SIGSTOP)
    try:
        wait_for_turns(stack, sessions, 4)
    finally:
        stack.kill_pid(frozen, signal.SIGCONT)
    wait_for_turns(stack, sessions, 2)
    stack.release("broadcaster-0")
    stack.kill("broadcaster-2", signal.SIGTERM)  # an orderly end gives its partitions back
    wait_for_turns(stack, sessions, 2)
    late = []
    for session, all_of_it in records(stack).items():
        # one version, one record
        assert [r.version for r in all_of_it] == list(range(1, len(all_of_it) + 1)), session
        turns = [r for r in all_of_it if r.timeout]
        assert len(turns) == len(all_of_it) - 2
        # each at its own deadline, however late
        assert {b.at_ms - a.at_ms for a, b in zip(turns, turns[1:])} == {CYCLE_MS}
        late += [r.committed_ms - r.at_ms for r in turns]
    assert 0 <= min(late) and max(late) < TAKEN_OVER_MS


def test_timekeepers_that_are_frozen_for_a_while_do_no_harm(make_stack):
    stack = make_stack(BROADCASTERS=3)
    sessions = start_quizzes(stack)
    for name in stack.broadcasters():
        stack.kill(name, signal.SIGSTOP)
        time.sleep(1.8)  # past its leases
        stack.kill(name, signal.SIGCONT)
        wait_for_turns(stack, sessions, 1)
    for session, all_of_it in records(stack).items():
        assert [r.version for r in all_of_it] == list(range(1, len(all_of_it) + 1)), session
        state = requests.get(f"{stack.base_url}/v1/sessions/{session}", timeout=10 * SLOW).json()["data"]
        assert state["version"] >= all_of_it[-1].version
