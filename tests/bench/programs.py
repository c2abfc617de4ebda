"""The programs of a bench: ours through the test fixture, the peers, and the load clients."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))

import tokens  # noqa: E402 (the path comes first)
from stack import Stack, free_port, until  # noqa: E402

from measure import tree  # noqa: E402

BIN = ROOT / os.environ.get("BIN_DIR", "build/release")
TOOLS = BIN / "tests/bench"


class Ours:
    """
    SyncKairos with everything that production has switched on: tokens, limits (far away, not off), audit trail, append-only
    file, access log. `headers` are what requests carry; an Idempotency-Key they have of the load client.
    """

    settings = {
        "APP_ENV": "production",
        "AUTH_REQUIRED": "true",
        "RATE_LIMIT_ENABLED": "true",
        "RATE_LIMIT_SWITCH": "1000000/1s",
        "RATE_LIMIT_CREATE": "1000000/1s",
        "RATE_LIMIT_GET": "1000000/1s",
        "RATE_LIMIT_GENERAL": "1000000/1s",
        "RATE_LIMIT_WS_CONNECT": "1000000/1s",
        "WS_MAX_OPEN_PER_USER": "0",
        "POSTGRES": "on",
    }
    keys = True

    def __init__(self, **settings):
        self.stack = Stack(**{**self.settings, **settings})
        self.base_url, self.port, self.ws_port = self.stack.base_url, self.stack.port, self.stack.ws_port
        self.headers = tokens.bearer("bench", lifetime=86400) if self.settings["AUTH_REQUIRED"] == "true" else {}
        if self.stack.env["POSTGRES"] == "on":
            self.stack.database().close()

    def pids(self, *names):
        """Processes by name (fcgi has its workers, "broadcaster" is all of them); without names all of the stack."""
        found = []
        for name in names or self.stack.names():
            for child in self.stack.broadcasters() if name == "broadcaster" else [name]:
                found += tree(self.stack.pid(child))
        return found

    def close(self):
        self.stack.close()


class Bare(Ours):
    """The same programs with nothing but the work itself: what prototypes are measured like."""

    settings = {"AUTH_REQUIRED": "false", "POSTGRES": "off", "ENABLE_METRICS": "false", **{
        f"RATE_LIMIT_{name}": "0" for name in ("SWITCH", "CREATE", "GET", "GENERAL", "WS_CONNECT")}}
    keys = False

    def __init__(self, **settings):
        super().__init__(**settings)
        self.stack.redis().config_set("appendonly", "no")
        conf = self.stack.run_dir / "nginx.conf"
        conf.write_text(re.sub(r"access_log [^;]*;", "access_log off;", conf.read_text()))
        old = set(tree(self.stack.pid("nginx")))
        os.kill(self.stack.pid("nginx"), signal.SIGHUP)
        until(lambda: len(set(tree(self.stack.pid("nginx"))) & old) == 1, 20, say="nginx without its log")


class Peer:
    """A program beside us, in a folder of its own, with a private Redis when it wants one."""

    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sk-bench-"))
        self.dir.chmod(0o755)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.started = []

    def spawn(self, *command, **more):
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, command)], cwd=self.dir, stdin=subprocess.DEVNULL,
            stdout=open(self.dir / "output", "ab"), stderr=subprocess.STDOUT, **more)
        self.started.append(process)
        return process

    def redis(self):
        """The same Redis as ours has, with the same durability; returns its socket."""
        socket = self.dir / "redis.sock"
        self.spawn("redis-server", ROOT / "etc/redis/redis.conf", "--port", 0, "--unixsocket", socket,
                   "--dir", self.dir, "--daemonize", "no", "--logfile", "", "--pidfile", self.dir / "redis.pid")
        until(socket.exists, say="the peer's Redis")
        return socket

    def wait_port(self):
        hex_port = f":{self.port:04X} "
        until(lambda: any(hex_port in line and " 0A " in line
                          for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()), 60, say=self.name)

    def pids(self):
        return [pid for process in self.started if process.poll() is None for pid in tree(process.pid)]

    def close(self):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def node(script):
    """A service of peers/ on Node, one process per core; its packages are installed once."""
    if not (HERE / "peers/node_modules").exists():
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE / "peers", check=True, stdout=sys.stderr)
    peer = Peer(f"Node: {script}")
    socket = peer.redis()
    peer.spawn("node", HERE / "peers" / script, peer.port, socket, env={**os.environ, "NODE_ENV": "production"})
    peer.wait_port()
    until(lambda: "ready" in (peer.dir / "output").read_text(), 60, say=script)
    return peer


def nchan():
    peer = Peer("nchan")
    conf = (HERE / "peers/nchan.conf").read_text().replace("@DIR@", str(peer.dir)).replace("@PORT@", str(peer.port))
    (peer.dir / "nginx.conf").write_text(conf)
    peer.spawn("/usr/sbin/nginx", "-e", peer.dir / "nchan.log", "-c", peer.dir / "nginx.conf")
    peer.wait_port()
    return peer


def echo(workers=4):
    """A FastCGI program that does nothing, behind the web server that ours stands behind."""
    peer = Peer("FastCGI echo")
    socket = peer.dir / "echo.sock"
    peer.spawn(TOOLS / "peers/echo", socket, workers)
    until(socket.exists, say="the echo")
    conf = ECHO_CONF.replace("@DIR@", str(peer.dir)).replace("@PORT@", str(peer.port))
    (peer.dir / "nginx.conf").write_text(conf)
    peer.spawn("/usr/sbin/nginx", "-e", peer.dir / "error.log", "-c", peer.dir / "nginx.conf")
    peer.wait_port()
    return peer


ECHO_CONF = """
worker_processes auto;
pid @DIR@/nginx.pid;
daemon off;
events { worker_connections 8192; }
http {
    access_log @DIR@/access.log combined buffer=32k flush=1s;
    keepalive_requests 100000;
    client_body_temp_path @DIR@/b; proxy_temp_path @DIR@/p; fastcgi_temp_path @DIR@/f;
    uwsgi_temp_path @DIR@/u; scgi_temp_path @DIR@/s;
    server {
        listen 127.0.0.1:@PORT@ backlog=4096;
        location / {
            fastcgi_pass unix:@DIR@/echo.sock;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REMOTE_ADDR $remote_addr;
        }
        location = /page { default_type text/plain; return 200 "static\\n"; }
    }
}
"""


def push():
    peer = Peer("epoll + send")
    peer.spawn(TOOLS / "peers/push", peer.port)
    peer.wait_port()
    return peer
