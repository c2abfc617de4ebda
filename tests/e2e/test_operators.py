"""kairosctl sessions, tail, top and cleanup."""
import json
import re
import signal
import subprocess
import uuid

import pytest
import requests

from postgres import Postgres, connect, rows
from stack import SLOW, until
from test_kairosctl import KAIROSCTL, ctl
from watch import body, watch


@pytest.fixture
def env(stack):
    return {"REDIS_URL": f"unix://{stack.redis_socket}"}


def create(stack, start=False, **changes):
    sent = body(**changes)
    assert requests.post(stack.base_url + "/v1/sessions", json=sent, timeout=10).status_code == 201
    if start:
        command(stack, sent["session_id"], "start")
    return sent["session_id"]


def command(stack, session, name):
    answer = requests.post(f"{stack.base_url}/v1/sessions/{session}/{name}", timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


# --- sessions ---


def test_sessions_list_tells_every_session_the_newest_first(stack, env):
    pending = create(stack)
    running = create(stack, start=True)
    said = ctl("sessions", "list", "--limit=100000", **env)
    assert said.returncode == 0, said.stderr
    lines = [line.split() for line in said.stdout.splitlines()]
    ids = [line[0] for line in lines]
    assert ids.index(running) < ids.index(pending)
    line = dict(zip(("id", "mode", "status", "version", "people", "at"), lines[ids.index(running)]))
    assert (line["mode"], line["status"], line["version"], line["people"]) == ("per_participant", "running", "v2", "2")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"])
    only = ctl("sessions", "list", "--status=pending", "--limit=100000", **env).stdout
    assert pending in only and running not in only
    few = ctl("sessions", "list", "--limit=1", **env)
    assert len(few.stdout.splitlines()) == 1 and "more; --limit" in few.stderr


def test_sessions_show_is_what_clients_see_and_raw_what_redis_holds(stack, env):
    session = create(stack, start=True, metadata={"title": "final"})
    said = ctl("sessions", "show", session.upper(), **env)
    assert said.returncode == 0, said.stderr
    shown, seen = json.loads(said.stdout), requests.get(f"{stack.base_url}/v1/sessions/{session}", timeout=10).json()["data"]
    assert shown.keys() == seen.keys() and shown["metadata"] == {"title": "final"}
    assert (shown["version"], shown["epoch"], shown["status"]) == (seen["version"], seen["epoch"], "running")
    raw = ctl("sessions", "show", "--raw", session, **env)
    (key,) = stack.redis().keys(f"*session:{session}")
    fields = stack.redis().hgetall(key)
    lines = raw.stdout.splitlines()
    assert lines[0] == f"# {key}"
    assert lines[1:-2] == [f"{name} {fields[name]}" for name in sorted(fields)]
    assert lines[-2].startswith("# goes in ") and lines[-1].startswith("# wakes up at ")


def test_sessions_delete_tells_watchers_and_names_kairosctl(make_stack):
    stack = make_stack(POSTGRES="on")
    stack.database().close()
    session = create(stack, start=True)
    with watch(stack, session) as watcher:
        until(lambda: len(watcher.messages) > 1, say="the state")
        said = ctl("sessions", "delete", session, REDIS_URL=f"unix://{stack.redis_socket}")
        assert (said.returncode, said.stdout) == (0, f"deleted {session}\n")
        until(lambda: any(m["type"] == "SESSION_DELETED" for m in watcher.messages), say="SESSION_DELETED")
    assert requests.get(f"{stack.base_url}/v1/sessions/{session}", timeout=10).status_code == 404
    event = "SELECT event_type, actor FROM sync_events WHERE session_id = %s ORDER BY version DESC LIMIT 1"
    until(lambda: rows(connect(stack.database_url), event, session) == [("session_deleted", "kairosctl sessions delete")], say="the record")


def test_sessions_that_do_not_exist_exit_1_and_other_words_64(stack, env):
    nobody = str(uuid.uuid4())
    for args in (["show", nobody], ["show", "--raw", nobody], ["delete", nobody]):
        said = ctl("sessions", *args, **env)
        assert said.returncode == 1 and f"there is no session {nobody}" in said.stderr, args
    for args in ([], ["look"], ["show"], ["show", "x"], ["list", "x"], ["list", "--status=odd"], ["list", "--limit=0"]):
        assert ctl("sessions", *args, **env).returncode == 64, args
    assert ctl("sessions", "list", REDIS_URL="unix:///nowhere").returncode == 69


def test_sessions_that_cannot_be_read_are_listed_and_shown_raw(make_stack):
    stack = make_stack(BROADCASTERS=1)
    env = {"REDIS_URL": f"unix://{stack.redis_socket}"}
    session = create(stack)
    (key,) = stack.redis().keys(f"*session:{session}")
    stack.redis().hset(key, "h", "nonsense")
    assert re.search(f"{session} .* unreadable ", ctl("sessions", "list", **env).stdout)
    assert ctl("sessions", "show", session, **env).returncode == 70
    assert "\nh nonsense\n" in ctl("sessions", "show", "--raw", session, **env).stdout


# --- tail ---


class Tail:
    def __init__(self, env, *args):
        self.process = subprocess.Popen([KAIROSCTL, "tail", *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, signum=None):
        if signum:
            self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=20 * SLOW)
        return [line.split() for line in out.splitlines()], err, self.process.returncode


def listening(stack, patterns, channels):
    redis = stack.redis()
    until(lambda: redis.pubsub_numpat() >= patterns and len(redis.pubsub_channels("*")) >= channels, say="the subscription")


def test_tail_shows_each_change_of_one_session_in_a_line(stack, env):
    session, other = create(stack), create(stack)
    before = len(stack.redis().pubsub_channels(f"*{session}"))
    tail = Tail(env, "--count=3", session)
    until(lambda: len(stack.redis().pubsub_channels(f"*{session}")) > before, say="the subscription")
    command(stack, other, "start")
    command(stack, session, "start")
    state = command(stack, session, "switch")
    command(stack, session, "complete")
    lines, err, status = tail.end()
    assert status == 0 and err == ""
    assert [line[1:4] for line in lines] == [
        [session, "v2", "session_started"], [session, "v3", "cycle_switched"], [session, "v4", "session_completed"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line[0]) for line in lines)
    assert f"cycle={state['cycle_number']}" in lines[1]


def test_tail_without_an_id_shows_all_sessions_and_ends_with_ctrl_c(make_stack):
    stack = make_stack(KEY_PREFIX="a[b*:")
    tail = Tail({"REDIS_URL": f"unix://{stack.redis_socket}", "KEY_PREFIX": "a[b*:"})
    listening(stack, 1, 0)
    sessions = [create(stack, start=True) for _ in range(5)]
    until(lambda: stack.redis().info("stats")["total_commands_processed"] > 0)
    until(lambda: requests.get(f"{stack.base_url}/v1/sessions/{sessions[-1]}", timeout=10).json()["data"]["version"] == 2)
    lines, err, status = tail.end(signal.SIGINT)
    assert status == 0 and err == ""
    assert [line[1:4] for line in lines] == [
        [session, *what] for session in sessions for what in (["v1", "session_created"], ["v2", "session_started"])]


def test_tail_goes_on_after_redis_was_away_and_says_so(make_stack):
    stack = make_stack()
    session = create(stack)
    tail = Tail({"REDIS_URL": f"unix://{stack.redis_socket}"}, "--count=2")
    listening(stack, 1, 0)
    command(stack, session, "start")
    old = stack.kill("redis", 15)
    stack.wait_restarted("redis", old)
    stack.wait_ready()
    stack._redis = None
    listening(stack, 1, 0)
    command(stack, session, "pause")
    lines, err, status = tail.end()
    assert status == 0 and [line[3] for line in lines] == ["session_started", "session_paused"]
    assert "Redis is away" in err


def test_tail_takes_no_other_arguments():
    for args in (["x"], ["--count=0"], ["--count=x"], [str(uuid.uuid4())] * 2, ["--nothing"]):
        assert ctl("tail", *args).returncode == 64, args
    assert ctl("tail", REDIS_URL="unix:///nowhere").returncode == 69


# --- top ---


def test_top_tells_rates_sockets_backlog_and_the_busiest_sessions(make_stack):
    stack = make_stack(BROADCASTERS=1)
    env = {"REDIS_URL": f"unix://{stack.redis_socket}", "METRICS_PORT": str(stack.metrics_port)}
    busy, calm = create(stack, start=True), create(stack, start=True)
    n = int(3 * max(1, SLOW))
    with watch(stack, busy) as watcher:
        until(lambda: len(watcher.messages) > 1, say="the state")
        process = subprocess.Popen([KAIROSCTL, "top", "--once", f"--seconds={n}"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: stack.redis().pubsub_numpat() > 0, say="the subscription")
        for _ in range(9):
            command(stack, busy, "switch")
        for _ in range(3):
            command(stack, calm, "switch")
        out, err = process.communicate(timeout=60 * SLOW)
    assert process.returncode == 0 and err == ""
    lines = out.splitlines()
    told = {line[:18].strip(): line[19:] for line in lines[:7]}
    assert told["changes"] == f"{12 / n:.1f} /s" and float(told["requests"].split()[0]) >= float(f"{12 / n:.1f}")
    assert (told["sockets"], told["sessions"]) == ("1", "2")
    assert int(told["audit backlog"].split()[0]) >= 16 and int(told["audit bytes"]) > 0
    assert lines[7:] == [f"{busy}  {9 / n:.1f} /s  v11", f"{calm}  {3 / n:.1f} /s  v5"]


def test_top_goes_on_until_ctrl_c_and_knows_what_it_does_not_know(stack, env):
    process = subprocess.Popen([KAIROSCTL, "top", "--seconds=1"], env={**env, "METRICS_PORT": "0"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 0 and err == ""
    assert sum(line.startswith("changes ") for line in seen) >= 2
    assert sum(line.split() == ["sockets", "unknown"] for line in seen) >= 2


def test_top_takes_no_other_arguments():
    for args in (["x"], ["--seconds=0"], ["--seconds=x"], ["--nothing"]):
        assert ctl("top", *args).returncode == 64, args
    assert ctl("top", REDIS_URL="unix:///nowhere").returncode == 69


# --- cleanup ---


@pytest.fixture
def database():
    server = Postgres()
    assert ctl("migrate", DATABASE_URL=server.url).returncode == 0
    yield server.url
    server.close()


def test_cleanup_tells_first_and_then_drops_what_is_too_old(database):
    db = connect(database)
    rows(db, "CREATE TABLE sync_events_2001_01 PARTITION OF sync_events FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')")
    for instant in ("2001-01-05", "2002-01-05"):
        rows(db, "INSERT INTO sync_events (session_id, event_type, timestamp, epoch, version, committed_at, delta)"
                 " VALUES (gen_random_uuid(), 'session_created', %s, 'e', 1, now(), 'h x')", instant)
    rows(db, "INSERT INTO sync_sessions (session_id, sync_mode, epoch, version, status, final_status, last_updated_at)"
             " VALUES (gen_random_uuid(), 'global', 'e', 1, 'completed', 'completed', '2001-01-05')")
    count = "SELECT (SELECT count(*) FROM sync_events), (SELECT count(*) FROM sync_sessions)"
    told = ctl("cleanup", "--dry-run", DATABASE_URL=database, AUDIT_RETENTION_DAYS="30")
    assert told.returncode == 0, told.stderr
    assert told.stdout == ("would drop sync_events_2001_01\n"
                           "would remove 1 single records, 1 sessions that ended more than 30 days ago\n")
    assert rows(db, count) == [(2, 1)]
    rows(db, "DROP TABLE " + rows(db, "SELECT max(relname) FROM pg_class WHERE relname ~ '^sync_events_2\\d{3}_\\d\\d$'")[0][0])
    done = ctl("cleanup", DATABASE_URL=database, AUDIT_RETENTION_DAYS="30")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("made 1 partitions, they reach 3 months ahead\ndrop sync_events_2001_01\n"
                           "removed 1 single records, 1 sessions that ended more than 30 days ago\n")
    assert rows(db, count) == [(0, 0)]


def test_cleanup_keeps_everything_unless_told_otherwise(database):
    db = connect(database)
    rows(db, "INSERT INTO sync_events (session_id, event_type, timestamp, epoch, version, committed_at, delta)"
             " VALUES (gen_random_uuid(), 'session_created', '2001-01-05', 'e', 1, now(), 'h x')")
    said = ctl("cleanup", DATABASE_URL=database)
    assert said.returncode == 0 and "everything is kept" in said.stdout
    assert rows(db, "SELECT count(*) FROM sync_events") == [(1,)]


def test_cleanup_wants_a_database():
    assert ctl("cleanup").returncode == 78
    assert ctl("cleanup", "x", DATABASE_URL="postgresql:///x").returncode == 64
    assert ctl("cleanup", DATABASE_URL="postgresql:///x?host=/nowhere").returncode == 69
