"""kill -9 of every part under load: clients recover by themselves within 2 s of its return and see the truth."""
import signal
import time

import pytest
import requests

from load import Player, create_started, eventually
from watch import Watcher, body, watch


@pytest.fixture
def own(make_stack):
    return make_stack()


@pytest.fixture
def players(own):
    playing = [Player(own, sent) for sent in create_started(own, 6)]
    for player in playing:
        player.start()
    eventually(lambda: all(len(player.told) > 10 for player in playing))
    yield playing
    for player in playing:
        player.finish()


def truth(player):
    """A worker that nobody asked since may find out only now that Redis is back: it has 2 s."""
    answer = eventually(lambda: (got := requests.get(player.url, timeout=10)).status_code == 200 and got, timeout=2)
    return answer.json()["data"]


def judge(players, lost_allowed=False):
    """Every answered change is in effect exactly once."""
    for player in players:
        player.finish()
        state = truth(player)
        assert player.wrong == []
        if not lost_allowed:
            assert len(player.told) == len(set(player.told)), "no version was given out twice"
            assert state["version"] >= max(player.told)
            # created, started, then one version per answered switch and at most one per doubt
            assert 2 + len(player.told) <= state["version"] <= 2 + len(player.told) + player.doubts
        used = sum(one["time_used_ms"] for one in state["participants"])
        left = sum(one["total_time_ms"] for one in state["participants"])
        assert used + left == 86_400_000 * len(state["participants"]), "time adds up whatever was killed"


def test_killed_workers_are_replaced_and_lose_only_the_request_in_hand(own, players):
    for _ in range(5):
        own.kill_pid(own.workers()[0])
        time.sleep(0.2)
    back = time.monotonic()
    eventually(lambda: all(player.last_good > back for player in players), timeout=2)
    judge(players)
    assert sum(player.doubts for player in players) <= 5 * len(players)


def test_a_killed_broadcaster_is_followed_by_another_and_clients_resync(own, players):
    session = players[0].url.rsplit("/", 1)[1]
    with watch(own, session) as before:
        before.wait_for("STATE_SYNC")
        for name in own.broadcasters():
            own.kill(name)
        before.wait_closed()
    with eventually(lambda: greeted(own, session), timeout=5) as after:
        sync = after.wait_for("STATE_SYNC", timeout=2)
        assert sync["version"] >= 2
        judge(players)
        final = truth(players[0])["version"]
        assert after.wait_for(lambda m: m.get("version") == final, timeout=2)["state"]["version"] == final


def greeted(own, session):
    watcher = Watcher(f"{own.ws_url}?sessionId={session}")
    watcher.wait_for("CONNECTED", timeout=1)
    return watcher


def test_a_killed_redis_comes_back_and_everybody_holds_the_truth(own, players):
    session = players[0].url.rsplit("/", 1)[1]
    with watch(own, session) as socket:
        old = socket.wait_for("STATE_SYNC")["epoch"]
        own.kill("redis")
        eventually(lambda: own.redis().ping(), timeout=10)
        back = time.monotonic()
        eventually(lambda: all(player.last_good > back for player in players), timeout=2)
        sync = socket.wait_for(lambda m: m["type"] == "STATE_SYNC" and m["epoch"] > old, timeout=2)
        assert sync["state"]["epoch"] == sync["epoch"]
        judge(players, lost_allowed=True)
        state = truth(players[0])
        last = socket.wait_for(lambda m: (m.get("epoch"), m.get("version")) == (state["epoch"], state["version"]), timeout=2)
        assert last["state"]["participants"][0]["time_used_ms"] == state["participants"][0]["time_used_ms"]
        shown = [(m["epoch"], m["version"]) for m in socket.messages if m["type"] in ("STATE_SYNC", "STATE_UPDATE")]
        assert shown == sorted(set(shown)), "for one client (epoch, version) only grows"


def test_after_a_restart_of_redis_an_idle_session_is_shown_under_its_new_epoch(own):
    """Nothing is committed, so no event tells of the new life."""
    sessions = create_started(own, 8)
    sockets = [watch(own, sent["session_id"]) for sent in sessions]
    for socket in sockets:
        socket.wait_for("STATE_SYNC")
    own.kill("redis")
    eventually(lambda: own.redis().ping(), timeout=10)
    for sent, socket in zip(sessions, sockets):
        state = requests.get(f"{own.base_url}/v1/sessions/{sent['session_id']}", timeout=10).json()["data"]
        sync = socket.wait_for(lambda m, s=state: m.get("epoch") == s["epoch"], timeout=2)
        assert sync["type"] == "STATE_SYNC" and sync["version"] == state["version"]
        socket.close()


def test_while_redis_is_away_answers_are_503_with_retry_after(own):
    [sent] = create_started(own, 1)
    url = f"{own.base_url}/v1/sessions/{sent['session_id']}"
    own.kill("redis", signal.SIGSTOP)
    try:
        answer = requests.post(f"{url}/switch", timeout=10)
        assert answer.status_code == 503 and answer.json()["error"]["code"] in ("STORE_UNAVAILABLE", "OUTCOME_UNKNOWN")
        assert int(answer.headers["Retry-After"]) >= 1
        assert requests.get(f"{own.base_url}/health", timeout=10).json()["redis"] == "down"
        assert requests.get(f"{own.base_url}/ready", timeout=10).status_code == 503
    finally:
        own.kill("redis", signal.SIGCONT)
    eventually(lambda: requests.get(url, timeout=5).status_code == 200, timeout=2)


def test_the_timekeeper_is_taken_over_when_a_broadcaster_dies(own):
    sent = body(bank=1500)
    requests.post(f"{own.base_url}/v1/sessions", json=sent, timeout=10)
    url = f"{own.base_url}/v1/sessions/{sent['session_id']}"
    requests.post(f"{url}/start", timeout=10)
    own.kill(own.broadcasters()[0])
    key = eventually(lambda: next(iter(own.redis().keys(f"*session:{sent['session_id']}"))))
    eventually(lambda: own.redis().hget(key, "v") == "3", timeout=5)
    state = requests.get(url, timeout=10).json()["data"]
    assert state["version"] == 3 and state["participants"][0]["has_expired"]
