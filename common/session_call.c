/*
 * How a commit can end, and what follows:
 *
 *   done           the answer
 *   lost race      the reply holds the winner's state: apply to that, commit again
 *   another life   begin or learn it, load, again
 *   limited        nothing was committed: the answer
 *   answered       the Idempotency-Key was, meanwhile: load, that is the answer
 *   not sent       the connection was gone: load (on a new one), again
 *   answer lost    load; ours when the stored commit id is ours, not done when version and
 * epoch are as they were (again); otherwise nobody can tell
 *
 * All commits of one call that carry its command have one id, so a copy that reaches Redis
 * late is still recognised: it wins against the next try, which then finds its own id.
 */
#include "session_call.h"
#include "clock.h"
#include "conf.h"
#include "keys.h"
#include "redis.h"
#include "session_mine.h"
#include <hiredis/hiredis.h>
#include <sys/random.h>

#define TRIES_MAX 32
#define TRIES_AT_ONCE 5 /* then with pauses */
#define PAUSE_STEP_US 1000
#define DUE_ROUNDS_MAX 64 /* commits of overdue changes of one call */
#define LIVES_MAX 4
#define COMMIT_ID_LEN 16
#define MESSAGE_LIMIT "Too many cycle switches for this session, please slow down"

const char session_due_commit_id[] = "-";

const char *
session_audit_keep(const struct conf *conf)
{
    return conf->database_url != NULL && conf->database_url[0] != '\0' ? NULL : "65536";
}

void
session_call_begin(struct session_call *c, struct session_store *st, const char *id)
{
    static const struct store_terms none = { 0 };

    *c = (struct session_call){ .st = st, .id = id, .terms = &none };
    due_log_clear(&st->due);
    id_random(c->commit_id, COMMIT_ID_LEN);
}

/* --- load --- */

static enum rc
take_named(struct session_call *c, int place)
{
    enum rc rc = redis_batch_check(c->st->load, place, c->f);

    if (rc != RC_OK)
        return rc;
    c->is_named = true;
    c->was_named = redis_batch_reply(c->st->load, place)->integer == 0;
    return RC_OK;
}

static enum rc
load_once(struct session_call *c, const struct store_rider *rider)
{
    struct redis_batch *b = c->st->load;
    const char *prefix = c->st->conf->key_prefix;
    int place, idem = -1, named = -1;
    enum rc rc, judged = RC_OK;

    redis_batch_clear(b);
    buf_clear(&c->st->found);
    if (rider)
        rider->append(rider->ctx, b);
    if (c->terms->idem)
        idem =
            redis_batch_add(b, "HGET %s %s", keys_idem(prefix, c->id).s, c->terms->idem->key);
    if (c->owner && !c->is_named)
        named = session_mine_put(b, prefix, c->owner, c->id, false);
    place = c->takes_slice ? session_load_slice_add(b, prefix, c->id)
                           : session_load_add(b, prefix, c->id);
    rc = redis_run(c->st->redis, b, c->f);
    if (rc != RC_OK)
        return rc;
    if (rider)
        judged = rider->judge(rider->ctx, b, c->f);
    /* Also when the rider refuses: TIME goes into the answer. */
    rc = c->takes_slice
             ? session_load_slice_result(b, place, c->s, &c->ld, judged == RC_OK ? c->f : NULL)
             : session_load_result(b, place, c->s, &c->ld, judged == RC_OK ? c->f : NULL);
    if (c->ld.now_us > 0)
        c->res->server_time_ms = c->ld.now_us / 1000;
    if (idem >= 0 && redis_batch_reply(b, idem)->type == REDIS_REPLY_STRING)
        buf_add(&c->st->found, redis_batch_reply(b, idem)->str,
                redis_batch_reply(b, idem)->len);
    if (named >= 0 && judged == RC_OK && rc == RC_OK)
        rc = take_named(c, named);
    return judged != RC_OK ? judged : rc;
}

enum rc
session_call_load(struct session_call *c, const struct store_rider *rider)
{
    const int partition = keys_partition(c->id);

    for (int i = 0; i < LIVES_MAX; i++) {
        enum rc rc = load_once(c, i == 0 ? rider : NULL);

        if (rc == RC_STATE_UNREADABLE && c->takes_slice) {
            c->takes_slice = false;
            fail_reset(c->f);
            rc = load_once(c, NULL);
        }
        if (rc != RC_OK)
            return rc;
        if (strcmp(c->ld.run_id, redis_run_id(c->st->redis)) == 0)
            return RC_OK;
        rc = session_lives_begin(c->st, &partition, 1, c->f);
        if (rc != RC_OK)
            return rc == RC_OUTCOME_UNKNOWN ? RC_STORE_UNAVAILABLE : rc;
    }
    return fail_log(c->f, RC_STORE_UNAVAILABLE, "redis: its run id changes all the time");
}

