"""How cost grows: with the participants of a session, with the sessions, with the sockets of a session; each drawn beside the table."""

import time
from dataclasses import dataclass

import measure
from audit import drained
from clients import SESSION_KEYS, create_many, create_started, ids_of, wrk
from fanout import Watched
from measure import Figure, cpu_seconds, rounds
from programs import Bare, Ours
from svg import Panel, draw

WHOLE, CHANGES = "whole states", "changes (delta, return=minimal)"
PARTICIPANTS = (2, 100, 1000)
SESSIONS, STORED = (10, 1000, 10000), 100000
SOCKETS = (1, 100, 5000)
SWITCH, MEMORY = "switch", "session of two participants"


@dataclass
class Curve:
    """One picture: panel title -> series name -> x -> Figure."""

    name: str
    title: str
    x_label: str
    panels: dict

    def lines(self):
        """For the terminal."""
        return [f"  {title}, {name}: " + ", ".join(f"{x:,}: {figure}" for x, figure in sorted(figures.items()))
                for title, series in self.panels.items() for name, figures in series.items()]

    def svg(self):
        points = lambda series: [(x, f.median, min(f.values), max(f.values)) for x, f in sorted(series.items())]
        return draw(self.title, self.x_label, [
            Panel(title, {name: points(s) for name, s in series.items()}) for title, series in self.panels.items()])


def _panels(taken, keys):
    """From the figures of sides that are called (series, x); keys is panel title -> key of a figure."""
    panels = {title: {} for title in keys}
    for (series, x), figures in taken.items():
        for title, key in keys.items():
            panels[title].setdefault(series, {})[x] = figures[key]
    return panels


def _watched(how, made, clients, rate):
    """Side (series, x) -> one run of switches that `clients(x)` sockets watch; made is x -> Watched."""
    sides = {}
    for x, watched in made.items():
        for series, delta in ((WHOLE, False), (CHANGES, True)):
            sides[series, x] = lambda watched=watched, delta=delta, x=x: watched.run(
                delta, clients=clients(x), rate=rate, seconds=how.seconds_short, warm_up=.5)
    return sides


def idle(ours):
    """CPU seconds of all its processes in a second in which nothing happens."""
    pids, seconds = ours.pids(), 2
    measure.quiet.wait()
    before = cpu_seconds(pids)
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) / seconds


def participants(how, ours, base):
    made = {n: Watched(ours, create_started(ours.base_url, 1, n, ours.headers)[0], base) for n in (PARTICIPANTS[:2] if how.quick else PARTICIPANTS)}
    taken = rounds(_watched(how, made, lambda _: 1, 100), how.rounds_few)
    return Curve("participants", "What a switch costs as a session has more participants (100 a second, one socket watches; what idle servers use is taken off)",
                 "participants of the session",
                 _panels(taken, {"CPU of all servers for a switch, us": "cpu_us", "bytes of the answer and of the frame": "wire", "request to frame, p50 in ms": "p50_ms"}))


def sockets(how, ours, base):
    watched = Watched(ours, create_started(ours.base_url, 1, headers=ours.headers)[0], base)
    taken = rounds(_watched(how, {n: watched for n in (SOCKETS[:2] if how.quick else SOCKETS)}, lambda n: n, 20), how.rounds_few)
    return Curve("sockets", "What a switch costs as more sockets watch the session (20 a second; what idle servers use is taken off)", "sockets of the session",
                 _panels(taken, {"CPU of all servers for a switch, us": "cpu_us", "request to frame, p50 in ms": "p50_ms", "request to frame, p99 in ms": "p99_ms"}))


def sessions(how):
    """Rounds are taken size by size here, since sessions only ever become more."""
    ours, taken = Ours(), {}
    try:
        for n in SESSIONS:
            have = len(ids_of(ours))
            if n <= SESSIONS[0]:
                create_started(ours.base_url, n, headers=ours.headers)
            else:
                create_many(ours, n - have)
            drained(ours.stack.redis())
            ids = ids_of(ours)[:n]
            taken.update(rounds({(SWITCH, n): lambda ids=ids: wrk(
                ours.base_url, "POST", "/v1/sessions/@/switch", ids=ids, headers=ours.headers, keys=True, seconds=how.seconds, pids=ours.pids())},
                how.rounds_few, warm_up=True))
    finally:
        ours.close()
    panels = _panels(taken, {"CPU of all servers for a switch, us": "cpu_us", "switches a second, 64 connections": "per_s"})
    panels["Redis memory of a session, bytes"] = {MEMORY: memory()}
    return Curve("sessions", "What a switch and a session cost as there are more sessions", "sessions", panels)


def memory():
    """Sessions -> what Redis needs for each of them: its key and all that is in it."""
    bare, found = Bare(), {}
    try:
        for n in (*SESSIONS, STORED):
            have = len(ids_of(bare))
            if n <= SESSIONS[0]:
                create_started(bare.base_url, n)
            else:
                create_many(bare, n - have, started=False)
            asked, keys = bare.stack.redis().pipeline(transaction=False), 0
            for keys, key in enumerate(bare.stack.redis().scan_iter(SESSION_KEYS, count=1000), 1):
                asked.memory_usage(key, samples=0)
            found[n] = Figure([sum(asked.execute()) / keys])
        return found
    finally:
        bare.close()


def curves(how):
    """Each as it is ready."""
    ours = Ours()
    try:
        base = idle(ours)
        yield participants(how, ours, base)
        yield sockets(how, ours, base)
    finally:
        ours.close()
    if not how.quick:
        yield sessions(how)
