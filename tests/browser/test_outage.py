"""What a window does when a part of the server is gone, and when it is back."""

import time

import pytest
from delay_proxy import DelayProxy
from window import command, game_body, new_game, page, state, api

BACK_MS = 2000  # a window has recovered this long after the server is back


def running_game(stack, windows, bank_ms=600_000):
    session_id = new_game(stack.base_url, bank_ms)
    window = windows(page(stack.base_url, session_id), may_complain=True)
    window.until_live()
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["version"] == 2)
    return window, session_id


def assert_recovers(window, stack, session_id):
    """Within BACK_MS from now it is connected again and shows what the server says."""
    began = time.monotonic()
    window.until(lambda s: s["connection"] == "connected" and s["banner"] is None, BACK_MS / 1000, "recovery")
    left = BACK_MS / 1000 - (time.monotonic() - began)
    truth = state(stack.base_url, session_id)
    return window.until(lambda s: (s["version"], s["epoch"]) == (truth["version"], truth["epoch"]), left, "the truth")


def test_web_server_killed_and_back(make_stack, windows):
    stack = make_stack()
    window, session_id = running_game(stack, windows)
    stack.hold("nginx")
    stack.kill("nginx")
    shown = window.until(lambda s: s["banner"], 5, "a banner")
    assert shown["connection"] == "reconnecting"
    before = shown["white"]["ms"]
    time.sleep(3)  # long enough for the attempts to have become rare
    assert window.read()["white"]["ms"] < before - 2800, "the clock runs on, as it does on the server"
    stack.release("nginx")
    stack.wait_ready()
    assert_recovers(window, stack, session_id)


def test_broadcasters_killed(make_stack, windows):
    stack = make_stack()
    window, session_id = running_game(stack, windows)
    old = {name: stack.kill(name) for name in stack.broadcasters()}
    command(stack.base_url, session_id, "switch")  # nobody is there to push it
    for name, pid in old.items():
        stack.wait_restarted(name, pid)
    shown = assert_recovers(window, stack, session_id)
    assert shown["version"] == 3 and shown["black"]["active"]


def test_redis_killed_and_back(make_stack, windows):
    stack = make_stack()
    window, session_id = running_game(stack, windows)
    time.sleep(1.2)  # AOF is synced every second
    stack.hold("redis")
    pid = stack.kill("redis")
    time.sleep(2)
    stack.release("redis")
    stack.wait_restarted("redis", pid)
    stack.wait_ready()
    shown = assert_recovers(window, stack, session_id)
    assert shown["status"] == "running" and shown["white"]["active"]
    window.click("#white .press")
    window.until(lambda s: s["black"]["active"], 3, "a move after the outage")


def test_redis_away_is_said_on_every_page(make_stack, windows):
    stack = make_stack()
    window, session_id = running_game(stack, windows)
    time.sleep(1.2)  # AOF is synced every second
    stack.hold("redis")
    stack.kill("redis")
    shown = window.until(lambda s: s["banner"], 3, "a banner")
    assert "store" in shown["banner"] and shown["connection"] == "away"
    assert window.js("return document.getElementById('game').classList.contains('stale')")
    window.click("#white .press")
    shown = window.until(lambda s: "kept" in (s["banner"] or ""), 2, "that the press is kept")

    late = windows(page(stack.base_url, session_id), may_complain=True)
    late.until(lambda s: s["view"] == "loading" and "Loading" in late.find("#missing-title").text, 3, "a word")
    late.until(lambda s: "store" in late.find("#missing-text").text, 4, "the reason")

    other = windows(page(stack.base_url), may_complain=True)
    other.click("#create")
    other.until(lambda s: "Trying again" in other.find("#setup-error").text, 4, "what it waits for")

    stack.release("redis")
    stack.wait_ready()
    for each in (window, late):
        each.until(lambda s: s["view"] == "game" and s["banner"] is None and s["connection"] == "connected", 5)
    other.until(lambda s: s["view"] == "game", 6, "the game that was waited for")


def test_a_pause_by_the_server_is_said_to_be_one(make_stack, windows):
    stack = make_stack(OUTAGE_PAUSE_S=1)
    window, session_id = running_game(stack, windows)
    time.sleep(1.2)  # AOF is synced every second
    stack.hold("redis")
    pid = stack.kill("redis")
    time.sleep(4)
    stack.release("redis")
    stack.wait_restarted("redis", pid)
    window.until(lambda s: s["status"] == "paused" and s["banner"] is None, 6, "the pause")
    assert window.find("#white .hint").text == "Paused: the server was away"
    window.click("#primary")
    window.until(lambda s: s["status"] == "running", 3, "the game to go on")
    window.click("#primary")
    window.until(lambda s: s["status"] == "paused", 3, "a pause of one's own")
    assert window.find("#white .hint").text == "Paused"


def test_a_refused_sign_in_is_no_broken_network(make_stack, windows):
    stack = make_stack(AUTH_REQUIRED=True, GUEST_TOKENS=False)
    session_id = "6f1d2c3b-4a5e-4f60-8a7b-9c0d1e2f3a4b"
    window = windows(page(stack.base_url, session_id), may_complain=True)
    window.until(lambda s: s["view"] == "missing", 3, "a word about it")
    assert "sign in" in window.find("#missing-title").text
    assert "token" in window.find("#missing-text").text
    tries = lambda: stack.access_log().count("GET /ws")  # noqa: E731
    time.sleep(1)
    before = tries()
    assert before >= 1
    time.sleep(4)
    assert tries() <= before + 1
    window.open(page(stack.base_url))
    window.click("#create")
    window.until(lambda s: "sign in" in window.find("#setup-error").text, 3, "why there is no game")


