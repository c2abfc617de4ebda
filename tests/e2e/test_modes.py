"""Every mode over REST and the socket, up to what happens when its clock reaches zero."""
import time
from datetime import datetime
import uuid

import pytest
import requests

from stack import Stack
from watch import body, watch


@pytest.fixture(scope="module")
def api():
    stack = Stack()
    yield Api(stack)
    stack.close()


class Api:
    def __init__(self, stack):
        self.stack = stack
        self.http = requests.Session()

    def call(self, method, path, status=200, **options):
        answer = self.http.request(method, self.stack.base_url + path, timeout=10, **options)
        assert answer.status_code == status, answer.text
        return answer.json().get("data", answer.json()) if answer.content else None

    def create(self, mode, participants=2, **more):
        """`participants`: how many, or who."""
        people = {"participants": participants} if isinstance(participants, list) else {}
        sent = {**body(2 if people else participants, sync_mode=mode, **more), **people}
        sent = {key: value for key, value in sent.items() if value is not None}
        self.call("POST", "/v1/sessions", 201, json=sent)
        return sent

    def command(self, sent, verb, status=200, **more):
        return self.call("POST", f"/v1/sessions/{sent['session_id']}/{verb}", status, **more)

    def get(self, sent):
        return self.call("GET", f"/v1/sessions/{sent['session_id']}")


def ms(instant):
    return round(datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp() * 1000)


# mode: what burns and how long it is, what the session shows of it, and what its two participants show (None: nothing).
SHOWN = {
    "per_participant": (20_000, (), ("open", 20_000)),
    "per_cycle": (7_000, ("time_remaining_ms",), (20_000, 20_000)),
    "per_group": (20_000, (), ("open", "open")),
    "global": (50_000, ("time_remaining_ms", "allotted_ms"), ("open", "open")),
    "count_up": (9_000, ("time_remaining_ms", "time_elapsed_ms"), (None, None)),
}


@pytest.mark.parametrize("mode", SHOWN)
def test_what_each_mode_burns_and_shows(api, mode):
    burns, session, participants = SHOWN[mode]
    people = [dict(one, group_id="aaaaaaaa-0000-4000-8000-00000000000a") for one in body(2, 20_000)["participants"]]
    sent = api.create(mode, participants=people, total_time_ms=50_000, time_per_cycle_ms=7_000, max_time_ms=9_000)
    api.command(sent, "start")
    time.sleep(0.05)
    state = api.get(sent)
    open_ms = ms(state["server_time"]) - ms(state["cycle_started_at"])
    assert open_ms >= 50 and ms(state["deadline_at"]) == ms(state["cycle_started_at"]) + burns
    clocks = {"time_remaining_ms": burns - open_ms, "allotted_ms": burns, "time_elapsed_ms": open_ms}
    assert {name: state[name] for name in clocks if name in state} == {name: clocks[name] for name in session}
    assert [one.get("time_remaining_ms") for one in state["participants"]] == \
        [burns - open_ms if shows == "open" else shows for shows in participants]
    assert [one["time_remaining_ms"] for one in state.get("groups", [])] == ([burns - open_ms] if mode == "per_group" else [])
    paused = api.command(sent, "pause")
    assert "deadline_at" not in paused and paused["total_time_ms"] == (50_000 - (ms(paused["paused_at"]) - ms(state["cycle_started_at"])) if mode == "global" else 50_000)


def test_an_exam_ends_for_everybody_at_once(api):
    sent = api.create("global", 3, total_time_ms=1500)
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.command(sent, "start")
        assert state["allotted_ms"] == 1500 and state["deadline_at"] > state["server_time"]
        message = watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["state"]["status"] == "expired")
        expired = watcher.wait_for("TIME_EXPIRED")
    assert "expired_participant_id" not in expired and expired["version"] == 3
    state = message["state"]
    assert state["result"] == {"reason": "timeout"} and state["time_remaining_ms"] == 0 and state["active_participant_id"] is None
    assert [one["time_remaining_ms"] for one in state["participants"]] == [0, 0, 0]
    api.command(sent, "switch", 400)


