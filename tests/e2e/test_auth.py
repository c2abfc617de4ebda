"""Tokens, as other programs make them, through everything."""

import json
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import tokens
from tokens import bearer, token
from watch import body


@pytest.fixture(scope="module")
def closed():
    """A stack as an operator gets it: without AUTH_REQUIRED, which is true then."""
    from stack import Stack

    s = Stack(AUTH_REQUIRED="true", BROADCASTERS=1, ALLOWED_ORIGINS="")
    yield s
    s.close()


def ask(stack, method, path, headers=None, **options):
    return requests.request(method, stack.base_url + path, headers=headers or {}, timeout=10, **options)


def test_default_settings_answer_401_to_everybody_without_a_token(closed):
    doc = ask(closed, "GET", "/api-docs.json").json()
    public = {"/health", "/ready", "/v1/time", "/api-docs.json", "/asyncapi.json"}
    for path, item in doc["paths"].items():
        for method in item:
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            url = path.replace("{id}", str(uuid.uuid4())).replace("{pid}", str(uuid.uuid4()))
            answer = ask(closed, method, url)
            if path in public:
                assert answer.status_code == 200, path
                continue
            assert answer.status_code == 401, f"{method} {path}: {answer.text}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["error"]["code"] == "UNAUTHENTICATED"


def test_a_token_opens_what_its_sub_owns(closed):
    sent = body(metadata={"visibility": "private"})
    path = f"/v1/sessions/{sent['session_id']}"
    assert ask(closed, "POST", "/v1/sessions", bearer("ann"), json=sent).status_code == 201
    assert ask(closed, "GET", path, bearer("ann")).json()["data"]["owner"] == "ann"
    assert ask(closed, "GET", path, bearer("bob")).status_code == 404
    first = sent["participants"][0]["participant_id"]
    assert ask(closed, "POST", path + "/start", bearer(first)).status_code == 403
    assert ask(closed, "POST", path + "/start", bearer("ann")).status_code == 200
    assert ask(closed, "POST", path + "/switch", bearer("table", participants=[first])).status_code == 200
    listed = ask(closed, "GET", "/v1/sessions", bearer("ann")).json()["data"]["sessions"]
    assert [s["session_id"] for s in listed] == [sent["session_id"]]


@pytest.mark.parametrize("claims", [
    {"lifetime": -31}, {"nbf": int(time.time()) + 600}, {"sub": None}, {"exp": None}, {"role": "root"},
    {"secret": tokens.SECRET + "!"}, {"sub": ""}, {"sub": 7},
])
def test_a_bad_token_is_401(closed, claims):
    assert ask(closed, "GET", f"/v1/sessions/{uuid.uuid4()}", bearer(**claims)).status_code == 401


def test_unsigned_and_foreign_algorithms_are_401(closed):
    claims = {"sub": "u", "exp": int(time.time()) + 60}
    for text in (jwt.encode(claims, "", algorithm="none"), jwt.encode(claims, tokens.SECRET, algorithm="HS512")):
        answer = ask(closed, "GET", f"/v1/sessions/{uuid.uuid4()}", {"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_public_keys_of_a_file(make_stack, tmp_path):
    tmp_path.chmod(0o755)
    file = tmp_path / "keys.pem"
    keys = {"RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate()}
    stack = None
    for algorithm, key in keys.items():
        file.write_bytes(pem(key))
        settings = {"AUTH_REQUIRED": "true", "JWT_ALGORITHM": algorithm, "JWT_PUBLIC_KEY_FILE": file,
                    "BROADCASTERS": 1, "FCGI_WORKERS": 1}
        if stack is None:
            stack = make_stack(**settings)
        else:
            stack.restart(**settings)
        for other, other_key in keys.items():
            text = jwt.encode({"sub": "u", "exp": int(time.time()) + 60}, other_key, algorithm=other)
            answer = ask(stack, "GET", f"/v1/sessions/{uuid.uuid4()}", {"Authorization": f"Bearer {text}"})
            assert answer.status_code == (404 if other == algorithm else 401)
        answer = ask(stack, "GET", f"/v1/sessions/{uuid.uuid4()}", bearer())
        assert answer.status_code == 401, "the secret counts for HS256 alone"


def test_no_token_is_in_any_log(closed):
    text = token("somebody.secret@example.org", jti="the name of a token")
    ask(closed, "GET", f"/v1/sessions/{uuid.uuid4()}", {"Authorization": f"Bearer {text}"})
    ask(closed, "GET", f"/v1/sessions/{uuid.uuid4()}", {"Authorization": f"Bearer {text}x"})
    for name in closed.names():
        log = closed.log(name)
        assert text[:40] not in log and text.split(".")[1] not in log and "example.org" not in log, name
    assert text.split(".")[1] not in closed.access_log()
    assert json.dumps(closed.output()).find(text[:40]) < 0
