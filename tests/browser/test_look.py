"""What is seen: titles, hints, and that nothing covers anything."""

import uuid

import pytest
from selenium.webdriver.common.keys import Keys
from window import api, command, game_body, new_game, page

TITLE = "return document.title"
CONTRAST = """
const light = (rgb) => {
  const c = rgb.match(/[0-9.]+/g).slice(0, 3).map((x) => x / 255)
    .map((x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
};
const king = getComputedStyle(document.querySelector('#white .king'));
const [a, b] = [light(king.borderTopColor), light('rgb(247, 239, 221)')].sort((x, y) => x - y);
return /rgba/.test(king.borderTopColor) ? 1 : (b + 0.05) / (a + 0.05);"""
OVERLAPS = """
const box = (e) => e.getBoundingClientRect();
const b = box(document.getElementById('banner'));
return [...document.querySelectorAll('.side, .controls > *, .status')].filter((e) => {
  const r = box(e);
  return r.width && r.left < b.right && b.left < r.right && r.top < b.bottom && b.top < r.bottom;
}).map((e) => e.id || e.className);"""
CLIPPED = """return [...document.querySelectorAll('#game .time, .controls > *, .name, .moves, .hint, .flag')]
  .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML)"""


def fresh(stack, windows, bank_ms=60_000, **options):
    session_id = new_game(stack.base_url, bank_ms)
    window = windows(page(stack.base_url, session_id), **options)
    window.until_live()
    return window, session_id


def test_the_title_follows_the_state_at_once(stack, windows):
    window, session_id = fresh(stack, windows)
    assert window.js(TITLE) == "Ready · Chess clock"
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["version"] == 2)
    assert "White" in window.js(TITLE)
    command(stack.base_url, session_id, "switch")
    window.until(lambda s: s["version"] == 3)
    assert window.js(TITLE) == "1:00 Black · Chess clock"
    command(stack.base_url, session_id, "pause")
    window.until(lambda s: s["version"] == 4)
    assert window.js(TITLE).startswith("Paused ") and "Black" in window.js(TITLE)
    window.click("#reset")
    window.click("#reset-yes")
    window.until(lambda s: s["status"] == "pending")
    assert window.js(TITLE) == "Ready · Chess clock"


def test_who_is_out_of_time_reads_that_play_goes_on(stack, windows):
    window, session_id = fresh(stack, windows, 1000, size=(320, 568), phone=True)
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["white"]["over"], 4, "the flag")
    assert "Time is up. Play may go on." in window.find("#white .flag").text
    assert window.js(CLIPPED) == []
    command(stack.base_url, session_id, "switch")
    window.until(lambda s: s["black"]["active"])
    assert "Out of time" in window.find("#white .flag").text


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 568), (844, 390)])
def test_a_banner_covers_nothing(stack, windows, size):
    window, _ = fresh(stack, windows, size=size, phone=size[0] < 1000)
    window.js(
        """const b = document.getElementById('banner'); b.hidden = false; b.parentElement.classList.add('has-banner');
        b.textContent = 'The server cannot reach its store. Trying again… Your press is kept.'"""
    )
    assert window.js("return document.getElementById('banner').getBoundingClientRect().height") > 20
    assert window.js(OVERLAPS) == []
    assert window.js(CLIPPED) == []
    assert window.js("return document.documentElement.scrollWidth") <= size[0]


def test_the_white_piece_is_seen_on_the_lit_side(stack, windows):
    window, session_id = fresh(stack, windows)
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["white"]["active"])
    assert window.js(CONTRAST) >= 3


def test_what_is_offered_makes_sense(stack, windows):
    window, session_id = fresh(stack, windows)
    assert window.find("#black .hint").text == "Click or tap to start"
    assert not window.find("#reset").is_enabled(), "there is nothing to start over"
    window.key("t")
    assert not window.js("return document.getElementById('game').classList.contains('table')"), "no such button here"
    command(stack.base_url, session_id, "start")
    window.until(lambda s: s["version"] == 2)
    assert window.find("#reset").is_enabled()
    phone = windows(page(stack.base_url, session_id), size=(390, 844), phone=True)
    phone.until_live()
    assert phone.find("#white .hint").text == "Tap when you have moved"
    phone.driver.switch_to.active_element.send_keys("t" + Keys.NULL)
    assert phone.js("return document.getElementById('game').classList.contains('table')")


def test_the_offers_fit_a_small_phone(stack, windows):
    window = windows(page(stack.base_url), size=(320, 568), phone=True)
    heights = window.js("return [...document.querySelectorAll('.presets span')].map((e) => e.offsetHeight)")
    assert len(set(heights)) == 1, f"a label of these wraps: {heights}"
    assert window.js("return document.documentElement.scrollWidth") <= 320


def test_a_session_that_is_no_game_of_this_page_is_shown_and_left_alone(stack, windows):
    body = game_body(str(uuid.uuid4()), 60_000)
    body["participants"].append({"participant_id": str(uuid.uuid4()), "participant_index": 2, "total_time_ms": 60_000})
    assert api(stack.base_url, "POST", "/v1/sessions", body)[0] == 201
    window = windows(page(stack.base_url, body["session_id"]))
    window.until_live()
    command(stack.base_url, body["session_id"], "start")
    window.until(lambda s: s["version"] == 2 and s["white"]["active"])
    assert not window.find("#reset").is_enabled(), "it could not be made again as it was"
    window.key("r")
    assert not window.find("#reset-dialog").is_displayed()
