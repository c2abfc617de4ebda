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

from history import DAY, WHOLE
from view import View

GRACE = 300
INDEX_MAX = 2 ** 53 - 1
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


class Refused(Exception):
    """Without a message the words are the engine's."""

    def __init__(self, code, message=None, details=None):
        super().__init__(message)
        self.error = {"code": code}
        if message is not None:
            self.error.update(message=message, details=details)


class Session(View):
    """What happens to a session; its history is all that ever changes."""

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
