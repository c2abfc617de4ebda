"""A whole SyncKairos for a test: started through etc/dev/run, black box.

Every stack has a port and a run folder of its own, so any number may run side by side. What the
programs print is kept; `check()` fails the test when one of them crashed or a sanitizer or
valgrind complained.

From the environment: BIN_DIR (what to test, default build/release) and WRAP (a command in front
of our programs; {dir} is replaced by a folder whose files count as complaints when not empty).
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from postgres import connect

import tokens

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR", "build/release"))
WRAP = os.environ.get("WRAP", "")
# Under valgrind or a sanitizer everything takes longer; waits are stretched by this.
SLOW = float(os.environ.get("SLOW", "1"))
# Neither below valgrind nor with a sanitizer: who traces or counts what the programs do finds nothing else then.
PLAIN = not WRAP and BIN_DIR.name == "release"

# A shell starts what it puts into the background with SIGINT ignored, and that is inherited.
CTRL_C_WORKS = ["env", "--default-signal=INT,QUIT"]

DEFAULTS = {
    "APP_ENV": "development",
    "AUTH_REQUIRED": "false",
    "JWT_SECRET": tokens.SECRET,
    "RATE_LIMIT_ENABLED": "false",
}
COMPLAINT = re.compile(
    r"Sanitizer|runtime error:|Assertion .* failed|panic|sorry_.*_is_a_banned|stack smashing|"
    r"\*\*\* .* detected \*\*\*|ERROR SUMMARY: [1-9]"
)


_ports = []  # a socket in the abstract namespace for each port that is ours while this process lives


def free_port():
    """A port below the ephemeral range, so that no outgoing connection takes it meanwhile; no other test gets it."""
    for _ in range(200):
        port = 10000 + int.from_bytes(os.urandom(2), "big") % 9900
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket(socket.AF_INET6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                claim.bind(f"\0synckairos-test-port-{port}")
                s.bind(("::", port))
            except OSError:
                claim.close()
                continue
        _ports.append(claim)
        return port
    raise RuntimeError("no free port")


def until(what, seconds=10, every=0.02, say="it"):
    """Wait until what() is true and return that; AssertionError after `seconds`."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW:g} s in vain for {say() if callable(say) else say}")
        time.sleep(every)


