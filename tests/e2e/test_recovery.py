"""A Redis that comes back empty, or older than it was: PostgreSQL gives back what it has, and the rest is counted."""
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid

import pytest
import redis
import requests

from load import eventually
from postgres import rows
from stack import free_port, until
from tokens import bearer

HOUR = 3_600_000
A, B = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def create(stack, *commands, **more):
    body = {
        "session_id": str(uuid.uuid4()),
        "sync_mode": "per_participant",
        "total_time_ms": HOUR,
        "participants": [{"participant_id": p, "participant_index": k, "total_time_ms": HOUR} for k, p in enumerate((A, B))],
        **more,
    }
    answer = requests.post(f"{stack.base_url}/v1/sessions", json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    for command in commands:
        do(stack, body["session_id"], command)
    return body["session_id"]


def do(stack, session_id, command):
    answer = requests.post(f"{stack.base_url}/v1/sessions/{session_id}/{command}", json={}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def get(stack, session_id):
    answer = requests.get(f"{stack.base_url}/v1/sessions/{session_id}", timeout=10)
    return answer.json()["data"] if answer.status_code == 200 else answer.status_code


def backlog(stack):
    return sum(stack.redis().xlen(f"sk:{{s{k:02d}}}:audit") for k in range(64))


def drained(stack):
    until(lambda: backlog(stack) == 0, 20, say="empty streams")


def looked_after(stack):
    """A life of this very Redis has begun in each partition, and was looked after."""

    def lives():
        run = stack.redis().info("server")["run_id"]
        found = [stack.redis().hmget(f"sk:{{s{k:02d}}}:life", "n", "recovered", "run_id") for k in range(64)]
        return all(n and n == recovered and of == run for n, recovered, of in found) and found

    return eventually(lives, 20)


def data(stack):
    return stack.run_dir / "redis"


def end_redis(stack):
    """kill -9; it stays down."""
    stack.hold("redis")
    stack.kill("redis")
    until(lambda: stack.pid("redis") is None, 10)


def start_redis(stack):
    stack.release("redis")
    stack.wait_ready(20)


def counted(stack, name):
    text = requests.get(f"{stack.base_url}/metrics", timeout=10).text
    return float(text.split(f"\n{name} ")[1].split()[0])


def lost(stack):
    return counted(stack, "synckairos_changes_lost_total")


def without_clock(state):
    """What of a state does not move while its clock runs."""
    keep = {k: v for k, v in state.items() if k not in ("server_time", "epoch", "time_remaining_ms")}
    people = [{k: v for k, v in p.items() if k != "time_remaining_ms"} for p in state["participants"]]
    return {**keep, "participants": people}


@pytest.fixture
def own(make_stack):
    stack = make_stack(POSTGRES="on", BROADCASTERS="2")
    stack.database().close()
    looked_after(stack)
    return stack


def empty(stack):
    end_redis(stack)
    shutil.rmtree(data(stack))
    data(stack).mkdir()
    start_redis(stack)


def test_an_emptied_redis_gets_its_live_sessions_back_as_they_were(own):
    running = create(own, "start", "switch", "switch")
    paused = create(own, "start", "pause", metadata={"x": [1, "ü"]})
    pending = create(own)
    over = create(own, "start", "complete")
    gone = create(own, "start")
    assert requests.delete(f"{own.base_url}/v1/sessions/{gone}", timeout=10).status_code == 204
    long = create(own, "start", *["switch"] * 70)
    slow = create(own, "start", total_time_ms=24 * HOUR, participants=[{"participant_id": A, "participant_index": 0, "total_time_ms": 24 * HOUR}])
    before = {one: get(own, one) for one in (running, paused, pending, long, slow)}
    drained(own)
    empty(own)
    for one, state in before.items():
        eventually(lambda: without_clock(get(own, one)) == without_clock(state), 20)
        now = get(own, one)
        assert now["epoch"].split(".")[0] == state["epoch"].split(".")[0] and now["epoch"] > state["epoch"]
    assert get(own, running)["status"] == "running", "so short an outage pauses nobody"
    looked_after(own)
    assert get(own, gone) == 404 and get(own, over) == 404
    assert lost(own) == 0
    assert counted(own, "synckairos_sessions_put_back_total") == 5
    (kept,) = own.redis().keys(f"sk:*:session:{slow}")
    assert own.redis().pttl(kept) > 48 * HOUR, "Redis may not forget it before its last resort, a day behind its deadline"
    assert do(own, running, "switch")["version"] == before[running]["version"] + 1


def test_time_runs_on_in_a_session_that_was_put_back_and_its_deadline_is_kept(own):
    people = [{"participant_id": A, "participant_index": 0, "total_time_ms": 6000}]
    session_id = create(own, "start", participants=people)
    deadline = get(own, session_id)["deadline_at"]
    drained(own)
    empty(own)
    eventually(lambda: get(own, session_id)["deadline_at"] == deadline, 20)
    until(lambda: "deadline_at" not in get(own, session_id), 15, say="the expiry")
    state = get(own, session_id)
    assert state["participants"][0]["has_expired"] and state["last_timeout"]["at"] == deadline


def test_an_emptied_redis_after_a_long_outage_pauses_as_of_when_it_was_seen_last(make_stack):
    stack = make_stack(POSTGRES="on", BROADCASTERS="2", OUTAGE_PAUSE_S="2")
    db = stack.database()
    looked_after(stack)
    session_id = create(stack, "start")
    time.sleep(1.5)
    drained(stack)
    end_redis(stack)
    shutil.rmtree(data(stack))
    data(stack).mkdir()
    time.sleep(3)
    start_redis(stack)
    state = eventually(lambda: get(stack, session_id) != 404 and get(stack, session_id), 10)
    until(lambda: get(stack, session_id)["status"] == "paused", 10, say="the pause")
    state = get(stack, session_id)
    # used: from the start to when Redis was seen last, more than a second later
    used = state["participants"][0]["time_used_ms"]
    assert 500 <= used <= 3500 and state["version"] == 3
    until(lambda: len(rows(db, "SELECT 1 FROM sync_events WHERE session_id = %s", session_id)) == 3, 10)
    assert rows(db, "SELECT event_type, reason FROM sync_events WHERE session_id = %s AND version = 3", session_id) == [
        ("session_paused", "recovery")
    ]
    assert do(stack, session_id, "resume")["status"] == "running"


def test_an_outage_that_postgresql_knows_to_be_short_pauses_nobody(make_stack, tmp_path):
    """The Redis that comes back was copied long ago, but was seen until a moment before."""
    stack = make_stack(POSTGRES="on", BROADCASTERS="2", OUTAGE_PAUSE_S="4")
    stack.database().close()
    looked_after(stack)
    session_id = create(stack, "start")
    time.sleep(1.2)
    shutil.copytree(data(stack), tmp_path / "older")
    time.sleep(5)
    assert do(stack, session_id, "switch")["version"] == 3
    drained(stack)
    time.sleep(1)
    go_back(stack, tmp_path / "older")
    looked_after(stack)
    state = eventually(lambda: get(stack, session_id)["version"] >= 3 and get(stack, session_id), 20)
    assert (state["status"], state["version"]) == ("running", 3)


def life_of(stack, session_id):
    key = next(stack.redis().scan_iter(f"sk:*:session:{session_id}"))
    return key.split("session:")[0] + "life"


def end_broadcasters(stack):
    """kill -9; they stay down."""
    for name in stack.broadcasters():
        stack.hold(name)
        stack.kill(name)
    until(lambda: stack.broadcasters() == [], 10)


def start_broadcasters(stack):
    for k in range(2):
        stack.release(f"broadcaster-{k}")


def test_what_is_recorded_since_redis_is_back_does_not_hide_for_how_long_it_was_away(make_stack):
    """A partition begins its life when another has begun, has been looked after, and has changes recorded."""
    stack = make_stack(POSTGRES="on", BROADCASTERS="2", OUTAGE_PAUSE_S="2")
    db = stack.database()
    looked_after(stack)
    early = create(stack, "start")
    late = eventually(lambda: life_of(stack, found := create(stack, "start")) != life_of(stack, early) and found)
    life = life_of(stack, late)
    time.sleep(1.2)
    drained(stack)
    end_broadcasters(stack)
    before, seen = stack.redis().hgetall(life), rows(db, "SELECT seen_at FROM sync_seen")[0][0]
    end_redis(stack)
    time.sleep(3)
    start_redis(stack)
    # as if it had begun: nobody looks at the late one's partition
    stack.redis().hset(life, mapping={"run_id": stack.redis().info("server")["run_id"], "recovered": before["n"]})
    start_broadcasters(stack)
    looked_after(stack)
    until(lambda: get(stack, early)["status"] == "paused", 10, say="the pause of the early one")
    do(stack, early, "resume")
    drained(stack)
    end_broadcasters(stack)
    stack.redis().hset(life, mapping={"run_id": before["run_id"], "seen": before["seen"]})
    rows(db, "UPDATE sync_seen SET seen_at = %s", seen)
    start_broadcasters(stack)
    looked_after(stack)
    assert stack.redis().hget(life, "n") != before["n"] and get(stack, late)["status"] == "paused"


def test_flushall_is_recovered_from_too(own):
    session_id = create(own, "start", "switch")
    before = get(own, session_id)
    drained(own)
    own.redis().flushall()
    eventually(lambda: without_clock(get(own, session_id)) == without_clock(before), 20)


def test_the_owner_finds_his_sessions_again(make_stack):
    stack = make_stack(POSTGRES="on", BROADCASTERS="2", AUTH_REQUIRED=True)
    stack.database().close()
    looked_after(stack)
    url = f"{stack.base_url}/v1/sessions"
    for _ in range(3):
        body = {"session_id": str(uuid.uuid4()), "sync_mode": "global", "total_time_ms": HOUR}
        assert requests.post(url, json=body, headers=bearer("ann"), timeout=10).status_code == 201

    def mine():
        answer = requests.get(url, headers=bearer("ann"), timeout=10)
        return [one["session_id"] for one in answer.json()["data"]["sessions"]] if answer.status_code == 200 else None

    before = mine()
    assert len(before) == 3
    drained(stack)
    over = threading.Event()

    def ask_all_the_time():
        while not over.is_set():
            eventually(lambda: mine() is not None, 20)

    askers = [threading.Thread(target=ask_all_the_time, daemon=True) for _ in range(6)]
    for one in askers:
        one.start()
    empty(stack)
    looked_after(stack)
    over.set()
    for one in askers:
        one.join()
    assert mine() == before, "who asks in between finds names whose sessions are not there yet"


def test_a_session_created_anew_meanwhile_is_left_alone(own):
    session_id = create(own, "start", "switch")
    drained(own)
    end_redis(own)
    shutil.rmtree(data(own))
    data(own).mkdir()
    own.hold("postgres")
    own.kill("postgres", signal.SIGQUIT)
    start_redis(own)
    create(own, session_id=session_id)
    own.release("postgres")
    looked_after(own)
    assert (get(own, session_id)["version"], get(own, session_id)["status"]) == (1, "pending")


def test_what_redis_still_has_to_tell_counts_before_anything_is_put_back(own):
    """A session that was deleted while PostgreSQL was away is not put back."""
    session_id = create(own, "start")
    drained(own)
    own.hold("postgres")
    own.kill("postgres", signal.SIGQUIT)
    assert requests.delete(f"{own.base_url}/v1/sessions/{session_id}", timeout=10).status_code == 204
    time.sleep(1.5)  # appendfsync everysec
    end_redis(own)
    start_redis(own)
    own.release("postgres")
    looked_after(own)
    assert get(own, session_id) == 404
    assert lost(own) == 0


class Player(threading.Thread):
    """Switches until told to stop; `told` has (epoch, version) of every 2xx."""

    def __init__(self, stack, session_id):
        super().__init__(daemon=True)
        self.stack, self.session_id = stack, session_id
        self.told, self.go = [], True
        self.start()

    def run(self):
        http = requests.Session()
        url = f"{self.stack.base_url}/v1/sessions/{self.session_id}/switch"
        while self.go:
            try:
                answer = http.post(url, json={}, timeout=10)
            except requests.RequestException:
                continue
            if answer.status_code == 200:
                got = answer.json()["data"]
                self.told.append((got["epoch"], got["version"]))
            else:
                time.sleep(0.02)

    def finish(self):
        self.go = False
        self.join(20)
        return self


def chain(found):
    """Which of the records (epoch, version), newest first, are in effect."""
    effective, last = set(), None
    for epoch, version in found:
        if last is None or version < last:
            effective.add((epoch, version))
            last = version
    return effective


def judge(stack, db, players):
    """No answered change is in neither the state nor the count; nothing was given out twice."""
    drained(stack)
    looked_after(stack)
    missing = 0
    for player in players:
        assert len(player.told) == len(set(player.told)), "no (epoch, version) was given out twice"
        state = get(stack, player.session_id)
        sql = "SELECT epoch, version FROM sync_events WHERE session_id = %s ORDER BY epoch DESC, version DESC"
        effective = chain(rows(db, sql, player.session_id))
        assert sorted(v for _, v in effective) == list(range(1, state["version"] + 1)), "the record is whole"
        missing += len(set(player.told) - effective)
        used = sum(one["time_used_ms"] for one in state["participants"])
        left = sum(one["total_time_ms"] for one in state["participants"])
        assert used + left == 2 * HOUR
    assert lost(stack) >= missing
    assert lost(stack) - missing <= 64, "and hardly more: answers that were on their way"
    return missing


def go_back(stack, folder):
    """Redis dies, and comes back with the data in that folder."""
    end_redis(stack)
    shutil.rmtree(data(stack))
    shutil.copytree(folder, data(stack))
    start_redis(stack)


def play_on(players):
    """Everybody gets on again, and then stops."""
    back = [len(p.told) for p in players]
    until(lambda: all(len(p.told) > n + 20 for p, n in zip(players, back)), 20, say="play goes on")
    for player in players:
        player.finish()


@pytest.fixture
def played(own):
    """A stack with eight sessions that are being played, and a copy of Redis's data from a second ago."""
    players = [Player(own, create(own, "start")) for _ in range(8)]
    until(lambda: all(len(p.told) > 20 for p in players), 20)
    yield own, players
    for player in players:
        player.go = False


def test_a_second_of_the_append_only_file_is_lost_under_load(played, tmp_path):
    stack, players = played
    time.sleep(1.2)  # so that the copy has something new
    shutil.copytree(data(stack), tmp_path / "older")
    time.sleep(1)
    go_back(stack, tmp_path / "older")
    play_on(players)
    judge(stack, stack.database(), players)


def test_what_was_only_in_redis_and_is_lost_with_it_is_counted(played, tmp_path):
    """PostgreSQL is away as well: what the older Redis does not have exists nowhere."""
    stack, players = played
    stack.hold("postgres")
    stack.kill("postgres", signal.SIGQUIT)
    time.sleep(2.2)
    shutil.copytree(data(stack), tmp_path / "older")
    time.sleep(1)
    go_back(stack, tmp_path / "older")
    stack.release("postgres")
    play_on(players)
    assert judge(stack, stack.database(), players) > 0, "something was lost, and counted"


def test_failover_to_a_replica_that_is_behind(played, tmp_path):
    """Two Redis by hand: the replica stops following, and takes the place of the primary a second later."""
    stack, players = played
    port, socket = free_port(), f"/tmp/sk-{uuid.uuid4().hex[:8]}.sock"
    stack.redis().config_set("port", port)
    replica = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", tmp_path, "--replicaof", f"127.0.0.1 {port}"],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: os.path.exists(socket), 10)
        second = redis.Redis(unix_socket_path=socket, decode_responses=True)
        eventually(lambda: second.info("replication")["master_link_status"] == "up", 20)
        time.sleep(1)
        second.replicaof("NO", "ONE")
        time.sleep(1)
        end_redis(stack)
        os.unlink(stack.redis_socket)
        os.symlink(socket, stack.redis_socket)
        stack.wait_ready(20)
        play_on(players)
        judge(stack, stack.database(), players)
        os.unlink(stack.redis_socket)
    finally:
        for player in players:
            player.go = False
        replica.terminate()
        replica.wait(10)
