"""The harness of make bench: its statistics, its pictures, its page, and one row from beginning to end."""

import importlib
import itertools
import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from stack import ROOT, SLOW

BENCH = ROOT / "tests/bench"
sys.path.insert(0, str(BENCH))

measure, report, svg = (importlib.import_module(name) for name in ("measure", "report", "svg"))
Figure, Row = measure.Figure, measure.Row

# --- figures ---


def test_a_figure_is_the_median_with_the_lowest_and_the_highest():
    figure = Figure([110.0, 90.0, 100.0, 1000.0, 95.0])
    assert figure.median == 100.0
    assert str(figure) == "100 (90-1,000)"
    assert figure.spread == pytest.approx(9.1)
    assert str(Figure([0.1234])) == "0.123"


def test_a_ratio_is_taken_round_by_round():
    # everything was twice as slow in the second round: the sides spread over 50 %, their ratio does not
    row = Row("k", "work", "requests/s", Figure([100.0, 50.0, 98.0]), {"peer": Figure([50.0, 25.0, 50.0])})
    assert row.ours.spread > measure.SPREAD_MAX
    assert row.ratio("peer") == "2"


def test_no_ratio_at_a_spread_above_20_percent():
    def of(last):
        return Row("k", "work", "requests/s", Figure([100.0, 100.0, last]), {"peer": Figure([50.0, 50.0, 50.0])}).ratio("peer")

    assert of(119.0) == "2"
    assert of(121.0) == "too noisy"


def test_no_ratio_to_nothing():
    row = Row("k", "work", "%", Figure([1.0, 1.0]), {"zero": Figure([0.0, 0.0]), "short": Figure([1.0])})
    assert row.ratio("zero") == "-"
    assert row.ratio("short") == "-"


def test_sides_take_turns_and_the_warm_up_does_not_count(monkeypatch):
    monkeypatch.setattr(measure, "quiet", measure.Quiet(0))
    order, values = [], iter(range(100))
    sides = {name: lambda name=name: order.append(name) or {"v": next(values)} for name in ("a", "b")}
    taken = measure.rounds(sides, 3, warm_up=True)
    assert order == ["a", "b"] * 4
    assert taken["a"]["v"].values == [2, 4, 6]
    assert taken["b"]["v"].values == [3, 5, 7]


def test_patience_with_a_busy_machine_ends(monkeypatch):
    busy = itertools.count(0, 100)
    monkeypatch.setattr(measure, "jiffies", lambda: (next(busy), 0, 100))
    monkeypatch.setattr(measure.time, "sleep", lambda _s: None)
    quiet = measure.Quiet(0.5)
    for _ in range(20):
        assert not quiet.wait(0.01)
    assert quiet.failed == quiet.waits == 20


def test_cpu_time_of_a_process_and_of_those_below_it():
    process = subprocess.Popen(["sh", "-c", "while :; do :; done & wait"])
    try:
        spinning = lambda: measure.cpu_seconds(measure.tree(process.pid))
        while spinning() < 0.05:
            pass
        assert len(measure.tree(process.pid)) == 2
        assert measure.cpu_seconds([process.pid]) < spinning()
        assert measure.memory(process.pid)["Rss"] > measure.memory(process.pid)["Pss"] > 0
    finally:
        for pid in reversed(measure.tree(process.pid)):
            os.kill(pid, 9)
        process.wait()


# --- the search for the highest rate ---


def test_the_search_ends_at_the_highest_rate_that_is_kept_up_with():
    fanout, asked = importlib.import_module("fanout"), []

    def run(rate):
        asked.append(rate)
        return {"whole": True, "p99_ms": 10.0 if rate <= 730 else 80.0, "per_s": rate}

    for guess in (100, 730, 5000):
        search = fanout.Search(run, guess)
        first = search()["per_s"]
        assert 730 / fanout.STEP <= first <= 730, guess
        asked.clear()
        assert search()["per_s"] == first
        assert len(asked) == 2  # it held, and the next did not


def test_the_search_gives_up_where_nothing_holds():
    fanout = importlib.import_module("fanout")
    assert fanout.Search(lambda rate: {"whole": False, "p99_ms": 1.0, "per_s": rate}, 100)()["per_s"] == 0.0


# --- what is written ---


def curve():
    figures = {2: Figure([1.0, 1.1, 1.2]), 1000: Figure([30.0, 31.0, 33.0])}
    return importlib.import_module("curves").Curve("some", "What <it> costs", "participants", {"CPU, us": {"whole": figures, "delta": figures}})


def test_a_picture_is_the_same_for_the_same_figures_and_names_them():
    text = curve().svg()
    assert text == curve().svg()
    root = xml.etree.ElementTree.fromstring(text)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "What <it> costs" in words
    assert words.count("31") == 2 and words.count("1.1") == 2
    assert "1,000" in words
    width, height = float(root.get("width")), float(root.get("height"))
    for each in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(each.get("cx")) < width and 0 < float(each.get("cy")) < height


@pytest.mark.parametrize("value,words", [(0, "0"), (0.1234, "0.123"), (99.9, "99.9"), (4321, "4,321"), (12345, "12.3k"), (2.5e6, "2.5M")])
def test_figures_of_a_picture_are_short(value, words):
    assert svg.label(value) == words