/* --- apply --- */

/* Whether the last change is the one of this call. */
static bool
is_mine(const struct session_call *c)
{
    return c->ld.exists && strcmp(c->ld.commit_id, c->commit_id) == 0;
}

/* Whether the change is more than a hand-over, or its record shows everybody. */
static bool
asks_for_all(const struct session_call *c)
{
    int64_t due_at = session_due_at(c->s, c->st->conf->session_cache_ttl_ms);

    return c->ld.gap_from_ms != 0 || due_at <= c->ld.now_us / 1000 ||
           session_commit_snaps(c->s->version + 1);
}

/* session_call_apply, of a slice as long as that will do. RC_OK, or why the rest cannot be
 * read; *answer then is that of it. */
static enum rc
apply_sliced(struct session_call *c, enum rc *answer)
{
    enum rc rc;

    if (!c->s->is_slice || !asks_for_all(c)) {
        *answer = session_call_apply(c);
        if (!c->s->is_slice || (*answer == RC_OK && c->s->status == STATUS_RUNNING))
            return RC_OK;
    }
    c->takes_slice = false;
    fail_reset(c->f);
    rc = session_call_load(c, NULL);
    if (rc == RC_OK)
        *answer = session_call_apply(c);
    return rc;
}

/* A commit has not come to its end: whatever is read from now on is the whole, so let the
 * change that may have happened name places of that. */
static void
leave_slice(struct session_call *c)
{
    struct change *change = &c->res->change;

    c->takes_slice = false;
    if (change->participant >= 0)
        change->participant = c->s->p[change->participant].place;
    if (change->expired >= 0)
        change->expired = c->s->p[change->expired].place;
}

/* --- commit --- */

static const struct limit_rule *
switch_limit(const struct session_call *c)
{
    const struct conf *conf = c->st->conf;

    if (c->res->change.type != EVENT_CYCLE_SWITCHED || !conf->rate_limit_enabled ||
        conf->rate_limit_switch.count == 0 || (c->caller && access_is_unlimited(c->caller)))
        return NULL;
    return &conf->rate_limit_switch;
}

static enum rc
limited(struct session_call *c)
{
    enum rc rc = fail_set(c->f, RC_LIMITED, MESSAGE_LIMIT);

    if (c->f)
        c->f->retry_after_ms = c->res->switch_limit.reset_ms;
    return rc;
}

enum rc
session_call_send(struct session_call *c, const char *commit_id, const struct session *after,
                  enum commit_verdict *verdict, struct fail *f)
{
    struct session_store *st = c->st;
    const struct commit_terms terms = {
        .prefix = st->conf->key_prefix,
        .id = c->id,
        .ld = &c->ld,
        .commit_id = commit_id,
        .limit = switch_limit(c),
        .due_only = commit_id == session_due_commit_id && st->pending.changes > 0,
        .idem_key = c->keeps ? c->terms->idem->key : NULL,
        .verdict = &st->verdict,
        .ended_ttl_ms = st->conf->session_cache_ttl_ms,
        .audit_keep = session_audit_keep(st->conf),
    };
    enum rc rc;
    int place;

    /* A server that was met after the load may carry the same life without having lived it. */
    *verdict = COMMIT_OTHER_LIFE;
    if (strcmp(redis_run_id(st->redis), c->ld.run_id) != 0)
        return RC_OK;
    redis_batch_clear(st->commit);
    rc = session_commit_add(&st->pending, st->commit, &terms, after, &place, f);
    if (rc == RC_OK) {
        c->res->tries++;
        rc = redis_run(st->redis, st->commit, f);
    } else {
        *verdict = COMMIT_ERROR;
    }
    if (rc != RC_OK)
        return rc;
    *verdict = session_commit_verdict(st->commit, place, f);
    if (*verdict == COMMIT_ERROR)
        return f->rc;
    if (*verdict == COMMIT_DONE)
        session_commit_note(st->commit, place, c->id);
    if (terms.limit && (*verdict == COMMIT_DONE || *verdict == COMMIT_LIMITED))
        c->res->switch_limit = session_commit_limit(st->commit, place, terms.limit);
    return RC_OK;
}

/* Take the winner's state out of the reply of the lost race. */
static enum rc
take_winner(struct session_call *c)
{
    const redisReply *reply = redis_batch_reply(c->st->commit, 0);
    enum rc rc =
        session_load_take((const redisReply *const *)reply->element + 1, c->s, &c->ld, c->f);

    if (rc == RC_OK)
        c->res->server_time_ms = c->ld.now_us / 1000;
    return rc;
}

