"""What clients of SyncKairos 2.0 see over the WebSocket, and what the new release adds to it."""
import time
import uuid

import pytest
import requests

from watch import Watcher, body, watch


def call(stack, method, path, **options):
    return requests.request(method, stack.base_url + path, timeout=10, **options)


def create(stack, **more):
    sent = body(**more)
    assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
    return sent["session_id"]


def command(stack, session, name):
    answer = call(stack, "POST", f"/v1/sessions/{session}/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_CONNECTED_then_at_once_STATE_SYNC_with_the_current_state(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        sync = socket.wait_for("STATE_SYNC")
        assert [m["type"] for m in socket.messages[:2]] == ["CONNECTED", "STATE_SYNC"]
        connected = socket.messages[0]
        assert connected["sessionId"] == session and isinstance(connected["timestamp"], int)
        assert sync["sessionId"] == session and sync["version"] == 1 and sync["state"]["status"] == "pending"
        assert sync["epoch"] == sync["state"]["epoch"] and isinstance(sync["timestamp"], int)


def test_STATE_UPDATE_of_every_command_with_the_stored_version(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        socket.wait_for("STATE_SYNC")
        for version, name in enumerate(["start", "switch", "pause", "resume", "complete"], start=2):
            command(stack, session, name)
            update = socket.wait_for(lambda m, v=version: m["type"] == "STATE_UPDATE" and m["version"] == v)
            assert update["state"]["version"] == version and update["sessionId"] == session
            stored = call(stack, "GET", f"/v1/sessions/{session}").json()["data"]
            for name in ("status", "active_participant_id", "cycle_started_at", "updated_at", "epoch", "total_time_ms"):
                assert update["state"][name] == stored[name]
        updates = [m["version"] for m in socket.messages if m["type"] == "STATE_UPDATE"]
        assert updates == [2, 3, 4, 5, 6]


def test_SESSION_DELETED_then_close_1000_for_a_socket_opened_with_that_session(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        socket.wait_for("STATE_SYNC")
        assert call(stack, "DELETE", f"/v1/sessions/{session}").status_code == 204
        deleted = socket.wait_for("SESSION_DELETED")
        assert deleted["sessionId"] == session and deleted["version"] == 2
        assert socket.wait_closed() == (1000, "Session deleted")


def test_ERROR_SESSION_NOT_FOUND_and_the_creation_arrives_as_STATE_UPDATE(stack):
    sent = body()
    with watch(stack, sent["session_id"]) as socket:
        error = socket.wait_for("ERROR")
        assert error["code"] == "SESSION_NOT_FOUND" and error["message"] == f"Session {sent['session_id']} not found"
        assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
        update = socket.wait_for("STATE_UPDATE")
        assert update["version"] == 1 and update["state"]["status"] == "pending"
        command(stack, sent["session_id"], "start")
        assert socket.wait_for(lambda m: m.get("version") == 2)["type"] == "STATE_UPDATE"


def test_a_session_created_again_has_a_later_epoch(stack):
    sent = body()
    call(stack, "POST", "/v1/sessions", json=sent)
    first = call(stack, "GET", f"/v1/sessions/{sent['session_id']}").json()["data"]["epoch"]
    call(stack, "DELETE", f"/v1/sessions/{sent['session_id']}")
    assert call(stack, "POST", "/v1/sessions", json=sent).status_code == 201
    assert call(stack, "GET", f"/v1/sessions/{sent['session_id']}").json()["data"]["epoch"] > first


def test_upper_case_ids_watch_the_same_session(stack):
    session = create(stack)
    with watch(stack, session.upper()) as socket:
        assert socket.wait_for("STATE_SYNC")["state"]["session_id"] == session


def test_PING_is_answered_by_PONG_with_four_stamps(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        socket.send({"type": "PING", "timestamp": 1234.5})
        pong = socket.wait_for("PONG")
        assert pong["client_timestamp"] == 1234.5 and pong["receive_us"] <= pong["transmit_us"]
        assert abs(pong["timestamp"] - pong["transmit_us"] / 1000) < 50
        socket.send('{"type":"PING","extra":[1]}')
        second = socket.wait_for(lambda m: m["type"] == "PONG" and m is not pong)
        assert "client_timestamp" not in second


def test_RECONNECT_is_answered_by_STATE_SYNC_unchanged_when_version_and_epoch_match(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        first = socket.wait_for("STATE_SYNC")
        start = len(socket.messages)
        socket.send({"type": "RECONNECT"})
        again = socket.wait_for("STATE_SYNC", start=start)
        assert again["state"]["version"] == 1
        start = len(socket.messages)
        socket.send({"type": "RECONNECT", "sessionId": session, "last_known_version": 1, "epoch": first["epoch"]})
        unchanged = socket.wait_for("STATE_SYNC", start=start)
        assert unchanged["unchanged"] is True and "state" not in unchanged and unchanged["version"] == 1


def test_RECONNECT_on_a_missing_session_is_an_ERROR(stack):
    missing = str(uuid.uuid4())
    with watch(stack, missing) as socket:
        socket.wait_for("ERROR")
        start = len(socket.messages)
        socket.send({"type": "RECONNECT"})
        error = socket.wait_for("ERROR", start=start)
        assert (error["code"], error["message"]) == ("SESSION_NOT_FOUND", f"Session {missing} not found")


@pytest.mark.parametrize("query, reason", [("", "Missing sessionId parameter"), ("?session_id=x", "Missing sessionId parameter"),
                                           ("?sessionId=nope", "Invalid sessionId format")])
def test_a_bad_session_id_closes_1008(stack, query, reason):
    with Watcher(stack.ws_url + query) as socket:
        assert socket.wait_closed() == (1008, reason)


def test_the_path_is_exact(stack):
    with Watcher(f"{stack.ws_url}/?sessionId={uuid.uuid4()}") as socket:
        socket.wait_closed()
        assert socket.handshake_status in (400, 404)


@pytest.mark.parametrize("frame", ["{", "[]", "7", "null", '{"type":"DANCE"}', '{"type":7}', "{}"])
def test_a_malformed_or_unknown_frame_gets_ERROR_with_a_code(stack, frame):
    session = create(stack)
    with watch(stack, session) as socket:
        socket.wait_for("STATE_SYNC")
        socket.send(frame)
        assert socket.wait_for("ERROR")["code"]
        socket.send({"type": "PING"})
        socket.wait_for("PONG")


def test_the_11th_malformed_frame_within_a_minute_closes_1008(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        for _ in range(11):
            socket.send("{")
        assert socket.wait_closed()[0] == 1008


def test_limit_10_kb_per_message_closes_1009(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        socket.send('{"type":"PING","pad":"%s"}' % ("x" * 11_000))
        assert socket.wait_closed()[0] == 1009


def test_limit_100_messages_per_minute_and_connection_closes_1008(make_stack):
    stack = make_stack(RATE_LIMIT_ENABLED="true")
    session = create(stack)
    with watch(stack, session) as socket:
        for _ in range(101):
            socket.send({"type": "PING"})
        assert socket.wait_closed()[0] == 1008


def test_a_passive_client_stays_connected(stack):
    session = create(stack)
    with watch(stack, session) as socket:
        time.sleep(13)
        socket.send({"type": "PING"})
        socket.wait_for("PONG")


def test_a_bank_of_one_second_expires_by_itself_and_once(stack):
    session = create(stack, bank=1000)
    with watch(stack, session) as first, watch(stack, session) as second:
        command(stack, session, "start")
        for socket in (first, second):
            expired = socket.wait_for("TIME_EXPIRED")
            update = socket.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == 3)
            assert socket.messages.index(update) < socket.messages.index(expired)
            state = update["state"]
            assert expired["version"] == 3 and state["status"] == "running"
            assert expired["expired_participant_id"] == state["participants"][0]["participant_id"]
            assert state["participants"][0]["has_expired"] and state["participants"][0]["time_remaining_ms"] == 0
            assert state["last_timeout"]["version"] == 3
        time.sleep(1.5)
        assert [m["type"] for m in first.messages].count("TIME_EXPIRED") == 1
        assert call(stack, "GET", f"/v1/sessions/{session}").json()["data"]["version"] == 3
