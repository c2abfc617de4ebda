"""TIME_WARNING over the socket: when a running clock crosses a value of warn_at_ms, once, whoever else is busy or killed."""
import time

import pytest
import requests

from stack import SLOW, Stack, until
from watch import body, watch


@pytest.fixture(scope="module")
def stack():
    stack = Stack(BROADCASTERS=2)
    yield stack
    stack.close()


def call(stack, method, path, status=200, **options):
    answer = requests.request(method, stack.base_url + path, timeout=10, **options)
    assert answer.status_code == status, answer.text
    return answer.json().get("data", answer.json()) if answer.content else None


def create(stack, bank=1500, status=201, **more):
    sent = {key: value for key, value in body(bank=bank, **more).items() if value is not None}
    return sent, call(stack, "POST", "/v1/sessions", status, json=sent)


def command(stack, sent, verb, status=200, **more):
    return call(stack, "POST", f"/v1/sessions/{sent['session_id']}/{verb}", status, **more)


def said(watcher):
    """What came after the first state, in order."""
    return [(m["type"], m.get("version"), m.get("threshold_ms")) for m in watcher.messages
            if m["type"] in ("STATE_UPDATE", "TIME_WARNING", "TIME_EXPIRED")]


def test_warn_at_ms_is_ascending_without_duplicates(stack):
    for given, shown in ((None, [10000]), ([], []), ([500, 100, 500, 86400000], [100, 500, 86400000]), ([5000.0], [5000])):
        _, state = create(stack, warn_at_ms=given)
        assert state["warn_at_ms"] == shown


@pytest.mark.parametrize("given,field", [
    ([99], "warn_at_ms.0"), ([100, 86400001], "warn_at_ms.1"), ([100, 200, 300, 400, 500, 600], "warn_at_ms"),
    ([1000.5], "warn_at_ms.0"), (["1000"], "warn_at_ms.0"), (1000, "warn_at_ms")])
def test_warn_at_ms_that_makes_no_sense_is_refused(stack, given, field):
    _, answer = create(stack, status=400, warn_at_ms=given)
    assert [fault["field"] for fault in answer["error"]["details"]] == [field]


@pytest.mark.parametrize("mode", ["per_participant", "per_cycle", "per_group", "global", "count_up"])
def test_time_warning_is_pushed_when_a_clock_crosses_a_value(stack, mode):
    more = {"max_time_ms": 1500} if mode == "count_up" else {"total_time_ms": 1500}
    sent, _ = create(stack, sync_mode=mode, warn_at_ms=[500, 1000, 1500, 2000], **more)
    with watch(stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = command(stack, sent, "start")
        warning = watcher.wait_for("TIME_WARNING")
        expired = watcher.wait_for("TIME_EXPIRED")
    assert said(watcher) == [("STATE_UPDATE", 2, None), ("TIME_WARNING", 2, 1000), ("TIME_WARNING", 2, 500),
                             ("STATE_UPDATE", 3, None), ("TIME_EXPIRED", 3, None)]
    assert warning["sessionId"] == sent["session_id"] and warning["epoch"] == state["epoch"]
    assert 1000 - 400 * SLOW < warning["time_remaining_ms"] <= 1000
    assert warning["timestamp"] < expired["timestamp"]
    first = sent["participants"][0]["participant_id"]  # in per_group a group of its own
    owner = {"per_participant": (first, None), "per_cycle": (first, None), "per_group": (None, first)}
    assert (warning.get("participant_id"), warning.get("group_id")) == owner.get(mode, (None, None))
    assert call(stack, "GET", f"/v1/sessions/{sent['session_id']}")["version"] == 3


def test_a_turn_that_ends_in_time_is_not_warned_of(stack):
    sent, _ = create(stack, warn_at_ms=[900])
    with watch(stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        command(stack, sent, "start")
        command(stack, sent, "switch")
        watcher.wait_for("TIME_EXPIRED")
    warnings = [m for m in watcher.messages if m["type"] == "TIME_WARNING"]
    assert [(m["participant_id"], m["version"]) for m in warnings] == [(sent["participants"][1]["participant_id"], 3)]


def test_pause_and_resume_warn_once(stack):
    sent, _ = create(stack, bank=2000, warn_at_ms=[1000])
    with watch(stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        command(stack, sent, "start")
        command(stack, sent, "pause")
        time.sleep(1.2)
        assert "TIME_WARNING" not in [m["type"] for m in watcher.messages]
        command(stack, sent, "resume")
        watcher.wait_for("TIME_WARNING")
        command(stack, sent, "pause")
        command(stack, sent, "resume")
        watcher.wait_for("TIME_EXPIRED")
    assert [what for what, _, _ in said(watcher)].count("TIME_WARNING") == 1


def test_time_warning_comes_once_when_a_timekeeper_is_killed(stack):
    """Every session is warned exactly once, by whichever timekeeper lives."""
    sessions = [create(stack, bank=3000 + 100 * k, warn_at_ms=[1000, 500])[0] for k in range(20)]
    stack.hold("broadcaster-0")
    watchers = []
    try:
        for sent in sessions:
            command(stack, sent, "start")
        old = stack.kill("broadcaster-0")
        until(lambda: f"broadcaster-0 {old} " in (stack.run_dir / "exits").read_text(), say="its end")
        # all on the one that is left
        watchers = [watch(stack, sent["session_id"]) for sent in sessions]
        for watcher in watchers:
            watcher.wait_for("TIME_EXPIRED", timeout=10)
            assert said(watcher) == [("TIME_WARNING", 2, 1000), ("TIME_WARNING", 2, 500), ("STATE_UPDATE", 3, None),
                                     ("TIME_EXPIRED", 3, None)]
    finally:
        for watcher in watchers:
            watcher.close()
        stack.release("broadcaster-0")
        until(lambda: stack.pid("broadcaster-0") not in (None, old), say="broadcaster-0")
