"""Strikes at a running stack under load and judges what every client was told: run.py BUILD [--fault NAME] [--seed N] [--seeds 10]

Each run has a stack of its own and a seed, which decides instants and victims; a failed one can be
repeated with its --fault and --seed. --soak takes the long ones instead (backlog.py). --jobs of them run
beside each other. The last line is `N passed, N failed`. SLOW is honoured.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import strikes  # noqa: E402, F401  they enter themselves into FAULTS
from backlog import SOAKS  # noqa: E402
from history import History  # noqa: E402
from judge import Judgement  # noqa: E402
from stack import SLOW, Stack, until  # noqa: E402
from strike import FAULTS, Disk, Strike, now_us  # noqa: E402
from truth import drained, final_states, metric, metrics, out_of_order, recorded, recovered, summed_up  # noqa: E402
from usage import compare, left_behind, unexpected_ends, usage  # noqa: E402

WATCHERS = 500


class Crowd:
    """The clients of one run (crowd.h). `peak` is what they got answered in a second of doing their best."""

    def __init__(self, build, port, seed, path, fault):
        self.path, self.watchers = path, int(WATCHERS / max(1, SLOW))
        self.sessions, self.rate = fault.sessions, fault.rate
        command = [build / "tests/faults/crowd", port, seed, path, *fault.sessions, self.watchers, fault.rate]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"
        self.peak = self._measure()

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the crowd has left: status {self.process.wait()}")
        return line.rstrip("\n")

    def _ask(self, letter):
        self.process.stdin.write(letter)
        self.process.stdin.flush()

    def _measure(self):
        self._ask("m")
        self.asked = time.monotonic()
        return float(self._line())

    def look(self):
        """(answered changes a second since the last look, open sockets)"""
        self._ask("l")
        count, sockets = map(int, self._line().split())
        seconds, self.asked = time.monotonic() - self.asked, time.monotonic()
        return count / seconds, sockets

    def _least(self):
        """What full load is: half of the peak, or most of what was asked for."""
        return self.peak / 2 if "%" in self.rate else 0.9 * float(self.rate)

    def press(self, seconds):
        """Return after so long under full load, with everybody watching. Where the machine has become slower,
        the peak is another one."""
        for _ in range(20):
            self.look()
            time.sleep(seconds)
            rate, sockets = self.look()
            if sockets == self.watchers and rate >= self._least():
                return rate
            self.peak = self._measure()
        raise AssertionError(f"{rate:.0f} changes/s of {self.peak:.0f}, {sockets} sockets of {self.watchers}")

    def stop_playing(self):
        """Return once every player knows what has become of what he did."""
        self._ask("s")
        assert self._line() == "done"

    def leave(self):
        self._ask("q")
        assert self.process.wait(20 * SLOW) == 0
        with open(self.path, encoding="ascii") as lines:
            return History(lines)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# --- one run ---


def strike(stack, crowd, fault, s):
    """Under load: hurt, let it heal, stop. Returns what was used before and after, and from when on all has to be well."""
    s.rate = crowd.press(s.random.uniform(0.5, 1.5))
    before = usage(stack)
    s.began = now_us()
    back = fault.strike(s)
    time.sleep(4)
    after = usage(stack)
    crowd.stop_playing()
    time.sleep(2)
    return before, after, back


def judge(stack, crowd, fault, s):
    before, after, back = strike(stack, crowd, fault, s)
    history = crowd.leave()
    until(lambda: drained(stack) and recovered(stack), 60, every=0.1, say="the end of recovery and an empty backlog")
    said = metrics(stack)
    skips = int(metric(said, "synckairos_websocket_slow_client_skips_total"))
    counted = int(metric(said, "synckairos_changes_lost_total"))
    final, wrong = final_states(stack, history.uuids.values())
    records = recorded(stack, crowd.path.with_name("records"))
    judgement = Judgement(history, records, final, back, fault.may_lose, counted, skips, summed_up(stack))
    faults = judgement.all() + wrong[:3] + s.wrong + fault.also(judgement)
    faults += compare(before, after, 2 * sum(crowd.sessions))
    if not fault.may_lose:
        faults += out_of_order(stack)
    if not fault.resets:
        faults += [f"no answer: {a}" for a in history.answers if a.status == 0][:5]
    faults += [f"left in Redis: {key}" for key in left_behind(stack, history.uuids.values())[:5]]
    faults += unexpected_ends(stack, fault)
    done = len(history.done())
    s.notes.append(
        f"peak {crowd.peak:.0f}/s, struck at {s.rate:.0f}/s, {done} changes answered, {len(history.doubts())} in doubt, "
        f"{sum(a.status == 503 for a in history.answers)} times 503, {sum(len(socket.shown) for socket in history.sockets)} pushes, "
        f"{sum(map(len, records.values()))} records, away {(back - s.began) / 1e6:.2f} s, {judgement.lost} lost, {counted} counted, {skips} skips, "
        f"memory {before['memory'] >> 10} to {after['memory'] >> 10} KB"
    )
    return faults


def keep(folder, kept):
    """What may tell why it failed: history, records and logs."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    if (folder / "run/log").exists():
        shutil.copytree(folder / "run/log", kept / "log")
    for file in ("history", "records"):
        if (folder / file).exists():
            shutil.copy(folder / file, kept)


def one(name, seed, build):
    """One run. (what was wrong, what was seen)"""
    fault, notes = {**FAULTS, **SOAKS}[name], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as undo:  # the last one first
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            for place, size in fault.disk.items():
                undo.callback(Disk(folder / "run" / place, size).close)
            stack = Stack(POSTGRES="on", BROADCASTERS="2", RUN_DIR=str(folder / "run"), **fault.env)
            undo.callback(shutil.rmtree, stack.dir, ignore_errors=True)
            undo.callback(lambda: stack.process.poll() is None and stack.stop())
            stack.database().close()
            crowd = Crowd(build, stack.port, seed, folder / "history", fault)
            undo.callback(crowd.kill)
            s = Strike(stack, crowd, random.Random(seed))
            notes = s.notes
            faults = judge(stack, crowd, fault, s)
            stack.stop()
            faults += stack.complaints()
        except Exception:  # whatever it is, it is a failed run
            faults = [traceback.format_exc()]
        if faults:
            keep(folder, ROOT / "build" / "faults" / f"{name}-{seed}")
    return faults, notes


def report(name, seed, faults, notes):
    print(f"{name} seed {seed}")
    for sentence in notes + faults:
        print(f"    {sentence}")
    if faults:
        print(f"    FAILED; again: make faults FAULT={name} SEED={seed}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--fault", choices=sorted([*FAULTS, *SOAKS]))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    build = args.build if args.build.is_absolute() else ROOT / args.build
    os.environ["BIN_DIR"] = str(build)
    names = [args.fault] if args.fault else SOAKS if args.soak else FAULTS
    seeds = [args.seed] if args.seed is not None else range(1, args.seeds + 1)
    runs = list(itertools.product(names, seeds))
    failed = 0
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        results = pool.map(one, *zip(*runs), itertools.repeat(build))
        for (name, seed), (faults, notes) in zip(runs, results):
            report(name, seed, faults, notes)
            failed += bool(faults)
    print(f"{len(runs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
