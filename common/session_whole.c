/* Whether what was read from the store is a session that the engine may run on. */
#include "control.h"
#include "mode.h"
#include "session_row.h"

static bool
is_place(const struct session *s, int32_t place)
{
    return place >= -1 && place < (int32_t)s->n;
}

/* One that a slice does not hold. */
static bool
is_place_of_whole(const struct session *s, int32_t place)
{
    return s->is_slice ? place >= -1 : is_place(s, place);
}

/* Whoever ends a turn has to find somebody to give it to. */
static bool
somebody_is_in(const struct session *s)
{
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].out == OUT_NONE)
            return true;
    return s->n == 0 || sync_status_is_terminal(s->status);
}

/* Whether everybody is in a group exactly where there are some. */
static bool
groups_are_whole(const struct session *s)
{
    bool grouped = s->mode == MODE_PER_GROUP;

    for (size_t k = 0; k < s->n; k++)
        if ((s->p[k].group >= 0) != grouped || s->p[k].group >= (int32_t)s->n_groups)
            return false;
    for (size_t k = 0; k < s->n_groups; k++)
        if (s->g[k].id[0] == '\0' || s->g[k].last >= (int32_t)s->n)
            return false;
    return grouped || s->n_groups == 0;
}

/* Whether somebody is on exactly where that has to be. */
static bool
turn_is_whole(const struct session *s)
{
    bool on = s->status == STATUS_RUNNING || s->status == STATUS_PAUSED;

    return s->active < 0 ? !on || s->n == 0 : on;
}

/* The instants that the engine subtracts from must be there, and not ahead of the session. */
static bool
times_are_whole(const struct session *s)
{
    switch (s->status) {
    case STATUS_PENDING:
        return s->updated_at > 0;
    case STATUS_RUNNING:
        return s->session_started_at > 0 && s->cycle_started_at > 0 &&
               s->cycle_started_at <= s->updated_at;
    case STATUS_PAUSED:
        return s->session_started_at > 0 && s->paused_charged_at > 0 &&
               s->paused_charged_at <= s->updated_at;
    case STATUS_COMPLETED:
    case STATUS_EXPIRED:
    case STATUS_CANCELLED:
        return s->session_completed_at > 0;
    case STATUS_UNSET:
    case STATUS__MAX:
        break;
    }
    return false;
}

static bool
warnings_are_in_order(const struct session *s)
{
    for (size_t k = 1; k < SESSION_WARNINGS_MAX; k++)
        if (s->warn_at_ms[k] != 0 &&
            (s->warn_at_ms[k - 1] == 0 || s->warn_at_ms[k] <= s->warn_at_ms[k - 1]))
            return false;
    return true;
}

enum rc
session_fields_done(struct session *s, struct fail *f)
{
    if (s->id[0] == '\0')
        return fail_log(f, RC_STATE_UNREADABLE, "no header");
    if (mode_ops(s->mode) == NULL)
        return fail_log(f, RC_STATE_UNREADABLE, "no such mode: %d", (int)s->mode);
    if (s->n == 0 && mode_ops(s->mode)->has_turns)
        return fail_log(f, RC_STATE_UNREADABLE, "no participants");
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].id[0] == '\0')
            return fail_log(f, RC_STATE_UNREADABLE, "participant %zu is missing", k);
    if (!is_place(s, s->active) || !is_place_of_whole(s, s->last_timeout.expired) ||
        !is_place(s, s->result.expired) || !is_place(s, s->result.winner) ||
        !is_place_of_whole(s, s->first) || !is_place_of_whole(s, s->on_timeout.winner))
        return fail_log(f, RC_STATE_UNREADABLE, "a place beyond the list");
    if (!groups_are_whole(s))
        return fail_log(f, RC_STATE_UNREADABLE, "groups are missing, or out of place");
    if (!control_is_whole(s))
        return fail_log(f, RC_STATE_UNREADABLE, "a time control without its parameters");
    if (!somebody_is_in(s))
        return fail_log(f, RC_STATE_UNREADABLE, "nobody is left to take a turn");
    if (!warnings_are_in_order(s))
        return fail_log(f, RC_STATE_UNREADABLE, "warnings out of order");
    if (!turn_is_whole(s) || !times_are_whole(s))
        return fail_log(f, RC_STATE_UNREADABLE, "status %d without its turn or its instants",
                        (int)s->status);
    return RC_OK;
}
