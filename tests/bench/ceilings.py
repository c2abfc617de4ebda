"""What Redis alone can do: the commit of a real switch, again and again, by redis-benchmark."""

import ast
import re
import socket
import subprocess
import time

import requests

from clients import create_started, wrk
from measure import Row, others, rounds
from programs import Ours

REQUESTS, REQUESTS_QUICK = 100000, 5000
CLIENTS = 64
HOUR_US = 3600 * 10**6
NEW, READ, NOW, KEY_HASH = 3, 1, 8, 20  # arguments of common/lua/commit.lua


def observed(ours, url):
    """The EVALSHA by which a switch commits, as a list of byte strings: MONITOR shows it."""
    with socket.socket(socket.AF_UNIX) as watch:
        watch.settimeout(10)
        watch.connect(ours.stack.redis_socket)
        watch.sendall(b"MONITOR\r\n")
        said = watch.recv(5)
        requests.post(f"{ours.base_url}{url}/switch", headers=ours.headers).raise_for_status()
        while True:
            said += watch.recv(1 << 16)
            for line in said.split(b"\r\n")[:-1]:
                words = [ast.literal_eval("b" + w.decode("latin-1")) for w in re.findall(rb'"(?:[^"\\]|\\.)*"', line)]
                if len(words) > 20 and words[0].upper() == b"EVALSHA" and b":audit" in b" ".join(words):
                    return words


def repeatable(words):
    """The same commit, which finds the version that it leaves and does not get old."""
    keys = int(words[2])
    at = lambda number: 2 + keys + number
    words[at(READ)] = words[at(NEW)]
    words[at(READ + 1)] = words[at(NEW + 1)]
    words[at(NOW)] = str(int(words[at(NOW)]) + HOUR_US).encode()
    assert words[at(KEY_HASH)] == b""
    return words


def rows(how):
    ours = Ours(BROADCASTERS=1)
    try:
        redis = ours.stack.redis()
        ids = create_started(ours.base_url, 200, headers=ours.headers)
        command = repeatable(observed(ours, f"/v1/sessions/{ids[0]}"))
        life = command[3 + 3]
        count = REQUESTS_QUICK if how.quick else REQUESTS
        changes = lambda: int(redis.hget(life.decode(), "changes"))

        def settled():
            """changes() once the workers are through with what wrk did not wait for."""
            last = -1
            while last != (now := changes()):
                last = now
                time.sleep(0.2)
            return now

        def script():
            before = settled()
            out = subprocess.run(["redis-benchmark", "-s", ours.stack.redis_socket, "-c", str(CLIENTS), "-n", str(count), "--csv", *command],
                                 check=True, capture_output=True, timeout=120).stdout.decode("latin-1")
            assert changes() - before == count, (changes() - before, count)
            return {"per_s": float(out.splitlines()[-1].split('","')[1])}

        def switch():
            return wrk(ours.base_url, "POST", "/v1/sessions/@/switch", ids=ids[1:], headers=ours.headers, seconds=how.seconds)

        taken = rounds({"ours": switch, "commit script alone": script}, how.rounds_few)
        yield Row("commit", "POST switch beside redis-benchmark of its commit script", "per second", taken["ours"]["per_s"], others(taken, "per_s"),
                  note=f"{CLIENTS} connections; the script on one session")
    finally:
        ours.close()
