/*
 * The engine's commands. How a session begins is in session_create.c, what time does to it in
 * session_clock.c, what depends on the mode in mode.c. Every change of a running session
 * charges the open turn first, so that stored times are true as of the last change and elapsed
 * times telescope: nothing is lost or gained over any number of changes.
 */
#include "session.h"

#include "mode.h"
#include "session_change.h"
#include <assert.h>
#include <inttypes.h>

#define MEMBERS "cannot be changed" /* refuses what is about participants */
#define MESSAGE_RACE "Concurrent modification detected, please retry"

/* As the create body said, unless that one has left since. */
static int32_t
first_on(const struct session *s)
{
    if (s->first >= 0 && s->p[s->first].out == OUT_NONE)
        return s->first;
    return mode_ops(s->mode)->first(s);
}

static enum rc
do_start(struct session *s, const struct command *cmd, int64_t now, struct change *c,
         struct fail *f)
{
    (void)cmd;
    (void)f;
    s->status = STATUS_RUNNING;
    s->session_started_at = now;
    session_turn_begin(s, first_on(s), now);
    c->type = EVENT_SESSION_STARTED;
    c->participant = s->active;
    session_change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_switch(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    const struct mode_ops *mode = mode_ops(s->mode);
    int32_t next = mode->next(s, false);

    if (cmd->next_participant_id != NULL) {
        next = session_find(s, cmd->next_participant_id);
        if (next < 0 || s->p[next].out != OUT_NONE)
            return fail_set(f, RC_VALIDATION, "Participant %.36s not found in session",
                            cmd->next_participant_id);
    }
    session_charge(s, now);
    c->type = EVENT_CYCLE_SWITCHED;
    c->participant = s->active;
    if (session_is_last_cycle(s)) {
        c->expired = mode->left(s, s->active, 0) == 0 ? s->active : -1;
        c->reason = REASON_CYCLES_DONE;
        session_cycles_done(s, now, c);
    } else {
        c->expired = mode->hand_over(s);
        session_turn_begin(s, next, now);
    }
    session_change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_pause(struct session *s, const struct command *cmd, int64_t now, struct change *c,
         struct fail *f)
{
    (void)cmd;
    (void)f;
    session_pause_begin(s, now, c);
    return RC_OK;
}

static enum rc
do_resume(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    session_charge(s, now);
    session_pause_end(s);
    s->status = STATUS_RUNNING;
    s->cycle_started_at = now;
    c->type = EVENT_SESSION_RESUMED;
    c->participant = s->active;
    session_change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_complete(struct session *s, const struct command *cmd, int64_t now, struct change *c,
            struct fail *f)
{
    (void)cmd;
    (void)f;
    session_charge(s, now);
    c->type = EVENT_SESSION_COMPLETED;
    c->reason = REASON_COMPLETED;
    c->participant = s->active;
    session_finish(s, STATUS_COMPLETED, REASON_COMPLETED, now);
    session_change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_cancel(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    session_charge(s, now);
    c->type = EVENT_SESSION_CANCELLED;
    c->reason = REASON_CANCELLED;
    c->participant = s->active;
    session_finish(s, STATUS_CANCELLED, REASON_CANCELLED, now);
    session_change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_delete(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    session_delete_at(s, now, c);
    return RC_OK;
}

enum verdict { NO, DO, SAME /* succeeds and changes nothing */ };

/* The transition table: one row a command, one column a status (spec sync, section 5). */
/* clang-format off */
static const struct {
    enum rc (*run)(struct session *s, const struct command *cmd, int64_t now, struct change *c,
                   struct fail *f);
    const char *refusal;
    enum verdict in[STATUS__MAX];
} commands[COMMAND__MAX] = {
                                                                /*  -  pend run  pau compl exp  canc */
    [COMMAND_START]    = { do_start,    "cannot be started",     { NO, DO, NO, NO, NO,   NO,   NO } },
    [COMMAND_SWITCH]   = { do_switch,   "not running",           { NO, NO, DO, NO, NO,   NO,   NO } },
    [COMMAND_PAUSE]    = { do_pause,    "cannot be paused",      { NO, NO, DO, NO, NO,   NO,   NO } },
    [COMMAND_RESUME]   = { do_resume,   "cannot be resumed",     { NO, NO, NO, DO, NO,   NO,   NO } },
    [COMMAND_COMPLETE] = { do_complete, "cannot be completed",   { NO, DO, DO, DO, SAME, SAME, SAME } },
    [COMMAND_CANCEL]   = { do_cancel,   "cannot be cancelled",   { NO, DO, DO, DO, NO,   NO,   NO } },
    [COMMAND_ADD]      = { session_member_add,    MEMBERS,       { NO, DO, DO, DO, NO,   NO,   NO } },
    [COMMAND_ADJUST]   = { session_member_adjust, MEMBERS,       { NO, DO, DO, DO, NO,   NO,   NO } },
    [COMMAND_REMOVE]   = { session_member_remove, MEMBERS,       { NO, DO, DO, DO, NO,   NO,   NO } },
    [COMMAND_DELETE]   = { do_delete,   "cannot be deleted",     { NO, DO, DO, DO, DO,   DO,   DO } },
};
/* clang-format on */

static bool
is_about_members(enum command_type type)
{
    return type == COMMAND_ADD || type == COMMAND_ADJUST || type == COMMAND_REMOVE;
}

static enum rc
version_guard(const struct session *s, const struct command *cmd, struct fail *f)
{
    enum rc rc;

    if (cmd->expected_version == 0 || cmd->expected_version == s->version)
        return RC_OK;
    rc = fail_set(f, RC_CONFLICT, MESSAGE_RACE);
    if (f != NULL && f->details[0] == '\0')
        snprintf(f->details, sizeof(f->details),
                 "{\"expected_version\":%" PRId64 ",\"actual_version\":%" PRId64 "}",
                 cmd->expected_version, s->version);
    return rc;
}

static enum rc
turn_guard(const struct session *s, const struct command *cmd, struct fail *f)
{
    const char *given = cmd->current_participant_id;
    const char *has = s->active < 0 ? NULL : s->p[s->active].id;
    const char *quote = has == NULL ? "" : "\"";
    enum rc rc;

    if (cmd->type != COMMAND_SWITCH || given == NULL || (has != NULL && id_equal(has, given)))
        return RC_OK;
    rc = fail_set(f, RC_CONFLICT, MESSAGE_RACE);
    if (f != NULL && f->details[0] == '\0')
        snprintf(f->details, sizeof(f->details),
                 "{\"current_participant_id\":\"%.36s\",\"active_participant_id\":%s%s%s}",
                 given, quote, has == NULL ? "null" : has, quote);
    return rc;
}

/* An unguarded switch just after a timed hand-over was meant for the turn that is over. */
static enum rc
grace_guard(const struct session *s, const struct command *cmd, int64_t now, struct fail *f)
{
    enum rc rc;

    if (cmd->type != COMMAND_SWITCH || cmd->expected_version != 0 ||
        cmd->current_participant_id != NULL || s->handed_over_at == 0 ||
        now - s->handed_over_at >= cmd->grace_ms)
        return RC_OK;
    rc = fail_set(f, RC_CONFLICT, MESSAGE_RACE);
    if (f != NULL && f->details[0] == '\0')
        snprintf(f->details, sizeof(f->details), "{\"active_participant_id\":\"%s\"}",
                 s->p[s->active].id);
    return rc;
}

enum rc
session_command(struct session *s, const struct command *cmd, int64_t now_ms, struct change *c,
                struct fail *f)
{
    enum rc rc;

    assert(cmd->type > COMMAND_NONE && cmd->type < COMMAND__MAX);
    session_change_none(c);
    rc = version_guard(s, cmd, f);
    if (rc == RC_OK)
        rc = turn_guard(s, cmd, f);
    if (rc != RC_OK)
        return rc;
    switch (commands[cmd->type].in[s->status]) {
    case SAME:
        return RC_OK;
    case DO:
        break;
    case NO:
        return fail_set(f, RC_TRANSITION, "%s %s %s (current status: %s)",
                        is_about_members(cmd->type) ? "Participants of session" : "Session",
                        s->id, commands[cmd->type].refusal, sync_status_name(s->status));
    }
    rc = grace_guard(s, cmd, now_ms, f);
    if (rc != RC_OK)
        return rc;
    if (now_ms < s->updated_at)
        now_ms = s->updated_at;
    return commands[cmd->type].run(s, cmd, now_ms, c, f);
}
