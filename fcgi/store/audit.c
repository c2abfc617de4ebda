#include "fcgi/store/audit.h"

#include "common/access.h"
#include "common/arena.h"
#include "common/event.h"
#include "common/pg.h"
#include "common/session.h"

#include <inttypes.h>

#define NO_TABLE "42P01"
#define TEXT(n) #n
#define TEXT_OF(n) TEXT(n)

enum { S_LIVES, S_PAGE };
enum { LIFE_BIRTH, LIFE_EPOCH, LIFE_VERSION, LIFE_SNAPSHOT };

/* What epochs of one life begin with, and what is behind all of them: '/' follows the dot. */
#define BIRTH "left(epoch, 17)"
#define OF_LIFE "session_id = $1 AND epoch > birth AND epoch < left(birth, 16) || '/'"
#define NEWEST " ORDER BY epoch DESC, version DESC LIMIT 1)"

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_LIVES] = { "lives in the audit trail", /* from one to the one before it, over the primary key */
        "WITH RECURSIVE life(birth) AS ("
        "(SELECT " BIRTH " FROM sync_events WHERE session_id = $1 ORDER BY epoch DESC LIMIT 1)"
        " UNION ALL SELECT (SELECT " BIRTH " FROM sync_events WHERE session_id = $1"
        " AND epoch < birth ORDER BY epoch DESC LIMIT 1) FROM life WHERE birth IS NOT NULL)"
        " SELECT birth, (SELECT epoch FROM sync_events WHERE " OF_LIFE NEWEST ","
        " (SELECT version FROM sync_events WHERE " OF_LIFE NEWEST ","
        " (SELECT snapshot FROM sync_events WHERE " OF_LIFE " AND snapshot IS NOT NULL" NEWEST
        " FROM life WHERE birth IS NOT NULL LIMIT $2::bigint", 2 },
    [S_PAGE] = { "page of the audit trail", /* columns: enum audit_column */
        "SELECT version, epoch, event_type, round(extract(epoch FROM timestamp) * 1000)::bigint,"
        " participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number, actor, reason"
        " FROM sync_events WHERE session_id = $1 AND (epoch, version) > ($2, $3::bigint)"
        " AND " BIRTH " = ANY (string_to_array($5, ' '))"
        " ORDER BY epoch, version LIMIT $4::bigint", 5 },
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

/* One that cannot be read is hidden from everybody. */
static bool
is_shown(const char *snapshot, const struct caller *who)
{
    struct fail unreadable = { 0 };
    struct session s;
    bool shown;

    session_init(&s);
    shown = *snapshot != '\0' &&
            event_lines_apply(snapshot, strlen(snapshot), &s, &unreadable) == RC_OK &&
            access_judge(who, &s, COMMAND_NONE) == ACCESS_ALLOWED;
    session_fini(&s);
    return shown;
}

enum rc
audit_lives(struct pg *pg, const char *id, const struct caller *who, struct audit_lives *out,
            struct fail *f)
{
    const char *args[] = { id, TEXT_OF(AUDIT_LIVES_MAX) };
    struct pg_result *r = NULL;
    enum rc rc = run(pg, S_LIVES, args, &r, f);

    *out = (struct audit_lives){ .n = 0 };
    if (rc != RC_OK)
        return rc;
    for (int row = 0; row < pg_rows(r) && row < AUDIT_LIVES_MAX; row++) {
        struct audit_life *life = &out->life[out->n++];

        snprintf(life->birth, sizeof(life->birth), "%s", pg_text(r, row, LIFE_BIRTH));
        snprintf(life->newest.epoch, sizeof(life->newest.epoch), "%s",
                 pg_text(r, row, LIFE_EPOCH));
        life->newest.version = pg_int(r, row, LIFE_VERSION);
        life->shown = is_shown(pg_text(r, row, LIFE_SNAPSHOT), who);
    }
    pg_result_free(r);
    return RC_OK;
}

static void
free_result(void *r)
{
    pg_result_free(r);
}

/* The births of those that are shown, with blanks between them. */
static const char *
shown_births(struct arena *mem, const struct audit_lives *lives)
{
    const char *births = "";

    for (size_t i = 0; i < lives->n; i++)
        if (lives->life[i].shown)
            births = arena_printf(mem, "%s %s", births, lives->life[i].birth);
    return births;
}

enum rc
audit_page(struct pg *pg, struct arena *mem, const struct audit_query *q,
           const struct pg_result **out, struct fail *f)
{
    const char *args[] = { q->id, q->after.epoch,
                           arena_printf(mem, "%" PRId64, q->after.version),
                           arena_printf(mem, "%" PRId64, q->limit),
                           shown_births(mem, q->lives) };
    struct pg_result *r = NULL;
    enum rc rc = run(pg, S_PAGE, args, &r, f);

    if (rc == RC_OK)
        arena_defer(mem, free_result, r);
    *out = r;
    return rc;
}