def test_a_press_during_an_outage_happens_once_when_it_is_over(make_stack, windows):
    stack = make_stack()
    window, session_id = running_game(stack, windows)
    stack.hold("fcgi")
    pid = stack.kill("fcgi")
    for worker in [w for w in stack_workers(pid) if w]:
        stack.kill_pid(worker)
    window.click("#white .press")
    window.click("#white .press")  # impatience
    time.sleep(1.5)
    stack.release("fcgi")
    stack.wait_ready()
    window.until(lambda s: s["version"] == 3, 6, "the move")
    time.sleep(1)
    truth = state(stack.base_url, session_id)
    assert truth["version"] == 3 and [p["cycle_count"] for p in truth["participants"]] == [1, 0]


def stack_workers(master):
    """Workers that outlived their master."""
    from stack import children

    return children(master)


def test_answers_that_get_lost_on_the_way(stack, windows):
    """The line breaks right after a press: whatever arrived, the move is made once."""
    session_id = new_game(stack.base_url, 600_000)
    with DelayProxy("127.0.0.1", stack.port, up=0.02, down=0.25) as line:
        window = windows(page(line.base_url, session_id), may_complain=True)
        window.until_live(15)
        command(stack.base_url, session_id, "start")
        window.until(lambda s: s["version"] == 2)
        window.click("#white .press")
        time.sleep(0.12)  # the request has arrived, its answer is on the way
        assert state(stack.base_url, session_id)["version"] == 3
        line.cut()
        time.sleep(1.5)
        assert window.read()["connection"] == "reconnecting"
        line.mend()
        window.until(lambda s: s["version"] == 3 and s["connection"] == "connected", 5, "the truth")
        time.sleep(1.5)
        truth = state(stack.base_url, session_id)
        assert truth["version"] == 3 and truth["participants"][0]["cycle_count"] == 1
        assert window.read()["banner"] is None, "the lost answer was no failure"


def test_no_such_game_and_it_appears(stack, windows):
    session_id = "6f1d2c3b-4a5e-4f60-8a7b-9c0d1e2f3a4b"
    api(stack.base_url, "DELETE", f"/v1/sessions/{session_id}")
    window = windows(page(stack.base_url, session_id))
    window.until(lambda s: s["view"] == "missing", 5, "a word about it")
    assert "No such game" in window.find("#missing-title").text
    assert not window.find("#again").is_displayed(), "nobody here knows what it was"
    status, _ = api(stack.base_url, "POST", "/v1/sessions", game_body(session_id, 60_000))
    assert status == 201
    window.until(lambda s: s["view"] == "game" and s["status"] == "pending", 5, "the game")


def test_deleted(stack, windows):
    session_id = new_game(stack.base_url, 60_000)
    both = [windows(page(stack.base_url, session_id), may_complain=True) for _ in range(2)]
    for window in both:
        window.until_live()
    api(stack.base_url, "DELETE", f"/v1/sessions/{session_id}")
    for window in both:
        shown = window.until(lambda s: s["banner"], 5, "a word about it")
        assert "deleted" in shown["banner"]
        # The same after the patience for a reset, 75 s, which starts with this deletion
        window.js("const wait = setTimeout; globalThis.setTimeout = (f, ms) => wait(f, ms > 60000 ? 50 : ms)")
    assert api(stack.base_url, "POST", "/v1/sessions", game_body(session_id, 60_000))[0] == 201
    for window in both:
        window.until(lambda s: s["status"] == "pending" and s["banner"] is None, 5, "the game")
    api(stack.base_url, "DELETE", f"/v1/sessions/{session_id}")
    for window in both:
        window.until(lambda s: s["view"] == "missing", 5, "the end of its patience")
        assert "deleted" in window.find("#missing-title").text
    both[1].click("#again")
    for window in both:
        shown = window.until(lambda s: s["view"] == "game" and s["status"] == "pending", 5, "the game")
        assert shown["white"]["ms"] == 60_000


@pytest.mark.parametrize("fragment", ["nonsense", "6f1d2c3b-4a5e"])
def test_a_broken_link(stack, windows, fragment):
    window = windows(page(stack.base_url, fragment))
    window.until(lambda s: s["view"] == "missing", 5, "a word about it")


def test_too_fast_is_said_and_passes(make_stack, windows):
    stack = make_stack(RATE_LIMIT_ENABLED=True, RATE_LIMIT_SWITCH="2/1s+2s")
    window, session_id = running_game(stack, windows)
    for version, side in ((3, "white"), (4, "black")):
        window.click(f"#{side} .press")
        window.until(lambda s, v=version: s["version"] == v, say="a move within the limit")
    window.click("#white .press")
    shown = window.until(lambda s: s["banner"], 2, "a word about the limit")
    assert "Too fast" in shown["banner"] and shown["connection"] == "connected"
    time.sleep(2.2)
    window.click("#white .press")
    window.until(lambda s: s["version"] == 5, say="a move after the cool-down")
