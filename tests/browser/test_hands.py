"""The clock by keyboard and by touch, on a desk and on a phone."""

import time

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.by import By
from window import command, new_game, page, state


def focus(window, selector):
    window.js("document.querySelector(arguments[0]).focus()", selector)


def test_a_game_by_keyboard_alone(stack, windows):
    window = windows(page(stack.base_url))
    for _ in range(3):
        window.key(Keys.TAB)
        if window.js("return document.activeElement.name") == "preset":
            break
    window.key(Keys.ARROW_RIGHT)
    assert window.js("return document.activeElement.value") == "600+0"
    window.key(Keys.ENTER)
    window.until(lambda s: s["status"] == "pending", say="the game")
    session_id = window.session_id
    window.until_live()

    window.key(" ")
    window.until(lambda s: s["white"]["active"], say="the start")
    window.key(" ")
    window.until(lambda s: s["black"]["active"], say="white's move")
    window.key(Keys.ENTER)
    window.until(lambda s: s["white"]["active"], say="black's move")
    window.key("p")
    window.until(lambda s: s["status"] == "paused", say="the pause")
    window.key(" ")
    time.sleep(0.4)
    assert state(stack.base_url, session_id)["version"] == 5, "nobody moves in a pause"
    window.key("p")
    window.until(lambda s: s["status"] == "running", say="the end of the pause")

    focus(window, "#primary")
    window.key(" ")
    window.until(lambda s: s["status"] == "paused", say="Space on a button to be that button's")
    window.key(Keys.ENTER)
    window.until(lambda s: s["status"] == "running", say="Enter likewise")
    focus(window, "#black .press")
    window.key(Keys.ENTER)
    window.until(lambda s: s["black"]["active"], say="Enter on either half")
    time.sleep(0.4)
    assert state(stack.base_url, session_id)["version"] == 9, "one key, one change"

    window.key("r")
    assert window.find("#reset-dialog").is_displayed()
    window.key(Keys.ESCAPE)
    assert not window.find("#reset-dialog").is_displayed()
    window.key("r")
    focus(window, "#reset-yes")
    window.key(Keys.ENTER)
    window.until(lambda s: s["status"] == "pending", say="a fresh game")
    window.key("s")
    assert window.find("#link").get_attribute("value").endswith(session_id)
    window.key(Keys.ESCAPE)


def test_what_a_screen_reader_is_told(stack, windows):
    session_id = new_game(stack.base_url, 1500)
    window = windows(page(stack.base_url, session_id))
    window.until_live()
    said = "return document.getElementById('live').textContent"
    window.key(" ")
    window.until(lambda s: s["white"]["active"])
    assert window.js(said) == "White to move"
    window.key(" ")
    window.until(lambda s: s["black"]["active"])
    assert window.js(said) == "Black to move"
    window.until(lambda s: s["black"]["over"], 4, "black's flag")
    assert window.js(said) == "Black is out of time"
    names = window.js("return [...document.querySelectorAll('#game button')].map((b) => b.ariaLabel || b.textContent)")
    assert all(names) and len(set(names)) == len(names), names


def test_a_phone_on_the_table(stack, windows):
    session_id = new_game(stack.base_url, 300_000)
    window = windows(page(stack.base_url, session_id), size=(390, 844), phone=True)
    window.until_live()
    box = "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]"
    boxes = {s: window.js(box, s) for s in ("#white", "#black", "#primary", "#reset", "#share", "#flip", "#table", "#new")}
    for name, (x, y, right, bottom) in boxes.items():
        assert x >= 0 and y >= 0 and right <= 390 and bottom <= 844, (name, boxes[name])
        assert bottom - y >= 44 and right - x >= 44, f"{name} is too small for a finger"
    assert boxes["#black"][3] < boxes["#white"][1], "white is below, near the hand"
    assert boxes["#white"][3] - boxes["#white"][1] > 300, "big enough to hit without looking"
    assert window.js("return document.documentElement.scrollWidth") <= 390
    clipped = """return [...document.querySelectorAll('#game .time, .controls > *')]
        .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML)"""
    assert window.js(clipped) == []

    window.click("#black .press")
    window.until(lambda s: s["white"]["active"], say="the start by a tap")
    window.click("#white .press")
    window.until(lambda s: s["black"]["active"], say="a move by a tap")
    window.click("#flip")
    assert window.js(box, "#white")[1] < window.js(box, "#black")[1]
    window.click("#table")
    assert window.js("return getComputedStyle(document.querySelector('#white')).rotate") == "180deg"
    assert window.js("return getComputedStyle(document.querySelector('#black')).rotate") == "none"
    assert state(stack.base_url, session_id)["version"] == 3


def test_a_finger_that_stays_is_one_press(stack, windows):
    session_id = new_game(stack.base_url, 60_000)
    window = windows(page(stack.base_url, session_id))
    window.until_live()
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["white"]["active"])
    white = window.find("#white .press")
    ActionChains(window.driver).click_and_hold(white).perform()
    window.until(lambda s: s["black"]["active"], say="the press to count when it comes down")
    command(stack.base_url, session_id, "switch")
    window.until(lambda s: s["white"]["active"], say="the other one's move")
    ActionChains(window.driver).release(white).perform()
    time.sleep(0.4)
    assert state(stack.base_url, session_id)["version"] == 4, "letting go is no press"
    window.js("document.querySelector('#white .press').click()")  # as a screen reader does
    window.until(lambda s: s["black"]["active"], say="a click without a pointer")


def test_the_next_press_counts_though_the_last_is_not_answered(stack, windows):
    session_id = new_game(stack.base_url, 60_000)
    window = windows(page(stack.base_url, session_id))
    window.until_live()
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["white"]["active"])
    window.js(
        """const real = globalThis.fetch;
        globalThis.fetch = async (...args) => {
          const answer = await real(...args);
          await new Promise((done) => setTimeout(done, 1500));
          return answer;
        }"""
    )
    window.click("#white .press")
    window.click("#white .press")  # impatience
    window.until(lambda s: s["black"]["active"], 1, "the push before the answer")
    window.click("#black .press")
    window.until(lambda s: s["white"]["active"], 4, "the second move")
    time.sleep(2)
    truth = state(stack.base_url, session_id)
    assert [p["cycle_count"] for p in truth["participants"]] == [1, 1]


def test_a_time_of_ones_own(stack, windows):
    window = windows(page(stack.base_url))
    window.click("label:has([value=custom])")
    for name, value in (("minutes", "0"), ("seconds", "0"), ("increment", "3")):
        field = window.find(f"#{name}")
        field.clear()
        field.send_keys(value)
    window.click("#create")
    assert "Between 1 second" in window.find("#setup-error").text
    window.find("#seconds").send_keys(Keys.BACKSPACE, "45")
    window.click("#create")
    window.until(lambda s: s["status"] == "pending", say="the game")
    truth = state(stack.base_url, window.session_id)
    assert [p["total_time_ms"] for p in truth["participants"]] == [45_000, 45_000]
    assert truth["increment_ms"] == 3000
