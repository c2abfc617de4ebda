#include "audit_writer.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/pg.h"

#define DEADLINE_MS 15000
#define STATE_SIZE 6
#define TEND_MS (3600 * 1000)
#define TEND_AGAIN_MS (60 * 1000) /* after a failure */

struct audit_writer {
    struct pg *pg;
    struct audit_batch *batch;
    int64_t retention_days;
    int64_t tend_ms;          /* monotonic */
    char refused[STATE_SIZE]; /* SQLSTATE of the last write, "" when it was not refused */
};

/* clang-format off */
/* Each transaction makes sure of the tables, whatever connection a pooler gives it. */
static const char begin_sql[] =
    "BEGIN;"
    "CREATE TEMP TABLE IF NOT EXISTS audit_events (session_id uuid, event_type text,"
    " participant_id uuid, group_id uuid, time_remaining_ms bigint, time_elapsed_ms bigint,"
    " cycle_number bigint, at_ms bigint, state_snapshot jsonb, epoch text COLLATE \"C\","
    " version bigint, actor text, reason text, committed_ms bigint, delta text, snapshot text,"
    " partition smallint, life bigint, number bigint)"
    " ON COMMIT DELETE ROWS;"
    "CREATE TEMP TABLE IF NOT EXISTS audit_sessions (session_id uuid, epoch text COLLATE \"C\","
    " version bigint, is_whole integer, sync_mode text, status text, final_status text,"
    " time_per_cycle_ms bigint, increment_ms bigint, max_time_ms bigint, created_ms bigint,"
    " started_ms bigint, completed_ms bigint, total_cycles bigint, owner text, actor text,"
    " at_ms bigint, deleted_ms bigint, total_participants integer, metadata jsonb)"
    " ON COMMIT DELETE ROWS;"
    "CREATE TEMP TABLE IF NOT EXISTS audit_participants (session_id uuid, place integer,"
    " epoch text COLLATE \"C\", version bigint, participant_id uuid, group_id uuid,"
    " total_time_ms bigint, total_cycles bigint, total_time_active_ms bigint, seen_ms bigint,"
    " first_active_ms bigint, last_active_ms bigint) ON COMMIT DELETE ROWS";

#define AT(ms) "to_timestamp(" ms "::float8 / 1000)"
/* Two epochs of one birth differ behind the point only. */
#define BIRTH(epoch) "split_part(" epoch ", '.', 1)"

/*
 * Records of a later life replace those that an earlier one of the same birth has with the same
 * or later versions: a Redis has gone back behind them, and nobody put them back in time.
 */
static const char replaced_sql[] =
    "SELECT coalesce(sum(s.version - b.first + 1), 0) FROM"
    " (SELECT session_id, epoch, min(version) AS first FROM audit_events GROUP BY 1, 2) b"
    " JOIN sync_sessions s USING (session_id) WHERE s.epoch < b.epoch AND s.version >= b.first"
    " AND " BIRTH("s.epoch") " = " BIRTH("b.epoch");

