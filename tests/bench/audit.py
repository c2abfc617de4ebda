"""The audit trail: whether PostgreSQL gets the records as fast as switches make them."""

import io
import signal
import time

from clients import create_started, wrk
from measure import Row, rounds
from programs import Ours

SESSIONS, PARTITIONS = 200, 64
LAG_S = 1  # of records may wait when the load ends
COPY = "PostgreSQL COPY"


def waiting(redis):
    """Records that are not in PostgreSQL yet."""
    asked = redis.pipeline(transaction=False)
    for k in range(PARTITIONS):
        asked.xlen(f"sk:{{s{k:02}}}:audit")
    return sum(asked.execute())


def drained(redis, limit=60):
    """Seconds until nothing waits."""
    began = time.monotonic()
    while waiting(redis):
        if time.monotonic() - began > limit:
            raise RuntimeError(f"{waiting(redis)} records still wait after {limit} s")
        time.sleep(0.02)
    return time.monotonic() - began


def copy_rate(db):
    """Rows a second by COPY into a table like the one of the records, with its indexes: what PostgreSQL takes on this machine."""
    with db.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_copy")
        cursor.execute("CREATE TABLE bench_copy (LIKE sync_events INCLUDING ALL)")
        rows = io.BytesIO()
        cursor.copy_expert("COPY (SELECT * FROM sync_events LIMIT 40000) TO STDOUT BINARY", rows)
        rows.seek(0)
        began = time.monotonic()
        cursor.copy_expert("COPY bench_copy FROM STDIN BINARY", rows)
        took, count = time.monotonic() - began, cursor.rowcount
        cursor.execute("DROP TABLE bench_copy")
    return count / took


def rows(how):
    ours = Ours()
    try:
        redis, db = ours.stack.redis(), ours.stack.database()
        ids = create_started(ours.base_url, SESSIONS, headers=ours.headers)
        load = dict(method="POST", path="/v1/sessions/@/switch", ids=ids, headers=ours.headers, keys=True, seconds=2 * how.seconds)

        def recorded():
            with db.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM sync_events")
                return cursor.fetchone()[0]

        def under_load():
            drained(redis)
            before, began = recorded(), time.monotonic()
            ran = wrk(ours.base_url, **load)
            left, now = waiting(redis), recorded()
            return {"drained": (now - before) / (time.monotonic() - began), "switches": ran["per_s"], "lag": left / ran["per_s"],
                    "after": drained(redis)}

        def alone():
            """What has piled up while the broadcasters stood still."""
            stopped = [ours.stack.kill(name, signal.SIGSTOP) for name in ours.stack.broadcasters()]
            wrk(ours.base_url, **{**load, "seconds": how.seconds})
            count = waiting(redis)
            for pid in stopped:
                ours.stack.kill_pid(pid, signal.SIGCONT)
            return {"rate": count / drained(redis)}

        taken = rounds({"ours": under_load, "alone": alone, COPY: lambda: {"rate": copy_rate(db)}}, how.rounds_few)
        mine = taken["ours"]
        row = Row("audit", "audit records into PostgreSQL, under full load of switches", "records/s", mine["drained"],
                  {"switches of the same seconds": mine["switches"]}, f"the rate of the switches: at most {LAG_S} s of them wait at the end")
        row.reached = mine["lag"].median <= LAG_S
        row.note = f"{mine['lag'].median:.2f} s of switches waited when the load ended, and were recorded {mine['after'].median:.1f} s later"
        yield row
        yield Row("audit alone", "audit records into PostgreSQL, from a backlog", "records/s", taken["alone"]["rate"],
                  {COPY: taken[COPY]["rate"]}, "the rate of the switches", taken["alone"]["rate"].median >= mine["switches"].median)
    finally:
        ours.close()
