"""Every change of every session reaches PostgreSQL once, whatever is away meanwhile."""
import json
import signal
import time
import uuid

import pytest
import requests

from load import Player, create_started, eventually
from postgres import rows
from stack import until

DAY = 86_400_000
A, B = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


@pytest.fixture(scope="module")
def own():
    from stack import Stack

    stack = Stack(POSTGRES="on", BROADCASTERS="2")
    yield stack
    stack.close()


@pytest.fixture
def db(own):
    connection = own.database()
    yield connection
    connection.close()


def create(stack, **more):
    body = {
        "session_id": str(uuid.uuid4()),
        "sync_mode": "per_participant",
        "total_time_ms": 2 * DAY // 2,
        "participants": [
            {"participant_id": A, "participant_index": 0, "total_time_ms": 60000},
            {"participant_id": B, "participant_index": 1, "total_time_ms": 60000},
        ],
        **more,
    }
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    return body["session_id"]


def do(stack, session_id, *commands):
    for command in commands:
        answer = requests.post(f"{stack.base_url}/v1/sessions/{session_id}/{command}", json={}, timeout=10)
        assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def recorded(db, session_id):
    return rows(
        db,
        "SELECT version, event_type, participant_id::text, time_remaining_ms, cycle_number, reason,"
        " state_snapshot IS NOT NULL FROM sync_events WHERE session_id = %s ORDER BY epoch, version",
        session_id,
    )


def wait_recorded(db, session_id, version, seconds=10):
    until(lambda: len(recorded(db, session_id)) >= version, seconds, say=lambda: recorded(db, session_id))


def backlog(stack):
    return sum(stack.redis().xlen(key) for key in stack.redis().scan_iter("sk:*:audit"))


# --- records ---


def test_every_change_is_recorded_by_name_with_its_version(own, db):
    session_id = create(own)
    do(own, session_id, "start", "switch", "pause", "resume", "switch", "complete")
    requests.delete(f"{own.base_url}/v1/sessions/{session_id}", timeout=10)
    wait_recorded(db, session_id, 8)
    found = recorded(db, session_id)
    assert [row[0] for row in found] == list(range(1, 9))
    assert [row[1] for row in found] == [
        "session_created",
        "session_started",
        "cycle_switched",
        "session_paused",
        "session_resumed",
        "cycle_switched",
        "session_completed",
        "session_deleted",
    ]
    assert [row[4] for row in found] == [0, 1, 2, 2, 2, 3, 3, 3]
    assert [row[6] for row in found] == [True, True, False, True, True, False, True, False]


def test_an_expiry_is_recorded_at_its_deadline_with_its_reason(own, db):
    session_id = create(
        own,
        participants=[
            {"participant_id": A, "participant_index": 0, "total_time_ms": 1000},
            {"participant_id": B, "participant_index": 1, "total_time_ms": 1000},
        ],
    )
    state = do(own, session_id, "start")
    wait_recorded(db, session_id, 3)
    ((kind, reason, who, late),) = rows(
        db,
        "SELECT event_type, reason, participant_id::text, timestamp - %s::timestamptz FROM sync_events"
        " WHERE session_id = %s AND version = 3",
        state["deadline_at"],
        session_id,
    )
    assert (kind, reason, who) == ("participant_expired", "timeout", A)
    assert late.total_seconds() == 0


def test_an_adjustment_is_recorded_with_its_reason_in_words_and_its_group(own, db):
    red, new = str(uuid.uuid4()), str(uuid.uuid4())
    session_id = create(own, sync_mode="per_group", groups=[{"group_id": red, "total_time_ms": 5000, "members": [A, B]}])
    path = f"{own.base_url}/v1/sessions/{session_id}/participants"
    assert requests.post(path, json={"participant_id": new, "total_time_ms": 1000, "group_id": red}, timeout=10).status_code == 201
    why = "arrived late, say \u201cthe trains\u201d\t100 %"
    assert requests.patch(f"{path}/{B}", json={"add_ms": 700, "reason": why}, timeout=10).status_code == 200
    wait_recorded(db, session_id, 3)
    assert rows(
        db,
        "SELECT event_type, participant_id::text, group_id::text, time_remaining_ms, reason FROM sync_events"
        " WHERE session_id = %s AND version > 1 ORDER BY version",
        session_id,
    ) == [("participant_added", new, red, 5000, None), ("participant_adjusted", B, red, 5700, why)]


