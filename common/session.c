/*
 * The engine: creation, commands, the clock. What depends on the mode is in mode.c. Every
 * change of a running session charges the open turn first, so that stored times are true as of
 * the last change and elapsed times telescope: nothing is lost or gained over any number of
 * changes.
 */
#include "session.h"

#include "arena.h"
#include "mode.h"
#include <assert.h>
#include <inttypes.h>
#include <strings.h>

#define MESSAGE_INVALID "Request validation failed"
#define MESSAGE_RACE "Concurrent modification detected, please retry"

/* --- creation --- */

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
        return RC_OK;
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

/* --- describing a change --- */

static void
change_none(struct change *c)
{
    *c = (struct change){
        .participant = -1, .expired = -1, .remaining_ms = -1, .elapsed_ms = -1
    };
}

/* The state has changed at `at`: one version more, and c complete. */
static void
change_seal(struct session *s, int64_t at, struct change *c)
{
    const struct mode_ops *mode = mode_ops(s->mode);

    s->version++;
    s->updated_at = at;
    s->dirty = true;
    c->version = s->version;
    c->at_ms = at;
    if (c->participant < 0 && mode->has_turns)
        return;
    c->remaining_ms = mode->left(s, c->participant, 0);
    c->elapsed_ms = c->participant < 0 ? s->time_used_ms : s->p[c->participant].time_used_ms;
}

enum rc
session_create(struct session *s, int64_t now_ms, struct change *c, struct fail *f)
{
    enum rc rc = draft_check(s, f);

    change_none(c);
    if (rc != RC_OK)
        return rc;
    s->status = STATUS_PENDING;
    s->version = 0;
    s->created_at = now_ms;
    metadata_flatten(s->metadata);
    for (size_t k = 0; k < s->n; k++) {
        s->p[k].allotted_ms = s->p[k].total_time_ms;
        s->p[k].dirty = true;
    }
    mode_ops(s->mode)->set_up(s);
    c->type = EVENT_SESSION_CREATED;
    change_seal(s, now_ms, c);
    return RC_OK;
}

/* --- commands --- */

/* Times are brought up to `at`: the open turn's, or the pause's. */
static void
charge(struct session *s, int64_t at)
{
    if (s->status == STATUS_RUNNING)
        mode_charge(s, at);
    if (s->status == STATUS_PAUSED) {
        s->paused_total_ms += at - s->paused_charged_at;
        s->paused_charged_at = at;
    }
}

static void
turn_begin(struct session *s, int32_t place, int64_t at)
{
    s->active = place;
    s->cycle_started_at = at;
    s->cycle_number++;
    s->turn_used_ms = 0;
}

static void
pause_begin(struct session *s, int64_t at, struct change *c)
{
    charge(s, at);
    s->status = STATUS_PAUSED;
    s->cycle_started_at = 0;
    s->paused_at = at;
    s->paused_charged_at = at;
    c->type = EVENT_SESSION_PAUSED;
    c->participant = s->active;
    change_seal(s, at, c);
}

static void
pause_end(struct session *s)
{
    s->paused_at = 0;
    s->paused_charged_at = 0;
}

