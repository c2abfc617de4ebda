/* GET /v1/sessions: one's own sessions, the newest first. */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/session_json.h"
#include "common/session_mine.h"
#include "fcgi/api/session_body.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#include <string.h>

#define LIMIT_DEFAULT 20

/* clang-format off */
static const struct field list_query[] = {
    { .name = "status", .type = F_ENUM, .label = "Status",
      .one_of = "pending|running|paused|completed|expired|cancelled",
      .doc = "Only sessions that are so." },
    { .name = "limit", .type = F_INT, .label = "Limit", .min = 1, .max = MINE_LIMIT_MAX,
      .doc = "Sessions in one answer at most; 20 when it is left out." },
    { .name = "cursor", .type = F_STR, .label = "Cursor", .min = 1, .max = MINE_CURSOR_MAX,
      .doc = "The next_cursor of the answer before." },
    { .name = "owner", .type = F_STR, .label = "Owner", .min = 1, .max = SESSION_OWNER_MAX - 1,
      .doc = "Whose sessions; only services may name somebody else." },
    { .type = F_END },
};
/* clang-format on */

static enum sync_status
status_of(const char *name)
{
    for (int s = STATUS_PENDING; name != NULL && s < STATUS__MAX; s++)
        if (strcmp(sync_status_name((enum sync_status)s), name) == 0)
            return (enum sync_status)s;
    return STATUS_UNSET;
}

static enum rc
read_query(struct req *rq, struct store_mine *q, struct fail *f)
{
    const char *owner = body_str(rq->args, "owner");

    *q = (struct store_mine){
        .owner = owner != NULL ? owner : rq->user,
        .status = status_of(body_str(rq->args, "status")),
        .cursor = body_str(rq->args, "cursor"),
        .limit = (size_t)body_int(rq->args, "limit", LIMIT_DEFAULT),
    };
    if (strcmp(q->owner, rq->user) != 0 && !access_is_trusted(&rq->caller))
        return fail_set(f, RC_FORBIDDEN, "Only a service may list the sessions of others");
    if (q->cursor == NULL || session_mine_cursor_is_valid(q->cursor))
        return RC_OK;
    body_issue(&rq->body, rq->mem, "cursor", "invalid_format", "Cursor is none of ours");
    return fail_invalid(f);
}

static struct store_read *
make_room(struct req *rq, size_t n)
{
    struct store_read *reads = arena_alloc(rq->mem, n * sizeof(*reads));

    for (size_t i = 0; i < n; i++)
        reads[i].s = session_of_request(rq);
    return reads;
}

static enum rc
list(struct req *rq, struct fail *f)
{
    char next[MINE_CURSOR_MAX];
    struct store_read *reads;
    struct store_mine q;
    struct buf *out;
    enum rc rc = read_query(rq, &q, f);
    size_t n;

    if (rc != RC_OK)
        return rc;
    reads = make_room(rq, q.limit);
    rc = session_store_mine(rq->app->store, &q, gate_rider(rq), reads, &n, next, f);
    if (rc != RC_OK)
        return rc;
    out = reply_data(rq, 200);
    buf_str(out, "{\"sessions\":[");
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i == 0 ? "" : ",");
        session_json(out, reads[i].s, reads[i].server_time_ms);
        if (reads[i].server_time_ms > rq->server_time_ms)
            rq->server_time_ms = reads[i].server_time_ms;
    }
    buf_char(out, ']');
    if (next[0] != '\0')
        buf_printf(out, ",\"next_cursor\":\"%s\"", next);
    buf_char(out, '}');
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

/* clang-format off */
const struct route session_list_routes[] = {
    { METHOD_GET, "/v1/sessions", AUTH_USER, LIMIT_GENERAL, NULL, list_query, list, 200, ANSWER_LIST, "Sessions", "List one's own sessions, the newest first" },
    { .path = NULL },
};
/* clang-format on */