def test_a_countdown_needs_nobody(api):
    sent = api.create("global", participants=0, total_time_ms=None, time_per_cycle_ms=60_000)
    state = api.command(sent, "start")
    assert state["participants"] == [] and state["total_time_ms"] == state["allotted_ms"] == 60_000
    lap = api.command(sent, "switch")
    assert (lap["cycle_number"], lap["active_participant_id"]) == (2, None)
    state = api.command(sent, "pause")
    assert 0 <= state["time_used_ms"] == 60_000 - state["total_time_ms"]


def test_a_stopwatch_counts_laps_up_to_its_limit(api):
    sent = api.create("count_up", participants=0, total_time_ms=None, max_time_ms=1200)
    api.command(sent, "start")
    time.sleep(0.3)
    assert api.command(sent, "switch")["cycle_number"] == 2
    state = api.get(sent)
    assert 300 <= state["time_elapsed_ms"] == 1200 - state["time_remaining_ms"] and state["total_time_ms"] == 0
    time.sleep(1.2)
    state = api.get(sent)
    assert (state["status"], state["time_elapsed_ms"], state["time_used_ms"]) == ("expired", 1200, 1200)


def test_a_quiz_gives_every_turn_the_same_time(api):
    sent = api.create("per_cycle", 2, time_per_cycle_ms=1000)
    state = api.command(sent, "start")
    first = sent["participants"][0]
    assert 900 <= state["time_remaining_ms"] <= 1000
    assert state["participants"][0]["time_remaining_ms"] == first["total_time_ms"]
    time.sleep(1.2)
    state = api.get(sent)
    assert state["status"] == "running" and state["time_remaining_ms"] == 0 and state["participants"][0]["has_expired"]
    turn = api.command(sent, "switch")
    assert turn["expired_participant_id"] == first["participant_id"] and not turn["participants"][0]["has_expired"]
    assert api.get(sent)["time_remaining_ms"] > 500


def test_per_group_burns_the_bank_of_the_group_and_names_it(api):
    red, blue = "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"
    people = [dict(one, group_id=blue) if k == 1 else one for k, one in enumerate(body(3)["participants"])]
    ids = [one["participant_id"] for one in people]
    sent = api.create("per_group", participants=people, action_on_timeout={"type": "eliminate"},
                      groups=[{"group_id": red, "total_time_ms": 1000, "members": [ids[0], ids[2].upper()]},
                              {"group_id": blue, "total_time_ms": 60_000}])
    assert "group_id" not in people[0]
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.command(sent, "start")
        assert state["active_group_id"] == red and [one["group_id"] for one in state["participants"]] == [red, blue, red]
        assert [one["members"] for one in state["groups"]] == [[ids[0], ids[2]], [ids[1]]]
        expired = watcher.wait_for("TIME_EXPIRED")
        state = watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["state"]["status"] == "completed")["state"]
    assert expired["expired_group_id"] == red and "expired_participant_id" not in expired
    assert state["last_timeout"]["expired_group_id"] == red and state["active_group_id"] is None
    assert [one.get("out") for one in state["participants"]] == ["eliminated", None, "eliminated"]
    assert [one["has_expired"] for one in state["participants"]] == [True, False, True]
    assert state["result"]["winner_participant_id"] == ids[1] and state["groups"][0]["time_used_ms"] == 1000


