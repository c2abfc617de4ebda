"""The pages of the gallery: each mode in two windows, on a desk and on a phone, dark and light."""

import re
import time
import uuid

import pytest
from stack import ROOT, SLOW, until
from window import api, state

DEMO = ROOT / "web/demo"
PAGES = sorted(html.stem for html in DEMO.glob("*.html") if html.stem not in ("index", "chess"))
# How a page that counts down (or up) is read: what its clock shows, in ms.
READ = """return {
  view: document.body.dataset.view,
  status: sessionPage.state?.status,
  version: sessionPage.state?.version ?? 0,
  text: document.querySelector('.time')?.textContent,
  clock: sessionPage.watch ? [sessionPage.watch.elapsed(), sessionPage.watch.clock()].find((ms) => !Number.isNaN(ms)) : null,
  at: sessionPage.client.serverNow(),
  bound: sessionPage.client.clockError(),
};"""
BROKEN = """return [...document.querySelectorAll('.who, .what, .turn')]
  .filter((e) => e.offsetParent && e.offsetHeight > 2.5 * parseFloat(getComputedStyle(e).fontSize) * 1.45).map((e) => e.outerHTML)"""
WIDE = "return [document.documentElement.scrollWidth, innerWidth]"
CLIPPED = """return [...document.querySelectorAll('button, .button, .time, .note, h1, h2, .list li, .presets span, legend')]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML)"""
SMALL = """return [...document.querySelectorAll('button, .button, select, input[type=text], .presets label')]
  .filter((e) => e.offsetParent).map((e) => [e.getBoundingClientRect(), e.outerHTML])
  .filter(([box]) => box.width < 44 || box.height < 44).map(([, html]) => html)"""
NAMELESS = """return [...document.querySelectorAll('button, a, input, select')].filter((e) => e.offsetParent)
  .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"""
CONTRAST = """
const parse = (css) => css.match(/[0-9.]+/g).map(Number);
const light = (css) => {
  const c = parse(css).slice(0, 3).map((x) => x / 255).map((x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
};
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const s = getComputedStyle(e);
    if (s.backgroundImage !== 'none') return null;
    if ((parse(s.backgroundColor)[3] ?? 1) > 0) return s.backgroundColor;
  }
};
return [...document.querySelectorAll('body *')].filter((e) => e.offsetParent && !e.disabled && !e.closest('.face, dialog'))
  .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
  .map((e) => [e, behind(e)]).filter(([, back]) => back)
  .map(([e, back]) => [e, ...[light(getComputedStyle(e).color), light(back)].sort((a, b) => b - a)])
  .filter(([, a, b]) => (a + 0.05) / (b + 0.05) < 4.5).map(([e]) => e.outerHTML);"""


def wait(window, what, say, seconds=5):
    end = time.monotonic() + seconds * SLOW
    while True:
        shown = window.js(f"if (typeof sessionPage === 'undefined') return null; {READ}")
        if shown and what(shown):
            return shown
        assert time.monotonic() < end, f"waited in vain for {say}: {shown}"
        time.sleep(0.02)


def url(stack, name):
    return f"{stack.base_url}/demo/{name}.html"


def create(stack, windows, name, **options):
    window = windows(url(stack, name), **options)
    wait(window, lambda s: s["view"] == "setup", "the form")
    window.click("#create")
    wait(window, lambda s: s["view"] == "session" and s["status"] == "pending", "the new session")
    return window


def sound(window):
    until(lambda: window.js("return document.getAnimations().length") == 0, 5, say="colours to settle")
    wide, inner = window.js(WIDE)
    assert wide <= inner, "it scrolls sideways"
    assert window.js(CLIPPED) == []
    assert window.js(BROKEN) == [], "a word is broken into letters"
    assert window.js(NAMELESS) == []
    assert window.js(CONTRAST) == []


def test_the_front_page_leads_to_every_page(stack, windows):
    window = windows(stack.base_url + "/")
    assert window.driver.current_url == stack.base_url + "/demo/"
    offered = window.js("return [...document.querySelectorAll('.links a')].map((a) => a.getAttribute('href'))")
    assert sorted(offered) == sorted([f"{name}.html" for name in PAGES] + ["chess.html"])
    sound(window)


def test_no_page_needs_more_than_its_own_files(stack, windows):
    window = windows(stack.base_url + "/demo/")
    for html in DEMO.glob("*.html"):
        text = html.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text), html
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), f"{html} loads from elsewhere"
        window.open(f"{stack.base_url}/demo/{html.name}")
        assert window.js("return getComputedStyle(document.body).backgroundColor") == "rgb(14, 16, 20)", html
        assert window.driver.find_elements("css selector", "main"), html


