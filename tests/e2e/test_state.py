"""What a state has beyond that of SyncKairos 2.0, field by field, and what each mode shows."""
import calendar
import time

import pytest

from sessions import Sessions, ids, somebody
from stack import SLOW
from tokens import bearer
from watch import body


@pytest.fixture(scope="module")
def api(stack):
    return Sessions(stack)


SHORT = int(1000 * SLOW)  # a clock that reaches zero within a test, not before it is looked at


def run_out():
    time.sleep(SHORT / 1000 + 0.1)


def ms(iso):
    """Epoch ms of an instant of a state."""
    whole, _, rest = iso.partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(rest[:3])


# --- the added fields ---


def test_state_allotted_ms_is_the_bank_as_created_moved_by_adjustments(api):
    session, state = api.create("running")
    assert [one["allotted_ms"] for one in state["participants"]] == [60_000, 60_000]
    after = api.call("PATCH", f"{session}/participants/{ids(state)[0]}", json={"add_ms": -500, "reason": "a false start"})
    first, second = after["participants"]
    assert (first["allotted_ms"], second["allotted_ms"]) == (59_500, 60_000)
    assert first["total_time_ms"] == 59_500 - first["time_used_ms"]


def test_state_out_is_removed_or_eliminated_and_omitted_otherwise(api):
    session, state = api.create("running", participants=3, bank=SHORT, action_on_timeout={"type": "eliminate"})
    assert not any("out" in one for one in state["participants"])
    after = api.call("DELETE", f"{session}/participants/{ids(state)[2]}")
    assert ids(after) == ids(state) and [one.get("out") for one in after["participants"]] == [None, None, "removed"]
    run_out()
    after = api.call("GET", session)
    assert [one.get("out") for one in after["participants"]] == ["eliminated", None, "removed"]
    assert after["result"] == {"reason": "last_one_left", "expired_participant_id": ids(state)[0],
                               "winner_participant_id": ids(state)[1]}


def test_state_groups_and_active_group_id(api):
    session, state = api.create("running", sync_mode="per_group", participants=2)
    group = state["groups"][0]
    assert set(group) == {"group_id", "total_time_ms", "allotted_ms", "time_used_ms", "time_remaining_ms", "has_expired", "members"}
    assert group["members"] == ids(state)[:1] and state["active_group_id"] == group["group_id"] == ids(state)[0]
    assert "groups" not in api.create()[1] and "active_group_id" not in api.create()[1]


def test_state_cycle_number_is_0_before_start_then_1_2_3(api):
    session, state = api.create()
    assert state["cycle_number"] == 0
    for number, verb in enumerate(("start", "switch", "switch"), start=1):
        assert api.command(session, verb)["cycle_number"] == number
    assert api.command(session, "pause")["cycle_number"] == 3


def test_state_auto_advance_max_cycles_action_on_timeout_last_timeout(api):
    rule = {"type": "skip_question", "action": "next", "penalty": {"points": -1}}
    session, state = api.create(sync_mode="per_cycle", time_per_cycle_ms=SHORT, max_cycles=7, auto_advance=True, action_on_timeout=rule)
    assert state["auto_advance"] is True and state["max_cycles"] == 7 and "last_timeout" not in state
    assert state["action_on_timeout"]["action"] == "next" and state["action_on_timeout"]["penalty"] == {"points": -1}
    started = api.command(session, "start")
    run_out()
    after = api.call("GET", session)
    last = after["last_timeout"]
    assert (last["version"], last["at"], last["expired_participant_id"]) == (3, started["deadline_at"], ids(state)[0])
    assert (last["action_applied"], last["action"], last["penalty"]) == ("skip_cycle", "next", {"points": -1})
    plain = api.create()[1]
    assert plain["auto_advance"] is False and not {"max_cycles", "action_on_timeout", "last_timeout"} & set(plain)


def test_state_warn_at_ms_is_ascending_and_10000_by_default(api):
    assert api.create(warn_at_ms=[5000, 100, 5000])[1]["warn_at_ms"] == [100, 5000]
    assert api.create(warn_at_ms=[])[1]["warn_at_ms"] == []
    assert api.create()[1]["warn_at_ms"] == [10_000]


def test_state_paused_at_and_paused_total_ms(api):
    session, state = api.create("paused")
    begun = state["paused_at"]
    assert begun == state["updated_at"] and state["paused_total_ms"] == 0
    time.sleep(0.03)
    after = api.call("PATCH", f"{session}/participants/{ids(state)[0]}", json={"add_ms": 1, "reason": "while it is paused"})
    assert after["paused_at"] == begun and after["paused_total_ms"] == ms(after["updated_at"]) - ms(begun) >= 30
    after = api.command(session, "resume")
    assert after["paused_at"] is None and after["paused_total_ms"] == ms(after["updated_at"]) - ms(begun)


def test_state_time_control_and_its_counters(api):
    control = {"type": "byoyomi", "periods": 3, "period_ms": 5000}
    _, state = api.create("running", time_control=control)
    assert state["time_control"] == control and [one["periods_left"] for one in state["participants"]] == [3, 3]
    assert "time_control" not in api.create()[1]


def test_state_deadline_at_is_when_the_running_clock_reaches_zero(api):
    session, state = api.create()
    assert "deadline_at" not in state
    state = api.command(session, "start")
    assert ms(state["deadline_at"]) == ms(state["cycle_started_at"]) + 60_000
    assert "deadline_at" not in api.command(session, "pause")


