"""The examples in web/examples do what they show, and say so with their exit status."""

import os
import subprocess

import pytest
from stack import ROOT, SLOW

EXAMPLES = sorted(path.stem for path in (ROOT / "web/examples").glob("*.mjs") if path.stem != "example")


def run(name, address, seconds=40):
    command = ["node", str(ROOT / f"web/examples/{name}.mjs"), address]
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds * SLOW, env=env, check=False)


def test_every_documented_use_is_there():
    assert set(EXAMPLES) >= {"chess", "quiz", "auction", "speedrun", "team", "poker", "exam", "meeting"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_says(stack, name):
    ended = run(name, stack.base_url)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("\n") >= 3 and ended.stderr == ""


def test_an_example_that_finds_no_server_fails():
    ended = run("speedrun", "http://127.0.0.1:9")
    assert ended.returncode == 1 and "cannot be reached" in ended.stderr