@pytest.mark.parametrize("name", PAGES)
def test_two_windows_show_the_same_time(stack, windows, name):
    one = create(stack, windows, name)
    two = windows(one.driver.current_url)
    both = (one, two)
    for window in both:
        wait(window, lambda s: s["view"] == "session" and s["version"] == 1, "the session")
    two.click("#primary")
    for window in both:
        wait(window, lambda s: s["status"] == "running", "the start")
    time.sleep(1.2)
    a, b = (window.js(READ) for window in both)
    # The same clock, read at two instants of the server's: the rest is what the windows admit.
    passed = b["at"] - a["at"]
    apart = abs(abs(a["clock"] - b["clock"]) - passed)
    assert apart <= a["bound"] + b["bound"] + 2, (a, b)
    assert a["bound"] < 1000 and b["bound"] < 1000
    one.click("#primary")
    a, b = (wait(window, lambda s: s["status"] == "paused", "the pause") for window in both)
    assert (a["clock"], a["version"]) == (b["clock"], b["version"]), "a clock that stands is the same to the millisecond"
    assert one.find(".time").text == two.find(".time").text
    truth = state(stack.base_url, one.session_id)
    assert truth["version"] == a["version"] and a["clock"] in clocks(truth)


def clocks(truth):
    of_groups = [group["time_remaining_ms"] for group in truth.get("groups", [])]
    return [truth.get("time_elapsed_ms"), truth.get("time_remaining_ms"), *of_groups]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(stack, windows, name, scheme):
    window = windows(url(stack, name), size=(390, 844), phone=True, scheme=scheme)
    wait(window, lambda s: s["view"] == "setup", "the form")
    sound(window)
    assert window.js(SMALL) == [], "too small for a finger"
    window.click("#create")
    wait(window, lambda s: s["status"] == "pending", "the new session")
    sound(window)
    window.click("#primary")
    wait(window, lambda s: s["status"] == "running", "the start")
    sound(window)
    assert window.js(SMALL) == [], "too small for a finger"
    box = window.js("const b = document.getElementById('primary').getBoundingClientRect(); return [b.top, b.bottom]")
    assert 0 <= box[0] and box[1] <= 844, "the button is within reach without scrolling"


@pytest.mark.parametrize("size", [(320, 568), (844, 390)])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_small_phone_and_one_on_its_side(stack, windows, name, size):
    window = create(stack, windows, name, size=size, phone=True)
    window.js("document.getElementById('primary').click()")
    wait(window, lambda s: s["status"] == "running", "the start")
    sound(window)
    seen = """const [t, c] = ['.time', '.controls'].map((s) => document.querySelector(s).getBoundingClientRect());
        return t.top >= 0 && t.bottom <= c.top && c.bottom <= innerHeight"""
    assert window.js(seen), "the time and the buttons are seen without scrolling"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_steered_and_heard_without_a_mouse(stack, windows, name):
    window = create(stack, windows, name, scheme="light")
    window.js("document.getElementById('primary').focus()")
    window.key(" ")
    wait(window, lambda s: s["status"] == "running", "the start by a key")
    assert window.find("#live").get_attribute("textContent")
    assert window.js("return document.title").count("·") == 1
    window.js("document.getElementById('share').focus()")
    window.key(" ")
    assert window.find("#link").get_attribute("value") == window.driver.current_url
    assert window.find("#open").get_attribute("href") == window.driver.current_url
    sound(window)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_cannot_show(stack, windows, name):
    other = create(stack, windows, "quiz" if name != "quiz" else "exam")
    window = windows(f"{url(stack, name)}#{other.session_id}")
    wait(window, lambda s: s["view"] == "missing", "the refusal")
    assert window.find("#missing-title").text.startswith("This is no ")
    window.open("about:blank")
    window.open(f"{url(stack, name)}#6f1d2c3b-4a5e-4f60-8a7b-000000000000")
    wait(window, lambda s: s["view"] == "missing", "nothing")
    assert window.find("#missing-title").text.startswith("No such ")


def with_audit(make_stack):
    """A stack of its own whose audit trail can be read."""
    stack = make_stack(POSTGRES="on")
    path = f"/v1/sessions/{uuid.uuid4()}/events"
    until(lambda: api(stack.base_url, "GET", path)[0] != 503, 20, 0.1, "the audit trail")
    return stack


