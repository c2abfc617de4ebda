"""A second opinion on what a sync session is: slow, and built another way than the engine.

The engine keeps running totals and moves them forward at each change. This oracle keeps the
history, a list of (instant, what, who) that is read once, and works the figures out from it:

  used time   the length of all stretches in which somebody held the turn and no pause was on
  bank        what is left on a clock (clocks.py) that was told of every stretch, hand-over and
              correction
  deadline    the instant at which the running clock has run as long as it can

The clock is a participant's, a cycle's, a group's or the session's.

Written from the specification of sessions, before the driver that it is compared with.

What the specification leaves open about participants, and what is held here:

  adding      The newcomer's order is that of an addition: last. A group that exists stays as it
              is, with its bank; a new one comes last. Nobody is added to an hourglass. One who is
              out keeps the name.
  correcting  Anybody in the list, also who is out. What was used of a turn stays used. allotted_ms
              is never below 0. A clock that a correction puts to zero while it runs has its
              expiry at the same instant, a change of its own right behind; while it does not run it
              is marked, as a pause marks it, and has none when it is on again (but a
              global session ends then). In a byoyomi or canadian game a bank of 0 is not zero.
"""

from collections import namedtuple
from datetime import datetime, timedelta
from functools import lru_cache

from clocks import CONTROLS, Clock, Hourglass

DAY = 24 * 3600 * 1000
GRACE = 300
MAX_CYCLES = 1000
INDEX_MAX = 2 ** 53 - 1
PAUSE = "nobody, it is paused"
ENDS = ("complete", "done", "cancel", "expired")
TURNS = ("start", "turn")
STATUS = {"start": "running", "pause": "paused", "resume": "running", "complete": "completed",
          "done": "completed", "cancel": "cancelled", "expired": "expired"}
OVER = ("completed", "cancelled", "expired")
STANDS = ("pause", "resume")
WHOLE = ("global", "count_up")
ALIASES = {"game_over": "end_session", "skip_question": "skip_cycle", "auto_fold": "auto_action"}
EPOCH = datetime(1970, 1, 1)

REFUSALS = {
    "start": "Session {} cannot be started (current status: {})",
    "switch": "Session {} not running (current status: {})",
    "pause": "Session {} cannot be paused (current status: {})",
    "resume": "Session {} cannot be resumed (current status: {})",
    "cancel": "Session {} cannot be cancelled (current status: {})",
    "remove": "Participants of session {} cannot be changed (current status: {})",
}
REFUSALS["add"] = REFUSALS["adjust"] = REFUSALS["remove"]
RACE = "Concurrent modification detected, please retry"


def kept(figure):
    """Not worked out again before the next change."""
    def ask(self, *args):
        key = (figure, args)
        if key not in self.known:
            self.known[key] = figure(self, *args)
        return self.known[key]
    return ask


@lru_cache(1000)
def iso(ms):
    """Epoch ms as clients read it."""
    if ms is None:
        return None
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


# `who` has the turn from then on; `mark` is what a timeout, a hand-over at the end or an end adds.
Entry = namedtuple("Entry", "at what who mark")


class Refused(Exception):
    """Without a message the words are the engine's."""

    def __init__(self, code, message=None, details=None):
        super().__init__(message)
        self.error = {"code": code}
        if message is not None:
            self.error.update(message=message, details=details)


