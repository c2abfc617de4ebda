"""Many sessions at once, through everything."""
import uuid

import requests

from watch import body


def test_fifty_of_the_largest_sessions_fit_into_one_answer(stack):
    http = requests.Session()
    sent = [body(participants=1000) for _ in range(50)]
    for one in sent:
        assert http.post(f"{stack.base_url}/v1/sessions", json=one, timeout=10).status_code == 201
    answer = http.post(f"{stack.base_url}/v1/sessions/batch", json={"session_ids": [one["session_id"] for one in sent]}, timeout=30)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [one["session_id"] for one in data["sessions"]] == [one["session_id"] for one in sent]
    assert all(len(one["participants"]) == 1000 for one in data["sessions"]) and data["missing"] == []


def test_what_is_missing_is_listed_as_it_was_sent(stack):
    there, gone = body(), str(uuid.uuid4()).upper()
    requests.post(f"{stack.base_url}/v1/sessions", json=there, timeout=10)
    for base in ("/v1", "/api/v1", "/api"):
        data = requests.post(f"{stack.base_url}{base}/sessions/batch", json={"session_ids": [gone, there["session_id"]]},
                             timeout=10).json()["data"]
        assert [one["session_id"] for one in data["sessions"]] == [there["session_id"]] and data["missing"] == [gone]
