"""/metrics: what Prometheus reads is what happened, whoever was killed meanwhile."""
import concurrent.futures
import re
import shutil
import signal
import subprocess
import uuid

import requests

from stack import SLOW, free_port, until
from watch import Watcher, body, watch

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"\\\n]*",?)+)\})? (\d+(?:\.\d+)?)')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class Scrape(dict):
    """{(name, frozenset of label pairs): value}; the text has to be as Prometheus wants it."""

    def __init__(self, base_url):
        super().__init__()
        answer = requests.get(base_url + "/metrics", timeout=10 * SLOW)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text, self.types, family = answer.text, {}, None
        assert self.text.endswith("\n")
        lines = self.text.splitlines()
        for before, line in zip([""] + lines, lines):
            if line.startswith("# HELP "):
                family = line.split()[2]
                assert family not in self.types and len(line.split()) > 4
            elif line.startswith("# TYPE "):
                assert before.startswith(f"# HELP {family} ") and line.split()[2] == family
                self.types[family] = line.split()[3]
            else:
                name, labels, value = SAMPLE.fullmatch(line).groups()
                assert re.fullmatch(family + ("(_bucket|_sum|_count)" if self.types[family] == "histogram" else ""), name)
                key = (name, frozenset(LABEL.findall(labels or "")))
                assert key not in self, f"{line} is there twice"
                self[key] = float(value)

    def value(self, name, **labels):
        return self.get(("synckairos_" + name, frozenset(labels.items())), 0)


def requests_of(scrape, method, route, status):
    return scrape.value("http_requests_total", method=method, route=route, status_code=str(status))


def started(stack, **more):
    sent = body(**more)
    assert requests.post(f"{stack.base_url}/v1/sessions", json=sent, timeout=10 * SLOW).status_code == 201
    assert requests.post(f"{stack.base_url}/v1/sessions/{sent['session_id']}/start", timeout=10 * SLOW).status_code == 200
    return sent["session_id"]


def test_names_and_types_of_the_existing_system(stack):
    scrape = Scrape(stack.base_url)
    assert scrape.types["synckairos_http_requests_total"] == "counter"
    assert scrape.types["synckairos_http_request_duration_ms"] == "histogram"
    assert scrape.types["synckairos_switch_cycle_duration_ms"] == "histogram"
    for gauge in ("active_sessions", "websocket_connections", "db_write_queue_size"):
        assert scrape.types["synckairos_" + gauge] == "gauge"
        assert ("synckairos_" + gauge, frozenset()) in scrape
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=scrape.text, capture_output=True, text=True, check=False)
        # the existing system counts in ms, and so do we
        said = [line for line in (checked.stdout + checked.stderr).splitlines() if not line.endswith("should not contain abbreviated units")]
        assert not said


def test_counts_rise_by_exactly_the_requests_made(stack):
    session = started(stack, bank=86_400_000)
    before = Scrape(stack.base_url)
    one = f"{stack.base_url}/v1/sessions/{session}"
    calls = [("GET", one)] * 60 + [("POST", one + "/switch")] * 30 + [("GET", f"{stack.base_url}/v1/sessions/{uuid.uuid4()}")] * 10
    calls += [("GET", f"{stack.base_url}/v1/nothing/{k}") for k in range(10)] + [("GET", one.replace("/v1/", "/api/"))] * 5
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda call: requests.request(*call, timeout=10 * SLOW).status_code, calls))
    after = Scrape(stack.base_url)
    rise = lambda *which: requests_of(after, *which) - requests_of(before, *which)
    assert statuses.count(200) == 95
    assert rise("GET", "/v1/sessions/:id", 200) == 65
    assert rise("POST", "/v1/sessions/:id/switch", 200) == 30
    assert rise("GET", "/v1/sessions/:id", 404) == 10
    assert rise("GET", "other", 404) == 10
    assert rise("GET", "/metrics", 200) == 1  # the scrape before
    assert after.value("switch_cycle_duration_ms_count") - before.value("switch_cycle_duration_ms_count") == 30
    assert session not in after.text and "nothing" not in after.text


def test_histograms_are_whole(stack):
    started(stack)
    scrape, series = Scrape(stack.base_url), 0
    for (name, labels), count in scrape.items():
        if not name.endswith("_count"):
            continue
        base = name[: -len("_count")]
        buckets = [(float(dict(l)["le"]), v) for (n, l), v in scrape.items()
                   if n == base + "_bucket" and {pair for pair in l if pair[0] != "le"} == set(labels)]
        values = [v for _, v in sorted(buckets)]
        assert values == sorted(values) and len(values) >= 8, name
        assert max(buckets)[0] == float("inf") and values[-1] == count
        assert scrape[(base + "_sum", labels)] >= 0
        series += 1
    assert series >= 4


