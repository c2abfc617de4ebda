"""Random lives: a session, what is asked of it and when, and what the oracle says to that."""

from bodies import control_fault, create_line, faults, mixed, random_body, uuid
from history import DAY
from oracle import Refused, Session

ENDED_TTL = 3600000
T0 = 1795362403096
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
