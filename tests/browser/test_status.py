"""/status: the operator sees at a glance what goes on, and what does not work."""
import requests
from stack import SLOW, until
from watch import body

VALUE = """const chart = [...document.querySelectorAll('.chart')].find((c) => c.querySelector('h2').textContent === arguments[0]);
return chart?.querySelector('.value b')?.textContent ?? null"""
LAMP = """const lamp = [...document.querySelectorAll('#lamps li')].find((l) => l.querySelector('b').textContent === arguments[0]);
return lamp?.dataset.state ?? null"""
TOO_WIDE = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


def work(stack):
    sent = body(bank=600_000)
    requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10 * SLOW)
    requests.get(f"{stack.base_url}/v1/sessions/{sent['session_id']}", timeout=10 * SLOW)


def test_figures_move_and_fit_on_every_screen(stack, windows):
    window = windows(stack.base_url + "/status")

    def moved():
        work(stack)
        return all(window.js(VALUE, title) not in (None, "–") for title in ("Requests", "Time of a request", "Sessions", "Memory of Redis"))

    until(moved, 20, every=0.5, say="figures")
    assert window.js("return document.querySelectorAll('.chart path.line[d^=M]').length") >= 4
    assert window.js(LAMP, "Redis") == "good"
    assert window.js(LAMP, "PostgreSQL") == "off"
    assert not window.js(TOO_WIDE)
    phone = windows(stack.base_url + "/status", size=(390, 844), phone=True, scheme="light")
    until(lambda: phone.js(LAMP, "Redis") == "good", 20, say="the lamp")
    assert not phone.js(TOO_WIDE)


def test_a_lost_redis_is_seen_and_its_return_too(make_stack, windows):
    stack = make_stack()
    window = windows(stack.base_url + "/status")
    until(lambda: window.js(LAMP, "Redis") == "good", 20, say="the lamp")
    stack.hold("redis")
    stack.kill("redis")
    until(lambda: window.js(LAMP, "Redis") == "bad", 20, say="the loss")
    stack.release("redis")
    until(lambda: window.js(LAMP, "Redis") == "good", 20, say="the return")


def test_a_server_that_is_gone_makes_the_figures_old(make_stack, windows):
    stack = make_stack()
    window = windows(stack.base_url + "/status", may_complain=True)
    until(lambda: window.js(LAMP, "Redis") == "good", 20, say="the lamp")
    stack.hold("nginx")
    stack.kill("nginx")
    until(lambda: window.js("return document.body.classList.contains('stale')"), 20, say="the word")


def test_strangers_find_no_page(make_stack):
    stack = make_stack(METRICS_ALLOW="192.0.2.1")
    for path in ("/status", "/metrics"):
        answer = requests.get(stack.base_url + path, timeout=10 * SLOW)
        assert answer.status_code == 404 and answer.json()["error"]["code"] == "NOT_FOUND", path
