"""kairosctl check-config and doctor: all is well, and each thing that is broken on purpose is found."""
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

import tokens
from delay_proxy import DelayProxy
from postgres import connect, rows
from stack import BIN_DIR, ROOT, SLOW, free_port, until

KAIROSCTL = BIN_DIR / "kairosctl" if BIN_DIR.is_absolute() else ROOT / BIN_DIR / "kairosctl"


def settings(stack):
    """What `make run` says that its programs were started with."""
    return dict(re.findall(r'^(\w+)="(.*)"$', (stack.run_dir / "settings").read_text(), re.M))


def ctl(*args, **env):
    return subprocess.run([KAIROSCTL, *args], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=60 * SLOW)


def doctor(stack, *args, **changes):
    """{check: line} with those settings changed; None takes one away."""
    env = {name: value for name, value in {**settings(stack), **changes}.items() if value is not None}
    said = ctl("doctor", "--json", "--idle=0", f"--url={stack.base_url}", *args, **env)
    lines = json.loads(said.stdout)
    assert said.returncode == int(any(line["level"] != "ok" for line in lines)), said.stdout
    assert all(("remedy" in line) == (line["level"] != "ok") for line in lines)
    return {line["check"]: line for line in lines}


def bad(lines):
    return {check: line["level"] for check, line in lines.items() if line["level"] != "ok"}


def finds(lines, check, level, remedy):
    line = lines[check]
    return line["level"] == level and remedy in line["remedy"]


@pytest.fixture(scope="module")
def well(make_module_stack):
    """A stack that every test leaves as it was."""
    stack = make_module_stack(POSTGRES="on", BROADCASTERS=1)
    stack.database().close()
    until(lambda: doctor(stack)["service's postgres"]["level"] == "ok", say="PostgreSQL")
    return stack


@pytest.fixture(scope="module")
def make_module_stack():
    from stack import Stack

    made = []

    def make(**env):
        made.append(Stack(**env))
        return made[-1]

    yield make
    for stack in made:
        stack.close()


@pytest.fixture
def nginx(well):
    """change(piece, old, new): another configuration until the test is over."""
    pieces = {}

    def change(piece, old, new):
        path = well.run_dir / f"synckairos-{piece}.conf"
        text = path.read_text()
        assert old in text
        pieces[path] = os.readlink(path)
        path.unlink()
        path.write_text(text.replace(old, new))
        well.kill("nginx", 1)

    yield change
    for path, target in pieces.items():
        path.unlink()
        path.symlink_to(target)
    well.kill("nginx", 1)
    until(lambda: not bad(doctor(well)), say="nginx as it was")


