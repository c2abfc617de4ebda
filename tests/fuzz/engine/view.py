"""What clients see of a session at some instant."""

from datetime import datetime, timedelta
from functools import lru_cache

from history import ENDS, WHOLE, History

EPOCH = datetime(1970, 1, 1)


@lru_cache(1000)
def iso(ms):
    """Epoch ms as clients read it."""
    if ms is None:
        return None
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds") + "Z"


class View(History):
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
