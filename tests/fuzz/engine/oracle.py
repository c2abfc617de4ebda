"""A second opinion on what a sync session is: slow, and built another way than the engine.

The engine keeps running totals and moves them forward at each change. This oracle keeps nothing
but the history, a list of (instant, what, who), and works every figure out anew from it:

  used time   the length of all stretches in which somebody held the turn and no pause was on
  bank        allotted + increment x hand-overs that granted one - used, and once at zero, zero
  deadline    the instant at which the used time of the one on turn reaches the allowance

Written from the specification of sessions, before the driver that it is compared with.
"""

from datetime import datetime, timedelta, timezone

DAY = 24 * 3600 * 1000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

REFUSALS = {
    "start": "Session {} cannot be started (current status: {})",
    "switch": "Session {} not running (current status: {})",
    "pause": "Session {} cannot be paused (current status: {})",
    "resume": "Session {} cannot be resumed (current status: {})",
}
RACE = "Concurrent modification detected, please retry"


def iso(ms):
    """Epoch ms as clients read it."""
    if ms is None:
        return None
    t = EPOCH + timedelta(milliseconds=ms)
    return t.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ms % 1000)


class Refused(Exception):
    def __init__(self, code, message, details=None):
        super().__init__(message)
        self.error = {"code": code, "message": message, "details": details}