def test_per_group_turns_go_to_the_next_group_and_its_next_member(api):
    groups = ["aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"]
    people = [dict(one, group_id=groups[k // 2]) for k, one in enumerate(body(4)["participants"])]
    sent = api.create("per_group", participants=people)
    api.command(sent, "start")
    turns = [api.command(sent, "switch")["active_participant_id"] for _ in range(5)]
    assert turns == [people[k]["participant_id"] for k in (2, 1, 3, 0, 2)]
    state = api.get(sent)
    assert [one["group_id"] for one in state["groups"]] == groups and state["active_group_id"] == groups[1]
    assert [one["allotted_ms"] for one in state["groups"]] == [max(p["total_time_ms"] for p in people[:2])] * 2


def test_contradicting_groups_are_all_told_at_once(api):
    one, other = body(2)["participants"], "aaaaaaaa-0000-4000-8000-00000000000a"
    sent = body(2, sync_mode="per_group", groups=[
        {"group_id": one[0]["participant_id"], "total_time_ms": 5000, "members": [one[0]["participant_id"], other]}])
    sent["participants"] = [dict(one[0], group_id=other), one[1]]
    answer = api.call("POST", "/v1/sessions", 400, json=sent)
    assert [(fault["field"], fault["code"]) for fault in answer["error"]["details"]] == [
        ("groups.0.members.1", "invalid_value"), ("participants.0.group_id", "invalid_value")]


@pytest.mark.parametrize("steps", [[], ["start"], ["start", "pause"]])
def test_cancel_ends_what_has_not_ended(api, steps):
    sent = api.create("per_participant")
    for step in steps:
        api.command(sent, step)
    state = api.command(sent, "cancel")
    assert state["status"] == "cancelled" and state["result"] == {"reason": "cancelled"}
    assert state["active_participant_id"] is None and state["cycle_started_at"] is None
    for verb in ("start", "switch", "pause", "resume", "cancel"):
        api.command(sent, verb, 400)
    assert api.command(sent, "complete")["status"] == "cancelled"


@pytest.mark.parametrize("mode,left_out,refused", [
    ("per_participant", "participants", True), ("per_cycle", "participants", True), ("per_group", "participants", True),
    ("per_group", "total_time_ms", True), ("global", "participants", False),
    ("count_up", "participants", False), ("per_participant", "total_time_ms", True), ("per_cycle", "total_time_ms", True),
    ("global", "total_time_ms", True), ("count_up", "total_time_ms", False)])
def test_what_each_mode_needs(api, mode, left_out, refused):
    sent = body(sync_mode=mode)
    del sent[left_out]
    answer = api.call("POST", "/v1/sessions", 400 if refused else 201, json=sent)
    if refused:
        assert [fault["field"] for fault in answer["error"]["details"]] == [left_out]


def test_the_removed_take_no_more_turns(api):
    sent = api.create("per_participant", 3)
    first, second, third = (one["participant_id"] for one in sent["participants"])
    one = f"/v1/sessions/{sent['session_id']}/participants/"
    api.command(sent, "start")
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.call("DELETE", one + second)
        assert state["participants"][1]["out"] == "removed" and state["version"] == 3
        assert watcher.wait_for("STATE_UPDATE")["state"]["participants"][1]["out"] == "removed"
    assert api.call("DELETE", one + second)["version"] == 3
    assert api.command(sent, "switch")["active_participant_id"] == third
    assert api.call("DELETE", one + third, 409)["error"]["code"] == "CONFLICT"
    assert api.call("DELETE", one + third.replace(third[0], "f" if third[0] != "f" else "e", 1), 404)["error"]["code"] == "NOT_FOUND"
    api.command(sent, "complete")
    assert api.call("DELETE", one + first, 400)["error"]["code"] == "INVALID_STATE_TRANSITION"


def test_an_added_one_comes_last_and_is_seen(api):
    sent = api.create("per_participant", 2)
    path, new = f"/v1/sessions/{sent['session_id']}/participants", str(uuid.uuid4())
    api.command(sent, "start")
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.call("POST", path, 201, json={"participant_id": new, "total_time_ms": 5000})
        assert state["participants"][2]["participant_index"] == 2 and state["version"] == 3
        seen = watcher.wait_for("STATE_UPDATE")["state"]
    assert [one["participant_id"] for one in seen["participants"]] == [one["participant_id"] for one in state["participants"]]
    assert (seen["participants"][2]["participant_id"], seen["participants"][2]["allotted_ms"]) == (new, 5000)
    again = api.call("POST", path, 400, json={"participant_id": new.upper(), "total_time_ms": 5000})
    assert again["error"]["details"] == [{"field": "participant_id", "message": "Participant ID must be unique in the session",
                                          "code": "duplicate"}]
    api.command(sent, "switch")
    assert api.command(sent, "switch")["active_participant_id"] == new


def test_a_session_made_without_participants_gets_none_later(api):
    sent = api.create("count_up", participants=0, total_time_ms=None)
    new = {"participant_id": str(uuid.uuid4()), "total_time_ms": 5000}
    answer = api.call("POST", f"/v1/sessions/{sent['session_id']}/participants", 400, json=new)
    assert answer["error"]["details"][0]["field"] == "participant_id"


def test_an_added_one_joins_a_group_and_is_seen_there(api):
    sent = api.create("per_group", 2)
    path, home = f"/v1/sessions/{sent['session_id']}/participants", sent["participants"][1]["participant_id"]
    joins, alone = str(uuid.uuid4()), str(uuid.uuid4())
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        api.call("POST", path, 201, json={"participant_id": joins, "total_time_ms": 5000, "group_id": home})
        api.call("POST", path, 201, json={"participant_id": alone, "total_time_ms": 6000})
        groups = watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == 3)["state"]["groups"]
    assert [one["members"] for one in groups][1:] == [[home, joins], [alone]]
    assert [one["total_time_ms"] for one in groups] == [60_000, 60_000, 6000]


@pytest.mark.parametrize("mode,place", [("per_participant", "participant"), ("per_group", "group"), ("per_cycle", "session"),
                                        ("global", "session")])
def test_adjusting_moves_what_the_mode_says(api, mode, place):
    sent = api.create(mode, 2, time_per_cycle_ms=60_000 if mode == "per_cycle" else None, total_time_ms=60_000)
    path = f"/v1/sessions/{sent['session_id']}/participants/{sent['participants'][0]['participant_id']}"
    api.command(sent, "start")
    api.command(sent, "pause")
    state = api.call("PATCH", path, json={"total_time_ms": 5000, "reason": "a correction"})
    shown = {"participant": state["participants"][0], "group": state.get("groups", [None])[0], "session": state}[place]
    assert shown["time_remaining_ms"] == 5000
    state = api.call("PATCH", path, json={"add_ms": 1000, "reason": "another"})
    shown = {"participant": state["participants"][0], "group": state.get("groups", [None])[0], "session": state}[place]
    assert shown["time_remaining_ms"] == 6000 and state["version"] == 5
    if mode != "per_cycle":
        assert 6000 <= shown["allotted_ms"] <= 6000 + 1000  # what the open turn has used is not given back
    assert "deadline_at" in api.command(sent, "resume")


def test_adjusting_is_refused_in_count_up(api):
    sent = api.create("count_up", 1, total_time_ms=None)
    path = f"/v1/sessions/{sent['session_id']}/participants/{sent['participants'][0]['participant_id']}"
    assert api.call("PATCH", path, 400, json={"add_ms": 1, "reason": "x"})["error"]["code"] == "VALIDATION_ERROR"


def test_zero_on_the_active_one_expires_it_for_everybody_who_watches(api):
    sent = api.create("per_participant", 2, action_on_timeout={"type": "end_session"})
    first, second = (one["participant_id"] for one in sent["participants"])
    api.command(sent, "start")
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.call("PATCH", f"/v1/sessions/{sent['session_id']}/participants/{first}",
                         json={"total_time_ms": 0, "reason": "left the table"})
        expired = watcher.wait_for("TIME_EXPIRED")
    assert (state["status"], state["version"]) == ("expired", 4) and state["result"]["winner_participant_id"] == second
    assert (expired["expired_participant_id"], expired["version"]) == (first, 4)


# --- when a clock reaches zero --------------------------------------------------------------------------------------


def test_a_quiz_goes_on_by_itself_until_its_last_question(api):
    sent = api.create("per_cycle", 2, time_per_cycle_ms=1000, max_cycles=2, auto_advance=True,
                      action_on_timeout={"type": "skip_question", "penalty": {"points": -5}})
    first, second = (one["participant_id"] for one in sent["participants"])
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.command(sent, "start")
        assert state["action_on_timeout"] == {"type": "skip_cycle", "penalty": {"points": -5}} and state["max_cycles"] == 2
        turn = watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == 3)["state"]
        assert turn["active_participant_id"] == second and turn["cycle_number"] == 2
        assert turn["last_timeout"] == {"version": 3, "at": turn["updated_at"], "expired_participant_id": first,
                                        "action_applied": "skip_cycle", "penalty": {"points": -5}}
        expired = watcher.wait_for("TIME_EXPIRED")
        assert (expired["expired_participant_id"], expired["action_applied"]) == (first, "skip_cycle")
        end = watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == 4)["state"]
    assert end["status"] == "completed"
    assert end["result"] == {"reason": "cycles_done", "expired_participant_id": second}


