"""The eight time controls over REST: what is taken, what is shown, and what a hand-over and the end of the time bring.
Times are told by the answers themselves (server_time and the instants in them), never by the clock of the test."""
import time
from datetime import datetime

import pytest
import requests

from stack import Stack
from watch import body, watch

CONTROLS = {
    "fischer": {"type": "fischer", "increment_ms": 2000},
    "delay": {"type": "delay", "delay_ms": 60_000},
    "bronstein": {"type": "bronstein", "delay_ms": 60_000},
    "byoyomi": {"type": "byoyomi", "periods": 3, "period_ms": 1000},
    "canadian": {"type": "canadian", "moves": 2, "period_ms": 60_000},
    "hourglass": {"type": "hourglass"},
    "per_move": {"type": "per_move"},
    "stages": {"type": "stages", "stages": [{"moves": 1, "add_ms": 5000, "increment_ms": 100}, {"add_ms": 0, "increment_ms": 200}]},
}


def ms(instant):
    return round(datetime.fromisoformat(instant.replace("Z", "+00:00")).timestamp() * 1000)


class Game:
    """A session with this control, started."""

    def __init__(self, stack, control, bank=60_000, participants=2, **more):
        self.base = f"{stack.base_url}/v1/sessions"
        self.sent = body(participants, bank, time_control=control, **more)
        self.path = f"{self.base}/{self.sent['session_id']}"
        made = requests.post(self.base, json=self.sent, timeout=10)
        assert made.status_code == 201, made.text
        self.made = made.json()["data"]
        self.began = self.command("start")

    def command(self, verb, **sent):
        answer = requests.post(f"{self.path}/{verb}", timeout=10, json=sent)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def get(self):
        return requests.get(self.path, timeout=10).json()["data"]

    def switch(self):
        """The state after a switch, and how long the turn was that it ended."""
        begun = ms(self.get()["cycle_started_at"])
        self.command("switch", current_participant_id=self.get()["active_participant_id"])
        state = self.get()
        return state, ms(state["cycle_started_at"]) - begun


@pytest.fixture(scope="module")
def stack():
    stack = Stack()
    yield stack
    stack.close()


def test_control_fischer_adds_its_increment(stack):
    game = Game(stack, CONTROLS["fischer"])
    assert game.made["time_control"] == CONTROLS["fischer"] and game.made["increment_ms"] == 2000
    time.sleep(0.05)
    state, took = game.switch()
    assert state["participants"][0]["total_time_ms"] == 60_000 - took + 2000


def test_control_delay_makes_the_beginning_of_a_turn_free(stack):
    game = Game(stack, CONTROLS["delay"])
    first = game.began["participants"][0]
    assert first["delay_left_ms"] <= 60_000 and first["time_remaining_ms"] == 60_000
    assert ms(game.began["deadline_at"]) == ms(game.began["cycle_started_at"]) + 120_000
    time.sleep(0.05)
    shown = game.get()
    assert shown["participants"][0]["delay_left_ms"] == 60_000 - (ms(shown["server_time"]) - ms(shown["cycle_started_at"]))
    assert shown["participants"][1]["delay_left_ms"] == 60_000
    state, took = game.switch()
    assert took >= 50 and state["participants"][0]["total_time_ms"] == 60_000
    assert state["participants"][0]["time_used_ms"] == took


def test_control_bronstein_gives_back_at_most_the_delay(stack):
    game = Game(stack, CONTROLS["bronstein"])
    time.sleep(0.05)
    shown = game.get()
    assert shown["participants"][0]["time_remaining_ms"] == 60_000 - (ms(shown["server_time"]) - ms(shown["cycle_started_at"])) < 60_000
    assert game.switch()[0]["participants"][0]["total_time_ms"] == 60_000
    short = Game(stack, {"type": "bronstein", "delay_ms": 20})
    time.sleep(0.05)
    state, took = short.switch()
    assert state["participants"][0]["total_time_ms"] == 60_000 - took + 20


def test_control_byoyomi_plays_its_periods(stack):
    game = Game(stack, CONTROLS["byoyomi"], bank=1000)
    assert ms(game.began["deadline_at"]) == ms(game.began["cycle_started_at"]) + 4000
    time.sleep(2.3)
    shown = game.get()
    first, turn = shown["participants"][0], ms(shown["server_time"]) - ms(shown["cycle_started_at"])
    if turn < 4000:
        assert first["periods_left"] == 3 - (turn - 1000) // 1000 and first["time_remaining_ms"] == 1000 - (turn - 1000) % 1000
        assert not first["has_expired"] and shown["deadline_at"] == game.began["deadline_at"]
    state, took = game.switch()
    if took < 4000:
        first = state["participants"][0]
        assert (first["total_time_ms"], first["time_remaining_ms"]) == (0, 1000)
        assert first["periods_left"] == 3 - (took - 1000) // 1000 and first["time_used_ms"] == took