def test_the_summary_of_a_session_is_its_newest_state(own, db):
    session_id = create(own, metadata={"game": "blitz"}, increment_ms=2000)
    do(own, session_id, "start", "switch", "switch")
    wait_recorded(db, session_id, 4)
    state = requests.get(f"{own.base_url}/v1/sessions/{session_id}", timeout=10).json()["data"]
    columns = (
        "sync_mode::text, status::text, final_status, increment_ms, total_cycles, total_participants, metadata, version, epoch,"
        " created_at = %s::timestamptz, started_at = %s::timestamptz, completed_at, deleted_at"
    )
    sql = f"SELECT {columns} FROM sync_sessions WHERE session_id = %s"
    expected = [
        ("per_participant", "running", None, 2000, 3, 2, {"game": "blitz"}, 4, state["epoch"], True, True, None, None)
    ]
    assert rows(db, sql, state["created_at"], state["session_started_at"], session_id) == expected
    do(own, session_id, "complete")
    requests.delete(f"{own.base_url}/v1/sessions/{session_id}", timeout=10)
    wait_recorded(db, session_id, 6)
    ((status, final, gone),) = rows(
        db,
        "SELECT status::text, final_status::text, deleted_at IS NOT NULL FROM sync_sessions WHERE session_id = %s",
        session_id,
    )
    assert (status, final, gone) == ("completed", "completed", True)


def test_the_summary_of_participants_counts_turns_and_time(own, db):
    session_id = create(own)
    do(own, session_id, "start", "switch", "switch", "switch", "pause")
    state = do(own, session_id, "complete")
    wait_recorded(db, session_id, 7)
    found = rows(
        db,
        "SELECT participant_id::text, total_time_ms, total_cycles, total_time_active_ms, place,"
        " first_active_at <= last_active_at FROM sync_participants WHERE session_id = %s ORDER BY place",
        session_id,
    )
    people = state["participants"]
    assert found == [
        (p["participant_id"], 60000, p["cycle_count"], p["time_used_ms"], k, True) for k, p in enumerate(people)
    ]


def test_a_session_created_anew_under_its_id_is_another_one_in_the_summary(own, db):
    session_id = create(own, metadata={"first": True})
    do(own, session_id, "start", "switch")
    requests.delete(f"{own.base_url}/v1/sessions/{session_id}", timeout=10)
    wait_recorded(db, session_id, 4)
    other = [{"participant_id": str(uuid.uuid4()), "participant_index": 0, "total_time_ms": 5000}]
    create(own, session_id=session_id, participants=other)
    wait_recorded(db, session_id, 5)
    assert rows(
        db,
        "SELECT version, status::text, total_participants, metadata, deleted_at FROM sync_sessions WHERE session_id = %s",
        session_id,
    ) == [(1, "pending", 1, {}, None)]
    assert rows(db, "SELECT participant_id::text FROM sync_participants WHERE session_id = %s", session_id) == [
        (other[0]["participant_id"],)
    ]


def test_who_did_it_and_what_is_odd_in_a_text_survive(own, db):
    odd = {"text": 'tab\t newline\n backslash \\ quote " null \\N ünïcödé 😀 \\.'}
    session_id = create(own, metadata=odd)
    wait_recorded(db, session_id, 1)
    ((metadata, snapshot),) = rows(
        db,
        "SELECT s.metadata, e.state_snapshot->'metadata' FROM sync_sessions s JOIN sync_events e USING (session_id)"
        " WHERE session_id = %s",
        session_id,
    )
    assert metadata == odd and snapshot == odd


