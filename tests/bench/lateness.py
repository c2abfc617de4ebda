"""How late the timekeeper is: 10,000 running sessions whose deadlines are spread evenly."""

import http.client
import json
import random
import re
import threading
import time
import uuid

from measure import Figure, Row, cpu_seconds, tree
from programs import ours

SESSIONS = 10000
CYCLE_MS = 10000  # of each; so a thousand deadlines come every second
P99_MS = 50
MAKERS = 8
PARTITIONS = 64


def make(port, count, gap):
    """Quizzes that go on by themselves, started `gap` seconds apart, so that their deadlines are, too."""
    link, due = http.client.HTTPConnection("127.0.0.1", port), time.monotonic()
    for _ in range(count):
        session = str(uuid.uuid4())
        body = {"session_id": session, "sync_mode": "per_cycle", "total_time_ms": CYCLE_MS, "auto_advance": True, "max_cycles": 100000,
                "warn_at_ms": [CYCLE_MS // 2],
                "participants": [{"participant_id": str(uuid.uuid4()), "participant_index": k, "total_time_ms": CYCLE_MS} for k in range(2)]}
        for path, content, status in (("/v1/sessions", json.dumps(body), 201), (f"/v1/sessions/{session}/start", "{}", 200)):
            link.request("POST", path, content, {"Content-Type": "application/json"})
            answer = link.getresponse()
            answer.read()
            assert answer.status == status, answer.status
        due += gap * random.uniform(0.5, 1.5)
        time.sleep(max(0, due - time.monotonic()))


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


def one(how):
    """One run: what was late by how much."""
    count = SESSIONS // 10 if how.quick else SESSIONS
    stack = ours(POSTGRES="off", BROADCASTERS="2", RATE_LIMIT_ENABLED="false")
    try:
        makers = [threading.Thread(target=make, args=(stack.port, count // MAKERS, CYCLE_MS / 1000 * MAKERS / count)) for _ in range(MAKERS)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        pids = [pid for name in stack.broadcasters() for pid in tree(stack.pid(name))]
        before = cpu_seconds(pids)
        late = lateness(stack.redis(), 2 * how.seconds)
        return late, len(late) / (2 * how.seconds), (cpu_seconds(pids) - before) / max(1, len(late)) * 1e6
    finally:
        stack.close()


def rows(how):
    late, rate, cpu_us = one(how)
    at = lambda share: late[min(len(late) - 1, int(len(late) * share))]
    row = Row(f"lateness of the timekeeper, {SESSIONS // (10 if how.quick else 1):,} running sessions: p99", "ms", Figure([at(.99)]),
              want=f"<= {P99_MS} ms")
    row.reached = at(.99) <= P99_MS and late[0] >= 0
    row.note = f"{rate:,.0f} deadlines and as many warnings a second; p50 {at(.5)} ms, most {late[-1]} ms; {cpu_us:.0f} us of broadcaster each"
    yield row