def test_sessions_that_exist(stack):
    before = Scrape(stack.base_url)
    ids = [started(stack) for _ in range(3)]
    during = Scrape(stack.base_url)
    for session in ids:
        assert requests.delete(f"{stack.base_url}/v1/sessions/{session}", timeout=10 * SLOW).status_code == 204
    after = Scrape(stack.base_url)
    assert during.value("active_sessions") - before.value("active_sessions") == 3
    assert after.value("active_sessions") == before.value("active_sessions")
    assert after.value("db_write_queue_size") - before.value("db_write_queue_size") == 9


def test_a_socket_and_a_clock_that_runs_out(stack):
    session = started(stack, bank=1000)
    before = Scrape(stack.base_url)
    with watch(stack, session) as watcher:
        watcher.wait_for("TIME_EXPIRED")
        assert Scrape(stack.base_url).value("websocket_connections") == before.value("websocket_connections") + 1
        requests.delete(f"{stack.base_url}/v1/sessions/{session}", timeout=10 * SLOW)
        watcher.wait_closed()
    with Watcher(stack.ws_url) as bad:
        bad.wait_closed()
    with watch(stack, started(stack)) as good:
        good.wait_for("STATE_SYNC")

    def told():
        after = Scrape(stack.base_url)
        rise = lambda name, **labels: after.value(name, **labels) - before.value(name, **labels)
        return all(rise("websocket_disconnects_total", reason=reason) == 1 for reason in ("session_deleted", "policy", "client")) and \
            rise("websocket_connections") == 0 and rise("timekeeper_lateness_ms_count") >= 1 and \
            rise("websocket_pushes_total") >= 4 and rise("websocket_events_total") >= 2

    until(told, say="what the broadcasters count")


def test_killed_processes_leave_their_counts(make_stack):
    stack = make_stack()
    session = started(stack)
    for _ in range(20):
        requests.get(f"{stack.base_url}/v1/sessions/{session}", timeout=10 * SLOW)
    before = Scrape(stack.base_url)
    assert requests_of(before, "GET", "/v1/sessions/:id", 200) == 20
    victims = stack.workers()
    for pid in victims:
        stack.kill_pid(pid)
    until(lambda: stack.workers() and not set(stack.workers()) & set(victims), say="new workers")
    stack.wait_ready()
    assert requests_of(Scrape(stack.base_url), "GET", "/v1/sessions/:id", 200) == 20

    watchers = [watch(stack, session) for _ in range(6)]
    for watcher in watchers:
        watcher.wait_for("STATE_SYNC")
    assert Scrape(stack.base_url).value("websocket_connections") == 6
    until(lambda: Scrape(stack.base_url).value("websocket_pushes_total") == 6, say="six pushes")
    names = stack.broadcasters()
    for name in names:
        stack.hold(name)
        stack.kill(name)
    for watcher in watchers:
        watcher.wait_closed()
    until(lambda: Scrape(stack.base_url).value("websocket_connections") == 0, say="no connections")
    assert Scrape(stack.base_url).value("websocket_pushes_total") == 6
    for name in names:
        stack.release(name)
    until(lambda: stack.broadcasters() == names, say="the broadcasters")
    stack.wait_ready()

    def watched():
        try:
            return watch(stack, session)
        except AssertionError:
            return None

    with until(watched, say="a new socket"):
        assert Scrape(stack.base_url).value("websocket_connections") == 1
        stack.wait_restarted("redis", stack.kill("redis"))
        stack.wait_ready()
        until(lambda: Scrape(stack.base_url).value("websocket_resyncs_total") >= 1, say="the lost link")
    requests.get(f"{stack.base_url}/v1/sessions/{session}", timeout=10 * SLOW)
    stack.restart()
    assert requests_of(Scrape(stack.base_url), "GET", "/v1/sessions/:id", 200) == 21


def test_redis_is_away(make_stack):
    stack = make_stack()
    assert Scrape(stack.base_url).value("redis_up") == 1
    stack.hold("redis")
    stack.kill("redis")
    assert requests.get(f"{stack.base_url}/v1/sessions/{uuid.uuid4()}", timeout=10 * SLOW).status_code == 503
    scrape = Scrape(stack.base_url)
    assert ("synckairos_redis_up", frozenset()) in scrape and scrape.value("redis_up") == 0
    assert ("synckairos_active_sessions", frozenset()) not in scrape
    assert scrape.value("store_errors_total", code="STORE_UNAVAILABLE") == 1
    stack.release("redis")
    until(lambda: Scrape(stack.base_url).value("redis_up") == 1, say="Redis")


