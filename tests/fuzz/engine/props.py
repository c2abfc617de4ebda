#!/usr/bin/python3
"""Random lives of sessions: the engine (driver.c) against the oracle, on a virtual clock.

    props.py [--driver PROGRAM] [--commands N] [--seed S] [--jobs J]

Each batch has a seed of its own, printed when it fails; `--seed S --commands 1` runs it again.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time

import audit
from oracle import DAY, Refused, Session, iso

ROOT = pathlib.Path(__file__).resolve().parents[3]
DRIVER = str(ROOT / os.environ.get("BIN_DIR", "build/release") / "tests/fuzz/engine/driver")
ENDED_TTL = 3600000
BATCH = 2500
T0 = 1795362403096
OUT = {"": 0, "removed": 1, "eliminated": 2}


def uuid(rng):
    text = "%08x-%04x-4%03x-8%03x-%012x" % tuple(rng.getrandbits(b) for b in (32, 16, 12, 12, 48))
    return mixed(rng, text)


def mixed(rng, text):
    """Some other spelling of the same id."""
    return rng.choice((text, text, text.upper(), text.lower()))


MODES = ("per_participant", "per_cycle", "per_group", "global", "count_up")
WHOLE = ("global", "count_up")


def random_body(rng):
    mode = rng.choice(("per_participant",) + MODES)
    n = rng.choice((1, 2, 2, 2, 2, 3, 3, 4, 5, 12) + ((0,) * 5 if mode in WHOLE else ()))
    banks = rng.choice(((1000, 3000), (1000, 60000), (1000, 86400000), (5000, 5000)))
    people = []
    names = [uuid(rng) for _ in range(4)]
    for k in range(n):
        p = {
            "participant_id": uuid(rng),
            "participant_index": rng.choice((k, k, k, rng.randrange(4), 9007199254740991)),
            "total_time_ms": rng.randint(*banks),
        }
        if rng.random() < (0.5 if mode == "per_group" else 0.1):
            p["group_id"] = mixed(rng, rng.choice(names))
        if rng.random() < 0.05:
            p["out"] = rng.choice(("removed", "eliminated"))
        people.append(p)
    if people and all(p.get("out") for p in people):
        del people[0]["out"]
    body = {
        "session_id": uuid(rng),
        "epoch": "%s-%s.%s" % ("0" + "".join(rng.choices("0123456789abcdefghij", k=10)),
                               "".join(rng.choices("0123456789xyz", k=4)),
                               "00000000" + rng.choice("012")),
        "sync_mode": mode,
        "participants": people,
        "total_time_ms": rng.randint(1000, rng.choice((3000, 60000, 86400000))),
        "increment_ms": rng.choice((0, 0, 1, 500, rng.randint(0, 60000))),
    }
    if rng.random() < 0.2:
        body["time_per_cycle_ms"] = rng.randint(1000, rng.choice((5000, 86400000)))
    if rng.random() < (0.7 if mode == "count_up" else 0.2):
        body["max_time_ms"] = rng.randint(1000, rng.choice((5000, 86400000)))
    if mode == "count_up" and rng.random() < 0.5 or \
            mode == "global" and "time_per_cycle_ms" in body and rng.random() < 0.5:
        del body["total_time_ms"]
    if rng.random() < 0.2:
        body["owner"] = rng.choice(("user-1", "%", "a%20b", "\u00e4\u00f6\"\\", "x" * 255))
    if rng.random() < 0.2:
        body["metadata"] = rng.choice(({}, {"a": [1, {"b": "c\n"}]}, {"\u20ac": "%20=,"}))
    random_policy(rng, body)
    if rng.random() < (0.7 if mode == "per_participant" else 0.02):
        random_control(rng, body)
    if rng.random() < (0.6 if mode == "per_group" else 0.01):
        random_groups(rng, body, names)
    return body


def random_control(rng, body):
    """A time control, sometimes one that the session cannot have."""
    ms = lambda least, most: rng.randint(least, rng.choice((least + 500, most)))
    rule = rng.choice((
        {"type": "fischer", "increment_ms": body["increment_ms"]},
        {"type": "delay", "delay_ms": ms(1, 60000)},
        {"type": "bronstein", "delay_ms": ms(1, 60000)},
        {"type": "byoyomi", "periods": rng.choice((1, 2, 3, 100)), "period_ms": ms(1000, 3600000)},
        {"type": "canadian", "moves": rng.choice((1, 2, 3, 200)), "period_ms": ms(1000, 3600000)},
        {"type": "hourglass"},
        {"type": "per_move"},
        {"type": "stages", "stages": [
            {"moves": rng.choice((1, 2, 3)), "add_ms": ms(0, 60000), "increment_ms": ms(0, 60000)}
            for _ in range(rng.choice((1, 2, 3, 5)))]},
    ))
    if rule["type"] == "stages":
        del rule["stages"][-1]["moves"]
    if rule["type"] == "hourglass" and rng.random() < 0.9:
        del body["participants"][2:]
        for one in body["participants"][:1]:
            one.pop("out", None)
    if rule["type"] != "fischer":
        body["increment_ms"] = 0
    body["time_control"] = rule


def control_fault(body):
    """Whether the session cannot have its time control."""
    rule = body.get("time_control", {})
    return rule and body["sync_mode"] != "per_participant" or \
        rule.get("type") == "hourglass" and len(body["participants"]) != 2


def random_groups(rng, body, names):
    """Given groups, seldom ones that contradict something."""
    ids = rng.sample(names, rng.choice((1, 2, 2, 3)))
    if rng.random() < 0.05:
        ids.append(mixed(rng, rng.choice(ids)))
    body["groups"] = [{"group_id": i, "total_time_ms": rng.randint(1000, rng.choice((3000, 60000)))} for i in ids]
    for p in body["participants"]:
        home = rng.choice(body["groups"])
        said = p.get("group_id")
        if rng.random() < 0.5 and (said is None or said.lower() == home["group_id"].lower() or rng.random() < 0.05):
            home.setdefault("members", []).append(mixed(rng, p["participant_id"]))
    if rng.random() < 0.05:
        stranger = rng.choice([uuid(rng)] + [p["participant_id"] for p in body["participants"]])
        rng.choice(body["groups"]).setdefault("members", []).append(stranger)


def random_policy(rng, body):
    """Rules for the end of time, sometimes ones that the mode cannot have."""
    people = body["participants"]
    anybody = lambda: mixed(rng, rng.choice(people)["participant_id"])
    if rng.random() < 0.4:
        kinds = ("notify", "end_session", "game_over") if body["sync_mode"] in WHOLE and rng.random() < 0.9 \
            else ("notify", "end_session", "game_over", "skip_cycle", "skip_question", "auto_action", "auto_fold", "eliminate", "eliminate")
        policy = body["action_on_timeout"] = {"type": rng.choice(kinds)}
        for key, values in (("action", ("fold", "\u20ac%")), ("outcome", ("lost", "x" * 64)),
                            ("penalty", ({}, {"points": -5}))):
            if rng.random() < 0.2:
                policy[key] = rng.choice(values)
        if rng.random() < 0.2 and people:
            policy["winner_participant_id"] = rng.choice((anybody, anybody, lambda: uuid(rng)))()
    if rng.random() < 0.3:
        clocks = [p["total_time_ms"] for p in people] + [body.get("total_time_ms", 500)]
        body["warn_at_ms"] = [rng.choice((100, 1000, rng.randint(100, 3000), rng.randint(100, 86400000), rng.choice(clocks)))
                              for _ in range(rng.randint(0, 5))]
    has_turns = body["sync_mode"] not in WHOLE
    if rng.random() < (0.3 if has_turns else 0.02):
        body["auto_advance"] = True
    if rng.random() < (0.3 if body["sync_mode"] == "per_cycle" else 0.01):
        body["max_cycles"] = rng.choice((1, 2, 5, 9))
    if rng.random() < 0.2 and people:
        body["active_participant_id"] = rng.choice((anybody, anybody, anybody, lambda: uuid(rng)))()


def faults(body):
    """All that is wrong with a body, in the order in which it is told."""
    return list(own_faults(body)) + (list(group_faults(body)) if body["sync_mode"] == "per_group" else [])


def repeated(ids):
    """The places at which an earlier one stands again."""
    ids = [i.lower() for i in ids]
    return [k for k, i in enumerate(ids) if i in ids[:k]]


def own_faults(body):
    ids = [p["participant_id"].lower() for p in body["participants"]]
    policy = body.get("action_on_timeout", {})
    unknown = lambda key, name: key in name and name[key].lower() not in ids
    for k in repeated(ids):
        yield fault("participants.%d.participant_id" % k, "Participant ID must be unique in the session", "duplicate")
    if unknown("active_participant_id", body):
        yield fault("active_participant_id", "Participant not found in session", "invalid_value")
    if unknown("winner_participant_id", policy):
        yield fault("action_on_timeout.winner_participant_id", "Participant not found in session", "invalid_value")
    if body["sync_mode"] in WHOLE and policy.get("type", "notify") not in ("notify", "end_session", "game_over"):
        yield fault("action_on_timeout.type", "This action needs a mode with turns", "invalid_value")
    if body["sync_mode"] in WHOLE and body.get("auto_advance"):
        yield fault("auto_advance", "auto_advance needs a mode with turns", "invalid_value")
    if body["sync_mode"] != "per_cycle" and "max_cycles" in body:
        yield fault("max_cycles", "max_cycles needs mode per_cycle", "invalid_value")
    if body["sync_mode"] != "per_group" and "groups" in body:
        yield fault("groups", "groups needs mode per_group", "invalid_value")


def group_faults(body):
    people = body["participants"]
    ids = [p["participant_id"].lower() for p in people]
    home = {}
    for g, group in enumerate(body.get("groups", [])):
        for k, member in enumerate(group.get("members", [])):
            field, who = "groups.%d.members.%d" % (g, k), member.lower()
            if who not in ids:
                yield fault(field, "Participant not found in session", "invalid_value")
            elif who in home:
                yield fault(field, "A participant can be in one group only", "duplicate")
            else:
                home[who] = group["group_id"].lower()
    for k, p in enumerate(people):
        listed = home.get(ids[k]) if ids.index(ids[k]) == k else None
        if listed is not None and p.get("group_id", listed).lower() != listed:
            yield fault("participants.%d.group_id" % k, "Another group has this participant as a member",
                        "invalid_value")
    for k in repeated([g["group_id"] for g in body.get("groups", [])]):
        yield fault("groups.%d.group_id" % k, "Group ID must be unique in the session", "duplicate")


def create_line(body, now):
    words = [str(now), "create", "id=" + body["session_id"], "epoch=" + body["epoch"],
             "mode=" + body["sync_mode"], "inc=%d" % body["increment_ms"]]
    for key, name in (("total", "total_time_ms"), ("tpc", "time_per_cycle_ms"), ("max", "max_time_ms"), ("owner", "owner")):
        if name in body:
            words.append("%s=%s" % (key, body[name]))
    if "metadata" in body:
        words.append("meta=" + json.dumps(body["metadata"], separators=(",", ":"),
                                          ensure_ascii=False))
    for p in body["participants"]:
        words.append("p=%s,%d,%d,%s,%d" % (p["participant_id"], p["participant_index"],
                                           p["total_time_ms"], p.get("group_id", "-"),
                                           OUT[p.get("out", "")]))
    for g, group in enumerate(body.get("groups", [])):
        words.append("g=%s,%d" % (group["group_id"], group["total_time_ms"]))
        words += ["gm=%d,%d,%s" % (g, k, member) for k, member in enumerate(group.get("members", []))]
    if "warn_at_ms" in body:
        words.append("warn=" + ",".join(map(str, body["warn_at_ms"])))
    policy = body.get("action_on_timeout", {})
    for key, name, where in (("first", "active_participant_id", body), ("cycles", "max_cycles", body),
                             ("act", "type", policy), ("action", "action", policy),
                             ("outcome", "outcome", policy), ("winner", "winner_participant_id", policy)):
        if name in where:
            words.append("%s=%s" % (key, where[name]))
    if body.get("auto_advance"):
        words.append("adv=1")
    if "penalty" in policy:
        words.append("penalty=" + json.dumps(policy["penalty"], separators=(",", ":")))
    return " ".join(words + control_words(body.get("time_control", {})))


def control_words(rule):
    """tc=TYPE delay= periods= period= moves= stage=MOVES,ADD,INCREMENT (of the last MOVES is 0)."""
    words = ["tc=" + rule["type"]] if rule else []
    words += ["%s=%d" % (key, rule[name]) for key, name in
              (("delay", "delay_ms"), ("periods", "periods"), ("period", "period_ms"), ("moves", "moves"))
              if name in rule]
    return words + ["stage=%d,%d,%d" % (row.get("moves", 0), row["add_ms"], row["increment_ms"])
                    for row in rule.get("stages", ())]


def fault(field, message, code):
    return {"field": field, "message": message, "code": code}


WORDS = ("switch", "pause", "read", "start", "resume", "complete", "cancel", "delete", "recover", "remove", "add", "adjust")
HABITS = ((40, 20, 12, 10, 4, 4, 1.5, 1, 1, 3, 2, 2, 5),  # the usual command, then as in WORDS
          (60, 10, 3, 20, 1, 1, 0.3, 0.3, 0.3, 1, 1, 1, 2),  # play and look
          (30, 5, 20, 5, 1, 1, 0.5, 0.5, 0.5, 3, 6, 6, 30))  # a moderator at work


class Life:
    """One session from its creation on, told to the oracle, and written down for the driver."""

    def __init__(self, rng):
        self.rng = rng
        self.now = T0 + rng.randrange(10 ** 9)
        self.session = None
        self.lines = []
        self.expected = []
        self.habit = rng.choice(HABITS)

    def record(self, line, changes=(), error=None, switch=None):
        s = self.session
        alive = s is not None and not s.deleted
        self.lines.append(line)
        self.expected.append({
            "changes": list(changes),
            "error": error,
            "switch": switch,
            "wakeup": (s.deadline() or s.last_resort()) if alive else 0,
            "warnings": s.warnings() if alive else [],
            "state": s.state(self.now) if alive else None,
        })

    def create(self):
        rng = self.rng
        body = random_body(rng)
        people = body["participants"]
        while rng.random() < 0.05 and len(people) > 1:
            k = rng.randrange(1, len(people))
            people[k]["participant_id"] = mixed(rng, people[rng.randrange(k)]["participant_id"])
        wrong = faults(body)
        error = {"code": "VALIDATION_ERROR", "message": "Request validation failed", "details": wrong} if wrong else None
        if control_fault(body):
            error = {"code": "VALIDATION_ERROR"}
        self.session = None if error else Session(body, self.now, ENDED_TTL)
        changes = [] if error else [self.session.change("session_created")]
        self.record(create_line(body, self.now), changes, error)

    def step(self):
        """Move the clock, preferably to where something is about to happen."""
        rng, s = self.rng, self.session
        x = rng.random()
        deadline = s.deadline()
        if x < 0.2:
            return
        if x < 0.21:
            self.now = s.last_resort() + rng.choice((-1, -1, 0, 1, DAY))
        elif x < 0.4 and deadline:
            self.now = deadline + rng.choice((-1, 0, 1, rng.randint(-50, 50)))
        elif x < 0.45 and s.warnings():
            self.now = rng.choice(s.warnings())[0] + rng.choice((-1, 0, 0, 1))
        elif x < 0.48:
            self.now -= rng.randint(1, 2000)
        elif x < 0.58:
            self.now += rng.randint(1, 100000)
        elif x < 0.75:
            self.now += rng.randint(1, 2000)
        else:
            self.now += rng.randint(1, 300)

    def arguments(self, what):
        rng, s = self.rng, self.session
        args = {}
        if what == "add":
            args["newcomer"] = self.newcomer()
        if what == "adjust":
            clock = s.clock(s.clock_at(s.holder or 0))
            amount = rng.choice((0, 1, rng.randint(0, 5000), DAY, clock.bank if clock else 5, *s.warn_at))
            args["set_ms" if rng.random() < 0.5 else "add_ms"] = rng.choice((1, 1, 1, -1)) * amount
        if rng.random() < 0.12:
            args["version"] = s.version + rng.choice((0, 0, 0, 1, -1))
        if what == "adjust" and s.holder is not None and rng.random() < 0.5:
            args["nxt"] = mixed(rng, s.name(s.holder))
        elif what in ("remove", "adjust"):
            args["nxt"] = mixed(rng, rng.choice([p["participant_id"] for p in s.people] + [uuid(rng)]))
        if what != "switch":
            return args
        if rng.random() < 0.15:
            holder = s.name(s.holder) or (s.name(0) if s.people else uuid(rng))
            other = s.name(-1) if s.people else uuid(rng)
            args["current"] = mixed(rng, rng.choice((holder, holder, other, uuid(rng))))
        if rng.random() < 0.2 and s.people:
            args["nxt"] = mixed(rng, s.name(rng.randrange(len(s.people))))
        elif rng.random() < 0.03:
            args["nxt"] = uuid(rng)
        return args

    def newcomer(self):
        rng, s = self.rng, self.session
        p = {"participant_id": uuid(rng), "total_time_ms": rng.randint(1000, rng.choice((3000, DAY)))}
        if rng.random() < 0.1 and s.people:
            p["participant_id"] = mixed(rng, s.name(rng.randrange(len(s.people))))
        if rng.random() < 0.4:
            p["participant_index"] = rng.choice((0, 1, rng.randrange(9), 9007199254740991))
        if rng.random() < 0.4:
            p["group_id"] = mixed(rng, rng.choice([g[0] for g in s.groups] + [uuid(rng)]))
        return p

    def command(self):
        rng, s = self.rng, self.session
        usual = {"pending": "start", "running": "switch", "paused": "resume",
                 "completed": "read", "cancelled": "read", "expired": "read"}[s.status]
        what = rng.choices((usual,) + WORDS, self.habit)[0]
        self.step()
        if what == "read":
            return self.record("%d read" % self.now, s.settle(self.now))
        if what == "recover":
            return self.recover()
        args = self.arguments(what)
        words = ["%d %s" % (self.now, what)]
        words += ["%s=%s" % (key, args[name]) for key, name in
                  (("v", "version"), ("cur", "current"), ("next", "nxt")) if args.get(name)]
        words += ["%s=%d" % (key, args[name]) for key, name in
                  (("set", "set_ms"), ("add", "add_ms")) if name in args]
        words += ["%s=%s" % (key, args["newcomer"][name]) for key, name in
                  (("id", "participant_id"), ("index", "participant_index"), ("bank", "total_time_ms"),
                   ("group", "group_id")) if name in args.get("newcomer", ())]
        return self.obey(what, args, " ".join(words))

    def obey(self, what, args, line):
        s = self.session
        changes, error, switch = s.settle(self.now), None, None
        if not s.deleted:
            try:
                change = s.command(what, self.now, **args)
                if change is not None:
                    changes.append(change)
                if what == "switch":
                    switch = s.switch_answer(self.now, change["expired"])
                changes += s.settle(self.now)  # what a correction to zero leads to
            except Refused as refused:
                error = refused.error
        self.record(line, changes, error, switch)

    def recover(self):
        s = self.session
        gap = self.now - self.rng.choice((0, 1, self.rng.randint(0, 40000)))
        changes = s.settle(gap)
        if not s.deleted:
            change = s.recover(gap)
            if change is not None:
                changes.append(change)
        changes += s.settle(self.now)
        self.record("%d recover from=%d" % (self.now, gap), changes)

    def run(self):
        self.create()
        for _ in range(self.rng.choice((5, 20, 40, 60))):
            if self.session is None or self.session.deleted:
                break
            self.command()


def explain(seed, life, k, got):
    want = life.expected[k]
    print("seed %d: the engine and the oracle differ at the last line of" % seed)
    print("\n".join(life.lines[:k + 1]))
    differ(want, got, "")


def differ(want, got, name):
    """Print the members that differ, not all that they are in."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            differ(want.get(key), got.get(key), name + "." + key)
    elif want != got:
        print("%s\n  oracle %s\n  engine %s" % (name, json.dumps(want), json.dumps(got)))


