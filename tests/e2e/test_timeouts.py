"""What follows when a clock reaches zero: every action, by each of its names, in every mode that can have it. All the
sessions run out at the same time and are then looked at one by one."""
import time

import pytest
import requests

from stack import Stack
from watch import body

TURNS = ("per_participant", "per_group", "per_cycle")
WHOLE = ("global", "count_up")
CYCLE_MS = 3000
NAMES = {"notify": ("notify", None), "end_session": ("end_session", "game_over"), "skip_cycle": ("skip_cycle", "skip_question"),
         "auto_action": ("auto_action", "auto_fold"), "eliminate": ("eliminate",)}


def rows(action, modes):
    return [(mode, name) for mode in modes for name in NAMES[action]]


class Games:
    """One session for each (mode, word, auto_advance), all of them past their first deadline."""

    def __init__(self, base):
        self.base = base
        wanted = {(mode, word, False) for action in NAMES for mode, word in rows(action, TURNS)}
        wanted |= {(mode, word, False) for action in ("notify", "end_session") for mode, word in rows(action, WHOLE)}
        wanted |= {(mode, word, True) for mode in TURNS for word in ("notify", "auto_action", None)}
        self.sent = {key: self.create(*key) for key in wanted}
        deadlines = [self.post(sent["session_id"], "start") for sent in self.sent.values()]
        assert all(state["deadline_at"] for state in deadlines)
        time.sleep(CYCLE_MS / 1000 + 0.1)
        self.states = {key: self.get(sent["session_id"]) for key, sent in self.sent.items()}

    def create(self, mode, word, advances):
        """The first clock has a second, others have a minute; every cycle is the same."""
        sent = body(2, sync_mode=mode, total_time_ms=1000, max_time_ms=1000, time_per_cycle_ms=CYCLE_MS)
        sent["participants"][0]["total_time_ms"] = 1000
        if word is not None:
            sent["action_on_timeout"] = {"type": word, "action": "fold", "outcome": "lost"}
        if advances:
            sent["auto_advance"] = True
        answer = requests.post(self.base, json=sent, timeout=10)
        assert answer.status_code == 201, answer.text
        return sent

    def post(self, session_id, verb):
        answer = requests.post(f"{self.base}/{session_id}/{verb}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def get(self, session_id):
        return requests.get(f"{self.base}/{session_id}", timeout=10).json()["data"]

    def ended(self, mode, word, advances=False):
        """The state after the first deadline and before a second one, and the ids of the two."""
        key = mode, word, advances
        return self.states[key], [one["participant_id"] for one in self.sent[key]["participants"]]

    def switch(self, mode, word):
        return self.post(self.sent[mode, word, False]["session_id"], "switch")


@pytest.fixture(scope="module")
def games():
    stack = Stack()
    yield Games(f"{stack.base_url}/v1/sessions")
    stack.close()


@pytest.mark.parametrize("mode,word", rows("notify", TURNS))
def test_timeout_notify_lets_the_turn_go_on(games, mode, word):
    state, (first, _) = games.ended(mode, word)
    assert state["status"] == "running" and state["active_participant_id"] == first and "deadline_at" not in state
    assert state["participants"][0]["has_expired"] and state["last_timeout"]["action_applied"] == "notify"
    before = state["participants"][0]["total_time_ms"]
    turn = games.switch(mode, word)
    assert turn["expired_participant_id"] == first and turn["participants"][0]["total_time_ms"] == before
    assert turn["participants"][0]["has_expired"] == (mode != "per_cycle")


@pytest.mark.parametrize("mode,word", rows("notify", WHOLE))
def test_timeout_notify_ends_the_clock_of_the_session(games, mode, word):
    state, _ = games.ended(mode, word)
    assert state["status"] == "expired" and state["result"]["reason"] == "timeout" and state["last_timeout"]["action_applied"] == "notify"
    assert "expired_participant_id" not in state["last_timeout"]


@pytest.mark.parametrize("mode,word", rows("end_session", TURNS))
def test_timeout_end_session_makes_the_other_one_win(games, mode, word):
    state, (first, second) = games.ended(mode, word)
    assert state["status"] == "expired" and state["active_participant_id"] is None
    result = {key: value for key, value in state["result"].items() if key != "expired_group_id"}
    assert result == {"reason": "timeout", "expired_participant_id": first, "winner_participant_id": second, "outcome": "lost"}
    assert state["action_on_timeout"]["type"] == state["last_timeout"]["action_applied"] == "end_session"


@pytest.mark.parametrize("mode,word", rows("end_session", WHOLE))
def test_timeout_end_session_ends_the_clock_of_the_session(games, mode, word):
    state, _ = games.ended(mode, word)
    assert state["status"] == "expired" and state["result"] == {"reason": "timeout", "outcome": "lost"}


@pytest.mark.parametrize("mode,word", rows("skip_cycle", TURNS))
def test_timeout_skip_cycle_hands_over(games, mode, word):
    state, (_, second) = games.ended(mode, word)
    assert state["status"] == "running" and state["active_participant_id"] == second and state["cycle_number"] == 2
    assert state["last_timeout"]["action_applied"] == "skip_cycle" and state["participants"][0]["cycle_count"] == 1


@pytest.mark.parametrize("mode,word", rows("auto_action", TURNS))
def test_timeout_auto_action_goes_on_without_auto_advance(games, mode, word):
    state, (first, _) = games.ended(mode, word)
    assert state["status"] == "running" and state["active_participant_id"] == first
    assert (state["last_timeout"]["action_applied"], state["last_timeout"]["action"]) == ("auto_action", "fold")


@pytest.mark.parametrize("mode", TURNS)
def test_timeout_auto_action_hands_over_with_auto_advance(games, mode):
    state, (_, second) = games.ended(mode, "auto_action", True)
    assert state["active_participant_id"] == second and state["last_timeout"]["action_applied"] == "auto_action"


@pytest.mark.parametrize("mode,word", [(mode, word) for mode in TURNS for word in NAMES["notify"]])
def test_timeout_notify_hands_over_with_auto_advance(games, mode, word):
    state, (_, second) = games.ended(mode, word, True)
    assert state["active_participant_id"] == second and state["last_timeout"]["action_applied"] == "notify"


@pytest.mark.parametrize("mode,word", rows("eliminate", TURNS))
def test_timeout_eliminate_leaves_a_last_one(games, mode, word):
    state, (_, second) = games.ended(mode, word)
    assert state["status"] == "completed" and state["participants"][0]["out"] == "eliminated"
    assert (state["result"]["reason"], state["result"]["winner_participant_id"]) == ("last_one_left", second)


@pytest.mark.parametrize("mode", WHOLE)
@pytest.mark.parametrize("word", NAMES["skip_cycle"] + NAMES["auto_action"] + NAMES["eliminate"])
def test_timeout_actions_on_turns_need_a_mode_with_turns(games, mode, word):
    sent = body(2, sync_mode=mode, action_on_timeout={"type": word})
    answer = requests.post(games.base, json=sent, timeout=10)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["action_on_timeout.type"]
