"""The oracle against games that were reckoned by hand: a worked example for each control."""

import pytest

from oracle import Refused, Session
from view import iso


def test_oracle_knows_a_game_by_hand():
    people = [{"participant_id": "a", "participant_index": 0, "total_time_ms": 1000},
              {"participant_id": "b", "participant_index": 1, "total_time_ms": 2000}]
    s = Session({"session_id": "s", "epoch": "e", "participants": people, "total_time_ms": 3000,
                 "increment_ms": 50}, 10000, 3600000)
    s.command("start", 11000)
    assert s.deadline() == 12000
    s.command("switch", 11400)
    assert (s.left(0, 11400), s.used(0, 11400), s.deadline()) == (650, 400, 13400)
    s.command("pause", 11600)
    assert (s.left(1, 11600), s.deadline()) == (1800, None)
    s.command("resume", 12600)
    assert (s.paused(12600), s.deadline()) == (1000, 14400)
    assert s.settle(14399) == []
    (expiry,) = s.settle(20000)
    assert (expiry["type"], expiry["at"], expiry["version"]) == ("participant_expired", 14400, 6)
    late = s.command("switch", 20000)
    assert (late["expired"], late["remaining_ms"], late["elapsed_ms"]) == ("b", 0, 7600)
    assert s.deadline() == 20650
    s.command("complete", 20100)
    assert (s.used(0, 20100), s.left(0, 20100), s.version) == (500, 550, 8)
    (end,) = s.settle(20100 + 3600000)
    assert (end["reason"], end["at"], end["version"]) == ("idle", 3620100, 9)


def game(rule, banks=(10000, 10000), **more):
    """A game with this control, begun at 0; the first of a, b, ... is on."""
    people = [{"participant_id": "abc"[k], "participant_index": k, "total_time_ms": bank} for k, bank in enumerate(banks)]
    s = Session({"session_id": "s", "epoch": "e", "participants": people, "total_time_ms": 20000, "increment_ms": 0,
                 **({"time_control": rule} if rule else {}), **more}, 0, 3600000)
    s.command("start", 0)
    return s


def shown(s, now, *keys):
    """What clients see of everybody: the bank, what is left, and the counters asked for."""
    people = s.state(now)["participants"]
    return [tuple(p.get(key) for key in ("total_time_ms", "time_remaining_ms") + keys) for p in people]


def expiry(s, now):
    """The one thing that is due at `now`: its name and instant."""
    (change,) = s.settle(now)
    return change["type"], change["at"], change["remaining_ms"]


def test_control_fischer_adds_the_increment():
    s = game({"type": "fischer", "increment_ms": 500})
    s.command("switch", 4000)
    assert (shown(s, 4000), s.deadline()) == ([(6500, 6500), (10000, 10000)], 14000)
    assert expiry(s, 14000) == ("participant_expired", 14000, 0)
    assert s.command("switch", 15000)["expired"] == "b"
    assert shown(s, 15000) == [(6500, 6500), (0, 0)]


def test_control_delay_burns_nothing_at_first():
    s = game({"type": "delay", "delay_ms": 2000})
    assert (shown(s, 1500, "delay_left_ms"), s.deadline()) == ([(10000, 10000, 500), (10000, 10000, 2000)], 12000)
    s.command("pause", 1500)
    assert (shown(s, 9000, "delay_left_ms"), s.deadline()) == ([(10000, 10000, 500), (10000, 10000, 2000)], None)
    s.command("resume", 9000)
    assert (shown(s, 9400, "delay_left_ms")[0], s.deadline()) == ((10000, 10000, 100), 19500)
    s.command("switch", 10000)
    assert (shown(s, 10000, "delay_left_ms"), s.used(0, 10000)) == ([(9500, 9500, 2000), (10000, 10000, 2000)], 2500)
    s.command("switch", 11000)
    assert shown(s, 11000, "delay_left_ms")[1] == (10000, 10000, 2000)
    assert expiry(s, 22500) == ("participant_expired", 22500, 0)
    assert (shown(s, 22500, "delay_left_ms")[0], s.deadline()) == ((0, 0, 0), None)
    s.command("switch", 23000)
    s.command("switch", 23000)
    assert (shown(s, 24000, "delay_left_ms")[0], s.deadline()) == ((0, 0, 0), None)


