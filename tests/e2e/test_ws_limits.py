"""Limits of /ws: connections of a user or an address, on a host; failed tokens; messages."""
import json
import uuid

import pytest

from raw_socket import RawSocket
from tokens import token
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