def test_control_byoyomi_expires_with_its_last_period(stack):
    control = {"type": "byoyomi", "periods": 1, "period_ms": 1000}
    game = Game(stack, control, bank=1000, action_on_timeout={"type": "end_session"})
    with watch(stack, game.sent["session_id"]) as watcher:
        expired = watcher.wait_for("TIME_EXPIRED")
    first, second = game.sent["participants"]
    assert expired["expired_participant_id"] == first["participant_id"]
    state = game.get()
    assert state["result"]["winner_participant_id"] == second["participant_id"]
    assert ms(state["session_completed_at"]) == ms(state["session_started_at"]) + 2000
    assert state["participants"][0]["periods_left"] == 0 and state["participants"][0]["has_expired"]


def test_control_canadian_has_a_block_for_several_turns(stack):
    game = Game(stack, CONTROLS["canadian"], bank=1000)
    assert game.began["participants"][0]["moves_left"] == 2
    time.sleep(1.1)
    state, took = game.switch()
    first = state["participants"][0]
    assert (first["total_time_ms"], first["time_remaining_ms"], first["moves_left"]) == (0, 61_000 - took, 1)
    game.switch()
    state, _ = game.switch()
    first = state["participants"][0]
    assert (first["time_remaining_ms"], first["moves_left"]) == (60_000, 2)


def test_control_hourglass_runs_to_the_other_side(stack):
    game = Game(stack, CONTROLS["hourglass"])
    time.sleep(0.05)
    shown = game.get()
    turn = ms(shown["server_time"]) - ms(shown["cycle_started_at"])
    assert [p["time_remaining_ms"] for p in shown["participants"]] == [60_000 - turn, 60_000 + turn]
    state, took = game.switch()
    assert [p["total_time_ms"] for p in state["participants"]] == [60_000 - took, 60_000 + took]


@pytest.mark.parametrize("participants", [1, 3])
def test_control_hourglass_needs_exactly_two(stack, participants):
    sent = body(participants, time_control={"type": "hourglass"})
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["participants"]


def test_control_per_move_fills_the_bank_again(stack):
    game = Game(stack, CONTROLS["per_move"])
    time.sleep(0.05)
    state, took = game.switch()
    assert took >= 50 and state["participants"][0]["total_time_ms"] == 60_000


def test_control_stages_adds_time_after_its_moves(stack):
    game = Game(stack, CONTROLS["stages"])
    assert (game.began["participants"][0]["stage"], game.began["participants"][0]["moves_left"]) == (1, 1)
    state, took = game.switch()
    first = state["participants"][0]
    assert first["total_time_ms"] == 60_000 - took + 100 + 5000
    assert first["stage"] == 2 and "moves_left" not in first


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_told_as_it_was_given(stack, name):
    game = Game(stack, CONTROLS[name])
    assert game.made["time_control"] == CONTROLS[name] == game.get()["time_control"]
    paused = game.command("pause")
    resumed = game.command("resume")
    shown = ("delay_left_ms", "periods_left", "moves_left", "stage", "total_time_ms")
    for before, after in zip(paused["participants"], resumed["participants"]):
        assert [before.get(key) for key in shown] == [after.get(key) for key in shown]


def test_a_corrected_bank_of_byoyomi_is_not_its_end(stack):
    game = Game(stack, {"type": "byoyomi", "periods": 2, "period_ms": 60_000})
    first = f"{game.path}/participants/{game.sent['participants'][0]['participant_id']}"
    answer = requests.patch(first, json={"total_time_ms": 0, "reason": "late"}, timeout=10)
    assert answer.status_code == 200, answer.text
    state = answer.json()["data"]
    one = state["participants"][0]
    assert (one["total_time_ms"], one["periods_left"], one["has_expired"]) == (0, 2, False) and one["time_remaining_ms"] > 50_000
    assert ms(state["deadline_at"]) == ms(state["cycle_started_at"]) + 120_000


@pytest.mark.parametrize("mode", ["per_cycle", "per_group", "global", "count_up"])
def test_time_control_elsewhere_is_refused(stack, mode):
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=body(sync_mode=mode, time_control={"type": "per_move"}), timeout=10)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["time_control"]


@pytest.mark.parametrize("name,increment,status", [("fischer", 2000, 201), ("fischer", 0, 400)] +
                         [(name, increment, 400) for name in CONTROLS if name != "fischer" for increment in (0, 500)])
def test_increment_ms_is_short_for_fischer_only(stack, name, increment, status):
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=body(increment_ms=increment, time_control=CONTROLS[name]), timeout=10)
    assert answer.status_code == status
    if status == 400:
        assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["increment_ms"]


def test_a_stage_without_its_moves_is_refused(stack):
    for stages, field in (([{"add_ms": 1}, {}], 0), ([{"moves": 3}, {"moves": 3}], 1)):
        sent = body(time_control={"type": "stages", "stages": stages})
        answer = requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10)
        assert answer.status_code == 400
        assert [fault["field"] for fault in answer.json()["error"]["details"]] == [f"time_control.stages.{field}.moves"]