def test_what_is_recorded_leaves_redis(own, db):
    session_id = create(own)
    do(own, session_id, "start")
    wait_recorded(db, session_id, 2)
    until(lambda: backlog(own) == 0, 10, say="empty streams")
    for key in own.redis().scan_iter("sk:*:audit"):
        assert own.redis().xpending(key, "audit")["pending"] == 0


# --- what goes wrong ---


def switch_some(stack, sessions, n):
    for k in range(n):
        do(stack, sessions[k % len(sessions)], "switch")


def versions_once(db, session_id):
    found = [row[0] for row in rows(db, "SELECT version FROM sync_events WHERE session_id = %s ORDER BY 1", session_id)]
    return found == list(range(1, len(found) + 1)) and len(found)


def test_postgresql_away_is_noticed_by_nobody_and_everything_is_recorded_once_afterwards(make_stack):
    stack = make_stack(POSTGRES="on")
    db = stack.database()
    sessions = [create(stack) for _ in range(5)]
    for one in sessions:
        do(stack, one, "start")
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    db.close()
    switch_some(stack, sessions, 100)
    assert requests.get(f"{stack.base_url}/ready", timeout=10).status_code == 200
    until(lambda: backlog(stack) >= 100, 10, say=lambda: backlog(stack))
    metrics = requests.get(f"{stack.base_url}/metrics", timeout=10).text
    assert float(metrics.split("\nsynckairos_db_write_queue_size ")[1].split()[0]) >= 100
    assert float(metrics.split("\nsynckairos_audit_backlog_bytes ")[1].split()[0]) > 1000
    stack.release("postgres")
    until(lambda: backlog(stack) == 0, 30, say=lambda: backlog(stack))
    db = stack.database()
    for one in sessions:
        assert versions_once(db, one) == 22


def test_killed_broadcasters_lose_no_record_and_write_none_twice(make_stack):
    stack = make_stack(POSTGRES="on", BROADCASTERS="2")
    db = stack.database()
    players = [Player(stack, sent) for sent in create_started(stack, 4)]
    for player in players:
        player.start()
    for k in range(6):
        time.sleep(0.3)
        stack.kill(f"broadcaster-{k % 2}")
    for player in players:
        player.finish()
    until(lambda: backlog(stack) == 0, 40, say=lambda: backlog(stack))
    for player in players:
        state = requests.get(player.url, timeout=10).json()["data"]
        assert versions_once(db, state["session_id"]) == state["version"]


def test_a_record_that_is_refused_for_good_goes_to_the_dead_letters_and_blocks_nothing(own, db):
    session_id = create(own)
    wait_recorded(db, session_id, 1)
    rows(db, "ALTER TABLE sync_events ADD CONSTRAINT not_this CHECK (actor IS NULL OR actor <> 'x')")
    key = next(key for key in own.redis().scan_iter("sk:*:audit"))
    good = rows(db, "SELECT delta, epoch FROM sync_events WHERE session_id = %s", session_id)[0]
    now = int(time.time() * 1000)
    bad = f"t1 i{session_id} e{good[1]} v9 a{now} s{now} n0 ox\n{good[0]}"
    try:
        own.redis().xadd(key, {"d": "nonsense"})
        own.redis().xadd(key, {"d": bad})
        do(own, session_id, "start", "switch", "switch")
        wait_recorded(db, session_id, 4)
        until(lambda: own.redis().xlen(key + ":dead") == 2, 10, say="dead letters")
        dead = [fields for _, fields in own.redis().xrange(key + ":dead")]
        assert {one["d"] for one in dead} == {"nonsense", bad}
        assert any("23514" in one["error"] for one in dead)
        metrics = requests.get(f"{own.base_url}/metrics", timeout=10).text
        assert float(metrics.split("\nsynckairos_audit_dead_letters_total ")[1].split()[0]) == 2
    finally:
        rows(db, "ALTER TABLE sync_events DROP CONSTRAINT not_this")
        own.redis().delete(key + ":dead")