def test_control_bronstein_gives_back_at_most_the_delay():
    s = game({"type": "bronstein", "delay_ms": 2000})
    assert (shown(s, 1500)[0], s.deadline()) == ((10000, 8500), 10000)
    s.command("switch", 1500)
    assert shown(s, 1500)[0] == (10000, 10000)
    s.command("switch", 4500)
    assert shown(s, 4500) == [(10000, 10000), (9000, 9000)]
    assert expiry(s, 14500) == ("participant_expired", 14500, 0)
    s.command("switch", 15000)
    assert shown(s, 15000)[0] == (0, 0)


def test_control_byoyomi_loses_a_period_when_it_is_used_up():
    s = game({"type": "byoyomi", "periods": 3, "period_ms": 2000})
    assert (shown(s, 9999, "periods_left")[0], s.deadline()) == ((10000, 1, 3), 16000)
    assert shown(s, 10000, "periods_left")[0] == (10000, 2000, 3)
    assert shown(s, 11999, "periods_left")[0] == (10000, 1, 3)
    assert shown(s, 12000, "periods_left")[0] == (10000, 2000, 2)
    s.command("pause", 12500)
    assert (shown(s, 13000, "periods_left")[0], s.deadline()) == ((0, 1500, 2), None)
    s.command("resume", 13000)
    assert s.deadline() == 16500
    s.command("switch", 14000)
    assert shown(s, 14000, "periods_left")[0] == (0, 2000, 2)
    s.command("switch", 14100)
    assert s.deadline() == 18100
    s.command("switch", 16100)
    assert shown(s, 16100, "periods_left")[0] == (0, 2000, 1)
    s.command("switch", 16100)
    assert s.settle(18099) == []
    assert expiry(s, 20000) == ("participant_expired", 18100, 0)
    s.command("switch", 20000)
    assert shown(s, 20000, "periods_left")[0] == (0, 0, 0)


def test_control_canadian_begins_a_new_block_after_the_last_move():
    s = game({"type": "canadian", "moves": 2, "period_ms": 3000}, banks=(1000, 10000))
    assert (shown(s, 999, "moves_left")[0], s.deadline()) == ((1000, 1, 2), 4000)
    assert shown(s, 1000, "moves_left")[0] == (1000, 3000, 2)
    s.command("switch", 2000)
    assert shown(s, 2000, "moves_left") == [(0, 2000, 1), (10000, 10000, 2)]
    s.command("switch", 2500)
    assert (shown(s, 2500, "moves_left")[1], s.deadline()) == ((9500, 9500, 2), 4500)
    s.command("switch", 4499)
    assert shown(s, 4499, "moves_left")[0] == (0, 3000, 2)
    s.command("switch", 4499)
    assert expiry(s, 7499) == ("participant_expired", 7499, 0)
    s.command("switch", 7600)
    assert shown(s, 7600, "moves_left")[0] == (0, 0, 2)


def test_control_hourglass_gives_to_the_other_what_burns():
    s = game({"type": "hourglass"})
    assert shown(s, 3000) == [(10000, 7000), (10000, 13000)]
    s.command("pause", 3000)
    assert shown(s, 5000) == [(7000, 7000), (13000, 13000)]
    s.command("resume", 5000)
    s.command("switch", 6000)
    assert (shown(s, 6000), s.deadline()) == ([(6000, 6000), (14000, 14000)], 20000)
    assert expiry(s, 25000) == ("participant_expired", 20000, 0)
    assert shown(s, 25000) == [(20000, 20000), (0, 0)]
    s.command("switch", 26000)
    assert shown(s, 27000) == [(20000, 19000), (0, 0)]