@pytest.mark.parametrize("mode,advances", [("per_participant", False), ("per_participant", True), ("per_cycle", True),
                                           ("per_group", True)])
def test_auto_action_is_announced_between_state_and_time_expired(api, mode, advances):
    sent = api.create(mode, 2, bank=1000, total_time_ms=1000, auto_advance=advances, max_cycles=2 if mode == "per_cycle" else None,
                      action_on_timeout={"type": "auto_fold", "action": "fold"})
    first, second = (one["participant_id"] for one in sent["participants"])
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        state = api.command(sent, "start")
        expired = watcher.wait_for("TIME_EXPIRED")
        pushes = [m for m in watcher.messages if m.get("version") == 3]
    assert [m["type"] for m in pushes[:3]] == ["STATE_UPDATE", "ACTION", "TIME_EXPIRED"]
    assert pushes[0]["state"]["active_participant_id"] == (second if advances else first)
    action = {key: value for key, value in pushes[1].items() if key not in ("_received", "timestamp")}
    assert action == {"type": "ACTION", "sessionId": sent["session_id"], "epoch": state["epoch"], "version": 3,
                      "participant_id": first, "action": "fold"}
    assert expired["action_applied"] == "auto_action"
    # without a group_id one is a group of its own
    assert expired.get("expired_group_id" if mode == "per_group" else "expired_participant_id") == first
    assert {m["timestamp"] for m in pushes[:3]} == {expired["timestamp"]}


