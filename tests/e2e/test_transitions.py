"""The table of transitions: from every status, what each command leads to."""
import time
import uuid

import pytest

from sessions import Sessions

COMMANDS = ("start", "switch", "pause", "resume", "complete", "cancel", "delete")
NO = 400


@pytest.fixture(scope="module")
def api(stack):
    return Sessions(stack)


def row(*leads_to):
    return pytest.mark.parametrize("command, leads_to", zip(COMMANDS, leads_to), ids=COMMANDS)


def follows(api, session, command, leads_to):
    """The command answers so; one that is refused changes nothing, one that is not makes one version."""
    before = api.call("GET", session)
    if command == "delete":
        assert api.call("DELETE", session, leads_to) is None
        assert api.ask("GET", session).status_code == 404
        return
    if leads_to == NO:
        fault = api.ask("POST", f"{session}/{command}")
        assert (fault.status_code, fault.json()["error"]["code"]) == (NO, "INVALID_STATE_TRANSITION")
        assert api.call("GET", session)["version"] == before["version"]
        return
    api.command(session, command)
    after = api.call("GET", session)
    assert (after["status"], after["version"]) == (leads_to, before["version"] + 1)


@row(404, 404, 404, 404, 404, 404, 204)
def test_transition_from_missing(api, command, leads_to):
    session = f"/v1/sessions/{uuid.uuid4()}"
    if command == "delete":
        assert api.call("DELETE", session, leads_to) is None
        return
    fault = api.ask("POST", f"{session}/{command}")
    assert (fault.status_code, fault.json()["error"]["code"]) == (leads_to, "SESSION_NOT_FOUND")


@row("running", NO, NO, NO, "completed", "cancelled", 204)
def test_transition_from_pending(api, command, leads_to):
    follows(api, api.create("pending")[0], command, leads_to)


@row(NO, "running", "paused", NO, "completed", "cancelled", 204)
def test_transition_from_running(api, command, leads_to):
    follows(api, api.create("running")[0], command, leads_to)


@row(NO, NO, NO, "running", "completed", "cancelled", 204)
def test_transition_from_paused(api, command, leads_to):
    follows(api, api.create("paused")[0], command, leads_to)


def ended(api, status):
    if status != "expired":
        return api.create(status)[0]
    session, _ = api.create("running", sync_mode="count_up", max_time_ms=1000)
    time.sleep(1.1)
    assert api.call("GET", session)["status"] == "expired"
    return session


@pytest.mark.parametrize("status", ["completed", "expired", "cancelled"])
def test_transition_from_completed_expired_cancelled(api, status):
    session = ended(api, status)
    before = api.call("GET", session)
    for command in ("start", "switch", "pause", "resume", "cancel"):
        follows(api, session, command, NO)
    after = api.command(session, "complete")
    assert {**after, "server_time": 0} == {**before, "server_time": 0}
    assert before["active_participant_id"] is None and before["cycle_started_at"] is None and before["session_completed_at"]
    follows(api, session, "delete", 204)


@pytest.mark.parametrize("command, status", [("complete", "completed"), ("pause", "paused"), ("cancel", "cancelled")])
def test_complete_pause_and_cancel_charge_the_open_turn(api, command, status):
    session, _ = api.create("running")
    time.sleep(0.05)
    after = api.command(session, command)
    used = after["participants"][0]["time_used_ms"]
    assert after["status"] == status and used >= 50
    assert after["participants"][0]["total_time_ms"] == 60_000 - used