class Session:
    """One session; `history` is all that ever changes."""

    def __init__(self, body, now, ended_ttl):
        self.body = body
        self.people = body["participants"]
        self.ended_ttl = ended_ttl
        self.history = [(now, "create", None)]
        self.deleted = False

    # --- reading the history ---

    def last(self, *kinds):
        """The newest entry of one of these kinds, or None."""
        for entry in reversed(self.history):
            if entry[1] in kinds:
                return entry
        return None

    @property
    def status(self):
        what = self.last("create", "start", "pause", "resume", "complete")[1]
        return {"create": "pending", "start": "running", "pause": "paused",
                "resume": "running", "complete": "completed"}[what]

    @property
    def version(self):
        return len(self.history)

    @property
    def holder(self):
        """Whose turn it is (place), or None."""
        if self.status in ("pending", "completed"):
            return None
        return self.last("start", "turn")[2]

    @property
    def touched(self):
        """The instant of the newest change; deleting touches nothing."""
        return [e for e in self.history if e[1] != "delete"][-1][0]

    def stretches(self, until):
        """(from, to, who, what ended it) for each stretch of a turn; who None: a pause."""
        out = []
        since, who, on = None, None, None
        for at, what, place in self.history:
            if what in ("expire", "create", "delete"):
                continue
            if since is not None:
                out.append((since, at, on, what))
            if what in ("start", "turn"):
                who = place
            on = None if what == "pause" else who
            since = None if what == "complete" else at
        if since is not None and until > since:
            out.append((since, until, on, "still open"))
        return out

    def used(self, place, until):
        return sum(b - a for a, b, who, _ in self.stretches(until) if who == place)

    def paused(self, until):
        return sum(b - a for a, b, who, _ in self.stretches(until) if who is None)

    def hand_overs(self, place):
        """How often this one gave the turn away."""
        return len([1 for _, _, who, end in self.stretches(0) if who == place and end == "turn"])

    def bank(self, place, until):
        allowance = self.people[place]["total_time_ms"]
        spent = 0
        for a, b, who, end in self.stretches(until):
            if who != place:
                continue
            spent += b - a
            if spent >= allowance:
                return 0
            if end == "turn":
                allowance += self.body["increment_ms"]
        return allowance - spent

    def is_empty(self, place):
        """Found at zero by a change that has been made."""
        return self.bank(place, self.touched) == 0

    def deadline(self):
        if self.status != "running":
            return None
        place = self.holder
        if self.is_empty(place):
            return None
        begun = self.last("start", "turn", "resume")[0]
        return begun + self.bank(place, begun)

    def last_resort(self):
        if self.status == "completed":
            return self.last("complete")[0] + self.ended_ttl
        return (self.deadline() or self.touched) + DAY

    # --- order of turns ---

    def order(self):
        able = [k for k, p in enumerate(self.people) if not p.get("out")]
        return sorted(able, key=lambda k: (self.people[k]["participant_index"], k))

    def following(self):
        order = self.order()
        return order[(order.index(self.holder) + 1) % len(order)]

    def place_of(self, participant_id):
        for k, p in enumerate(self.people):
            if p["participant_id"].lower() == participant_id.lower():
                return k
        return None

    def name(self, place):
        return None if place is None else self.people[place]["participant_id"]

    # --- changes ---

    def note(self, at, what, who=None):
        self.history.append((at, what, who))

    def change(self, kind, about=None, expired=None, reason=""):
        at = self.history[-1][0]
        return {
            "type": kind,
            "reason": reason,
            "version": self.version,
            "at": at,
            "participant": self.name(about),
            "expired": self.name(expired),
            "remaining_ms": -1 if about is None else self.bank(about, self.touched),
            "elapsed_ms": -1 if about is None else self.used(about, at),
        }

    def settle(self, now):
        """Everything due at `now`, one after the other; returns the changes."""
        done = []
        while not self.deleted:
            deadline = self.deadline()
            if deadline is not None and deadline <= now:
                who = self.holder
                self.note(deadline, "expire", who)
                done.append(self.change("participant_expired", who, who, "timeout"))
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

    def command(self, what, now, version=0, current=None, nxt=None):
        """Returns the change, None when nothing changed, or raises Refused."""
        self.guard(what, version, current)
        legal = {"start": ("pending",), "switch": ("running",), "pause": ("running",),
                 "resume": ("paused",)}
        status = self.status
        if what in legal and status not in legal[what]:
            raise Refused("INVALID_STATE_TRANSITION",
                          REFUSALS[what].format(self.body["session_id"], status))
        return getattr(self, "do_" + what)(max(now, self.touched), nxt)

    def do_start(self, now, _):
        who = self.order()[0]
        self.note(now, "start", who)
        return self.change("session_started", who)

    def do_switch(self, now, nxt):
        who = self.holder
        to = self.following() if nxt is None else self.place_of(nxt)
        if to is None or self.people[to].get("out"):
            raise Refused("VALIDATION_ERROR", "Participant %s not found in session" % nxt)
        out_of_time = self.bank(who, now) == 0
        self.note(now, "turn", to)
        return self.change("cycle_switched", who, who if out_of_time else None)

    def do_pause(self, now, _):
        self.note(now, "pause")
        return self.change("session_paused", self.holder)

    def do_resume(self, now, _):
        self.note(now, "resume")
        return self.change("session_resumed", self.holder)

    def do_complete(self, now, _):
        if self.status == "completed":
            return None
        who = self.holder
        self.note(now, "complete")
        return self.change("session_completed", who, reason="completed")

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

    def participant(self, place, now):
        p = self.people[place]
        touched = self.touched
        active = self.holder == place
        seen = max(now, touched) if active and self.status == "running" else touched
        out = {
            "participant_id": p["participant_id"],
            "participant_index": p["participant_index"],
            "total_time_ms": self.bank(place, touched),
            "time_used_ms": self.used(place, touched),
            "time_remaining_ms": self.bank(place, seen),
            "cycle_count": self.hand_overs(place),
            "is_active": active,
            "has_expired": self.bank(place, touched) == 0,
            "allotted_ms": p["total_time_ms"],
        }
        if p.get("group_id"):
            out["group_id"] = p["group_id"]
        if p.get("out"):
            out["out"] = p["out"]
        return out

    def cycle_started(self):
        """Since when the open turn has to be counted."""
        if self.status != "running":
            return None
        return self.last("start", "turn", "resume", "expire")[0]

    def last_timeout(self):
        entry = self.last("expire")
        if entry is None:
            return None
        return {
            "version": max(i for i, e in enumerate(self.history) if e == entry) + 1,
            "at": iso(entry[0]),
            "expired_participant_id": self.name(entry[2]),
            "action_applied": "notify",
        }

    def cycles(self):
        return len([e for e in self.history if e[1] in ("start", "turn")])

    def state(self, now):
        b = self.body
        started, ended = self.last("start"), self.last("complete")
        out = {
            "session_id": b["session_id"],
            "sync_mode": "per_participant",
            "status": self.status,
            "version": self.version,
            "participants": [self.participant(k, now) for k in range(len(self.people))],
            "active_participant_id": self.name(self.holder),
            "total_time_ms": b["total_time_ms"],
            "time_per_cycle_ms": b.get("time_per_cycle_ms"),
            "cycle_started_at": iso(self.cycle_started()),
            "session_started_at": iso(started and started[0]),
            "session_completed_at": iso(ended and ended[0]),
            "increment_ms": b["increment_ms"],
            "created_at": iso(self.history[0][0]),
            "updated_at": iso(self.touched),
            "cycle_number": self.cycles(),
            "paused_at": iso(self.last("pause")[0]) if self.status == "paused" else None,
            "paused_total_ms": self.paused(self.touched),
            "epoch": b["epoch"],
            "server_time": iso(now),
        }
        optional = {
            "max_time_ms": b.get("max_time_ms"),
            "last_timeout": self.last_timeout(),
            "deadline_at": iso(self.deadline()),
            "result": {"reason": "completed"} if self.status == "completed" else None,
            "metadata": b.get("metadata"),
            "owner": b.get("owner"),
        }
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
