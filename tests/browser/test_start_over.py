"""Starting a game over must not lose it, whatever comes between."""

import time
import uuid

from selenium.webdriver.support.ui import WebDriverWait
from stack import SLOW
from window import api, command, game_body, new_game, page, state


def reset(window):
    window.click("#reset")
    WebDriverWait(window.driver, 5).until(lambda d: d.find_element("id", "reset-yes").is_displayed())
    window.click("#reset-yes")


def running(stack, windows, n):
    session_id = new_game(stack.base_url, 60_000)
    opened = [windows(page(stack.base_url, session_id), may_complain=True) for _ in range(n)]
    for window in opened:
        window.until_live()
    command(stack.base_url, session_id, "start")
    for window in opened:
        window.until(lambda s: s["version"] == 2)
    return session_id, opened


def use_up(stack):
    """Create games until the limit refuses."""
    for _ in range(10):
        if api(stack.base_url, "POST", "/v1/sessions", game_body(str(uuid.uuid4()), 60_000))[0] == 429:
            return
    raise AssertionError("no limit")


def fresh(shown):
    return shown["status"] == "pending" and shown["banner"] is None and shown["view"] == "game"


def test_the_limit_of_new_games_is_waited_out(make_stack, windows):
    stack = make_stack(RATE_LIMIT_ENABLED=True, RATE_LIMIT_CREATE=f"2/{int(6 * SLOW)}s+{int(6 * SLOW)}s")
    session_id, both = running(stack, windows, 2)
    use_up(stack)
    reset(both[0])
    shown = both[0].until(lambda s: "server lets it in" in (s["banner"] or ""), 3, "what it waits for")
    for window in both:
        shown = window.until(lambda s: "Starting over" in (s["banner"] or ""), 3, "what goes on")
        assert shown["view"] == "game"
        assert window.js("return document.title").startswith("Starting over")
    for window in both:
        shown = window.until(fresh, 15, "the fresh game")
        assert shown["version"] == 1 and shown["white"]["ms"] == shown["black"]["ms"] == 60_000
    assert both[0].js("return sessionStorage.length") == 0


def test_a_reload_in_between_loses_nothing(make_stack, windows):
    stack = make_stack(RATE_LIMIT_ENABLED=True, RATE_LIMIT_CREATE=f"2/{int(6 * SLOW)}s+{int(6 * SLOW)}s")
    session_id, both = running(stack, windows, 2)
    use_up(stack)
    reset(both[0])
    both[0].until(lambda s: "server lets it in" in (s["banner"] or ""), 3, "what it waits for")
    assert api(stack.base_url, "GET", f"/v1/sessions/{session_id}")[0] == 404
    both[0].driver.refresh()
    both[0].until(
        lambda s: s["view"] == "loading" and "Starting over" in both[0].find("#missing-title").text, 3, "a word"
    )
    for window in both:
        window.until(fresh, 15, "the fresh game")
    assert state(stack.base_url, session_id)["version"] == 1


def test_a_plan_of_a_game_that_somebody_made_anew_harms_nothing(stack, windows):
    session_id, (window,) = running(stack, windows, 1)
    epoch = window.read()["epoch"]
    api(stack.base_url, "DELETE", f"/v1/sessions/{session_id}")
    api(stack.base_url, "POST", "/v1/sessions", game_body(session_id, 30_000))
    command(stack.base_url, session_id, "start")
    window.js(
        """const [id, epoch, body] = arguments;
        sessionStorage.setItem(`starting-over:${id}`, JSON.stringify({ id, epoch, body }))""",
        session_id,
        epoch,
        game_body(session_id, 60_000),
    )
    window.driver.refresh()
    window.until(lambda s: s["status"] == "running" and s["white"]["ms"] <= 30_000, 5, "the game of the others")
    time.sleep(1)
    assert state(stack.base_url, session_id)["status"] == "running"
    assert window.read()["banner"] is None and window.js("return sessionStorage.length") == 0


def test_redis_lost_in_between(make_stack, windows):
    stack = make_stack()
    session_id, both = running(stack, windows, 2)
    # Between deletion and creation: the creation is held back until Redis is gone.
    both[0].js(
        """const real = globalThis.fetch;
        const held = new Promise((open) => { globalThis.open_gate = open; });
        chessClock.gate = false;
        globalThis.fetch = async (url, options) => {
          if (options?.method === 'POST' && url.endsWith('/v1/sessions')) { chessClock.gate = true; await held; }
          return real(url, options);
        }"""
    )
    reset(both[0])
    WebDriverWait(both[0].driver, 5).until(lambda d: d.execute_script("return chessClock.gate"))
    time.sleep(1.2)  # AOF is synced every second
    stack.hold("redis")
    pid = stack.kill("redis")
    both[0].js("open_gate()")
    for window in both:
        window.until(lambda s: "Starting over" in (s["banner"] or ""), 3, "what goes on")
    time.sleep(2)
    stack.release("redis")
    stack.wait_restarted("redis", pid)
    for window in both:
        window.until(fresh, 12, "the fresh game")
