"""Limits of /ws: connections of a user or an address, on a host; failed tokens; messages."""
import json
import uuid

import pytest

from raw_socket import RawSocket
from stack import until
from tokens import bearer, token
from watch import Watcher


@pytest.fixture
def limited(make_stack):
    def make(**more):
        return make_stack(**{"RATE_LIMIT_ENABLED": True, "BROADCASTERS": 2, "WS_MAX_OPEN_PER_USER": 0, **more})
    return make


def connect(stack, who=None, **claims):
    """The answer to an upgrade, closed again at once."""
    headers = f"Authorization: Bearer {token(who, **claims)}\r\n" if who else ""
    socket_ = RawSocket(stack.port, f"/ws?sessionId={uuid.uuid4()}", headers)
    socket_.sock.close()
    return socket_


def test_limit_5_connections_per_minute_per_user_and_address(limited):
    stack = limited()
    assert [connect(stack).status for _ in range(6)] == [101] * 5 + [429]
    assert [connect(stack, "ann").status for _ in range(6)] == [101] * 5 + [429]
    assert connect(stack, "bob").status == 101
    assert [connect(stack, "svc", role="service").status for _ in range(8)] == [101] * 8
    refused = connect(stack, "ann")
    body = json.loads(refused.rest)
    assert body["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert 1 <= body["error"]["retry_after_seconds"] <= 120
    assert f"Retry-After: {body['error']['retry_after_seconds']}\r\n" in refused.head + "\r\n"


def test_failed_tokens_count_on_the_general_limit_of_the_address(limited):
    stack = limited(AUTH_REQUIRED=True, RATE_LIMIT_GENERAL="3/60s")
    assert [connect(stack, "ann", lifetime=-60).status for _ in range(4)] == [401] * 3 + [429]
    assert connect(stack, "ann").status == 101


def test_failed_REFRESHes_count_there_too(limited):
    """Whoever holds a socket guesses no more tokens than others; a service is not counted."""
    stack = limited(AUTH_REQUIRED=True, RATE_LIMIT_GENERAL="3/60s")

    def guess(socket_, n):
        for _ in range(n):
            socket_.send({"type": "REFRESH", "token": token("ann", secret="x" * 32)})

    with Watcher(stack.ws_url, headers=bearer("svc", role="service")) as service, Watcher(stack.ws_url, headers=bearer("ann")) as ann, \
            Watcher(stack.ws_url, headers=bearer("bob")) as bob:
        for socket_ in (service, ann, bob):
            socket_.wait_for("CONNECTED")
        guess(service, 5)
        service.wait_for(lambda m: sum(x.get("code") == "UNAUTHENTICATED" for x in service.messages) == 5)
        guess(ann, 2)
        ann.wait_for(lambda m: sum(x.get("code") == "UNAUTHENTICATED" for x in ann.messages) == 2)
        ann.send({"type": "REFRESH", "token": token("bob")})  # a good one of somebody else
        assert ann.wait_for(lambda m: m.get("code") == "FORBIDDEN")
        assert connect(stack, "ann", lifetime=-60).status == 401
        guess(ann, 1)
        assert ann.wait_closed() == (1008, "Too many failed tokens")
        assert connect(stack, "ann", lifetime=-60).status == 429
        bob.send({"type": "REFRESH", "token": token("bob")})
        bob.send({"type": "PING"})
        bob.wait_for("PONG")
        assert connect(stack, "ann").status == 101


def test_the_web_server_says_whose_request_it_is(limited):
    """Its word counts, a client's does not; IPv6 by /64; a trusted proxy is looked behind."""
    stack = limited(RATE_LIMIT_WS_CONNECT="1/60s", TRUSTED_PROXIES="10.0.0.0/8")

    def direct(peer, forwarded=""):
        headers = f"X-Synckairos-Peer: {peer}\r\n" + (f"X-Forwarded-For: {forwarded}\r\n" if forwarded else "")
        socket_ = RawSocket(stack.ws_port, f"/ws?sessionId={uuid.uuid4()}", headers)
        socket_.sock.close()
        return socket_.status

    def through(header):
        socket_ = RawSocket(stack.port, f"/ws?sessionId={uuid.uuid4()}", header)
        socket_.sock.close()
        return socket_.status

    assert direct("198.51.100.1") == 101 and direct("198.51.100.1") == 429
    assert direct("198.51.100.2") == 101
    assert direct("2001:db8::1") == 101 and direct("2001:db8::2") == 429 and direct("2001:db8:0:1::1") == 101
    assert direct("10.1.1.1", "203.0.113.7") == 101 and direct("10.1.1.2", "203.0.113.7") == 429
    long = "x, " * 1000
    assert direct("10.1.1.1", long + "203.0.113.10") == 101 and direct("10.1.1.1", long + "203.0.113.11") == 101
    assert direct("10.1.1.2", long + "203.0.113.10") == 429, "however much a client has put in front"
    assert direct("198.51.100.3", "203.0.113.8") == 101 and direct("198.51.100.3", "203.0.113.9") == 429
    assert through("X-Synckairos-Peer: 192.0.2.1\r\n") == 101
    assert through("X-Synckairos-Peer: 192.0.2.2\r\n") == 429, "a client gave itself another address"


def test_limits_that_are_off_refuse_nobody(stack):
    assert [connect(stack).status for _ in range(12)] == [101] * 12


def test_RATE_LIMIT_WS_MESSAGES(limited):
    stack = limited(RATE_LIMIT_WS_MESSAGES="3/60s", RATE_LIMIT_WS_CONNECT=0)
    with Watcher(stack.ws_url, headers={"Authorization": "Bearer " + token("svc", role="service")}) as free:
        free.wait_for("CONNECTED")
        with Watcher(f"{stack.ws_url}?sessionId={uuid.uuid4()}") as socket_:
            socket_.wait_for("CONNECTED")
            for _ in range(4):
                socket_.send({"type": "PING"})
                free.send({"type": "PING"})
            assert socket_.wait_closed()[0] == 1008
        free.send({"type": "PING"})
        free.wait_for(lambda m: sum(x["type"] == "PONG" for x in free.messages) == 5)


# --- sockets held open ---


def hold(stack, who=None, **claims):
    """A socket that stays; it has been greeted, or was refused with 4429."""
    headers = {"Authorization": "Bearer " + token(who, **claims)} if who else None
    return Watcher(f"{stack.ws_url}?sessionId={uuid.uuid4()}", headers=headers)


def is_refused(socket_):
    try:
        socket_.wait_for(lambda m: False, timeout=0.7)
    except AssertionError:
        return socket_.close_code == 4429
    return False


def seats_open(stack):
    """What Redis counts, of all users."""
    found = 0
    for key in stack.redis().scan_iter("sk:{ws}:open:*"):
        found += sum(int(n) for n in stack.redis().hvals(key))
    return found


@pytest.fixture
def roomy(make_stack):
    def make(**more):
        return make_stack(**{"RATE_LIMIT_ENABLED": True, "BROADCASTERS": 2, "RATE_LIMIT_WS_CONNECT": 0, **more})
    return make


def test_limit_5_open_per_user_and_address_on_all_broadcasters(roomy):
    stack = roomy()
    held = [hold(stack, "ann") for _ in range(5)] + [hold(stack) for _ in range(5)]
    until(lambda: seats_open(stack) == 10, say=lambda: f"10 sockets counted, not {seats_open(stack)}")
    assert is_refused(hold(stack, "ann")) and is_refused(hold(stack))
    assert not is_refused(hold(stack, "bob"))
    assert not any(is_refused(s) for s in [hold(stack, "svc", role="service") for _ in range(8)])
    assert not any(s.close_code for s in held)
    held[0].close()
    held[5].close()
    until(lambda: seats_open(stack) == 9, say="two less, and bob")
    assert not is_refused(hold(stack, "ann")) and not is_refused(hold(stack))
    assert is_refused(hold(stack, "ann")) and is_refused(hold(stack))


def test_limit_open_0_is_none(roomy):
    stack = roomy(WS_MAX_OPEN_PER_USER=0, BROADCASTERS=1)
    held = [hold(stack, "ann") for _ in range(8)]
    for socket_ in held:
        socket_.wait_for("CONNECTED")
    assert not is_refused(held[7]) and seats_open(stack) == 0


def test_counts_of_open_sockets_die_with_their_process(roomy):
    stack = roomy(BROADCASTERS=1)
    held = [hold(stack, "ann") for _ in range(5)]
    until(lambda: seats_open(stack) == 5, say="5 sockets counted")
    pid = stack.kill("broadcaster-0")
    for socket_ in held:
        socket_.wait_closed()
    stack.wait_restarted("broadcaster-0", pid)
    stack.wait_ready()

    def is_let_in():
        socket_ = hold(stack, "ann")
        return socket_.close_code != 1006 and not is_refused(socket_)

    until(is_let_in, 15, every=1, say="the counts of the dead process to go")


def test_counts_are_made_anew_when_redis_has_lost_them(roomy):
    stack = roomy(BROADCASTERS=1)
    held = [hold(stack, "ann") for _ in range(5)]
    until(lambda: seats_open(stack) == 5, say="5 sockets counted")
    for key in list(stack.redis().scan_iter("sk:{ws}:*")):
        stack.redis().delete(key)
    for client in stack.redis().client_list():
        if client["name"].startswith("synckairos-"):
            stack.redis().client_kill_filter(_id=client["id"])
    until(lambda: seats_open(stack) == 5, say=lambda: f"5 sockets counted again, not {seats_open(stack)}")
    assert not any(s.close_code for s in held)
    assert is_refused(hold(stack, "ann"))
