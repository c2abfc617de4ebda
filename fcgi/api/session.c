/*
 * /v1/sessions: what clients do with sync sessions. The rules are the engine's (session.h), the
 * storing is the store's (session_store.h), what bodies look like is in session_body.c; here
 * requests become commands, and results become answers.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/session_json.h"
#include "common/session_store.h"
#include "fcgi/api/session_body.h"
#include "fcgi/gate.h"

#include <inttypes.h>

static void
fini_session(void *s)
{
    session_fini(s);
}

/* An initialised session that ends with the request. */
static struct session *
new_session(struct req *rq)
{
    struct session *s = arena_alloc(rq->mem, sizeof(*s));

    session_init(s);
    arena_defer(rq->mem, fini_session, s);
    return s;
}

static void
log_change(const char *id, const struct change *c)
{
    if (c->type == EVENT_NONE)
        return;
    log_info("session_changed", LOG_STR("session_id", id),
             LOG_STR("event", event_type_name(c->type)), LOG_INT("version", c->version));
}

/* ---- create ---- */

static enum rc
create(struct req *rq, struct fail *f)
{
    struct session *s = new_session(rq);
    struct store_result res = { 0 };
    enum rc rc;

    session_body_draft(s, rq->body.json, rq->user);
    rc = session_store_create(rq->app->store, s, rq->user, gate_rider(rq), &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (rc != RC_OK)
        return rc;
    log_change(s->id, &res.change);
    session_json(reply_data(rq, res.created ? 201 : 200), s, res.server_time_ms);
    reply_header(rq, "Location", "%s/sessions/%s", rq->base, s->id);
    return RC_OK;
}

/* ---- read ---- */

static enum rc
get(struct req *rq, struct fail *f)
{
    struct session *s = new_session(rq);
    struct store_result res = { 0 };
    const char *tag;
    enum rc rc;

    rc = session_store_get(rq->app->store, rq->params[0], gate_rider(rq), s, &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (rc != RC_OK)
        return rc;
    tag = arena_printf(rq->mem, "\"%s-%" PRId64 "\"", s->epoch, s->version);
    if (request_has_etag(rq, tag))
        reply_empty(rq, 304);
    else
        session_json(reply_data(rq, 200), s, res.server_time_ms);
    reply_header(rq, "ETag", "W/%s", tag);
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

/* ---- commands ---- */

static enum rc
command(struct req *rq, enum command_type type, struct session **out, struct store_result *res,
        struct fail *f)
{
    struct command cmd = {
        .type = type,
        .expected_version = body_int(rq->body.json, "expected_version", 0),
        .current_participant_id = body_str(rq->body.json, "current_participant_id"),
        .next_participant_id = body_str(rq->body.json, "next_participant_id"),
    };
    enum rc rc;

    *out = new_session(rq);
    *res = (struct store_result){ 0 };
    rc = session_store_command(rq->app->store, rq->params[0], &cmd, rq->user, gate_rider(rq),
                               *out, res, f);
    rq->server_time_ms = res->server_time_ms;
    if (type == COMMAND_SWITCH && res->switch_limit.known)
        rq->limit = res->switch_limit;
    if (rc == RC_OK)
        log_change(rq->params[0], &res->change);
    return rc;
}

static enum rc
answer_state(struct req *rq, enum command_type type, struct fail *f)
{
    struct store_result res;
    struct session *s;
    enum rc rc = command(rq, type, &s, &res, f);

    if (rc == RC_OK)
        session_json(reply_data(rq, 200), s, res.server_time_ms);
    return rc;
}

static enum rc
start(struct req *rq, struct fail *f)
{
    return answer_state(rq, COMMAND_START, f);
}

static enum rc
pause_(struct req *rq, struct fail *f)
{
    return answer_state(rq, COMMAND_PAUSE, f);
}

static enum rc
resume(struct req *rq, struct fail *f)
{
    return answer_state(rq, COMMAND_RESUME, f);
}

static enum rc
complete(struct req *rq, struct fail *f)
{
    return answer_state(rq, COMMAND_COMPLETE, f);
}

static enum rc
switch_(struct req *rq, struct fail *f)
{
    struct store_result res;
    struct session *s;
    enum rc rc = command(rq, COMMAND_SWITCH, &s, &res, f);

    if (rc == RC_OK)
        session_switch_json(reply_data(rq, 200), s, res.change.expired, res.server_time_ms);
    return rc;
}

static enum rc
delete_(struct req *rq, struct fail *f)
{
    struct store_result res;
    struct session *s;
    enum rc rc = command(rq, COMMAND_DELETE, &s, &res, f);

    if (rc == RC_OK)
        reply_empty(rq, 204);
    return rc;
}

#define ONE "/v1/sessions/{id}"

/* clang-format off */
const struct route session_routes[] = {
    { METHOD_POST,   "/v1/sessions",  AUTH_SYNC, LIMIT_CREATE,  session_create_fields,  create,   201, ANSWER_SESSION, "Sessions", "Create a session, pending" },
    { METHOD_GET,    ONE,             AUTH_SYNC, LIMIT_GET,     NULL,                   get,      200, ANSWER_SESSION, "Sessions", "Read a session; 304 for a current ETag" },
    { METHOD_POST,   ONE "/start",    AUTH_SYNC, LIMIT_GENERAL, session_command_fields, start,    200, ANSWER_SESSION, "Sessions", "Start a pending session: the first turn begins" },
    { METHOD_POST,   ONE "/switch",   AUTH_SYNC, LIMIT_SWITCH,  session_switch_fields,  switch_,  200, ANSWER_SWITCH,  "Sessions", "End the turn and begin the next one" },
    { METHOD_POST,   ONE "/pause",    AUTH_SYNC, LIMIT_GENERAL, session_command_fields, pause_,   200, ANSWER_SESSION, "Sessions", "Stop the clock of a running session" },
    { METHOD_POST,   ONE "/resume",   AUTH_SYNC, LIMIT_GENERAL, session_command_fields, resume,   200, ANSWER_SESSION, "Sessions", "Let the clock of a paused session run on" },
    { METHOD_POST,   ONE "/complete", AUTH_SYNC, LIMIT_GENERAL, session_command_fields, complete, 200, ANSWER_SESSION, "Sessions", "End a session; without effect on one that has ended" },
    { METHOD_DELETE, ONE,             AUTH_SYNC, LIMIT_GENERAL, session_command_fields, delete_,  204, ANSWER_NOTHING, "Sessions", "Delete a session, existing or not" },
    { .path = NULL },
};
/* clang-format on */
