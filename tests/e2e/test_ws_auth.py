"""Tokens on /ws: who is let in, what he may see, and when his token ends."""

import time
import uuid

import pytest
import requests

import tokens
from stack import SLOW, Stack, until
from tokens import bearer, token
from watch import Watcher, body


@pytest.fixture(scope="module")
def closed():
    s = Stack(AUTH_REQUIRED="true", BROADCASTERS=2)
    yield s
    s.close()


def create(stack, owner, **more):
    sent = body(**more)
    answer = requests.post(stack.base_url + "/v1/sessions", json=sent, headers=bearer(owner), timeout=10)
    assert answer.status_code == 201, answer.text
    return sent["session_id"]


def command(stack, session, verb, who, **options):
    answer = requests.post(f"{stack.base_url}/v1/sessions/{session}/{verb}", headers=bearer(who), timeout=10, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def connect(stack, session=None, text=None, by="header"):
    url = stack.ws_url + (f"?sessionId={session}" if session else "")
    if by == "header":
        return Watcher(url, headers={"Authorization": f"Bearer {text}"} if text else None)
    if by == "subprotocol":
        return Watcher(url, subprotocols=["synckairos.v1", f"bearer.{text}"])
    return Watcher(f"{url}{'&' if session else '?'}token={text}")


def revoke(stack, kind, value):
    """As kairosctl does."""
    at = int(time.time() * 1000)
    key = "sk:{rev:%s:%s}" % (kind, value)
    stack.redis().set(key, at)
    assert stack.redis().publish("sk:revoked", f"{kind} {at} {value}") >= 1


def test_without_a_good_token_the_upgrade_is_401(closed):
    session = create(closed, "ann")
    bad = [None, "x", "a.b.c", token(lifetime=-60), token(secret=tokens.SECRET + "x")]
    for text in bad:
        socket_ = connect(closed, session, text)
        socket_.wait_closed()
        assert socket_.handshake_status == 401
    for by in ("subprotocol", "query"):
        socket_ = connect(closed, session, token(secret=tokens.SECRET + "x"), by=by)
        socket_.wait_closed()
        assert socket_.handshake_status == 401


@pytest.mark.parametrize("by", ["header", "subprotocol", "query"])
def test_a_token_lets_in_however_it_comes(closed, by):
    session = create(closed, "ann")
    with connect(closed, session, token("bob"), by=by) as socket_:
        assert socket_.wait_for("STATE_SYNC")["sessionId"] == session
        assert socket_.subprotocol == ("synckairos.v1" if by == "subprotocol" else None)


def test_a_private_session_looks_exactly_as_a_missing_one(closed):
    session = create(closed, "ann", metadata={"visibility": "private"})
    never = str(uuid.uuid4())
    with connect(closed, text=token("stranger")) as stranger, connect(closed, text=token("ann")) as owner:
        owner.wait_for("CONNECTED")
        stranger.wait_for("CONNECTED")
        owner.send({"type": "SUBSCRIBE", "sessionId": session})
        owner.wait_for("STATE_SYNC")
        for id_ in (session, never):
            stranger.send({"type": "SUBSCRIBE", "sessionId": id_})
            stranger.wait_for(lambda m: m["type"] == "ERROR" and m["sessionId"] == id_)
        command(closed, session, "start", "ann")
        owner.wait_for("STATE_UPDATE")
        stranger.send({"type": "RECONNECT"})
        requests.delete(f"{closed.base_url}/v1/sessions/{session}", headers=bearer("ann"), timeout=10)
        owner.wait_for("SESSION_DELETED")

        def said_of(id_):
            return [{k: v for k, v in m.items() if k not in ("timestamp", "_received")} for m in stranger.messages
                    if m.get("sessionId") == id_]

        until(lambda: len(said_of(never)) == len(said_of(session)) == 3, say="both answers to RECONNECT")
        wanted = [{k: v.replace(never, session) if isinstance(v, str) else v for k, v in m.items()} for m in said_of(never)]
        assert said_of(session) == wanted


def test_readers_and_nobody_else_see_what_a_service_made_for_them(closed):
    sent = body(readers=["ann", "bob"])
    answer = requests.post(closed.base_url + "/v1/sessions", json=sent, headers=bearer("svc", role="service"), timeout=10)
    assert answer.status_code == 201, answer.text
    session = sent["session_id"]
    first = sent["participants"][0]["participant_id"]
    for who, seen in (("ann", True), ("bob", True), ("cid", False), (first, False)):
        with connect(closed, session, token(who)) as socket_:
            socket_.wait_for("STATE_SYNC" if seen else "ERROR")
            assert seen or not any(m["type"].startswith("STATE") for m in socket_.messages)


def test_4401_at_exp_and_TOKEN_EXPIRING_before(closed):
    session = create(closed, "ann")
    with connect(closed, session, token("ann", lifetime=int(3 * SLOW))) as socket_:
        socket_.wait_for("TOKEN_EXPIRING")
        assert [m["type"] for m in socket_.messages][:2] == ["CONNECTED", "TOKEN_EXPIRING"]
        assert socket_.wait_closed(timeout=6)[0] == 4401


def test_REFRESH_keeps_it_open(closed):
    session = create(closed, "ann")
    with connect(closed, session, token("ann", lifetime=int(3 * SLOW))) as socket_:
        socket_.wait_for("TOKEN_EXPIRING")
        socket_.send({"type": "REFRESH", "token": token("bob")})
        assert socket_.wait_for("ERROR")["code"] == "FORBIDDEN"
        socket_.send({"type": "REFRESH", "token": "nonsense"})
        assert socket_.wait_for(lambda m: m.get("code") == "UNAUTHENTICATED")
        socket_.send({"type": "REFRESH", "token": token("ann", lifetime=600)})
        time.sleep(4 * SLOW)
        version = command(closed, session, "start", "ann")["version"]
        socket_.wait_for(lambda m: m.get("version") == version)
        assert socket_.close_code is None


@pytest.mark.parametrize("kind", ["sub", "sid", "jti"])
def test_a_revocation_reaches_open_sockets_within_1_s(closed, kind):
    who = f"{kind}-{uuid.uuid4()}"
    session = create(closed, "ann")
    names = {"sub": who, "sid": f"login-{who}", "jti": f"name-{who}"}
    text, ahead = (token(who, sid=names["sid"], jti=names["jti"], iat=int(time.time()) + more) for more in (0, 20))  # by a clock that runs ahead
    sockets = [connect(closed, session, one) for one in (text, ahead) for _ in range(3)]
    with connect(closed, session, token("other")) as other:
        for socket_ in sockets + [other]:
            socket_.wait_for("STATE_SYNC")
        began = time.monotonic()
        revoke(closed, kind, names[kind])
        for socket_ in sockets:
            assert socket_.wait_closed(timeout=1)[0] == 4401
        assert time.monotonic() - began < SLOW
        assert other.close_code is None
    late = connect(closed, session, text)
    assert late.wait_closed()[0] == 4401
    answer = requests.get(f"{closed.base_url}/v1/sessions/{session}", headers={"Authorization": f"Bearer {text}"}, timeout=10)
    assert answer.status_code == 401


def test_a_revocation_that_was_missed_counts_when_redis_is_back(make_stack):
    stack = make_stack(AUTH_REQUIRED="true", BROADCASTERS=1)
    session = create(stack, "ann")
    with connect(stack, session, token("bob")) as socket_, connect(stack, session, token("cid")) as other:
        socket_.wait_for("STATE_SYNC")
        other.wait_for("STATE_SYNC")
        # Told to nobody, as if it had been published while the link was away.
        stack.redis().set("sk:{rev:sub:bob}", int(time.time() * 1000))
        time.sleep(0.2)
        assert socket_.close_code is None
        for client in stack.redis().client_list():
            if client["name"] == "synckairos-subscriber":
                stack.redis().client_kill_filter(_id=client["id"])
        assert socket_.wait_closed(timeout=3)[0] == 4401
        assert other.close_code is None


def test_without_AUTH_REQUIRED_a_bad_token_does_no_harm(stack):
    sent = body(metadata={"visibility": "private"})
    assert requests.post(stack.base_url + "/v1/sessions", json=sent, timeout=10).status_code == 201
    with connect(stack, sent["session_id"], "nonsense") as socket_:
        socket_.wait_for("STATE_SYNC")
