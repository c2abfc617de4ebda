"""The audit records of a session fold to its exact final state: random commands through everything, then the records of
PostgreSQL beside what Redis holds. The fold here knows only what a line is, nothing of the engine."""
import concurrent.futures
import os
import random
import time
import uuid

import pytest
import requests

from postgres import rows
from stack import Stack, until

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
SESSIONS, COMMANDS = 24, 40
MODES = ("per_participant", "per_cycle", "per_group", "global", "count_up")
CONTROLS = (
    None,
    {"type": "fischer", "increment_ms": 700},
    {"type": "delay", "delay_ms": 300},
    {"type": "bronstein", "delay_ms": 300},
    {"type": "byoyomi", "periods": 3, "period_ms": 1000},
    {"type": "canadian", "moves": 3, "period_ms": 1500},
    {"type": "per_move"},
)


def draft(rnd):
    mode = rnd.choice(MODES)
    n = rnd.randint(2, 5) if mode in MODES[:3] else rnd.choice((0, 3))
    bank = rnd.choice((1000, 2000, 3_600_000))
    body = {"session_id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)), "sync_mode": mode, "total_time_ms": bank}
    groups = [str(uuid.UUID(int=rnd.getrandbits(128), version=4)) for _ in range(2)]
    if n:
        body["participants"] = [
            {
                "participant_id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)),
                "participant_index": k,
                "total_time_ms": bank,
                **({"group_id": groups[k % 2]} if mode == "per_group" else {}),
            }
            for k in range(n)
        ]
    if mode == "per_participant" and rnd.random() < 0.7:
        control = rnd.choice(CONTROLS)
        body.update({"time_control": control} if control else {})
    if mode == "per_cycle":
        body["time_per_cycle_ms"] = rnd.choice((1000, 60_000))
    if mode in MODES[:3] and rnd.random() < 0.5:
        body["auto_advance"] = True
    if mode in MODES[:3] and rnd.random() < 0.5:
        body["action_on_timeout"] = {"type": rnd.choice(("notify", "skip_cycle", "eliminate", "auto_action")), "action": "x"}
    if rnd.random() < 0.5:
        body["metadata"] = {"text": "line\nbreak\t\\ ü %41 \u2028", "n": [1, {"a": None}]}
    return body


def play(stack, rnd):
    """A life of random commands; its id and the state that its last answer showed."""
    http, body = requests.Session(), draft(rnd)
    url = f"{stack.base_url}/v1/sessions"
    answer = http.post(url, json=body, timeout=20)
    assert answer.status_code == 201, (body, answer.text)
    url = f"{url}/{body['session_id']}"
    http.post(url + "/start", json={}, timeout=20)
    people = [p["participant_id"] for p in body.get("participants", [])]
    for _ in range(COMMANDS):
        what = rnd.random()
        if what < 0.6:
            answer = http.post(url + "/switch", json={}, timeout=20)
        elif what < 0.75:
            answer = http.post(url + rnd.choice(("/pause", "/resume", "/resume")), json={}, timeout=20)
        elif what < 0.85 and people:
            change = rnd.choice(({"add_ms": rnd.choice((-500, 500, 3000))}, {"total_time_ms": rnd.choice((0, 1500, 9000))}))
            answer = http.patch(f"{url}/participants/{rnd.choice(people)}", json={**change, "reason": "drawn"}, timeout=20)
        elif what < 0.9 and people:
            answer = http.delete(f"{url}/participants/{rnd.choice(people)}", timeout=20)
        elif what < 0.94 and people:
            one = {"participant_id": str(uuid.UUID(int=rnd.getrandbits(128), version=4)), "total_time_ms": 1500}
            answer = http.post(f"{url}/participants", json=one, timeout=20)
        else:
            time.sleep(rnd.choice((0.05, 0.4)))
        assert answer.status_code < 500, answer.text
    http.post(url + "/resume", json={}, timeout=20)
    http.post(url + rnd.choice(("/pause", "/complete", "/cancel")), json={}, timeout=20)
    return body["session_id"], http.get(url, timeout=20).json()["data"]


def lines(text):
    return dict(line.split(" ", 1) for line in text.split("\n") if line)


def is_still(state):
    """Nothing runs in it: what Redis holds is the state of its last record."""
    return state["status"] != "running"


@pytest.fixture(scope="module")
def lives():
    stack = Stack(POSTGRES="on")
    db = stack.database()
    print(f"SEED={SEED}")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        played = list(pool.map(lambda k: play(stack, random.Random(SEED + k)), range(SESSIONS)))
    found = []
    for session_id, state in played:
        sql = (
            "SELECT version, delta, snapshot, state_snapshot FROM sync_events WHERE session_id = %s ORDER BY epoch, version"
        )
        until(lambda: (rows(db, sql, session_id) or [(0,)])[-1][0] >= state["version"], 20, say="its records")
        key = next(iter(stack.redis().scan_iter(f"sk:*:session:{session_id}")))
        held = stack.redis().hgetall(key)
        found.append((session_id, state, rows(db, sql, session_id), held))
    yield found
    db.close()
    stack.close()


def stored(held):
    return {name: value for name, value in held.items() if name not in ("v", "e", "c")}


def test_records_have_every_version_once(lives):
    for session_id, state, records, held in lives:
        assert [r[0] for r in records] == list(range(1, int(held["v"]) + 1)), (SEED, session_id)


def test_deltas_alone_fold_to_the_final_state(lives):
    for session_id, _, records, held in lives:
        folded = {}
        for _, delta, _, _ in records:
            folded.update(lines(delta))
        assert folded == stored(held), (SEED, session_id)


def test_every_snapshot_is_what_the_deltas_before_it_fold_to(lives):
    snapshots = 0
    for session_id, _, records, _ in lives:
        folded = {}
        for version, delta, snapshot, _ in records:
            folded.update(lines(delta))
            if snapshot is not None:
                assert lines(snapshot) == folded, (SEED, session_id, version)
                snapshots += 1
    assert snapshots > 2 * SESSIONS


def test_any_snapshot_and_the_deltas_after_it_fold_to_the_final_state(lives):
    for session_id, _, records, held in lives:
        for k, record in enumerate(records):
            if record[2] is None:
                continue
            folded = lines(record[2])
            for later in records[k + 1 :]:
                folded.update(lines(later[1]))
            assert folded == stored(held), (SEED, session_id, record[0])


def test_the_recorded_state_of_the_last_change_is_what_clients_see(lives):
    seen = 0
    for session_id, state, records, _ in lives:
        version, _, _, snapshot = records[-1]
        if snapshot is None or version != state["version"] or not is_still(state):
            continue
        hide = ("server_time", "paused_total_ms")
        assert {k: v for k, v in snapshot.items() if k not in hide} == {
            k: v for k, v in state.items() if k not in hide
        }, (SEED, session_id)
        seen += 1
    assert seen > 3
