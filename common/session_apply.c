/*
 * What one call makes of the state that it has loaded: all that is due, then its command. No
 * I/O.
 */
#include "conf.h"
#include "etag.h"
#include "session_call.h"
#include "session_idem.h"

#include <inttypes.h>

#define DUE_BEFORE_GAP_MAX 4096
#define MESSAGE_RACE "Concurrent modification detected, please retry"
#define MESSAGE_MATCH "The session is not in the state that If-Match names"

/* --- Idempotency-Key --- */

bool
session_call_replays(struct session_call *c, enum rc *rc)
{
    return c->terms->idem && session_idem_read(buf_cstr(&c->st->found), c->terms->idem,
                                               c->ld.now_us / 1000, c->res, rc, c->f);
}

bool
session_call_keep(struct session_call *c, const struct session *s, enum rc answer)
{
    int status = rc_status(answer);

    c->keeps = c->terms->idem && c->judged &&
               (answer == RC_OK || status == 400 || status == 404 || status == 409) &&
               session_idem_print(&c->st->verdict, c->terms->idem, s, c->res,
                                  answer == RC_OK ? NULL : c->f);
    return c->keeps;
}

/* --- what is due, then the command --- */

static void
note(struct session_call *c, const struct change *change, enum sync_status before,
     const char *actor)
{
    session_commit_change(&c->st->pending, c->s, change, before, c->ld.now_us / 1000, actor);
}

static void
note_due(struct session_call *c, const struct change *change, enum sync_status before)
{
    note(c, change, before, NULL);
    due_log_add(&c->st->due, change);
    c->due_n++;
}

/* Expiries due at `now_ms`, as long as the commit has less than `most` changes. */
static void
expire(struct session_call *c, int64_t now_ms, size_t most)
{
    struct session_commit *pending = &c->st->pending;
    enum sync_status before = c->s->status;
    struct change change;

    while (!pending->deleted && pending->changes < most &&
           session_expire(c->s, now_ms, c->st->conf->session_cache_ttl_ms, &change)) {
        note_due(c, &change, before);
        before = c->s->status;
    }
}

/* Redis was away too long while it ran: paused as of then, after what was due before. This is
 * one commit, however many they are: the next load has lived through the gap. */
static void
recover(struct session_call *c)
{
    enum sync_status before;
    struct change change;

    if (c->ld.gap_from_ms == 0)
        return;
    expire(c, c->ld.gap_from_ms, DUE_BEFORE_GAP_MAX);
    before = c->s->status;
    if (!c->st->pending.deleted && session_recover(c->s, c->ld.gap_from_ms, &change))
        note_due(c, &change, before);
}

void
session_call_due(struct session_call *c)
{
    int64_t now_ms = c->ld.now_us / 1000;

    session_commit_clear(&c->st->pending);
    c->due_first = c->st->due.n;
    c->due_n = 0;
    recover(c);
    expire(c, now_ms, SESSION_DUE_MAX);
    c->is_behind = !c->st->pending.deleted && c->st->pending.changes >= SESSION_DUE_MAX &&
                   session_due_at(c->s, c->st->conf->session_cache_ttl_ms) <= now_ms;
}

static enum rc
missing(struct session_call *c)
{
    if (c->cmd && c->cmd->type == COMMAND_DELETE)
        return RC_OK;
    return fail_set(c->f, RC_SESSION_NOT_FOUND, "Session %.36s not found", c->id);
}

enum rc
session_call_race(struct session_call *c)
{
    fail_reset(c->f);
    return fail_set(c->f, RC_CONFLICT, MESSAGE_RACE);
}

/* If-Match, in its place: behind expected_version, which the engine judges, and before all else
 * that the engine judges. */
static enum rc
match_guard(struct session_call *c)
{
    const char *list = c->terms->if_match;
    char tag[ETAG_MAX], wanted[24] = "null";
    enum rc rc;

    if (!list || (c->cmd->expected_version != 0 && c->cmd->expected_version != c->s->version))
        return RC_OK;
    etag_make(tag, c->s->epoch, c->s->version);
    if (etag_list_has(list, tag))
        return RC_OK;
    if (etag_list_version(list) != 0)
        snprintf(wanted, sizeof(wanted), "%" PRId64, etag_list_version(list));
    rc = fail_set(c->f, RC_PRECONDITION, MESSAGE_MATCH);
    if (c->f && c->f->details[0] == '\0')
        snprintf(c->f->details, sizeof(c->f->details),
                 "{\"expected_version\":%s,\"actual_version\":%" PRId64 "}", wanted,
                 c->s->version);
    return rc;
}

static enum rc
apply_command(struct session_call *c)
{
    enum sync_status before = c->s->status;
    struct change change;
    enum rc rc;

    rc = match_guard(c);
    if (rc == RC_OK)
        rc = session_command(c->s, c->cmd, c->ld.now_us / 1000, &change, c->f);
    c->judged = rc != RC_PRECONDITION;
    if (rc != RC_OK)
        return c->was_valid && rc_status(rc) == 400 ? session_call_race(c) : rc;
    c->was_valid = true;
    c->res->change = change;
    if (change.type != EVENT_NONE)
        note(c, &change, before, c->terms->actor);
    if (change.type == EVENT_PARTICIPANT_ADJUSTED)
        expire(c, c->ld.now_us / 1000, SIZE_MAX); /* what was put to zero */
    return RC_OK;
}

/* Whether the caller may; otherwise *rc is the answer, for one who may not even see it that of
 * no session. */
static bool
is_let(struct session_call *c, enum rc *rc)
{
    enum access access = ACCESS_ALLOWED;

    if (c->caller)
        access = access_judge(c->caller, c->s, c->cmd ? c->cmd->type : COMMAND_NONE);
    if (access == ACCESS_MISSING)
        *rc = missing(c);
    /* Who was on turn and is no longer gets the answer of his own key, and no 403 for a lost
     * race: it is his own second click. */
    if (access == ACCESS_FORBIDDEN && !session_call_replays(c, rc))
        *rc = c->was_valid ? session_call_race(c)
                           : fail_set(c->f, RC_FORBIDDEN, "You may not do this to the session");
    return access == ACCESS_ALLOWED;
}

enum rc
session_call_apply(struct session_call *c)
{
    enum rc rc = RC_OK;

    c->res->change = (struct change){ .participant = -1, .expired = -1 };
    c->judged = c->is_behind = false;
    c->due_n = 0;
    session_commit_clear(&c->st->pending);
    if (!c->ld.exists)
        return missing(c);
    session_call_due(c);
    if (c->st->pending.deleted)
        return missing(c);
    if (c->is_behind)
        return RC_OK;
    if (!is_let(c, &rc))
        return rc;
    if (!c->cmd)
        return RC_OK;
    if (session_call_replays(c, &rc))
        return rc;
    if (c->st->pending.changes == 0)
        session_commit_warn(&c->st->pending, c->s, c->ld.now_us / 1000);
    return apply_command(c);
}
