/* The words and the memory of a session; its behaviour is in session.c. */
#include "session.h"

#include "arena.h"
#include <assert.h>

/* --- words --- */

static const char *const mode_names[MODE__MAX] = {
    "", "per_participant", "per_cycle", "per_group", "global", "count_up",
};

static const char *const status_names[STATUS__MAX] = {
    "", "pending", "running", "paused", "completed", "expired", "cancelled",
};

static const char *const event_names[EVENT__MAX] = {
    "",
    "session_created",
    "session_started",
    "cycle_switched",
    "session_paused",
    "session_resumed",
    "participant_expired",
    "participant_added",
    "participant_adjusted",
    "participant_removed",
    "session_completed",
    "session_cancelled",
    "session_expired",
    "session_deleted",
};

static const char *const reason_names[REASON__MAX] = {
    "", "timeout", "idle", "recovery", "completed", "cancelled", "last_one_left", "cycles_done",
};

static const char *const out_names[OUT__MAX] = { "", "removed", "eliminated" };

const char *
sync_mode_name(enum sync_mode m)
{
    return m < MODE__MAX ? mode_names[m] : "";
}

const char *
sync_status_name(enum sync_status s)
{
    return s < STATUS__MAX ? status_names[s] : "";
}

const char *
event_type_name(enum event_type t)
{
    return t < EVENT__MAX ? event_names[t] : "";
}

const char *
change_reason_name(enum change_reason r)
{
    return r < REASON__MAX ? reason_names[r] : "";
}

const char *
participant_out_name(enum participant_out o)
{
    return o < OUT__MAX ? out_names[o] : "";
}

static const char *const timeout_names[TIMEOUT__MAX] = {
    "notify", "notify", "end_session", "skip_cycle", "auto_action", "eliminate",
};

static const char *const control_names[CONTROL__MAX] = {
    "",         "fischer",   "delay",    "bronstein", "byoyomi",
    "canadian", "hourglass", "per_move", "stages",
};

const char *
control_type_name(enum control_type t)
{
    return t < CONTROL__MAX ? control_names[t] : "";
}

enum control_type
control_type_parse(const char *s)
{
    for (int t = CONTROL_FISCHER; t < CONTROL__MAX; t++)
        if (strcmp(s, control_names[t]) == 0)
            return (enum control_type)t;
    return CONTROL_NONE;
}

static const struct {
    const char *word;
    enum timeout_action action;
} timeout_aliases[] = {
    { "game_over", TIMEOUT_END_SESSION },
    { "skip_question", TIMEOUT_SKIP_CYCLE },
    { "auto_fold", TIMEOUT_AUTO_ACTION },
};

const char *
timeout_action_name(enum timeout_action a)
{
    return a < TIMEOUT__MAX ? timeout_names[a] : "";
}

enum timeout_action
timeout_action_parse(const char *s)
{
    for (size_t i = 0; i < sizeof(timeout_aliases) / sizeof(timeout_aliases[0]); i++)
        if (strcmp(s, timeout_aliases[i].word) == 0)
            return timeout_aliases[i].action;
    for (int a = TIMEOUT_NOTIFY; a < TIMEOUT__MAX; a++)
        if (strcmp(s, timeout_names[a]) == 0)
            return (enum timeout_action)a;
    return TIMEOUT_NONE;
}

bool
timeout_action_needs_turns(enum timeout_action a)
{
    return a == TIMEOUT_SKIP_CYCLE || a == TIMEOUT_AUTO_ACTION || a == TIMEOUT_ELIMINATE;
}

enum sync_mode
sync_mode_parse(const char *s)
{
    for (int m = MODE_UNSET + 1; m < MODE__MAX; m++)
        if (strcmp(s, mode_names[m]) == 0)
            return (enum sync_mode)m;
    return MODE_UNSET;
}

bool
sync_status_is_terminal(enum sync_status s)
{
    return s == STATUS_COMPLETED || s == STATUS_EXPIRED || s == STATUS_CANCELLED;
}

/* --- memory --- */

/* p[] and g[] have room for the next power of two, so their sizes need no fields. */
static size_t
room_for(size_t n)
{
    size_t room = n == 0 ? 0 : 4;

    while (room < n)
        room *= 2;
    return room;
}

void
session_init(struct session *s)
{
    memset(s, 0, sizeof(*s));
    s->time_per_cycle_ms = -1;
    s->increment_ms = -1;
    s->warn_at_ms[0] = SESSION_WARNING_MS;
    s->max_time_ms = -1;
    s->active = -1;
    s->first = -1;
    s->on_timeout.winner = -1;
    s->last_timeout.expired = -1;
    s->result.expired = -1;
    s->result.winner = -1;
}

void
session_fini(struct session *s)
{
    free(s->p);
    free(s->g);
    free(s->metadata);
    free(s->readers);
    s->p = NULL;
    s->g = NULL;
    s->metadata = NULL;
    s->readers = NULL;
    s->n = s->n_groups = 0;
}

void
session_copy(struct session *dst, const struct session *src)
{
    assert(dst != src);
    session_fini(dst);
    *dst = *src;
    dst->p = NULL;
    if (src->n > 0) {
        dst->p = xalloc(room_for(src->n) * sizeof(*dst->p));
        memcpy(dst->p, src->p, src->n * sizeof(*dst->p));
    }
    dst->g = NULL;
    if (src->n_groups > 0) {
        dst->g = xalloc(room_for(src->n_groups) * sizeof(*dst->g));
        memcpy(dst->g, src->g, src->n_groups * sizeof(*dst->g));
    }
    dst->metadata = src->metadata == NULL ? NULL : xstrdup(src->metadata);
    dst->readers = src->readers == NULL ? NULL : xstrdup(src->readers);
}

struct participant *
session_add_participant(struct session *s)
{
    struct participant *p;

    assert(s->n < SESSION_PARTICIPANTS_MAX);
    if (room_for(s->n) < s->n + 1)
        s->p = xrealloc(s->p, room_for(s->n + 1) * sizeof(*s->p));
    p = &s->p[s->n];
    memset(p, 0, sizeof(*p));
    p->group = -1;
    p->place = (int32_t)s->n++;
    return p;
}

struct group *
session_add_group(struct session *s)
{
    struct group *g;

    assert(s->n_groups < SESSION_GROUPS_MAX);
    if (room_for(s->n_groups) < s->n_groups + 1)
        s->g = xrealloc(s->g, room_for(s->n_groups + 1) * sizeof(*s->g));
    g = &s->g[s->n_groups];
    memset(g, 0, sizeof(*g));
    g->last = -1;
    g->place = (int32_t)s->n_groups++;
    return g;
}

void
session_clean(struct session *s)
{
    s->dirty = false;
    for (size_t k = 0; k < s->n; k++)
        s->p[k].dirty = false;
    for (size_t k = 0; k < s->n_groups; k++)
        s->g[k].dirty = false;
}

int32_t
session_find(const struct session *s, const char *participant_id)
{
    for (size_t k = 0; k < s->n; k++)
        if (id_equal(s->p[k].id, participant_id))
            return (int32_t)k;
    return -1;
}
