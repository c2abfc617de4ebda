"""The messages of /ws one by one, and its limits: what each carries, when it comes, and what is refused how."""
import json
import struct
import time
import uuid

import pytest
import requests

from raw_socket import RawSocket, client_frame
from watch import Watcher, body, watch

V1 = "Sec-WebSocket-Protocol: synckairos.v1\r\n"


def call(stack, method, path, **options):
    answer = requests.request(method, stack.base_url + path, timeout=10, **options)
    assert answer.status_code < 300, answer.text
    return answer


def create(stack, mode="per_participant", **more):
    sent = {**body(more.pop("participants", 2), more.pop("bank", 60_000), sync_mode=mode), **more}
    return call(stack, "POST", "/v1/sessions", json=sent).json()["data"]


def command(stack, session, name):
    return call(stack, "POST", f"/v1/sessions/{session['session_id']}/{name}")


@pytest.fixture(scope="module")
def described(stack):
    return requests.get(stack.base_url + "/asyncapi.json", timeout=10).json()["components"]["messages"]


# --- what messages of the server carry ------------------------------------------------------------------------------

ABOUT_A_SESSION = ["STATE_SYNC", "STATE_SYNC_unchanged", "STATE_UPDATE", "STATE_DELTA", "TIME_WARNING", "TIME_EXPIRED", "ACTION", "SESSION_DELETED",
                   "SUBSCRIBED", "UNSUBSCRIBED"]
OF_A_STATE = ["STATE_SYNC", "STATE_SYNC_unchanged", "STATE_UPDATE", "STATE_DELTA", "TIME_WARNING", "TIME_EXPIRED", "ACTION", "SESSION_DELETED"]


@pytest.mark.parametrize("name", ABOUT_A_SESSION)
def test_each_message_about_a_session_carries_sessionId_and_timestamp(described, name):
    """Required of it; and every frame of these tests is held to that."""
    assert {"type", "sessionId", "timestamp"} <= set(described[name]["payload"]["required"])


@pytest.mark.parametrize("name", OF_A_STATE)
def test_each_message_that_shows_or_changes_a_state_carries_epoch_and_version(described, name):
    assert {"epoch", "version"} <= set(described[name]["payload"]["required"])


def test_timestamp_of_a_push_is_its_server_time_when_it_was_committed(stack):
    session = create(stack)
    with watch(stack, session["session_id"]) as socket:
        socket.wait_for("STATE_SYNC")
        answer = command(stack, session, "start")
        update = socket.wait_for("STATE_UPDATE")
        assert update["timestamp"] == int(answer.headers["Server-Time"])
        assert update["state"]["server_time"] == answer.json()["data"]["server_time"]


def test_timestamp_of_an_expiry_is_its_commit_and_not_deadline_at(stack):
    session = create(stack, bank=1000)
    with watch(stack, session["session_id"]) as socket:
        command(stack, session, "start")
        expired = socket.wait_for("TIME_EXPIRED")
        update = socket.wait_for(lambda m: m["type"] == "STATE_UPDATE" and m["version"] == expired["version"])
        assert expired["timestamp"] == update["timestamp"]
        at = update["state"]["last_timeout"]["at"]
        assert update["state"]["server_time"] >= at


def test_SESSION_DELETED_carries_the_version_of_the_deletion(stack):
    session = create(stack)
    with watch(stack, session["session_id"]) as socket:
        socket.wait_for("STATE_SYNC")
        call(stack, "DELETE", f"/v1/sessions/{session['session_id']}")
        deleted = socket.wait_for("SESSION_DELETED")
        assert (deleted["version"], deleted["epoch"]) == (session["version"] + 1, session["epoch"])


def expired(stack, **more):
    session = create(stack, **more)
    with watch(stack, session["session_id"]) as socket:
        command(stack, session, "start")
        return session, socket.wait_for("TIME_EXPIRED")