def test_a_stopwatch_keeps_its_laps(make_stack, windows):
    stack = with_audit(make_stack)
    one = create(stack, windows, "stopwatch")
    two = windows(one.driver.current_url)
    wait(two, lambda s: s["version"] == 1, "the session")
    one.click("#primary")
    for version in (3, 4):
        wait(one, lambda s: s["version"] == version - 1 and s["status"] == "running", "the one before")
        one.click("#lap")
    rows = "return [...document.querySelectorAll('#laps li')].map((e) => e.textContent)"
    for window in (one, two):
        wait(window, lambda s: s["version"] == 4, "two laps")
    laps = one.js(rows)
    assert len(laps) == 2 and laps == two.js(rows), "both have seen the same laps"
    one.driver.refresh()
    wait(one, lambda s: s["version"] == 4, "the session again")
    assert one.js(rows) == laps, "a reload forgets nothing"
    late = windows(one.driver.current_url)
    wait(late, lambda s: s["version"] == 4, "the session")
    end = time.monotonic() + 8 * SLOW
    while late.js(rows) != laps:
        assert time.monotonic() < end, f"{late.js(rows)} is not what the audit trail knows"
        time.sleep(0.1)
    two.click("#finish")
    wait(one, lambda s: s["status"] == "completed", "the end")
    assert one.js(rows) == laps


def test_a_quiz_skips_the_question_when_its_time_is_over(stack, windows):
    window = windows(url(stack, "quiz"))
    wait(window, lambda s: s["view"] == "setup", "the form")
    # long enough for the answer to the second question to come in time
    window.js("document.querySelector('[name=seconds]').value = '4'; document.querySelector('[name=seconds]').checked = true")
    window.js("document.querySelector('[name=questions]').value = '3'; document.querySelector('[name=questions]').checked = true")
    window.click("#create")
    wait(window, lambda s: s["status"] == "pending", "the quiz")
    window.click("#primary")
    wait(window, lambda s: s["status"] == "running", "the start")
    first = window.find("#question").text
    wait(window, lambda s: s["version"] == 3, "the next question by itself", 10)
    assert window.find("#late").text == "Ada ran out of time: skipped."
    assert window.find("#number").text == "Question 2 of 3" and window.find("#question").text != first
    assert window.find("#turn").text == "Grace answers"
    window.click("#next")
    wait(window, lambda s: s["version"] == 4, "an answer")
    assert window.find("#turn").text == "Alan answers" and window.find("#late").text == ""
    wait(window, lambda s: s["status"] == "completed", "the end", 10)
    assert window.find("#question").text == "That was the quiz."


def test_a_quiz_wants_players(stack, windows):
    window = windows(url(stack, "quiz"))
    wait(window, lambda s: s["view"] == "setup", "the form")
    window.js("document.querySelector('[name=names]').value = ' , '")
    window.click("#create")
    assert "Between one and twenty" in window.find("#setup-error").text


def test_an_exam_ends_on_every_screen_at_once(stack, windows):
    one = windows(url(stack, "exam"))
    wait(one, lambda s: s["view"] == "setup", "the form")
    one.js("const m = document.querySelector('[name=minutes]:checked'); m.value = '0.08'")
    one.click("#create")
    wait(one, lambda s: s["status"] == "pending", "the exam")
    two = windows(one.driver.current_url)
    wait(two, lambda s: s["version"] == 1, "the exam")
    one.click("#primary")
    for window in (one, two):
        wait(window, lambda s: s["status"] == "running", "the start")
        assert window.find("#until").text.startswith("Ends at ")
    for window in (one, two):
        wait(window, lambda s: s["status"] == "expired", "the end", 10)
        assert window.find(".time").text == "0.0" and window.find(".note").text == "Pens down"


def test_an_exam_warns_on_every_screen(stack, windows):
    one = windows(url(stack, "exam"))
    wait(one, lambda s: s["view"] == "setup", "the form")
    one.js("const m = document.querySelector('[name=minutes]:checked'); m.value = '1.02'")
    one.click("#create")
    wait(one, lambda s: s["status"] == "pending", "the exam")
    two = windows(one.driver.current_url)
    wait(two, lambda s: s["version"] == 1, "the exam")
    one.click("#primary")
    for window in (one, two):
        wait(window, lambda s: window.find("#warning").text == "1 minute left", "the warning")


