"""kairosctl token: what it makes others accept, what others make it judges, and revocation reaches everything."""
import os
import subprocess
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import tokens
from stack import BIN_DIR, ROOT
from tokens import token
from watch import Watcher, body

KAIROSCTL = BIN_DIR / "kairosctl" if BIN_DIR.is_absolute() else ROOT / BIN_DIR / "kairosctl"
PLAYER = str(uuid.uuid4())


def ctl(*args, **env):
    env = {"PATH": os.environ["PATH"], "JWT_SECRET": tokens.SECRET, **env}
    return subprocess.run([KAIROSCTL, "token", *args], env=env, capture_output=True, text=True, timeout=60)


def test_mint_makes_what_others_verify():
    made = ctl("mint", "--sub", 'M"üller', "--role", "service", "--participant", PLAYER, "--sid", "s", "--jti", "j",
               "--seconds", "90", JWT_ISSUER="me", JWT_AUDIENCE="us")
    assert made.returncode == 0 and made.stderr == ""
    claims = jwt.decode(made.stdout.strip(), tokens.SECRET, algorithms=["HS256"], issuer="me", audience="us")
    assert {k: claims[k] for k in ("sub", "role", "sid", "jti", "participants")} == {
        "sub": 'M"üller', "role": "service", "sid": "s", "jti": "j", "participants": [PLAYER]}
    assert claims["exp"] - claims["iat"] == 90
    claims = jwt.decode(ctl("mint", "--sub", "u").stdout.strip(), tokens.SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 7 * 86400 and "role" not in claims


def test_mint_with_a_private_key(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "private.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    made = ctl("mint", "--sub", "u", "--key", str(file), JWT_ALGORITHM="ES256")
    assert made.returncode == 0, made.stderr
    assert jwt.decode(made.stdout.strip(), key.public_key(), algorithms=["ES256"])["sub"] == "u"
    assert ctl("mint", "--sub", "u", "--key", str(file)).returncode == 64
    assert ctl("mint", "--sub", "u", "--key", "/nowhere", JWT_ALGORITHM="ES256").returncode != 0


@pytest.mark.parametrize("args", [
    [], ["mint"], ["nonsense"], ["mint", "--sub", ""], ["mint", "--sub", "u", "--role", "root"],
    ["mint", "--sub", "u", "--seconds", "0"], ["mint", "--sub", "u", "--seconds", "1d"], ["mint", "--sub", "u", "more"],
    ["mint", "--sub", "u", "--participant", "me"], ["mint", "--sub", "a\nb"], ["inspect"], ["inspect", "a", "b"],
    ["revoke"], ["revoke", "--sub", "a", "--jti", "b"], ["revoke", "--other"],
])
def test_wrong_arguments_are_64(args):
    said = ctl(*args)
    assert said.returncode == 64 and said.stdout == "" and "kairosctl token mint" in said.stderr


def test_without_a_secret_nothing_is_made():
    said = ctl("mint", "--sub", "u", JWT_SECRET="")
    assert said.returncode == 78 and "JWT_SECRET" in said.stderr and said.stdout == ""


def test_inspect_shows_and_judges():
    good = ctl("inspect", token("ann"))
    assert good.returncode == 0
    assert '"sub":"ann"' in good.stdout.replace(" ", "") and good.stdout.endswith("accepted\n")
    over = ctl("inspect", token("ann", lifetime=-60))
    assert over.returncode == 1 and "expired" in over.stdout
    for text in (token(secret="x" * 40), "nonsense", "a.b.c", token("ann") + "."):
        bad = ctl("inspect", text)
        assert bad.returncode == 1 and "not valid" in bad.stdout
    assert tokens.SECRET not in good.stdout + over.stdout


@pytest.mark.parametrize("kind", ["sub", "sid", "jti"])
def test_revoke_shuts_out_at_once(stack, kind):
    name = f"{kind} {uuid.uuid4()}"
    claims = {"sub": "u", kind: name}
    text = token(**claims, iat=int(time.time()) - 5)
    header = {"Authorization": f"Bearer {text}"}
    assert requests.get(stack.base_url + "/v1/sessions", headers=header, timeout=10).status_code == 200
    watcher = Watcher(stack.ws_url, headers=header)
    watcher.wait_for("CONNECTED")
    said = ctl("revoke", f"--{kind}", name, REDIS_URL=f"unix://{stack.redis_socket}")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"{kind} revoked, told to ") and " 0 " not in said.stdout
    assert watcher.wait_closed(timeout=1)[0] == 4401
    refused = requests.get(stack.base_url + "/v1/sessions", headers=header, timeout=10)
    assert refused.status_code == 401 and "revoked" in refused.text
    created = requests.post(stack.base_url + "/v1/sessions", json=body(), headers=header, timeout=10)
    assert created.status_code == 401


def test_revoke_without_redis_is_69():
    said = ctl("revoke", "--sub", "u", REDIS_URL="unix:///nowhere/redis.sock")
    assert said.returncode == 69 and said.stdout == ""
