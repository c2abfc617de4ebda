"""A bank runs out on screen by itself."""

import time
from datetime import datetime

from stack import SLOW
from window import command, new_game, page, state

# Notes the server time of the first frame that shows 0.0 for white.
WITNESS = """const time = document.querySelector('#white .time');
globalThis.witness = null;
new MutationObserver(() => {
  if (time.textContent === '0.0') witness ??= { at: chessClock.client.serverNow(), error: chessClock.client.clockError() };
}).observe(time, { childList: true, characterData: true, subtree: true });"""


def test_a_bank_of_one_second_expires_unattended_in_both_windows(stack, windows):
    session_id = new_game(stack.base_url, 1000)
    both = [windows(page(stack.base_url, session_id)) for _ in range(2)]
    for window in both:
        window.until_live()
        window.js(WITNESS)
    started = command(stack.base_url, session_id, "start")
    deadline = datetime.fromisoformat(started["deadline_at"].replace("Z", "+00:00")).timestamp() * 1000
    for window in both:
        # Version 3 is the expiry that the timekeeper recorded; nobody has asked for anything.
        shown = window.until(lambda s: s["version"] == 3, 4, "the expiry to be pushed")
        assert shown["white"]["over"] and shown["white"]["text"] == "0.0" and shown["white"]["ms"] == 0
        assert not shown["black"]["over"] and shown["black"]["ms"] == 1000
        assert shown["status"] == "running" and shown["white"]["active"], "one who is out of time may still move"
        seen = window.js("return witness")
        late = seen["at"] - deadline
        assert -seen["error"] - 1 <= late <= 250 * SLOW + seen["error"], f"0.0 was shown {late} ms after the deadline"
    truth = state(stack.base_url, session_id)
    assert truth["version"] == 3 and truth["participants"][0]["has_expired"]


def test_zero_is_shown_without_any_word_from_the_server(stack, windows):
    session_id = new_game(stack.base_url, 2000)
    window = windows(page(stack.base_url, session_id))
    window.until_live()
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["version"] == 2)
    window.js("chessClock.watch.close()")  # from here on it hears nothing
    shown = window.until(lambda s: s["white"]["over"], 4, "the flag")
    assert shown["version"] == 2 and shown["white"]["text"] == "0.0"


def test_tenths_below_twenty_seconds(stack, windows):
    session_id = new_game(stack.base_url, 21_000)
    window = windows(page(stack.base_url, session_id))
    window.until_live()
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["white"]["active"])
    assert window.read()["white"]["text"] in ("0:21", "0:20")
    shown = window.until(lambda s: "." in s["white"]["text"], 3, "tenths")
    assert 19_000 < shown["white"]["ms"] <= 20_000, shown
    assert shown["black"]["text"] == "0:21"
    time.sleep(0.3)
    assert window.read()["white"]["text"] != shown["white"]["text"], "it runs"
