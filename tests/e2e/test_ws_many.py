"""One socket that watches many sessions: SUBSCRIBE, UNSUBSCRIBE, RECONNECT, and what the deletion of a session ends."""
import uuid

import requests

from watch import Watcher, body, watch


def call(stack, method, path, **options):
    answer = requests.request(method, stack.base_url + path, timeout=10, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()["data"] if answer.content else None


def create(stack, **more):
    return call(stack, "POST", "/v1/sessions", json=body(**more))["session_id"]


def bare(stack):
    """A socket that watches nothing yet."""
    socket = Watcher(stack.ws_url, subprotocols=["synckairos.v1"])
    assert "sessionId" not in socket.wait_for("CONNECTED")
    return socket


def about(session, type_, **more):
    return lambda m: m.get("sessionId") == session and m["type"] == type_ and all(m.get(k) == v for k, v in more.items())


def subscribe(socket, session, **more):
    start = len(socket.messages)
    socket.send({"type": "SUBSCRIBE", "sessionId": session, **more})
    return socket.wait_for(about(session, "SUBSCRIBED"), start=start)


def answered(socket):
    """All that was said before has been heard: the messages so far."""
    start = len(socket.messages)
    socket.send({"type": "PING"})
    socket.wait_for("PONG", start=start)
    return socket.messages


def test_SUBSCRIBE_is_answered_by_SUBSCRIBED_then_STATE_SYNC(stack):
    session = create(stack)
    with bare(stack) as socket:
        assert isinstance(subscribe(socket, session)["timestamp"], int)
        socket.wait_for("STATE_SYNC")
        assert [m["type"] for m in socket.messages] == ["CONNECTED", "SUBSCRIBED", "STATE_SYNC"]
        sync = socket.messages[2]
        assert sync["sessionId"] == session and sync["state"]["session_id"] == session and sync["version"] == 1
        call(stack, "POST", f"/v1/sessions/{session}/start")
        assert socket.wait_for("STATE_UPDATE")["version"] == 2


def test_one_socket_watches_a_hundred_sessions(stack):
    sessions = [create(stack) for _ in range(100)]
    with bare(stack) as socket:
        for session in sessions[:95]:  # below the limit of messages a minute
            subscribe(socket, session)
        for session in sessions[:95]:
            socket.wait_for(about(session, "STATE_SYNC"))
        for session in sessions[:95:10]:
            call(stack, "POST", f"/v1/sessions/{session}/start")
            socket.wait_for(about(session, "STATE_UPDATE", version=2))


def test_SUBSCRIBE_at_most_100(stack):
    first = create(stack)
    with watch(stack, first) as socket:
        for _ in range(99):
            subscribe(socket, str(uuid.uuid4()))
        one_more = str(uuid.uuid4())
        socket.send({"type": "SUBSCRIBE", "sessionId": one_more})
        error = socket.wait_for(about(one_more, "ERROR"))
        assert error["code"] == "SUBSCRIPTION_LIMIT"
        socket.send({"type": "UNSUBSCRIBE", "sessionId": first})
        socket.wait_for(about(first, "UNSUBSCRIBED"))
        subscribe(socket, one_more)


def test_UNSUBSCRIBE_is_answered_by_UNSUBSCRIBED_and_nothing_of_it_follows(stack):
    one, two = create(stack), create(stack)
    with watch(stack, one) as socket:
        subscribe(socket, two)
        socket.send({"type": "UNSUBSCRIBE", "sessionId": one.upper()})
        socket.wait_for("UNSUBSCRIBED")
        call(stack, "POST", f"/v1/sessions/{one}/start")
        call(stack, "POST", f"/v1/sessions/{two}/start")
        socket.wait_for(about(two, "STATE_UPDATE"))
        assert not any(about(one, "STATE_UPDATE")(m) for m in answered(socket))


def test_unsubscribe_of_what_is_not_watched_is_an_error(stack):
    with bare(stack) as socket:
        other = str(uuid.uuid4())
        socket.send({"type": "UNSUBSCRIBE", "sessionId": other})
        assert socket.wait_for(about(other, "ERROR"))["code"] == "NOT_SUBSCRIBED"


def test_a_session_that_does_not_exist_may_be_subscribed(stack):
    sent = body()
    session = sent["session_id"]
    with bare(stack) as socket:
        subscribe(socket, session)
        error = socket.wait_for(about(session, "ERROR"))
        assert (error["code"], error["message"]) == ("SESSION_NOT_FOUND", f"Session {session} not found")
        call(stack, "POST", "/v1/sessions", json=sent)
        assert socket.wait_for(about(session, "STATE_UPDATE"))["version"] == 1


def test_session_deleted_ends_that_subscription_and_keeps_a_socket_that_holds_another(stack):
    one, two = create(stack), create(stack)
    with watch(stack, one) as socket:
        subscribe(socket, two)
        socket.wait_for(about(two, "STATE_SYNC"))
        call(stack, "DELETE", f"/v1/sessions/{one}")
        socket.wait_for(about(one, "SESSION_DELETED", version=2))
        call(stack, "POST", f"/v1/sessions/{two}/start")
        socket.wait_for(about(two, "STATE_UPDATE"))
        # not opened with this one
        call(stack, "DELETE", f"/v1/sessions/{two}")
        socket.wait_for(about(two, "SESSION_DELETED"))
        answered(socket)
        assert socket.close_code is None
        socket.send({"type": "UNSUBSCRIBE", "sessionId": two})
        assert socket.wait_for(about(two, "ERROR"))["code"] == "NOT_SUBSCRIBED"


def test_session_deleted_closes_1000_when_opened_with_it_and_no_other_is_held(stack):
    one, two = create(stack), create(stack)
    with watch(stack, one) as socket:
        subscribe(socket, two)
        socket.send({"type": "UNSUBSCRIBE", "sessionId": two})
        socket.wait_for("UNSUBSCRIBED")
        call(stack, "DELETE", f"/v1/sessions/{one}")
        assert socket.wait_closed() == (1000, "Session deleted")


def test_session_deleted_keeps_a_socket_opened_without_a_session(stack):
    session = create(stack)
    with bare(stack) as socket:
        subscribe(socket, session)
        socket.wait_for("STATE_SYNC")
        call(stack, "DELETE", f"/v1/sessions/{session}")
        socket.wait_for("SESSION_DELETED")
        answered(socket)
        assert socket.close_code is None


def test_reconnect_with_last_known_version_and_epoch_says_unchanged(stack):
    one, two = create(stack), create(stack)
    with bare(stack) as socket:
        for session in (one, two):
            subscribe(socket, session)
        known = socket.wait_for(about(one, "STATE_SYNC"))
        socket.wait_for(about(two, "STATE_SYNC"))
        start = len(socket.messages)
        socket.send({"type": "RECONNECT", "sessionId": one, "last_known_version": 1, "epoch": known["epoch"]})
        unchanged = socket.wait_for(about(one, "STATE_SYNC"), start=start)
        assert unchanged["unchanged"] is True and "state" not in unchanged
        assert (unchanged["version"], unchanged["epoch"]) == (1, known["epoch"])
        for more in ({"last_known_version": 1}, {"epoch": known["epoch"]}, {"last_known_version": 2, "epoch": known["epoch"]}):
            start = len(socket.messages)
            socket.send({"type": "RECONNECT", "sessionId": one, **more})
            assert "state" in socket.wait_for(about(one, "STATE_SYNC"), start=start)


def test_reconnect_without_a_session_is_about_all_that_are_watched(stack):
    sessions = [create(stack) for _ in range(3)]
    with bare(stack) as socket:
        for session in sessions:
            subscribe(socket, session)
            socket.wait_for(about(session, "STATE_SYNC"))
        start = len(socket.messages)
        socket.send({"type": "RECONNECT"})
        for session in sessions:
            assert socket.wait_for(about(session, "STATE_SYNC"), start=start)["state"]["session_id"] == session


def test_max_sessions_per_instance_bounds_subscriptions(make_stack):
    stack = make_stack(BROADCASTERS=1, MAX_SESSIONS_PER_INSTANCE=3)
    with bare(stack) as socket, bare(stack) as other:
        watched = [str(uuid.uuid4()) for _ in range(3)]
        for session in watched:
            subscribe(socket, session)
        one_more = str(uuid.uuid4())
        other.send({"type": "SUBSCRIBE", "sessionId": one_more})
        assert other.wait_for(about(one_more, "ERROR"))["code"] == "SERVER_FULL"
        subscribe(other, watched[0])