def test_control_per_move_fills_up_at_the_hand_over():
    s = game({"type": "per_move"})
    s.command("switch", 9999)
    assert (shown(s, 9999), s.deadline()) == ([(10000, 10000), (10000, 10000)], 19999)
    assert expiry(s, 19999) == ("participant_expired", 19999, 0)
    s.command("switch", 20000)
    assert shown(s, 20000)[1] == (0, 0)


def test_control_stages_grants_after_the_moves_of_a_stage():
    s = game({"type": "stages", "stages": [{"moves": 2, "add_ms": 5000, "increment_ms": 100},
                                           {"moves": 1, "add_ms": 700, "increment_ms": 0},
                                           {"add_ms": 9, "increment_ms": 10}]}, banks=(10000,))
    keys = ("stage", "moves_left")
    assert shown(s, 0, *keys) == [(10000, 10000, 1, 2)]
    s.command("switch", 1000)
    assert shown(s, 1000, *keys) == [(9100, 9100, 1, 1)]
    s.command("switch", 2000)
    assert (shown(s, 2000, *keys), s.deadline()) == ([(13200, 13200, 2, 1)], 15200)
    s.command("switch", 3000)
    assert shown(s, 3000, *keys) == [(12900, 12900, 3, None)]
    s.command("switch", 4000)
    assert shown(s, 4000, *keys) == [(11910, 11910, 3, None)]
    assert expiry(s, 15910) == ("participant_expired", 15910, 0)


def test_control_goes_with_a_timed_hand_over():
    """A player who runs out of periods hands over at the end of the last one."""
    s = game({"type": "byoyomi", "periods": 2, "period_ms": 1000}, auto_advance=True)
    assert expiry(s, 12000) == ("cycle_switched", 12000, 0)
    assert (shown(s, 13000, "periods_left"), s.deadline()) == ([(0, 0, 0), (10000, 9000, 2)], 24000)
    assert expiry(s, 24000) == ("session_expired", 24000, 0)


def crossed(rule, banks, values):
    return game(rule, banks, warn_at_ms=values).warnings()


def test_warning_comes_when_the_clock_crosses_a_value():
    plain_rule = {"type": "fischer", "increment_ms": 0}
    assert crossed(plain_rule, (10000, 10000), [5000, 1000, 5000]) == [[5000, 5000], [9000, 1000]]
    assert crossed(plain_rule, (1000, 10000), [1000, 2000]) == []
    assert crossed({"type": "delay", "delay_ms": 3000}, (10000, 10000), [5000, 12000]) == [[8000, 5000]]


def test_warning_of_a_byoyomi_clock_may_come_in_a_period():
    rule = {"type": "byoyomi", "periods": 2, "period_ms": 3000}
    assert crossed(rule, (1000, 9000), [500, 1000, 2000, 4000]) == [[500, 500], [2000, 2000], [3000, 1000]]
    s = game(rule, (1000, 9000), warn_at_ms=[1000, 2000])
    s.command("pause", 3500)
    assert s.warnings() == []
    s.command("resume", 4000)
    assert s.warnings() == []
    s.command("switch", 4000)
    s.command("switch", 4000)
    assert s.warnings() == [[5000, 2000], [6000, 1000]]


def test_warning_comes_once_in_a_turn():
    s = game({"type": "fischer", "increment_ms": 0}, warn_at_ms=[5000, 1000])
    s.command("adjust", 5000, nxt="a", add_ms=3000)
    assert s.warnings() == [[12000, 1000]]
    s.command("switch", 6000)
    s.command("switch", 6000)
    assert s.warnings() == [[8000, 5000], [12000, 1000]]


def test_adjusting_moves_the_bank_and_what_was_allotted():
    s = game({"type": "fischer", "increment_ms": 0})
    change = s.command("adjust", 3000, nxt="a", add_ms=500)
    assert (change["type"], change["participant"], change["remaining_ms"]) == ("participant_adjusted", "a", 7500)
    first = s.state(4000)["participants"][0]
    assert (first["total_time_ms"], first["allotted_ms"], first["time_remaining_ms"]) == (7500, 10500, 6500)
    assert (s.state(4000)["cycle_started_at"], s.deadline()) == (iso(3000), 10500)
    s.command("adjust", 4000, nxt="b", set_ms=1)
    assert (shown(s, 4000), s.people[1]["total_time_ms"]) == ([(6500, 6500), (1, 1)], 10000)
    assert s.state(4000)["participants"][1]["allotted_ms"] == 1