class Rewriter:
    """Between kairosctl and a Redis (the path of its socket) or a web server (its port): replaces bytes of its answers."""

    def __init__(self, target, pattern, new):
        self.target, self.pattern, self.new = target, pattern, new
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = f"redis://{self.address}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if isinstance(self.target, int):
                server = socket.create_connection(("127.0.0.1", self.target))
            else:
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
            threading.Thread(target=self._pass, args=(client, server, lambda b: b), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, self._rewrite), daemon=True).start()

    def _rewrite(self, data):
        return re.sub(self.pattern, self.new, data)

    @staticmethod
    def _pass(source, sink, fn):
        try:
            while data := source.recv(1 << 20):
                sink.sendall(fn(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


# --- check-config ---


def test_check_config_prints_the_settings_in_force_without_secrets():
    said = ctl("check-config", WS_PORT="4000", JWT_SECRET=tokens.SECRET, REDIS_URL="redis://:hidden@host")
    assert said.returncode == 0 and said.stderr == ""
    assert "\nWS_PORT=4000\n" in said.stdout and "\nPORT=3000\n" in said.stdout and "\nJWT_SECRET=" in said.stdout
    assert tokens.SECRET not in said.stdout and "hidden" not in said.stdout


def test_check_config_names_every_fault_and_exits_78():
    said = ctl("check-config", WS_PORT="nine", LOG_LEVEL="loud", JWT_SECRET="short", WS_MAX_CLIENT="1")
    assert said.returncode == 78 and said.stdout == ""
    for fault in ("WS_PORT: ", "LOG_LEVEL: ", "JWT_SECRET: ", "WS_MAX_CLIENT is no setting, did you mean WS_MAX_CLIENTS"):
        assert fault in said.stderr
    assert ctl("check-config", "x").returncode == 64


# --- all is well ---


def test_doctor_is_all_green_on_make_run(well):
    said = subprocess.run(["make", "-s", "doctor", f"BUILD={KAIROSCTL.parent}", f"RUN_DIR={well.run_dir}", "PORT=1", "HOST="],
                          cwd=ROOT, capture_output=True, text=True, timeout=60 * SLOW, env={"PATH": os.environ["PATH"]})
    assert said.returncode == 0, said.stdout + said.stderr
    lines = said.stdout.splitlines()
    assert len(lines) > 25 and all(line.startswith("ok  ") for line in lines), said.stdout
    assert re.search(r"a quiet socket lived for 6000 ms", said.stdout)


def test_doctor_is_all_green_where_tokens_are_needed_and_finds_another_secret(make_stack):
    stack = make_stack(POSTGRES="on", AUTH_REQUIRED="true", BROADCASTERS=1)
    stack.database().close()
    until(lambda: not bad(doctor(stack)), say=lambda: bad(doctor(stack)))
    other = doctor(stack, JWT_SECRET="another random secret of 32 characters")
    ways = ("token in a header", "token in the address", "token as a protocol")
    for check in ("rest token", *ways):
        assert other[check]["level"] == "FAIL", check
    assert "JWT settings" in other["rest token"]["remedy"]
    none = doctor(stack, JWT_SECRET=None)
    assert finds(none, "token key", "FAIL", "JWT_SECRET")
    assert all(finds(none, way, "warn", "--token") for way in ways)
    given = doctor(stack, "--token=" + tokens.token("somebody"), JWT_SECRET=None)
    assert set(bad(given)) == {"token key"}


def test_doctor_speaks_tls_and_trusts_nobody_unknown(well, tmp_path):
    key, cert = tmp_path / "key", tmp_path / "cert"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve():
        while True:
            try:
                client, _ = listener.accept()
                tls = context.wrap_socket(client, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", well.port))
            for pair in ((tls, server), (server, tls)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    url = f"--url=https://localhost:{listener.getsockname()[1]}"
    assert not bad(doctor(well, url, SSL_CERT_FILE=str(cert)))
    unknown = doctor(well, url, SSL_CERT_FILE="/nowhere")
    assert finds(unknown, "web server", "FAIL", "PORT") and "trusted certificate" in unknown["web server"]["finding"]
    listener.close()


# --- settings and host ---


def test_doctor_finds_faults_of_the_settings(well):
    lines = doctor(well, LOG_LEVEL="loud")
    assert finds(lines, "settings", "FAIL", "correct this") and "LOG_LEVEL" in lines["settings"]["finding"]


def test_doctor_names_what_is_set_and_is_no_setting(well):
    line = doctor(well, REDIS_SENTINEL_HOSTS="a:1,b:1", RATE_LIMIT_GETS="5")["settings"]
    assert line["level"] == "ok"
    assert set(line["finding"].rpartition("without effect: ")[2].split(", ")) == {"RATE_LIMIT_GETS", "REDIS_SENTINEL_HOSTS"}


def test_doctor_finds_a_weak_secret(well):
    assert finds(doctor(well, JWT_SECRET="abc" * 12), "token key", "warn", "openssl rand")


def test_doctor_finds_what_production_should_not_have(well):
    lines = doctor(well, APP_ENV="production", GUEST_TOKENS=None, ALLOW_ANONYMOUS="sync", METRICS_HOST="::ffff:127.0.0.1")
    assert finds(lines, "anonymous callers", "warn", "AUTH_REQUIRED=true")
    assert finds(lines, "redis memory", "warn", "maxmemory")
    assert finds(lines, "redis user", "warn", "users.acl")
    assert finds(lines, "metrics", "warn", "METRICS_HOST=127.0.0.1")


def test_doctor_finds_no_status_file_and_no_room_for_open_files(well):
    assert finds(doctor(well, STATUS_FILE="/nowhere/status"), "status file", "FAIL", "STATUS_FILE")
    assert finds(doctor(well, WS_MAX_CLIENTS="9000000"), "open files", "warn", "LimitNOFILE")


def test_doctor_finds_metrics_that_nobody_answers(well):
    assert finds(doctor(well, METRICS_PORT=str(free_port())), "metrics", "FAIL", "METRICS_PORT")


# --- Redis ---


def test_doctor_finds_that_redis_is_away(well):
    assert finds(doctor(well, REDIS_URL="unix:///nowhere"), "redis", "FAIL", "REDIS_URL")


@pytest.mark.parametrize("pattern,new,check,level,remedy", [
    (rb"redis_version:7", b"redis_version:5", "redis version", "FAIL", "7.0"),
    (rb"aof_last_write_status:ok", b"aof_last_write_status:no", "redis append-only file", "FAIL", "disk"),
    (rb"aof_last_bgrewrite_status:ok", b"aof_last_bgrewrite_status:no", "redis append-only file", "FAIL", "disk"),
    (rb"maxclients:10000", b"maxclients:00001", "redis connections", "warn", "maxclients"),
    (rb"\*2\r\n\$10\r\n(\d{8})\d\d", rb"*2\r\n$10\r\n\g<1>00", "clocks", "warn", "NTP"),
], ids=["version", "append-only file", "rewrite", "connections", "clock"])
def test_doctor_finds_another_redis(well, pattern, new, check, level, remedy):
    with Rewriter(well.redis_socket, pattern, new) as rewriter:
        until(lambda: finds(doctor(well, REDIS_URL=rewriter.url), check, level, remedy), say=check)


@pytest.fixture
def second_redis(tmp_path):
    """start(*options): another Redis; returns its URL."""
    started = []

    def start(*options, kind=("--save", "", "--appendonly", "yes")):
        path, conf = tmp_path / "s", tmp_path / "conf"
        conf.touch()
        started.append(subprocess.Popen(["redis-server", conf, "--port", "0", "--unixsocket", path, "--dir", tmp_path, *kind, *options],
                                        stdout=subprocess.DEVNULL))
        until(path.exists, say="Redis")
        return f"unix://{path}"

    yield start
    for process in started:
        process.terminate()
        process.wait()


def test_doctor_finds_a_replica(well, second_redis):
    url = second_redis("--replicaof", "127.0.0.1", "1")
    assert finds(doctor(well, REDIS_URL=url), "redis role", "FAIL", "REDIS_URL")


def test_doctor_finds_a_part_of_a_cluster(well, second_redis):
    lines = doctor(well, REDIS_URL=second_redis("--cluster-enabled", "yes", "--port", str(free_port())))
    assert finds(lines, "redis role", "FAIL", "cluster-enabled no")


def test_doctor_takes_a_sentinel_for_no_redis(well, second_redis):
    lines = doctor(well, REDIS_URL=second_redis("--sentinel", kind=()))
    assert finds(lines, "redis role", "FAIL", "Sentinel watches") and "redis eviction" not in lines and "clocks" not in lines


def test_doctor_says_that_it_does_not_look_at_the_clocks_of_replicas(well, second_redis, tmp_path):
    main = second_redis("--port", str(port := free_port()))
    replica = tmp_path / "replica"
    replica.mkdir()
    copy = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", replica / "s", "--dir", replica, "--replicaof", "127.0.0.1", str(port)], stdout=subprocess.DEVNULL)
    try:
        until(lambda: "its 1 replicas are not looked at" in doctor(well, REDIS_URL=main)["clocks"]["finding"], say="the replica")
    finally:
        copy.terminate()
        copy.wait()


def test_doctor_finds_what_the_redis_user_is_not_told(well, second_redis):
    lines = doctor(well, REDIS_URL=second_redis("--user", *"default on nopass ~* &* +@all -time -xlen".split()))
    assert finds(lines, "clocks", "FAIL", "TIME") and finds(lines, "audit trail", "FAIL", "users.acl")


@pytest.mark.parametrize("name,value,check,level,remedy", [
    ("maxmemory-policy", "allkeys-lru", "redis eviction", "FAIL", "noeviction"),
    ("appendonly", "no", "redis append-only file", "FAIL", "appendonly yes"),
    ("appendfsync", "no", "redis append-only file", "warn", "everysec"),
    ("maxmemory", None, "redis memory", "warn", "maxmemory"),
])
def test_doctor_finds_settings_of_redis(well, name, value, check, level, remedy):
    redis = well.redis()
    before = redis.config_get(name)[name]
    redis.config_set(name, value or int(redis.info("memory")["used_memory"] * 1.1))
    try:
        assert finds(doctor(well), check, level, remedy)
    finally:
        redis.config_set(name, before)
        until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"], say="the rewrite")


def test_doctor_finds_a_snapshot_that_failed(well):
    redis = well.redis()
    in_the_way = well.run_dir / "redis" / "dump.rdb"
    in_the_way.mkdir()
    redis.bgsave()
    until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err", say="the failure")
    try:
        assert finds(doctor(well), "redis snapshot", "FAIL", "BGSAVE")
    finally:
        in_the_way.rmdir()
        redis.bgsave()
        until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "ok", say="another")
        in_the_way.unlink()


def test_doctor_finds_records_that_were_refused(well):
    key = "sk:{s07}:audit:dead"
    well.redis().xadd(key, {"d": "x", "error": "42P01"})
    try:
        assert finds(doctor(well), "audit trail", "warn", "audit:dead")
    finally:
        well.redis().delete(key)


def test_doctor_finds_that_no_broadcaster_runs(well):
    well.hold("broadcaster-0")
    old = well.kill("broadcaster-0")
    key = "sk:{s63}:audit"
    well.redis().delete(key)
    well.redis().xadd(key, {"d": "x"}, id="1-1")
    try:
        until(lambda: not well.redis().exists("sk:timekeeper"), say="its sign of life to go")
        lines = doctor(well)
        assert finds(lines, "timekeeper", "FAIL", "synckairos-broadcaster")
        assert finds(lines, "open files", "warn", "synckairos-broadcaster")
        assert finds(lines, "metrics", "FAIL", "broadcaster")
        assert finds(lines, "audit trail", "warn", "PostgreSQL")
        assert finds(lines, "token in a header", "FAIL", "synckairos-broadcaster")
    finally:
        well.redis().delete(key)
        well.release("broadcaster-0")
        well.wait_restarted("broadcaster-0", old)
        until(lambda: not bad(doctor(well)), say="all to be well")


# --- PostgreSQL ---


def test_doctor_finds_that_postgresql_is_away_or_not_wanted(well):
    assert finds(doctor(well, DATABASE_URL="postgresql:///x?host=/nowhere"), "postgres", "FAIL", "DATABASE_URL")
    assert finds(doctor(well, DATABASE_URL=None), "postgres", "warn", "kairosctl migrate")


def test_doctor_finds_migrations_that_are_missing_changed_or_hidden(well):
    db = connect(well.database_url)
    rows(db, "CREATE DATABASE empty")
    try:
        lines = doctor(well, DATABASE_URL=well.database_url.replace("/synckairos?", "/empty?"))
        assert finds(lines, "migrations", "FAIL", "kairosctl migrate")
    finally:
        rows(db, "DROP DATABASE empty WITH (FORCE)")
    rows(db, "UPDATE schema_migrations SET checksum = 'x' || checksum")
    assert finds(doctor(well), "migrations", "FAIL", "release")
    rows(db, "UPDATE schema_migrations SET checksum = substr(checksum, 2)")
    rows(db, "CREATE ROLE nobody LOGIN")
    try:
        lines = doctor(well, DATABASE_URL=well.database_url.replace("user=synckairos", "user=nobody"))
        assert finds(lines, "migrations", "FAIL", "schema_migrations")
    finally:
        rows(db, "DROP ROLE nobody")


def test_doctor_finds_that_connections_run_out(well):
    held = [connect(well.database_url) for _ in range(41)]
    try:
        assert finds(doctor(well), "postgres connections", "warn", "pgbouncer")
    finally:
        for connection in held:
            connection.close()


def test_doctor_finds_that_the_service_has_no_postgresql(well):
    well.hold("postgres")
    old = well.kill("postgres", 3)
    try:
        until(lambda: finds(doctor(well), "service's postgres", "FAIL", "DATABASE_URL"), say="/health")
    finally:
        well.release("postgres")
        well.wait_restarted("postgres", old, 30)
        until(lambda: not bad(doctor(well)), 30, say="PostgreSQL")


# --- the web server ---


def test_doctor_finds_that_no_web_server_answers(well):
    assert finds(doctor(well, f"--url=http://localhost:{free_port()}"), "web server", "FAIL", "PORT")
    assert finds(doctor(well, "--url=localhost"), "web server", "FAIL", "--url=")
    env = {**settings(well), "PORT": str(free_port())}
    assert f"localhost port {env['PORT']}" in ctl("doctor", **env).stdout


def test_doctor_finds_that_no_worker_answers(well):
    well.hold("fcgi")
    old = well.kill("fcgi", 15)
    try:
        until(lambda: well.pid("fcgi") is None, say="the workers to be gone")
        assert finds(doctor(well), "fastcgi", "FAIL", "FCGI_LISTEN")
    finally:
        well.release("fcgi")
        well.wait_restarted("fcgi", old)
        well.wait_ready()


def test_doctor_finds_that_the_workers_have_no_redis(well, second_redis):
    url = second_redis()
    well.hold("redis")
    old = well.kill("redis", 15)
    try:
        until(lambda: well.pid("redis") is None, say="Redis to be gone")
        assert finds(doctor(well, REDIS_URL=url), "workers' redis", "FAIL", "REDIS_URL")
    finally:
        well.release("redis")
        well.wait_restarted("redis", old)
        until(lambda: not bad(doctor(well)), say="all to be well")


@pytest.mark.parametrize("piece,old,new,check,remedy", [
    ("locations", "(?:v1|api|", "(?:api|", "rest", "fastcgi_pass"),
    ("fastcgi", "fastcgi_keep_conn off;", 'fastcgi_keep_conn off; fastcgi_param HTTP_AUTHORIZATION "";', "rest token", "CGIPassAuth"),
    ("locations", "proxy_buffering off;", 'proxy_buffering off; proxy_set_header Authorization "";', "token in a header", "Authorization"),
    ("locations", "proxy_buffering off;", 'proxy_buffering off; set $args "";', "token in the address", "query string"),
    ("locations", "proxy_buffering off;", 'proxy_buffering off; proxy_set_header Sec-WebSocket-Protocol "";', "token as a protocol", "Sec-WebSocket-Protocol"),
    ("locations", "proxy_set_header Upgrade $http_upgrade;", "", "token in a header", "Upgrade"),
], ids=["/v1", "Authorization of FastCGI", "Authorization of /ws", "query", "subprotocol", "Upgrade"])
def test_doctor_finds_what_the_web_server_does_not_pass_on(well, nginx, piece, old, new, check, remedy):
    nginx(piece, old, new)
    until(lambda: finds(doctor(well), check, "FAIL", remedy), say=lambda: bad(doctor(well)))


def test_doctor_finds_an_idle_time_out_that_is_too_short(well, nginx):
    nginx("locations", "proxy_read_timeout 1h;", "proxy_read_timeout 300ms;")
    until(lambda: finds(doctor(well, "--idle=1.5"), "websocket idle time", "FAIL", "proxy_read_timeout"), say="the end of a quiet socket")


def test_doctor_finds_that_no_heartbeat_comes(well):
    # Each socket has its own phase of the 5 s: one in ten gets a ping within this time.
    until(lambda: finds(doctor(well, "--idle=0.5", WS_HEARTBEAT_INTERVAL="200"), "websocket idle time", "warn", "WS_HEARTBEAT_INTERVAL"), say="a socket without")


def test_doctor_finds_a_line_that_holds_messages_back(well):
    with DelayProxy("127.0.0.1", well.port, down=1.2) as proxy:
        assert finds(doctor(well, f"--url={proxy.base_url}"), "websocket messages", "warn", "proxy_buffering")


@pytest.mark.parametrize("lost,check", [("CONNECTED", "token in a header"), ("PONG", "websocket messages")])
def test_doctor_finds_a_line_that_swallows_messages(well, lost, check):
    with Rewriter(well.port, rb'(?s)\x81.{1,3}\{.*"type":"' + lost.encode() + rb'".*', b"") as swallower:
        line = doctor(well, f"--url=http://{swallower.address}")[check]
    assert line["level"] == "FAIL" and "proxy_buffering off" in line["remedy"] and lost in line["finding"]


def test_doctor_that_is_limited_asks_for_patience(make_stack):
    stack = make_stack(BROADCASTERS=1, RATE_LIMIT_ENABLED="true", RATE_LIMIT_TIME="1/60s", RATE_LIMIT_WS_CONNECT="1/60s")
    first, lines = doctor(stack, JWT_SECRET=None), doctor(stack, JWT_SECRET=None)
    assert first["rest"]["level"] == first["token in a header"]["level"] == "ok"
    for check in ("rest", "token in a header", "token in the address", "token as a protocol"):
        assert finds(lines, check, "warn", "in a minute"), check


def test_doctor_takes_no_other_arguments():
    for args in (["--idle=x"], ["--idle=-1"], ["now"], ["--nothing"]):
        assert ctl("doctor", *args).returncode == 64
