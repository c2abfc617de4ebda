"""The programs' logs: JSON lines, one for each request but probes, and one for each change of a session, whoever made it."""
import json

import pytest
import requests

from stack import until
from watch import body


def lines(stack, name):
    """The JSON lines that a program wrote itself."""
    return [json.loads(text) for text in stack.log(name).splitlines() if text.startswith("{")]


def changes(stack, session_id):
    """{component: [(event, version, reason), ...]}"""
    found = {"fcgi": [], "broadcaster": []}
    for name in ("fcgi", *stack.broadcasters()):
        for line in lines(stack, name):
            if line["message"] == "session_changed" and line["session_id"] == session_id:
                found[line["component"]].append((line["event"], line["version"], line.get("reason")))
    return found


def start(stack, **more):
    sent = body(**more)
    url = f"{stack.base_url}/v1/sessions"
    assert requests.post(url, json=sent, timeout=10).status_code == 201
    assert requests.post(f"{url}/{sent['session_id']}/start", json={}, timeout=10).status_code == 200
    return sent["session_id"], f"{url}/{sent['session_id']}"


@pytest.fixture
def own(make_stack):
    return make_stack(BROADCASTERS=2)


def test_every_request_but_a_probe_has_a_line_with_its_id(own):
    before = len([line for line in lines(own, "fcgi") if line["message"] == "request"])
    for path in ("/health", "/ready", "/v1/time?secret=4711", "/v1/sessions/none"):
        requests.get(f"{own.base_url}{path}", headers={"X-Request-Id": "mine" + path[:4]}, timeout=10)

    def said():
        return [line for line in lines(own, "fcgi") if line["message"] == "request"][before:]

    until(lambda: len(said()) >= 2, say=said)
    assert [(line["request_id"], line["method"], line["path"], line["status"]) for line in said()] == [
        ("mine/v1/", "GET", "/v1/time", 200), ("mine/v1/", "GET", "/v1/sessions/none", 400)]
    for line in said():
        assert {"level", "timestamp", "component", "duration_us", "bytes", "client"} <= line.keys()


def test_every_change_has_one_line_from_whoever_made_it(own):
    session, url = start(own, bank=1000, action_on_timeout={"type": "end_session"})
    until(lambda: requests.get(url, timeout=10).json()["data"]["status"] == "expired", say="the end")
    other, other_url = start(own, bank=60_000)
    assert requests.post(f"{other_url}/switch", json={}, timeout=10).status_code == 200
    assert requests.delete(other_url, timeout=10).status_code == 204
    until(lambda: sum(map(len, changes(own, session).values())) >= 3, say=lambda: changes(own, session))
    said = changes(own, session)
    assert said["fcgi"][:2] == [("session_created", 1, None), ("session_started", 2, None)]
    # by the timekeeper, or by the read that came before it
    assert said["broadcaster"] + said["fcgi"][2:] == [("session_expired", 3, "timeout")]
    assert changes(own, other) == {"broadcaster": [], "fcgi": [
        ("session_created", 1, None), ("session_started", 2, None), ("cycle_switched", 3, None), ("session_deleted", 4, None)]}


def test_what_a_request_finds_due_has_lines_with_its_id(own):
    for name in own.broadcasters():
        own.hold(name)
        own.kill(name)
    session, url = start(own, bank=1000)
    until(lambda: requests.get(url, headers={"X-Request-Id": "who-looks"}, timeout=10).json()["data"]["participants"][0]["has_expired"],
          say="the expiry")
    until(lambda: len(changes(own, session)["fcgi"]) == 3, say=lambda: changes(own, session))
    line = next(line for line in lines(own, "fcgi") if line["message"] == "session_changed" and line["version"] == 3)
    assert (line["event"], line["reason"], line["request_id"]) == ("participant_expired", "timeout", "who-looks")
    assert requests.post(f"{url}/switch", json={}, timeout=10).status_code == 200
    until(lambda: changes(own, session)["fcgi"][3:] == [("cycle_switched", 4, None)], say=lambda: changes(own, session))
