"""The API page: the viewer that was built, and the plain page that is there where it could not be."""

import json
import time
import urllib.request

from stack import SLOW


def until(window, script, wanted, seconds=15):
    end = time.monotonic() + seconds * SLOW
    while (seen := window.js(script)) != wanted:
        assert time.monotonic() < end, f"waited in vain for {wanted}, saw {seen}"
        time.sleep(0.05)


def description(stack):
    with urllib.request.urlopen(stack.base_url + "/api-docs.json", timeout=10) as answer:
        return json.load(answer)


def operations(stack):
    return sum(len(item) for item in description(stack)["paths"].values())


def has_viewer(stack):
    with urllib.request.urlopen(stack.base_url + "/api-docs/", timeout=10) as answer:
        return b"viewer.js" in answer.read()


def test_the_page_shows_every_operation_and_can_try_one(stack, windows):
    window = windows(stack.base_url + "/api-docs/")
    assert window.driver.title == "SyncKairos API Documentation"
    if not has_viewer(stack):
        until(window, "return document.querySelectorAll('main h2 ~ details .method').length", operations(stack))
        return
    until(window, "return document.querySelectorAll('.opblock').length", operations(stack))
    assert not window.js("return document.querySelector('.topbar')")
    window.js("document.querySelector('.opblock-summary-control').click()")
    until(window, "return document.querySelectorAll('.try-out__btn').length", 1)
    window.js("document.querySelector('.try-out__btn').click()")
    until(window, "return document.querySelectorAll('button.execute').length", 1)
    window.js("document.querySelector('button.execute').click()")
    until(window, "return document.querySelector('.live-responses-table tbody .response-col_status')?.textContent.trim()", "201")


def test_the_plain_page_shows_every_operation_and_schema(stack, windows):
    doc = description(stack)
    window = windows(stack.base_url + "/api-docs/plain.html#schema-SyncState")
    until(window, "return document.querySelectorAll('.method').length", operations(stack))
    shown = window.js("return [...document.querySelectorAll('details[open]')].map((d) => d.id)")
    assert shown == ["schema-SyncState"], "the address names what is open"
    text = window.js("for (const d of document.querySelectorAll('details')) d.open = true; return document.body.innerText")
    for path, item in doc["paths"].items():
        assert path in text
        for operation in item.values():
            assert operation["summary"] in text
    for name, schema in doc["components"]["schemas"].items():
        assert name in text
        assert all(member in text for member in schema.get("properties", {}))
    assert "undefined" not in text and "[object" not in text
    broken = "return [...document.querySelectorAll('main a[href^=\"#\"]')].filter((a) => !document.getElementById(a.hash.slice(1))).length"
    assert window.js(broken) == 0


def test_the_plain_page_fits_a_phone(stack, windows):
    window = windows(stack.base_url + "/api-docs/plain.html", size=(360, 740), phone=True)
    until(window, "return document.querySelectorAll('.method').length", operations(stack))
    window.js("for (const d of document.querySelectorAll('details')) d.open = true")
    assert window.js("return document.documentElement.scrollWidth") <= 360


def test_the_plain_page_says_when_it_has_nothing_to_show(stack, windows):
    window = windows("about:blank", may_complain=True)
    window.driver.execute_cdp_cmd("Network.enable", {})
    window.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*api-docs.json"]})
    window.open(stack.base_url + "/api-docs/plain.html")
    until(window, "return document.querySelector('[role=alert]')?.textContent.startsWith('The description cannot be shown')", True)
