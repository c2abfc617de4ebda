"""The oracle against games that were reckoned by hand: a worked example for each control."""

from oracle import Session


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
                 "time_control": rule, **more}, 0, 3600000)
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