@pytest.mark.parametrize("mode, more", [("per_participant", {"bank": 1000}), ("per_cycle", {"time_per_cycle_ms": 1000})])
def test_TIME_EXPIRED_names_expired_participant_id(stack, mode, more):
    session, message = expired(stack, mode=mode, **more)
    assert message["expired_participant_id"] == session["participants"][0]["participant_id"]
    assert "expired_group_id" not in message and message["action_applied"] == "notify"


def test_TIME_EXPIRED_names_expired_group_id_in_per_group(stack):
    session, message = expired(stack, mode="per_group", bank=1000)
    assert message["expired_group_id"] == session["participants"][0]["participant_id"] and "expired_participant_id" not in message


@pytest.mark.parametrize("mode, more", [("global", {"total_time_ms": 1000}), ("count_up", {"max_time_ms": 1000})])
def test_TIME_EXPIRED_names_neither_in_global_and_count_up(stack, mode, more):
    _, message = expired(stack, mode=mode, **more)
    assert not {"expired_participant_id", "expired_group_id"} & set(message) and message["action_applied"] == "notify"


def test_TIME_EXPIRED_names_the_action_applied(stack):
    _, message = expired(stack, bank=1000, action_on_timeout={"type": "game_over"})
    assert message["action_applied"] == "end_session"


def test_SERVER_DRAINING_comes_before_the_close(make_stack):
    stack = make_stack(BROADCASTERS=1)
    session = create(stack)
    with watch(stack, session["session_id"]) as socket:
        socket.wait_for("STATE_SYNC")
        stack.hold("broadcaster-0")
        stack.kill("broadcaster-0", 15)
        assert socket.wait_for("SERVER_DRAINING")["reconnect_in_ms"] > 0
        assert socket.wait_closed()[0] == 1001
        stack.release("broadcaster-0")


# --- what clients may say -------------------------------------------------------------------------------------------


def good(name):
    return {"PING": {}, "RECONNECT": {"sessionId": str(uuid.uuid4()), "last_known_version": 1, "epoch": "e"},
            "SUBSCRIBE": {"sessionId": str(uuid.uuid4()), "delta": False}, "UNSUBSCRIBE": {"sessionId": str(uuid.uuid4())}}[name]


RETYPED = [(name, field, value) for name in ("RECONNECT", "SUBSCRIBE", "UNSUBSCRIBE") for field in good(name)
           for value in (True, 7.5, -1, "?", [], {}) if not (field == "epoch" and value == "?") and not (field == "delta" and value is True)]
REMOVED = [("SUBSCRIBE", "sessionId"), ("UNSUBSCRIBE", "sessionId")]


def ask(stack, message):
    """What a bare socket answers to one frame."""
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        raw.send(1, json.dumps(message).encode())
        return json.loads(raw.frame()[1])


@pytest.mark.parametrize("name, field, value", RETYPED, ids=lambda v: str(v))
def test_a_message_with_a_member_of_another_kind_gets_ERROR(stack, name, field, value):
    answer = ask(stack, {"type": name, **good(name), field: value})
    assert (answer["type"], answer["code"]) == ("ERROR", "INVALID_MESSAGE")


@pytest.mark.parametrize("name, field", REMOVED)
def test_a_message_without_a_required_member_gets_ERROR(stack, name, field):
    message = {"type": name, **good(name)}
    del message[field]
    assert ask(stack, message)["code"] == "INVALID_MESSAGE"


@pytest.mark.parametrize("name, answer", [("PING", "PONG"), ("SUBSCRIBE", "SUBSCRIBED")])
def test_members_that_are_not_known_are_ignored_as_in_2_0(stack, name, answer):
    assert ask(stack, {"type": name, **good(name), "surprise": [1]})["type"] == answer


def test_RECONNECT_and_UNSUBSCRIBE_of_what_is_not_watched_get_ERROR_NOT_SUBSCRIBED(stack):
    for name in ("RECONNECT", "UNSUBSCRIBE"):
        message = {"type": name, **good(name)}
        answer = ask(stack, message)
        assert (answer["code"], answer["sessionId"]) == ("NOT_SUBSCRIBED", message["sessionId"])


