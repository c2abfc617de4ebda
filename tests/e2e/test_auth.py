"""Tokens, as other programs make them, through everything."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import tokens
from fcgi_client import Request, get
from raw_socket import RawSocket
from stack import BIN_DIR, ROOT, SLOW, Stack, free_port, until
from tokens import bearer, token
from watch import body


@pytest.fixture(scope="module")
def closed():
    """A stack as an operator gets it: without AUTH_REQUIRED, which is true then."""
    s = Stack(AUTH_REQUIRED="true", BROADCASTERS=1, ALLOWED_ORIGINS="")
    yield s
    s.close()


def ask(stack, method, path, headers=None, **options):
    return requests.request(method, stack.base_url + path, headers=headers or {}, timeout=10, **options)


ROUTE = re.compile(r"\{ METHOD_(\w+), +((?:ONE|\"[^\"]*\"| )+), +AUTH_")
PUBLIC = {"/health", "/ready", "/v1/time", "/api-docs.json", "/asyncapi.json"}
OPERATORS = {"/metrics", "/status"}  # missing to strangers


def route_table():
    """Each row of the routes' tables, those too that the description leaves out."""
    rows = []
    for file in sorted((ROOT / "fcgi/api").glob("*.c")):
        text = file.read_text()
        one = re.search(r'#define ONE ("[^"]*")', text)
        found = [(method, "".join(re.findall(r'"([^"]*)"', path.replace("ONE", one[1] if one else "ONE")))) for method, path in ROUTE.findall(text)]
        assert len(found) == len(re.findall(r"\{ METHOD_", text)), file
        rows += found
    return rows


@pytest.fixture
def bare(closed, tmp_path):
    """Both programs with no settings but those that say where things are; (the workers' socket, the port of /ws, the processes)."""
    bin_dir = BIN_DIR if BIN_DIR.is_absolute() else ROOT / BIN_DIR
    ws_port = free_port()
    env = {"REDIS_URL": f"unix://{closed.redis_socket}", "KEY_PREFIX": "bare:", "STATUS_FILE": str(tmp_path / "status"), "FCGI_LISTEN": f"unix:{tmp_path}/fcgi.sock",
           "WS_PORT": str(ws_port), "METRICS_PORT": str(free_port()), "JWT_SECRET": tokens.SECRET}
    with open(tmp_path / "log", "wb") as log:
        running = [subprocess.Popen([bin_dir / name], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log) for name in ("synckairos.fcgi", "synckairos-broadcaster")]

    def is_up():
        try:
            return requests.get(f"http://127.0.0.1:{ws_port}/ready", timeout=5).ok and get(str(tmp_path / "fcgi.sock"))[0] == 200
        except OSError:
            return False

    try:
        until(is_up, 20, say=(tmp_path / "log").read_text)
        yield str(tmp_path / "fcgi.sock"), ws_port, running
    finally:
        for process in running:
            process.terminate()
        assert [process.wait(30 * SLOW) for process in running] == [0, 0], (tmp_path / "log").read_text()


def test_default_settings_answer_401_to_everybody_without_a_token(closed, bare):
    """The whole table, in every spelling of a path, asked for as only the web server can; each from an address of its own, for failed attempts count."""
    door, ws_port, _ = bare
    rows = route_table()
    described = described_paths(closed)
    assert len(rows) == len(set(rows)) and described < set(rows)
    assert {path for method, path in set(rows) - described} == OPERATORS | {"/v1/tokens/guest"}
    asked = 0
    for method, path in rows:
        url = path.replace("{id}", str(uuid.uuid4())).replace("{pid}", str(uuid.uuid4()))
        spellings = [url] + ([base + url[3:] for base in ("/api", "/api/v1")] if url.startswith("/v1/") else []) + [url + "/", url.replace("s", "%73")]
        for spelling in spellings:
            for how in [method, "HEAD"] if method == "GET" else [method]:
                asked += 1
                body = {"body": b"{}"} if how in ("POST", "PATCH") else {}
                request = Request(door, spelling, how, REMOTE_ADDR=f"192.0.2.{asked}", REMOTE_USER="admin", AUTH_TYPE="Bearer", **body)
                status, text = (request.send_body() if body else request).answer()
                if path in PUBLIC | OPERATORS:
                    assert status == (200 if path in PUBLIC else 404), f"{how} {spelling}"
                    continue
                assert status == 401 and "\r\nWWW-Authenticate: Bearer\r\n" in text, f"{how} {spelling}: {text}"
                assert how == "HEAD" or json.loads(text.partition("\r\n\r\n")[2])["error"]["code"] == "UNAUTHENTICATED"
    assert 100 < asked < 255
    for query, headers in (("", ""), (f"?sessionId={uuid.uuid4()}", ""), ("?token=", ""), ("", "Sec-WebSocket-Protocol: synckairos.v1\r\n"),
                           ("?sessionId=x", "Sec-WebSocket-Protocol: synckairos.v1, bearer.x\r\n")):
        with RawSocket(ws_port, "/ws" + query, headers + "Origin: http://elsewhere.example\r\n") as raw:
            assert raw.status == 401 and "\r\nWWW-Authenticate: Bearer" in raw.head and b'"UNAUTHENTICATED"' in raw.rest


def test_open_production_is_shown_and_opens_sync_sessions_alone(make_stack):
    stack = make_stack(APP_ENV="production", AUTH_REQUIRED="false", ALLOW_ANONYMOUS="sync", GUEST_TOKENS="false", BROADCASTERS=1)
    for url in (stack.base_url, f"http://127.0.0.1:{stack.ws_port}"):
        assert requests.get(url + "/health", timeout=10).json()["anonymous"] == "sync"
    line, = [line for line in map(json.loads, stack.log("fcgi").splitlines()) if line["message"] == "anonymous_access"]
    assert (line["level"], line["to"]) == ("warn", "sync")
    assert ask(stack, "POST", "/v1/sessions", json=body()).status_code == 201
    assert ask(stack, "GET", "/v1/sessions").status_code == 401
    assert ask(stack, "POST", "/v1/tokens/guest", json={}).status_code == 204, "no token is given"