def test_state_result_is_there_once_it_is_over(api):
    session, state = api.create("running")
    assert "result" not in state
    assert api.command(session, "complete")["result"] == {"reason": "completed"}
    assert api.create("cancelled")[1]["result"] == {"reason": "cancelled"}
    session, state = api.create("running", bank=SHORT, action_on_timeout={"type": "game_over", "outcome": "flag"})
    run_out()
    loser, winner = ids(state)
    assert api.call("GET", session)["result"] == {"reason": "timeout", "expired_participant_id": loser,
                                                  "winner_participant_id": winner, "outcome": "flag"}


def test_state_metadata_is_returned_as_sent_and_has_at_most_10_kb(api):
    sent = {"room": "blue", "nested": {"a": [1, 2.5, None, True, "\u20ac"]}}
    assert api.create(metadata=sent)[1]["metadata"] == sent
    assert "metadata" not in api.create()[1]
    assert api.create(metadata={"a": "x" * (10 * 1024 - 8)})[1]["metadata"]
    assert api.ask("POST", "/v1/sessions", json=body(metadata={"a": "x" * (10 * 1024)})).status_code == 400


def test_state_owner_is_the_sub_of_the_creator_and_omitted_when_anonymous(api):
    assert api.call("POST", "/v1/sessions", 201, json=body(), headers=bearer("ann"))["owner"] == "ann"
    assert "owner" not in api.create()[1]


def test_state_epoch_of_one_created_again_is_later(api):
    session, state = api.create()
    api.call("DELETE", session, 204)
    _, again = api.create(session_id=state["session_id"])
    assert again["epoch"] > state["epoch"] and again["version"] == 1


def test_state_server_time_is_in_body_and_header(api):
    session, _ = api.create("running")
    answer = api.ask("GET", session)
    shown = answer.json()["data"]
    assert ms(shown["server_time"]) == int(answer.headers["Server-Time"])
    assert shown["participants"][0]["time_remaining_ms"] == 60_000 - (ms(shown["server_time"]) - ms(shown["cycle_started_at"]))
    assert shown["participants"][0]["total_time_ms"] == 60_000


# --- the modes ---


def shown(state):
    return [one.get("time_remaining_ms") for one in state["participants"]]


def elapsed(state):
    return ms(state["server_time"]) - ms(state["cycle_started_at"])


def test_mode_per_participant_burns_the_bank_of_the_active_one(api):
    session, state = api.create("running")
    assert "time_remaining_ms" not in state and "allotted_ms" not in state
    assert shown(state) == [60_000 - elapsed(state), 60_000]
    assert ms(state["deadline_at"]) == ms(state["session_started_at"]) + 60_000
    assert api.ask("POST", "/v1/sessions", json={"sync_mode": "per_participant", "total_time_ms": 5000}).status_code == 400


def test_mode_per_cycle_burns_the_cycle_and_leaves_the_banks(api):
    session, state = api.create("running", sync_mode="per_cycle", time_per_cycle_ms=5000)
    assert state["time_remaining_ms"] == 5000 - elapsed(state) and shown(state) == [60_000, 60_000]
    time.sleep(0.02)
    api.command(session, "switch")
    state = api.call("GET", session)
    assert state["time_remaining_ms"] == 5000 - elapsed(state) and shown(state) == [60_000, 60_000]
    assert ms(state["deadline_at"]) == ms(state["cycle_started_at"]) + 5000
    _, state = api.create("running", sync_mode="per_cycle", total_time_ms=7000)
    assert ms(state["deadline_at"]) == ms(state["cycle_started_at"]) + 7000


def test_mode_per_group_burns_the_bank_of_the_group(api):
    people = [somebody(participant_index=k) for k in range(3)]
    group = somebody()["participant_id"]
    members = [one["participant_id"] for one in people[:2]]
    _, state = api.create("running", people, sync_mode="per_group",
                          groups=[{"group_id": group, "total_time_ms": 9000, "members": members}])
    left = 9000 - elapsed(state)
    assert shown(state) == [left, left, 60_000] and state["groups"][0]["time_remaining_ms"] == left
    assert "time_remaining_ms" not in state and [one["members"] for one in state["groups"]] == [members, [people[2]["participant_id"]]]


def test_mode_global_burns_one_bank_for_everybody(api):
    session, state = api.create("running", sync_mode="global", total_time_ms=8000)
    left = 8000 - elapsed(state)
    assert (state["time_remaining_ms"], state["total_time_ms"], state["allotted_ms"]) == (left, 8000, 8000)
    assert shown(state) == [left, left]
    deadline = state["deadline_at"]
    api.command(session, "switch")
    after = api.call("GET", session)
    assert after["deadline_at"] == deadline and after["active_participant_id"] == ids(state)[1]


def test_mode_count_up_burns_nothing_and_elapsed_time_grows(api):
    session, state = api.create("running", sync_mode="count_up", max_time_ms=9000)
    assert state["time_elapsed_ms"] == elapsed(state) and state["time_remaining_ms"] == 9000 - elapsed(state)
    assert shown(state) == [None, None] and ms(state["deadline_at"]) == ms(state["session_started_at"]) + 9000
    session, state = api.create("running", sync_mode="count_up", participants=0, total_time_ms=None)
    assert "time_remaining_ms" not in state and "deadline_at" not in state
    assert api.command(session, "switch")["cycle_number"] == 2
