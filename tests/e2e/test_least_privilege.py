"""What we ship for real deployments gives the programs what they need, and nothing else."""
import pathlib
import re
import socket
import subprocess

import psycopg2
import pytest
import requests
import redis as redis_client

from stack import BIN_DIR, PLAIN, ROOT, SLOW, until
from tokens import bearer
from watch import Watcher, body, watch

UNITS = sorted((ROOT / "etc/systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_units_are_confined(unit):
    ran = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", unit],
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"Overall exposure level for \S+: (?:[01]\.\d|2\.[0-5]) ", ran.stdout), ran.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_a_bug_in_a_program_writes_no_file_gains_no_privilege_and_reaches_no_other_address(unit):
    """Beside its own folder below /run."""
    lines = unit.read_text().splitlines()
    assert {"ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=",
            "RestrictSUIDSGID=yes", "MemoryDenyWriteExecute=yes", "IPAddressDeny=any", "IPAddressAllow=localhost", "User=synckairos"} <= set(lines)
    names = [line.partition("=")[0] for line in lines]
    assert not {"ReadWritePaths", "StateDirectory", "CacheDirectory", "LogsDirectory", "BindPaths"} & set(names)
    assert names.count("IPAddressAllow") == names.count("ProtectSystem") == names.count("CapabilityBoundingSet") == 1


def everything(stack):
    """Requests of every kind, an expiry, a watcher, the audit trail."""
    http, sent, short = requests.Session(), body(bank=600_000), body(bank=1000)
    for one in (sent, short):
        http.post(f"{stack.base_url}/v1/sessions", json=one, timeout=10 * SLOW)
    url = f"{stack.base_url}/v1/sessions/{sent['session_id']}"
    http.post(f"{stack.base_url}/v1/sessions/{short['session_id']}/start", timeout=10 * SLOW)
    with watch(stack, sent["session_id"]) as watcher:
        until(lambda: len(watcher.messages) > 1, say="the state")
        for call in ("start", "switch", "pause", "resume", "complete"):
            answer = http.post(f"{url}/{call}", headers={"Idempotency-Key": call}, timeout=10 * SLOW)
            assert answer.status_code == 200, answer.text
        until(lambda: watcher.messages[-1].get("state", {}).get("status") == "completed", say="the end")
    late = f"{stack.base_url}/v1/sessions/{short['session_id']}"
    until(lambda: http.get(late, timeout=10 * SLOW).json()["data"]["participants"][0]["has_expired"], say="the expiry")
    assert http.delete(url, timeout=10 * SLOW).status_code == 204
    until(lambda: len(http.get(f"{url}/events", timeout=10 * SLOW).json().get("data", {}).get("events", [])) == 7, 20, say="the audit trail")
    for path in ("/ready", "/metrics", "/v1/time"):
        assert http.get(stack.base_url + path, timeout=10 * SLOW).status_code == 200, path


def what_has_an_owner(stack):
    """Tokens: one's own sessions, sockets of a user, revocation."""
    url = stack.base_url + "/v1/sessions"
    sent = body()
    for _ in range(2):
        assert requests.post(url, json=sent, headers=bearer("ann"), timeout=10 * SLOW).status_code == 201
        assert len(requests.get(url, headers=bearer("ann"), timeout=10 * SLOW).json()["data"]["sessions"]) == 1
        assert requests.delete(f"{url}/{sent['session_id']}", headers=bearer("ann"), timeout=10 * SLOW).status_code == 204
    assert requests.get(url, headers=bearer("ann"), timeout=10 * SLOW).json()["data"]["sessions"] == []
    held = [Watcher(stack.ws_url, headers=bearer("ann", iat=1)) for _ in range(5)]
    for socket_ in held:
        socket_.wait_for("CONNECTED")
    until(lambda: Watcher(stack.ws_url, headers=bearer("ann", iat=1)).wait_closed()[0] == 4429, say="one too many")
    ctl = BIN_DIR / "kairosctl" if BIN_DIR.is_absolute() else ROOT / BIN_DIR / "kairosctl"
    subprocess.run([ctl, "token", "revoke", "--sub", "ann"], env={"REDIS_URL": f"unix://{stack.redis_socket}"}, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)
    for socket_ in held:
        assert socket_.wait_closed()[0] == 4401


def test_redis_users_may_do_what_the_programs_do_and_no_more(make_stack):
    stack = make_stack(POSTGRES="on", RATE_LIMIT_ENABLED=True, RATE_LIMIT_CREATE="1000/60s", RATE_LIMIT_GENERAL="1000/60s",
                       RATE_LIMIT_GET="1000/60s", RATE_LIMIT_TIME="1000/60s", RATE_LIMIT_SWITCH="1000/1s", RATE_LIMIT_WS_CONNECT="1000/60s")
    rules = re.search(r"^user synckairos on #\S+ (.*)$", (ROOT / "etc/redis/users.acl").read_text(), re.M)[1].split()
    boss = stack.redis()
    boss.execute_command("ACL", "SETUSER", "boss", "on", ">secret", "~*", "&*", "+@all")
    admin = redis_client.Redis(unix_socket_path=stack.redis_socket, username="boss", password="secret", decode_responses=True)
    admin.execute_command("ACL", "SETUSER", "default", "reset", "on", "nopass", *rules)
    for name in stack.broadcasters():
        old = stack.pid(name)
        stack.kill(name, 15)
        stack.wait_restarted(name, old)
    stack.wait_ready()
    try:
        everything(stack)
        what_has_an_owner(stack)
    finally:
        refused = {entry[entry.index("object") + 1] for entry in admin.execute_command("ACL", "LOG")}
        assert not refused, refused
    for command in (["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "SET", "save", ""], ["GET", "other"], ["SHUTDOWN"], ["PUBLISH", "other", "x"]):
        with pytest.raises(redis_client.ResponseError):
            boss.execute_command(*command)


def test_no_redis_user_may_do_what_no_program_asks_for():
    """Each command that the users' file allows stands in some source, as it is sent."""
    sources = [path.read_text() for folder in ("common", "fcgi", "broadcaster", "ctl") for path in (ROOT / folder).rglob("*") if path.suffix in (".c", ".lua")]
    for name in re.findall(r" \+(\S+)", re.search(r"^user synckairos .*$", (ROOT / "etc/redis/users.acl").read_text(), re.M)[0]):
        sent = re.compile("[\"']" + r"[\"', ]+".join(name.upper().split("|")) + r"\b")
        assert any(sent.search(text) for text in sources), name


def test_the_redis_user_may_do_what_every_script_does():
    """Also those that run only when Redis has lost something."""
    allowed = {name.partition("|")[0] for name in re.findall(r" \+(\S+)", re.search(r"^user synckairos .*$", (ROOT / "etc/redis/users.acl").read_text(), re.M)[0])}
    scripts = list((ROOT / "common/lua").rglob("*.lua"))
    called = {name.lower() for script in scripts for name in re.findall(r"redis\.p?call\('(\w+)'", script.read_text())}
    assert len(called) > 20 and called <= allowed, called - allowed


def allowed_calls(unit):
    """System calls that the filter of a unit lets through, as systemd names them."""
    sets = {}
    listing = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
    for block in re.split(r"\n(?=@)", listing):
        name, *rest = block.split("\n")
        sets[name.strip()] = [line.strip() for line in rest if line.startswith("    ") and not line.strip().startswith("#")]

    def expand(names):
        return {call for name in names for call in (expand(sets[name]) if name.startswith("@") else {name})}

    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit.read_text(), re.M):
        named = expand(line.lstrip("~").split())
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def system_calls(make_stack, tmp_path):
    folder = pathlib.Path(tmp_path)
    folder.chmod(0o777)
    stack = make_stack(POSTGRES="on", WRAP=f"strace -D -ff -qq -o {folder}/trace", START_SECONDS=60)
    everything(stack)
    stack.stop()
    made = {"synckairos.fcgi": set(), "synckairos-broadcaster": set()}
    for trace in folder.glob("trace.*"):
        text = trace.read_text(errors="replace")
        calls = set(re.findall(r"^([a-z_0-9]+)\(", text, re.M))
        program = re.search(r'execve\("[^"]*/(synckairos[.-]\w+)"', text)
        made[program[1] if program else "synckairos-broadcaster"] |= calls
    for unit, program in (("synckairos-fcgi.service", "synckairos.fcgi"), ("synckairos-broadcaster@.service", "synckairos-broadcaster")):
        assert len(made[program]) > 30
        forbidden = made[program] - allowed_calls(ROOT / "etc/systemd" / unit)
        assert not forbidden, f"{program}: {sorted(forbidden)}"


if PLAIN:

    def test_programs_make_no_system_call_that_the_units_forbid(make_stack, tmp_path):
        system_calls(make_stack, tmp_path)



FORBIDDEN = (
    "DROP TABLE sync_events", "DROP TABLE sync_sessions", "TRUNCATE sync_events", "DELETE FROM sync_events", "UPDATE sync_events SET actor = 'me'",
    "DELETE FROM sync_sessions", "ALTER TABLE sync_sessions ADD x integer", "CREATE TABLE mine (x integer)", "SELECT sync_events_retain(0)",
    "DROP FUNCTION sync_events_extend(integer)", "UPDATE schema_migrations SET checksum = ''", "CREATE ROLE other",
)


def test_postgres_role_of_the_programs_writes_the_trail_and_cannot_touch_it(make_stack):
    stack = make_stack(POSTGRES="on")
    until(lambda: (stack.run_dir / "migrated").exists(), 20, say="the tables")
    url = f"postgresql:///synckairos?host={stack.run_dir}/postgres.sock&user="
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROOT / "etc/postgresql/roles.sql", url + "synckairos"], check=True)
    for name in stack.broadcasters():
        stack.hold(name)
        stack.kill(name, 15)
    env = {"PATH": "/usr/bin", "APP_ENV": "development", "AUTH_REQUIRED": "false", "REDIS_URL": f"unix://{stack.redis_socket}", "METRICS_PORT": "0",
           "WS_PORT": str(stack.ws_port), "STATUS_FILE": f"{stack.run_dir}/status", "DATABASE_URL": url + "synckairos_app",
           "AUDIT_RETENTION_DAYS": "0"}
    log = stack.dir / "confined.log"
    ours = subprocess.Popen([BIN_DIR / "synckairos-broadcaster"], env=env, stderr=log.open("wb"), cwd=ROOT)
    try:
        until(lambda: not stack.broadcasters(), say="the end of the others")
        until(lambda: socket.socket().connect_ex(("127.0.0.1", stack.ws_port)) == 0, say="the one that takes their place")
        everything(stack)
        assert '"level":"error"' not in log.read_text()
    finally:
        ours.terminate()
        ours.wait(30)
    database = psycopg2.connect(url + "synckairos_app")
    database.autocommit = True
    with database.cursor() as cursor:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
    database.close()