def listens_on(pid):
    """The addresses that a process listens on."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}").partition("[")[2].rstrip("]"))
        except FileNotFoundError:
            pass
    found = set()
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                words = bytes.fromhex(local.partition(":")[0])
                found.add(socket.inet_ntop(family, b"".join(words[k:k + 4][::-1] for k in range(0, len(words), 4))))
    return found


def test_by_default_nothing_listens_beyond_this_machine(bare, tmp_path):
    door, _, (workers, broadcaster) = bare
    assert listens_on(workers.pid) == set() and listens_on(broadcaster.pid) == {"127.0.0.1"}
    assert stat.S_IMODE(os.stat(door).st_mode) == 0o660
    port = free_port()
    redis = subprocess.Popen(["redis-server", ROOT / "etc/redis/redis.conf", "--port", str(port), "--dir", tmp_path], stdout=subprocess.DEVNULL)
    try:
        until(lambda: listens_on(redis.pid), say="Redis")
        assert listens_on(redis.pid) <= {"127.0.0.1", "::1"}
    finally:
        redis.terminate()
        redis.wait(30 * SLOW)


def described_paths(stack):
    """(method, path) of all that /api-docs.json describes."""
    doc = ask(stack, "GET", "/api-docs.json").json()
    return {(method.upper(), path) for path, item in doc["paths"].items() for method in item if method in ("get", "post", "put", "patch", "delete")}


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


def test_keys_are_replaced_while_it_runs(make_stack, tmp_path):
    """A file with the old key and the new one, HUP and a fresh broadcaster: nobody is shut out. One that is broken gets no further than a worker that does not start."""
    tmp_path.chmod(0o755)
    file = tmp_path / "keys.pem"
    old, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    file.write_bytes(pem(old))
    stack = make_stack(AUTH_REQUIRED="true", JWT_ALGORITHM="ES256", JWT_PUBLIC_KEY_FILE=file, BROADCASTERS=1, FCGI_WORKERS=1)

    def statuses():
        sent = [{"Authorization": "Bearer " + jwt.encode({"sub": "u", "exp": int(time.time()) + 60}, key, algorithm="ES256")} for key in (old, new)]
        asked = [ask(stack, "GET", f"/v1/sessions/{uuid.uuid4()}", headers).status_code for headers in sent]
        opened = []
        for headers in sent:
            with RawSocket(stack.port, "/ws", f"Authorization: {headers['Authorization']}\r\n") as raw:
                opened.append(raw.status)
        return asked, opened

    def become(asked, opened):
        until(lambda: statuses() == (asked, opened), 20, every=0.2, say=lambda: f"{asked, opened}, not {statuses()}")

    def replace_broadcaster():
        pid = stack.pid("broadcaster-0")
        stack.kill("broadcaster-0", 15)
        stack.wait_restarted("broadcaster-0", pid)

    assert statuses() == ([404, 401], [101, 401])
    file.write_bytes(pem(old) + pem(new))
    assert statuses() == ([404, 401], [101, 401]), "nobody has been told"
    stack.kill("fcgi", signal.SIGHUP)
    replace_broadcaster()
    become([404, 404], [101, 101])
    file.write_bytes(pem(new)[:-40])
    stack.kill("fcgi", signal.SIGHUP)
    until(lambda: "restart_given_up" in stack.log("fcgi"), 20, say="the broken file to be refused")
    assert "JWT_PUBLIC_KEY_FILE: " in stack.log("fcgi") and statuses() == ([404, 404], [101, 101])
    file.write_bytes(pem(new))
    stack.kill("fcgi", signal.SIGHUP)
    replace_broadcaster()
    become([401, 404], [401, 101])


def test_no_token_is_in_any_log(closed):
    """Taken or refused, and where the web server has an error of its own to tell."""
    text = token("somebody.secret@example.org", jti="the name of a token")
    for sent in (text, text + "x"):
        ask(closed, "GET", f"/v1/sessions/{uuid.uuid4()}", {"Authorization": f"Bearer {sent}"})
        ask(closed, "GET", f"/v1/nothing?token={sent}")
        for path, headers in ((f"/ws?token={sent}", ""), ("/ws", f"Authorization: Bearer {sent}\r\n"), ("/ws", f"Sec-WebSocket-Protocol: synckairos.v1, bearer.{sent}\r\n"),
                              (f"/ws/?token={sent}", ""), (f"/WS?token={sent}", ""), (f"/ws?token={sent}", "X: " + "a" * 9000 + "\r\n")):
            RawSocket(closed.port, path, headers).close()
    old = closed.pid("broadcaster-0")
    closed.hold("broadcaster-0")
    try:
        closed.kill("broadcaster-0")
        with RawSocket(closed.port, f"/ws?token={text}") as raw:
            assert raw.status == 503
    finally:
        closed.release("broadcaster-0")
        closed.wait_restarted("broadcaster-0", old)
    closed.wait_ready()
    for name in closed.names():
        log = closed.log(name)
        assert text[:40] not in log and text.split(".")[1] not in log and "example.org" not in log, name
    until(lambda: closed.access_log().count("/ws HTTP") >= 8, say="the lines of /ws")
    assert text.split(".")[1] not in closed.access_log()
    assert json.dumps(closed.output()).find(text[:40]) < 0
