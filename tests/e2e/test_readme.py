"""What README.md tells people to type does what it says."""

import json
import os
import re
import signal
import subprocess

from stack import ROOT, SLOW

README = (ROOT / "README.md").read_text()


def commands(heading):
    """The indented blocks below a heading: [lines, ...]."""
    section = re.search(rf"^## {heading}$(.*?)^## ", README, re.M | re.S)[1]
    return [re.sub(r"^    ", "", block, flags=re.M).strip() for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.M)]


def test_a_first_session_with_curl_and_a_websocket(stack):
    curl, watch, _module = commands("A first session")
    result = subprocess.run(["bash", "-euc", curl.replace("localhost:3000", f"localhost:{stack.port}")], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    states = [json.loads(line)["data"] for line in result.stdout.replace('}{"data"', '}\n{"data"').splitlines()]
    assert [(s["status"], s.get("version")) for s in states] == [("pending", 1), ("running", 2), ("running", 3), ("running", 3), ("paused", 4)]
    second = states[0]["participants"][1]["participant_id"]
    assert states[2]["active_participant_id"] == states[3]["active_participant_id"] == second

    assert watch.startswith("python3 -m websockets ")
    watcher = subprocess.Popen(
        ["/usr/bin/" + watch.split()[0], *watch.replace("localhost:3000", f"localhost:{stack.port}").replace("'", "").split()[1:]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    while b"STATE_SYNC" not in said:
        piece = os.read(watcher.stdout.fileno(), 65536)
        assert piece, said
        said += piece
    assert said.index(b"CONNECTED") < said.index(b"STATE_SYNC")
    watcher.send_signal(signal.SIGKILL)
    watcher.communicate()


def test_every_path_of_the_tree_exists():
    section = re.search(r"^## The tree$(.*?)^## ", README, re.M | re.S)[1]
    for line in section.splitlines():
        if line.startswith("| `"):
            folder, words = line.split("|")[1:3]
            folder = ROOT / folder.strip().strip("`")
            assert folder.is_dir()
            for name in re.findall(r"`([a-z_./-]+)`", words):
                assert (folder / name).exists() or name in ("make", "kairosctl", "synckairos.fcgi", "synckairos-broadcaster"), name


def test_every_page_and_example_is_named():
    section = re.search(r"^## Pages and examples$(.*?)^## ", README, re.M | re.S)[1]
    named = set(re.findall(r"`([a-z]+(?:\.html)?)`", section))
    pages = {path.name for path in (ROOT / "web/demo").glob("*.html")} - {"index.html"}
    examples = {path.stem for path in (ROOT / "web/examples").glob("*.mjs")} - {"example"}
    assert pages | examples <= named, (pages | examples) - named
    command = commands("Pages and examples")[0].split()
    assert command[0] == "node" and (ROOT / command[1]).is_file()


def test_make_install_puts_everything_where_it_says(tmp_path):
    build = os.environ.get("BIN_DIR", "build/release")
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    subprocess.run(["make", "install", f"BUILD={build}", f"DESTDIR={tmp_path}", "PREFIX=/opt/sk"], cwd=ROOT, env=env, check=True,
                   capture_output=True, timeout=120 * SLOW)
    top = tmp_path / "opt/sk"
    for name in ("synckairos.fcgi", "synckairos-broadcaster"):
        shown = subprocess.run([top / "bin" / name, "--print-config"], capture_output=True, text=True, env={}, check=True)
        assert "AUTH_REQUIRED=true" in shown.stdout
    share = top / "share/synckairos"
    assert "root /opt/sk/share/synckairos/web;" in (share / "nginx/synckairos.conf").read_text()
    for name in ("web/synckairos.js", "web/demo/chess.html", "api-docs/index.html", "redis.conf", "env.example", "nginx/synckairos-http.conf"):
        assert (share / name).is_file(), name
    assert not list(share.glob("**/package*.json")) and not list(share.glob("**/node_modules"))


def test_claims_of_the_security_section_name_their_code_and_test():
    """Each line of the table: a claim, `file: symbol` where it is kept, `file: test` that shows it."""
    section = re.search(r"^### What is kept, and where$(.*?)^## ", README, re.M | re.S)[1]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for claim, code, proof in rows:
        for cell in (code, proof):
            named = re.findall(r"`([^`: ]+)(?:: ([^`]+))?`", cell)
            assert named, claim
            for file, symbol in named:
                assert (ROOT / file).is_file(), f"{claim}: {file}"
                assert not symbol or re.search(rf"\b{re.escape(symbol)}\b", (ROOT / file).read_text()), f"{claim}: {file}: {symbol}"
