"""What a request costs, in instructions, may not grow unnoticed."""
import os
import sys

from stack import ROOT, WRAP

sys.path.insert(0, str(ROOT / "tests/bench"))

import cost  # noqa: E402 (the path comes first)

PLAIN = not WRAP and "SAN" not in os.environ and os.environ.get("BIN_DIR", "build/release").endswith("release")


def instructions_per_request():
    allowed, found = cost.limits(), cost.measure()
    assert set(found) == set(allowed)
    grown = {name: (count, allowed[name]) for name, count in found.items() if count > cost.SLACK * allowed[name]}
    assert not grown, f"more than before (then: tests/bench/cost.py --write, and say why): {grown}"


if PLAIN:  # the counts of a sanitizer, or below valgrind, say nothing

    def test_instructions_per_request():
        instructions_per_request()
