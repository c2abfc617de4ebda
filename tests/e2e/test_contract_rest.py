"""What clients of SyncKairos 2.0 see over REST: statuses, envelopes, codes, messages and header names, with the settings of "Moving over"."""
import re
import uuid

import pytest
import requests

from stack import Stack
from watch import body

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
STATE_FIELDS = ["session_id", "sync_mode", "status", "version", "participants", "active_participant_id", "total_time_ms",
                "time_per_cycle_ms", "cycle_started_at", "session_started_at", "session_completed_at", "increment_ms",
                "created_at", "updated_at"]
PARTICIPANT_FIELDS = ["participant_id", "participant_index", "total_time_ms", "time_used_ms", "time_remaining_ms", "cycle_count",
                      "is_active", "has_expired"]


@pytest.fixture(scope="module")
def api():
    stack = Stack(STRICT_BODY="false")
    yield Api(stack)
    stack.close()


class Api:
    def __init__(self, stack):
        self.stack = stack
        self.http = requests.Session()

    def call(self, method, path, **options):
        return self.http.request(method, self.stack.base_url + path, timeout=10, **options)

    def create(self, **more):
        sent = body(**more)
        answer = self.call("POST", "/v1/sessions", json=sent)
        assert answer.status_code == 201, answer.text
        return sent

    def started(self, **more):
        sent = self.create(**more)
        assert self.call("POST", f"/v1/sessions/{sent['session_id']}/start").status_code == 200
        return sent


