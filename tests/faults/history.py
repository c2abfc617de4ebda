"""What every client was told (a history is what the crowd wrote down, see crowd.h), and what was recorded."""

import collections
import sys

COMMANDS = {
    "C": "session_created",
    "B": "session_started",
    "S": "cycle_switched",
    "P": "session_paused",
    "R": "session_resumed",
    "F": "session_completed",
    "D": "session_deleted",
}
# Answers after which the client does not know whether it happened.
DOUBT = {"-", "WORKER_UNAVAILABLE", "OUTCOME_UNKNOWN"}
# The state that a session is in after it, where that is sure.
STATES = {
    "session_created": "pending",
    "session_started": "running",
    "cycle_switched": "running",
    "session_resumed": "running",
    "session_paused": "paused",
    "session_completed": "completed",
}

Answer = collections.namedtuple(
    "Answer", "sent at player session op key given status code retry epoch version state cycle"
)
Shown = collections.namedtuple("Shown", "at kind epoch version state cycle")
Record = collections.namedtuple("Record", "epoch version event reason")
State = collections.namedtuple("State", "epoch version status")


class Socket:
    """One connection of a watcher: what it showed, and from when to when."""

    def __init__(self, watcher, session, opened):
        self.watcher, self.session, self.opened = watcher, session, opened
        self.closed = None
        self.shown = []


class History:
    """uuids, kinds   by session
    answers       in the order of their arrival
    sockets       in the order in which they were opened
    refused       [(watcher, status, whether it had Retry-After)], of handshakes"""

    def __init__(self, lines):
        self.uuids, self.kinds = {}, {}
        self.answers, self.sockets, self.refused = [], [], []
        epochs, last = {-1: None}, {}
        for line in lines:
            f = line.split()
            if f[0] == "W":
                shown = Shown(int(f[1]), f[3], epochs[int(f[4])], int(f[5]), f[6], int(f[7]))
                last[f[2]].shown.append(shown)
            elif f[0] == "A":
                sent, at, player, session = map(int, f[1:5])
                key = None if f[6] == "-" else f[6]
                given, status, retry = int(f[7]), int(f[8]), f[10] == "1"
                told = epochs[int(f[11])], int(f[12]), f[13], int(f[14])
                self.answers.append(Answer(sent, at, player, session, f[5], key, given, status, sys.intern(f[9]), retry, *told))
            elif f[0] == "E":
                epochs[int(f[1])] = sys.intern(f[3])
            elif f[0] == "O":
                last[f[2]] = Socket(int(f[2]), int(f[3]), int(f[1]))
                self.sockets.append(last[f[2]])
            elif f[0] == "H":
                self.refused.append((int(f[2]), int(f[3]), f[4] == "1"))
            elif f[0] == "X":
                last[f[2]].closed = int(f[1])
            elif f[0] == "S":
                self.uuids[int(f[1])], self.kinds[int(f[1])] = f[2], f[3]
            else:
                raise ValueError(line)

    def commands(self):
        return [a for a in self.answers if a.op != "G"]

    def done(self):
        """Commands that were answered 2xx."""
        return [a for a in self.commands() if 200 <= a.status < 300]

    def doubts(self):
        return [a for a in self.commands() if a.status == 0 or (a.status == 503 and a.code in DOUBT)]


def birth(epoch):
    """What is common to the epochs of one session from its creation to its deletion."""
    return epoch.split(".")[0]


class Trail:
    """The audit records of one session: what is in effect (`alive`), and what was replaced under a
    later epoch because Redis had lost it (`replaced`)."""

    def __init__(self, name, records):
        self.faults = []
        self.records = {}
        for r in records:
            if (r.epoch, r.version) in self.records:
                self.faults.append(f"{name}: recorded twice: {r.epoch} {r.version}")
            self.records[r.epoch, r.version] = r
        self.blocks = collections.OrderedDict()
        for epoch, version in sorted(self.records):
            self.blocks.setdefault(epoch, []).append(version)
        self.alive, self.replaced = {}, set()
        self.of_birth = {}  # what is in effect of each session that had the name
        before = None
        for epoch, versions in self.blocks.items():
            missing = sorted(set(range(versions[0], versions[-1] + 1)) - set(versions))
            if missing:
                self.faults.append(f"{name}: not recorded: {epoch} {missing[:5]}")
            self._follow(name, before, epoch, versions[0])
            self.alive.update({v: epoch for v in versions})
            self.of_birth[birth(epoch)] = self.alive
            before = epoch

    def _follow(self, name, before, epoch, first):
        """A later epoch replaces the versions from its first one on."""
        if before is None or birth(before) != birth(epoch):
            if first != 1 or self.records[epoch, 1].event != "session_created":
                self.faults.append(f"{name}: {epoch} begins with version {first}")
            if before and self.records[before, self.blocks[before][-1]].event != "session_deleted":
                self.faults.append(f"{name}: {before} was not deleted before {epoch} was created")
            self.alive = {}
            return
        if first > max(self.alive) + 1:
            self.faults.append(f"{name}: not recorded: {epoch} {max(self.alive) + 1} to {first - 1}")
        for v in [v for v in self.alive if v >= first]:
            self.replaced.add((self.alive.pop(v), v))

    @property
    def newest(self):
        """The last record in effect; None without records."""
        return self.records[self.alive[max(self.alive)], max(self.alive)] if self.alive else None
