"""How a WebSocket is opened: with and without a session, which subprotocol is echoed, where a token comes from, and what is refused with which status."""
import json
import socket as sys_socket
import uuid

import pytest
import requests

from raw_socket import RawSocket, client_frame
from watch import Watcher, body

# The shape and length of a JSON Web Token of a common identity provider: longer than a header with a list of names usually is.
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIx" * 60 + ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
OFFER = "Sec-WebSocket-Protocol: synckairos.v1, bearer." + JWT + "\r\n"


def greeting(raw):
    opcode, payload = raw.frame()
    assert opcode == 1
    return json.loads(payload)


def test_without_a_session_it_opens_with_a_token_in_the_query(stack):
    with Watcher(f"{stack.ws_url}?token={JWT}") as socket:
        assert "sessionId" not in socket.wait_for("CONNECTED")


def test_without_a_session_it_opens_with_a_token_in_the_authorization_header(stack):
    with Watcher(stack.ws_url, headers={"Authorization": "Bearer " + JWT}) as socket:
        assert "sessionId" not in socket.wait_for("CONNECTED")


def test_without_a_session_it_opens_with_the_subprotocol(stack):
    with Watcher(stack.ws_url, subprotocols=["synckairos.v1"]) as socket:
        assert "sessionId" not in socket.wait_for("CONNECTED")


@pytest.mark.parametrize("options", [{}, {"headers": {"Authorization": "Basic YTpi"}}], ids=["nothing", "no bearer"])
def test_without_a_session_and_a_token_or_subprotocol_it_closes_1008(stack, options):
    with Watcher(stack.ws_url, **options) as socket:
        assert socket.wait_closed() == (1008, "Missing sessionId parameter")
    with Watcher(stack.ws_url + "?token=", **options) as socket:
        assert socket.wait_closed() == (1008, "Missing sessionId parameter")


def test_a_malformed_session_closes_1008_also_with_a_token(stack):
    with Watcher(f"{stack.ws_url}?sessionId=x&token={JWT}", subprotocols=["synckairos.v1"]) as socket:
        assert socket.wait_closed() == (1008, "Invalid sessionId format")


def test_of_two_subprotocols_only_the_first_is_echoed(stack):
    """As a browser sends it: it would refuse an answer that names the token, or none."""
    sent = body()
    requests.post(stack.base_url + "/v1/sessions", json=sent, timeout=10)
    with Watcher(f"{stack.ws_url}?sessionId={sent['session_id']}", subprotocols=["synckairos.v1", "bearer." + JWT]) as socket:
        socket.wait_for("STATE_SYNC")
        assert socket.subprotocol == "synckairos.v1"


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
def test_a_head_in_pieces_is_one_head(stack, pieces):
    for headers in (OFFER, "Sec-WebSocket-Protocol: synckairos.v1\r\n"):
        with RawSocket(stack.ws_port, headers=headers, pieces=pieces) as raw:
            assert raw.status == 101 and "sec-websocket-protocol: synckairos.v1\r\n" in (raw.head + "\r\n").lower()
            assert JWT not in raw.head
            assert greeting(raw)["type"] == "CONNECTED"


@pytest.mark.parametrize("headers", [OFFER, "Sec-WebSocket-Protocol: synckairos.v1\r\n"], ids=["rewritten", "as it is"])
def test_what_comes_at_once_behind_the_head_is_heard(stack, headers):
    with RawSocket(stack.ws_port, headers=headers, follow=client_frame(1, b'{"type":"PING","timestamp":7}')) as raw:
        assert greeting(raw)["type"] == "CONNECTED"
        assert greeting(raw)["client_timestamp"] == 7


def test_many_at_once_bring_their_tokens(stack):
    sockets = [RawSocket(stack.ws_port, headers=OFFER) for _ in range(300)]
    for raw in sockets:
        assert raw.status == 101 and greeting(raw)["type"] == "CONNECTED"
        raw.close()


@pytest.mark.parametrize("version", [None, 8, 99])
def test_another_version_of_the_protocol_is_426(stack, version):
    with RawSocket(stack.ws_port, f"/ws?sessionId={uuid.uuid4()}", version=version) as raw:
        assert raw.status == 426 and "Sec-WebSocket-Version: 13" in raw.head


def test_an_offer_of_a_token_alone_is_400(stack):
    with RawSocket(stack.ws_port, headers="Sec-WebSocket-Protocol: bearer.x\r\n") as raw:
        assert raw.status == 400


def test_who_says_nothing_or_half_a_head_keeps_nobody_out(stack):
    idle = [sys_socket.create_connection(("127.0.0.1", stack.ws_port)) for _ in range(50)]
    for one in idle[::2]:
        one.sendall(b"GET /ws HTTP/1.1\r\nSec-WebSocket-Pro")
    with RawSocket(stack.ws_port, headers=OFFER) as raw:
        assert raw.status == 101
    for one in idle:
        one.close()
    with RawSocket(stack.ws_port, headers=OFFER) as raw:
        assert raw.status == 101
