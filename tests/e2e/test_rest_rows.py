"""Each row of the table of methods and paths, by what it says."""
import uuid

import pytest

from sessions import Sessions, ids, somebody
from tokens import bearer
from watch import body, watch


@pytest.fixture(scope="module")
def api(stack):
    return Sessions(stack)


def error(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_post_sessions_creates_with_201_and_may_leave_out_session_id(api):
    sent = body()
    answer = api.ask("POST", "/v1/sessions", json=sent)
    assert answer.status_code == 201 and answer.json()["data"]["session_id"] == sent["session_id"]
    del sent["session_id"]
    made = [api.call("POST", "/v1/sessions", 201, json=sent)["session_id"] for _ in range(2)]
    assert made[0] != made[1] and uuid.UUID(made[0]).version == 4


def test_post_sessions_derives_the_session_id_from_the_idempotency_key(api):
    sent = body()
    del sent["session_id"]
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = api.ask("POST", "/v1/sessions", json=sent, headers=key)
    again = api.ask("POST", "/v1/sessions", json=sent, headers=key)
    assert first.json()["data"]["session_id"] == again.json()["data"]["session_id"] and first.status_code == again.status_code == 201
    assert again.headers["Idempotency-Replayed"] == "true"


def test_get_sessions_lists_mine_newest_first_by_status_in_pages_and_anonymous_is_401(api):
    mine = bearer(f"owner-{uuid.uuid4()}")
    made = [api.call("POST", "/v1/sessions", 201, json=body(), headers=mine)["session_id"] for _ in range(3)]
    api.call("POST", f"/v1/sessions/{made[1]}/start", headers=mine)

    def listed(**params):
        page = api.call("GET", "/v1/sessions", headers=mine, params=params)
        return [one["session_id"] for one in page["sessions"]], page.get("next_cursor")

    assert listed() == (made[::-1], None)
    assert listed(status="running") == ([made[1]], None)
    page, cursor = listed(limit=2)
    assert (page, listed(limit=2, cursor=cursor)) == (made[:0:-1], ([made[0]], None))
    assert error(api.ask("GET", "/v1/sessions", headers=mine, params={"limit": 101})) == (400, "VALIDATION_ERROR")
    assert error(api.ask("GET", "/v1/sessions")) == (401, "UNAUTHENTICATED")


def test_get_session_has_an_etag_of_epoch_and_version(api):
    session, state = api.create()
    answer = api.ask("GET", session)
    tag = f'W/"{state["epoch"]}-{state["version"]}"'
    assert answer.headers["ETag"] == tag and answer.headers["Cache-Control"] == "no-cache"
    assert api.ask("GET", session, headers={"If-None-Match": tag}).status_code == 304
    api.command(session, "start")
    assert api.ask("GET", session, headers={"If-None-Match": tag}).status_code == 200


def test_poll_is_304_while_since_version_and_epoch_are_current(api):
    session, state = api.create()
    poll = f"{session}/poll?since_version={state['version']}"
    assert api.ask("GET", poll).status_code == 304
    assert api.ask("GET", f"{poll}&epoch={state['epoch']}").status_code == 304
    other = state["epoch"][:-1] + ("1" if state["epoch"][-1] != "1" else "2")
    assert api.ask("GET", f"{poll}&epoch={other}").status_code == 200
    api.command(session, "start")
    assert api.call("GET", poll)["version"] == 2


def test_batch_tells_sessions_and_missing(api):
    _, state = api.create()
    missing = str(uuid.uuid4())
    found = api.call("POST", "/v1/sessions/batch", json={"session_ids": [missing, state["session_id"]]})
    assert [one["session_id"] for one in found["sessions"]] == [state["session_id"]] and found["missing"] == [missing]
    many = [str(uuid.uuid4()) for _ in range(51)]
    assert error(api.ask("POST", "/v1/sessions/batch", json={"session_ids": many})) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("verb, status", [("start", "pending"), ("switch", "running"), ("pause", "running"), ("resume", "paused"),
                                          ("complete", "running"), ("cancel", "running")])
def test_command_answers_the_state_after_the_change_and_minimal_leaves_out_participants(api, verb, status):
    session, before = api.create(status)
    answer = api.call("POST", f"{session}/{verb}")
    assert answer["version"] == before["version"] + 1 == api.call("GET", session)["version"]
    assert len(answer["participants"]) == 2 and answer["cycle_number"] >= before["cycle_number"] and answer["server_time"]
    session, before = api.create(status)
    answer = api.ask("POST", f"{session}/{verb}", headers={"Prefer": "return=minimal"})
    assert answer.headers["Preference-Applied"] == "return=minimal"
    assert "participants" not in answer.json()["data"] and answer.json()["data"]["version"] == before["version"] + 1


def test_delete_session_is_204_also_when_missing(api):
    session, state = api.create()
    with watch(api.stack, state["session_id"]) as watcher:
        watcher.wait_for("STATE_SYNC")
        api.call("DELETE", session, 204)
        assert watcher.wait_for("SESSION_DELETED")["version"] == state["version"] + 1
    assert api.call("DELETE", session, 204) is None


def test_post_participants_is_201_with_index_highest_plus_1(api):
    session, state = api.create("running")
    after = api.call("POST", f"{session}/participants", 201, json={"participant_id": str(uuid.uuid4()), "total_time_ms": 5000})
    assert ids(after)[:2] == ids(state) and after["participants"][2]["participant_index"] == 2
    assert after["participants"][2]["time_remaining_ms"] == after["participants"][2]["allotted_ms"] == 5000
    same = {"participant_id": ids(after)[2].upper(), "total_time_ms": 5000}
    assert error(api.ask("POST", f"{session}/participants", json=same)) == (400, "VALIDATION_ERROR")


def test_patch_participant_sets_total_time_ms_or_adds_add_ms_with_a_reason(api):
    session, state = api.create("running")
    path = f"{session}/participants/{ids(state)[1]}"
    assert api.call("PATCH", path, json={"total_time_ms": 1234, "reason": "agreed"})["participants"][1]["total_time_ms"] == 1234
    after = api.call("PATCH", path, json={"add_ms": -1000, "reason": "late"})["participants"][1]
    assert (after["total_time_ms"], after["allotted_ms"]) == (234, 234)
    for wrong in ({"total_time_ms": 1}, {"reason": "nothing"}, {"add_ms": 1, "total_time_ms": 1, "reason": "both"},
                  {"add_ms": -235, "reason": "below 0"}, {"total_time_ms": 86_400_001, "reason": "too much"},
                  {"add_ms": 1, "reason": "x" * 201}, {"add_ms": 1, "reason": ""}):
        assert error(api.ask("PATCH", path, json=wrong)) == (400, "VALIDATION_ERROR"), wrong
    assert api.call("GET", session)["version"] == state["version"] + 2
    assert error(api.ask("PATCH", f"{session}/participants/{uuid.uuid4()}", json={"add_ms": 1, "reason": "who"}))[0] == 404


def test_patch_participant_more_than_0_clears_has_expired_and_0_on_the_active_one_expires_it(api):
    session, state = api.create("running")
    path = f"{session}/participants/{ids(state)[0]}"
    after = api.call("PATCH", path, json={"total_time_ms": 0, "reason": "touched the board"})
    assert after["participants"][0]["has_expired"] and after["last_timeout"]["expired_participant_id"] == ids(state)[0]
    after = api.call("PATCH", path, json={"add_ms": 9000, "reason": "it was the wind"})
    assert not after["participants"][0]["has_expired"] and after["deadline_at"]


def test_delete_participant_is_200_out_and_409_for_the_active_one(api):
    session, state = api.create("running")
    active, other = ids(state)
    assert error(api.ask("DELETE", f"{session}/participants/{active}")) == (409, "CONFLICT")
    after = api.call("DELETE", f"{session}/participants/{other}")
    assert after["participants"][1]["out"] == "removed" and api.command(session, "switch")["active_participant_id"] == active


@pytest.mark.parametrize("status", ["pending", "running", "paused", "completed"])
def test_participants_change_in_pending_running_paused_only(api, status):
    session, state = api.create(status, [somebody(participant_index=k) for k in range(3)])
    spare = ids(state)[2]
    good = {True: lambda wanted: wanted, False: lambda _: 400}[status != "completed"]
    assert api.ask("POST", f"{session}/participants", json=somebody()).status_code == good(201)
    assert api.ask("PATCH", f"{session}/participants/{spare}", json={"add_ms": 1, "reason": "more"}).status_code == good(200)
    assert api.ask("DELETE", f"{session}/participants/{spare}").status_code == good(200)


def test_get_time_has_its_five_fields(api):
    shown = api.call("GET", "/v1/time")
    assert shown["server_version"] == "2.0.0" and shown["drift_tolerance_ms"] == 50
    assert shown["receive_us"] <= shown["transmit_us"] and abs(shown["timestamp_ms"] * 1000 - shown["transmit_us"]) < 10_000_000
