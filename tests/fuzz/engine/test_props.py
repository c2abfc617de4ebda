"""The engine against the oracle, and the oracle against a game that was reckoned by hand."""

import os
import pathlib
import subprocess
import sys

from oracle import Session

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
SLOW = float(os.environ.get("SLOW", "1"))
COMMANDS = 100000


def driver():
    build = pathlib.Path(os.environ.get("BIN_DIR", ROOT / "build/release"))
    return str((build if build.is_absolute() else ROOT / build) / "tests/fuzz/engine/driver")


def test_engine_agrees_with_oracle():
    """10^5 random commands; a difference prints its seed and the lines that lead to it."""
    wanted = int(COMMANDS / SLOW)
    done = subprocess.run([sys.executable, str(HERE / "props.py"), driver(), "--commands", str(wanted)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0
    for outcome in ("cycle_switched", "participant_expired", "session_deleted", "session_resumed",
                    "session_completed", "session_cancelled", "session_expired", "participant_removed",
                    "CONFLICT", "INVALID_STATE_TRANSITION", "VALIDATION_ERROR"):
        assert outcome in done.stdout


def test_oracle_knows_a_game_by_hand():
    people = [{"participant_id": "a", "participant_index": 0, "total_time_ms": 1000},
              {"participant_id": "b", "participant_index": 1, "total_time_ms": 2000}]
    s = Session({"session_id": "s", "epoch": "e", "participants": people, "total_time_ms": 3000,
                 "increment_ms": 50}, 10000, 3600000)
    s.command("start", 11000)
    assert s.deadline() == 12000
    s.command("switch", 11400)
    assert (s.bank(0, 11400), s.used(0, 11400), s.deadline()) == (650, 400, 13400)
    s.command("pause", 11600)
    assert (s.bank(1, 11600), s.deadline()) == (1800, None)
    s.command("resume", 12600)
    assert (s.paused(12600), s.deadline()) == (1000, 14400)
    assert s.settle(14399) == []
    (expiry,) = s.settle(20000)
    assert (expiry["type"], expiry["at"], expiry["version"]) == ("participant_expired", 14400, 6)
    late = s.command("switch", 20000)
    assert (late["expired"], late["remaining_ms"], late["elapsed_ms"]) == ("b", 0, 7600)
    assert s.deadline() == 20650
    s.command("complete", 20100)
    assert (s.used(0, 20100), s.bank(0, 20100), s.version) == (500, 550, 8)
    (end,) = s.settle(20100 + 3600000)
    assert (end["reason"], end["at"], end["version"]) == ("idle", 3620100, 9)


def test_a_broken_driver_is_noticed(tmp_path):
    """Props has to fail when the other side is wrong: here one that answers nothing."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\ncat >/dev/null\n")
    silent.chmod(0o755)
    done = subprocess.run([sys.executable, str(HERE / "props.py"), str(silent), "--commands", "1", "--jobs", "1"],
                          stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "the driver ended" in done.stdout
