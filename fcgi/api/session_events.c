/*
 * /v1/sessions/{id}/events: what has happened to a session, from PostgreSQL. The one request of
 * sync sessions that reads it. Who may read the session may read this, also when it is deleted:
 * judged on the newest snapshot that was recorded, and on the session itself where there is
 * one. Where an id was used more than once, each of its sessions is judged by itself.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/json.h"
#include "common/pg.h"
#include "common/session.h"
#include "common/session_store.h"
#include "fcgi/gate.h"
#include "fcgi/store/audit.h"

#include <inttypes.h>
#include <string.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200
#define CURSOR_MAX 64

/* clang-format off */
static const struct field events_query[] = {
    { .name = "limit", .type = F_INT, .label = "Limit", .min = 1, .max = LIMIT_MAX,
      .doc = "Records on one page; 50 when it is left out." },
    { .name = "cursor", .type = F_STR, .label = "Cursor", .min = 1, .max = CURSOR_MAX,
      .doc = "next_cursor of the page before." },
    { .type = F_END },
};
/* clang-format on */

/* "<epoch>:<version>", as put_cursor prints it. */
static bool
take_cursor(const char *text, struct audit_mark *mark)
{
    size_t len = strcspn(text, ":");
    const char *digits = text + len + 1;

    if (text[len] != ':' || !epoch_is_valid(text, len))
        return false;
    if (*digits == '\0' || strlen(digits) > 18 || digits[strspn(digits, "0123456789")] != '\0')
        return false;
    memcpy(mark->epoch, text, len);
    mark->epoch[len] = '\0';
    mark->version = strtoll(digits, NULL, 10);
    return true;
}

static enum rc
read_cursor(struct req *rq, struct audit_mark *mark, struct fail *f)
{
    const char *text = body_str(rq->args, "cursor");

    *mark = (struct audit_mark){ .version = 0 };
    if (text == NULL || take_cursor(text, mark))
        return RC_OK;
    body_issue(&rq->body, rq->mem, "cursor", "invalid_format",
               "Cursor must be a next_cursor of this endpoint");
    return fail_invalid(f);
}

static bool
any_is_shown(const struct audit_lives *lives)
{
    for (size_t i = 0; i < lives->n; i++)
        if (lives->life[i].shown)
            return true;
    return false;
}

/* The session itself is asked when its records do not say yes: there may be none yet, or the
 * caller has joined since. */
static enum rc
ask_session(struct req *rq, struct audit_lives *lives, struct fail *f)
{
    const struct store_terms terms = { .caller = &rq->caller };
    struct store_result res = { 0 };
    struct session now;
    enum rc rc;

    if (lives->n > 0 && lives->life[0].shown)
        return RC_OK;
    session_init(&now);
    rc = session_store_get(rq->app->store, rq->params[0], &terms, &now, &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (rc == RC_OK && lives->n > 0 &&
        strncmp(lives->life[0].birth, now.epoch, AUDIT_BIRTH_LEN) == 0)
        lives->life[0].shown = true;
    session_fini(&now);
    if (rc != RC_SESSION_NOT_FOUND || !any_is_shown(lives))
        return rc;
    fail_reset(f);
    return RC_OK;
}

/* ---- the page ---- */

/* Rows are as trusted as PostgreSQL, and still nothing in them makes the answer anything but
 * JSON. */
static void
put_text(struct buf *out, const char *name, const char *value)
{
    if (*value == '\0' || !json_utf8_is_valid(value, strlen(value)))
        return;
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, value, strlen(value));
}

static void
put_number(struct buf *out, const char *name, const struct pg_result *page, int row, int column)
{
    if (!pg_is_null(page, row, column))
        buf_printf(out, ",\"%s\":%" PRId64, name, pg_int(page, row, column));
}

static void
put_event(struct buf *out, const struct pg_result *page, int row)
{
    buf_printf(out, "{\"version\":%" PRId64, pg_int(page, row, AUDIT_VERSION));
    put_text(out, "epoch", pg_text(page, row, AUDIT_EPOCH));
    put_text(out, "event_type", pg_text(page, row, AUDIT_TYPE));
    buf_str(out, ",\"timestamp\":");
    buf_time(out, pg_int(page, row, AUDIT_AT_MS));
    put_text(out, "participant_id", pg_text(page, row, AUDIT_PARTICIPANT));
    put_text(out, "group_id", pg_text(page, row, AUDIT_GROUP));
    put_number(out, "time_remaining_ms", page, row, AUDIT_REMAINING);
    put_number(out, "time_elapsed_ms", page, row, AUDIT_ELAPSED);
    put_number(out, "cycle_number", page, row, AUDIT_CYCLE);
    put_text(out, "actor", pg_text(page, row, AUDIT_ACTOR));
    put_text(out, "reason", pg_text(page, row, AUDIT_REASON));
    buf_char(out, '}');
}

/* What the next page comes behind: the last row of this one. */
static void
put_cursor(struct buf *out, const struct pg_result *page, int row)
{
    char cursor[EPOCH_MAX + I64_SIZE + 1];

    snprintf(cursor, sizeof(cursor), "%s:%" PRId64, pg_text(page, row, AUDIT_EPOCH),
             pg_int(page, row, AUDIT_VERSION));
    put_text(out, "next_cursor", cursor);
}

static void
put_page(struct buf *out, const struct pg_result *page, int limit,
         const struct audit_lives *lives)
{
    const struct audit_life *life = lives->life, *end = life + lives->n;
    int n = pg_rows(page) > limit ? limit : pg_rows(page);

    buf_str(out, "{\"events\":[");
    for (int row = 0; row < n; row++) {
        if (row > 0)
            buf_char(out, ',');
        put_event(out, page, row);
    }
    buf_char(out, ']');
    while (life < end && !life->shown)
        life++;
    if (life < end) {
        buf_printf(out, ",\"recorded_up_to\":{\"version\":%" PRId64, life->newest.version);
        put_text(out, "epoch", life->newest.epoch);
        buf_char(out, '}');
    }
    if (pg_rows(page) > limit)
        put_cursor(out, page, n - 1);
    buf_char(out, '}');
}

static enum rc
list(struct req *rq, struct fail *f)
{
    int limit = (int)body_int(rq->args, "limit", LIMIT_DEFAULT);
    const struct pg_result *page;
    struct audit_lives lives;
    struct audit_query q = { .id = rq->params[0], .lives = &lives, .limit = limit + 1 };
    enum rc rc = read_cursor(rq, &q.after, f);

    if (rc == RC_OK)
        rc = gate_limit_settle(rq, f);
    if (rc == RC_OK)
        rc = audit_lives(rq->app->pg, q.id, &rq->caller, &lives, f);
    if (rc == RC_OK)
        rc = ask_session(rq, &lives, f);
    /* One more than asked for tells whether there is a next page. */
    if (rc == RC_OK)
        rc = audit_page(rq->app->pg, rq->mem, &q, &page, f);
    if (rc != RC_OK)
        return rc;
    put_page(reply_data(rq, 200), page, limit, &lives);
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

/* clang-format off */
const struct route session_events_routes[] = {
    { METHOD_GET, "/v1/sessions/{id}/events", AUTH_SYNC, LIMIT_GENERAL, NULL, events_query, list, 200, ANSWER_EVENTS, "Sessions", "Read what has happened to a session, also after its deletion" },
    { .path = NULL },
};
/* clang-format on */
