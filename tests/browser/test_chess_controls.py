"""The chess clock with each of the eight time controls."""

import pytest
from window import active_ms, api, command, page, state

CHOOSE = """const c = document.getElementById('control');
c.value = arguments[0]; c.dispatchEvent(new Event('change', { bubbles: true }));"""
# What the form makes of its own first values.
CONTROLS = {
    "fischer": None,
    "delay": {"type": "delay", "delay_ms": 5000},
    "bronstein": {"type": "bronstein", "delay_ms": 5000},
    "byoyomi": {"type": "byoyomi", "periods": 3, "period_ms": 30_000},
    "canadian": {"type": "canadian", "moves": 10, "period_ms": 60_000},
    "hourglass": {"type": "hourglass"},
    "per_move": {"type": "per_move"},
    "stages": {"type": "stages", "stages": [{"moves": 40, "add_ms": 900_000, "increment_ms": 0}, {"add_ms": 0, "increment_ms": 5000}]},
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_game_with_the_control(stack, windows, name):
    one = windows(page(stack.base_url), size=(390, 844), phone=True)
    one.until(lambda s: s["view"] == "setup", say="the form")
    one.js(CHOOSE, name)
    assert one.find("#control-hint").text
    assert one.js("return document.documentElement.scrollWidth") <= 390
    one.click("label:has([value='180+2'])")
    one.click("#create")
    one.until(lambda s: s["status"] == "pending", say="the game")
    truth = state(stack.base_url, one.session_id)
    assert truth.get("time_control") == CONTROLS[name]
    assert truth["increment_ms"] == (2000 if name == "fischer" else 0)
    two = windows(one.driver.current_url)
    two.until_live()
    one.click("#black .press")
    for press in ("white", "black"):
        for window in (one, two):
            window.until(lambda s: s[press]["active"], say="the turn")
        agree(one, two, stack.base_url)
        one.click(f"#{press} .press")
    one.until(lambda s: s["version"] == 4, say="both moves")
    one.click("#primary")
    for window in (one, two):
        window.until(lambda s: s["status"] == "paused", say="the pause")
    a, b, truth = one.read(), two.read(), state(stack.base_url, one.session_id)
    shown = [p["time_remaining_ms"] for p in truth["participants"]]
    assert [a["white"]["ms"], a["black"]["ms"]] == shown == [b["white"]["ms"], b["black"]["ms"]]
    one.click("#reset")
    one.click("#reset-yes")
    one.until(lambda s: s["status"] == "pending" and s["version"] == 1, 10, "the same game again")
    assert state(stack.base_url, one.session_id).get("time_control") == CONTROLS[name]


def agree(one, two, base_url):
    """Both windows show what lies between two reads of the server, up to what they admit."""
    session_id = one.session_id
    for window in (one, two):
        window.until(lambda s: s["bound"] is not None and s["bound"] < 100, say="a measured clock")
        before = state(base_url, session_id)
        shown = window.read()
        after = state(base_url, session_id)
        side = next(shown[name] for name in ("white", "black") if shown[name]["active"])
        assert active_ms(after) - shown["bound"] <= side["ms"] <= active_ms(before) + shown["bound"], (before, side, after)


def test_byoyomi_goes_on_from_period_to_period(stack, windows):
    window = windows(page(stack.base_url))
    window.until(lambda s: s["view"] == "setup", say="the form")
    window.js(CHOOSE, "byoyomi")
    window.js("document.querySelector('[name=period_ms]').value = '2'; document.querySelector('[name=preset]:checked').value = '1+0'")
    window.click("#create")
    window.until(lambda s: s["status"] == "pending", say="the game")
    window.until_live()
    command(stack.base_url, window.session_id, "start")
    window.until(lambda s: s["status"] == "running", say="the start")
    assert "3 periods" in window.find("#white .moves").text
    for left in ("2 periods", "1 period"):
        window.until(lambda s: left in window.find("#white .moves").text, 5, left)
        assert not window.read()["white"]["over"]
    window.until(lambda s: s["white"]["over"], 5, "the flag")
    assert state(stack.base_url, window.session_id)["participants"][0]["periods_left"] == 0
    assert api(stack.base_url, "DELETE", f"/v1/sessions/{window.session_id}")[0] == 204
