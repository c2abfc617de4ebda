"""kairosctl backup and restore: under load, then everything is destroyed, then compared."""
import collections
import concurrent.futures
import json
import os
import threading
import time

import pytest
import requests

from postgres import connect, rows
from stack import until
from test_kairosctl import ctl
from watch import body


def env(stack, **more):
    return {"REDIS_URL": f"unix://{stack.redis_socket}", "DATABASE_URL": stack.database_url, **more}


def create(stack):
    sent = body(bank=3_600_000)
    http = f"{stack.base_url}/v1/sessions"
    assert requests.post(http, json=sent, timeout=10).status_code == 201
    assert requests.post(f"{http}/{sent['session_id']}/start", timeout=10).status_code == 200
    return sent["session_id"]


class Players:
    """Switch their sessions without a pause, and create new ones; remember what was answered."""

    def __init__(self, stack, sessions):
        self.stack, self.sessions, self.over = stack, list(sessions), threading.Event()
        self.answered = collections.Counter({session: 2 for session in sessions})
        self.pool = concurrent.futures.ThreadPoolExecutor(5)
        self.jobs = [self.pool.submit(self.play, self.sessions[i::4]) for i in range(4)] + [self.pool.submit(self.found)]

    def play(self, mine):
        http = requests.Session()
        while not self.over.is_set():
            for session in mine:
                answer = http.post(f"{self.stack.base_url}/v1/sessions/{session}/switch", timeout=10)
                assert answer.status_code == 200, answer.text
                self.answered[session] = answer.json()["data"]["version"]

    def found(self):
        while not self.over.is_set():
            self.answered[create(self.stack)] = 2
            time.sleep(0.01)

    def total(self):
        return sum(self.answered.values())

    def end(self):
        self.over.set()
        for job in self.jobs:
            job.result(30)


def destroy(stack):
    """The programs stop, Redis is emptied, the database is dropped."""
    for name in ("fcgi", *stack.broadcasters()):
        stack.hold(name)
        stack.kill(name, 15)
        until(lambda name=name: stack.pid(name) is None, 20, say=f"the end of {name}")
    stack.redis().flushall()
    server = connect(stack.database_url.replace("/synckairos?", "/postgres?"))
    rows(server, "DROP DATABASE synckairos WITH (FORCE)")
    rows(server, "CREATE DATABASE synckairos")
    server.close()


def begin_again(stack):
    for held in list((stack.run_dir / "hold").iterdir()):
        stack.release(held.name)
    until(lambda: stack.pid("fcgi") and stack.broadcasters(), say="the programs")
    stack.wait_ready()
    redis = stack.redis()
    until(lambda: sum(redis.xlen(key) for key in redis.keys("sk:{s*}:audit")) == 0, 30, say="the drain")


def fold(stack, session):
    """(versions, fields) as the audit trail tells them."""
    versions, fields = [], {}
    sql = "SELECT version, event_type, delta, snapshot FROM sync_events WHERE session_id = %s ORDER BY epoch, version"
    for version, kind, delta, snapshot in rows(connect(stack.database_url), sql, session):
        versions.append(version)
        fields = {} if kind == "session_created" else fields
        lines = (snapshot if kind == "session_created" else delta).splitlines()
        fields.update(line.split(" ", 1) for line in lines if " " in line)
    return versions, fields


def stored(stack, session):
    (key,) = stack.redis().keys(f"sk:*:session:{session}")
    fields = stack.redis().hgetall(key)
    return int(fields.pop("v")), {name: value for name, value in fields.items() if name not in "ec"}


def test_a_backup_under_load_brings_everything_back(make_stack, tmp_path):
    stack = make_stack(POSTGRES="on", BROADCASTERS=1)
    stack.database().close()
    still, folder = create(stack), tmp_path / "backup"
    quiet = requests.get(f"{stack.base_url}/v1/sessions/{still}", timeout=10).json()["data"]
    players = Players(stack, [create(stack) for _ in range(12)])
    until(lambda: players.total() > 500, 30, say="some load")
    before = dict(players.answered)
    said = ctl("backup", str(folder), **env(stack))
    assert said.returncode == 0, said.stderr
    after = players.total()
    until(lambda: players.total() > after + 50, 30, say="the load to go on")
    players.end()
    lost = dict(players.answered)
    assert sum(lost.values()) > sum(before.values())

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["redis"]["keys"] > 12 and manifest["postgres"]["events"] > 0 and manifest["format"] == 1
    assert all(os.stat(file).st_mode & 0o077 == 0 for file in (folder, *folder.iterdir()))

    said = ctl("restore", str(folder), **env(stack))
    assert said.returncode == 1 and "Redis is not empty" in said.stderr
    destroy(stack)
    said = ctl("restore", str(folder), **env(stack))
    assert said.returncode == 0, said.stderr
    begin_again(stack)

    for session, version in before.items():
        kept, fields = stored(stack, session)
        versions, folded = fold(stack, session)
        assert version <= kept <= lost[session], session
        assert versions == list(range(1, kept + 1)), session
        assert folded == fields, session
    known = {session for (session,) in rows(connect(stack.database_url), "SELECT session_id::text FROM sync_sessions")}
    there = {key.rsplit(":", 1)[1] for key in stack.redis().keys("sk:*:session:*")}
    assert known == there and set(before) <= known
    again = requests.get(f"{stack.base_url}/v1/sessions/{still}", timeout=10).json()["data"]
    assert again["epoch"] > quiet["epoch"]
    for name in ("version", "status", "active_participant_id", "cycle_started_at"):
        assert again[name] == quiet[name]
    answer = requests.post(f"{stack.base_url}/v1/sessions/{still}/switch", timeout=10)
    assert answer.status_code == 200 and answer.json()["data"]["version"] == quiet["version"] + 1

    said = ctl("restore", "--force", str(folder), **env(stack))
    assert said.returncode == 0, said.stderr
    assert stored(stack, still)[0] == quiet["version"]


