/*
 * /v1/sessions: what clients do with sync sessions. The rules are the engine's (session.h), the
 * storing is the store's (session_store.h), what bodies look like is in session_body.c; here
 * requests become commands, and results become answers.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/etag.h"
#include "common/log.h"
#include "common/session_json.h"
#include "common/session_store.h"
#include "fcgi/api/session_body.h"
#include "fcgi/gate.h"
#include "fcgi/guard.h"

#include <json-c/json.h>
#include <string.h>

static void
log_change(const char *id, const struct change *c)
{
    if (c->type == EVENT_NONE)
        return;
    log_info("session_changed", LOG_STR("session_id", id),
             LOG_STR("event", event_type_name(c->type)), LOG_INT("version", c->version));
}

/* ---- what answers show ---- */

static void
print_state(struct buf *out, const struct session *s, const struct store_result *res,
            bool minimal)
{
    (minimal ? session_json_minimal : session_json)(out, s, res->server_time_ms);
}

static void
print_switch(struct buf *out, const struct session *s, const struct store_result *res,
             bool minimal)
{
    (minimal ? session_switch_json_minimal : session_switch_json)(out, s, res->change.expired,
                                                                  res->server_time_ms);
}

/* ---- create ---- */

static enum rc
check_readers(struct req *rq, struct fail *f)
{
    size_t n = body_array_len(rq->body.json, "readers");

    if (n > 0 && !access_is_trusted(&rq->caller))
        return fail_set(f, RC_FORBIDDEN, "Only a service may say who reads a session");
    for (size_t i = 0; i < n; i++) {
        struct json_object *reader = body_array_at(rq->body.json, "readers", i);

        if (strlen(json_object_get_string(reader)) >= SESSION_OWNER_MAX)
            body_issue(&rq->body, rq->mem, arena_printf(rq->mem, "readers.%zu", i), "too_big",
                       "Reader cannot exceed 255 bytes");
    }
    if (rq->body.issues != NULL)
        return fail_invalid(f);
    return RC_OK;
}

static enum rc
create(struct req *rq, struct fail *f)
{
    struct session *s = session_of_request(rq);
    struct store_result res = { 0 };
    char id[ID_LEN + 1];
    struct guard g;
    enum rc rc = guard_read(&g, rq, print_state, f);

    if (rc == RC_OK)
        rc = check_readers(rq, f);
    if (rc != RC_OK)
        return rc;
    rc = session_body_draft(s, &rq->body, rq->mem, rq->user, f);
    if (rc != RC_OK)
        return rc;
    if (!body_has(rq->body.json, "session_id") && g.made_id[0] != '\0')
        memcpy(s->id, g.made_id, sizeof(g.made_id));
    memcpy(id, s->id, sizeof(id));
    rc = session_store_create(rq->app->store, s, &g.terms, &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (rc != RC_OK)
        return rc;
    log_change(s->id, &res.change);
    guard_answer(&g, s, &res);
    if (rq->reply.status < 300)
        reply_header(rq, "Location", "%s/sessions/%s", rq->base,
                     res.replay.status != 0 ? id : s->id);
    return RC_OK;
}

/* ---- read ---- */

/* The state, unless `is_current` says that the caller holds it. */
static enum rc
show(struct req *rq, bool (*is_current)(const struct req *rq, const struct session *s),
     struct fail *f)
{
    const struct store_terms terms = { .caller = &rq->caller, .rider = gate_rider(rq) };
    struct session *s = session_of_request(rq);
    struct store_result res = { 0 };
    char tag[ETAG_MAX];
    enum rc rc;

    rc = session_store_get(rq->app->store, rq->params[0], &terms, s, &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (rc != RC_OK)
        return rc;
    if (is_current(rq, s))
        reply_empty(rq, 304);
    else
        session_json(reply_data(rq, 200), s, res.server_time_ms);
    etag_make(tag, s->epoch, s->version);
    reply_header(rq, "ETag", "W/%s", tag);
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

static bool
has_tag(const struct req *rq, const struct session *s)
{
    char tag[ETAG_MAX];

    etag_make(tag, s->epoch, s->version);
    return request_has_etag(rq, tag);
}

static enum rc
get(struct req *rq, struct fail *f)
{
    return show(rq, has_tag, f);
}

/* clang-format off */
static const struct field poll_query[] = {
    { .name = "since_version", .type = F_INT, .label = "Since version", .required = true,
      .min = 0, .max = INT64_MAX, .doc = "The version that the caller holds; 0 for none." },
    { .name = "epoch", .type = F_STR, .label = "Epoch", .max = EPOCH_MAX,
      .doc = "The epoch that it goes with." },
    { .type = F_END },
};
/* clang-format on */

static bool
has_version(const struct req *rq, const struct session *s)
{
    const char *epoch = body_str(rq->args, "epoch");

    return body_int(rq->args, "since_version", 0) == s->version &&
           (epoch == NULL || strcmp(epoch, s->epoch) == 0);
}

static enum rc
poll_(struct req *rq, struct fail *f)
{
    return show(rq, has_version, f);
}

/* ---- commands ---- */

static struct command
read_command(const struct req *rq, enum command_type type)
{
    struct json_object *body = rq->body.json;
    struct command cmd = {
        .type = type,
        .expected_version = body_int(body, "expected_version", 0),
        .current_participant_id = body_str(body, "current_participant_id"),
        .next_participant_id = body_str(body, "next_participant_id"),
        .participant_id = rq->params[1], /* of a path that ends with one */
        .grace_ms = request_header(rq, "HTTP_IF_MATCH") ? 0 : rq->app->conf->switch_grace_ms,
    };

    if (type == COMMAND_ADD) {
        cmd.participant_id = body_str(body, "participant_id");
        cmd.newcomer.index = body_int(body, "participant_index", -1);
        cmd.newcomer.total_time_ms = body_int(body, "total_time_ms", 0);
        cmd.newcomer.group_id = body_str(body, "group_id");
    }
    if (type == COMMAND_ADJUST) {
        cmd.correction.sets = body_has(body, "total_time_ms");
        cmd.correction.ms = body_int(body, cmd.correction.sets ? "total_time_ms" : "add_ms", 0);
        cmd.correction.note = body_str(body, "reason");
    }
    return cmd;
}

static enum rc
command(struct req *rq, enum command_type type, guard_print *print, struct fail *f)
{
    struct command cmd = read_command(rq, type);
    struct session *s = session_of_request(rq);
    struct store_result res = { 0 };
    struct guard g;
    enum rc rc = guard_read(&g, rq, print, f);

    if (rc != RC_OK)
        return rc;
    rc = session_store_command(rq->app->store, rq->params[0], &cmd, &g.terms, s, &res, f);
    rq->server_time_ms = res.server_time_ms;
    if (type == COMMAND_SWITCH && res.switch_limit.known)
        rq->limit = res.switch_limit;
    if (rc != RC_OK)
        return rc;
    log_change(rq->params[0], &res.change);
    guard_answer(&g, s, &res);
    return RC_OK;
}

static enum rc
start(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_START, print_state, f);
}

static enum rc
pause_(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_PAUSE, print_state, f);
}

static enum rc
resume(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_RESUME, print_state, f);
}