def same(want, got):
    """Where the oracle knows no more than the code of an error, the rest is the engine's."""
    if want["error"] and "message" not in want["error"] and got["error"]:
        got["error"] = {"code": got["error"]["code"]}
    return want == got


class Trail:
    """The audit records of one life; taken off the answers, which have to be equal without."""

    def __init__(self):
        self.records, self.snapshots, self.shown = [], {}, None

    def take(self, answer):
        for change in answer["changes"]:
            self.records.append(change.pop("record"))
            if "snapshot" in change:
                self.snapshots[change["version"]] = change.pop("snapshot")
        self.shown = answer["state"] or self.shown
        self.is_gone = answer["state"] is None

    def fault(self, stored):
        """What the records do not say about the end of this life, or None."""
        try:
            folded = audit.fold(self.records, self.snapshots)
            if self.records and folded != audit.fields(stored):
                return "the records do not fold to\n" + stored
            if self.records and not self.is_gone:
                audit.compare(folded, self.shown, iso)
        except audit.Broken as broken:
            return str(broken)
        return None


def batch(job):
    """What compare(job) returns; what it says is out before the pool ends its processes."""
    try:
        return compare(job)
    finally:
        sys.stdout.flush()


def compare(job):
    """Returns the number of commands that agreed and how often each outcome occurred."""
    driver, seed = job
    rng = random.Random(seed)
    lives, n = [], 0
    while n < BATCH:
        lives.append(Life(rng))
        lives[-1].run()
        n += len(lives[-1].lines)
    text = "".join(line + "\n" for life in lives for line in life.lines + ["0 stored"])
    done = subprocess.run([driver], input=text.encode(), stdout=subprocess.PIPE, check=False)
    answers = iter(done.stdout.splitlines())
    seen = {}
    for life in lives:
        trail = Trail()
        for k, want in enumerate(life.expected):
            answer = next(answers, None)
            if answer is None:
                print("seed %d: the driver ended (%d) at\n%s" % (seed, done.returncode,
                                                                "\n".join(life.lines[:k + 1])))
                return None
            got = json.loads(answer)
            trail.take(got)
            if not same(want, got):
                explain(seed, life, k, got)
                return None
            for outcome in [c["type"] for c in got["changes"]] + \
                    [got["error"]["code"] if got["error"] else "fine"] + \
                    ["warning"] * len(got["warnings"]):
                seen[outcome] = seen.get(outcome, 0) + 1
        fault = trail.fault(json.loads(next(answers, b'{"stored":""}'))["stored"])
        if fault is not None:
            print("seed %d: %s, after\n%s" % (seed, fault, "\n".join(life.lines)))
            return None
        seen["folded"] = seen.get("folded", 0) + (len(trail.records) > 0)
    if done.returncode != 0:
        print("seed %d: the driver ended with %d" % (seed, done.returncode))
        return None
    return n, seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", default=DRIVER)
    parser.add_argument("--commands", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2 ** 40))
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    begun = said = time.monotonic()
    batches = (args.commands + BATCH - 1) // BATCH
    print("engine properties: %d commands, seed %d" % (args.commands, args.seed), flush=True)
    total, seen = 0, {}
    with multiprocessing.Pool(args.jobs) as pool:
        jobs = [(args.driver, args.seed + i) for i in range(batches)]
        for result in pool.imap_unordered(batch, jobs):
            if result is None:
                pool.terminate()
                print("%d commands had agreed" % total)
                return 1
            total += result[0]
            for key, n in result[1].items():
                seen[key] = seen.get(key, 0) + n
            if time.monotonic() > said + 60:
                said = time.monotonic()
                print("%d commands agree so far" % total, flush=True)
    print("%d commands agree, %.1f s: %s" % (total, time.monotonic() - begun,
          ", ".join("%s %d" % pair for pair in sorted(seen.items()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
