/* How a session begins: what a draft must be, and what is filled in. */
#include "arena.h"
#include "mode.h"
#include "session_change.h"
#include <inttypes.h>
#include <strings.h>

#define MESSAGE_INVALID "Request validation failed"

struct named {
    const char *id;
    int32_t place;
};

static int
named_compare(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcasecmp(x->id, y->id);

    return order != 0 ? order : x->place - y->place;
}

/* The first place whose id stands at an earlier place too; -1 none. */
static int32_t
duplicate_find(const struct session *s)
{
    struct named *ids;
    int32_t found = -1;

    if (s->n == 0)
        return -1;
    ids = xalloc(s->n * sizeof(*ids));
    for (size_t k = 0; k < s->n; k++)
        ids[k] = (struct named){ s->p[k].id, (int32_t)k };
    qsort(ids, s->n, sizeof(*ids), named_compare);
    for (size_t k = 1; k < s->n; k++)
        if (strcasecmp(ids[k - 1].id, ids[k].id) == 0 && (found < 0 || ids[k].place < found))
            found = ids[k].place;
    free(ids);
    return found;
}

static enum rc
refuse(struct fail *f, const char *field, const char *message, const char *code)
{
    enum rc rc = fail_set(f, RC_VALIDATION, MESSAGE_INVALID);

    if (f != NULL && f->details[0] == '\0')
        snprintf(f->details, sizeof(f->details),
                 "[{\"field\":\"%s\",\"message\":\"%s\",\"code\":\"%s\"}]", field, message,
                 code);
    return rc;
}

/* What a mode without turns, and one without cycles, cannot do. */
static enum rc
mode_check(const struct session *s, struct fail *f)
{
    bool has_turns = mode_ops(s->mode)->has_turns;

    if (!has_turns && timeout_action_needs_turns(s->on_timeout.type))
        return refuse(f, "action_on_timeout.type", "This action needs a mode with turns",
                      "invalid_value");
    if (!has_turns && s->auto_advance)
        return refuse(f, "auto_advance", "auto_advance needs a mode with turns",
                      "invalid_value");
    if (s->max_cycles > 0 && s->mode != MODE_PER_CYCLE)
        return refuse(f, "max_cycles", "max_cycles needs mode per_cycle", "invalid_value");
    return RC_OK;
}

static enum rc
policy_check(const struct session *s, struct fail *f)
{
    if (s->first < -1 || s->first >= (int32_t)s->n)
        return refuse(f, "active_participant_id", "Participant not found in session",
                      "invalid_value");
    if (s->on_timeout.winner < -1 || s->on_timeout.winner >= (int32_t)s->n)
        return refuse(f, "action_on_timeout.winner_participant_id",
                      "Participant not found in session", "invalid_value");
    return mode_check(s, f);
}

static enum rc
draft_check(const struct session *s, struct fail *f)
{
    char field[48];
    int32_t place;

    if (mode_ops(s->mode) == NULL)
        return refuse(f, "sync_mode", "This sync mode is not supported yet",
                      "unsupported_mode");
    if (s->n == 0 && mode_ops(s->mode)->has_turns)
        return refuse(f, "participants", "At least one participant is required", "too_small");
    if (s->metadata != NULL && strlen(s->metadata) > SESSION_METADATA_MAX)
        return refuse(f, "metadata", "Metadata cannot exceed 10 KB", "too_big");
    place = duplicate_find(s);
    if (place < 0)
        return policy_check(s, f);
    snprintf(field, sizeof(field), "participants.%" PRId32 ".participant_id", place);
    return refuse(f, field, "Participant ID must be unique in the session", "duplicate");
}

/* Control characters are legal JSON only between tokens; a stored field is one line. */
static void
metadata_flatten(char *s)
{
    for (; s != NULL && *s != '\0'; s++)
        if ((unsigned char)*s < ' ')
            *s = ' ';
}

/* Cycle after cycle begins without anybody. */
static bool
goes_on_alone(const struct session *s)
{
    return s->auto_advance || s->on_timeout.type == TIMEOUT_SKIP_CYCLE;
}

enum rc
session_create(struct session *s, int64_t now_ms, struct change *c, struct fail *f)
{
    enum rc rc = draft_check(s, f);

    session_change_none(c);
    if (rc != RC_OK)
        return rc;
    s->status = STATUS_PENDING;
    s->version = 0;
    s->created_at = now_ms;
    metadata_flatten(s->metadata);
    if (s->mode == MODE_PER_CYCLE && s->max_cycles == 0 && goes_on_alone(s))
        s->max_cycles = SESSION_CYCLES_DEFAULT;
    for (size_t k = 0; k < s->n; k++) {
        s->p[k].allotted_ms = s->p[k].total_time_ms;
        s->p[k].dirty = true;
    }
    mode_ops(s->mode)->set_up(s);
    c->type = EVENT_SESSION_CREATED;
    session_change_seal(s, now_ms, c);
    return RC_OK;
}