static const char commit_sql[] =
    /* Sessions first, in order of their ids: they are the locks of all that follows. */
    "INSERT INTO sync_sessions AS s (session_id, sync_mode, time_per_cycle_ms, increment_ms,"
    " max_time_ms, created_at, started_at, completed_at, final_status, total_cycles,"
    " total_participants, metadata, last_updated_at, epoch, version, status, actor, owner, deleted_at)"
    " SELECT session_id, sync_mode::sync_mode, time_per_cycle_ms, increment_ms, max_time_ms,"
    " " AT("created_ms") ", " AT("started_ms") ", " AT("completed_ms") ","
    " final_status::sync_status, total_cycles, total_participants, coalesce(metadata, '{}'),"
    " " AT("at_ms") ", epoch, version, status::sync_status, actor, owner, " AT("deleted_ms")
    " FROM audit_sessions WHERE sync_mode IS NOT NULL ORDER BY session_id"
    " ON CONFLICT (session_id) DO UPDATE SET sync_mode = excluded.sync_mode,"
    " time_per_cycle_ms = excluded.time_per_cycle_ms, increment_ms = excluded.increment_ms,"
    " max_time_ms = excluded.max_time_ms, created_at = excluded.created_at,"
    " started_at = excluded.started_at, completed_at = excluded.completed_at,"
    " final_status = excluded.final_status, total_cycles = excluded.total_cycles,"
    " total_participants = CASE WHEN " BIRTH("s.epoch") " = " BIRTH("excluded.epoch")
    "  THEN greatest(s.total_participants, excluded.total_participants)"
    "  ELSE excluded.total_participants END,"
    " metadata = CASE WHEN " BIRTH("s.epoch") " = " BIRTH("excluded.epoch")
    "  AND excluded.metadata = '{}' THEN s.metadata ELSE excluded.metadata END,"
    " last_updated_at = excluded.last_updated_at, epoch = excluded.epoch,"
    " version = excluded.version, status = excluded.status, actor = excluded.actor,"
    " owner = excluded.owner, deleted_at = excluded.deleted_at"
    " WHERE (s.epoch, s.version) < (excluded.epoch, excluded.version);"
    /* A record with all fields may come behind later ones; what never changes is taken from it. */
    "UPDATE sync_sessions s SET metadata = coalesce(b.metadata, s.metadata),"
    " total_participants = greatest(s.total_participants, b.total_participants)"
    " FROM audit_sessions b WHERE b.is_whole = 1 AND b.session_id = s.session_id"
    " AND " BIRTH("b.epoch") " = " BIRTH("s.epoch")
    " AND (s.metadata <> b.metadata OR s.total_participants < b.total_participants);"
    /* Records that say nothing of the header: deletions. */
    "UPDATE sync_sessions s SET epoch = b.epoch, version = b.version, actor = b.actor,"
    " last_updated_at = " AT("b.at_ms") ", deleted_at = coalesce(" AT("b.deleted_ms") ", s.deleted_at)"
    " FROM audit_sessions b WHERE b.sync_mode IS NULL AND b.session_id = s.session_id"
    " AND (s.epoch, s.version) < (b.epoch, b.version);"
    "DELETE FROM sync_participants p USING audit_sessions b WHERE b.is_whole = 1"
    " AND p.session_id = b.session_id AND " BIRTH("p.epoch") " < " BIRTH("b.epoch") ";"
    "INSERT INTO sync_participants AS p (session_id, participant_id, total_time_ms, group_id,"
    " total_cycles, total_time_active_ms, added_at, first_active_at, last_active_at, epoch, version, place)"
    " SELECT b.session_id, b.participant_id, b.total_time_ms, b.group_id, b.total_cycles,"
    " b.total_time_active_ms, " AT("b.seen_ms") ", " AT("b.first_active_ms") ","
    " " AT("b.last_active_ms") ", b.epoch, b.version, b.place"
    " FROM audit_participants b JOIN sync_sessions s USING (session_id)"
    " WHERE b.participant_id IS NOT NULL AND " BIRTH("s.epoch") " = " BIRTH("b.epoch")
    " ORDER BY b.session_id, b.place"
    " ON CONFLICT (session_id, participant_id) DO UPDATE SET total_time_ms = excluded.total_time_ms,"
    " group_id = coalesce(excluded.group_id, p.group_id), total_cycles = excluded.total_cycles,"
    " total_time_active_ms = excluded.total_time_active_ms,"
    " added_at = least(p.added_at, excluded.added_at),"
    " first_active_at = least(p.first_active_at, excluded.first_active_at),"
    " last_active_at = greatest(p.last_active_at, excluded.last_active_at),"
    " epoch = excluded.epoch, version = excluded.version"
    " WHERE (p.epoch, p.version) < (excluded.epoch, excluded.version);"
    /* Who was seen active in a record that does not tell his row, or told an older one. */
    "UPDATE sync_participants p SET"
    " first_active_at = least(p.first_active_at, " AT("b.first_active_ms") "),"
    " last_active_at = greatest(p.last_active_at, " AT("b.last_active_ms") ")"
    " FROM audit_participants b WHERE b.session_id = p.session_id AND b.place = p.place"
    " AND " BIRTH("b.epoch") " = " BIRTH("p.epoch") " AND b.last_active_ms IS NOT NULL"
    " AND (p.last_active_at IS NULL OR p.last_active_at < " AT("b.last_active_ms")
    "  OR p.first_active_at > " AT("b.first_active_ms") ");"
    "INSERT INTO sync_events (session_id, event_type, participant_id, group_id,"
    " time_remaining_ms, time_elapsed_ms, cycle_number, timestamp, state_snapshot, epoch, version,"
    " actor, reason, committed_at, delta, snapshot)"
    " SELECT session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms,"
    " cycle_number, " AT("at_ms") ", state_snapshot, epoch, version, actor, reason,"
    " " AT("committed_ms") ", delta, snapshot FROM audit_events ON CONFLICT DO NOTHING;"
    "INSERT INTO sync_partitions AS p (partition, life, changes)"
    " SELECT partition, life, max(number) FROM audit_events WHERE number IS NOT NULL"
    " GROUP BY 1, 2 ORDER BY 1, 2 ON CONFLICT (partition, life) DO UPDATE"
    " SET changes = excluded.changes WHERE p.changes < excluded.changes;"
    "COMMIT";

enum { S_EVENTS, S_SESSIONS, S_PARTICIPANTS, S_REPLACED, S_EXTEND, S_RETAIN };

