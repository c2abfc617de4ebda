"""What a request costs, in instructions and in bytes, may not grow unnoticed: neither from change to change, nor with the session."""
import sys

from stack import PLAIN, ROOT

sys.path.insert(0, str(ROOT / "tests/bench"))

import cost  # noqa: E402 (the path comes first)
import large  # noqa: E402

GROWTH = 3  # times, from 2 to 1,000 participants


def instructions_per_request():
    allowed, found = cost.limits(), cost.measure()
    assert set(found) == set(allowed)
    grown = {name: (count, allowed[name]) for name, count in found.items() if count > cost.SLACK * allowed[name]}
    assert not grown, f"more than before (then: tests/bench/cost.py --write, and say why): {grown}"
    assert found["switch of 1,000 participants, minimal"] <= GROWTH * found["switch"], found


if PLAIN:  # the counts of a sanitizer, or below valgrind, say nothing

    def test_instructions_per_request():
        instructions_per_request()


def test_a_switch_of_a_thousand_moves_few_bytes():
    # what the programs say to each other by themselves comes and goes between the rounds
    found = large.measure((2, 1000), rounds=3, count=64, POSTGRES="off")
    names = [name for name in found[2] if name.startswith("bytes ")]
    assert len(names) == 4
    assert sum(min(found[1000][name].values) for name in names) <= GROWTH * sum(max(found[2][name].values) for name in names), found
    assert min(found[1000]["bytes frames"].values) <= GROWTH * max(found[2]["bytes frames"].values), found
