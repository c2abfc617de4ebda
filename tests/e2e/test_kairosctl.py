"""kairosctl: the frame of its subcommands, migrate and seed."""
import os
import pathlib
import shutil
import subprocess

import pytest
import requests

from postgres import Postgres, connect, rows
from stack import BIN_DIR, ROOT

KAIROSCTL = BIN_DIR / "kairosctl" if BIN_DIR.is_absolute() else ROOT / BIN_DIR / "kairosctl"
MIGRATIONS = ROOT / "migrations"
SESSIONS, EVENTS, PEOPLE = "sync_sessions", "sync_events", "sync_participants"


def ctl(*args, **env):
    return subprocess.run(
        [KAIROSCTL, *args], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def server():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def url(server):
    """An empty database."""
    with connect(server.url).cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS one WITH (FORCE)")
        cursor.execute("CREATE DATABASE one")
    return server.url.replace("/postgres?", "/one?")


@pytest.fixture
def folder(tmp_path):
    """A copy of the migrations that a test may change."""
    return pathlib.Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def ledger(url):
    return rows(connect(url), "SELECT name, checksum FROM schema_migrations ORDER BY version")


# --- the frame ---


def test_help_lists_the_subcommands_and_each_has_a_help():
    said = ctl("--help")
    assert said.returncode == 0 and said.stderr == ""
    for name in ("backup", "check-config", "cleanup", "doctor", "migrate", "restore", "seed", "sessions", "tail", "token", "top"):
        assert f"  {name} " in said.stdout
        helped = ctl(name, "--help")
        assert helped.returncode == 0 and helped.stdout.startswith(f"kairosctl {name}")


@pytest.mark.parametrize("args", [[], ["nothing"], ["migrate", "--nothing"], ["migrate", "up"], ["seed", "all"]])
def test_wrong_arguments_exit_64(args):
    said = ctl(*args, DATABASE_URL="postgresql:///nowhere")
    assert said.returncode == 64 and said.stdout == "" and said.stderr != ""


def test_faults_of_settings_exit_78():
    assert ctl("migrate", PORT="3000", LOG_LEVEL="loud").returncode == 78
    said = ctl("migrate")
    assert said.returncode == 78 and "DATABASE_URL" in said.stderr


def test_a_database_that_is_down_exits_69(tmp_path):
    assert ctl("migrate", DATABASE_URL=f"postgresql:///x?host={tmp_path}").returncode == 69


# --- migrate ---


def test_migrate_makes_the_tables_and_a_second_run_does_nothing(url):
    first = ctl("migrate", DATABASE_URL=url)
    assert first.returncode == 0, first.stderr
    names = sorted(p.name for p in MIGRATIONS.glob("*.sql"))
    assert first.stdout.splitlines() == [f"applied {name}" for name in names]
    assert [name for name, _ in ledger(url)] == names
    tables = {name for (name,) in rows(connect(url), "SELECT tablename FROM pg_tables")}
    assert {SESSIONS, EVENTS, PEOPLE} <= tables
    before = ledger(url)
    second = ctl("migrate", DATABASE_URL=url)
    assert second.returncode == 0 and second.stdout.startswith("nothing to do")
    assert ledger(url) == before


def test_migrate_dry_run_tells_and_changes_nothing(url):
    said = ctl("migrate", "--dry-run", DATABASE_URL=url)
    assert said.returncode == 0 and "would apply 0001_create_audit.sql" in said.stdout
    assert rows(connect(url), "SELECT to_regclass('schema_migrations'), to_regclass('sync_events')") == [(None, None)]
    assert ctl("migrate", DATABASE_URL=url).returncode == 0
    assert ctl("migrate", "--dry-run", DATABASE_URL=url).stdout.startswith("nothing to do")


def test_migrate_refuses_a_file_that_was_changed_after_it_was_applied(url, folder):
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).returncode == 0
    with open(folder / "0001_create_audit.sql", "a") as file:
        file.write("-- later\n")
    (folder / "9999_add_x.sql").write_text("CREATE TABLE x (a integer);\n")
    said = ctl("migrate", f"--dir={folder}", DATABASE_URL=url)
    assert said.returncode == 1 and "0001_create_audit.sql has changed" in said.stderr
    assert rows(connect(url), "SELECT to_regclass('x')") == [(None,)]


def test_migrate_refuses_a_database_that_knows_more_than_the_program(url, folder):
    (folder / "9999_add_x.sql").write_text("CREATE TABLE x (a integer);\n")
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).returncode == 0
    said = ctl("migrate", DATABASE_URL=url)
    assert said.returncode == 1 and "9999_add_x.sql was applied" in said.stderr


