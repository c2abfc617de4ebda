"""The FastCGI master and its workers by themselves: life, signals, failures. No web server, no Redis."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest
from fcgi_client import Request, get
from stack import BIN_DIR, PLAIN, ROOT, SLOW, WRAP, alive, children, until

PROGRAM = (BIN_DIR if BIN_DIR.is_absolute() else ROOT / BIN_DIR) / "synckairos.fcgi"
SESSION = "/v1/sessions/0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
# A request that a test holds in hand: the worker waits for the body. Without Redis its answer is 503.
HELD = {"path": SESSION + "/start", "method": "POST", "body": b"{}"}


class Master:
    def __init__(self, folder, args=(), stdin=subprocess.DEVNULL, program=None, **settings):
        self.folder = folder
        self.socket = str(folder / "fcgi.sock")
        self.log_path = folder / f"log-{len(list(folder.glob('log-*')))}"
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG") or k.endswith("SAN_OPTIONS")}
        env.update(
            APP_ENV="test",
            AUTH_REQUIRED="false",
            RATE_LIMIT_ENABLED="false",
            REDIS_URL=f"unix://{folder}/no-redis",
            STATUS_FILE=str(folder / "status"),
            FCGI_LISTEN=f"unix:{self.socket}",
            FCGI_WORKERS="2",
            DRAIN_SECONDS="5",
        )
        env.update({k: str(v) for k, v in settings.items()})
        # A program of the test's own is looked at from outside, which a wrapper would hide.
        wrap = [] if program else WRAP.replace("{dir}", str(folder)).split()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*wrap, str(program or PROGRAM), *args], env=env, stdin=stdin, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self.process.pid

    def log(self):
        return self.log_path.read_bytes().decode()

    def workers(self):
        return children(self.pid)

    def ready(self, address=None):
        until(lambda: answers(address or self.socket), 20, say=self.log)
        return self

    def tell(self, signum):
        self.process.send_signal(signum)

    def end(self, seconds=20):
        return self.process.wait(seconds * SLOW)


def answers(address):
    try:
        return get(address)[0] == 200
    except OSError:
        return False


@pytest.fixture
def make(tmp_path):
    made = []

    def start(*args, **kwargs):
        made.append(Master(tmp_path, *args, **kwargs))
        return made[-1]

    yield start
    for master in made:
        workers = master.workers()
        if master.process.poll() is None:
            master.process.kill()
            master.process.wait()
        for pid in workers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        text = master.log()
        assert "Sanitizer" not in text and "runtime error" not in text, text


class Load:
    """Threads that ask without pause; `lost` holds what was not answered 200."""

    def __init__(self, address, threads=4):
        self.address, self.lost, self.done, self.going = address, [], 0, True
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while self.going:
            try:
                status, _ = get(self.address)
                if status != 200:
                    self.lost.append(status)
            except OSError as e:
                self.lost.append(repr(e))
            self.done += 1

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join()
        return self


def test_it_starts_its_workers_and_leaves_nothing(make):
    master = make(FCGI_SOCKET_MODE="0640", FCGI_WORKERS=3).ready()
    until(lambda: len(master.workers()) == 3)
    assert stat.S_IMODE(os.stat(master.socket).st_mode) == 0o640
    workers = master.workers()
    master.tell(signal.SIGTERM)
    assert master.end() == 0
    assert not any(alive(pid) for pid in workers)
    assert sorted(p.name for p in master.folder.iterdir() if not p.name.startswith(("log-", "valgrind"))) == ["status"]


if PLAIN:

    def test_workers_are_started_before_the_master_waits_for_anything(make, tmp_path):
        calls, traced = tmp_path / "log-calls", tmp_path / "log-traced"
        traced.write_text(f'#!/bin/sh\nexec strace -D -o {calls} -e trace=clone,clone3,rt_sigtimedwait {PROGRAM} "$@"\n')
        traced.chmod(0o755)
        make(program=traced).ready()
        names = until(lambda: len(lines := calls.read_text().splitlines()) >= 3 and [line.split("(")[0] for line in lines])
        assert [name.startswith("clone") for name in names[:3]] == [True, True, False], names


def test_a_killed_worker_is_replaced(make):
    master = make().ready()
    until(lambda: len(master.workers()) == 2)
    before = master.workers()
    time.sleep(1.1 * SLOW)  # an early death would be punished with a delay
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(master.workers()) - set(before)) == 2, 3)
    assert get(master.socket)[0] == 200
    assert '"signal":9' in master.log()


def test_workers_leave_after_their_requests_and_none_is_lost(make):
    master = make(FCGI_MAX_REQUESTS=20).ready()
    first = set(master.workers())
    load = Load(master.socket)
    until(lambda: load.done >= 60 + 340 / SLOW, 30)
    load.stop()
    assert load.lost == []
    assert not first & set(master.workers())
    assert "worker_failed" not in master.log()
    until(lambda: len(master.workers()) == 2)


def test_hup_replaces_all_workers_and_loses_nothing(make):
    master = make(FCGI_WORKERS=3).ready()
    until(lambda: len(master.workers()) == 3)
    load = Load(master.socket)
    for _ in range(3):
        before = set(master.workers())
        master.tell(signal.SIGHUP)
        seen = []
        until(lambda: seen.append(len(master.workers())) or not before & set(master.workers()), 20)
        assert 3 <= max(seen) <= 4
        until(lambda: len(master.workers()) == 3)
    load.stop()
    assert load.lost == []
    assert load.done > 100 / SLOW


def test_hup_gets_done_when_workers_are_short_lived(make):
    master = make(FCGI_WORKERS=4, FCGI_MAX_REQUESTS=1).ready()
    load = Load(master.socket)
    for times in range(1, 11):
        master.tell(signal.SIGHUP)
        until(lambda: master.log().count("restart_begins") == times)
        time.sleep(0.2 * SLOW)
    load.stop()
    assert load.lost == []
    assert "restart_given_up" not in master.log()


def test_hup_brings_in_the_program_that_is_there_now(make, tmp_path):
    program = tmp_path / "log-program"
    shutil.copy2(PROGRAM, program)
    master = make(program=program).ready()
    shutil.copy2(PROGRAM, tmp_path / "log-next")
    os.rename(tmp_path / "log-next", program)
    assert all(os.readlink(f"/proc/{pid}/exe").endswith(" (deleted)") for pid in master.workers())
    before = set(master.workers())
    master.tell(signal.SIGHUP)
    until(lambda: len(master.workers()) == 2 and not before & set(master.workers()), 20)
    assert all(os.readlink(f"/proc/{pid}/exe") == str(program) for pid in master.workers())


def test_a_broken_program_is_not_rolled_out_and_not_started_in_a_frenzy(make, tmp_path):
    program = tmp_path / "log-program"
    shutil.copy2(PROGRAM, program)
    master = make(program=program).ready()
    until(lambda: len(master.workers()) == 2)
    before = master.workers()
    broken = tmp_path / "log-broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    os.rename(broken, program)
    time.sleep(1.1)

    master.tell(signal.SIGHUP)
    until(lambda: "restart_given_up" in master.log())
    assert all(alive(pid) for pid in before)
    assert get(master.socket)[0] == 200

    os.kill(before[0], signal.SIGKILL)
    time.sleep(2)
    assert master.log().count('"exit":3') <= 9  # 50, 100, 200, ... ms apart
    until(lambda: master.log().count('"exit":3') >= 2)
    assert get(master.socket)[0] == 200  # by the other one

    shutil.copy2(PROGRAM, tmp_path / "log-next")
    os.rename(tmp_path / "log-next", program)
    until(lambda: len(master.workers()) == 2 and len(set(master.workers()) - set(before)) == 1, 10)


def test_term_finishes_the_request_in_hand_and_serves_the_backlog(make):
    master = make(FCGI_WORKERS=1).ready()
    held = Request(master.socket, **HELD)
    time.sleep(0.3 * SLOW)
    waiting = [Request(master.socket) for _ in range(20)]
    master.tell(signal.SIGTERM)
    until(lambda: not os.path.exists(master.socket))
    with pytest.raises(OSError):
        get(master.socket)
    assert alive(master.pid)
    assert held.send_body().answer()[0] == 503
    assert [request.answer()[0] for request in waiting] == [200] * 20
    assert master.end() == 0


def test_term_under_load_loses_nothing_that_was_accepted(make):
    master = make(FCGI_WORKERS=2).ready()
    load = Load(master.socket, threads=8)
    until(lambda: load.done > 50)
    master.tell(signal.SIGTERM)
    assert master.end() == 0
    load.stop()
    # After the socket has gone nobody can connect; what was connected is answered.
    assert {what for what in load.lost if "FileNotFound" not in str(what)} == set()


def test_a_stopping_service_says_that_it_is_not_ready(make):
    """Noticed between two requests, also while connections wait all the time."""
    master = make(FCGI_WORKERS=1).ready()
    held = Request(master.socket, **HELD)
    time.sleep(0.3 * SLOW)
    waiting = [Request(master.socket, "/ready") for _ in range(5)]
    master.tell(signal.SIGTERM)
    until(lambda: not os.path.exists(master.socket))
    time.sleep(0.1)
    held.send_body().answer()
    answered = [request.answer() for request in waiting]
    assert all(status == 503 and "stopping" in text for status, text in answered)
    assert master.end() == 0


def test_a_second_term_ends_at_once(make):
    master = make(FCGI_WORKERS=1).ready()
    held = Request(master.socket, **HELD)
    time.sleep(0.3 * SLOW)
    master.tell(signal.SIGTERM)
    until(lambda: not os.path.exists(master.socket))
    assert alive(master.pid)
    master.tell(signal.SIGTERM)
    assert master.end(3) == 0
    with pytest.raises(ConnectionError):
        held.send_body().answer()


def test_a_request_that_takes_too_long_is_ended(make):
    master = make(FCGI_WORKERS=1, FCGI_REQUEST_LIMIT_MS=int(500 * SLOW)).ready()
    held = Request(master.socket, **HELD)
    with pytest.raises(ConnectionError):
        held.answer()
    assert "worker_killed" in master.log()
    assert get(master.socket)[0] == 200
    silent = socket.socket(socket.AF_UNIX)  # connected, and never says a word
    silent.connect(master.socket)
    assert get(master.socket)[0] == 200
    silent.close()


def test_a_socket_on_fd_0_is_taken(make, tmp_path):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    address = listening.getsockname()
    master = make(stdin=listening).ready(address)
    assert not os.path.exists(master.socket)
    master.tell(signal.SIGTERM)
    assert master.end() == 0
    listening.close()


def test_it_listens_on_tcp(make):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = s.getsockname()
    master = make(FCGI_LISTEN=f"127.0.0.1:{address[1]}").ready(address)
    body = b'{"x":"' + b"y" * 300_000 + b'"}'
    request = Request(address, SESSION + "/start", method="POST", body=body)
    for at in range(0, len(body), 60_000):
        piece = body[at : at + 60_000]
        request.sock.sendall(b"\1\5\0\1" + len(piece).to_bytes(2, "big") + b"\0\0" + piece)
    request.sock.sendall(b"\1\5\0\1\0\0\0\0")
    assert request.answer()[0] == 413  # refused, read to the end, and the answer arrives
    master.tell(signal.SIGTERM)
    assert master.end() == 0


def test_a_place_that_cannot_be_bound_is_said(make, tmp_path):
    master = make(FCGI_LISTEN=f"unix:{tmp_path}/no/such/folder/s")
    assert master.end() == os.EX_UNAVAILABLE
    assert "FCGI_LISTEN" in master.log()


def test_another_master_takes_over_the_socket(make):
    old = make().ready()
    inode = os.stat(old.socket).st_ino
    load = Load(old.socket)
    new = make()
    until(lambda: os.stat(old.socket).st_ino != inode)
    time.sleep(0.2)
    old.tell(signal.SIGTERM)
    assert old.end() == 0
    done = load.done
    until(lambda: load.done > done + 50)
    load.stop()
    assert load.lost == []
    assert os.path.exists(new.socket)


def test_workers_do_not_outlive_their_master(make):
    master = make().ready()
    until(lambda: len(master.workers()) == 2)
    workers = master.workers()
    os.kill(master.pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in workers), 5)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_without_a_master_serves_the_backlog_before_it_leaves(make, signum):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    address = listening.getsockname()
    worker = make(args=["--worker"], stdin=listening).ready(address)
    assert worker.workers() == []
    held = Request(address, **HELD)
    time.sleep(0.3 * SLOW)
    waiting = [Request(address) for _ in range(5)]
    worker.tell(signum)
    time.sleep(0.2)
    assert held.send_body().answer()[0] == 503
    assert [request.answer()[0] for request in waiting] == [200] * 5
    assert worker.end() == 0
    listening.close()


def test_draining_has_an_end(make):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    address = listening.getsockname()
    worker = make(args=["--worker"], stdin=listening, DRAIN_SECONDS=0).ready(address)
    held = Request(address, **HELD)
    time.sleep(0.3 * SLOW)
    waiting = Request(address)
    worker.tell(signal.SIGTERM)
    time.sleep(0.1 * SLOW)
    assert held.send_body().answer()[0] == 503  # the request in hand is finished all the same
    assert worker.end() == 0
    listening.close()
    with pytest.raises(ConnectionError):
        waiting.answer()


def test_a_body_that_is_cut_off_is_never_acted_on(make):
    master = make(FCGI_WORKERS=1).ready()
    request = Request(master.socket, **HELD)
    request.sock.sendall(b"\1\5\0\1\0\1\0\0{")  # one byte of two
    request.sock.shutdown(socket.SHUT_WR)
    status, text = request.answer()
    assert status == 400 and "shorter than its Content-Length" in text
    assert get(master.socket)[0] == 200


def test_garbage_does_not_end_a_worker(make):
    master = make(FCGI_WORKERS=1).ready()
    workers = master.workers()
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64, b"\1\1\0\1", os.urandom(400), b""):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(master.socket)
            s.sendall(garbage)
    assert get(master.socket)[0] == 200
    assert all(alive(pid) for pid in workers)


def cgi(tmp_path, method, path, body=b"", args=(), **variables):
    master = Master(
        tmp_path,
        args=args,
        stdin=subprocess.PIPE,
        GATEWAY_INTERFACE="CGI/1.1",
        REQUEST_METHOD=method,
        SCRIPT_NAME="/cgi-bin/synckairos.fcgi",
        PATH_INFO=path,
        REQUEST_URI="/cgi-bin/synckairos.fcgi" + path,
        REMOTE_ADDR="192.0.2.1",
        **variables,
    )
    master.process.stdin.write(body)
    master.process.stdin.flush()  # and stays open: nothing may be read past CONTENT_LENGTH
    assert master.end() == 0
    master.process.stdin.close()
    return re.sub(r"^\{\"level.*\n", "", master.log(), flags=re.M)


def test_plain_cgi(tmp_path):
    text = cgi(tmp_path, "GET", "/health", HTTP_X_REQUEST_ID="mine")
    assert text.startswith("Status: 200 OK\r\nX-Request-Id: mine\r\n")
    assert '\r\n\r\n{"status":"ok",' in text
    text = cgi(tmp_path, "POST", SESSION + "/start", b'{"x":1}', CONTENT_LENGTH=7, CONTENT_TYPE="application/json")
    assert text.startswith("Status: 400 ") and "unrecognized_key" in text
    text = cgi(tmp_path, "DELETE", SESSION)
    assert text.startswith("Status: 503 ") and "STORE_UNAVAILABLE" in text


def test_a_query_is_no_argument_of_plain_cgi(tmp_path):
    for query in ("x", "--worker", "--print-config"):  # RFC 3875, 4.4: web servers pass them on as arguments
        assert cgi(tmp_path, "GET", "/health", args=[query], QUERY_STRING=query).startswith("Status: 200 ")


def test_unknown_arguments_are_refused(make):
    assert make(args=["--worke"]).end() == os.EX_USAGE
    assert make(args=["--worker"]).end() == os.EX_USAGE  # no socket on fd 0
