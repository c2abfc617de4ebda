"""The programs of a bench: ours through the test fixture, the peers, and the load clients."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))

from stack import Stack, free_port, until  # noqa: E402 (the path comes first)

from measure import tree  # noqa: E402

BIN = ROOT / os.environ.get("BIN_DIR", "build/release")
TOOLS = BIN / "tests/bench"


def ours(**settings):
    """Everything that production has switched on; the limits are far away, not off."""
    production = {
        "RATE_LIMIT_ENABLED": "true",
        "RATE_LIMIT_SWITCH": "1000000/1s",
        "RATE_LIMIT_CREATE": "1000000/1s",
        "RATE_LIMIT_GET": "10000000/1s",
        "RATE_LIMIT_GENERAL": "10000000/1s",
        "POSTGRES": "on",
    }
    return Stack(**{**production, **settings})


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
                          for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()), 20, say=self.name)

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
    until(lambda: "ready" in (peer.dir / "output").read_text(), 20, say=script)
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
    access_log @DIR@/access.log combined buffer=64k;
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


def wrk(base_url, script=None, path="/", seconds=5, connections=64, answered=False):
    """{"per_s", "p50_ms", "p99_ms", "bad"} of wrk; `script` is Lua. answered: the number that its done() printed."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
        if script:
            f.write(script)
            f.flush()
            command += ["-s", f.name]
        out = subprocess.run([*command, base_url + path], check=True, capture_output=True, text=True).stdout
    if answered:
        return int(re.search(r"^answered (\d+)", out, re.M)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)

    def quantile(name):
        value, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)\b", out).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]

    return {"per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), "p50_ms": quantile(50),
            "p99_ms": quantile(99), "bad": int(bad[1]) if bad else 0}


def wsload(**options):
    """One run of the WebSocket load client; what it printed. `pids` are the server's processes."""
    command = [str(TOOLS / "wsload")]
    for pid in options.pop("pids", []):
        command += ["--pid", str(pid)]
    for name, value in options.items():
        command.append("--" + name.replace("_", "-"))
        if value is not True:
            command.append(str(value))
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {out.stderr}")
    return json.loads(out.stdout)


def processes(stack, *names):
    """Pids of processes of our stack: "fcgi" with its workers, "broadcaster", "nginx", "redis"."""
    found = []
    for name in names:
        if name == "broadcaster":
            found += [stack.pid(n) for n in stack.broadcasters()]
        else:
            found += tree(stack.pid(name))
    return found