def test_only_listed_addresses_see_it(make_stack):
    stack = make_stack(METRICS_ALLOW="192.0.2.0/24,2001:db8::/32")
    for headers in ({}, {"X-Forwarded-For": "192.0.2.1"}):
        answer = requests.get(stack.base_url + "/metrics", headers=headers, timeout=10 * SLOW)
        assert answer.status_code == 404 and answer.json()["error"]["code"] == "NOT_FOUND"
    stack.restart(METRICS_ALLOW="127.0.0.0/8")
    assert requests_of(Scrape(stack.base_url), "GET", "/metrics", 404) == 2
    assert requests.get(stack.base_url + "/metrics", headers={"X-Forwarded-For": "127.0.0.1"}, timeout=10 * SLOW).status_code == 404
    stack.restart(ENABLE_METRICS="false")
    assert requests.get(stack.base_url + "/metrics", timeout=10 * SLOW).status_code == 404


def own_port(stack):
    return f"http://127.0.0.1:{stack.metrics_port}"


def test_metrics_port_tells_the_same_as_the_web_port(make_stack):
    stack = make_stack(BROADCASTERS=3)
    session = started(stack, bank=86_400_000)
    with watch(stack, session) as watcher:
        watcher.wait_for("STATE_SYNC")
        requests.post(f"{stack.base_url}/v1/sessions/{session}/switch", timeout=10 * SLOW)
        watcher.wait_for("STATE_UPDATE")

        def shown():
            # Whichever broadcaster is asked, it asked Redis a while ago.
            scrape = Scrape(own_port(stack))
            return scrape if scrape.value("active_sessions") == 1 else None

        by_broadcaster, by_worker = until(shown, say="the session in the gauges"), Scrape(stack.base_url)
    assert by_broadcaster.types == by_worker.types
    for name in ("websocket_connections", "active_sessions", "redis_up", "redis_aof_ok", "redis_replicas"):
        assert by_broadcaster.value(name) == by_worker.value(name), name
    for name in ("redis_memory_used_bytes", "redis_memory_max_bytes"):
        assert by_broadcaster.value(name) > 0 and by_worker.value(name) > 0, name
    assert by_broadcaster.value("redis_round_trip_ms_count") > 0
    assert by_broadcaster.value("push_delay_ms_count") >= 1
    assert ("synckairos_redis_replication_lag_seconds", frozenset()) not in by_broadcaster
    assert ("synckairos_postgres_up", frozenset()) not in by_broadcaster
    assert requests.get(own_port(stack) + "/", timeout=10).status_code == 404
    refused = requests.post(own_port(stack) + "/metrics", timeout=10)
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET"


def test_metrics_port_while_redis_is_away(make_stack):
    stack = make_stack()
    until(lambda: Scrape(own_port(stack)).value("redis_up") == 1, say="Redis")
    stack.hold("redis")
    stack.kill("redis")
    until(lambda: Scrape(own_port(stack)).value("redis_up") == 0, say="the loss of Redis")
    scrape = Scrape(own_port(stack))
    assert ("synckairos_redis_up", frozenset()) in scrape
    stack.release("redis")
    until(lambda: Scrape(own_port(stack)).value("redis_up") == 1, say="Redis again")


def test_replication_lag_and_aof_errors_are_shown(make_stack):
    stack = make_stack()
    folder = stack.run_dir / "replica"
    folder.mkdir()
    port = str(free_port())
    primary_port = str(free_port())
    stack.redis().config_set("bind", "127.0.0.1")
    stack.redis().config_set("port", primary_port)
    replica = subprocess.Popen(["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", str(folder), "--replicaof", "127.0.0.1",
                                primary_port, "--save", ""], stdout=subprocess.DEVNULL)
    try:
        until(lambda: Scrape(own_port(stack)).value("redis_replicas") == 1, 20, say="the replica")
        until(lambda: ("synckairos_redis_replication_lag_seconds", frozenset()) in Scrape(own_port(stack)), 20, say="its lag")
        replica.send_signal(signal.SIGSTOP)
        until(lambda: Scrape(own_port(stack)).value("redis_replication_lag_seconds") >= 2, 20, say="a lag that grows")
    finally:
        replica.send_signal(signal.SIGCONT)
        replica.terminate()
        replica.wait()


def test_postgres_is_shown(make_stack):
    stack = make_stack(POSTGRES="on")
    until(lambda: Scrape(own_port(stack)).value("postgres_up") == 1, 20, say="PostgreSQL")
    assert Scrape(stack.base_url).value("postgres_up") == 1
    assert Scrape(own_port(stack)).value("postgres_round_trip_ms_count") > 0
    assert 0 < Scrape(own_port(stack)).value("postgres_connections") < Scrape(own_port(stack)).value("postgres_connections_max") == 47
    stack.hold("postgres")
    stack.kill("postgres")
    until(lambda: Scrape(own_port(stack)).value("postgres_up") == 0, 20, say="the loss of PostgreSQL")