static const struct pg_stmt stmts[] = {
    [S_EVENTS] = { "copy audit events", "COPY audit_events FROM STDIN", 0 },
    [S_SESSIONS] = { "copy audit sessions", "COPY audit_sessions FROM STDIN", 0 },
    [S_PARTICIPANTS] = { "copy audit participants", "COPY audit_participants FROM STDIN", 0 },
    [S_REPLACED] = { "count replaced changes", replaced_sql, 0 },
    [S_EXTEND] = { "extend sync_events", "SELECT sync_events_extend(3)", 0 },
    [S_RETAIN] = { "retain sync_events", "SELECT sync_events_retain($1::integer)", 1 },
};
/* clang-format on */

struct audit_writer *
audit_writer_new(const char *url, int64_t retention_days)
{
    struct audit_writer *w = xalloc(sizeof(*w));

    w->pg = pg_new(url, "synckairos-audit", DEADLINE_MS);
    w->batch = audit_batch_new();
    w->retention_days = retention_days;
    return w;
}

void
audit_writer_free(struct audit_writer *w)
{
    if (w == NULL)
        return;
    pg_free(w->pg);
    audit_batch_free(w->batch);
    free(w);
}

static enum rc
copy(struct audit_writer *w, int stmt, const struct buf *rows, struct fail *f)
{
    if (rows->overflow)
        return fail_log(f, RC_STORE_UNAVAILABLE, "audit: a batch of more than 512 MB");
    if (rows->len == 0)
        return RC_OK;
    return pg_copy(w->pg, &stmts[stmt], rows->data, rows->len, f);
}

static enum rc
count_replaced(struct audit_writer *w, int64_t *n, struct fail *f)
{
    struct pg_result *r = NULL;
    enum rc rc = pg_run(w->pg, &stmts[S_REPLACED], NULL, &r, f);

    if (rc == RC_OK)
        *n = pg_int(r, 0, 0);
    pg_result_free(r);
    return rc;
}

static enum rc
send(struct audit_writer *w, int64_t *replaced, struct fail *f)
{
    enum rc rc = pg_script(w->pg, begin_sql, f);

    if (rc == RC_OK)
        rc = copy(w, S_SESSIONS, audit_batch_sessions(w->batch), f);
    if (rc == RC_OK)
        rc = copy(w, S_PARTICIPANTS, audit_batch_participants(w->batch), f);
    if (rc == RC_OK)
        rc = copy(w, S_EVENTS, audit_batch_events(w->batch), f);
    if (rc == RC_OK)
        rc = count_replaced(w, replaced, f);
    if (rc == RC_OK)
        rc = pg_script(w->pg, commit_sql, f);
    return rc;
}

/* A transaction that has failed is over; the reason stays to be asked for. */
static void
give_up(struct audit_writer *w)
{
    static const struct pg_stmt rollback = { "roll back", "ROLLBACK", 0 };

    snprintf(w->refused, sizeof(w->refused), "%s", pg_state(w->pg));
    if (pg_run(w->pg, &rollback, NULL, NULL, NULL) != RC_OK)
        pg_close(w->pg);
}

enum rc
audit_writer_write(struct audit_writer *w, const struct audit_record *records, size_t n,
                   size_t *bad, struct fail *f)
{
    int64_t began_us = clock_mono_us(), replaced = 0;
    enum rc rc = RC_OK;

    w->refused[0] = '\0';
    audit_batch_clear(w->batch);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        rc = audit_batch_add(w->batch, &records[i], f);
        *bad = i;
    }
    if (rc != RC_OK)
        return rc;
    rc = send(w, &replaced, f);
    if (rc != RC_OK) {
        give_up(w);
        return rc;
    }
    if (replaced > 0)
        log_error("changes lost", LOG_INT("replaced", replaced));
    metrics_add(METRIC_CHANGES_LOST, replaced, 0, 0, 0);
    metrics_add(METRIC_AUDIT_RECORDS, (int64_t)n, 0, 0, 0);
    metrics_observe_us(METRIC_AUDIT_WRITE, clock_mono_us() - began_us, 0, 0);
    return RC_OK;
}

bool
audit_writer_refuses_data(const struct audit_writer *w)
{
    return strncmp(w->refused, "22", 2) == 0 || strncmp(w->refused, "23", 2) == 0;
}

void
audit_writer_tend(struct audit_writer *w)
{
    int64_t now = clock_mono_ms();
    struct fail f = { 0 };
    char days[24];
    const char *args[] = { days };
    enum rc rc;

    if (now < w->tend_ms)
        return;
    rc = pg_run(w->pg, &stmts[S_EXTEND], NULL, NULL, &f);
    snprintf(days, sizeof(days), "%lld", (long long)w->retention_days);
    if (rc == RC_OK && w->retention_days > 0)
        rc = pg_run(w->pg, &stmts[S_RETAIN], args, NULL, &f);
    if (rc == RC_INTERNAL)
        log_error("audit partitions", LOG_STR("error", f.log));
    w->tend_ms = now + (rc == RC_OK ? TEND_MS : TEND_AGAIN_MS);
}
