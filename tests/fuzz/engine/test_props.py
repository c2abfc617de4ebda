"""The engine against the oracle."""

import os
import pathlib
import subprocess
import sys

PROPS = str(pathlib.Path(__file__).parent / "props.py")
SLOW = float(os.environ.get("SLOW", "1"))
COMMANDS = 100000


def test_engine_agrees_with_oracle():
    """10^5 random commands; a difference prints its seed and the lines that lead to it."""
    wanted = int(COMMANDS / SLOW)
    done = subprocess.run([sys.executable, PROPS, "--commands", str(wanted)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0
    for outcome in ("cycle_switched", "participant_expired", "session_deleted", "session_resumed",
                    "session_completed", "session_cancelled", "session_expired",
                    "participant_added", "participant_adjusted", "participant_removed", "NOT_FOUND",
                    "folded", "warning", "CONFLICT", "INVALID_STATE_TRANSITION", "VALIDATION_ERROR"):
        assert outcome in done.stdout


def test_a_broken_driver_is_noticed(tmp_path):
    """Props has to fail when the other side is wrong: here one that answers nothing."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\ncat >/dev/null\n")
    silent.chmod(0o755)
    done = subprocess.run([sys.executable, PROPS, "--driver", str(silent), "--commands", "1", "--jobs", "1"],
                          stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "the driver ended" in done.stdout