def test_game_over_names_the_winner(api):
    sent = api.create("per_participant", 2, bank=1000, action_on_timeout={"type": "game_over", "outcome": "flag"})
    first, second = (one["participant_id"] for one in sent["participants"])
    api.command(sent, "start")
    time.sleep(1.2)
    state = api.get(sent)
    assert state["status"] == "expired"
    assert state["result"] == {"reason": "timeout", "expired_participant_id": first, "winner_participant_id": second, "outcome": "flag"}


def test_the_last_one_left_wins(api):
    sent = api.create("per_participant", 2, bank=1000, action_on_timeout={"type": "eliminate"})
    api.command(sent, "start")
    time.sleep(1.2)
    state = api.get(sent)
    assert state["status"] == "completed" and state["result"]["reason"] == "last_one_left"
    assert state["participants"][0]["out"] == "eliminated"


def test_a_switch_that_came_too_late_hands_nothing_over(api):
    sent = api.create("per_cycle", 2, time_per_cycle_ms=1000, auto_advance=True)
    second = sent["participants"][1]["participant_id"]
    with watch(api.stack, sent["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        api.command(sent, "start")
        watcher.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == 3)
        answer = api.command(sent, "switch", 409)
    assert answer["error"]["code"] == "CONFLICT" and answer["error"]["details"] == {"active_participant_id": second}
    assert api.command(sent, "switch", json={"current_participant_id": second})["cycle_number"] == 3


def test_who_begins_can_be_named(api):
    sent = body(3)
    second = sent["participants"][1]["participant_id"]
    api.call("POST", "/v1/sessions", 201, json={**sent, "active_participant_id": second.upper()})
    assert api.command(sent, "start")["active_participant_id"] == second


@pytest.mark.parametrize("mode,more,field", [
    ("global", {"action_on_timeout": {"type": "eliminate"}}, "action_on_timeout.type"),
    ("count_up", {"auto_advance": True}, "auto_advance"),
    ("per_participant", {"max_cycles": 5}, "max_cycles"),
    ("per_participant", {"active_participant_id": "11111111-1111-4111-8111-111111111111"}, "active_participant_id"),
    ("per_participant", {"action_on_timeout": {"type": "explode"}}, "action_on_timeout.type"),
    ("per_participant", {"action_on_timeout": {}}, "action_on_timeout.type"),
    ("per_participant", {"action_on_timeout": {"type": "notify", "surprise": 1}}, "action_on_timeout.surprise"),
    ("per_participant", {"action_on_timeout": {"type": "notify", "penalty": {"x": "y" * 1100}}}, "action_on_timeout.penalty")])
def test_rules_that_make_no_sense_are_refused(api, mode, more, field):
    answer = api.call("POST", "/v1/sessions", 400, json=body(sync_mode=mode, **more))
    assert [fault["field"] for fault in answer["error"]["details"]] == [field]
