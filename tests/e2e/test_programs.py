"""The programs as somebody meets them who does not know them: --help, and arguments that they do not have."""
import os
import subprocess

import pytest

from stack import BIN_DIR, ROOT

PROGRAMS = ["synckairos.fcgi", "synckairos-broadcaster"]


def run(program, *arguments):
    path = BIN_DIR if BIN_DIR.is_absolute() else ROOT / BIN_DIR
    return subprocess.run([path / program, *arguments], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], "WS_PORT": "1", "FCGI_LISTEN": "unix:/nowhere/fcgi.sock"})


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_says_what_the_program_is_and_what_it_takes(program):
    done = run(program, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(program) and "--print-config" in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_argument_starts_nothing(program):
    done = run(program, "--nonsense")
    assert done.returncode == 64
    assert "unknown argument --nonsense" in done.stderr and done.stdout == ""
