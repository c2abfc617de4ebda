"""`make run` itself: what it starts, what it leaves behind (nothing), and what it says when it cannot."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
import requests

from stack import CTRL_C_WORKS, ROOT, SLOW, alive, children, free_port, until
from watch import Watcher, body


def descendants(pid):
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]


def started_in(run_dir):
    """Pids of all processes whose environment or command line names run_dir."""
    word, found = str(run_dir).encode(), []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if word in text and alive(int(entry.name)) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def all_gone(pids, run_dir):
    def check():
        return not [p for p in pids if alive(p)] and not started_in(run_dir)

    until(check, 10, say=lambda: f"the end of {[p for p in pids if alive(p)]} and {started_in(run_dir)}")


def database_up(stack):
    until(lambda: requests.get(f"{stack.base_url}/health", timeout=10).json()["database"] == "connected", say="PostgreSQL")


def test_who_computes_does_not_interrupt_who_keeps_time(stack):
    policies = {name.split("-")[0]: {os.sched_getscheduler(pid) for pid in [stack.pid(name), *descendants(stack.pid(name))]}
                for name in stack.names()}
    for name in ("redis", "nginx", "fcgi"):
        assert policies[name] == {os.SCHED_BATCH}, name
    assert policies["broadcaster"] == {os.SCHED_OTHER}


def test_it_starts_everything_and_says_where(make_stack, record_property):
    stack = make_stack(POSTGRES="on")
    record_property("up_seconds", round(stack.up_seconds, 3))
    print(f"up in {stack.up_seconds:.2f} s, PostgreSQL made anew")
    cores = len(os.sched_getaffinity(0))
    assert stack.names() == sorted(["fcgi", "nginx", "postgres", "redis"] + [f"broadcaster-{k}" for k in range(cores)])
    assert f"http://localhost:{stack.port}/demo/chess.html" in stack.output()
    assert requests.get(f"{stack.base_url}/demo/chess.html", timeout=10).status_code == 200
    assert requests.get(f"{stack.base_url}/ready", timeout=10).json()["ready"] is True
    config = stack.redis().config_get("*")
    assert (config["appendonly"], config["appendfsync"], config["maxmemory-policy"]) == ("yes", "everysec", "noeviction")
    assert config["port"] == "0"
    database_up(stack)
    stack.stop()
    stack.start()
    record_property("up_again_seconds", round(stack.up_seconds, 3))
    print(f"up again in {stack.up_seconds:.2f} s")


def test_ctrl_c_leaves_no_process(make_stack):
    stack = make_stack(POSTGRES="on")
    database_up(stack)
    with Watcher(f"{stack.ws_url}?sessionId=00000000-0000-0000-0000-000000000000") as watcher:
        watcher.wait_for("CONNECTED")
        pids = descendants(stack.process.pid)
        assert len(pids) > 10
        os.killpg(stack.process.pid, signal.SIGINT)
        assert stack.process.wait(20 * SLOW) == 0
        assert watcher.wait_closed()[0] == 1001, "sockets are told, not dropped"
    all_gone(pids, stack.run_dir)
    ends = [line.split() for line in (stack.run_dir / "exits").read_text().splitlines()]
    assert [(e[0], e[2]) for e in ends] == [(e[0], "0") for e in ends], "everybody ended by himself"


def test_ctrl_c_leaves_no_process_after_kill_9_of_everybody(make_stack):
    stack = make_stack(POSTGRES="on")
    pids = descendants(stack.process.pid)
    for name in stack.names():
        stack.kill(name)
    time.sleep(0.3)
    pids += descendants(stack.process.pid)
    stack.stop(signal.SIGINT)
    all_gone(pids, stack.run_dir)


def test_two_interrupts_end_it_at_once(make_stack):
    stack = make_stack()
    pids = descendants(stack.process.pid)
    stack.expected.update(pids)
    stack.kill("fcgi", signal.SIGSTOP)
    stack.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    stack.process.send_signal(signal.SIGINT)
    stack.process.wait(5 * SLOW)
    all_gone(pids, stack.run_dir)


def test_killing_the_supervisor_ends_its_children(make_stack):
    stack = make_stack(POSTGRES="on")
    pids = descendants(stack.process.pid)
    stack.process.kill()
    stack.process.wait()
    all_gone(pids, stack.run_dir)


def test_who_dies_is_started_again(make_stack):
    stack = make_stack()
    for name in stack.names():
        old = stack.kill(name)
        stack.wait_restarted(name, old)
    stack.wait_ready()
    assert len(stack.workers()) > 0
    exits = (stack.run_dir / "exits").read_text().splitlines()
    assert sorted(line.split()[0] for line in exits) == stack.names()


def test_two_of_them_side_by_side(make_stack):
    one, two = make_stack(), make_stack()
    assert one.port != two.port and one.ws_port != two.ws_port
    sent = body()
    assert requests.post(f"{one.base_url}/v1/sessions", json=sent, timeout=10).status_code == 201
    path = f"/v1/sessions/{sent['session_id']}"
    assert requests.get(one.base_url + path, timeout=10).status_code == 200
    assert requests.get(two.base_url + path, timeout=10).status_code == 404
    one.stop()
    assert requests.post(f"{two.base_url}/v1/sessions", json=sent, timeout=10).status_code == 201


def test_a_port_in_use_is_said(make_stack):
    stack = make_stack()
    with pytest.raises(RuntimeError, match=f"port {stack.port} is in use; choose another one: make run PORT="):
        make_stack(PORT=stack.port)
    assert requests.get(f"{stack.base_url}/ready", timeout=10).status_code == 200


def test_a_run_folder_in_use_is_said(make_stack):
    stack = make_stack()
    with pytest.raises(RuntimeError, match="already running in"):
        make_stack(RUN_DIR=stack.run_dir)
    assert requests.get(f"{stack.base_url}/ready", timeout=10).status_code == 200


def test_a_wrong_setting_is_said_and_ends_it(make_stack, tmp_path):
    with pytest.raises(RuntimeError, match="does not start:(.|\n)*LOG_LEVEL"):
        make_stack(RUN_DIR=tmp_path / "run", LOG_LEVEL="chatty")
    all_gone([], tmp_path)


def test_a_long_path_with_spaces_works(make_stack, tmp_path):
    folder = tmp_path / ("a folder with spaces " * 4) / ("x" * 60)
    folder.mkdir(parents=True)
    for part in [folder, *folder.parents][: len(folder.parts) - len(tmp_path.parts) + 3]:
        if part.stat().st_uid == os.getuid() and str(part).startswith(str(tmp_path.parent.parent)):
            part.chmod(0o755)
    stack = make_stack(RUN_DIR=folder, POSTGRES="on")
    assert requests.get(f"{stack.base_url}/demo/chess.html", timeout=10).status_code == 200
    database_up(stack)
    stack.stop()
    all_gone([], folder)


@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["open", "closed"])
def test_postgres_and_pages_work_below_any_folder(make_stack, tmp_path, mode):
    """A checkout in /root is closed to the users that nginx and PostgreSQL run as."""
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(mode)
    stack = make_stack(RUN_DIR=folder / "run", POSTGRES="on")
    assert requests.get(f"{stack.base_url}/demo/chess.html", timeout=10).status_code == 200
    assert requests.get(f"{stack.base_url}/v1/time", timeout=10).status_code == 200
    database_up(stack)
    stack.stop()


def test_make_variables_reach_the_programs_and_ctrl_c_stops_make(tmp_path):
    port, run_dir = free_port(), tmp_path / "run"
    build = os.environ.get("BIN_DIR", "build/release")
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k not in ("WRAP", "BIN_DIR", "MFLAGS")}
    make = subprocess.Popen(
        [*CTRL_C_WORKS, "make", "run", f"BUILD={build}", f"PORT={port}", f"RUN_DIR={run_dir}", "KEY_PREFIX=made:", "POSTGRES=off"],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        until(lambda: (run_dir / "ready").exists() or make.poll() is not None, 60, say="make run")
        assert make.poll() is None, make.stdout.read()
        sent = body()
        assert requests.post(f"http://127.0.0.1:{port}/v1/sessions", json=sent, timeout=10).status_code == 201
        fcgi = int((run_dir / "pid" / "fcgi").read_text())
        settings = pathlib.Path(f"/proc/{fcgi}/environ").read_bytes().split(b"\0")
        assert {b"KEY_PREFIX=made:", b"APP_ENV=development", b"AUTH_REQUIRED=false", b"DRAIN_SECONDS=2"} <= set(settings)
        pids = descendants(make.pid)
    finally:
        os.killpg(make.pid, signal.SIGINT)
        make.communicate(timeout=30 * SLOW)
    all_gone(pids, run_dir)


# --- the web server's part -----------------------------------------------------------------------


def raw(stack, text):
    """The answer to bytes as they are: (status, headers, body)."""
    import socket

    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as s:
        s.sendall(text)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    head, _, rest = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), rest.decode()


ERRORS = [
    ("a path of nowhere", b"GET /nowhere HTTP/1.1\r\n%s", 404, "NOT_FOUND"),
    ("a hidden file", b"GET /.git/config HTTP/1.1\r\n%s", 404, "NOT_FOUND"),
    ("a folder without a page", b"GET /demo/../../ HTTP/1.1\r\n%s", 400, "BAD_REQUEST"),
    ("a page that is posted to", b"POST /demo/chess.html HTTP/1.1\r\nContent-Length: 0\r\n%s", 405, "METHOD_NOT_ALLOWED"),
    ("no HTTP at all", b"HELLO\r\n%s", 400, "BAD_REQUEST"),
    ("two lengths", b"GET /v1/time HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n%s", 400, "BAD_REQUEST"),
    ("a body above 256 KB", b"POST /v1/sessions HTTP/1.1\r\nContent-Length: 262145\r\n%s", 413, "PAYLOAD_TOO_LARGE"),
    ("a long address", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n%s", 414, "URI_TOO_LONG"),
    ("a long header", b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9000 + b"\r\n%s", 431, "REQUEST_HEADER_FIELDS_TOO_LARGE"),
]


@pytest.mark.parametrize("what, request_text, status, code", ERRORS, ids=[row[0] for row in ERRORS])
def test_errors_of_the_web_server_look_like_all_others(stack, what, request_text, status, code):
    rest = b"Host: x\r\nX-Request-Id: asked-by-me\r\nConnection: close\r\n\r\n"
    got, headers, text = raw(stack, request_text.replace(b"%s", rest))
    assert got == status
    assert re.fullmatch(r'\{"error":\{"code":"%s","message":"[A-Z][^"]+"\}\}' % code, text)
    assert headers["content-type"].startswith("application/json")
    assert headers["access-control-allow-origin"] == "*" and headers["access-control-allow-credentials"] == "true"
    assert headers["x-request-id"]
    if status in (404, 405, 413):
        assert headers["x-request-id"] == "asked-by-me"


def test_without_workers_the_web_server_says_503_and_when_to_retry(make_stack):
    stack = make_stack()
    stack.hold("fcgi")
    workers = stack.workers()
    stack.kill("fcgi")
    until(lambda: not [p for p in workers if alive(p)], say="the workers' end")
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=body(), timeout=10)
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "WORKER_UNAVAILABLE"
    assert answer.headers["Retry-After"] == "1" and answer.headers["Access-Control-Allow-Origin"] == "*"
    stack.release("fcgi")
    stack.wait_ready()


def test_without_broadcasters_a_socket_is_refused_with_503(make_stack):
    stack = make_stack()
    for name in stack.broadcasters():
        stack.hold(name)
        stack.kill(name)
    until(lambda: not stack.broadcasters(), say="the broadcasters' end")
    with Watcher(f"{stack.ws_url}?sessionId=00000000-0000-0000-0000-000000000000") as watcher:
        watcher.wait_closed()
        assert watcher.handshake_status == 503


def test_query_strings_of_sockets_are_not_logged(make_stack):
    stack = make_stack()
    with Watcher(f"{stack.ws_url}?sessionId=00000000-0000-0000-0000-000000000000&token=very-secret") as watcher:
        watcher.wait_for("CONNECTED")
    until(lambda: '"GET /ws HTTP/1.1" 101' in stack.access_log(), say="the access line")
    for name in stack.broadcasters():
        stack.hold(name)
        stack.kill(name)
    Watcher(f"{stack.ws_url}?token=very-secret").wait_closed()
    until(lambda: '"GET /ws HTTP/1.1" 503' in stack.access_log(), say="the access line")
    for log in (stack.run_dir / "log").iterdir():
        assert "very-secret" not in log.read_text(), log.name


def test_pages_can_be_cached_and_are_protected(stack):
    url = f"{stack.base_url}/synckairos.js"
    first = requests.get(url, timeout=10)
    assert first.headers["Content-Type"] == "application/javascript; charset=utf-8"
    assert first.headers["Content-Encoding"] == "gzip"
    front = requests.get(stack.base_url + "/", timeout=10, allow_redirects=False)
    assert (front.status_code, front.headers["Location"]) == (302, "/demo/")
    for path in ("/demo/", "/demo/chess.html", "/api-docs/", "/synckairos.js"):
        page = requests.get(stack.base_url + path, timeout=10)
        assert page.status_code == 200, path
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
        assert "script-src" not in page.headers["Content-Security-Policy"], "default-src 'self' is for scripts too"
        assert page.headers["Access-Control-Allow-Origin"] == "*"
        again = requests.get(stack.base_url + path, headers={"If-None-Match": page.headers["ETag"]}, timeout=10)
        assert (again.status_code, again.content) == (304, b"")
    assert requests.get(f"{stack.base_url}/synckairos.d.ts", timeout=10).headers["Content-Type"].startswith("text/plain")
    for path in ("/package.json", "/api-docs/package.json", "/api-docs/package-lock.json"):
        assert requests.get(stack.base_url + path, timeout=10).status_code == 404


def test_a_list_of_origins_holds_for_pages_and_errors_too(make_stack):
    stack = make_stack(ALLOWED_ORIGINS="https://one.example,https://two.example")
    for path in ("/demo/chess.html", "/nowhere", "/health"):
        for origin, expected in (("https://two.example", "https://two.example"), (None, "https://one.example"), ("https://evil.example", None)):
            answer = requests.get(stack.base_url + path, headers={"Origin": origin} if origin else {}, timeout=10)
            assert answer.headers.get("Access-Control-Allow-Origin") == expected, (path, origin)
            assert "Origin" in answer.headers["Vary"]


def test_the_site_file_for_real_deployments_is_accepted_by_nginx(tmp_path):
    for piece in (ROOT / "etc/nginx").glob("synckairos-*.conf"):
        (tmp_path / piece.name).write_text(piece.read_text())
    site = (ROOT / "etc/nginx/synckairos.conf").read_text().replace("listen 80;", f"listen {free_port()};")
    site = site.replace("listen [::]:80;", "").replace("/var/log/nginx/", f"{tmp_path}/")
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ include /etc/nginx/mime.types; include site.conf; }}"
    )
    result = subprocess.run(["/usr/sbin/nginx", "-e", "stderr", "-t", "-p", tmp_path, "-c", "nginx.conf"], capture_output=True, text=True)
    assert result.returncode == 0 and "warn" not in result.stderr, result.stderr
