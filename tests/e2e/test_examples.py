"""The examples in web/examples do what they show, and say so with their exit status."""

import os
import subprocess

import pytest
import tokens
from stack import ROOT, SLOW, Stack

EXAMPLES = sorted(path.stem for path in (ROOT / "web/examples").glob("*.mjs") if path.stem != "example")


def run(name, address, seconds=40, token=None):
    command = ["node", str(ROOT / f"web/examples/{name}.mjs"), address]
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    if token:
        env["SYNCKAIROS_TOKEN"] = token
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


@pytest.fixture(scope="module")
def closed_stack():
    closed = Stack(AUTH_REQUIRED=True)
    yield closed
    closed.close()


def test_the_examples_bring_a_token(closed_stack):
    refused = run("chess", closed_stack.base_url)
    assert refused.returncode == 1 and "token" in refused.stderr
    for name in ("chess", "auction", "tournament"):
        ended = run(name, closed_stack.base_url, token=tokens.token("somebody"))
        assert ended.returncode == 0, ended.stdout + ended.stderr


RENEWED = """
import { createRequire } from 'node:module';
import { SyncKairosClient, uuid } from '%(client)s';
const [address, ...tokens] = process.argv.slice(2);
globalThis.crypto ??= createRequire(import.meta.url)('node:crypto').webcrypto;
const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)('/usr/share/nodejs/ws');
let asked = 0;
const token = () => tokens[Math.min(asked++, tokens.length - 1)];
const client = new SyncKairosClient({ baseUrl: address, WebSocket, token: () => token() });
const { session_id: id } = await client.create({ sync_mode: 'count_up' });
asked = 0; // the connection gets the short one again
const watch = client.watch(id);
watch.on('disconnected', ({ code }) => { console.log(`lost ${code}`); process.exit(1); });
watch.on('error', (e) => { console.log(`error ${e.code}`); process.exit(1); });
await new Promise((done) => watch.on('state', done));
await new Promise((done) => setTimeout(done, %(ms)d));
const pushed = new Promise((done) => watch.on('state', (s, { from }) => from === 'STATE_UPDATE' && done()));
await fetch(`${address}/v1/sessions/${id}/start`, { method: 'POST', headers: { Authorization: `Bearer ${tokens[1]}` } });
await pushed;
console.log(`asked ${asked}`);
client.close();
"""


def test_the_client_renews_its_token_on_the_open_socket(closed_stack, tmp_path):
    script = tmp_path / "renew.mjs"
    lives_s = int(4 * SLOW)
    script.write_text(RENEWED % {"client": (ROOT / "web/synckairos.js").as_uri(), "ms": int(1000 * (lives_s + 1))})
    short = tokens.token("somebody", lifetime=lives_s)
    command = ["node", str(script), closed_stack.base_url, short, tokens.token("somebody")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=40 * SLOW, check=False)
    assert ended.returncode == 0 and ended.stdout.startswith("asked "), ended.stdout + ended.stderr
