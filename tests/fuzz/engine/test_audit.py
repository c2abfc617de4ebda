"""The folder of audit records against records that were written by hand."""

import pytest

from audit import Broken, compare, fields, fold

CREATED = "t1 v1 a1000\nh c1000 u1000\nm {}\np:0 x0 t500 A500\n"
STARTED = "t2 v2 a1100\nh c1000 u1100 b1100 y1100 n1\n"
SWITCHED = "t3 v3 a1300\nh c1000 u1300 b1100 y1300 n2\np:0 x0 t300 A500 u200 c1\n"
LAST = "h c1000 u1300 b1100 y1300 n2\nm {}\np:0 x0 t300 A500 u200 c1\n"


def shown():
    return {"created_at": 1000, "updated_at": 1300, "session_started_at": 1100, "session_completed_at": None,
            "cycle_started_at": 1300, "paused_at": None, "paused_total_ms": 0, "cycle_number": 2,
            "participants": [{"participant_index": 0, "total_time_ms": 300, "allotted_ms": 500, "time_used_ms": 200,
                              "cycle_count": 1}]}


def test_records_fold_to_the_last_state():
    state = fold([CREATED, STARTED, SWITCHED], {3: LAST})
    assert state == fields(LAST)
    compare(state, shown(), lambda ms: ms)


@pytest.mark.parametrize("records", [[CREATED, SWITCHED], [STARTED, SWITCHED], [CREATED, STARTED, STARTED],
                                     [CREATED, STARTED.replace("a1100", "a900")], [CREATED + "m {}\n"]])
def test_a_hole_in_the_records_is_noticed(records):
    with pytest.raises(Broken):
        fold(records)


def test_a_snapshot_that_does_not_fit_is_noticed():
    with pytest.raises(Broken):
        fold([CREATED, STARTED], {2: LAST})


def test_a_lost_field_is_noticed():
    for key in ("updated_at", "cycle_number"):
        with pytest.raises(Broken):
            compare(fields(LAST), {**shown(), key: 7}, lambda ms: ms)
    other = shown()
    other["participants"][0]["time_used_ms"] = 201
    with pytest.raises(Broken):
        compare(fields(LAST), other, lambda ms: ms)
