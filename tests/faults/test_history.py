"""The judge itself: it has nothing to say about a good history, and finds each thing that can be wrong with one."""

import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))

import judge as judge_module  # noqa: E402
from backlog import creations_were_refused_first, nobody_noticed, told_while_away  # noqa: E402
from history import History, Record, State  # noqa: E402
from judge import Judgement  # noqa: E402
from usage import compare, is_left  # noqa: E402

UUID = "11111111-1111-4111-8111-111111111111"
OLD, NEW = "0aaa-1.001", "0aaa-1.002"
S = 1_000_000  # us

# One session: created, started, switched by two answered commands; watched by one.
GOOD = [
    f"S 0 {UUID} g",
    f"E 0 0 {OLD}",
    f"E 1 0 {NEW}",
    f"A {1 * S} {1 * S + 500} 0 0 C - -1 201 - 0 0 1 p 0",
    f"A {2 * S} {2 * S + 500} 0 0 B - 1 200 - 0 0 2 r 1",
    f"O {2 * S + 600} 7 0",
    f"W {2 * S + 700} 7 s 0 2 r 1",
    f"A {3 * S} {3 * S + 500} 0 0 S - 2 200 - 0 0 3 r 2",
    f"W {3 * S + 600} 7 u 0 3 r 2",
    f"A {4 * S} {4 * S + 500} 0 0 S - 3 200 - 0 0 4 r 3",
    f"W {4 * S + 600} 7 d 0 4 - 3",
    f"A {9 * S} {9 * S + 500} 0 0 G - 4 200 - 0 0 4 r 3",
]
RECORDS = [
    Record(OLD, 1, "session_created", ""),
    Record(OLD, 2, "session_started", ""),
    Record(OLD, 3, "cycle_switched", ""),
    Record(OLD, 4, "cycle_switched", ""),
]
FINAL = State(OLD, 4, "running")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    """These histories are of a machine of the usual speed, whatever this one is."""
    monkeypatch.setattr(judge_module, "FRESH_US", 2 * S)
    monkeypatch.setattr(judge_module, "REOPEN_US", 5 * S)


def judge(lines=GOOD, records=RECORDS, final=FINAL, **more):
    return Judgement(History(lines), {UUID: list(records)}, {UUID: final}, **more).all()


def without(lines, *words):
    return [line for line in lines if not all(word in line for word in words)]


def changed(lines, old, new):
    assert sum(old in line for line in lines) == 1
    return [line.replace(old, new) for line in lines]


def test_a_good_history_is_good():
    assert judge() == []


def test_a_good_history_that_is_summed_up_is_good():
    assert judge(summaries={UUID: State(OLD, 4, "running")}) == []


def test_a_socket_that_is_back_at_once_is_good():
    assert judge([*GOOD, f"X {5 * S} 7", f"O {6 * S} 7 0", f"W {6 * S + 9} 7 s 0 4 r 3"]) == []


def test_a_clock_that_is_paused_may_stand_still():
    lines = changed(GOOD, f"S 0 {UUID} g", f"S 0 {UUID} t")
    lines.append(f"A {6 * S} {6 * S + 500} 0 0 P - 3 409 VERSION_CONFLICT 0 -1 -1 - -1")
    assert judge(lines) == []


def test_a_session_that_is_deleted_and_created_again_is_good():
    later = "0bbb-1.001"
    lines = GOOD + [
        f"E 2 0 {later}",
        f"A {10 * S} {10 * S + 5} 0 0 D - 4 204 - 0 -1 -1 - -1",
        f"W {10 * S + 6} 7 x 0 5 - -1",
        f"A {11 * S} {11 * S + 5} 0 0 C - -1 201 - 0 2 1 p 0",
        f"W {11 * S + 6} 7 u 2 1 p 0",
    ]
    records = [*RECORDS, Record(OLD, 5, "session_deleted", ""), Record(later, 1, "session_created", "")]
    assert judge(lines, records, State(later, 1, "pending")) == []


def test_a_later_life_of_what_was_deleted_since_is_good():
    later = "0bbb-1.003"
    lines = GOOD + [
        f"E 2 0 {later}",
        f"W {10 * S} 7 s 1 4 r 3",
        f"A {11 * S} {11 * S + 5} 0 0 D - 4 204 - 0 -1 -1 - -1",
        f"W {11 * S + 6} 7 x 1 5 - -1",
        f"A {12 * S} {12 * S + 5} 0 0 C - -1 201 - 0 2 1 p 0",
        f"W {12 * S + 6} 7 u 2 1 p 0",
    ]
    records = [*RECORDS, Record(NEW, 5, "session_deleted", ""), Record(later, 1, "session_created", "")]
    assert judge(lines, records, State(later, 1, "pending")) == []


def test_a_change_that_was_lost_and_replaced_is_good_only_where_redis_may_lose():
    lines = GOOD + [
        f"A {10 * S} {10 * S + 5} 0 0 S - 3 200 - 0 1 4 r 3",
        f"W {10 * S + 6} 7 s 1 4 r 3",
    ]
    records = [*RECORDS, Record(NEW, 4, "cycle_switched", "")]
    final = State(NEW, 4, "running")
    assert judge(lines, records, final, may_lose=True, counted=1) == []
    assert "1 answered changes were lost, 0 were counted" in judge(lines, records, final, may_lose=True)
    assert "not in effect" in " ".join(judge(lines, records, final))