def error(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    fault = answer.json()["error"]
    assert fault["code"] == code
    return fault


# --- create ---------------------------------------------------------------------------------------------------------


def test_create_answers_the_whole_state_in_the_envelope(api):
    sent = body()
    answer = api.call("POST", "/v1/sessions", json=sent)
    assert answer.status_code == 201
    state = answer.json()["data"]
    assert list(answer.json()) == ["data"]
    for name in STATE_FIELDS:
        assert name in state, name
    assert "max_time_ms" not in state and "group_id" not in state["participants"][0]
    assert (state["session_id"], state["status"], state["version"]) == (sent["session_id"], "pending", 1)
    assert state["active_participant_id"] is None and state["cycle_started_at"] is None and state["time_per_cycle_ms"] is None
    assert state["increment_ms"] == 0 and ISO.match(state["created_at"]) and ISO.match(state["updated_at"])
    for sent_one, shown in zip(sent["participants"], state["participants"]):
        assert {name: shown[name] for name in PARTICIPANT_FIELDS} == {
            **sent_one, "time_used_ms": 0, "time_remaining_ms": 60_000, "cycle_count": 0, "is_active": False, "has_expired": False}


def test_optional_fields_are_stored_and_returned(api):
    group = str(uuid.uuid4())
    sent = body(increment_ms=5000, max_time_ms=3_600_000, time_per_cycle_ms=30_000)
    sent["participants"][0]["group_id"] = group
    state = api.call("POST", "/v1/sessions", json=sent).json()["data"]
    assert (state["increment_ms"], state["max_time_ms"], state["time_per_cycle_ms"]) == (5000, 3_600_000, 30_000)
    assert state["participants"][0]["group_id"] == group


@pytest.mark.parametrize("participants", [1, 100, 1000])
def test_participants_with_banks_of_24_hours(api, participants):
    sent = api.started(participants=participants, bank=86_400_000)
    before = api.call("GET", f"/v1/sessions/{sent['session_id']}").json()["data"]
    assert len(before["participants"]) == participants
    switched = api.call("POST", f"/v1/sessions/{sent['session_id']}/switch")
    assert switched.status_code == 200
    after = switched.json()["data"]
    expected = sent["participants"][1 % participants]["participant_id"]
    assert after["active_participant_id"] == expected, "a single participant stays on itself"
    assert len(after["participants"]) == participants and after["participants"][0]["cycle_count"] == 1


@pytest.mark.parametrize("session_id", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_nil_and_max_uuid_are_ids(api, session_id):
    api.call("DELETE", f"/v1/sessions/{session_id}")
    assert api.call("POST", "/v1/sessions", json=body(session_id=session_id)).status_code == 201
    assert api.call("DELETE", f"/v1/sessions/{session_id}").status_code == 204


def test_integral_numbers_of_any_spelling_count_as_integers(api):
    sent = body()
    text = requests.models.complexjson.dumps(sent).replace('"total_time_ms": 120000', '"total_time_ms": 1.2e5')
    answer = api.call("POST", "/v1/sessions", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201 and answer.json()["data"]["total_time_ms"] == 120_000


def change(path, value):
    """A create body with one place changed; value `...` removes it."""
    sent = body()
    *parents, last = path
    place = sent
    for step in parents:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return sent


TIME = "must be at least 1000ms (1 second)"
VALIDATION = [
    (("session_id",), "nope", "Session ID must be a valid UUID", "invalid_format"),
    (("session_id",), 7, "Invalid input: expected string, received number", "invalid_type"),
    (("session_id",), None, "Invalid input: expected string, received null", "invalid_type"),
    (("sync_mode",), "chess", "Invalid sync mode. Must be one of: per_participant, per_cycle, per_group, global, count_up", "invalid_value"),
    (("sync_mode",), ..., "Invalid sync mode. Must be one of: per_participant, per_cycle, per_group, global, count_up", "invalid_value"),
    (("participants",), ..., "Invalid input: expected array, received undefined", "invalid_type"),
    (("participants",), [], "At least one participant is required", "too_small"),
    (("participants",), "x", "Invalid input: expected array, received string", "invalid_type"),
    (("participants", 0, "participant_id"), "x", "Participant ID must be a valid UUID", "invalid_format"),
    (("participants", 0, "participant_index"), -1, "Participant index must be non-negative", "too_small"),
    (("participants", 0, "participant_index"), 0.5, "Participant index must be an integer", "invalid_type"),
    (("participants", 0, "total_time_ms"), 999, f"Total time {TIME}", "too_small"),
    (("participants", 1, "total_time_ms"), 86_400_001, "Total time cannot exceed 86400000ms (24 hours)", "too_big"),
    (("participants", 0, "group_id"), "group-a", "Group ID must be a valid UUID", "invalid_format"),
    (("total_time_ms",), 999, f"Total time {TIME}", "too_small"),
    (("total_time_ms",), 1000.5, "Total time must be an integer", "invalid_type"),
    (("time_per_cycle_ms",), 999, f"Time per cycle {TIME}", "too_small"),
    (("time_per_cycle_ms",), 86_400_001, "Time per cycle cannot exceed 86400000ms (24 hours)", "too_big"),
    (("increment_ms",), -1, "Increment must be non-negative", "too_small"),
    (("increment_ms",), 60_001, "Increment cannot exceed 60000ms (1 minute)", "too_big"),
    (("increment_ms",), None, "Invalid input: expected number, received null", "invalid_type"),
    (("max_time_ms",), 999, f"Max time {TIME}", "too_small"),
    (("metadata",), [], "Invalid input: expected record, received array", "invalid_type"),
]


@pytest.mark.parametrize("path, value, message, code", VALIDATION)
def test_a_bad_field_is_named(api, path, value, message, code):
    fault = error(api.call("POST", "/v1/sessions", json=change(path, value)), 400, "VALIDATION_ERROR")
    assert fault["message"] == "Request validation failed"
    assert fault["details"] == [{"field": ".".join(map(str, path)), "message": message, "code": code}]


def test_too_many_participants(api):
    fault = error(api.call("POST", "/v1/sessions", json=body(participants=1001)), 400, "VALIDATION_ERROR")
    assert {"field": "participants", "message": "Cannot exceed 1000 participants", "code": "too_big"} in fault["details"]


def test_all_bad_fields_are_reported_together(api):
    sent = change(("session_id",), "nope")
    sent["total_time_ms"] = 1
    sent["participants"][1]["participant_index"] = -1
    fault = error(api.call("POST", "/v1/sessions", json=sent), 400, "VALIDATION_ERROR")
    assert {one["field"] for one in fault["details"]} == {"session_id", "total_time_ms", "participants.1.participant_index"}


def test_an_array_as_body_is_one_fault(api):
    fault = error(api.call("POST", "/v1/sessions", json=[]), 400, "VALIDATION_ERROR")
    assert [one["field"] for one in fault["details"]] == [""]


def test_unknown_keys_are_dropped(api):
    sent = body(colour="red")
    sent["participants"][0]["name"] = "Anna"
    state = api.call("POST", "/v1/sessions", json=sent)
    assert state.status_code == 201 and "colour" not in state.json()["data"]


def test_the_server_makes_an_id_when_none_is_sent(api):
    state = api.call("POST", "/v1/sessions", json=change(("session_id",), ...)).json()["data"]
    assert uuid.UUID(state["session_id"]).version == 4
    assert api.call("GET", f"/v1/sessions/{state['session_id']}").status_code == 200


def test_a_duplicate_participant_is_refused(api):
    sent = body()
    sent["participants"][1]["participant_id"] = sent["participants"][0]["participant_id"].upper()
    fault = error(api.call("POST", "/v1/sessions", json=sent), 400, "VALIDATION_ERROR")
    assert fault["details"][0]["field"] == "participants.1.participant_id"


def test_creating_an_id_again_is_refused_once_something_happened(api):
    sent = api.started()
    error(api.call("POST", "/v1/sessions", json=sent), 409, "SESSION_EXISTS")
    assert api.call("GET", f"/v1/sessions/{sent['session_id']}").json()["data"]["status"] == "running"


def test_the_same_create_body_again_answers_200(api):
    sent = api.create()
    again = api.call("POST", "/v1/sessions", json=sent)
    assert again.status_code == 200 and again.json()["data"]["version"] == 1
    error(api.call("POST", "/v1/sessions", json={**sent, "increment_ms": 1}), 409, "SESSION_EXISTS")


# --- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"{", b'{"a":1,}', b"nul", b'{"a":1} x', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}',
                                  b'{"a":1,"a":2}', b"[" * 33 + b"]" * 33, b'{"a":9223372036854775808}', b'{"a":1e999}'])
def test_malformed_json_is_400(api, text):
    fault = error(api.call("POST", "/v1/sessions", data=text, headers={"Content-Type": "application/json"}), 400, "MALFORMED_JSON")
    assert "details" not in fault or fault["details"]


def test_a_body_of_more_than_256_kb_is_413(api):
    sent = body(metadata={"x": "y" * 300_000})
    error(api.call("POST", "/v1/sessions", json=sent), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("command", ["start", "pause", "resume", "complete", "cancel"])
def test_command_bodies_of_reference_clients_are_ignored(api, command):
    sent = api.create()
    session = f"/v1/sessions/{sent['session_id']}"
    prepare = {"start": [], "pause": ["start"], "resume": ["start", "pause"], "complete": [], "cancel": []}[command]
    for step in prepare:
        assert api.call("POST", f"{session}/{step}", json={"whatever": [1]}).status_code == 200
    assert api.call("POST", f"{session}/{command}", json={"whatever": None}).status_code == 200


# --- one session ----------------------------------------------------------------------------------------------------


def test_switch_keeps_its_own_shape(api):
    sent = api.started()
    first, second = (one["participant_id"] for one in sent["participants"])
    answer = api.call("POST", f"/v1/sessions/{sent['session_id']}/switch")
    result = answer.json()["data"]
    assert {"session_id", "active_participant_id", "cycle_started_at", "participants", "status"} <= set(result)
    assert {"version", "cycle_number", "server_time"} <= set(result)
    assert "expired_participant_id" not in result and "sync_mode" not in result
    assert (result["active_participant_id"], result["status"], result["version"]) == (second, "running", 3)
    assert ISO.match(result["cycle_started_at"])
    back = api.call("POST", f"/v1/sessions/{sent['session_id']}/switch", json={"next_participant_id": first}).json()["data"]
    assert back["active_participant_id"] == first
    same = api.call("POST", f"/v1/sessions/{sent['session_id']}/switch", json={"next_participant_id": first}).json()["data"]
    assert same["active_participant_id"] == first and same["version"] == 5


def test_switch_to_somebody_who_is_not_there(api):
    sent = api.started()
    stranger = str(uuid.uuid4())
    fault = error(api.call("POST", f"/v1/sessions/{sent['session_id']}/switch", json={"next_participant_id": stranger}),
                  400, "VALIDATION_ERROR")
    assert fault["message"] == f"Participant {stranger} not found in session"


@pytest.mark.parametrize("value, message, code", [("x", "Next participant ID must be a valid UUID", "invalid_format"),
                                                  (None, "Invalid input: expected string, received null", "invalid_type")])
def test_switch_body_is_checked(api, value, message, code):
    sent = api.started()
    fault = error(api.call("POST", f"/v1/sessions/{sent['session_id']}/switch", json={"next_participant_id": value}),
                  400, "VALIDATION_ERROR")
    assert fault["details"] == [{"field": "next_participant_id", "message": message, "code": code}]


TRANSITIONS = [  # from, command, message
    ("pending", "switch", "not running"), ("pending", "pause", "cannot be paused"), ("pending", "resume", "cannot be resumed"),
    ("running", "start", "cannot be started"), ("running", "resume", "cannot be resumed"),
    ("paused", "start", "cannot be started"), ("paused", "switch", "not running"), ("paused", "pause", "cannot be paused"),
    ("completed", "start", "cannot be started"), ("completed", "switch", "not running"), ("completed", "pause", "cannot be paused"),
    ("completed", "resume", "cannot be resumed"),
]


@pytest.mark.parametrize("status, command, words", TRANSITIONS)
def test_a_command_that_does_not_fit_names_session_and_status(api, status, command, words):
    sent = api.create()
    session = f"/v1/sessions/{sent['session_id']}"
    for step in {"pending": [], "running": ["start"], "paused": ["start", "pause"], "completed": ["start", "complete"]}[status]:
        assert api.call("POST", f"{session}/{step}").status_code == 200
    fault = error(api.call("POST", f"{session}/{command}"), 400, "INVALID_STATE_TRANSITION")
    assert fault["message"] == f"Session {sent['session_id']} {words} (current status: {status})"


@pytest.mark.parametrize("method, command", [("GET", ""), ("POST", "/start"), ("POST", "/switch"), ("POST", "/pause"),
                                             ("POST", "/resume"), ("POST", "/complete")])
def test_a_missing_session_is_404(api, method, command):
    missing = str(uuid.uuid4())
    fault = error(api.call(method, f"/v1/sessions/{missing}{command}"), 404, "SESSION_NOT_FOUND")
    assert fault["message"] == f"Session {missing} not found"


def test_delete_is_204_also_when_missing(api):
    sent = api.create()
    for _ in range(2):
        answer = api.call("DELETE", f"/v1/sessions/{sent['session_id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert api.call("GET", f"/v1/sessions/{sent['session_id']}").status_code == 404


def test_complete_is_200_from_every_status_and_changes_nothing_twice(api):
    sent = api.create()
    session = f"/v1/sessions/{sent['session_id']}"
    first = api.call("POST", f"{session}/complete").json()["data"]
    again = api.call("POST", f"{session}/complete")
    assert again.status_code == 200 and again.json()["data"]["version"] == first["version"]
    assert first["status"] == "completed" and first["active_participant_id"] is None and first["session_completed_at"]


def test_ids_are_equal_regardless_of_case(api):
    sent = api.create()
    state = api.call("GET", f"/v1/sessions/{sent['session_id'].upper()}")
    assert state.status_code == 200 and state.json()["data"]["session_id"] == sent["session_id"]


@pytest.mark.parametrize("path", ["/v1/sessions/nope", "/v1/sessions/FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
                                  "/v1/sessions/12345678-1234-9234-8234-123456789012"])
def test_a_malformed_id_is_400(api, path):
    fault = error(api.call("GET", path), 400, "VALIDATION_ERROR")
    assert fault["message"] == "Request validation failed"
    assert fault["details"] == [{"field": "id", "message": "Session ID must be a valid UUID", "code": "invalid_format"}]


def test_the_version_of_an_answer_is_the_stored_one(api):
    sent = api.create()
    session = f"/v1/sessions/{sent['session_id']}"
    for version, command in enumerate(["start", "switch", "pause", "resume", "switch", "complete"], start=2):
        answered = api.call("POST", f"{session}/{command}").json()["data"]["version"]
        stored = api.call("GET", session).json()["data"]["version"]
        assert (answered, stored) == (version, version), command


def test_a_bank_of_one_second_that_ran_out_is_found_by_the_switch(api):
    import time
    sent = api.started(bank=1000)
    first, second = (one["participant_id"] for one in sent["participants"])
    time.sleep(1.2)
    result = api.call("POST", f"/v1/sessions/{sent['session_id']}/switch").json()["data"]
    assert result["expired_participant_id"] == first and result["active_participant_id"] == second
    shown = result["participants"][0]
    assert shown["has_expired"] is True and shown["total_time_ms"] == 0 and result["status"] == "running"


# --- everything else ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1", "/api"])
def test_every_prefix_leads_to_the_same(api, prefix):
    sent = api.create()
    assert api.call("GET", f"{prefix}/sessions/{sent['session_id']}").json()["data"]["session_id"] == sent["session_id"]
    assert api.call("GET", f"{prefix}/sessions/{sent['session_id']}/").status_code == 200, "a trailing slash is accepted"


def test_time(api):
    answer = api.call("GET", "/v1/time")
    assert answer.status_code == 200 and "data" not in answer.json()
    assert answer.json()["server_version"] == "2.0.0" and answer.json()["drift_tolerance_ms"] == 50
    assert isinstance(answer.json()["timestamp_ms"], int)
    assert answer.json()["receive_us"] <= answer.json()["transmit_us"]


def test_health_and_ready(api):
    health = api.call("GET", "/health")
    assert health.status_code == 200 and health.json()["status"] == "ok" and health.json()["redis"] == "connected"
    ready = api.call("GET", "/ready")
    assert ready.status_code == 200 and ready.json() == {"ready": True, "status": "ready"}
    for answer in (health, ready):
        assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert not [name for name in answer.headers if name.lower().startswith("ratelimit")]


@pytest.mark.parametrize("path", ["/v1/nope", "/v1/sessions/x/y/z", "/v2/sessions"])
def test_an_unknown_path_is_404_as_json(api, path):
    error(api.call("GET", path), 404, "NOT_FOUND")


def test_a_wrong_method_is_405_with_allow(api):
    sent = api.create()
    answer = api.call("PUT", f"/v1/sessions/{sent['session_id']}", json={})
    error(answer, 405, "METHOD_NOT_ALLOWED")
    assert {"GET", "HEAD", "DELETE"} <= set(re.split(r",\s*", answer.headers["Allow"]))


def test_head_is_get_without_its_body(api):
    sent = api.create()
    answer = api.call("HEAD", f"/v1/sessions/{sent['session_id']}")
    assert answer.status_code == 200 and answer.content == b""


def test_an_unchanged_state_is_304(api):
    sent = api.create()
    session = f"/v1/sessions/{sent['session_id']}"
    first = api.call("GET", session)
    assert first.headers["ETag"].startswith('W/"') and first.headers["Cache-Control"] == "no-cache"
    assert api.call("GET", session, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    api.call("POST", f"{session}/start")
    assert api.call("GET", session, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_common_headers(api):
    sent = api.create()
    answer = api.call("GET", f"/v1/sessions/{sent['session_id']}", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1" and int(answer.headers["Server-Time"]) > 1_700_000_000_000
    assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers["Access-Control-Allow-Credentials"] == "true"
    for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"):
        assert name in answer.headers, name
    assert api.call("GET", "/health", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"] != "a b"


def test_preflight(api):
    answer = api.call("OPTIONS", "/v1/sessions", headers={
        "Origin": "https://example.org", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-a"})
    assert answer.status_code == 204
    assert {"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"} == set(re.split(r",\s*", answer.headers["Access-Control-Allow-Methods"]))
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-a"


def test_api_docs(api):
    moved = api.call("GET", "/api-docs", allow_redirects=False)
    assert moved.status_code == 301 and moved.headers["Location"].endswith("/api-docs/")
    page = api.call("GET", "/api-docs/")
    assert page.status_code == 200 and "SyncKairos API Documentation" in page.text
    document = api.call("GET", "/api-docs.json").json()
    assert document["openapi"].startswith("3.1") and document["info"]["version"] == "2.0.0"
    assert {"/v1/sessions", "/v1/sessions/{id}", "/v1/sessions/{id}/switch", "/v1/time", "/health", "/ready"} <= set(document["paths"])


# --- limits of the reference ----------------------------------------------------------------------------------------


@pytest.fixture
def limited(make_stack):
    return Api(make_stack(STRICT_BODY="false", RATE_LIMIT_ENABLED="true", RATE_LIMIT_SWITCH="10", RATE_LIMIT_GENERAL="100",
                          RATE_LIMIT_GET="1000", RATE_LIMIT_CREATE="100"))


def test_the_eleventh_switch_of_a_second_is_429(limited):
    sent = limited.started()
    answers = [limited.call("POST", f"/v1/sessions/{sent['session_id']}/switch") for _ in range(25)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:10] == [200] * 10 and 429 in statuses
    refused = answers[statuses.index(429)]
    fault = error(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert fault["message"] == "Too many cycle switches for this session, please slow down"
    assert fault["retry_after_seconds"] >= 1 and int(refused.headers["Retry-After"]) == fault["retry_after_seconds"]
    assert refused.headers["RateLimit-Limit"] == "10" and refused.headers["RateLimit-Policy"] == "10;w=1"
    stored = limited.call("GET", f"/v1/sessions/{sent['session_id']}").json()["data"]["version"]
    assert stored == 2 + statuses.count(200), "a refused switch changes nothing"


def test_the_general_limit_is_100_a_minute(limited):
    sent = limited.create()
    path = f"/v1/sessions/{sent['session_id']}/resume"
    refused = None
    for _ in range(130):
        answer = limited.call("POST", path)
        if answer.status_code == 429:
            refused = answer
            break
        assert answer.status_code == 400 and answer.headers["RateLimit-Limit"] == "100"
        assert answer.headers["RateLimit-Policy"] == "100;w=60"
    assert refused is not None
    fault = error(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert fault["message"] == "Too many requests, please try again later" and 1 <= fault["retry_after_seconds"] <= 60