def test_a_team_shares_its_bank(stack, windows):
    one = create(stack, windows, "team")
    two = windows(one.driver.current_url, size=(390, 844), phone=True)
    wait(two, lambda s: s["version"] == 1, "the match")
    one.click("#primary")
    turns = []
    for version in (2, 3, 4, 5):
        wait(two, lambda s: s["version"] == version, "the turn")
        turns.append(two.find("#turn").text)
        two.click("#next")
    assert turns == ["Ada plays for team 1", "Alan plays for team 2", "Grace plays for team 1", "Edsger plays for team 2"]
    wait(two, lambda s: s["version"] == 6, "the last turn")
    two.click("#primary")
    for window in (one, two):
        wait(window, lambda s: s["status"] == "paused", "the pause")
    times = "return [...document.querySelectorAll('.team .time')].map((e) => e.textContent)"
    assert one.js(times) == two.js(times)
    truth = state(stack.base_url, one.session_id)
    assert all(0 < group["time_used_ms"] < 60_000 for group in truth["groups"])


def test_a_team_that_is_out_of_time_has_lost(stack, windows):
    window = windows(url(stack, "team"))
    wait(window, lambda s: s["view"] == "setup", "the form")
    window.js("const m = document.querySelector('[name=minutes]:checked'); m.value = '0.02'")
    window.click("#create")
    wait(window, lambda s: s["status"] == "pending", "the match")
    window.click("#primary")
    wait(window, lambda s: s["status"] == "expired", "the end")
    assert window.find("#turn").text == "Team 2 has won on time"


def test_a_match_wants_two_teams(stack, windows):
    window = windows(url(stack, "team"))
    wait(window, lambda s: s["view"] == "setup", "the form")
    window.js("document.querySelector('[name=second]').value = ' , '")
    window.click("#create")
    assert "Between one and ten" in window.find("#setup-error").text


def test_an_auction_goes_to_the_highest_bid(make_stack, windows):
    stack = with_audit(make_stack)
    one = windows(url(stack, "auction"))
    wait(one, lambda s: s["view"] == "setup", "the form")
    one.js("document.querySelector('[name=seconds]:checked').value = '2'")
    one.click("#create")
    wait(one, lambda s: s["status"] == "pending", "the auction")
    two = windows(one.driver.current_url, size=(390, 844), phone=True)
    wait(two, lambda s: s["version"] == 1, "the auction")
    two.js("const me = document.getElementById('me'); me.selectedIndex = 1; me.dispatchEvent(new Event('change'))")
    one.click("#primary")
    for window in (one, two):
        wait(window, lambda s: s["status"] == "running", "the opening")
        assert window.find("#price").text == "from 100 €"
    one.click("#bid")
    wait(two, lambda s: s["version"] >= 4, "the bid, and more time after it")
    assert two.find("#turn").text == "Ada leads" and two.find("#price").text == "100 €"
    assert not one.find("#bid").is_enabled(), "nobody bids against oneself"
    assert 9000 < state(stack.base_url, one.session_id)["time_remaining_ms"] <= 10_000
    two.click("#bid")
    wait(one, lambda s: s["version"] >= 5, "a higher bid")
    assert one.find("#turn").text == "Grace leads" and one.find("#price").text == "110 €"
    participant = state(stack.base_url, one.session_id)["participants"][1]["participant_id"]
    path = f"/v1/sessions/{one.session_id}/participants/{participant}"
    assert api(stack.base_url, "PATCH", path, {"total_time_ms": 500, "reason": "going, going"})[0] == 200
    for window in (one, two):
        wait(window, lambda s: s["status"] == "expired", "the end")
        assert window.find("#turn").text == "Sold to Grace" and window.find("#price").text == "110 €"
    late = windows(one.driver.current_url)
    wait(late, lambda s: late.find("#turn").text == "Sold to Grace", "what the audit trail knows", 8)


def test_an_auction_without_a_bid(stack, windows):
    window = windows(url(stack, "auction"))
    wait(window, lambda s: s["view"] == "setup", "the form")
    window.js("document.querySelector('[name=seconds]:checked').value = '1'")
    window.click("#create")
    wait(window, lambda s: s["status"] == "pending", "the auction")
    window.click("#primary")
    wait(window, lambda s: s["status"] == "expired", "the end")
    assert window.find("#turn").text == "Nobody has made a bid"


def test_an_exam_is_extended(stack, windows):
    window = create(stack, windows, "exam")
    window.click("#primary")
    wait(window, lambda s: s["status"] == "running", "the start")
    window.click("#more")
    wait(window, lambda s: s["version"] == 3, "the extension")
    assert state(stack.base_url, window.session_id)["allotted_ms"] == 3_660_000
    assert "1:01:00" in window.find("#facts").text
