"""The history of a session, and what can be read in it: figures, clocks, the order of turns.

Nothing here decides what a command leads to; that is oracle.py.
"""

from collections import namedtuple

from clocks import CONTROLS, Clock, Hourglass

DAY = 24 * 3600 * 1000
MAX_CYCLES = 1000
PAUSE = "nobody, it is paused"
ENDS = ("complete", "done", "cancel", "expired")
TURNS = ("start", "turn")
STATUS = {"start": "running", "pause": "paused", "resume": "running", "complete": "completed",
          "done": "completed", "cancel": "cancelled", "expired": "expired"}
OVER = ("completed", "cancelled", "expired")
STANDS = ("pause", "resume")
WHOLE = ("global", "count_up")
ALIASES = {"game_over": "end_session", "skip_question": "skip_cycle", "auto_fold": "auto_action"}


def kept(figure):
    """Not worked out again before the next change."""
    def ask(self, *args):
        key = (figure, args)
        if key not in self.known:
            self.known[key] = figure(self, *args)
        return self.known[key]
    return ask


# `who` has the turn from then on; `mark` is what a timeout, a hand-over at the end or an end adds.
Entry = namedtuple("Entry", "at what who mark")


class History:
    """One session; `history` and what was read in it is all that ever changes."""

    def __init__(self, body, now, ended_ttl):
        self.body = body
        self.mode = body.get("sync_mode", "per_participant")
        self.people = list(body.get("participants", []))
        self.ended_ttl = ended_ttl
        self.history = [Entry(now, "create", None, {})]
        self.newest = {"create": 0}  # of each kind
        self.status, self.holder, self.touched = "pending", None, now
        self.warn_at = sorted(set(body.get("warn_at_ms", [10000])))
        self.crossed = set()  # in this turn
        self.known = {}  # figures that were worked out since the last change
        self.stretch = None, None  # since when, and who, as far as the history was read
        self.spent, self.given, self.turns = {}, {}, []
        self.gone = {k: p["out"] for k, p in enumerate(self.people) if p.get("out")}
        self.deleted = False
        policy = dict(body.get("action_on_timeout", {"type": "notify"}))
        policy["type"] = ALIASES.get(policy["type"], policy["type"])
        if "winner_participant_id" in policy:
            policy["winner_participant_id"] = self.name(self.place_of(policy["winner_participant_id"]))
        self.policy = policy
        self.advances = body.get("auto_advance", False)
        self.max_cycles = body.get("max_cycles")
        if self.mode == "per_cycle" and self.max_cycles is None and \
                (self.advances or policy["type"] == "skip_cycle"):
            self.max_cycles = MAX_CYCLES
        self.groups = self.make_groups() if self.mode == "per_group" else []
        self.clocks = self.make_clocks()

    def make_groups(self):
        """[(id, bank, [places])], the given ones first, then those that participants name."""
        given = [{"id": g["group_id"], "bank": g["total_time_ms"],
                  "named": [m.lower() for m in g.get("members", [])]}
                 for g in self.body.get("groups", [])]
        known = {g["id"].lower(): g for g in given}
        derived = []
        of = []
        for p in self.people:
            mine = p["participant_id"].lower()
            home = next((g for g in given if mine in g["named"]), None)
            if home is None:
                name = p.get("group_id", p["participant_id"])
                home = known.get(name.lower())
                if home is None:
                    home = known[name.lower()] = {"id": name, "bank": 0, "derived": True}
                    derived.append(home)
            if home.get("derived"):
                home["bank"] = max(home["bank"], p["total_time_ms"])
            of.append(home)
        lowest = {id(g): min((p["participant_index"], k) for k, p in enumerate(self.people)
                             if of[k] is g) for g in derived}
        return [(g["id"], g["bank"], [k for k in range(len(of)) if of[k] is g])
                for g in given + sorted(derived, key=lambda g: lowest[id(g)])]

    # --- reading the history ---

    def last(self, *kinds):
        """The newest entry of one of these kinds, or None."""
        at = max([self.newest.get(kind, -1) for kind in kinds])
        return None if at < 0 else self.history[at]

    @property
    def is_over(self):
        return self.status in OVER

    @property
    def version(self):
        return len(self.history)

    def read(self, entry):
        """Read one more entry: whose turn it is, who stands at the clock since when, who is out."""
        if entry.what in TURNS:
            self.crossed = set()
        self.newest[entry.what] = self.version - 1
        self.status = STATUS.get(entry.what, self.status)
        if entry.what in TURNS + ENDS:
            self.holder = entry.who if entry.what in TURNS else None
        if entry.what != "delete":
            self.touched = entry.at  # deleting touches nothing
        for place in entry.mark.get("out", ()):
            self.gone[place] = "removed" if entry.what == "remove" else "eliminated"
        if entry.what not in TURNS + STANDS + ENDS:
            return
        since, on = self.stretch
        if since is not None:
            self.spent[on] = self.spent.get(on, 0) + entry.at - since
        if entry.what in TURNS:
            self.turns.append(entry.who)
        if entry.what in ("turn", "done") and since is not None:
            self.given[on] = self.given.get(on, 0) + 1
        on = PAUSE if entry.what == "pause" else self.turns[-1] if self.turns else None
        self.stretch = None if entry.what in ENDS else entry.at, on

    def used(self, place, until):
        since, on = self.stretch
        is_open = since is not None and on == place and until > since
        return self.spent.get(place, 0) + (until - since if is_open else 0)

    def running(self, until):
        """The time that was nobody's pause."""
        return sum(self.used(k, until) for k in {*self.spent, self.stretch[1]} if k != PAUSE)

    def paused(self, until):
        return self.used(PAUSE, until)

    def hand_overs(self, place):
        """How often this one gave the turn away."""
        return self.given.get(place, 0)

    def is_out(self, place):
        """Why this one takes no more turns, or None."""
        return self.gone.get(place)

    # --- clocks ---

    def make_clocks(self):
        """One for each participant or group, or a single one."""
        if self.mode == "per_participant":
            return [self.own_clock(p["total_time_ms"]) for p in self.people]
        if self.mode == "per_group":
            return [Clock(bank) for _, bank, _ in self.groups]
        return [None if self.allowance() is None else Clock(self.allowance())]

    def own_clock(self, bank):
        rule = self.body.get("time_control") or \
            {"type": "fischer", "increment_ms": self.body["increment_ms"]}
        return CONTROLS[rule["type"]](bank, rule)

    def allowance(self):
        """Of a cycle or of the session, or None."""
        total, cycle = self.body.get("total_time_ms"), self.body.get("time_per_cycle_ms")
        if self.mode == "count_up":
            return self.body.get("max_time_ms")
        if self.mode == "global":
            return cycle if total is None else total
        return total if cycle is None else cycle

    def clock_at(self, place):
        """Which clock burns, or would, while this one has the turn: its place, or None."""
        if self.mode == "per_participant":
            return place
        if self.mode == "per_group":
            return None if place is None else self.groups.index(self.group_of(place))
        return 0

    def clock(self, k, until=0):
        """The clock with what was open at its last change burnt."""
        clock = None if k is None else self.clocks[k]
        open_ms = until - self.touched
        if clock is None or self.status != "running" or open_ms <= 0:
            return clock
        on = self.clock_at(self.holder)
        if k == on:
            return clock.then(open_ms)
        if isinstance(clock, Hourglass):
            later = clock.then(0)
            later.gain(self.clocks[on].bank - self.clocks[on].then(open_ms).bank)
            return later
        return clock

    def warnings(self):
        """[instant, value] for each that the running clock will cross."""
        clock = None if self.status != "running" else self.clock(self.clock_at(self.holder))
        if clock is None:
            return []
        due = [(clock.crosses(value), value) for value in self.warn_at if value not in self.crossed]
        return sorted([self.touched + wait, value] for wait, value in due if wait is not None)

    def burn(self, at):
        """The open stretch ends."""
        self.crossed |= {value for instant, value in self.warnings() if instant <= at}
        self.clocks = [self.clock(k, at) for k in range(len(self.clocks))]

    def move(self, entry, giver):
        """What a change does to the clocks, once the open stretch is burnt."""
        if entry.what == "add":
            self.join(entry.mark["newcomer"])
        elif entry.what == "adjust":
            k = self.clock_at(entry.who)
            self.clocks[k] = self.clocks[k].then(0)
            self.clocks[k].correct(entry.mark["by"])
        elif entry.what in TURNS + ENDS:
            self.end_turn(entry, self.clock(self.clock_at(giver)))

    def end_turn(self, entry, clock):
        if clock:
            if entry.what == "turn" and clock.can_run():
                clock.hand_over()
            clock.stand()
        if self.mode == "per_cycle" and entry.what in TURNS:
            self.clocks = [Clock(self.allowance())]

    def join(self, newcomer):
        self.people.append(newcomer)
        place, bank = len(self.people) - 1, newcomer["total_time_ms"]
        if self.mode == "per_participant":
            self.clocks.append(self.own_clock(bank))
        if self.mode != "per_group":
            return
        name = newcomer.get("group_id", newcomer["participant_id"])
        home = next((g for g in self.groups if g[0].lower() == name.lower()), None)
        if home is None:
            home = (name, bank, [])
            self.groups.append(home)
            self.clocks.append(Clock(bank))
        home[2].append(place)

    def group_of(self, place):
        return next(g for g in self.groups if place in g[2])

    @kept
    def left(self, place, until):
        """What is left of the clock that burns, or would, while this one has the turn."""
        clock = self.clock(self.clock_at(place), until)
        return None if clock is None else clock.shown()

    def has_expired(self, place):
        """Found at zero by a change that has been made."""
        if self.mode in WHOLE:
            return False
        turn = self.last(*TURNS)
        if self.mode == "per_cycle" and (turn is None or turn.who != place):
            return False
        return self.left(place, self.touched) == 0

    @kept
    def deadline(self):
        if self.status != "running":
            return None
        clock = self.clock(self.clock_at(self.holder))
        if clock is None:
            return None
        if not (clock.can_run() or self.mode in WHOLE or self.history[-1].mark.get("emptied")):
            return None
        return self.touched + clock.can_run()

    def last_resort(self):
        if self.is_over:
            return self.last(*ENDS).at + self.ended_ttl
        return (self.deadline() or self.touched) + DAY

    # --- order of turns ---

    def order(self, places=None, out=()):
        able = [k for k in (range(len(self.people)) if places is None else places)
                if not self.is_out(k) and k not in out]
        return sorted(able, key=lambda k: (self.people[k]["participant_index"], k))

    def first(self):
        chosen = self.body.get("active_participant_id")
        if chosen is not None and not self.is_out(self.place_of(chosen)):
            return self.place_of(chosen)
        if self.mode == "per_group":
            return next((self.order(g[2])[0] for g in self.groups if self.order(g[2])), None)
        return self.order()[0] if self.people else None

    def after(self, place, out=()):
        """Everybody who can have the turn when `place` has had it, the next one first."""
        if self.mode != "per_group":
            return self.turned(self.order(out=out), place)
        at = self.groups.index(self.group_of(place))
        rest = self.groups[at + 1:] + self.groups[:at + 1]
        members = [(self.order(g[2], out), self.newest_of(g)) for g in rest]
        return [self.turned(order, newest)[0] for order, newest in members if order]

    def newest_of(self, group):
        """Which of the group had the turn last."""
        return next((who for who in reversed(self.turns) if who in group[2]), None)

    def turned(self, order, place):
        if place is None:
            return order
        key = (self.people[place]["participant_index"], place)
        split = len([k for k in order if (self.people[k]["participant_index"], k) <= key])
        return order[split:] + order[:split]

    def place_of(self, participant_id):
        for k, p in enumerate(self.people):
            if p["participant_id"].lower() == participant_id.lower():
                return k
        return None

    def name(self, place):
        return None if place is None else self.people[place]["participant_id"]

    def cycles(self):
        return len(self.turns)

    # --- writing it ---

    def note(self, at, what, who=None, **mark):
        entry, giver = Entry(at, what, who, mark), self.holder
        if what != "delete":
            self.burn(at)
        self.move(entry, giver)
        self.known = {}
        self.history.append(entry)
        self.read(entry)