static enum rc
complete(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_COMPLETE, print_state, f);
}

static enum rc
add(struct req *rq, struct fail *f)
{
    enum rc rc = command(rq, COMMAND_ADD, print_state, f);

    if (rc == RC_OK && rq->reply.status < 300)
        reply_header(rq, "Location", "%s/sessions/%s/participants/%s", rq->base, rq->params[0],
                     body_str(rq->body.json, "participant_id"));
    return rc;
}

static enum rc
adjust(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_ADJUST, print_state, f);
}

static enum rc
remove_(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_REMOVE, print_state, f);
}

static enum rc
cancel(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_CANCEL, print_state, f);
}

static enum rc
switch_(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_SWITCH, print_switch, f);
}

static enum rc
delete_(struct req *rq, struct fail *f)
{
    return command(rq, COMMAND_DELETE, NULL, f);
}

#define ONE "/v1/sessions/{id}"

/* clang-format off */
const struct route session_routes[] = {
    { METHOD_POST,   "/v1/sessions",  AUTH_SYNC, LIMIT_CREATE,  session_create_fields,  NULL,       create,   201, ANSWER_SESSION, "Sessions", "Create a session, pending" },
    { METHOD_GET,    ONE,             AUTH_SYNC, LIMIT_GET,     NULL,                   NULL,       get,      200, ANSWER_SESSION, "Sessions", "Read a session; 304 for a current ETag" },
    { METHOD_GET,    ONE "/poll",     AUTH_SYNC, LIMIT_GENERAL, NULL,                   poll_query, poll_,    200, ANSWER_SESSION, "Sessions", "Read a session if it is newer than since_version; else 304" },
    { METHOD_POST,   ONE "/start",    AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       start,    200, ANSWER_SESSION, "Sessions", "Start a pending session: the first turn begins" },
    { METHOD_POST,   ONE "/switch",   AUTH_SYNC, LIMIT_SWITCH,  session_switch_fields,  NULL,       switch_,  200, ANSWER_SWITCH,  "Sessions", "End the turn and begin the next one" },
    { METHOD_POST,   ONE "/pause",    AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       pause_,   200, ANSWER_SESSION, "Sessions", "Stop the clock of a running session" },
    { METHOD_POST,   ONE "/resume",   AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       resume,   200, ANSWER_SESSION, "Sessions", "Let the clock of a paused session run on" },
    { METHOD_POST,   ONE "/complete", AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       complete, 200, ANSWER_SESSION, "Sessions", "End a session; without effect on one that has ended" },
    { METHOD_POST,   ONE "/cancel",   AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       cancel,   200, ANSWER_SESSION, "Sessions", "Call a session off that has not ended" },
    { METHOD_POST,   ONE "/participants",       AUTH_SYNC, LIMIT_GENERAL, participant_add_fields,    NULL, add,    201, ANSWER_SESSION, "Sessions", "Add a participant; last in the rotation, unless the body says otherwise" },
    { METHOD_PATCH,  ONE "/participants/{pid}", AUTH_SYNC, LIMIT_GENERAL, participant_adjust_fields, NULL, adjust, 200, ANSWER_SESSION, "Sessions", "Correct the clock of a participant, with a reason" },
    { METHOD_DELETE, ONE "/participants/{pid}", AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       remove_,  200, ANSWER_SESSION, "Sessions", "Remove a participant, who then takes no more turns" },
    { METHOD_DELETE, ONE,             AUTH_SYNC, LIMIT_GENERAL, session_command_fields, NULL,       delete_,  204, ANSWER_NOTHING, "Sessions", "Delete a session, existing or not" },
    { .path = NULL },
};
/* clang-format on */