def alive(pid):
    """Is there a process `pid` that is not a zombie?"""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """Pids of the living children of `pid`."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(p) for p in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return [p for p in found if alive(p)]


class Stack:
    """One running set-up. Keyword arguments are settings for it; None removes a default.

    base_url, ws_url   http://127.0.0.1:PORT and ws://127.0.0.1:PORT/ws
    port, ws_port      nginx, and the broadcasters behind it; metrics_port: what Prometheus asks
    run_dir            logs, sockets, pids (see etc/dev/run)
    """

    def __init__(self, **env):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sk-"))
        self.dir.chmod(0o755)
        self.run_dir = pathlib.Path(env.get("RUN_DIR", self.dir / "run"))
        self.reports = self.dir / "reports"
        self.reports.mkdir(mode=0o777)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self.env = env
        self.process = None
        self.up_seconds = None
        self.expected = set()  # pids that a test ended itself
        self._redis = None
        self.start()

    # --- life ---

    def _environment(self):
        env = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR", "USER") if k in os.environ}
        env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        bin_dir = BIN_DIR if BIN_DIR.is_absolute() else ROOT / BIN_DIR
        options = f"exitcode=99:log_path={self.reports}/san:print_stacktrace=1"
        env.update(
            DEFAULTS,
            PORT=str(self.port),
            HOST="127.0.0.1",
            RUN_DIR=str(self.run_dir),
            BIN_DIR=str(bin_dir),
            WRAP=WRAP.replace("{dir}", str(self.reports)),
            START_SECONDS=str(int(30 * max(1, SLOW))),
            QUIET="yes",
            POSTGRES="off",
            ASAN_OPTIONS=options + ":detect_leaks=1",
            UBSAN_OPTIONS=options,
            TSAN_OPTIONS=options,
        )
        for name, value in self.env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = str(value).lower() if isinstance(value, bool) else str(value)
        return env

    def start(self):
        """Start, and return when everything answers."""
        began = time.monotonic()
        with open(self.dir / "output", "ab") as out:
            self.process = subprocess.Popen(
                [*CTRL_C_WORKS, "setpriv", "--pdeathsig", "TERM", str(ROOT / "etc/dev/run")],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        ready = self.run_dir / "ready"
        while not (ready.exists() and f":{self.port}/" in ready.read_text()):
            if self.process.poll() is not None:
                said = self.output()
                if "not everything answers" not in said:
                    shutil.rmtree(self.dir)
                raise RuntimeError("the stack did not start:\n" + said)
            time.sleep(0.02)
        self.up_seconds = time.monotonic() - began
        self.ws_port = int(re.search(r"127\.0\.0\.1:(\d+)", (self.run_dir / "nginx.conf").read_text())[1])
        self.metrics_port = int((self.run_dir / "metrics-port").read_text())

    def stop(self, signum=signal.SIGTERM):
        """Stop in order; returns the exit status of etc/dev/run."""
        if self._redis is not None:
            self._redis.close()
            self._redis = None
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(60 * SLOW)

    def restart(self, **env):
        """Stop and start again on the same port with the same data; settings as in __init__."""
        self.stop()
        self.env.update(env)
        self.start()

    def close(self):
        """Stop, check, and remove the folder if all is well."""
        if self.process.poll() is None:
            self.stop()
        self.check()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- what it says ---

    def output(self):
        """What etc/dev/run printed."""
        return (self.dir / "output").read_text(errors="replace")

    def log(self, name):
        """What a child printed since it was started first: "fcgi", "broadcaster-0", "redis", ..."""
        return (self.run_dir / "log" / f"{name}.log").read_text(errors="replace")

    def access_log(self):
        return (self.run_dir / "log" / "access.log").read_text(errors="replace")

    def complaints(self):
        """Crashes and reports so far, as a list of sentences."""
        found = []
        for report in sorted(self.reports.iterdir()):
            text = report.read_text(errors="replace").strip()
            if text:
                found.append(f"{report.name}:\n{text[:8000]}")
        for log in sorted((self.run_dir / "log").glob("*.log")):
            if log.name == "access.log":
                continue
            for line in log.read_text(errors="replace").splitlines():
                if COMPLAINT.search(line):
                    found.append(f"{log.name}: {line[:2000]}")
        for line in (self.run_dir / "exits").read_text().splitlines():
            name, pid, status = line.split()[:3]
            ours = name == "fcgi" or name.startswith("broadcaster")
            if ours and status != "0" and int(pid) not in self.expected:
                found.append(f"{name} (process {pid}) ended with status {status}")
        return found

    def check(self):
        found = self.complaints()
        assert not found, f"{len(found)} complaints, kept in {self.dir}:\n" + "\n".join(found)

    # --- processes ---

    def pid(self, name):
        """Process id of redis, postgres, fcgi, nginx, broadcaster-0, ...; None when it is down."""
        try:
            return int((self.run_dir / "pid" / name).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def names(self):
        """Names of all children that run now."""
        return sorted(
            p.name for p in (self.run_dir / "pid").iterdir() if p.name not in ("supervisor", "migrate")
        )

    def broadcasters(self):
        return [n for n in self.names() if n.startswith("broadcaster-")]

    def workers(self):
        """Pids of the FastCGI workers."""
        return children(self.pid("fcgi"))

    def kill(self, name, signum=signal.SIGKILL):
        """Signal a child (it is started again by itself if it dies); returns its pid."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        self.kill_pid(pid, signum)
        return pid

    def kill_pid(self, pid, signum=signal.SIGKILL):
        """The same for any process of the stack, a worker for instance."""
        if signum in (signal.SIGKILL, signal.SIGTERM):
            self.expected.add(pid)
        os.kill(pid, signum)

    def hold(self, name):
        """From now on, when `name` dies it stays down until release()."""
        (self.run_dir / "hold" / name).touch()

    def release(self, name):
        (self.run_dir / "hold" / name).unlink(missing_ok=True)

    def wait_restarted(self, name, old_pid, seconds=10):
        """Wait until `name` runs as another process than old_pid; returns the new pid."""
        return until(
            lambda: self.pid(name) not in (None, old_pid) and self.pid(name), seconds, say=f"a new {name}"
        )

    def wait_ready(self, seconds=10):
        """Wait until /ready answers 200 through nginx."""

        def ready():
            try:
                with urllib.request.urlopen(self.base_url + "/ready", timeout=5) as answer:
                    return answer.status == 200
            except (urllib.error.URLError, OSError):
                return False

        until(ready, seconds, say="/ready")

    # --- its PostgreSQL (POSTGRES="on") ---

    @property
    def database_url(self):
        return f"postgresql:///synckairos?host={self.run_dir}/postgres.sock&user=synckairos"

    def database(self):
        """A connection to the private PostgreSQL, autocommit, once it has its tables."""
        until(lambda: (self.run_dir / "migrated").exists(), 30, say="the tables in PostgreSQL")

        def attempt():
            try:
                return connect(self.database_url)
            except Exception:  # it may have been killed and be starting up
                return None

        return until(attempt, 30, say="a connection to PostgreSQL")

    # --- its Redis ---

    @property
    def redis_socket(self):
        return str(self.run_dir / "redis.sock")

    def redis(self):
        """A python3-redis client on the private Redis; answers are str."""
        import redis

        if self._redis is None:
            self._redis = redis.Redis(unix_socket_path=self.redis_socket, decode_responses=True)
        return self._redis
