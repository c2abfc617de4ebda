"""GET /v1/sessions/{id}/events: the audit trail of one session."""
import os
import signal
import uuid

import pytest
import requests

from stack import Stack, children, until
from tokens import bearer

A, B = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
PEOPLE = [
    {"participant_id": A, "participant_index": 0, "total_time_ms": 60000},
    {"participant_id": B, "participant_index": 1, "total_time_ms": 60000},
]


@pytest.fixture(scope="module")
def own():
    stack = Stack(POSTGRES="on")
    stack.database().close()
    yield stack
    stack.close()


def create(stack, **more):
    body = {
        "session_id": str(uuid.uuid4()),
        "sync_mode": "per_participant",
        "total_time_ms": 120000,
        "participants": PEOPLE,
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


def ask(stack, session_id, **params):
    return requests.get(f"{stack.base_url}/v1/sessions/{session_id}/events", params=params, timeout=10)


def events(stack, session_id, version):
    """The page once the change to `version` is recorded."""

    def recorded():
        answer = ask(stack, session_id, limit=200)
        page = answer.json().get("data")
        return page and page.get("recorded_up_to", {}).get("version", 0) >= version and page

    return until(recorded, 30, say="records")


def test_events_tell_what_happened_in_order(own):
    session_id = create(own)
    do(own, session_id, "start", "switch", "pause")
    state = requests.get(f"{own.base_url}/v1/sessions/{session_id}", timeout=10).json()["data"]
    page = events(own, session_id, 4)
    assert [e["version"] for e in page["events"]] == [1, 2, 3, 4]
    assert [e["event_type"] for e in page["events"]] == [
        "session_created",
        "session_started",
        "cycle_switched",
        "session_paused",
    ]
    assert {e["epoch"] for e in page["events"]} == {state["epoch"]}
    assert page["events"][0]["timestamp"] == state["created_at"]
    assert page["events"][-1]["timestamp"] == state["paused_at"]
    assert page["recorded_up_to"] == {"epoch": state["epoch"], "version": 4}
    assert "next_cursor" not in page
    switched = page["events"][2]
    assert switched["participant_id"] in (A, B) and switched["cycle_number"] == 2
    assert 0 <= switched["time_remaining_ms"] <= 60000 and switched["time_elapsed_ms"] >= 0
    assert "actor" not in switched and "reason" not in switched


def test_events_come_in_pages(own):
    session_id = create(own)
    do(own, session_id, "start", *["switch"] * 5)
    whole = events(own, session_id, 7)["events"]
    got, cursor = [], None
    while True:
        page = ask(own, session_id, limit=3, **({"cursor": cursor} if cursor else {})).json()["data"]
        assert len(page["events"]) <= 3
        got += page["events"]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    assert got == whole and len(whole) == 7
    assert len(ask(own, session_id).json()["data"]["events"]) == 7


def test_events_stay_after_deletion(own):
    session_id = create(own)
    do(own, session_id, "start")
    assert requests.delete(f"{own.base_url}/v1/sessions/{session_id}", timeout=10).status_code == 204
    page = events(own, session_id, 3)
    assert page["events"][-1]["event_type"] == "session_deleted"
    assert requests.get(f"{own.base_url}/v1/sessions/{session_id}", timeout=10).status_code == 404


def test_events_of_an_expiry_have_its_deadline_and_reason(own):
    session_id = create(own, participants=[dict(PEOPLE[0], total_time_ms=1000), PEOPLE[1]])
    deadline = do(own, session_id, "start")["deadline_at"]
    last = events(own, session_id, 3)["events"][-1]
    assert (last["event_type"], last["reason"], last["timestamp"]) == ("participant_expired", "timeout", deadline)
    assert last["participant_id"] == A and last["time_remaining_ms"] == 0


def test_events_of_a_session_that_never_was_are_404(own):
    answer = ask(own, uuid.uuid4())
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "SESSION_NOT_FOUND"


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "a:1"}, {"cursor": ""}]
)
def test_wrong_parameters_are_400(own, params):
    answer = ask(own, create(own), **params)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert answer.json()["error"]["details"][0]["field"] in ("limit", "cursor")


def test_without_postgresql_it_is_503(stack):
    answer = ask(stack, create(stack))
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "STORE_UNAVAILABLE"
    assert answer.headers["Retry-After"]


