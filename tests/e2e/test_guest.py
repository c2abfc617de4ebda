"""Guest tokens: in development only, never anybody but a guest."""
import re
import subprocess
import uuid

import jwt
import pytest
import requests

import tokens
from stack import BIN_DIR, ROOT
from watch import body


def ask(stack, **sent):
    return requests.post(stack.base_url + "/v1/tokens/guest", json=sent, timeout=10)


def test_a_guest_gets_in_where_tokens_are_needed(make_stack):
    stack = make_stack(AUTH_REQUIRED=True, BROADCASTERS=1)
    data = ask(stack).json()["data"]
    assert re.fullmatch(r"guest-[0-9a-f-]{36}", data["sub"]) and data["expires_at"].endswith("Z")
    claims = jwt.decode(data["token"], tokens.SECRET, algorithms=["HS256"])
    assert claims["sub"] == data["sub"] and "role" not in claims and claims["exp"] - claims["iat"] == 86400
    mine = {"Authorization": f"Bearer {data['token']}"}
    assert requests.post(stack.base_url + "/v1/sessions", json=body(), headers=mine, timeout=10).status_code == 201
    assert ask(stack).json()["data"]["sub"] != data["sub"]
    named = ask(stack, name="demo", if_needed=True)
    assert named.json()["data"]["sub"] == "guest-demo" and named.headers["Cache-Control"] == "no-store"
    assert ask(stack, name="x" * 41).status_code == ask(stack, sub="admin").status_code == 400


def test_where_none_is_needed_none_is_given_unless_asked_for(stack):
    assert ask(stack, if_needed=True).status_code == 204
    assert ask(stack).status_code == 200


def test_without_GUEST_TOKENS_there_are_none(make_stack):
    stack = make_stack(AUTH_REQUIRED=True, GUEST_TOKENS=False, BROADCASTERS=1)
    assert ask(stack).status_code == ask(stack, if_needed=True).status_code == 401


@pytest.mark.parametrize("name", ["a\tb", "\0", "line\n", "\x7f"])
def test_a_name_that_no_token_may_hold_is_400(stack, name):
    """Else its token would be refused everywhere. U+0000 is no JSON of ours."""
    answer = ask(stack, name=name)
    assert answer.status_code == 400
    if name != "\0":
        fault, = answer.json()["error"]["details"]
        assert (fault["field"], fault["code"], fault["message"]) == ("name", "invalid_format", "Name must not contain control characters")
    assert ask(stack, name="Zoë 日本").json()["data"]["sub"] == "guest-Zoë 日本"


def test_guests_are_limited_by_address(make_stack):
    stack = make_stack(RATE_LIMIT_ENABLED=True, RATE_LIMIT_GENERAL="3/60s", BROADCASTERS=1)
    assert [ask(stack).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_make_run_keeps_a_secret_of_its_own(make_stack):
    stack = make_stack(AUTH_REQUIRED=True, JWT_SECRET=None, BROADCASTERS=1)
    secret = stack.run_dir / "jwt-secret"
    assert re.fullmatch(r"[0-9a-f]{64}", secret.read_text()) and secret.stat().st_mode & 0o077 == 0
    first = ask(stack).json()["data"]["token"]
    stack.restart()
    answer = requests.get(f"{stack.base_url}/v1/sessions/{uuid.uuid4()}", headers={"Authorization": f"Bearer {first}"}, timeout=10)
    assert answer.status_code == 404


def test_outside_development_the_programs_do_not_start_with_guests():
    program = BIN_DIR / "synckairos.fcgi" if BIN_DIR.is_absolute() else ROOT / BIN_DIR / "synckairos.fcgi"
    for name in ("production", "test"):
        said = subprocess.run([program], env={"APP_ENV": name, "GUEST_TOKENS": "true"}, capture_output=True, timeout=20)
        assert said.returncode == 78 and b"GUEST_TOKENS" in said.stderr
