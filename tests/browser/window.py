"""One browser window with the chess clock in it, as a test sees it."""

import json
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import uuid

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from stack import SLOW

FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-default-apps
--no-default-browser-check --no-proxy-server""".split()

# Date lies by `shift` ms; performance.now() does not.
SHIFT_DATE = """(() => {
  const Real = Date, shift = %d;
  globalThis.Date = new Proxy(Real, {
    construct: (_, args) => args.length ? new Real(...args) : new Real(Real.now() + shift),
    apply: () => new Real(Real.now() + shift).toString(),
    get: (target, name) => name === 'now' ? () => Real.now() + shift : target[name],
  });
})()"""

READ = """const s = chessClock.watch?.state;
const el = (id) => document.getElementById(id);
const side = (name) => ({
  ms: chessClock.remaining(name),
  text: el(name).querySelector('.time').textContent,
  active: el(name).classList.contains('active'),
  over: !el(name).querySelector('.flag').hidden,
});
return {
  view: document.body.dataset.view,
  status: s?.status, epoch: s?.epoch, version: s?.version,
  shown_version: el('version').textContent,
  connection: el('connection').dataset.state,
  banner: el('banner').hidden ? null : el('banner').textContent,
  error: el('clock-error').textContent,
  white: side('white'), black: side('black'),
};"""


class Window:
    """A browser of its own. It is started once and lent to one test after the other: see lend()."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sk-chromium-")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS + [f"--user-data-dir={self.profile}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_script_timeout(10 * SLOW)
        self.shift = None
        self.may_complain = False

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def lend(self, size=(1280, 800), phone=False, date_shift_ms=0, may_complain=False, scheme="dark"):
        """Make it as good as new. size: of the page; phone: with touch; date_shift_ms: what its
        Date adds; may_complain: errors in its console are expected; scheme: dark or light."""
        self.may_complain = may_complain
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=phone)
        scale = 2 if phone else 1
        self.cdp("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=scale, mobile=phone)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if date_shift_ms:
            source = SHIFT_DATE % date_shift_ms
            self.shift = self.cdp("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
        return self

    def give_back(self):
        if self.shift:
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=self.shift)
            self.shift = None
        self.driver.get("about:blank")
        self.driver.get_log("browser")

    def open(self, url):
        self.driver.get(url)

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def complaints(self):
        """Errors in the console so far: exceptions, what the content policy refused, failed loads."""
        log = self.driver.get_log("browser")
        return [] if self.may_complain else [e["message"] for e in log if e["level"] == "SEVERE"]

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        self.find(selector).click()

    def key(self, key):
        """A key to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(key)

    @property
    def session_id(self):
        return self.driver.current_url.partition("#")[2]

    def read(self):
        """What the window shows and believes now; a page that is still loading is waited for."""
        end = time.monotonic() + 10 * SLOW
        while not self.js("return typeof chessClock !== 'undefined'"):
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.02)
        shown = self.js(READ)
        bound = re.fullmatch(r"± (\d+) ms", shown["error"])
        shown["bound"] = int(bound[1]) if bound else None
        return shown

    def until(self, what, seconds=5, say="it"):
        """Read until what(read) is true; returns that read."""
        end = time.monotonic() + seconds * SLOW
        while True:
            shown = self.read()
            if what(shown):
                return shown
            assert time.monotonic() < end, f"waited in vain for {say}: {shown}"
            time.sleep(0.02)

    def until_live(self, seconds=5):
        """Until the game is shown, connected, and the clock is measured by the whole burst."""
        self.until(lambda s: s["view"] == "game" and s["connection"] == "connected", seconds, "a live game")
        time.sleep(1.2)
        return self.until(lambda s: s["bound"] is not None, seconds, "a measured clock")


def api(base_url, method, path, body=None):
    """One REST call: (status, parsed body or None)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base_url + path, data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10 * SLOW) as answer:
            text, status = answer.read(), answer.status
    except urllib.error.HTTPError as refused:
        text, status = refused.read(), refused.code
    return status, json.loads(text) if text else None


def state(base_url, session_id):
    status, answer = api(base_url, "GET", f"/v1/sessions/{session_id}")
    assert status == 200, answer
    return answer["data"]


def game_body(session_id, bank_ms, increment_ms=0):
    return {
        "session_id": session_id,
        "sync_mode": "per_participant",
        "total_time_ms": 2 * bank_ms,
        "increment_ms": increment_ms,
        "participants": [
            {"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": bank_ms} for k in (0, 1)
        ],
    }


def new_game(base_url, bank_ms, increment_ms=0):
    """A game that waits for its start; returns its id."""
    session_id = str(uuid.uuid4())
    status, answer = api(base_url, "POST", "/v1/sessions", game_body(session_id, bank_ms, increment_ms))
    assert status == 201, answer
    return session_id


def command(base_url, session_id, verb, body=None):
    status, answer = api(base_url, "POST", f"/v1/sessions/{session_id}/{verb}", body or {})
    assert status == 200, answer
    return answer["data"]


def page(base_url, session_id=""):
    return f"{base_url}/demo/chess.html" + (f"#{session_id}" if session_id else "")


def active_ms(session):
    """The remaining time of the active participant at the state's server_time."""
    return next(p["time_remaining_ms"] for p in session["participants"] if p["is_active"])


def text_ms(text):
    """A shown time as (ms, how much of it rounding up may have added)."""
    if "." in text:
        return float(text) * 1000, 100
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total * 1000, 1000
