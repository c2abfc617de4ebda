"""Strikes at a running stack under load and judges what every client was told: run.py BUILD [--fault NAME] [--seed N] [--seeds 10]

Each run has a stack of its own and a seed, which decides instants and victims; a failed one can be
repeated with its --fault and --seed. The last line is `N passed, N failed`. SLOW is honoured.
"""

import argparse
import contextlib
import json
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

import requests  # noqa: E402

from history import History, Judgement, Record, State, metric  # noqa: E402
from postgres import rows  # noqa: E402
from stack import SLOW, Stack, children, until  # noqa: E402
from strikes import FAULTS, Disk, Strike, now_us  # noqa: E402

GUARDED, KEYED, CHURNING, IDLE, TICKING, WATCHERS, SHARE = 20, 12, 4, 8, 8, 500, 55
GROWN_BYTES = 24 << 20
DAY_MS = 86_400_000


class Crowd:
    """The clients of one run (crowd.h); `peak` is what they got answered in a second of doing their best."""

    def __init__(self, build, port, seed, path):
        self.path = path
        command = [build / "tests/faults/crowd", port, seed, path, GUARDED, KEYED, CHURNING, IDLE, TICKING]
        command += [int(WATCHERS / max(1, SLOW)), SHARE]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.peak = float(self._line().split()[1])

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the crowd has left: status {self.process.wait()}")
        return line

    def stop_playing(self):
        """Return once every player knows what has become of what he did."""
        self.process.stdin.write("s")
        self.process.stdin.flush()
        assert self._line() == "done\n"

    def leave(self):
        self.process.stdin.write("q")
        self.process.stdin.flush()
        assert self.process.wait(20 * SLOW) == 0
        with open(self.path, encoding="ascii") as lines:
            return History(lines)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# --- what a stack uses ---


def ours(stack):
    found = [stack.pid("fcgi"), *stack.workers()]
    return [pid for pid in found + [stack.pid(name) for name in stack.broadcasters()] if pid]


