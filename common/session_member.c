/* The commands about participants: one more, one less, another bank. */
#include "control.h"
#include "mode.h"
#include "session_change.h"
#include <inttypes.h>

static enum rc
unknown(const struct command *cmd, struct fail *f)
{
    return fail_set(f, RC_NOT_FOUND, "Participant %.36s not found in session",
                    cmd->participant_id);
}

/* --- add --- */

static int64_t
index_highest(const struct session *s)
{
    int64_t highest = 0;

    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].index > highest)
            highest = s->p[k].index;
    return highest;
}

/* The group that the newcomer belongs to: its own one when it names none. */
static const char *
group_name(const struct command *cmd)
{
    return cmd->newcomer.group_id != NULL ? cmd->newcomer.group_id : cmd->participant_id;
}

static int32_t
group_find(const struct session *s, const char *id)
{
    for (size_t k = 0; k < s->n_groups; k++)
        if (id_equal(s->g[k].id, id))
            return (int32_t)k;
    return -1;
}

static enum rc
addition_check(const struct session *s, const struct command *cmd, struct fail *f)
{
    if (s->n == 0)
        return session_refuse(f, "participant_id",
                              "A session made without participants gets none later",
                              "invalid_value");
    if (s->control.type == CONTROL_HOURGLASS)
        return session_refuse(f, "participant_id", "An hourglass has two sides",
                              "invalid_value");
    if (session_find(s, cmd->participant_id) >= 0)
        return session_refuse(f, "participant_id",
                              "Participant ID must be unique in the session", "duplicate");
    if (s->n >= SESSION_PARTICIPANTS_MAX)
        return session_refuse(f, "participant_id", "Cannot exceed 1000 participants",
                              "too_big");
    if (cmd->newcomer.index < 0 && index_highest(s) >= SESSION_INDEX_MAX)
        return session_refuse(f, "participant_index", "There is no higher index left",
                              "too_big");
    if (s->mode == MODE_PER_GROUP && s->n_groups >= SESSION_GROUPS_MAX &&
        group_find(s, group_name(cmd)) < 0)
        return session_refuse(f, "group_id", "Cannot exceed 1000 groups", "too_big");
    return RC_OK;
}

/* A group that exists stays as it is; a new one has the bank of its first member. */
static void
group_join(struct session *s, struct participant *p, const struct command *cmd)
{
    struct group *g;

    p->group_id[0] = '\0';
    p->group = group_find(s, group_name(cmd));
    if (p->group >= 0)
        return;
    p->group = (int32_t)s->n_groups;
    g = session_add_group(s);
    snprintf(g->id, sizeof(g->id), "%s", group_name(cmd));
    g->total_time_ms = g->allotted_ms = p->total_time_ms;
    g->dirty = true;
}

enum rc
session_member_add(struct session *s, const struct command *cmd, int64_t now, struct change *c,
                   struct fail *f)
{
    int64_t index = cmd->newcomer.index;
    struct participant *p;
    enum rc rc = addition_check(s, cmd, f);

    if (rc != RC_OK)
        return rc;
    session_charge(s, now);
    if (index < 0)
        index = index_highest(s) + 1;
    c->participant = (int32_t)s->n;
    p = session_add_participant(s);
    snprintf(p->id, sizeof(p->id), "%s", cmd->participant_id);
    p->index = index;
    p->total_time_ms = p->allotted_ms = cmd->newcomer.total_time_ms;
    p->dirty = true;
    control_set_up(s, p);
    if (s->mode == MODE_PER_GROUP)
        group_join(s, p, cmd);
    else if (cmd->newcomer.group_id != NULL)
        snprintf(p->group_id, sizeof(p->group_id), "%s", cmd->newcomer.group_id);
    c->type = EVENT_PARTICIPANT_ADDED;
    session_change_seal(s, now, c);
    return RC_OK;
}

/* --- adjust --- */

/* Move the clock that goes with `place`; the turn is charged. */
static enum rc
bank_move(struct session *s, int32_t place, const struct command *cmd, struct fail *f)
{
    const char *field = cmd->correction.sets ? "total_time_ms" : "add_ms";
    struct mode_clock clock = { NULL, NULL, NULL, NULL };
    int64_t by = cmd->correction.ms;

    if (!mode_ops(s->mode)->clock_of(s, place, &clock))
        return session_refuse(f, field, "There is no clock of this participant to adjust",
                              "invalid_value");
    if (cmd->correction.sets)
        by -= *clock.bank;
    if (*clock.bank + by < 0 || *clock.bank + by > SESSION_BANK_MAX)
        return session_refuse(f, field, "The result must be 0 to 86400000ms (24 hours)",
                              "invalid_value");
    *clock.bank += by;
    if (clock.allotted != NULL)
        *clock.allotted = *clock.allotted + by > 0 ? *clock.allotted + by : 0;
    if (clock.has_expired != NULL)
        *clock.has_expired = mode_ops(s->mode)->left(s, place, 0) == 0;
    if (clock.dirty != NULL)
        *clock.dirty = true;
    return RC_OK;
}

/* For how long the clock that runs can go on; -1: none does. */
static int64_t
span_running(const struct session *s)
{
    return s->status == STATUS_RUNNING ? mode_ops(s->mode)->span(s) : -1;
}

enum rc
session_member_adjust(struct session *s, const struct command *cmd, int64_t now,
                      struct change *c, struct fail *f)
{
    int32_t place = session_find(s, cmd->participant_id);
    struct session before;
    int64_t had;
    enum rc rc;

    if (place < 0)
        return unknown(cmd, f);
    session_init(&before);
    session_copy(&before, s);
    session_charge(s, now);
    had = span_running(s);
    rc = bank_move(s, place, cmd, f);
    if (rc != RC_OK) {
        session_fini(s);
        *s = before;
        return rc;
    }
    session_fini(&before);
    c->type = EVENT_PARTICIPANT_ADJUSTED;
    c->participant = place;
    c->note = cmd->correction.note;
    session_change_seal(s, now, c);
    s->emptied = had > 0 && span_running(s) == 0;
    return RC_OK;
}

/* --- remove --- */

/* Whoever is on, or the last one who is in, has to stay: somebody must take the turns. */
static enum rc
removal_check(const struct session *s, int32_t place, struct fail *f)
{
    enum rc rc;

    if (place == s->active) {
        rc = fail_set(f, RC_CONFLICT, "The active participant cannot be removed");
        if (f != NULL && f->details[0] == '\0')
            snprintf(f->details, sizeof(f->details), "{\"active_participant_id\":\"%s\"}",
                     s->p[place].id);
        return rc;
    }
    for (size_t k = 0; k < s->n; k++)
        if ((int32_t)k != place && s->p[k].out == OUT_NONE)
            return RC_OK;
    return fail_set(f, RC_CONFLICT, "The last participant cannot be removed");
}

enum rc
session_member_remove(struct session *s, const struct command *cmd, int64_t now,
                      struct change *c, struct fail *f)
{
    int32_t place = session_find(s, cmd->participant_id);
    enum rc rc;

    if (place < 0)
        return unknown(cmd, f);
    if (s->p[place].out != OUT_NONE)
        return RC_OK; /* has left already */
    rc = removal_check(s, place, f);
    if (rc != RC_OK)
        return rc;
    session_charge(s, now);
    s->p[place].out = OUT_REMOVED;
    s->p[place].dirty = true;
    c->type = EVENT_PARTICIPANT_REMOVED;
    c->participant = place;
    session_change_seal(s, now, c);
    return RC_OK;
}
