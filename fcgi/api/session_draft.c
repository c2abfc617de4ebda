/* The draft of a session out of a create body that passed its check. */
#include "fcgi/api/session_body.h"

#include "common/arena.h"
#include "common/session.h"
#include "fcgi/api/session_control.h"
#include "fcgi/request.h"

#include <json-c/json.h>
#include <string.h>

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

struct issue_list {
    struct body *body;
    struct arena *mem;
};

static void
add_issue(void *ctx, const char *field, const char *message, const char *code)
{
    struct issue_list *to = ctx;

    body_issue(to->body, to->mem, field, code, message);
}

/* The groups, and into ms[] who is listed where. */
static void
fill_groups(struct session *s, struct json_object *body, struct membership *ms)
{
    size_t n = 0;

    for (size_t k = 0; k < body_array_len(body, "groups"); k++) {
        struct json_object *from = body_array_at(body, "groups", k);
        struct group *g = session_add_group(s);

        memcpy(g->id, body_str(from, "group_id"), ID_LEN + 1);
        g->total_time_ms = body_int(from, "total_time_ms", 0);
        for (size_t i = 0; i < body_array_len(from, "members"); i++)
            ms[n++] = (struct membership){ (int32_t)k, (int32_t)i,
                                           json_object_get_string(
                                               body_array_at(from, "members", i)) };
    }
}

static size_t
count_members(struct json_object *body)
{
    size_t n = 0;

    for (size_t k = 0; k < body_array_len(body, "groups"); k++)
        n += body_array_len(body_array_at(body, "groups", k), "members");
    return n;
}

/* A place, -1 when nobody is named, one beyond the list for somebody unknown. */
static int32_t
place_of(const struct session *s, const char *id)
{
    int32_t place = id == NULL ? -1 : session_find(s, id);

    return id != NULL && place < 0 ? SESSION_PARTICIPANTS_MAX : place;
}

/* The length has been checked in characters; more than 64 of them do not fit. */
static void
fill_text(char *out, size_t size, const char *text)
{
    if (text != NULL)
        snprintf(out, size, "%s", text);
}

static void
fill_timeout(struct session *s, struct json_object *from)
{
    struct json_object *penalty = NULL;

    s->on_timeout.type = timeout_action_parse(body_str(from, "type"));
    fill_text(s->on_timeout.action, sizeof(s->on_timeout.action), body_str(from, "action"));
    fill_text(s->on_timeout.outcome, sizeof(s->on_timeout.outcome), body_str(from, "outcome"));
    s->on_timeout.winner = place_of(s, body_str(from, "winner_participant_id"));
    if (json_object_object_get_ex(from, "penalty", &penalty))
        fill_text(s->on_timeout.penalty, sizeof(s->on_timeout.penalty),
                  json_object_to_json_string_ext(penalty, JSON_C_TO_STRING_PLAIN |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void
fill_warnings(struct session *s, struct json_object *body)
{
    if (!body_has(body, "warn_at_ms"))
        return;
    s->warn_at_ms[0] = 0;
    for (size_t i = 0; i < body_array_len(body, "warn_at_ms"); i++)
        s->warn_at_ms[i] = json_object_get_int64(body_array_at(body, "warn_at_ms", i));
}

static bool
is_private(struct json_object *metadata)
{
    struct json_object *v = NULL;

    return json_object_object_get_ex(metadata, "visibility", &v) &&
           json_object_is_type(v, json_type_string) &&
           strcmp(json_object_get_string(v), "private") == 0;
}

static void
fill_access(struct session *s, struct json_object *body)
{
    struct json_object *metadata = NULL;

    if (json_object_object_get_ex(body, "metadata", &metadata))
        s->is_private = is_private(metadata);
    for (size_t i = 0; i < body_array_len(body, "readers"); i++)
        (void)!session_add_reader(s, json_object_get_string(body_array_at(body, "readers", i)));
}

static void
fill(struct session *s, struct json_object *body, const char *owner)
{
    const char *id = body_str(body, "session_id");
    struct json_object *metadata = NULL, *timeout = NULL, *control = NULL;

    if (id != NULL)
        memcpy(s->id, id, ID_LEN + 1);
    else
        id_uuid4(s->id);
    s->mode = sync_mode_parse(body_str(body, "sync_mode"));
    s->total_time_ms = body_int(body, "total_time_ms", 0);
    s->time_per_cycle_ms = body_int(body, "time_per_cycle_ms", -1);
    s->increment_ms = body_int(body, "increment_ms", -1);
    s->max_time_ms = body_int(body, "max_time_ms", -1);
    if (owner != NULL)
        snprintf(s->owner, sizeof(s->owner), "%s", owner);
    if (json_object_object_get_ex(body, "metadata", &metadata))
        s->metadata = xstrdup(json_object_to_json_string_ext(
            metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    fill_access(s, body);
    for (size_t i = 0; i < body_array_len(body, "participants"); i++)
        fill_participant(s, body_array_at(body, "participants", i));
    s->first = place_of(s, body_str(body, "active_participant_id"));
    s->auto_advance = body_bool(body, "auto_advance", false);
    s->max_cycles = body_int(body, "max_cycles", 0);
    if (json_object_object_get_ex(body, "time_control", &control))
        session_control_draft(s, control);
    if (json_object_object_get_ex(body, "action_on_timeout", &timeout))
        fill_timeout(s, timeout);
    fill_warnings(s, body);
}

static void
fini_session(void *s)
{
    session_fini(s);
}

struct session *
session_of_request(struct req *rq)
{
    struct session *s = arena_alloc(rq->mem, sizeof(*s));

    session_init(s);
    arena_defer(rq->mem, fini_session, s);
    return s;
}

enum rc
session_body_draft(struct session *s, struct body *body, struct arena *mem, const char *owner,
                   struct fail *f)
{
    size_t n = count_members(body->json);
    struct membership *ms = arena_alloc(mem, (n + 1) * sizeof(*ms));
    struct issue_list issues = { body, mem };
    size_t faults;

    fill(s, body->json, owner);
    fill_groups(s, body->json, ms);
    faults = session_draft_check(s, add_issue, &issues);
    faults += session_draft_groups(s, ms, n, add_issue, &issues);
    return faults == 0 ? RC_OK : fail_invalid(f);
}
