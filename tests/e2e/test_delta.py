"""STATE_DELTA: whoever folds what comes has exactly the state that others are pushed, and that a read shows."""
import copy
import random
import time
import uuid

import pytest
import requests

from stack import Stack
from watch import Watcher, body, watch

# null is their value, and does not remove them
NULLABLE = {"active_participant_id", "active_group_id", "time_per_cycle_ms", "cycle_started_at", "session_started_at",
            "session_completed_at", "paused_at"}


@pytest.fixture(scope="module")
def stack():
    stack = Stack()
    yield stack
    stack.close()


def call(stack, method, path, **options):
    return requests.request(method, stack.base_url + path, timeout=10, **options)


def merged(old, patch):
    new = dict(old)
    for name, value in patch.items():
        if value is None and name not in NULLABLE:
            new.pop(name, None)
        elif isinstance(value, dict) and isinstance(new.get(name), dict):
            new[name] = merged(new[name], value)
        else:
            new[name] = value
    return new


def replaced(old, changed, key):
    new = {one[key]: one for one in old}
    new.update({one[key]: one for one in changed})
    return list(new.values())


def folded(messages):
    """The state after each STATE_SYNC and STATE_DELTA: {version: state}."""
    states, state = {}, None
    for m in messages:
        if m["type"] == "STATE_SYNC":
            state = m["state"]
        elif m["type"] == "STATE_DELTA":
            assert state["epoch"] == m["epoch"] and state["version"] == m["previous_version"] == m["version"] - 1
            state = merged(state, m["changed"])
            state["participants"] = replaced(state["participants"], m["participants"], "participant_id")
            if m["groups"]:
                state["groups"] = replaced(state["groups"], m["groups"], "group_id")
            assert state["server_time"] == m["server_time"] and state["version"] == m["version"]
        else:
            continue
        states[state["version"]] = copy.deepcopy(state)
    return states


def random_change(stack, rng, sent):
    path = f"/v1/sessions/{sent['session_id']}"
    what = rng.choice(["switch"] * 6 + ["pause", "resume", "resume", "remove", "add", "adjust", "wait"])
    someone = rng.choice(sent["participants"])["participant_id"]
    if what == "wait":
        time.sleep(rng.uniform(0, 0.4))
    elif what == "remove":
        call(stack, "DELETE", f"{path}/participants/{someone}")
    elif what == "add":
        call(stack, "POST", path + "/participants", json={"participant_id": str(uuid.uuid4()), "total_time_ms": 5000})
    elif what == "adjust":
        call(stack, "PATCH", f"{path}/participants/{someone}", json={"add_ms": rng.randint(-500, 3000), "reason": "test"})
    else:
        call(stack, "POST", f"{path}/{what}", headers={"Prefer": "return=minimal"})


@pytest.mark.parametrize("how", ["?delta=1", "SUBSCRIBE", "many"])
@pytest.mark.parametrize("mode", ["per_participant", "per_cycle", "per_group", "global", "count_up"])
def test_folded_deltas_are_the_pushed_states(stack, mode, how):
    rng = random.Random(f"{mode} {how}")
    more = {"max_time_ms": 4000} if mode == "count_up" else {"total_time_ms": 4000}
    sent = body(70 if how == "many" else 4, bank=1500, sync_mode=mode, metadata={"a": [1, {"b": None}]}, warn_at_ms=[1000],
                action_on_timeout={"type": "notify", "penalty": {"points": -5}}, **more)
    assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
    path = f"/v1/sessions/{sent['session_id']}"
    if how == "SUBSCRIBE":
        delta = Watcher(stack.ws_url, subprotocols=["synckairos.v1"])
        delta.wait_for("CONNECTED")
        delta.send({"type": "SUBSCRIBE", "sessionId": sent["session_id"], "delta": True})
    else:
        delta = Watcher(f"{stack.ws_url}?sessionId={sent['session_id']}&delta=1")
    with delta, watch(stack, sent["session_id"]) as whole:
        delta.wait_for("STATE_SYNC")
        whole.wait_for("STATE_SYNC")
        call(stack, "POST", path + "/start")
        for _ in range(40):
            random_change(stack, rng, sent)
        call(stack, "POST", path + "/complete")
        last = call(stack, "GET", path).json()["data"]
        delta.wait_for(lambda m: m.get("version") == last["version"] and m["type"].startswith("STATE_"))
        whole.wait_for(lambda m: m.get("version") == last["version"] and m["type"].startswith("STATE_"))
    states = folded(delta.messages)
    pushed = {m["version"]: m["state"] for m in whole.messages if m["type"] == "STATE_UPDATE"}
    assert len(pushed) > 8 and "STATE_UPDATE" not in [m["type"] for m in delta.messages]
    assert [m["type"] for m in delta.messages].count("STATE_SYNC") == 1
    for version, state in pushed.items():
        assert states[version] == state
    state = states[last["version"]]
    assert {**state, "server_time": last["server_time"]} == last


def test_a_switch_of_many_is_a_small_delta(stack):
    sent = body(100, bank=60_000)
    assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
    path = f"/v1/sessions/{sent['session_id']}"
    with Watcher(f"{stack.ws_url}?sessionId={sent['session_id']}&delta=1") as delta:
        delta.wait_for("STATE_SYNC")
        call(stack, "POST", path + "/start")
        call(stack, "POST", path + "/switch")
        message = delta.wait_for(lambda m: m["type"] == "STATE_DELTA" and m["version"] == 3)
    first, second = (one["participant_id"] for one in sent["participants"][:2])
    assert [one["participant_id"] for one in message["participants"]] == [first, second]
    assert message["groups"] == [] and message["changed"]["active_participant_id"] == second
    assert set(message["changed"]) == {"version", "active_participant_id", "cycle_started_at", "updated_at", "cycle_number",
                                       "deadline_at", "server_time"}


def test_delta_asked_for_in_another_way_is_none(stack):
    sent = body()
    assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
    with Watcher(f"{stack.ws_url}?sessionId={sent['session_id']}&delta=0") as plain:
        plain.wait_for("STATE_SYNC")
        call(stack, "POST", f"/v1/sessions/{sent['session_id']}/start")
        plain.wait_for("STATE_UPDATE")