def test_a_binary_frame_gets_ERROR(stack):
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        raw.send(2, b'{"type":"PING"}')
        assert json.loads(raw.frame()[1])["code"] == "INVALID_MESSAGE"


def test_text_that_is_no_utf8_closes_1007(stack):
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        raw.send(1, b'{"type":"PING","x":"\xc3("}')
        opcode, payload = raw.frame()
        assert opcode == 8 and struct.unpack(">H", payload[:2]) == (1007,)


def first_byte(byte, payload):
    return bytes([byte]) + client_frame(1, payload)[1:]


@pytest.mark.parametrize("frames", [first_byte(0xC1, b"{}"), first_byte(0x83, b"{}"), first_byte(0x8B, b""), first_byte(0x09, b"x"),
                                    first_byte(0x80, b"x"), first_byte(0x01, b"{") + first_byte(0x81, b"}")],
                         ids=["reserved bit", "opcode 3", "opcode 11", "ping in parts", "rest of nothing", "text within text"])
def test_frames_that_rfc_6455_forbids_close_1002(stack, frames):
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        raw.sock.sendall(frames)
        opcode, payload = raw.frame()
        assert opcode == 8 and struct.unpack(">H", payload[:2]) == (1002,)


# --- limits ---------------------------------------------------------------------------------------------------------


def test_limit_10_kb_per_message_is_not_less(stack):
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        raw.send(1, b'{"type":"PING"}'.ljust(10 * 1024))
        assert json.loads(raw.frame()[1])["type"] == "PONG"


def test_limit_100_messages_per_minute_and_connection_is_not_less(make_stack):
    stack = make_stack(RATE_LIMIT_ENABLED=True, BROADCASTERS=1)
    with Watcher(stack.ws_url, subprotocols=["synckairos.v1"]) as socket, Watcher(stack.ws_url, subprotocols=["synckairos.v1"]) as other:
        other.wait_for("CONNECTED")
        socket.wait_for("CONNECTED")
        for k in range(100):
            socket.send({"type": "PING", "timestamp": k})
        socket.wait_for(lambda m: m.get("client_timestamp") == 99)
        socket.send({"type": "PING"})
        assert socket.wait_closed() == (1008, "Message rate limit exceeded")
        other.send({"type": "PING"})  # of one connection only
        other.wait_for("PONG")


def test_the_11th_malformed_message_closes_and_the_10th_does_not(stack):
    with Watcher(stack.ws_url, subprotocols=["synckairos.v1"]) as socket:
        socket.wait_for("CONNECTED")
        for _ in range(10):
            socket.send("?")
        socket.send({"type": "PING"})
        socket.wait_for("PONG")
        assert [m["type"] for m in socket.messages].count("ERROR") == 10
        socket.send("?")
        assert socket.wait_closed() == (1008, "Too many invalid messages")


def test_limit_clients_per_broadcaster_is_503(make_stack):
    stack = make_stack(BROADCASTERS=1, WS_MAX_CLIENTS=2)
    with RawSocket(stack.ws_port, headers=V1) as one, RawSocket(stack.ws_port, headers=V1) as two, RawSocket(stack.ws_port, headers=V1) as three:
        assert (one.status, two.status, three.status) == (101, 101, 503)


def test_limit_ping_every_ws_heartbeat_interval(make_stack):
    stack = make_stack(BROADCASTERS=1, WS_HEARTBEAT_INTERVAL=200)
    with RawSocket(stack.ws_port, headers=V1) as raw:
        raw.frame()
        began = time.monotonic()
        for _ in range(5):
            assert raw.frame()[0] == 9
        # the first one comes within the interval, the others one apart: never faster
        assert time.monotonic() - began > 0.7


def test_permessage_deflate_is_not_offered(stack):
    with RawSocket(stack.ws_port, headers=V1 + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n") as raw:
        assert raw.status == 101 and "extensions" not in raw.head.lower()
        assert json.loads(raw.frame()[1])["type"] == "CONNECTED"