class Session:
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

    # --- changes ---

    def note(self, at, what, who=None, **mark):
        entry, giver = Entry(at, what, who, mark), self.holder
        if what != "delete":
            self.burn(at)
        self.move(entry, giver)
        self.known = {}
        self.history.append(entry)
        self.read(entry)

    def change(self, kind, about=None, expired=None, reason=""):
        at = self.history[-1].at
        left, used = -1, -1
        if kind != "session_deleted" and (about is not None or self.mode in WHOLE):
            left = self.left(about, self.touched)
            left = -1 if left is None else left
            used = self.running(at) if about is None else self.used(about, at)
        return {
            "type": kind,
            "reason": reason,
            "version": self.version,
            "at": at,
            "participant": self.name(about),
            "expired": self.name(expired),
            "remaining_ms": left,
            "elapsed_ms": used,
        }

    def expire(self, at, now):
        """The running clock has reached zero at `at`."""
        who, kind = self.holder, self.policy["type"]
        mark = {"expired": None if self.mode in WHOLE else who, "applied": kind, "committed": now}
        if self.mode in WHOLE or kind == "end_session":
            self.note(at, "expired", **mark)
            return self.change("session_expired", who, mark["expired"], "timeout")
        if kind == "eliminate":
            gone = self.group_of(who)[2] if self.mode == "per_group" else [who]
            mark["out"] = [k for k in gone if not self.is_out(k)]
        elif kind != "skip_cycle" and not self.advances:
            self.note(at, "expire", **mark)
            return self.change("participant_expired", who, who, "timeout")
        return self.advance(at, who, mark)

    def advance(self, at, who, mark):
        """A hand-over that nobody asked for."""
        rest = self.after(who, mark.get("out", ()))
        if "out" in mark and len(rest) == 1:
            winner = rest if self.mode != "per_group" else \
                self.order(self.group_of(rest[0])[2], mark["out"])
            self.note(at, "done", reason="last_one_left",
                      winner=winner[0] if len(winner) == 1 else None, **mark)
            return self.change("session_completed", who, who, "timeout")
        if self.mode != "per_cycle":
            rest = [k for k in rest if self.left(k, at) > 0]
        if not rest:
            self.note(at, "expired", **mark)
            return self.change("session_expired", who, who, "timeout")
        if self.is_last_cycle():
            self.note(at, "done", reason="cycles_done", **mark)
            return self.change("session_completed", who, who, "timeout")
        self.note(at, "turn", rest[0], **mark)
        return self.change("cycle_switched", who, who, "timeout")

    def is_last_cycle(self):
        return self.mode == "per_cycle" and self.max_cycles is not None and \
            self.cycles() >= self.max_cycles

    def settle(self, now):
        """Everything due at `now`, one after the other; returns the changes."""
        done, now = [], max(now, self.touched)
        while not self.deleted:
            deadline = self.deadline()
            if deadline is not None and deadline <= now:
                done.append(self.expire(deadline, now))
            elif self.last_resort() <= now:
                self.note(self.last_resort(), "delete")
                self.deleted = True
                done.append(self.change("session_deleted", reason="idle"))
            else:
                break
        return done

    def guard(self, what, version, current):
        if version and version != self.version:
            raise Refused("CONFLICT", RACE,
                          {"expected_version": version, "actual_version": self.version})
        if what != "switch" or current is None:
            return
        active = self.name(self.holder)
        if active is None or active.lower() != current.lower():
            raise Refused("CONFLICT", RACE, {"current_participant_id": current,
                                             "active_participant_id": active})

    def grace(self, now):
        """A switch just after a timed hand-over was meant for the turn that is over."""
        timed = [e for e in self.history if e.what == "turn" and "applied" in e.mark]
        if timed and now - timed[-1].mark["committed"] < GRACE:
            raise Refused("CONFLICT", RACE, {"active_participant_id": self.name(self.holder)})

    def command(self, what, now, version=0, current=None, nxt=None, **more):
        """Returns the change, None when nothing changed, or raises Refused."""
        self.guard(what, version, current)
        live = ("pending", "running", "paused")
        legal = {"start": ("pending",), "switch": ("running",), "pause": ("running",),
                 "resume": ("paused",), "cancel": live, "add": live, "adjust": live, "remove": live}
        status = self.status
        if what in legal and status not in legal[what]:
            raise Refused("INVALID_STATE_TRANSITION",
                          REFUSALS[what].format(self.body["session_id"], status))
        if what == "switch" and not version and current is None:
            self.grace(now)
        return getattr(self, "do_" + what)(max(now, self.touched), nxt, **more)

    def do_start(self, now, _):
        who = self.first()
        self.note(now, "start", who)
        return self.change("session_started", who)

    def do_switch(self, now, nxt):
        who = self.holder
        to = None if nxt is None else self.place_of(nxt)
        if nxt is not None and (to is None or self.is_out(to)):
            raise Refused("VALIDATION_ERROR", "Participant %s not found in session" % nxt)
        if nxt is None and who is not None:
            to = self.after(who)[0]
        spent = who if self.mode not in WHOLE and self.left(who, now) == 0 else None
        if self.is_last_cycle():
            self.note(now, "done", reason="cycles_done")
            return self.change("session_completed", who, spent, "cycles_done")
        self.note(now, "turn", to)
        return self.change("cycle_switched", who, spent)

    def do_pause(self, now, _):
        self.note(now, "pause")
        return self.change("session_paused", self.holder)

    def do_resume(self, now, _):
        self.note(now, "resume")
        return self.change("session_resumed", self.holder)

    def do_complete(self, now, _):
        if self.is_over:
            return None
        who = self.holder
        self.note(now, "complete", reason="completed")
        return self.change("session_completed", who, reason="completed")

    def do_cancel(self, now, _):
        who = self.holder
        self.note(now, "cancel", reason="cancelled")
        return self.change("session_cancelled", who, reason="cancelled")

    def do_remove(self, now, who):
        place = self.place_of(who)
        if place is None:
            raise Refused("NOT_FOUND", "Participant %s not found in session" % who)
        if self.is_out(place):
            return None
        if place == self.holder:
            raise Refused("CONFLICT", "The active participant cannot be removed",
                          {"active_participant_id": self.name(place)})
        if len(self.order()) == 1:
            raise Refused("CONFLICT", "The last participant cannot be removed")
        self.note(now, "remove", out=[place])
        return self.change("participant_removed", place)

    def do_add(self, now, _, newcomer):
        """`newcomer` as in the body of create, but for the index, which need not be there."""
        if not self.people:
            raise Refused("VALIDATION_ERROR")  # made without participants
        if self.place_of(newcomer["participant_id"]) is not None:
            raise Refused("VALIDATION_ERROR")  # is there already
        if self.body.get("time_control", {}).get("type") == "hourglass":
            raise Refused("VALIDATION_ERROR")  # an hourglass has two sides
        highest = max(p["participant_index"] for p in self.people)
        if "participant_index" not in newcomer and highest == INDEX_MAX:
            raise Refused("VALIDATION_ERROR")  # nothing comes behind it
        self.note(now, "add", newcomer={"participant_index": highest + 1, **newcomer})
        return self.change("participant_added", len(self.people) - 1)

    def do_adjust(self, now, who, set_ms=None, add_ms=None):
        place = self.place_of(who)
        if place is None:
            raise Refused("NOT_FOUND", "Participant %s not found in session" % who)
        if self.mode == "count_up" or self.mode == "per_cycle" and place != self.holder:
            raise Refused("VALIDATION_ERROR")  # has no clock that could be moved
        clock = self.clock(self.clock_at(place), now)
        by = add_ms if set_ms is None else set_ms - clock.bank
        if not 0 <= clock.bank + by <= DAY:
            raise Refused("VALIDATION_ERROR")  # 0 to one day
        runs = self.status == "running" and self.clock_at(place) == self.clock_at(self.holder)
        had = clock.can_run()
        after = clock.then(0)
        after.correct(by)
        self.note(now, "adjust", place, by=by, emptied=runs and had > 0 and after.can_run() == 0)
        return self.change("participant_adjusted", place)

    def do_delete(self, now, _):
        self.note(now, "delete")
        self.deleted = True
        return self.change("session_deleted")

    def recover(self, gap_from):
        """The store was away since `gap_from`: running sessions stand still from there."""
        if self.status != "running":
            return None
        self.note(max(gap_from, self.touched), "pause")
        return self.change("session_paused", self.holder, reason="recovery")

    # --- what clients see ---

    def seen(self, now):
        """The instant for which clocks are shown."""
        return max(now, self.touched) if self.status == "running" else self.touched

    def participant(self, place, now):
        p = self.people[place]
        touched = self.touched
        own = self.clocks[place] if self.mode == "per_participant" else None
        out = {
            "participant_id": p["participant_id"],
            "participant_index": p["participant_index"],
            "total_time_ms": own.bank if own else p["total_time_ms"],
            "time_used_ms": self.used(place, touched),
            "cycle_count": self.hand_overs(place),
            "is_active": self.holder == place,
            "has_expired": self.has_expired(place),
            "allotted_ms": own.allotted if own else p["total_time_ms"],
        }
        if self.mode == "per_cycle":
            out["time_remaining_ms"] = p["total_time_ms"]
        elif self.mode != "count_up":
            out["time_remaining_ms"] = self.left(place, self.seen(now))
        if own:
            out.update(self.clock(place, self.seen(now)).counters())
        if self.mode == "per_group":
            out["group_id"] = self.group_of(place)[0]
        elif p.get("group_id"):
            out["group_id"] = p["group_id"]
        if self.is_out(place):
            out["out"] = self.is_out(place)
        return out

    def group(self, g, now):
        k = self.groups.index(g)
        clock = self.clocks[k]
        return {
            "group_id": g[0],
            "total_time_ms": clock.bank,
            "allotted_ms": clock.allotted,
            "time_used_ms": sum(self.used(k, self.touched) for k in g[2]),
            "time_remaining_ms": self.clock(k, self.seen(now)).bank,
            "has_expired": clock.bank == 0,
            "members": [self.name(k) for k in g[2]],
        }

    def cycle_started(self):
        """Since when the open turn has to be counted."""
        if self.status != "running":
            return None
        return self.last("start", "turn", "resume", "expire", "add", "adjust", "remove").at

    def last_timeout(self):
        for at in range(len(self.history) - 1, -1, -1):
            entry = self.history[at]
            if "applied" not in entry.mark:
                continue
            out = {"version": at + 1, "at": iso(entry.at), "action_applied": entry.mark["applied"]}
            who = entry.mark["expired"]
            if who is not None:
                if self.mode == "per_group":
                    out["expired_group_id"] = self.group_of(who)[0]
                out["expired_participant_id"] = self.name(who)
            out.update({k: self.policy[k] for k in ("action", "penalty") if k in self.policy})
            return out
        return None

    def result(self):
        end = self.last(*ENDS)
        if end is None:
            return None
        out = {"reason": end.mark.get("reason", "timeout")}
        who, winner = end.mark.get("expired"), end.mark.get("winner")
        if who is not None:
            out["expired_participant_id"] = self.name(who)
        if end.what == "expired":
            winner = self.named_winner(who)
        if winner is not None:
            out["winner_participant_id"] = self.name(winner)
        if end.what == "expired" and "outcome" in self.policy:
            out["outcome"] = self.policy["outcome"]
        return out

    def named_winner(self, loser):
        if "winner_participant_id" in self.policy:
            return self.place_of(self.policy["winner_participant_id"])
        two = self.order()
        if self.policy["type"] == "end_session" and self.mode not in WHOLE and len(two) == 2:
            return two[0] if two[1] == loser else two[1]
        return None

    def cycles(self):
        return len(self.turns)

    def whole(self, now):
        """The members that only some modes have."""
        seen = self.seen(now)
        out = {}
        if self.mode in WHOLE and not self.people:
            out["time_used_ms"] = self.running(self.touched)
        if self.mode == "count_up":
            out["time_elapsed_ms"] = self.running(seen)
        if self.mode in WHOLE + ("per_cycle",) and self.left(None, seen) is not None:
            out["time_remaining_ms"] = self.left(None, seen)
        if self.mode == "global":
            out["allotted_ms"] = self.clocks[0].allotted
            out["total_time_ms"] = self.clocks[0].bank
        if self.mode == "per_group":
            out["groups"] = [self.group(g, now) for g in self.groups]
            out["active_group_id"] = None if self.holder is None else self.group_of(self.holder)[0]
        return out

    def state(self, now):
        b = self.body
        started, ended = self.last("start"), self.last(*ENDS)
        out = {
            "session_id": b["session_id"],
            "sync_mode": self.mode,
            "status": self.status,
            "version": self.version,
            "participants": [self.participant(k, now) for k in range(len(self.people))],
            "active_participant_id": self.name(self.holder),
            "total_time_ms": b.get("total_time_ms", 0),
            "time_per_cycle_ms": b.get("time_per_cycle_ms"),
            "cycle_started_at": iso(self.cycle_started()),
            "session_started_at": iso(started and started.at),
            "session_completed_at": iso(ended and ended.at),
            "increment_ms": b["increment_ms"],
            "created_at": iso(self.history[0].at),
            "updated_at": iso(self.touched),
            "cycle_number": self.cycles(),
            "paused_at": iso(self.last("pause").at) if self.status == "paused" else None,
            "paused_total_ms": self.paused(self.touched),
            "auto_advance": self.advances,
            "warn_at_ms": self.warn_at,
            "epoch": b["epoch"],
            "server_time": iso(now),
        }
        optional = {
            "max_time_ms": b.get("max_time_ms"),
            "time_control": b.get("time_control"),
            "max_cycles": self.max_cycles,
            "action_on_timeout": self.policy if "action_on_timeout" in b else None,
            "last_timeout": self.last_timeout(),
            "deadline_at": iso(self.deadline()),
            "result": self.result(),
            "metadata": b.get("metadata"),
            "owner": b.get("owner"),
        }
        out.update(self.whole(now))
        out.update({k: v for k, v in optional.items() if v is not None})
        return out

    def switch_answer(self, now, expired):
        full = self.state(now)
        keys = ("session_id", "active_participant_id", "cycle_started_at", "participants",
                "status", "version", "cycle_number", "epoch", "server_time")
        out = {k: full[k] for k in keys}
        if expired is not None:
            out["expired_participant_id"] = expired
        return out
