"""How late the timekeeper is: 10,000 running sessions whose deadlines are spread evenly."""

import http.client
import json
import random
import re
import threading
import time
import uuid

from measure import Row, cpu_seconds, latencies, rounds
from programs import Ours

SESSIONS, SESSIONS_QUICK = 10000, 500
CYCLE_MS, CYCLE_QUICK_MS = 10000, 2000  # of each; so a thousand deadlines come every second
P99_MS = 50
MAKERS = 8
PARTITIONS = 64


def make(ours, count, cycle_ms):
    """Quizzes that go on by themselves, started one after the other for a whole cycle, so that their deadlines come evenly."""
    gap = cycle_ms / 1000 / count
    link, due = http.client.HTTPConnection("127.0.0.1", ours.port), time.monotonic()
    headers = {"Content-Type": "application/json", **ours.headers}
    for _ in range(count):
        session = str(uuid.uuid4())
        body = {"session_id": session, "sync_mode": "per_cycle", "total_time_ms": cycle_ms, "auto_advance": True, "max_cycles": 100000,
                "warn_at_ms": [cycle_ms // 2],
                "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": cycle_ms} for k in range(2)]}
        for path, content, status in (("/v1/sessions", json.dumps(body), 201), (f"/v1/sessions/{session}/start", "{}", 200)):
            link.request("POST", path, content, headers)
            answer = link.getresponse()
            answer.read()
            assert answer.status == status, answer.status
        due += gap * random.uniform(0.5, 1.5)
        time.sleep(max(0, due - time.monotonic()))


def make_all(ours, count, cycle_ms):
    failed = []

    def one():
        try:
            make(ours, count // MAKERS, cycle_ms)
        except Exception as e:
            failed.append(e)

    makers = [threading.Thread(target=one) for _ in range(MAKERS)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    if failed:
        raise failed[0]


def lateness(redis, seconds):
    """
    Of every expiry in that time, in ms: the records of a change carry the instant that it takes effect (a), and the id of a record in its
    stream is Redis's time of the commit.
    """
    streams = {f"sk:{{s{k:02}}}:audit": "0" for k in range(PARTITIONS)}
    for name in streams:
        newest = redis.xrevrange(name, count=1)
        streams[name] = newest[0][0] if newest else "0"
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.2)
        for name, records in redis.xread(streams, count=1000):
            streams[name] = records[-1][0]
            for at, fields in records:
                row = fields["d"].split("\n", 1)[0]
                if " r1 " in row:  # a timeout
                    found.append(int(at.split("-")[0]) - int(re.search(r" a(\d+)", row)[1]))
    return sorted(found)


def rows(how):
    count, cycle_ms = (SESSIONS_QUICK, CYCLE_QUICK_MS) if how.quick else (SESSIONS, CYCLE_MS)
    ours = Ours(POSTGRES="off")  # which takes the records out of the streams that are read here
    try:
        make_all(ours, count, cycle_ms)

        def one():
            pids, seconds = ours.pids("broadcaster"), 2 * how.seconds
            before = cpu_seconds(pids)
            late = lateness(ours.stack.redis(), seconds)
            at = lambda share: late[min(len(late) - 1, int(len(late) * share))]
            return {"p50_ms": at(.5), "p99_ms": at(.99), "p999_ms": at(.999), "max_ms": late[-1], "first": late[0],
                    "rate": len(late) / seconds, "cpu_us": (cpu_seconds(pids) - before) / len(late) * 1e6}

        mine = rounds({"ours": one}, how.rounds_few)["ours"]
    finally:
        ours.close()
    row = Row("lateness", f"lateness of the timekeeper, {count:,} running sessions: p99", "ms", mine["p99_ms"], want=f"<= {P99_MS} ms",
              latencies=latencies({"ours": mine}))
    row.reached = mine["p99_ms"].median <= P99_MS and min(mine["first"].values) >= 0
    row.note = (f"{mine['rate'].median:,.0f} deadlines and as many warnings a second, {mine['cpu_us'].median:.0f} us of the broadcasters' CPU each;"
                " PostgreSQL off")
    yield row
