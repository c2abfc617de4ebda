"""Many clients on one session: nothing is lost, nothing happens twice, and time adds up."""
import threading
import time

import requests

from watch import body, watch


def started(stack, **more):
    sent = body(**more)
    url = f"{stack.base_url}/v1/sessions/{sent['session_id']}"
    assert requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10).status_code == 201
    assert requests.post(f"{url}/start", timeout=10).status_code == 200
    return sent, url


def together(count, work):
    """Run work(k) in `count` threads that begin at the same time."""
    gate = threading.Barrier(count)

    def run(k):
        gate.wait()
        work(k)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_20_clients_200_switches_as_many_versions_as_200_answers(stack):
    sent, url = started(stack)
    answers = []
    with watch(stack, sent["session_id"]) as first, watch(stack, sent["session_id"]) as second:
        first.wait_for("STATE_SYNC"), second.wait_for("STATE_SYNC")

        def work(_):
            http = requests.Session()
            for _ in range(10):
                version = http.get(url, timeout=10).json()["data"]["version"]
                answer = http.post(f"{url}/switch", json={"expected_version": version}, timeout=10)
                answers.append((answer.status_code, answer.json()))

        together(20, work)
        statuses = [status for status, _ in answers]
        won = [answer["data"]["version"] for status, answer in answers if status == 200]
        assert len(answers) == 200 and set(statuses) <= {200, 409}
        final = requests.get(url, timeout=10).json()["data"]["version"]
        assert final == 2 + len(won), "as many version steps as 200-answers"
        assert sorted(won) == list(range(3, final + 1)), "every 200 carries a version of its own"
        for socket in (first, second):
            socket.wait_for(lambda m: m.get("version") == final, timeout=10)
            versions = [m["version"] for m in socket.messages if m["type"] in ("STATE_SYNC", "STATE_UPDATE")]
            assert versions == sorted(set(versions)), "no version repeated, none out of order"


def test_racing_switches_without_a_guard_all_happen(stack):
    sent, url = started(stack)
    statuses = []
    together(10, lambda _: statuses.append(requests.post(f"{url}/switch", timeout=10).status_code))
    assert set(statuses) <= {200, 409}
    assert requests.get(url, timeout=10).json()["data"]["version"] == 2 + statuses.count(200)


def test_a_double_click_with_the_current_participant_is_one_switch(stack):
    sent, url = started(stack)
    statuses = []
    mine = {"current_participant_id": sent["participants"][0]["participant_id"]}
    together(10, lambda _: statuses.append(requests.post(f"{url}/switch", json=mine, timeout=10).status_code))
    assert sorted(statuses) == [200] + [409] * 9
    state = requests.get(url, timeout=10).json()["data"]
    assert state["version"] == 3 and state["active_participant_id"] == sent["participants"][1]["participant_id"]


def test_expected_version_is_a_guard_on_every_command(stack):
    sent, url = started(stack)
    for command in ("switch", "pause", "complete"):
        answer = requests.post(f"{url}/{command}", json={"expected_version": 7}, timeout=10)
        assert answer.status_code == 409 and answer.json()["error"]["code"] == "CONFLICT"
        assert answer.json()["error"]["details"] == {"expected_version": 7, "actual_version": 2}


def test_switch_racing_pause_never_loses_an_answered_change(stack):
    for _ in range(10):
        sent, url = started(stack)
        answers = {}

        def work(k):
            command = ("switch", "pause")[k]
            answers[command] = requests.post(f"{url}/{command}", timeout=10)

        together(2, work)
        state = requests.get(url, timeout=10).json()["data"]
        accepted = [a for a in answers.values() if a.status_code == 200]
        assert state["version"] == 2 + len(accepted)
        if answers["pause"].status_code == 200:
            assert state["status"] == "paused"


def test_60_switches_later_used_time_is_wall_time_to_the_millisecond(stack):
    sent, url = started(stack, bank=600_000, participants=3)
    http = requests.Session()
    for k in range(60):
        if k % 20 == 10:
            assert http.post(f"{url}/pause", timeout=10).status_code == 200
            time.sleep(0.017)
            assert http.post(f"{url}/resume", timeout=10).status_code == 200
        assert http.post(f"{url}/switch", timeout=10).status_code == 200
        time.sleep(0.003 * (k % 5))
    state = http.post(f"{url}/complete", timeout=10).json()["data"]
    used = sum(one["time_used_ms"] for one in state["participants"])
    left = sum(one["total_time_ms"] for one in state["participants"])
    wall = millis(state["updated_at"]) - millis(state["session_started_at"])
    assert used + state["paused_total_ms"] == wall
    assert used + left == 1_800_000


def millis(text):
    import datetime
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(at.timestamp() * 1000)


def test_a_create_raced_by_ten_clients_makes_one_session(stack):
    sent = body()
    statuses = []
    together(10, lambda _: statuses.append(
        requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10).status_code))
    assert sorted(statuses) == [200] * 9 + [201]


def test_a_delete_racing_commands_leaves_nothing_behind(stack):
    for _ in range(10):
        sent, url = started(stack)
        statuses = []
        together(6, lambda k: statuses.append(
            (requests.delete(url, timeout=10) if k == 0 else requests.post(f"{url}/switch", timeout=10)).status_code))
        assert set(statuses) <= {200, 204, 404, 409}
        assert requests.get(url, timeout=10).status_code == 404
