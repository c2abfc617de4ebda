#include "fcgi/store/audit.h"

#include "common/arena.h"
#include "common/event.h"
#include "common/pg.h"
#include "common/session.h"

#include <inttypes.h>

#define NO_TABLE "42P01"

enum { S_HEAD, S_PAGE };
enum { HEAD_EPOCH, HEAD_VERSION, HEAD_SNAPSHOT };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_HEAD] = { "head of the audit trail",
        "SELECT epoch, version, (SELECT snapshot FROM sync_events WHERE session_id = $1"
        " AND snapshot IS NOT NULL ORDER BY epoch DESC, version DESC LIMIT 1)"
        " FROM sync_events WHERE session_id = $1 ORDER BY epoch DESC, version DESC LIMIT 1", 1 },
    [S_PAGE] = { "page of the audit trail", /* columns: enum audit_column */
        "SELECT version, epoch, event_type, round(extract(epoch FROM timestamp) * 1000)::bigint,"
        " participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number, actor, reason"
        " FROM sync_events WHERE session_id = $1 AND (epoch, version) > ($2, $3::bigint)"
        " ORDER BY epoch, version LIMIT $4::bigint", 4 },
};
/* clang-format on */

/* Without its tables PostgreSQL is as good as away, until somebody has made them. */
static enum rc
run(struct pg *pg, int stmt, const char *const *args, struct pg_result **out, struct fail *f)
{
    enum rc rc = pg_run(pg, &stmts[stmt], args, out, f);

    if (rc != RC_INTERNAL || strcmp(pg_state(pg), NO_TABLE) != 0)
        return rc;
    fail_reset(f);
    return fail_log(f, RC_STORE_UNAVAILABLE, "database: no tables (kairosctl migrate)");
}

enum rc
audit_head(struct pg *pg, const char *id, bool *found, struct audit_mark *recorded,
           struct session *s, struct fail *f)
{
    const char *args[] = { id };
    struct pg_result *r = NULL;
    struct fail unreadable = { 0 };
    const char *snapshot;
    enum rc rc = run(pg, S_HEAD, args, &r, f);

    *found = false;
    if (rc != RC_OK)
        return rc;
    *found = pg_rows(r) > 0;
    if (*found) {
        snprintf(recorded->epoch, sizeof(recorded->epoch), "%s", pg_text(r, 0, HEAD_EPOCH));
        recorded->version = pg_int(r, 0, HEAD_VERSION);
        snapshot = pg_text(r, 0, HEAD_SNAPSHOT);
        if (event_lines_apply(snapshot, strlen(snapshot), s, &unreadable) != RC_OK) {
            session_fini(s);
            session_init(s);
        }
    }
    pg_result_free(r);
    return RC_OK;
}

static void
free_result(void *r)
{
    pg_result_free(r);
}

enum rc
audit_page(struct pg *pg, struct arena *mem, const char *id, const struct audit_mark *after,
           int64_t limit, const struct pg_result **out, struct fail *f)
{
    const char *args[] = { id, after->epoch, arena_printf(mem, "%" PRId64, after->version),
                           arena_printf(mem, "%" PRId64, limit) };
    struct pg_result *r = NULL;
    enum rc rc = run(pg, S_PAGE, args, &r, f);

    if (rc == RC_OK)
        arena_defer(mem, free_result, r);
    *out = r;
    return rc;
}