def test_records_whose_acknowledgement_was_lost_are_read_again_at_once(own, db):
    """A Redis that comes back without its last second knows them as read by a broadcaster that has long written them."""
    session_id = create(own)
    wait_recorded(db, session_id, 1)
    redis, stopped = own.redis(), [own.pid(name) for name in own.broadcasters()]
    key = next(k for k in redis.scan_iter("sk:*:session:" + session_id)).rsplit(":session:", 1)[0] + ":audit"
    for pid in stopped:
        own.kill_pid(pid, signal.SIGSTOP)
    try:
        do(own, session_id, "start")
        reader = redis.xinfo_consumers(key, "audit")[0]["name"]
        assert redis.xreadgroup("audit", reader, {key: ">"})
    finally:
        for pid in stopped:
            own.kill_pid(pid, signal.SIGCONT)
    wait_recorded(db, session_id, 2, seconds=4)


def test_a_missing_schema_is_waited_for_and_nothing_goes_to_the_dead_letters(make_stack):
    stack = make_stack(POSTGRES="on")
    db = stack.database()
    rows(db, "ALTER TABLE sync_events RENAME TO elsewhere")
    session_id = create(stack)
    until(lambda: "audit records cannot be written" in stack.log("broadcaster-0") + stack.log("broadcaster-1"), 10)
    assert [key for key in stack.redis().scan_iter("sk:*:dead")] == []
    rows(db, "ALTER TABLE elsewhere RENAME TO sync_events")
    wait_recorded(db, session_id, 1)


# --- the limit ---


def test_at_the_limit_creations_are_refused_at_twice_commands_and_deletions_never(make_stack):
    limit = 1_000_000
    stack = make_stack(POSTGRES="on", AUDIT_BACKLOG_MAX=str(limit))
    stack.database().close()
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    first = create(stack, metadata={"x": "y" * 9000})
    other = create(stack)
    do(stack, first, "start")
    key, (_, fields) = next(
        (key, entry)
        for key in stack.redis().scan_iter("sk:*:audit")
        for entry in stack.redis().xrange(key)
        if first in entry[1]["d"]
    )

    def fill(size):
        """Once more what is there: to PostgreSQL it is nothing new."""
        while stack.redis().memory_usage(key) < size:
            stack.redis().xadd(key, fields)

    def one_more():
        body = {"session_id": str(uuid.uuid4()), "sync_mode": "global", "total_time_ms": 60000}
        return requests.post(f"{stack.base_url}/v1/sessions", json=body, timeout=10)

    def one_switch():
        return requests.post(f"{stack.base_url}/v1/sessions/{first}/switch", json={}, timeout=10)

    fill(1.2 * limit)
    until(lambda: one_more().status_code == 503, 10, every=0.1, say="a refused creation")
    refused = one_more()
    assert refused.json()["error"]["code"] == "STORE_FULL" and refused.headers["Retry-After"] == "1"
    assert one_switch().status_code == 200, "commands go on to twice the limit"
    fill(2.2 * limit)
    until(lambda: one_switch().status_code == 503, 10, every=0.1, say="a refused command")
    assert one_switch().json()["error"]["code"] == "STORE_FULL"
    version = requests.get(f"{stack.base_url}/v1/sessions/{first}", timeout=10).json()["data"]["version"]
    assert requests.delete(f"{stack.base_url}/v1/sessions/{other}", timeout=10).status_code == 204
    assert requests.get(f"{stack.base_url}/v1/sessions/{other}", timeout=10).status_code == 404
    stack.release("postgres")
    until(lambda: one_switch().status_code == 200, 30, every=0.2, say="commands again")
    until(lambda: one_more().status_code == 201, 30, every=0.2, say="creations again")
    until(lambda: backlog(stack) == 0, 30, say="an empty backlog")
    assert versions_once(stack.database(), first) >= version + 1


