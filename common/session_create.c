/* How a session begins: what a draft must be, and what is filled in. */
#include "arena.h"
#include "control.h"
#include "id.h"
#include "mode.h"
#include "session_change.h"

#define FIELD_MAX 64

void
session_fault_add(struct session_faults *to, const char *field, const char *message,
                  const char *code)
{
    to->tell(to->ctx, field, message, code);
    to->n++;
}

static void
duplicates_check(const struct session *s, struct session_faults *to)
{
    struct id_ref *ids = xalloc((s->n + 1) * sizeof(*ids));
    char field[FIELD_MAX];

    for (size_t k = 0; k < s->n; k++)
        ids[k] = (struct id_ref){ s->p[k].id, (int32_t)k };
    id_refs_sort(ids, s->n);
    for (size_t k = 0; k < s->n; k++) {
        if (id_refs_find(ids, s->n, s->p[k].id) == (int32_t)k)
            continue;
        snprintf(field, sizeof(field), "participants.%zu.participant_id", k);
        session_fault_add(to, field, "Participant ID must be unique in the session",
                          "duplicate");
    }
    free(ids);
}

/* What a mode without turns, without cycles or without groups cannot do. */
static void
mode_check(const struct session *s, struct session_faults *to)
{
    bool has_turns = mode_ops(s->mode)->has_turns;

    if (!has_turns && timeout_action_needs_turns(s->on_timeout.type))
        session_fault_add(to, "action_on_timeout.type", "This action needs a mode with turns",
                          "invalid_value");
    if (!has_turns && s->auto_advance)
        session_fault_add(to, "auto_advance", "auto_advance needs a mode with turns",
                          "invalid_value");
    if (s->max_cycles > 0 && s->mode != MODE_PER_CYCLE)
        session_fault_add(to, "max_cycles", "max_cycles needs mode per_cycle", "invalid_value");
    if (s->n_groups > 0 && s->mode != MODE_PER_GROUP)
        session_fault_add(to, "groups", "groups needs mode per_group", "invalid_value");
}

size_t
session_draft_check(const struct session *s, session_fault_fn *fault, void *ctx)
{
    struct session_faults to = { fault, ctx, 0 };

    if (s->n == 0 && mode_ops(s->mode)->has_turns)
        session_fault_add(&to, "participants", "At least one participant is required",
                          "too_small");
    duplicates_check(s, &to);
    if (s->metadata != NULL && strlen(s->metadata) > SESSION_METADATA_MAX)
        session_fault_add(&to, "metadata", "Metadata cannot exceed 10 KB", "too_big");
    if (s->first < -1 || s->first >= (int32_t)s->n)
        session_fault_add(&to, "active_participant_id", "Participant not found in session",
                          "invalid_value");
    if (s->on_timeout.winner < -1 || s->on_timeout.winner >= (int32_t)s->n)
        session_fault_add(&to, "action_on_timeout.winner_participant_id",
                          "Participant not found in session", "invalid_value");
    mode_check(s, &to);
    control_check(s, &to);
    return to.n;
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
session_refuse(struct fail *f, const char *field, const char *message, const char *code)
{
    enum rc rc = fail_invalid(f);

    if (f != NULL && f->details[0] == '\0')
        snprintf(f->details, sizeof(f->details),
                 "[{\"field\":\"%s\",\"message\":\"%s\",\"code\":\"%s\"}]", field, message,
                 code);
    return rc;
}

/* The first fault stands for all: who wants every one asks before. */
static void
refuse(void *ctx, const char *field, const char *message, const char *code)
{
    session_refuse(ctx, field, message, code);
}

enum rc
session_create(struct session *s, int64_t now_ms, struct change *c, struct fail *f)
{
    size_t faults = session_draft_check(s, refuse, f);

    session_change_none(c);
    faults += session_draft_groups(s, NULL, 0, refuse, f);
    if (faults > 0)
        return RC_VALIDATION;
    s->status = STATUS_PENDING;
    s->version = 0;
    s->created_at = now_ms;
    if (s->increment_ms < 0)
        s->increment_ms = s->control.increment_ms;
    metadata_flatten(s->metadata);
    session_warn_set_up(s);
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