def memory(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def descriptors(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def usage(stack):
    pids = ours(stack)
    nginx = [stack.pid("nginx"), *children(stack.pid("nginx"))]
    return {"memory": memory(pids), "descriptors": descriptors(pids), "nginx": descriptors(nginx), "processes": len(pids)}


def compare(before, after):
    """What has grown, as sentences. Each kind of memory is kept for the next use, so it may differ a little."""
    found = []
    if after["memory"] > before["memory"] * 1.3 + GROWN_BYTES:
        found.append(f"memory grew from {before['memory'] >> 10} to {after['memory'] >> 10} KB")
    # What is in hand just then counts too.
    for what, in_hand in (("descriptors", 16), ("nginx", 2 * (2 * GUARDED + KEYED + CHURNING + IDLE + TICKING)), ("processes", 1)):
        if after[what] > before[what] + in_hand:
            found.append(f"{what} grew from {before[what]} to {after[what]}")
    return found


# --- the truth ---


def metrics(stack):
    return requests.get(f"{stack.base_url}/metrics", timeout=10 * SLOW).text


def time_adds_up(state):
    """Whoever was killed when: what was used and what is left are what there was."""
    if state["sync_mode"] != "per_participant":
        return []
    people = state["participants"]
    total = sum(one["time_used_ms"] + one["total_time_ms"] for one in people)
    return [] if total == DAY_MS * len(people) else [f"time does not add up: {state}"]


def final_states(stack, uuids):
    """uuid -> State or None, and what is wrong with them."""
    found, faults, http = {}, [], requests.Session()
    for uuid in uuids:
        answer = http.get(f"{stack.base_url}/v1/sessions/{uuid}", timeout=10 * SLOW)
        assert answer.status_code in (200, 404), answer.text
        state = answer.json().get("data")
        found[uuid] = state and State(state["epoch"], state["version"], state["status"])
        faults += time_adds_up(state) if state else []
    return found, faults


def drained(stack):
    redis = stack.redis()
    return sum(redis.xlen(key) for key in redis.scan_iter("sk:*:audit")) == 0


def recovered(stack):
    """Whether what Redis has lost was looked after, in every partition."""
    redis = stack.redis()
    lives = [redis.hmget(key, "n", "recovered") for key in redis.scan_iter("sk:*:life")]
    return all(n == done for n, done in lives)


def recorded(stack):
    db, found = stack.database(), {}
    for uuid, *rest in rows(db, "SELECT session_id::text, epoch, version, event_type, coalesce(reason, '') FROM sync_events"):
        found.setdefault(uuid, []).append(Record(*rest))
    db.close()
    return found


def left_behind(stack, uuids):
    """Keys without an end in Redis that were not there before there was a session."""
    http, redis = requests.Session(), stack.redis()
    for uuid in uuids:
        assert http.delete(f"{stack.base_url}/v1/sessions/{uuid}", timeout=10 * SLOW).status_code == 204
    until(lambda: drained(stack), 60, every=0.1, say="an empty backlog")
    kept = [key for key in redis.scan_iter("*") if redis.ttl(key) == -1]
    return [key for key in kept if key.rsplit(":", 1)[-1] not in ("life", "audit")]


def unexpected_ends(stack, fault):
    found = []
    for line in (stack.run_dir / "exits").read_text().splitlines():
        name, pid, status = line.split()[:3]
        if int(pid) not in stack.expected and name not in fault.exits:
            found.append(f"{name} (process {pid}) ended with status {status}")
    for line in stack.log("fcgi").splitlines():
        if '"worker_failed"' in line or '"worker_killed"' in line:
            if not any(f'"pid":{pid},' in line for pid in stack.expected):
                found.append(line)
    return found


# --- one run ---


def strike(stack, crowd, fault, seed):
    """Under load: hurt, let it heal, stop. Returns what was seen on the way."""
    s = Strike(stack, random.Random(seed))
    s.nap(0.5, 1.5)
    before = usage(stack)
    began = now_us()
    back = fault.strike(s)
    time.sleep(4)
    after = usage(stack)
    crowd.stop_playing()
    time.sleep(2)
    return before, after, began, back


def judge(stack, crowd, fault, seed):
    before, after, began, back = strike(stack, crowd, fault, seed)
    history = crowd.leave()
    until(lambda: drained(stack) and recovered(stack), 60, every=0.1, say="the end of recovery and an empty backlog")
    said = metrics(stack)
    skips = int(metric(said, "synckairos_websocket_slow_client_skips_total"))
    counted = int(metric(said, "synckairos_changes_lost_total"))
    final, wrong = final_states(stack, history.uuids.values())
    records = recorded(stack)
    crowd.path.with_name("records").write_text(json.dumps(records) + "\n")
    judgement = Judgement(history, records, final, back, fault.may_lose, counted, skips)
    faults = judgement.all() + wrong[:3] + fault.also(judgement) + compare(before, after)
    if not fault.resets:
        faults += [f"no answer: {a}" for a in history.answers if a.status == 0][:5]
    faults += [f"left in Redis: {key}" for key in left_behind(stack, history.uuids.values())[:5]]
    faults += unexpected_ends(stack, fault)
    done = len(history.done())
    print(
        f"    peak {crowd.peak:.0f}/s, {done} changes answered, {len(history.doubts())} in doubt, "
        f"{sum(a.status == 503 for a in history.answers)} times 503, {sum(len(s.shown) for s in history.sockets)} pushes, "
        f"away {(back - began) / 1e6:.2f} s, {judgement.lost} lost, {counted} counted, {skips} skips"
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
    """One run; the list of what was wrong."""
    fault = FAULTS[name]
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
            crowd = Crowd(build, stack.port, seed, folder / "history")
            undo.callback(crowd.kill)
            faults = judge(stack, crowd, fault, seed)
            stack.stop()
            faults += stack.complaints()
        except Exception:  # whatever it is, it is a failed run
            faults = [traceback.format_exc()]
        if faults:
            keep(folder, ROOT / "build" / "faults" / f"{name}-{seed}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--fault", choices=sorted(FAULTS))
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    build = args.build if args.build.is_absolute() else ROOT / args.build
    os.environ["BIN_DIR"] = str(build)
    passed = failed = 0
    for name in [args.fault] if args.fault else FAULTS:
        for seed in [args.seed] if args.seed is not None else range(1, args.seeds + 1):
            print(f"{name} seed {seed}", flush=True)
            faults = one(name, seed, build)
            for sentence in faults:
                print(f"    {sentence}")
            if faults:
                failed += 1
                print(f"    FAILED; again: make faults FAULT={name} SEED={seed}", flush=True)
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