def test_the_limit_is_a_quarter_of_maxmemory_unless_it_is_set(make_stack):
    stack = make_stack(POSTGRES="on", BROADCASTERS=1)
    stack.database().close()
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    stack.redis().config_set("maxmemory", 24_000_000)
    create(stack, metadata={"x": "y" * 9000})
    stream = next(key for key in stack.redis().scan_iter("sk:*:audit") if stack.redis().xlen(key))
    record = stack.redis().xrange(stream)[0][1]

    def fill(size):
        """Once more what is there: to PostgreSQL it is nothing new."""
        while stack.redis().memory_usage(stream) < size:
            stack.redis().xadd(stream, record)

    def create_one():
        sent = {"session_id": str(uuid.uuid4()), "sync_mode": "global", "total_time_ms": 60000}
        return requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10).status_code

    fill(5_000_000)
    time.sleep(1.5)  # the streams are measured once a second
    assert create_one() == 201
    fill(6_100_000)
    until(lambda: create_one() == 503, say="a refusal")
    told = [json.loads(line) for line in stack.log("broadcaster-0").splitlines() if '"audit backlog"' in line]
    assert told[-1]["state"] == "creations are refused" and told[-1]["limit"] == 6_000_000


def test_what_is_due_is_applied_however_full_it_is(make_stack):
    stack = make_stack(POSTGRES="on", AUDIT_BACKLOG_MAX="1")
    body = {
        "session_id": str(uuid.uuid4()),
        "sync_mode": "per_participant",
        "total_time_ms": 3000,
        "participants": [{"participant_id": A, "participant_index": 0, "total_time_ms": 3000}],
    }
    stack.database().close()
    session_id = body["session_id"]
    url = f"{stack.base_url}/v1/sessions"
    # with so low a limit both are refused whenever the drain is a moment behind
    until(lambda: requests.post(url, json=body, timeout=10).status_code in (200, 201), 10)
    until(lambda: requests.post(f"{url}/{session_id}/start", json={}, timeout=10).status_code == 200, 10)
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    for key in stack.redis().scan_iter("sk:*:life"):
        stack.redis().hset(key, "backlog", "2")

    def state():
        return requests.get(f"{stack.base_url}/v1/sessions/{session_id}", timeout=10).json()["data"]

    until(lambda: state()["participants"][0]["has_expired"], 10, say="the expiry")
    assert state()["version"] == 3


def test_without_postgresql_the_oldest_records_go_and_nothing_is_refused(make_stack):
    stack = make_stack(AUDIT_BACKLOG_MAX="400000")
    sessions = [create(stack, metadata={"x": "y" * 9000}) for _ in range(200)]

    def used():
        return sum(stack.redis().memory_usage(key) for key in stack.redis().scan_iter("sk:*:audit"))

    until(lambda: used() < 600000, 10, say=used)
    do(stack, sessions[-1], "start")
    assert create(stack)


def test_records_of_a_team_name_its_group(own, db):
    teams = [str(uuid.uuid4()) for _ in range(2)]
    people = [
        {"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": 60000, "group_id": teams[k % 2]}
        for k in range(4)
    ]
    session_id = create(own, sync_mode="per_group", participants=people)
    do(own, session_id, "start", "switch", "pause")
    wait_recorded(db, session_id, 4)
    found = rows(
        db,
        "SELECT event_type, participant_id::text, group_id::text FROM sync_events WHERE session_id = %s ORDER BY version",
        session_id,
    )
    groups = {p["participant_id"]: p["group_id"] for p in people}
    assert [(kind, who) for kind, who, _ in found if who] and all(team == groups[who] for _, who, team in found if who)
    assert dict(rows(db, "SELECT participant_id::text, group_id::text FROM sync_participants WHERE session_id = %s", session_id)) == groups