static enum rc
do_start(struct session *s, const struct command *cmd, int64_t now, struct change *c,
         struct fail *f)
{
    (void)cmd;
    (void)f;
    s->status = STATUS_RUNNING;
    s->session_started_at = now;
    turn_begin(s, mode_ops(s->mode)->first(s), now);
    c->type = EVENT_SESSION_STARTED;
    c->participant = s->active;
    change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_switch(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    const struct mode_ops *mode = mode_ops(s->mode);
    int32_t next = mode->next(s);

    if (cmd->next_participant_id != NULL) {
        next = session_find(s, cmd->next_participant_id);
        if (next < 0 || s->p[next].out != OUT_NONE)
            return fail_set(f, RC_VALIDATION, "Participant %.36s not found in session",
                            cmd->next_participant_id);
    }
    charge(s, now);
    c->type = EVENT_CYCLE_SWITCHED;
    c->participant = s->active;
    c->expired = mode->hand_over(s);
    turn_begin(s, next, now);
    change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_pause(struct session *s, const struct command *cmd, int64_t now, struct change *c,
         struct fail *f)
{
    (void)cmd;
    (void)f;
    pause_begin(s, now, c);
    return RC_OK;
}

static enum rc
do_resume(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    charge(s, now);
    pause_end(s);
    s->status = STATUS_RUNNING;
    s->cycle_started_at = now;
    c->type = EVENT_SESSION_RESUMED;
    c->participant = s->active;
    change_seal(s, now, c);
    return RC_OK;
}

/* The session has ended at `at`, where its times have been brought up to. */
static void
finish(struct session *s, enum sync_status status, enum change_reason reason, int64_t at)
{
    pause_end(s);
    s->status = status;
    s->result.reason = reason;
    s->session_completed_at = at;
    s->active = -1;
    s->cycle_started_at = 0;
    s->turn_used_ms = 0;
}

static enum rc
do_complete(struct session *s, const struct command *cmd, int64_t now, struct change *c,
            struct fail *f)
{
    (void)cmd;
    (void)f;
    charge(s, now);
    c->type = EVENT_SESSION_COMPLETED;
    c->reason = REASON_COMPLETED;
    c->participant = s->active;
    finish(s, STATUS_COMPLETED, REASON_COMPLETED, now);
    change_seal(s, now, c);
    return RC_OK;
}

static enum rc
do_cancel(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    charge(s, now);
    c->type = EVENT_SESSION_CANCELLED;
    c->reason = REASON_CANCELLED;
    c->participant = s->active;
    finish(s, STATUS_CANCELLED, REASON_CANCELLED, now);
    change_seal(s, now, c);
    return RC_OK;
}

/* Nothing but the version moves: whoever watches learns that this was the last one. */
static void
delete_at(struct session *s, int64_t at, struct change *c)
{
    s->version++;
    c->type = EVENT_SESSION_DELETED;
    c->version = s->version;
    c->at_ms = at;
}

static enum rc
do_delete(struct session *s, const struct command *cmd, int64_t now, struct change *c,
          struct fail *f)
{
    (void)cmd;
    (void)f;
    delete_at(s, now, c);
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
    [COMMAND_DELETE]   = { do_delete,   "cannot be deleted",     { NO, DO, DO, DO, DO,   DO,   DO } },
};
/* clang-format on */

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

enum rc
session_command(struct session *s, const struct command *cmd, int64_t now_ms, struct change *c,
                struct fail *f)
{
    enum rc rc;

    assert(cmd->type > COMMAND_NONE && cmd->type < COMMAND__MAX);
    change_none(c);
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
        return fail_set(f, RC_TRANSITION, "Session %s %s (current status: %s)", s->id,
                        commands[cmd->type].refusal, sync_status_name(s->status));
    }
    if (now_ms < s->updated_at)
        now_ms = s->updated_at;
    return commands[cmd->type].run(s, cmd, now_ms, c, f);
}

/* --- the clock --- */

int64_t
session_deadline(const struct session *s)
{
    return s->status == STATUS_RUNNING ? mode_deadline(s) : 0;
}

int64_t
session_last_resort(const struct session *s, int64_t ended_ttl_ms)
{
    int64_t deadline = session_deadline(s);

    if (sync_status_is_terminal(s->status))
        return s->session_completed_at + ended_ttl_ms;
    return (deadline != 0 ? deadline : s->updated_at) + SESSION_IDLE_MS;
}

int64_t
session_wakeup(const struct session *s, int64_t ended_ttl_ms)
{
    int64_t deadline = session_deadline(s);

    return deadline != 0 ? deadline : session_last_resort(s, ended_ttl_ms);
}

/*
 * The charged clock stands at zero. Where participants take turns, theirs is marked by the
 * charge and the turn goes on; a clock of the whole session ends it.
 */
static void
timeout(struct session *s, int64_t at, struct change *c)
{
    c->participant = s->active;
    if (mode_ops(s->mode)->has_turns) {
        c->type = EVENT_PARTICIPANT_EXPIRED;
        c->expired = s->active;
        return;
    }
    c->type = EVENT_SESSION_EXPIRED;
    finish(s, STATUS_EXPIRED, REASON_TIMEOUT, at);
}

bool
session_expire(struct session *s, int64_t now_ms, int64_t ended_ttl_ms, struct change *c)
{
    int64_t deadline = session_deadline(s);
    int64_t end = session_last_resort(s, ended_ttl_ms);

    change_none(c);
    if (deadline != 0 && deadline <= now_ms) {
        charge(s, deadline);
        timeout(s, deadline, c);
        c->reason = REASON_TIMEOUT;
        change_seal(s, deadline, c);
        s->last_timeout.version = s->version;
        s->last_timeout.at = deadline;
        s->last_timeout.expired = c->expired;
        return true;
    }
    if (end > now_ms)
        return false;
    c->reason = REASON_IDLE;
    delete_at(s, end, c);
    return true;
}

bool
session_recover(struct session *s, int64_t gap_from_ms, struct change *c)
{
    change_none(c);
    if (s->status != STATUS_RUNNING)
        return false;
    pause_begin(s, gap_from_ms > s->updated_at ? gap_from_ms : s->updated_at, c);
    c->reason = REASON_RECOVERY;
    return true;
}

int64_t
session_remaining(const struct session *s, size_t place, int64_t now_ms)
{
    return mode_ops(s->mode)->of_participant(s, (int32_t)place, mode_open(s, now_ms));
}

int64_t
session_clock(const struct session *s, int64_t now_ms)
{
    return mode_ops(s->mode)->of_session(s, mode_open(s, now_ms));
}

int64_t
session_elapsed(const struct session *s, int64_t now_ms)
{
    return mode_ops(s->mode)->has_turns ? -1 : s->time_used_ms + mode_open(s, now_ms);
}