def test_the_page_has_every_row_what_is_not_reached_and_the_commit():
    bench = importlib.import_module("bench")
    rows = [Row("a", "first", "requests/s", Figure([10.0, 10.0]), {"peer": Figure([5.0, 5.0])}, ">= 9/s", True, latencies={"ours": dict.fromkeys(measure.PERCENTILES, 1.5)}),
            Row("b", "second", "ms", Figure([7.0, 7.0]), {}, "<= 1 ms", False)]
    text = report.page(bench.How(False), bench.Run(rows=rows, curves=[curve()], took={"rest": 12.0}))
    assert "| first [requests/s] | 10 (10-10) | peer 5 (5-5) | peer 2 | >= 9/s | yes |" in text
    assert "| <= 1 ms | **no**, see [PROFILE.md](PROFILE.md) |" in text
    assert "curve-some.svg" in text
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() in text
    assert "void" not in text


def test_what_the_harness_writes_itself_is_no_change(monkeypatch):
    """Lines of `git status` begin with a blank, the first one, too."""
    assert report.said("printf", " M a\n M b\n") == " M a\n M b"
    monkeypatch.setattr(report, "said", lambda *command: " M tests/bench/RESULTS.md\n M tests/bench/curve-x.svg" if "status" in command else "abc")
    assert report.commit() == "abc"


def test_a_peer_that_did_much_less_than_it_can_voids_the_run():
    bench = importlib.import_module("bench")
    rows = [Row("small", "fan-out", "deliveries/s", Figure([1.0]), {"nchan": Figure([79000.0]), "other": Figure([1.0])})]
    assert report.voids(rows, {("small", "nchan"): 98000.0}) == []
    found = report.voids(rows, {("small", "nchan"): 100000.0})
    assert len(found) == 1 and "nchan did 79,000 deliveries/s" in found[0]
    assert "**This run is void:**" in report.page(bench.How(False), bench.Run(rows=rows, voids=found))
    assert {("get", "FastCGI echo"), ("small", "nchan")} <= set(report.known_figures())


def test_a_run_adds_the_figures_of_peers_that_have_none(tmp_path, monkeypatch):
    figures = tmp_path / "figures.txt"
    figures.write_text("# about\nsmall | nchan  100000\n")
    monkeypatch.setattr(report, "FIGURES", figures)
    rows = [Row("small", "", "deliveries/s", Figure([9.0]), {"nchan": Figure([90000.0]), "socket.io": Figure([30000.0]), "ours, bare": Figure([7.0])}),
            Row("memory", "", "bytes", Figure([9.0]), {"nchan": Figure([10000.0])})]
    report.write_figures(rows, False)
    assert figures.read_text() == "# about\nsmall | nchan  100000\nsmall | socket.io  30000\n"
    report.write_figures(rows, True)
    assert report.known_figures() == {("small", "nchan"): 90000.0, ("small", "socket.io"): 30000.0}


# --- a row from beginning to end ---


@pytest.fixture(scope="module")
def ours():
    one = importlib.import_module("programs").Ours(POSTGRES="off", BROADCASTERS=1)
    yield one
    one.close()


@pytest.mark.parametrize("way", ["run", "run_small"])
def test_the_load_client_sees_every_message_on_every_socket(ours, way):
    clients, fanout = importlib.import_module("clients"), importlib.import_module("fanout")
    watched = fanout.Watched(ours, clients.create_started(ours.base_url, 1, headers=ours.headers)[0])
    got = getattr(watched, way)(clients=7, rate=10, seconds=1, warm_up=0.5, publishers=2)
    assert got["whole"], got
    assert 0 < got["p50_ms"] <= got["p99_ms"] <= got["p999_ms"] <= got["max_ms"]
    assert 0 < got["cpu_push"] < got["cpu"]
    assert 150 < got["bytes"] < 250 if way == "run_small" else 1000 < got["bytes"] < 2000


def test_the_load_client_tells_what_is_missing(ours):
    clients, fanout = importlib.import_module("clients"), importlib.import_module("fanout")
    session = clients.create_started(ours.base_url, 1, headers=ours.headers)[0]
    missed = fanout.Watched(ours, session)
    missed._state = lambda: {"version": 100}  # versions that nobody will push
    assert not missed.run(clients=2, rate=10, seconds=1, warm_up=0)["whole"]


def test_wrk_asks_for_what_it_is_told_and_counts_what_is_no_success(ours):
    clients = importlib.import_module("clients")
    ids = clients.create_started(ours.base_url, 2, headers=ours.headers)
    ran = clients.wrk(ours.base_url, "GET", "/v1/sessions/@", ids=ids, headers=ours.headers, seconds=1, connections=2, pids=ours.pids())
    assert ran["bad"] == 0 and ran["answered"] > 10 and ran["cpu_us"] > 0 and ran["p50_ms"] <= ran["max_ms"]
    assert clients.wrk(ours.base_url, "GET", "/v1/sessions/@", ids=ids, seconds=1, connections=2)["bad"] > 10  # without a token
    before = len(clients.ids_of(ours))
    clients.wrk(ours.base_url, "POST", "/v1/sessions", sent=clients.CREATE_BODY, headers=ours.headers, keys=True, count=20, connections=2, seconds=60)
    assert 10 <= len(clients.ids_of(ours)) - before < 500  # of what a minute makes


def test_a_part_runs_from_beginning_to_end():
    ran = subprocess.run(["/usr/bin/python3", str(BENCH / "bench.py"), "--quick", "ceilings"], capture_output=True, text=True, timeout=120 * SLOW)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "redis-benchmark of its commit script" in ran.stdout and "1 rows and 0 curves" in ran.stdout
