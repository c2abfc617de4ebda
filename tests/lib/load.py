"""Load for tests: wrk for volume, and careful players who remember what every answer told them."""
import json
import os
import re
import subprocess
import threading
import time

import requests

from stack import SLOW
from watch import body


def create_started(stack, count, **more):
    """`count` running sessions with long banks; their create bodies."""
    http = requests.Session()
    sessions = [body(bank=86_400_000, **more) for _ in range(count)]
    for sent in sessions:
        assert http.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10 * SLOW).status_code == 201
        assert http.post(f"{stack.base_url}/v1/sessions/{sent['session_id']}/start", timeout=10 * SLOW).status_code == 200
    return sessions


class Wrk:
    """wrk posting switches to many sessions; `stop_and_read` tells what it saw."""

    def __init__(self, stack, sessions, seconds, folder, connections=32):
        script = os.path.join(folder, "switch.lua")
        with open(script, "w", encoding="ascii") as out:
            ids = ",".join(json.dumps(sent["session_id"]) for sent in sessions)
            out.write(f"local ids = {{{ids}}}\nlocal k = 0\nwrk.method = 'POST'\n"
                      "function request() k = k % #ids + 1; return wrk.format(nil, '/v1/sessions/' .. ids[k] .. '/switch') end\n")
        self.process = subprocess.Popen(["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script,
                                         stack.base_url], stdout=subprocess.PIPE, text=True)
        self.seconds = seconds

    def read(self):
        """(requests, answers that were not 2xx, socket errors)"""
        out, _ = self.process.communicate(timeout=self.seconds + 60)
        total = int(re.search(r"(\d+) requests in", out).group(1))
        other = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        return total, int(other.group(1)) if other else 0, sum(map(int, errors.groups())) if errors else 0


class Player(threading.Thread):
    """
    Switches one session of his own over and over, guarded by the version he knows, as a careful client does: after an answer that was
    lost he reads the state before he goes on. `told` holds every version a 2xx answer gave him.
    """

    def __init__(self, stack, sent):
        super().__init__(daemon=True)
        self.url = f"{stack.base_url}/v1/sessions/{sent['session_id']}"
        self.told = []
        self.doubts = 0  # requests whose outcome he was not told
        self.refused = 0  # 503 that said nothing was done
        self.wrong = []  # answers that make no sense
        self.last_good = 0.0
        self._stop_asked = threading.Event()

    def run(self):
        http, version = requests.Session(), None
        while not self._stop_asked.is_set():
            try:
                if version is None:
                    answer = http.get(self.url, timeout=5 * SLOW)
                else:
                    answer = http.post(f"{self.url}/switch", json={"expected_version": version}, timeout=5 * SLOW)
            except requests.RequestException:
                self.doubts, version = self.doubts + 1, None
                time.sleep(0.02)
                continue
            version = self._take(answer, version)

    def _take(self, answer, version):
        if answer.status_code == 200:
            self.last_good = time.monotonic()
            got = answer.json()["data"]["version"]
            if version is not None:
                self.told.append(got)
                if got != version + 1:
                    self.wrong.append((version, got))
            return got
        if answer.status_code == 503:
            code = answer.json()["error"]["code"]
            if code in ("WORKER_UNAVAILABLE", "OUTCOME_UNKNOWN"):
                self.doubts += 1
            else:
                self.refused += 1
            time.sleep(0.02)
        elif answer.status_code != 409:
            self.wrong.append((answer.status_code, answer.text))
        return None

    def finish(self):
        self._stop_asked.set()
        self.join(15)


def eventually(check, timeout=5, step=0.02):
    """The first true result of check(); AssertionError after `timeout` s. What it raises counts as not yet."""
    deadline, last = time.monotonic() + timeout * SLOW, None
    while time.monotonic() < deadline:
        try:
            result = check()
            if result:
                return result
            last = result
        except (OSError, AssertionError, requests.RequestException) as error:
            last = error
        except Exception as error:  # redis-py raises classes of its own
            last = error
        time.sleep(step)
    raise AssertionError(f"not within {timeout} s: {last!r}")
