"""A PostgreSQL of one test, on a unix socket in a temporary folder, and how to talk to one."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time


def connect(url):
    """A connection in autocommit mode; rows are tuples."""
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def rows(connection, sql, *args):
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


class Postgres:
    """url           of an empty database
    start, stop   with the data kept; stop(SIGQUIT) is a crash"""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pg-"))
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.who = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            who = pwd.getpwnam("postgres")
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            self.who = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
            if subprocess.run([*self.who, "test", "-x", self.bin / "postgres"], check=False).returncode != 0:  # as in etc/dev/run
                self.who += ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        init = [self.bin / "initdb", "-D", self.dir / "data", "-U", "synckairos", "-A", "trust", "-E", "UTF8"]
        init += ["--locale=C.UTF-8", "--no-sync"]
        subprocess.run([*self.who, *init], check=True, stdout=subprocess.DEVNULL, cwd=self.dir)
        self.url = f"postgresql:///postgres?host={self.dir}&user=synckairos"
        self.process = None
        self.start()

    def start(self):
        command = [self.bin / "postgres", "-D", self.dir / "data", "-k", self.dir, "-c", "listen_addresses="]
        command += ["-c", "shared_buffers=16MB", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [*self.who, "setpriv", "--pdeathsig", "INT", *command],
            cwd=self.dir,
            stdout=subprocess.DEVNULL,
            stderr=open(self.dir / "log", "ab"),
        )
        end = time.monotonic() + 30
        while True:
            try:
                connect(self.url).close()
                return
            except Exception:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, signum=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        self.process.wait(30)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