def test_migrate_refuses_a_number_before_what_was_applied_and_a_number_twice(url, folder):
    (folder / "9999_add_x.sql").write_text("CREATE TABLE x (a integer);\n")
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).returncode == 0
    (folder / "9998_add_y.sql").write_text("CREATE TABLE y (a integer);\n")
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).returncode == 1
    (folder / "9998_add_y.sql").rename(folder / "9999_add_y.sql")
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).returncode == 66


def test_migrate_applies_a_file_wholly_or_not_at_all(url, folder):
    (folder / "9998_add_x.sql").write_text("CREATE TABLE x (a integer);\n")
    (folder / "9999_add_y.sql").write_text("CREATE TABLE y (a integer);\nSELECT 1 / 0;\n")
    said = ctl("migrate", f"--dir={folder}", DATABASE_URL=url)
    assert said.returncode == 70 and "9999_add_y.sql" in said.stderr and "22012" in said.stderr
    assert rows(connect(url), "SELECT to_regclass('x')::text, to_regclass('y')") == [("x", None)]
    assert ledger(url)[-1][0] == "9998_add_x.sql"
    (folder / "9999_add_y.sql").write_text("CREATE TABLE y (a integer);\n")
    assert ctl("migrate", f"--dir={folder}", DATABASE_URL=url).stdout == "applied 9999_add_y.sql\n"


def test_migrate_by_several_hosts_at_once_applies_each_file_once(url):
    started = [
        subprocess.Popen(
            [KAIROSCTL, "migrate"], env={"DATABASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = [(p.communicate(timeout=60), p.returncode) for p in started]
    assert [status for _, status in said] == [0] * 4, said
    applied = [line for (out, _), _ in said for line in out.splitlines() if line.startswith("applied")]
    assert applied == [f"applied {name}" for name, _ in ledger(url)]


def test_migrate_makes_partitions_three_months_ahead_and_empties_the_default_one_into_them(url):
    assert ctl("migrate", DATABASE_URL=url).returncode == 0
    db = connect(url)
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'sync_events'::regclass"
    assert rows(db, parts) == [(5,)]
    ahead = "date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + interval '4 months 3 days'"
    rows(
        db,
        "INSERT INTO sync_events (session_id, event_type, timestamp, epoch, version, committed_at, delta)"
        f" VALUES (gen_random_uuid(), 'session_created', {ahead}, 'e', 1, now(), 'h x')",
    )
    where = "SELECT tableoid::regclass::text FROM sync_events"
    assert rows(db, where) == [("sync_events_default",)]
    assert rows(db, "SELECT sync_events_extend(4)") == [(1,)]
    ((name,),) = rows(db, where)
    assert name != "sync_events_default" and rows(db, parts) == [(6,)]
    assert rows(db, "SELECT sync_events_extend(4)") == [(0,)]


def test_retention_drops_what_is_older_and_nothing_else(url):
    assert ctl("migrate", DATABASE_URL=url).returncode == 0
    db = connect(url)
    rows(db, "CREATE TABLE sync_events_2001_01 PARTITION OF sync_events FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')")
    for instant in ("2001-01-05", "2002-01-05"):
        rows(
            db,
            "INSERT INTO sync_events (session_id, event_type, timestamp, epoch, version, committed_at, delta)"
            " VALUES (gen_random_uuid(), 'session_created', %s, 'e', 1, now(), 'h x')",
            instant,
        )
    rows(
        db,
        "INSERT INTO sync_events (session_id, event_type, epoch, version, committed_at, delta)"
        " VALUES (gen_random_uuid(), 'session_created', 'e', 1, now(), 'h x')",
    )
    assert rows(db, "SELECT sync_events_retain(30)") == [(1,)]
    assert rows(db, "SELECT count(*) FROM sync_events") == [(1,)]
    assert rows(db, "SELECT to_regclass('sync_events_2001_01')") == [(None,)]


# --- seed ---


def test_seed_makes_a_running_session_of_every_mode_and_can_be_repeated(make_stack):
    stack = make_stack()
    env = {"REDIS_URL": f"unix://{stack.redis_socket}", "APP_ENV": "development"}
    first = ctl("seed", **env)
    assert first.returncode == 0, first.stderr
    lines = [line.split() for line in first.stdout.splitlines()]
    assert {"per_participant", "per_cycle", "global", "count_up"} <= {mode for _, mode, _ in lines}
    for session_id, mode, status in lines:
        state = requests.get(f"{stack.base_url}/v1/sessions/{session_id}", timeout=10).json()["data"]
        assert (state["sync_mode"], state["status"], status) == (mode, "running", "running")
    assert ctl("seed", **env).stdout == first.stdout


def test_seed_wants_force_in_production(make_stack):
    assert ctl("seed", REDIS_URL="unix:///nowhere").returncode == 1
    assert ctl("seed", "--force", REDIS_URL="unix:///nowhere").returncode == 69
