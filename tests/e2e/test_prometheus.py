"""A real Prometheus watches a running stack: every panel of the dashboard has data, every alert rule is accepted and can fire."""
import json
import pathlib
import subprocess

import pytest
import requests
import yaml

from stack import ROOT, SLOW, free_port, until
from watch import body, watch

RULES = ROOT / "etc/prometheus/alerts.yml"
DASHBOARD = ROOT / "etc/grafana/synckairos.json"


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_every_alert_fires_on_what_it_is_for():
    ran = promtool("test", "rules", ROOT / "tests/prometheus/alerts.test.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    names = {rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
    tested = {test["name"].split()[0] for test in yaml.safe_load((ROOT / "tests/prometheus/alerts.test.yml").read_text())["tests"][1:]}
    assert tested == names


def test_configuration_is_valid():
    ran = promtool("check", "config", ROOT / "etc/prometheus/prometheus.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Prometheus:
    """The configuration that is shipped, asking faster and elsewhere."""

    def __init__(self, stack, folder):
        conf = yaml.safe_load((ROOT / "etc/prometheus/prometheus.yml").read_text())
        conf["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        conf["rule_files"] = [str(RULES)]
        conf["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{stack.metrics_port}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(conf))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.url[7:]}", "--log.level=warn"])

    def __enter__(self):
        until(lambda: self.ask("up") or None, 30, say="the first scrape")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def ask(self, query):
        try:
            answer = requests.get(self.url + "/api/v1/query", params={"query": query}, timeout=10 * SLOW).json()
        except requests.RequestException:
            return []
        assert answer["status"] == "success", (query, answer)
        return answer["data"]["result"]


@pytest.fixture
def prometheus(make_stack, tmp_path):
    stack = make_stack(POSTGRES="on", RATE_LIMIT_ENABLED="true", RATE_LIMIT_SWITCH="1000/1s", RATE_LIMIT_GENERAL="100000/60s", RATE_LIMIT_CREATE="1000/60s")
    with Prometheus(stack, pathlib.Path(tmp_path)) as running:
        yield stack, running


def queries():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def traffic(stack):
    """A little of everything that is counted."""
    http, sent = requests.Session(), body(bank=600_000)
    http.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10 * SLOW)
    one = f"{stack.base_url}/v1/sessions/{sent['session_id']}"
    with watch(stack, sent["session_id"]) as watcher:
        until(lambda: len(watcher.messages) > 1, say="the state")
        for call in ("start", "switch", "switch", "pause"):
            http.post(f"{one}/{call}", timeout=10 * SLOW)
        http.get(one, timeout=10 * SLOW)
    short = body(bank=1000)
    http.post(f"{stack.base_url}/v1/sessions", json=short, timeout=10 * SLOW)
    http.post(f"{stack.base_url}/v1/sessions/{short['session_id']}/start", timeout=10 * SLOW)


def test_every_panel_of_the_dashboard_has_data(prometheus):
    stack, running = prometheus
    assert len(queries()) > 30

    def empty():
        traffic(stack)
        asked = {(title, expr): running.ask(expr.replace("$__rate_interval", "15s")) for title, expr in queries()}
        return [title for (title, _), result in asked.items() if not result or result[0]["value"][1] == "NaN"]

    until(lambda: not empty(), 60, every=1, say=lambda: f"data for {empty()}")


def test_alerts_follow_a_loss_of_redis(prometheus):
    stack, running = prometheus
    assert not running.ask('ALERTS{alertname="SyncKairosRedisDown"}')
    stack.hold("redis")
    stack.kill("redis")
    until(lambda: running.ask('ALERTS{alertname="SyncKairosRedisDown",alertstate="pending"}'), 20, say="the alert")
    stack.release("redis")
    until(lambda: running.ask("synckairos_redis_up == 1") and not running.ask('ALERTS{alertname="SyncKairosRedisDown"}'), 30, say="its end")