def test_a_keyed_command_that_was_in_doubt_and_repeated_is_good():
    lines = without(GOOD, "A 4000000")
    lines[9:9] = [
        f"A {4 * S - 200} {4 * S - 100} 0 0 S 0-1 3 503 OUTCOME_UNKNOWN 1 -1 -1 - -1",
        f"A {4 * S} {4 * S + 500} 0 0 S 0-1 3 200 - 0 0 4 r 3",
    ]
    assert judge(lines) == []


def test_a_command_left_in_doubt_may_have_happened():
    assert judge(changed(GOOD, "S - 3 200 - 0 0 4 r 3", "S - 3 503 OUTCOME_UNKNOWN 1 -1 -1 - -1")) == []


BAD = {
    "an answered change without a record": (dict(records=RECORDS[:3], final=State(OLD, 3, "running")), "not in effect"),
    "a read of what was before": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 9} 1 0 G - 4 200 - 0 0 3 r 2"]),
        "was told",
    ),
    "a read of what never was": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 9} 1 0 G - 4 200 - 0 0 5 r 2"]),
        "what never was: Answer",
    ),
    "a session that nobody deleted": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 9} 1 0 G - 4 404 SESSION_NOT_FOUND 0 -1 -1 - -1"]),
        "nobody deleted it",
    ),
    "a hole in the records": (dict(records=RECORDS[:2] + RECORDS[3:]), "not recorded"),
    "a record that is there twice": (dict(records=[*RECORDS, RECORDS[2]]), "recorded twice"),
    "a record of something else": (
        dict(records=[*RECORDS[:3], Record(OLD, 4, "session_paused", "")]),
        "recorded as",
    ),
    "a change that nobody asked for": (
        dict(records=[*RECORDS, Record(OLD, 5, "cycle_switched", "")], final=State(OLD, 5, "running")),
        "nobody was told",
    ),
    "a refused command that happened": (
        dict(lines=changed(GOOD, "S - 3 200 - 0 0 4 r 3", "S - 3 503 STORE_UNAVAILABLE 1 -1 -1 - -1")),
        "nobody was told",
    ),
    "a final state that is not the last record": (dict(final=State(OLD, 3, "running")), "its last record is"),
    "a session that is gone": (dict(final=None), "is gone"),
    "a version given to two commands": (
        dict(lines=[*GOOD, f"A {5 * S} {5 * S + 9} 1 0 S - 3 200 - 0 0 4 r 3"]),
        "given to 2 commands",
    ),
    "503 without Retry-After": (
        dict(lines=[*GOOD, f"A {5 * S} {5 * S + 9} 1 0 S - 3 503 STORE_UNAVAILABLE 0 -1 -1 - -1"]),
        "without Retry-After",
    ),
    "500": (dict(lines=[*GOOD, f"A {5 * S} {5 * S + 9} 1 0 S - 3 500 INTERNAL 0 -1 -1 - -1"]), "makes no sense"),
    "a version that was skipped": (dict(lines=without(GOOD, "W 3000600")), "after ("),
    "a version that was shown twice": (
        dict(lines=[*GOOD, f"W {5 * S} 7 u 0 4 r 3"]),
        "after (",
    ),
    "a version that goes back": (dict(lines=[*GOOD, f"W {5 * S} 7 s 0 3 r 2"]), "after ("),
    "a state that never was": (dict(lines=[*GOOD, f"W {5 * S} 7 u 0 5 r 4"]), "what never was"),
    "two states under one version": (dict(lines=changed(GOOD, "d 0 4 - 3", "d 0 4 - 9")), "two states"),
    "another status under one version": (dict(lines=changed(GOOD, "s 0 2 r 1", "s 0 2 z 1")), "two states"),
    "two answers that differ": (dict(lines=changed(GOOD, "G - 4 200 - 0 0 4 r 3", "G - 4 200 - 0 0 4 r 2")), "two states"),
    "a status that is not of the last record": (dict(final=State(OLD, 4, "paused")), "is paused"),
    "a timeout where time is plenty": (
        dict(records=[*RECORDS, Record(OLD, 5, "cycle_switched", "timeout")], final=State(OLD, 5, "running")),
        "nobody was told",
    ),
    "a watcher who was told late": (dict(lines=changed(GOOD, "W 4000600", "W 8000600")), "did not know"),
    "a watcher who was never told": (dict(lines=without(GOOD, "W 4000600")), "true is"),
    "a watcher who did not come back": (dict(lines=[*GOOD, f"X {5 * S} 7"]), "did not come back"),
    "a service that does not come back": (
        dict(lines=[line for line in GOOD if "A 9000000" in line or line[0] != "A" or " 201 " in line], back=5 * S),
        "was not served any more",
    ),
    "a handshake that is refused for no reason": (dict(lines=[*GOOD, f"H {5 * S} 8 500 1"]), "was refused with 500"),
    "a handshake that is refused for ever": (dict(lines=[*GOOD, f"H {5 * S} 8 503 0"]), "503, without Retry-After"),
    "503 long after": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 9} 1 0 S - 4 503 STORE_UNAVAILABLE 1 -1 -1 - -1"], back=5 * S),
        "later than 2 s",
    ),
    "404 long after": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 9} 1 0 G - 4 404 SESSION_NOT_FOUND 0 -1 -1 - -1"], back=5 * S, may_lose=True),
        "later than 2 s",
    ),
    "a socket that is away for long": (
        dict(lines=[*GOOD, f"X {5 * S} 7", f"O {11 * S} 7 0", f"W {11 * S + 9} 7 s 0 4 r 3"]),
        "had no socket",
    ),
    "a clock that stands still": (
        dict(lines=changed(GOOD, f"S 0 {UUID} g", f"S 0 {UUID} t")),
        "was shown nothing for a cycle",
    ),
    "a summary that is not the newest": (dict(summaries={UUID: State(OLD, 3, "running")}), "summed up as"),
    "a summary of something else": (dict(summaries={UUID: State(OLD, 4, "paused")}), "summed up as"),
    "no summary": (dict(summaries={}), "summed up as"),
    "a deletion that did not happen": (
        dict(lines=[*GOOD, f"A {10 * S} {10 * S + 5} 0 0 D - 4 204 - 0 -1 -1 - -1"], final=None),
        "answered and not in effect",
    ),
    "a loss that was counted and never was": (dict(counted=2), "counted as lost, and nothing was"),
    "a loss that was not replaced": (
        dict(records=RECORDS[:3], final=State(OLD, 3, "running"), may_lose=True),
        "not replaced under a new epoch",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_the_judge_finds(name):
    what, sentence = BAD[name]
    assert sentence in "\n".join(judge(**what))


# --- what is looked at beside the history ---

USED = {"memory": 50 << 20, "descriptors": 300, "descriptors of nginx": 600, "descriptors of Redis": 40, "processes": 7}


@pytest.mark.parametrize("what", USED)
def test_what_has_grown_is_found(what):
    assert compare(USED, USED, 100) == []
    assert f"{what} grew from" in compare(USED, {**USED, what: USED[what] * 2 + 20}, 100)[0]


def test_a_key_that_is_left_is_found():
    stays = [("sk:{s01}:life", -1), ("sk:{s01}:audit", -1), ("sk:{s01}:lease", 1), ("sk:{s01}:idem:a", 9), ("sk:x", -2)]
    assert [key for key, ttl in stays if is_left(key, ttl)] == []
    left = [("sk:{s01}:audit:dead", -1), ("sk:{s01}:session:a", 3600), ("sk:{s01}:idem:a", -1), ("sk:{s01}:lease", -1)]
    assert [(key, ttl) for key, ttl in left if is_left(key, ttl)] == left


def looked(at, queue, **more):
    """A look after `at` s of an outage in which nothing is wrong."""
    fine = dict(at=at, queue=queue, truth=(queue, queue + 3), bytes=queue * 400, age=at, database="down")
    return types.SimpleNamespace(**{**fine, **more})


AWAY = [looked(2, 2000), looked(30, 30000), looked(60, 60000)]


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        (looked(60, 60000, truth=(50000, 59999)), "said to be waiting: 60000"),
        (looked(60, 29999), "less is waiting"),
        (looked(60, 60000, bytes=1), "less is waiting"),
        (looked(60, 60000, age=20), "not as old as the outage"),
        (looked(60, 60000, database="connected"), "said to be connected"),
    ],
)
def test_a_backlog_that_is_not_told_is_found(wrong, sentence):
    assert told_while_away(AWAY, 60) == []
    assert sentence in told_while_away([*AWAY[:2], wrong], 60)[0]


def refused(at, op, code="STORE_FULL"):
    return f"A {at} {at + 9} 0 0 {op} - 4 503 {code} 1 -1 -1 - -1"


@pytest.mark.parametrize(
    "lines, sentence",
    [
        ([refused(6 * S, "S"), refused(7 * S, "C")], "1 creations and 1 commands"),
        ([refused(6 * S, "C")], "1 creations and 0 commands"),
        ([refused(6 * S, "C"), refused(7 * S, "S"), refused(8 * S, "D")], "refused: "),
        ([refused(6 * S, "C"), refused(7 * S, "S", "STORE_UNAVAILABLE")], "as something else"),
    ],
)
def test_the_order_of_refusals_is_held(lines, sentence):
    good = Judgement(History([*GOOD, refused(6 * S, "C"), refused(7 * S, "S")]), {}, {})
    assert creations_were_refused_first(good) == []
    assert sentence in " ".join(creations_were_refused_first(Judgement(History([*GOOD, *lines]), {}, {})))


def test_whoever_notices_is_found():
    assert nobody_noticed(Judgement(History(GOOD), {}, {})) == []
    assert nobody_noticed(Judgement(History([*GOOD, refused(6 * S, "S")]), {}, {})) != []
