"""What was measured, as RESULTS.md."""

import datetime
import os
import pathlib
import platform
import subprocess

import measure

HERE = pathlib.Path(__file__).resolve().parent
FIGURES = HERE / "peers/figures.txt"
PEER_MIN = 0.80  # of its figure: a peer that does less was disturbed, or set up badly
STEADY = ("switch", "get", "create", "small", "state", "connects")  # the rows whose peers are judged by it
PACKAGES = ("nginx", "redis-server", "postgresql-15", "libuv1-dev", "libwslay-dev", "libhiredis-dev", "libfcgi-dev", "libnginx-mod-nchan", "wrk")


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE).stdout.strip("\n")
    except (OSError, subprocess.CalledProcessError):
        return ""


def commit():
    """The commit that was measured. What this harness itself writes does not count as a change."""
    changed = [line for line in said("git", "status", "--porcelain", "--untracked-files=no").splitlines()
               if not line[3:].startswith(("tests/bench/RESULTS.md", "tests/bench/curve-"))]
    return said("git", "rev-parse", "HEAD") + (" **with changes that are not committed**" if changed else "")


def versions():
    installed = said("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES).splitlines()
    return ", ".join([*installed, f"Node {said('node', '--version')}"])


def conditions(how, seconds, stolen):
    """What the figures depend on, as lines."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    quiet = measure.quiet
    noise = f"**The machine was not quiet** before {quiet.failed} of {quiet.waits} runs" if quiet.failed else "The machine was quiet before each run"
    return [
        f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, commit {commit()}",
        f"- {os.cpu_count()} cores of {model}, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB, Linux {platform.release()}; the load"
        " clients, all servers and the peers share them, so what counts are ratios",
        f"- {versions()}",
        f"- {noise}; the host took away {stolen:.1%} of the processors meanwhile",
        f"- Runs of {how.seconds} s, the sides in turns: {how.rounds} rounds, or {how.rounds_few} of what takes long, after a warm-up. Figures are"
        " medians, with the lowest and the highest in brackets. A ratio is taken in each round, since what disturbs one mostly disturbs all of its sides;"
        f" the median of these ratios is given, and none when their spread, (max - min) / median, is over {measure.SPREAD_MAX:.0%}",
        "- \"ours\" has everything that production has switched on: tokens (HS256), limits (far away), an Idempotency-Key on each command, audit trail in"
        " PostgreSQL, append-only file (everysec), access log. \"ours, bare\" has none of these",
        f"- It took {seconds:.0f} s",
    ]


def table(rows):
    lines = ["| work | ours | beside it | ours / theirs | wanted | reached |", "|---|---|---|---|---|---|"]
    for row in rows:
        peers = "<br>".join(f"{name} {figure}" for name, figure in row.peers.items())
        ratios = "<br>".join(f"{name} {row.ratio(name)}" for name in row.peers)
        reached = {True: "yes", False: "**no**, see [PROFILE.md](PROFILE.md)", None: ""}[row.reached]
        work = f"{row.work} [{row.unit}]" + (f"<br>{row.note}" if row.note else "")
        lines.append(f"| {work} | {row.ours} | {peers} | {ratios} | {row.want} | {reached} |")
    return lines


def latency_table(rows):
    lines = ["| work | side | p50 | p99 | p99.9 | longest |", "|---|---|---|---|---|---|"]
    for row in rows:
        for name, at in row.latencies.items():
            lines.append(f"| {row.work} | {name} | " + " | ".join(measure.short(at[key]) for key in measure.PERCENTILES) + " |")
    return lines


def curve_section(curve):
    lines = [f"### {curve.title}", "", f"![{curve.title}](curve-{curve.name}.svg)", ""]
    for title, series in curve.panels.items():
        xs = sorted({x for figures in series.values() for x in figures})
        lines += [f"| {title} | " + " | ".join(f"{x:,} {curve.x_label}" for x in xs) + " |", "|---" * (len(xs) + 1) + "|"]
        for name, figures in series.items():
            lines.append(f"| {name} | " + " | ".join(str(figures.get(x, "")) for x in xs) + " |")
        lines.append("")
    return lines


def page(how, run):
    """The whole page; `run` is what bench.py has gathered."""
    lines = ["# What was measured", "", "Written by `make bench`. What stands in the way of what is not reached, and what was tried, is in [PROFILE.md](PROFILE.md).", ""]
    if run.voids or run.failures:
        lines += ["**This run is void:**", "", *(f"- {why}" for why in run.voids + run.failures), ""]
    lines += [*conditions(how, run.seconds, run.stolen), "", *table(run.rows), "", "## Latencies", "",
              "In ms, medians of the rounds. REST: of 64 connections that ask without a pause. Fan-out: at the highest rate of each side, from the instant at which"
              " a message should have been sent.", "", *latency_table(run.rows), "", "## How cost grows", ""]
    for curve in run.curves:
        lines += curve_section(curve)
    lines += ["## Time used", "", "| part | s |", "|---|---|", *(f"| {name} | {took:.0f} |" for name, took in run.took.items()), ""]
    return "\n".join(lines)


# --- what peers are known to do ---


def known_figures():
    """(row key, peer) -> its figure, a rate."""
    lines = (line.rsplit(None, 1) for line in FIGURES.read_text().splitlines() if line and not line.startswith("#"))
    return {tuple(part.strip() for part in name.split("|")): float(figure) for name, figure in lines}


def voids(rows, known):
    """Why the run says nothing: peers that did much less than they can."""
    found = []
    for row in rows:
        for name, figure in row.peers.items():
            expected = known.get((row.key, name))
            if expected and figure.median < PEER_MIN * expected:
                found.append(f"{row.work}: {name} did {figure.median:,.0f} {row.unit}, less than {PEER_MIN:.0%} of its {expected:,.0f}")
    return found


def write_figures(rows, anew):
    """The rates of all peers; without `anew` only of those that have no figure yet."""
    head = [line for line in FIGURES.read_text().splitlines() if line.startswith("#")]
    found = {(row.key, name): figure.median for row in rows if row.unit.endswith("/s") and row.key in STEADY
             for name, figure in row.peers.items() if not name.startswith("ours")}
    known = {**found, **known_figures(), **(found if anew else {})}
    FIGURES.write_text("\n".join(head + [f"{key} | {name}  {figure:.0f}" for (key, name), figure in sorted(known.items())]) + "\n")