/*
 * The answer of a commit was lost, `sent` is what it was compared with. *mine: it happened.
 * RC_OK otherwise: it did not, go on from what was loaded.
 */
static enum rc
resolve(struct session_call *c, bool deleted, bool *mine)
{
    struct session_loaded sent = c->ld;
    bool carried = c->res->change.type != EVENT_NONE;
    struct change change = c->res->change;
    enum rc rc;

    fail_reset(c->f);
    rc = session_call_load(c, NULL);
    if (rc != RC_OK) {
        fail_reset(c->f);
        return fail_log(c->f, carried ? RC_OUTCOME_UNKNOWN : RC_STORE_UNAVAILABLE,
                        "commit: answer lost, and the store does not say more");
    }
    *mine = carried && (is_mine(c) || (deleted && !c->ld.exists));
    c->res->change = change;
    if (*mine || !carried || session_call_replays(c, &rc))
        return RC_OK;
    if (strcmp(c->ld.version, sent.version) != 0 || strcmp(c->ld.epoch, sent.epoch) != 0)
        return fail_log(c->f, RC_OUTCOME_UNKNOWN, "commit: answer lost, another change since");
    return RC_OK;
}

/* What is pending was committed. */
static void
log_due(const struct session_call *c)
{
    due_log_write(&c->st->due, c->due_first, c->due_n, c->id);
}

/* What a commit came to: *ends, and then the return value is the answer of the call. */
static enum rc
follow_up(struct session_call *c, enum rc sent, enum commit_verdict verdict, enum rc answer,
          bool *ends)
{
    enum rc rc;

    *ends = true;
    if (sent == RC_OK && verdict == COMMIT_DONE) {
        log_due(c);
        return answer;
    }
    if (sent == RC_OK && verdict == COMMIT_LIMITED)
        return limited(c);
    leave_slice(c);
    if (sent == RC_OUTCOME_UNKNOWN) {
        rc = resolve(c, c->st->pending.deleted, ends);
        if (rc == RC_OK && *ends)
            log_due(c);
        *ends = *ends || rc != RC_OK;
        return rc;
    }
    fail_reset(c->f);
    if (sent == RC_OK && verdict == COMMIT_LOST_RACE) {
        rc = take_winner(c);
        *ends = rc != RC_OK || is_mine(c);
        return rc;
    }
    rc = session_call_load(c, NULL); /* not sent, another life, or answered */
    *ends = rc != RC_OK || is_mine(c);
    return rc;
}

/* A hot session: let others through, longer each time, then look again, since what we hold is
 * old by then. */
static enum rc
pause_and_look(struct session_call *c, int tries_before)
{
    int64_t most_us = (int64_t)(tries_before - TRIES_AT_ONCE) * PAUSE_STEP_US;
    uint16_t noise = 0;

    if (getrandom(&noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        noise = (uint16_t)clock_mono_us();
    clock_sleep_until_us(clock_mono_us() + most_us * noise / UINT16_MAX);
    return session_call_load(c, NULL);
}

/* The answer of the call; with c->is_behind only that much of what is overdue is committed. */
static enum rc
settle_once(struct session_call *c)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct fail trouble = { 0 }; /* apart from a refusal, which stands in c->f by then */
        enum commit_verdict verdict;
        const char *commit_id;
        bool ends;
        enum rc answer = RC_OK, rc;

        if (i > TRIES_AT_ONCE) {
            rc = pause_and_look(c, i);
            if (rc != RC_OK || is_mine(c))
                return rc;
        }
        rc = apply_sliced(c, &answer);
        if (rc != RC_OK)
            return rc;
        if (!session_call_keep(c, c->s, answer) && c->st->pending.changes == 0)
            return answer;
        commit_id = c->res->change.type != EVENT_NONE ? c->commit_id : session_due_commit_id;
        rc = session_call_send(c, commit_id, c->s, &verdict, &trouble);
        if (rc != RC_OK && verdict == COMMIT_ERROR) {
            if (c->f)
                *c->f = trouble;
            return rc;
        }
        rc = follow_up(c, rc, verdict, answer, &ends);
        if (ends)
            return rc;
    }
    return session_call_race(c);
}

enum rc
session_call_settle(struct session_call *c)
{
    for (int i = 0; i < DUE_ROUNDS_MAX; i++) {
        enum rc rc = settle_once(c);

        if (rc != RC_OK || !c->is_behind)
            return rc;
        rc = session_call_load(c, NULL);
        if (rc != RC_OK)
            return rc;
    }
    return fail_log(c->f, RC_STORE_UNAVAILABLE, "session has more than %d changes overdue",
                    DUE_ROUNDS_MAX * SESSION_DUE_MAX);
}
