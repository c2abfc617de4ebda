"""Sessions over REST for tests that are about what a session is, not about how it travels."""
import uuid

import requests

from watch import body

STEPS = {"pending": (), "running": ("start",), "paused": ("start", "pause"), "completed": ("start", "complete"), "cancelled": ("cancel",)}


class Sessions:
    def __init__(self, stack):
        self.stack, self.http = stack, requests.Session()

    def ask(self, method, path, **options):
        return self.http.request(method, self.stack.base_url + path, timeout=10, **options)

    def call(self, method, path, status=200, **options):
        """What the answer holds, None when that is nothing."""
        answer = self.ask(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json().get("data", answer.json()) if answer.content else None

    def create(self, status="pending", people=None, **more):
        """A session that has come so far: its path, and its state. `people` are those that it is for."""
        sent = {key: value for key, value in body(**more).items() if value is not None}
        if people is not None:
            sent["participants"] = people
        session = f"/v1/sessions/{sent['session_id']}"
        self.call("POST", "/v1/sessions", 201, json=sent)
        for step in STEPS[status]:
            self.call("POST", f"{session}/{step}")
        return session, self.call("GET", session)

    def command(self, session, verb, status=200, **more):
        return self.call("POST", f"{session}/{verb}", status, json=more or None)


def ids(state):
    return [one["participant_id"] for one in state["participants"]]


def somebody(**more):
    return {"participant_id": str(uuid.uuid4()), "participant_index": 0, "total_time_ms": 60_000, **more}
