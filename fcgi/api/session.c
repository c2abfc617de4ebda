/*
 * /v1/sessions: what clients do with sync sessions. The rules are the engine's (session.h), the
 * storing is the store's (session_store.h); here bodies become drafts and commands, and results
 * become answers.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/session_json.h"
#include "common/session_store.h"
#include "fcgi/gate.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#define DAY_MS 86400000

/* clang-format off */
#define AMOUNT(what)                                                     \
    .label = what, .min = 1000, .max = DAY_MS,                           \
    .too_small = what " must be at least 1000ms (1 second)",             \
    .too_big = what " cannot exceed 86400000ms (24 hours)"

static const struct field participant_fields[] = {
    { .name = "participant_id", .type = F_UUID, .label = "Participant ID", .required = true,
      .doc = "Any UUID, unique within the session." },
    { .name = "participant_index", .type = F_INT, .label = "Participant index", .required = true,
      .min = 0, .max = INT64_MAX, .too_small = "Participant index must be non-negative",
      .doc = "Place in the rotation; equal ones keep the order of the list." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .doc = "The bank this participant starts with." },
    { .name = "group_id", .type = F_UUID, .label = "Group ID", .doc = "Returned as sent." },
    { .type = F_END },
};

static const struct field create_fields[] = {
    { .name = "session_id", .type = F_UUID, .label = "Session ID",
      .doc = "Chosen by the client; made by the server when it is left out." },
    { .name = "sync_mode", .type = F_ENUM, .label = "Sync mode", .required = true,
      .one_of = "per_participant|per_cycle|per_group|global|count_up",
      .missing = "Invalid sync mode. Must be one of: per_participant, per_cycle, per_group, "
                 "global, count_up",
      .doc = "What burns. Only per_participant is built." },
    { .name = "participants", .type = F_ARRAY, .label = "Participants", .required = true,
      .min = 1, .max = SESSION_PARTICIPANTS_MAX, .items = participant_fields,
      .too_small = "At least one participant is required",
      .too_big = "Cannot exceed 1000 participants",
      .doc = "Who takes turns, in the order in which they are shown." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .doc = "Stored and returned; banks are the participants' own." },
    { .name = "time_per_cycle_ms", .type = F_INT, AMOUNT("Time per cycle"),
      .doc = "Stored and returned." },
    { .name = "increment_ms", .type = F_INT, .label = "Increment", .min = 0, .max = 60000,
      .too_small = "Increment must be non-negative",
      .too_big = "Increment cannot exceed 60000ms (1 minute)",
      .doc = "Added to a bank at each hand-over (Fischer)." },
    { .name = "max_time_ms", .type = F_INT, AMOUNT("Max time"), .doc = "Stored and returned." },
    { .name = "metadata", .type = F_OBJECT, .label = "Metadata", .max = SESSION_METADATA_MAX,
      .doc = "Any object of at most 10 KB, returned as sent." },
    { .type = F_END },
};

#define EXPECTED_VERSION                                                                     \
    { .name = "expected_version", .type = F_INT, .label = "Expected version", .min = 1,      \
      .max = INT64_MAX, .doc = "The version the session must still have; else 409." }

static const struct field command_fields[] = {
    EXPECTED_VERSION,
    { .type = F_END },
};

static const struct field switch_fields[] = {
    EXPECTED_VERSION,
    { .name = "current_participant_id", .type = F_UUID, .label = "Current participant ID",
      .doc = "Who must still be active; else 409. Makes repeating a switch safe." },
    { .name = "next_participant_id", .type = F_UUID, .label = "Next participant ID",
      .doc = "Who is next; by rotation when it is left out." },
    { .type = F_END },
};
/* clang-format on */

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

static void
fill_participant(struct session *s, struct json_object *from)
{
    struct participant *p = session_add_participant(s);
    const char *group = body_str(from, "group_id");

    memcpy(p->id, body_str(from, "participant_id"), ID_LEN + 1);
    if (group != NULL)
        memcpy(p->group_id, group, ID_LEN + 1);
    p->index = body_int(from, "participant_index", 0);
    p->total_time_ms = body_int(from, "total_time_ms", 0);
}

static void
fill_draft(struct session *s, struct json_object *body, const char *owner)
{
    const char *id = body_str(body, "session_id");
    struct json_object *metadata = NULL;

    if (id != NULL)
        memcpy(s->id, id, ID_LEN + 1);
    else
        id_uuid4(s->id);
    s->mode = sync_mode_parse(body_str(body, "sync_mode"));
    s->total_time_ms = body_int(body, "total_time_ms", 0);
    s->time_per_cycle_ms = body_int(body, "time_per_cycle_ms", -1);
    s->increment_ms = body_int(body, "increment_ms", 0);
    s->max_time_ms = body_int(body, "max_time_ms", -1);
    if (owner != NULL)
        snprintf(s->owner, sizeof(s->owner), "%s", owner);
    if (json_object_object_get_ex(body, "metadata", &metadata))
        s->metadata = xstrdup(json_object_to_json_string_ext(
            metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    for (size_t i = 0; i < body_array_len(body, "participants"); i++)
        fill_participant(s, body_array_at(body, "participants", i));
}

static enum rc
create(struct req *rq, struct fail *f)
{
    struct session *s = new_session(rq);
    struct store_result res = { 0 };
    enum rc rc;

    fill_draft(s, rq->body.json, rq->user);
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
    { METHOD_POST,   "/v1/sessions",    AUTH_SYNC, LIMIT_CREATE,  create_fields,  create,   201, ANSWER_SESSION, "Sessions", "Create a session, pending" },
    { METHOD_GET,    ONE,               AUTH_SYNC, LIMIT_GET,     NULL,           get,      200, ANSWER_SESSION, "Sessions", "Read a session; 304 for a current ETag" },
    { METHOD_POST,   ONE "/start",      AUTH_SYNC, LIMIT_GENERAL, command_fields, start,    200, ANSWER_SESSION, "Sessions", "Start a pending session: the first turn begins" },
    { METHOD_POST,   ONE "/switch",     AUTH_SYNC, LIMIT_SWITCH,  switch_fields,  switch_,  200, ANSWER_SWITCH,  "Sessions", "End the turn and begin the next one" },
    { METHOD_POST,   ONE "/pause",      AUTH_SYNC, LIMIT_GENERAL, command_fields, pause_,   200, ANSWER_SESSION, "Sessions", "Stop the clock of a running session" },
    { METHOD_POST,   ONE "/resume",     AUTH_SYNC, LIMIT_GENERAL, command_fields, resume,   200, ANSWER_SESSION, "Sessions", "Let the clock of a paused session run on" },
    { METHOD_POST,   ONE "/complete",   AUTH_SYNC, LIMIT_GENERAL, command_fields, complete, 200, ANSWER_SESSION, "Sessions", "End a session; without effect on one that has ended" },
    { METHOD_DELETE, ONE,               AUTH_SYNC, LIMIT_GENERAL, command_fields, delete_,  204, ANSWER_NOTHING, "Sessions", "Delete a session, existing or not" },
    { .path = NULL },
};
/* clang-format on */