def test_503_while_postgresql_is_down_and_everything_again_afterwards(make_stack):
    stack = make_stack(POSTGRES="on")
    stack.database().close()
    session_id = create(stack)
    events(stack, session_id, 1)
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    until(lambda: ask(stack, session_id).status_code == 503, 10, say="a refusal")
    answer = ask(stack, session_id)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "STORE_UNAVAILABLE"
    do(stack, session_id, "start", "switch")
    stack.release("postgres")
    until(lambda: ask(stack, session_id).status_code == 200, 20, say="an answer")
    assert [e["version"] for e in events(stack, session_id, 3)["events"]] == [1, 2, 3]


def test_503_while_postgresql_hangs_and_no_command_waits_for_it(make_stack):
    stack = make_stack(POSTGRES="on")
    stack.database().close()
    session_id = create(stack)
    events(stack, session_id, 1)
    server = stack.pid("postgres")
    frozen = [server, *children(server)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        do(stack, session_id, "start", "switch")
        assert ask(stack, session_id).status_code == 503
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert [e["version"] for e in events(stack, session_id, 3)["events"]] == [1, 2, 3]


def test_events_while_redis_is_away_come_from_postgresql(make_stack):
    stack = make_stack(POSTGRES="on")
    stack.database().close()
    session_id = create(stack)
    events(stack, session_id, 1)
    stack.hold("redis")
    stack.kill("redis")
    answer = ask(stack, session_id)
    assert answer.status_code == 200 and len(answer.json()["data"]["events"]) == 1
    stack.release("redis")
    until(lambda: requests.get(f"{stack.base_url}/ready", timeout=5).status_code == 200, 20)


def test_a_private_session_hides_its_events_also_after_deletion(make_stack):
    stack = make_stack(POSTGRES="on", AUTH_REQUIRED=True)
    stack.database().close()
    body = {"session_id": str(uuid.uuid4()), "sync_mode": "global", "total_time_ms": 60000}
    url = f"{stack.base_url}/v1/sessions"
    sent = {**body, "metadata": {"visibility": "private"}}
    assert requests.post(url, json=sent, headers=bearer("owner"), timeout=10).status_code == 201
    url = f"{url}/{body['session_id']}"

    def told(sub):
        return requests.get(url + "/events", headers=bearer(sub), timeout=10)

    until(lambda: len(told("owner").json()["data"]["events"]) == 1, 10)
    assert told("stranger").status_code == 404
    assert requests.delete(url, headers=bearer("owner"), timeout=10).status_code == 204
    until(lambda: len(told("owner").json()["data"]["events"]) == 2, 10)
    assert told("owner").json()["data"]["events"][0]["actor"] == "owner"
    assert told("stranger").status_code == 404


def test_a_new_session_of_an_old_id_shows_what_was_before_only_to_those_who_could_read_that(make_stack):
    stack = make_stack(POSTGRES="on", AUTH_REQUIRED=True)
    stack.database().close()
    sessions = f"{stack.base_url}/v1/sessions"
    body = {"session_id": str(uuid.uuid4()), "sync_mode": "global", "total_time_ms": 60000}
    url = f"{sessions}/{body['session_id']}"

    def send(method, path, sub, **more):
        answer = requests.request(method, path, headers=bearer(sub), timeout=10, **more)
        assert answer.status_code in (201, 204), answer.text

    def told(sub, **params):
        return requests.get(url + "/events", params=params, headers=bearer(sub), timeout=10)

    def actors(sub):
        return [e["actor"] for e in told(sub).json()["data"]["events"]]

    send("POST", sessions, "one", json={**body, "metadata": {"visibility": "private"}})
    send("DELETE", url, "one")
    send("POST", sessions, "two", json=body)
    until(lambda: "two" in actors("one"), 10, say="records")
    assert actors("one") == ["one", "one", "two"]
    assert actors("two") == ["two"]
    assert actors("stranger") == ["two"]
    last = told("one", limit=1).json()["data"]
    assert told("two", cursor=last["next_cursor"]).json()["data"]["events"][0]["actor"] == "two"
    send("DELETE", url, "two")
    send("POST", sessions, "three", json={**body, "metadata": {"visibility": "private"}})
    until(lambda: "three" in actors("three"), 10, say="records")
    assert actors("three") == ["two", "two", "three"]
    assert actors("one") == ["one", "one", "two", "two"]
    page = told("stranger").json()["data"]
    assert [e["actor"] for e in page["events"]] == ["two", "two"]
    assert page["recorded_up_to"]["epoch"] == page["events"][-1]["epoch"]
    assert page["recorded_up_to"]["version"] == page["events"][-1]["version"] == 2
