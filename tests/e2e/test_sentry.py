"""SENTRY_DSN: failures arrive as envelopes, few of them, and without what was secret."""
import http.server
import json
import os
import signal
import threading
import time
import urllib.request

import pytest
import requests

from stack import SLOW, until
from watch import body


class Sentry:
    """An endpoint that keeps what it is sent."""

    def __init__(self):
        self.received = []
        sentry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                sentry.received.append((self.path, dict(self.headers), text))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://0123456789abcdef0123456789abcdef@127.0.0.1:{self.server.server_port}/42"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self):
        """What was reported, each envelope taken apart as the protocol has it."""
        found = []
        for path, headers, text in self.received:
            assert path == "/api/42/envelope/"
            assert headers["Content-Type"] == "application/x-sentry-envelope"
            assert "sentry_key=0123456789abcdef0123456789abcdef" in headers["X-Sentry-Auth"]
            head, item, event = text.splitlines()
            head, item, parsed = json.loads(head), json.loads(item), json.loads(event)
            assert item == {"type": "event", "length": len(event)}
            assert head["event_id"] == parsed["event_id"] and len(parsed["event_id"]) == 32
            found.append(parsed)
        return found


@pytest.fixture
def sentry():
    endpoint = Sentry()
    yield endpoint
    endpoint.server.shutdown()


def test_failed_requests_are_reported_but_not_more_than_ten_a_minute(make_stack, sentry):
    stack = make_stack(SENTRY_DSN=sentry.dsn)
    stack.hold("redis")
    stack.kill("redis")
    sent = body(bank=600_000, metadata={"note": "private words"})
    url = f"{stack.base_url}/v1/sessions?token=very.secret.token"

    def refused():
        return requests.post(url, json=sent, headers={"X-Request-Id": "the-one"}, timeout=10 * SLOW).status_code == 503

    until(refused, 20, say="503")
    for _ in range(30):
        refused()
    until(lambda: sentry.received, 20, say="a report")
    time.sleep(3)
    events = sentry.events()
    assert 1 <= len(events) <= 20  # two minutes may have met
    one = events[0]
    assert one["level"] == "error" and one["platform"] == "c" and one["logger"] == "synckairos.fcgi"
    assert one["transaction"] == "POST /v1/sessions" and one["environment"] == "development"
    assert one["tags"] == {"code": "STORE_UNAVAILABLE", "status": "503", "request_id": "the-one"}
    assert one["message"]["formatted"]
    everything = "".join(text for _, _, text in sentry.received)
    assert "private words" not in everything and "very.secret" not in everything


def test_refusals_are_not_reported(make_stack, sentry):
    stack = make_stack(SENTRY_DSN=sentry.dsn)
    assert requests.post(f"{stack.base_url}/v1/sessions", data="{", timeout=10 * SLOW).status_code in (400, 415)
    assert requests.get(f"{stack.base_url}/v1/nothing", timeout=10 * SLOW).status_code == 404
    time.sleep(2.5)
    assert not sentry.received


CRASH = signal.SIGABRT  # the others have a handler of AddressSanitizer where there is one, and keep it


def watches_over_itself(pid):
    """Whether the process has a handler for CRASH; one that has just been forked has none yet."""
    caught = next(line.split()[1] for line in open(f"/proc/{pid}/status") if line.startswith("SigCgt:"))
    return int(caught, 16) >> (CRASH - 1) & 1


def test_crashes_are_reported(make_stack, sentry):
    stack = make_stack(SENTRY_DSN=sentry.dsn, BROADCASTERS=2, WRAP="")  # valgrind would complain of it, too
    victim = stack.workers()[0]
    until(lambda: watches_over_itself(victim), say="a worker that has begun to serve")
    stack.expected.add(victim)
    os.kill(victim, CRASH)
    until(lambda: [e for e in sentry.events() if e["tags"].get("code") == CRASH.name], 20, say="the report")
    event = [e for e in sentry.events() if e["tags"].get("code") == CRASH.name][0]
    assert event["level"] == "fatal" and event["logger"] == "synckairos.fcgi"


def test_an_endpoint_that_is_away_hurts_nobody(make_stack):
    stack = make_stack(SENTRY_DSN="http://key@127.0.0.1:1/1")
    stack.hold("redis")
    stack.kill("redis")
    until(lambda: requests.get(f"{stack.base_url}/v1/sessions/{body()['session_id']}", timeout=10 * SLOW).status_code == 503, 20, say="503")
    until(lambda: any("report not sent" in stack.log(name) for name in stack.broadcasters()), 20, say="the line")
    stack.release("redis")
    stack.wait_ready()
    with urllib.request.urlopen(stack.base_url + "/health", timeout=10) as answer:
        assert answer.status == 200


def test_a_dsn_that_is_none_refuses_to_start(make_stack):
    with pytest.raises(RuntimeError, match="SENTRY_DSN"):
        make_stack(SENTRY_DSN="nonsense")
