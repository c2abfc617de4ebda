"""Workers that leave after a few requests, and rolling restarts, lose no request. LOAD_SECONDS sets how long the load lasts."""
import os
import signal
import time

import pytest

from load import Wrk, create_started
from stack import SLOW

pytestmark = pytest.mark.alone
SECONDS = int(os.environ.get("LOAD_SECONDS", 8 * SLOW))


def test_workers_that_leave_after_200_requests_lose_nothing(make_stack, tmp_path):
    stack = make_stack(FCGI_MAX_REQUESTS="200")
    load = Wrk(stack, create_started(stack, 50), SECONDS, tmp_path)
    total, other, errors = load.read()
    assert total > 200 * 20, "every worker must have left several times"
    assert (other, errors) == (0, 0), f"of {total} requests"


def test_a_rolling_restart_under_load_loses_nothing(make_stack, tmp_path):
    stack = make_stack()
    sessions = create_started(stack, 50)
    load = Wrk(stack, sessions, SECONDS, tmp_path)
    for _ in range(3):
        time.sleep(SECONDS / 4)
        stack.kill("fcgi", signal.SIGHUP)
    total, other, errors = load.read()
    assert (other, errors) == (0, 0), f"of {total} requests"
