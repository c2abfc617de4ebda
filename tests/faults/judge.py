"""The judge of the fault tests: a history held against the audit records in PostgreSQL and the final states.

Each broken promise becomes a sentence in the list that Judgement.all() returns.
"""

import bisect
import collections
import os

from history import COMMANDS, STATES, Trail, birth

# Until then everybody holds what is true and is answered, and what is due is done.
FRESH_US = int(2_000_000 * max(1, float(os.environ.get("SLOW", "1"))))
# A crowd that connects again at once takes its time: nobody holds anything meanwhile.
REOPEN_US = FRESH_US * 5 // 2
CYCLE_US = 1_000_000  # of the sessions that tick


class Judgement:
    """Everything that is checked about one run.

    records     uuid -> [Record], all that PostgreSQL has
    final       uuid -> State, or None where there is no session any more
    summaries   uuid -> State, what PostgreSQL says of the session as a whole; None: not asked
    back        from when on everything has to be well within 2 s, us; None: it was never otherwise
    may_lose    Redis was made to forget the newest changes
    counted     changes that the broadcasters say were lost
    skips       times that the broadcasters say they skipped for a slow client
    """

    def __init__(self, history, records, final, back=None, may_lose=False, counted=0, skips=0, summaries=None):
        self.history, self.final, self.may_lose = history, final, may_lose
        self.summaries = summaries
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
            self.summaries_are_true,
            self.answers_make_sense,
            self.reads_do_not_go_back,
            self.answered_is_in_effect,
            self.nothing_happened_by_itself,
            self.what_was_shown_is_true,
            self.versions_follow_each_other,
            self.everybody_is_told_in_time,
            self.everybody_is_back_in_time,
            self.clocks_go_on,
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
        elif final.status != STATES.get(newest.event, final.status):
            self.blame(f"{uuid}: is {final.status}, its last record is {newest}")

    def summaries_are_true(self):
        """They say what the newest record says, and what the session is."""
        for n, trail in self.trails.items() if self.summaries is not None else ():
            uuid, newest = self.history.uuids[n], trail.newest
            said, final = self.summaries.get(uuid), self.final[uuid]
            if newest and (not said or (said.epoch, said.version) != (newest.epoch, newest.version)):
                self.blame(f"{uuid}: summed up as {said}, its last record is {newest}")
            elif said and said.status != (final.status if final else "deleted"):
                self.blame(f"{uuid}: summed up as {said}, true is {final}")

    def answers_make_sense(self):
        for a in self.history.answers:
            if a.status == 503 and not a.retry:
                self.blame(f"503 without Retry-After: {a}")
            elif a.status not in (0, 200, 201, 204, 404, 409, 503):
                if not (a.status == 400 and a.op in "SRPB"):
                    self.blame(f"an answer that makes no sense: {a}")
        for watcher, status, retry in self.history.refused:
            if status != 503 or not retry:
                self.blame(f"watcher {watcher} was refused with {status}, {'with' if retry else 'without'} Retry-After")

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
        given_out, deleted = collections.Counter(), collections.Counter()
        for a in self.history.done():
            trail = self.trails[a.session]
            if a.op == "D":
                deleted[a.session] += 1
                self._deletion_is_in_effect(a, trail, deleted[a.session])
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

    def _deletion_is_in_effect(self, a, trail, times):
        versions = [v for (_, v), r in trail.records.items() if r.event == "session_deleted"]
        if (a.given + 1 not in versions or times > len(versions)) and not self.may_lose:
            self.blame(f"answered and not in effect: {a}")

    def nothing_happened_by_itself(self):
        """Each recorded change was asked for, once."""
        asked = {(a.session, a.epoch, a.version) for a in self.history.done()}
        doubts = {(a.session, a.op, a.given) for a in self.history.doubts() if not a.key}
        doubts |= {(a.session, "D", a.given) for a in self.history.done() if a.op == "D"}
        ops = {event: op for op, event in COMMANDS.items()}
        for n, trail in self.trails.items():
            for (epoch, version), r in trail.records.items():
                if (n, epoch, version) in asked or self._by_itself(n, r):
                    continue
                op = ops.get(r.event)
                if (n, op, version - 1) in doubts or (op == "C" and any(d[:2] == (n, "C") for d in doubts)):
                    continue
                if (epoch, version) not in trail.replaced:
                    self.blame(f"{self.history.uuids[n]}: nobody was told of {r}, and nobody was left in doubt")

    def _by_itself(self, n, record):
        """Whether it may happen though nobody sends a command for it."""
        return (record.reason == "timeout" and self.history.kinds[n] == "t") or (record.reason == "recovery" and self.may_lose)

    # --- what watchers saw ---

    def what_was_shown_is_true(self):
        seen = {}
        for a in self.history.answers:
            if a.epoch:
                self._is_one_state(seen, a.session, a)
            if a.op == "G" and a.epoch and not self._is_true(self.trails[a.session], a):
                self.blame(f"what never was: {a}")
        for socket in self.history.sockets:
            trail = self.trails[socket.session]
            for m in socket.shown:
                if m.epoch is None or m.version < 0 or m.kind == "l":
                    continue
                self._is_one_state(seen, socket.session, m)
                if not self._is_true(trail, m):
                    self.blame(f"watcher {socket.watcher} was shown what never was: {m}")
                    break

    def _is_one_state(self, seen, session, m):
        """All who hear of a version hear of the same cycle and status."""
        cycle, state = seen.get((session, m.epoch, m.version), (-1, "-"))
        if (cycle != m.cycle and -1 not in (cycle, m.cycle)) or (state != m.state and "-" not in (state, m.state)):
            self.blame(f"two states under one version, {cycle} {state}: {m}")
        seen[session, m.epoch, m.version] = max(cycle, m.cycle), max(state, m.state)

    def _is_true(self, trail, m):
        if (m.epoch, m.version) in trail.records:
            return True
        before = trail.of_birth.get(birth(m.epoch), {}).get(m.version)
        if before and before <= m.epoch:
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

    def everybody_is_back_in_time(self):
        """Whoever loses his socket has another one soon."""
        left = {}
        for socket in self.history.sockets:
            gone = left.pop(socket.watcher, None)
            if gone and socket.opened > max(gone, self.back) + REOPEN_US:
                self.blame(f"watcher {socket.watcher} had no socket from {gone} to {socket.opened}")
            if socket.closed:
                left[socket.watcher] = socket.closed

    def clocks_go_on(self):
        """What ticks is shown to tick, though hardly anybody asks."""
        stopped = {}
        for a in self.history.answers:
            if a.op == "P":
                stopped.setdefault(a.session, a.sent)
        end = self.history.answers[-1].at
        for socket in self.history.sockets:
            if self.history.kinds[socket.session] == "t":
                self._ticks(socket, min(stopped.get(socket.session, end), socket.closed or end))

    def _ticks(self, socket, end):
        state = "-"
        shown = [m for m in socket.shown if m.kind in "uds"]
        for now, after in zip(shown, [*shown[1:], None]):
            state = now.state if now.state != "-" else state
            due = max(now.at, self.back) + CYCLE_US + FRESH_US
            if state == "r" and due < end and (after is None or after.at > due):
                self.blame(f"watcher {socket.watcher} was shown nothing for a cycle and 2 s after {now}")
                return

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
        """What is asked later than 2 s is answered and finds what was there, and every session moves again."""
        heard, moved, late = set(), set(), self.back + FRESH_US
        for a in self.history.answers:
            if a.sent < self.back:
                continue
            if 200 <= a.status < 500:
                heard.add(a.player)
            if 200 <= a.status < 300 and a.op != "G":
                moved.add(a.session)
            gone = a.status == 404 and self.history.kinds[a.session] != "c"
            if self.back and a.sent > late and (a.status in (0, 503) or gone):
                self.blame(f"later than 2 s: {a}")
        rests = [a.player for a in self.history.answers if a.player not in heard and self.history.kinds[a.session] != "t"]
        rests += [self.history.uuids[n] for n, kind in self.history.kinds.items() if kind in "gkc" and n not in moved]
        if rests and self.back:
            self.blame(f"was not served any more: {sorted(set(map(str, rests)))[:8]}")