def test_adjusting_revives_who_was_at_zero():
    s = game({"type": "fischer", "increment_ms": 0})
    assert expiry(s, 10000) == ("participant_expired", 10000, 0)
    assert (s.has_expired(0), s.deadline()) == (True, None)
    s.command("adjust", 12000, nxt="A", add_ms=5)
    assert (s.has_expired(0), s.deadline(), s.used(0, 12000)) == (False, 12005, 12000)


def test_adjusting_the_running_clock_to_zero_expires_it():
    s = game({"type": "fischer", "increment_ms": 0}, action_on_timeout={"type": "end_session"})
    s.command("adjust", 3000, nxt="b", set_ms=0)
    assert (s.settle(3000), s.has_expired(1)) == ([], True)
    s.command("adjust", 4000, nxt="a", set_ms=0)
    assert expiry(s, 4000) == ("session_expired", 4000, 0)
    assert (s.status, s.result()["winner_participant_id"], s.version) == ("expired", "b", 5)


def test_adjusting_to_zero_in_a_pause_only_marks():
    s = game({"type": "fischer", "increment_ms": 0})
    s.command("pause", 3000)
    s.command("adjust", 3500, nxt="a", set_ms=0)
    s.command("resume", 4000)
    assert (s.settle(5000), s.has_expired(0), s.deadline()) == ([], True, None)


def test_adjusting_leaves_the_periods_alone():
    s = game({"type": "byoyomi", "periods": 2, "period_ms": 2000})
    s.command("adjust", 13000, nxt="a", add_ms=100)
    assert (shown(s, 13050, "periods_left")[0], s.deadline()) == ((100, 50, 1), 14100)
    assert shown(s, 13100, "periods_left")[0] == (100, 1000, 1)
    s.command("adjust", 13200, nxt="a", set_ms=0)
    assert (s.settle(14099), expiry(s, 14100)) == ([], ("participant_expired", 14100, 0))
    s.command("adjust", 15000, nxt="a", set_ms=70)
    assert (shown(s, 15000, "periods_left")[0], s.deadline()) == ((70, 70, 0), 15070)


def test_adjusting_per_move_changes_what_is_filled_up():
    s = game({"type": "per_move"})
    s.command("adjust", 1000, nxt="a", add_ms=-4000)
    s.command("switch", 1500)
    assert shown(s, 1500)[0] == (6000, 6000)


def refused(s, what, now, **args):
    with pytest.raises(Refused) as error:
        s.command(what, now, **args)
    return error.value.error["code"]


def test_adjusting_is_refused_out_of_bounds():
    s = game({"type": "fischer", "increment_ms": 0})
    assert refused(s, "adjust", 1000, nxt="a", add_ms=-9001) == "VALIDATION_ERROR"
    assert refused(s, "adjust", 1000, nxt="b", add_ms=86390001) == "VALIDATION_ERROR"
    assert refused(s, "adjust", 1000, nxt="z", add_ms=1) == "NOT_FOUND"
    s.command("adjust", 1000, nxt="b", add_ms=86390000)
    s.command("cancel", 2000)
    assert refused(s, "adjust", 2000, nxt="a", add_ms=1) == "INVALID_STATE_TRANSITION"


def plain(mode, banks=(10000, 10000), **more):
    s = game(None, banks, sync_mode=mode, **more)
    return s


def test_adjusting_a_cycle_is_about_the_running_one():
    s = plain("per_cycle", time_per_cycle_ms=5000)
    assert refused(s, "adjust", 1000, nxt="b", add_ms=1) == "VALIDATION_ERROR"
    s.command("adjust", 1000, nxt="a", set_ms=6000)
    assert (s.state(2000)["time_remaining_ms"], s.deadline()) == (5000, 7000)
    s.command("switch", 3000)
    assert (s.deadline(), shown(s, 3000)[0]) == (8000, (10000, 10000))
    s.command("adjust", 3000, nxt="b", set_ms=0)
    assert expiry(s, 3000) == ("participant_expired", 3000, 0)


