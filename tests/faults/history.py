"""What every client was told, and whether it is true: the judge of the fault tests.

A history is what the crowd wrote down (crowd.h). It is held against the audit records in PostgreSQL
and the final states, and each broken promise becomes a sentence in the list that `judge` returns.
"""

import bisect
import collections
import os
import re

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
# Reasons of changes that nobody sent a command for.
BY_ITSELF = {"timeout", "recovery", "idle", "all_gone"}
FRESH_US = int(2_000_000 * max(1, float(os.environ.get("SLOW", "1"))))

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
    sockets       in the order in which they were opened"""

    def __init__(self, lines):
        self.uuids, self.kinds = {}, {}
        self.answers, self.sockets = [], []
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
                self.answers.append(Answer(sent, at, player, session, f[5], key, given, status, f[9], retry, *told))
            elif f[0] == "E":
                epochs[int(f[1])] = f[3]
            elif f[0] == "O":
                last[f[2]] = Socket(int(f[2]), int(f[3]), int(f[1]))
                self.sockets.append(last[f[2]])
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
        before = None
        for epoch, versions in self.blocks.items():
            missing = sorted(set(range(versions[0], versions[-1] + 1)) - set(versions))
            if missing:
                self.faults.append(f"{name}: not recorded: {epoch} {missing[:5]}")
            self._follow(name, before, epoch, versions[0])
            self.alive.update({v: epoch for v in versions})
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


class Judgement:
    """Everything that is checked about one run.

    records     uuid -> [Record], all that PostgreSQL has
    final       uuid -> State, or None where there is no session any more
    back        when the service was whole again, us; None: it was never away
    may_lose    Redis was made to forget the newest changes
    counted     changes that the broadcasters say were lost
    skips       times that the broadcasters say they skipped for a slow client
    """

    def __init__(self, history, records, final, back=None, may_lose=False, counted=0, skips=0):
        self.history, self.final, self.may_lose = history, final, may_lose
        self.counted, self.skips = counted, skips
        self.back = back or 0
        self.faults = []
        self.lost = 0  # answered, and not in effect any more
        self.trails = {}
        for n, uuid in history.uuids.items():
            self.trails[n] = Trail(uuid, records.get(uuid, []))

    def blame(self, sentence):
        self.faults.append(sentence)

    def all(self):
        """Run every check; the list of what is wrong, at most 40 sentences."""
        for check in (
            self.records_are_whole,
            self.answers_make_sense,
            self.reads_do_not_go_back,
            self.answered_is_in_effect,
            self.nothing_happened_by_itself,
            self.what_was_shown_is_true,
            self.versions_follow_each_other,
            self.everybody_is_told_in_time,
            self.everybody_holds_the_truth_at_the_end,
            self.service_is_back_in_time,
        ):
            check()
        return self.faults[:40]

    # --- records, answers ---

    def records_are_whole(self):
        for n, trail in self.trails.items():
            # What Redis has forgotten, it has forgotten with its records.
            self.faults += [f for f in trail.faults if not (self.may_lose and "was not deleted before" in f)]
            if trail.replaced and not self.may_lose:
                self.blame(f"{self.history.uuids[n]}: replaced, and nothing was lost: {sorted(trail.replaced)[:3]}")
            self._final_is_recorded(n, trail)

    def _final_is_recorded(self, n, trail):
        uuid, newest = self.history.uuids[n], trail.newest
        final = self.final[uuid]
        if newest is None:
            if final is not None:
                self.blame(f"{uuid}: lives with {final} and has no record")
        elif final is None:
            if newest.event != "session_deleted":
                self.blame(f"{uuid}: is gone, its last record is {newest}")
        elif final.version != newest.version or final.epoch < newest.epoch:
            self.blame(f"{uuid}: ends as {final}, its last record is {newest}")

    def answers_make_sense(self):
        for a in self.history.answers:
            if a.status == 503 and not a.retry:
                self.blame(f"503 without Retry-After: {a}")
            elif a.status not in (0, 200, 201, 204, 404, 409, 503):
                if not (a.status == 400 and a.op in "SRPB"):
                    self.blame(f"an answer that makes no sense: {a}")

    def reads_do_not_go_back(self):
        """What is asked after somebody was answered is answered with that state or a later one."""
        seen, by_session = set(), collections.defaultdict(list)
        for a in self.history.answers:
            repeated = a.key and (a.player, a.key) in seen
            seen.add((a.player, a.key))
            if not repeated:
                by_session[a.session].append(a)
        for n, answers in by_session.items():
            told = iter(sorted((a for a in answers if a.epoch), key=lambda a: a.at))
            last, newest = next(told, None), None
            for a in sorted(answers, key=lambda a: a.sent):
                while last and last.at < a.sent:
                    newest = max(newest or ("", 0), (last.epoch, last.version))
                    last = next(told, None)
                if a.epoch and newest and (a.epoch, a.version) < newest:
                    self.blame(f"after {newest} was told: {a}")
                elif a.status == 404 and newest and self.history.kinds[n] != "c" and not self.may_lose:
                    self.blame(f"nobody deleted it: {a}")

    def _epoch_now(self, session):
        state = self.final[self.history.uuids[session]]
        newest = self.trails[session].newest
        return state.epoch if state else newest.epoch if newest else ""

    def answered_is_in_effect(self):
        given_out = collections.Counter()
        for a in self.history.done():
            trail = self.trails[a.session]
            if a.op == "D":
                self._deletion_is_in_effect(a, trail)
                continue
            given_out[a.session, a.epoch, a.version] += a.op != "C"
            record = trail.records.get((a.epoch, a.version))
            if record and record.event != COMMANDS[a.op]:
                self.blame(f"recorded as {record}: {a}")
            if record and (a.epoch, a.version) not in trail.replaced:
                continue
            if not self.may_lose:
                self.blame(f"answered and not in effect: {a}")
            elif a.epoch >= self._epoch_now(a.session):
                self.blame(f"answered, lost and not replaced under a new epoch: {a}")
            else:
                self.lost += 1
        for told, times in given_out.items():
            if times > 1:
                self.blame(f"a version was given to {times} commands: {told}")
        if self.lost > self.counted:
            self.blame(f"{self.lost} answered changes were lost, {self.counted} were counted")
        if self.counted and not self.may_lose:
            self.blame(f"{self.counted} changes were counted as lost, and nothing was")

    def _deletion_is_in_effect(self, a, trail):
        versions = [v for (_, v), r in trail.records.items() if r.event == "session_deleted"]
        if a.given + 1 not in versions and not self.may_lose:
            self.blame(f"answered and not in effect: {a}")

    def nothing_happened_by_itself(self):
        """Each recorded change was asked for, once."""
        asked = {(a.session, a.epoch, a.version) for a in self.history.done()}
        doubts = {(a.session, a.op, a.given) for a in self.history.doubts() if not a.key}
        doubts |= {(a.session, "D", a.given) for a in self.history.done() if a.op == "D"}
        ops = {event: op for op, event in COMMANDS.items()}
        for n, trail in self.trails.items():
            for (epoch, version), r in trail.records.items():
                if (n, epoch, version) in asked or r.reason in BY_ITSELF:
                    continue
                op = ops.get(r.event)
                if (n, op, version - 1) in doubts or (op == "C" and any(d[:2] == (n, "C") for d in doubts)):
                    continue
                if (epoch, version) not in trail.replaced:
                    self.blame(f"{self.history.uuids[n]}: nobody was told of {r}, and nobody was left in doubt")

    # --- what watchers saw ---

    def what_was_shown_is_true(self):
        cycles = {(a.session, a.epoch, a.version): a.cycle for a in self.history.answers if a.cycle >= 0}
        for socket in self.history.sockets:
            trail = self.trails[socket.session]
            for m in socket.shown:
                if m.epoch is None or m.version < 0 or m.kind == "l":
                    continue
                if m.cycle >= 0 and cycles.setdefault((socket.session, m.epoch, m.version), m.cycle) != m.cycle:
                    self.blame(f"two states under one version: {socket.watcher} {m}")
                if not self._is_true(trail, m):
                    self.blame(f"watcher {socket.watcher} was shown what never was: {m}")
                    break
        for a in self.history.answers:
            if a.op == "G" and a.epoch and not self._is_true(self.trails[a.session], a):
                self.blame(f"what never was: {a}")

    def _is_true(self, trail, m):
        if (m.epoch, m.version) in trail.records:
            return True
        before = trail.alive.get(m.version)
        if before and birth(before) == birth(m.epoch) and before <= m.epoch:
            return True  # a later life, in which nothing has changed yet
        return self.may_lose and (not trail.alive or m.epoch <= max(trail.alive.values()))

    def versions_follow_each_other(self):
        held, skipped = {}, 0
        for socket in self.history.sockets:
            last = held.get(socket.watcher)
            fresh = True
            for m in socket.shown:
                if m.kind in "ln":
                    continue
                key = (m.epoch, m.version)
                if last and (key < last or (key == last and not fresh)):
                    self.blame(f"watcher {socket.watcher} of {self.history.kinds[socket.session]}: after {last} came {m}")
                if m.kind in "ud" and last and not fresh and key != (last[0], last[1] + 1) and m.version != 1:
                    skipped += 1
                    if m.kind == "d" or self.skips == 0:
                        self.blame(f"watcher {socket.watcher}: after {last} came {m}")
                last, fresh = key, False
            held[socket.watcher] = last
        if skipped > self.skips:
            self.blame(f"{skipped} versions were skipped, the broadcasters know of {self.skips}")

    def _told(self):
        """session -> ([when], [newest state that somebody was told by then]), since it was back."""
        told = {}
        for a in self.history.answers:
            if a.sent < self.back or a.epoch is None:
                continue
            times, keys = told.setdefault(a.session, ([], []))
            key = (a.epoch, a.version)
            if not keys or key > keys[-1]:
                times.append(a.at)
                keys.append(key)
        return told

    def everybody_is_told_in_time(self):
        told = self._told()
        late = collections.Counter()
        for socket in self.history.sockets:
            times, keys = told.get(socket.session, ([], []))
            for at, key in zip(times, keys):
                due = max(at, self.back, socket.opened) + FRESH_US
                if due > (socket.closed or self.history.answers[-1].at):
                    break
                if self._held(socket, due) < key:
                    late[socket.watcher] += 1
                    if late[socket.watcher] == 1:
                        self.blame(f"watcher {socket.watcher} did not know of {key} 2 s after {at}: {self._held(socket, due)}")

    def _held(self, socket, at):
        if not hasattr(socket, "times"):
            shown = [m for m in socket.shown if m.epoch is not None]
            socket.times = [m.at for m in shown]
            socket.keys = [(m.epoch, m.version) for m in shown]
        k = bisect.bisect_right(socket.times, at)
        return socket.keys[k - 1] if k else ("", -1)

    def everybody_holds_the_truth_at_the_end(self):
        last = {socket.watcher: socket for socket in self.history.sockets}
        for socket in last.values():
            final = self.final[self.history.uuids[socket.session]]
            shown = [m for m in socket.shown if m.kind != "l"]
            if socket.closed:
                self.blame(f"watcher {socket.watcher} did not come back")
            elif not shown:
                self.blame(f"watcher {socket.watcher} was shown nothing")
            elif final is None:
                if shown[-1].kind not in "xn":
                    self.blame(f"watcher {socket.watcher} holds {shown[-1]}, the session is gone")
            elif (shown[-1].epoch, shown[-1].version) != (final.epoch, final.version):
                self.blame(f"watcher {socket.watcher} holds {shown[-1]}, true is {final}")

    def service_is_back_in_time(self):
        """Within 2 s nobody hears 503 any more, and every session moves again."""
        heard, moved = {}, {}
        for a in self.history.answers:
            if a.sent >= self.back and 200 <= a.status < 500:
                heard.setdefault(a.player, a.at)
                if a.status < 300 and a.op != "G":
                    moved.setdefault(a.session, a.at)
        late = [p for p in {a.player for a in self.history.answers} if heard.get(p, 1 << 62) > self.back + FRESH_US]
        late += [
            self.history.uuids[n]
            for n, kind in self.history.kinds.items()
            if kind in "gkc" and moved.get(n, 1 << 62) > self.back + FRESH_US
        ]
        if late and self.back:
            self.blame(f"not answered within 2 s: {late[:8]}")


def metric(text, name):
    """The value of a metric without labels, 0 when it is absent."""
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0
