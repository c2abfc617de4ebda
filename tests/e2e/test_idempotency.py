"""Idempotency-Key through everything: clients that repeat what they were not told make each change once, whatever is killed meanwhile."""
import concurrent.futures
import threading
import time
import uuid

import pytest
import requests

from load import create_started, eventually


@pytest.fixture
def own(make_stack):
    return make_stack()


class Careful(threading.Thread):
    """Switches a session of his own over and over, each time under a new key, and repeats until he is told what became of it."""

    def __init__(self, stack, sent):
        super().__init__(daemon=True)
        self.url = f"{stack.base_url}/v1/sessions/{sent['session_id']}"
        self.told = []
        self.repeated = self.replayed = 0
        self.wrong = []
        self._stop_asked = threading.Event()

    def run(self):
        while not self._stop_asked.is_set():
            self._switch(str(uuid.uuid4()))

    def _switch(self, key):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                answer = requests.post(f"{self.url}/switch", headers={"Idempotency-Key": key}, timeout=5)
            except requests.RequestException:
                self.repeated += 1
                continue
            if answer.status_code == 503:
                self.repeated += 1
                time.sleep(0.02)
                continue
            if answer.status_code != 200:
                self.wrong.append(answer.text)
                return
            self.replayed += answer.headers.get("Idempotency-Replayed") == "true"
            self.told.append(answer.json()["data"]["version"])
            return
        self.wrong.append(f"{key}: never answered")

    def finish(self):
        self._stop_asked.set()
        self.join(40)


def test_killed_workers_make_no_second_change(own):
    players = [Careful(own, sent) for sent in create_started(own, 4)]
    for player in players:
        player.start()
    eventually(lambda: all(len(player.told) > 5 for player in players))
    for k in range(100):
        own.kill_pid(eventually(own.workers)[0])
        time.sleep(0.1)
        if k > 15 and any(player.repeated for player in players):
            break
    for player in players:
        player.finish()
    for player in players:
        assert player.wrong == []
        # created, started, then one version for each key, told in order
        assert player.told == list(range(3, 3 + len(player.told)))
        assert requests.get(player.url, timeout=10).json()["data"]["version"] == 2 + len(player.told)
    assert sum(player.repeated for player in players) > 0


def test_ten_equal_requests_at_once_make_one_change(own):
    [sent] = create_started(own, 1)
    url = f"{own.base_url}/v1/sessions/{sent['session_id']}"
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for k in range(10):
            answers = list(pool.map(lambda _, key=f"k{k}": requests.post(f"{url}/switch", headers={"Idempotency-Key": key}, timeout=10),
                                    range(10)))
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.content for answer in answers}) == 1
            assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 9
            assert answers[0].json()["data"]["version"] == 3 + k


def test_ten_equal_creations_make_one_session(own):
    sent = create_started(own, 1)[0]
    nameless = {name: value for name, value in sent.items() if name != "session_id"}
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: requests.post(f"{own.base_url}/v1/sessions", json=nameless, timeout=10,
                                                        headers={"Idempotency-Key": "one"}), range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1 and len({answer.headers["Location"] for answer in answers}) == 1
    assert len(list(own.redis().scan_iter("*session:*"))) == 2