def test_a_damaged_or_unfinished_backup_is_refused_before_anything_is_touched(make_stack, tmp_path):
    stack = make_stack(POSTGRES="on", BROADCASTERS=1)
    stack.database().close()
    create(stack)
    folder = tmp_path / "backup"
    assert ctl("backup", str(folder), **env(stack)).returncode == 0
    destroy(stack)
    try:
        for name in ("redis.keys", "postgres.dump"):
            good = (folder / name).read_bytes()
            (folder / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
            said = ctl("restore", str(folder), **env(stack))
            assert said.returncode == 65 and "checksum differs" in said.stderr
            (folder / name).write_bytes(good)
        manifest = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(manifest.replace('"format":1', '"format":99'))
        assert ctl("restore", str(folder), **env(stack)).returncode == 65
        (folder / "manifest.json").write_text(manifest.replace('"sha256":"', '"sha256":null,"was":"'))
        assert ctl("restore", str(folder), **env(stack)).returncode == 65
        (folder / "manifest.json").unlink()
        said = ctl("restore", str(folder), **env(stack))
        assert said.returncode == 65 and "no finished backup" in said.stderr
        assert stack.redis().dbsize() == 0
        (folder / "manifest.json").write_text(manifest)
        assert ctl("restore", str(folder), **env(stack, DATABASE_URL="")).returncode == 78
        assert ctl("restore", str(folder), **env(stack)).returncode == 0
        said = ctl("restore", str(folder), **env(stack))
        assert said.returncode == 1 and "not empty" in said.stderr
    finally:
        for held in list((stack.run_dir / "hold").iterdir()):
            stack.release(held.name)
        stack.wait_ready()


def test_without_postgresql_only_redis_is_kept_and_another_prefix_takes_it(make_stack, tmp_path):
    stack = make_stack(BROADCASTERS=1)
    session, folder, began = create(stack), tmp_path / "b", time.monotonic()
    where = {"REDIS_URL": f"unix://{stack.redis_socket}"}
    folder.mkdir()
    assert ctl("backup", str(folder), **where).returncode == 0
    assert not (folder / "postgres.dump").exists()
    assert ctl("restore", str(folder), KEY_PREFIX="other:", **where).returncode == 0
    (old,), (new,) = (stack.redis().keys(f"{prefix}*session:{session}") for prefix in ("sk:", "other:"))
    assert stack.redis().hgetall(new) == stack.redis().hgetall(old)
    assert 0 < stack.redis().pttl(new) <= stack.redis().pttl(old) + (time.monotonic() - began) * 1000
    ids = {key.split("}")[1] for key in stack.redis().keys("other:{s*")}
    assert f":session:{session}" in ids and ":wakeups" in ids and ":lease" not in ids


@pytest.mark.parametrize("args,status", [(["backup"], 64), (["backup", "a", "b"], 64), (["restore"], 64), (["restore", "--x", "a"], 64),
                                         (["restore", "/nowhere"], 65), (["backup", "/nowhere/at/all"], 73)])
def test_backup_and_restore_refuse_other_arguments(args, status):
    assert ctl(*args).returncode == status


def test_a_backup_needs_its_stores_and_an_empty_folder(tmp_path, stack):
    (tmp_path / "x").write_text("")
    assert ctl("backup", str(tmp_path)).returncode == 73
    assert ctl("backup", str(tmp_path / "a"), REDIS_URL="unix:///nowhere").returncode == 69
    said = ctl("backup", str(tmp_path / "b"), REDIS_URL=f"unix://{stack.redis_socket}", DATABASE_URL="postgresql:///x?host=/nowhere")
    assert said.returncode == 69 and not (tmp_path / "b" / "manifest.json").exists()