def test_adjusting_the_whole_session_in_global():
    s = plain("global")
    s.command("adjust", 1000, nxt="b", add_ms=-1000)
    state = s.state(2000)
    assert (state["total_time_ms"], state["allotted_ms"], state["time_remaining_ms"]) == (18000, 19000, 17000)
    s.command("pause", 2000)
    s.command("adjust", 2000, nxt="a", set_ms=0)
    assert s.settle(3000) == []
    s.command("resume", 4000)
    assert expiry(s, 5000) == ("session_expired", 4000, 0)
    assert refused(plain("count_up"), "adjust", 1000, nxt="a", add_ms=1) == "VALIDATION_ERROR"


def test_adjusting_the_bank_of_a_group():
    s = plain("per_group", groups=[{"group_id": "g", "total_time_ms": 4000, "members": ["a", "b"]}])
    s.command("adjust", 1000, nxt="b", add_ms=500)
    (group,) = s.state(2000)["groups"]
    assert (group["total_time_ms"], group["allotted_ms"], group["time_remaining_ms"]) == (3500, 4500, 2500)
    s.command("adjust", 2000, nxt="b", set_ms=0)
    assert expiry(s, 2000) == ("participant_expired", 2000, 0)
    assert s.state(2000)["groups"][0]["has_expired"]


def test_adding_comes_last_with_the_highest_index():
    s = game({"type": "byoyomi", "periods": 3, "period_ms": 1000})
    change = s.command("add", 1000, newcomer={"participant_id": "c", "total_time_ms": 5000})
    assert (change["type"], change["participant"], change["remaining_ms"], change["elapsed_ms"]) == ("participant_added", "c", 5000, 0)
    assert (s.state(1000)["participants"][2]["participant_index"], s.name(s.after(1)[0])) == (2, "c")
    assert shown(s, 1000, "periods_left")[2] == (5000, 5000, 3)
    assert (s.state(1500)["cycle_started_at"], s.deadline()) == (iso(1000), 13000)
    s.command("add", 1000, newcomer={"participant_id": "d", "total_time_ms": 5000, "participant_index": 1})
    s.command("switch", 2000)
    s.command("switch", 2000)
    assert s.name(s.holder) == "d"
    assert refused(s, "add", 3000, newcomer={"participant_id": "D", "total_time_ms": 1000}) == "VALIDATION_ERROR"


def test_adding_is_refused_where_nobody_can_come():
    newcomer = {"participant_id": "z", "total_time_ms": 1000}
    assert refused(plain("global", banks=()), "add", 1, newcomer=newcomer) == "VALIDATION_ERROR"
    assert refused(game({"type": "hourglass"}), "add", 1, newcomer=newcomer) == "VALIDATION_ERROR"
    over = plain("count_up")
    over.command("complete", 5)
    assert refused(over, "add", 6, newcomer=newcomer) == "INVALID_STATE_TRANSITION"


def test_adding_to_a_group_leaves_its_bank():
    s = plain("per_group", groups=[{"group_id": "g", "total_time_ms": 4000, "members": ["a"]}])
    s.command("add", 1000, newcomer={"participant_id": "c", "total_time_ms": 9000, "group_id": "G"})
    s.command("add", 1000, newcomer={"participant_id": "d", "total_time_ms": 8000})
    groups = s.state(1000)["groups"]
    assert [(g["group_id"], g["total_time_ms"], g["members"]) for g in groups] == \
        [("g", 3000, ["a", "c"]), ("b", 10000, ["b"]), ("d", 8000, ["d"])]
    turns = []
    for _ in range(6):
        s.command("switch", 1000)
        turns.append(s.name(s.holder))
    assert turns == ["b", "d", "c", "b", "d", "a"]
