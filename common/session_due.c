/*
 * What the timekeeper does with what it has claimed: bring the due sessions up to date in two
 * round trips for all of them together.
 */
#include "arena.h"
#include "conf.h"
#include "keys.h"
#include "log.h"
#include "lua_scripts.h"
#include "metrics.h"
#include "redis.h"
#include "session_call.h"
#include "session_store.h"
#include <hiredis/hiredis.h>
#include <inttypes.h>

#define PUT_OFF_MS 60000 /* a session that cannot be read */
#define BEAT_TTL_MS "5000"

/* The wake-up of what cannot be read, later: it would be claimed again and again. */
static void
put_off(struct session_call *c, const char *why)
{
    struct key wakeups = keys_wakeups(c->st->conf->key_prefix, keys_partition(c->id));
    char id[ID_LEN + 1], at[24];
    const char *argv[] = { "ZADD", wakeups.s, "XX", at, id };

    id_lower(c->id, id);
    snprintf(at, sizeof(at), "%" PRId64, c->ld.now_us / 1000 + PUT_OFF_MS);
    redis_batch_addv(c->st->commit, 5, argv, NULL);
    log_error("session is unreadable", LOG_STR("session_id", c->id), LOG_STR("error", why));
}

/* What one call of the batch does: commits changes, or tells and sets the wake-up. */
struct expiry {
    const char *id;
    int changes;
    size_t due_first; /* the changes, in st->due */
    bool tells;
    int warnings;
    int64_t due_ms; /* instant of the first of them; 0: unknown, or Redis was away by then */
};

/* When the timekeeper should have come; an outage is none of its lateness. */
static int64_t
due_since(const struct session_call *c)
{
    int64_t at_ms = session_due_at(c->s, c->st->conf->session_cache_ttl_ms);
    bool was_away = c->ld.gap_from_ms != 0;

    return was_away || at_ms > c->ld.now_us / 1000 ? 0 : at_ms;
}

/* Add what one session needs to the batch of commits. False: it is left to the next claim. */
static bool
expire_one(struct session_call *c, int load_place, int64_t claimed_ms, struct expiry *out)
{
    const struct commit_terms terms = {
        .prefix = c->st->conf->key_prefix,
        .id = c->id,
        .ld = &c->ld,
        .commit_id = session_due_commit_id,
        .due_only = true,
        .ended_ttl_ms = c->st->conf->session_cache_ttl_ms,
        .audit_keep = session_audit_keep(c->st->conf),
    };
    struct fail f = { 0 };
    int place;
    enum rc rc = session_load_result(c->st->load, load_place, c->s, &c->ld, &f);

    *out = (struct expiry){ 0 };
    if (rc == RC_STATE_UNREADABLE && c->ld.now_us > 0) {
        put_off(c, f.log);
        return true;
    }
    if (rc != RC_OK || strcmp(c->ld.run_id, redis_run_id(c->st->redis)) != 0)
        return false;
    session_commit_clear(&c->st->pending);
    if (c->ld.exists) {
        out->due_ms = due_since(c);
        session_call_due(c);
    }
    out->tells = c->ld.exists && c->st->pending.changes == 0;
    if (out->tells) {
        session_tell_add(c->st->commit, &terms, c->s, claimed_ms, &out->warnings);
        return true;
    }
    rc = session_commit_add(&c->st->pending, c->st->commit, &terms, c->ld.exists ? c->s : NULL,
                            &place, &f);
    out->id = c->id;
    out->changes = (int)c->st->pending.changes;
    out->due_first = c->due_first;
    return rc == RC_OK;
}

/* The commit at this place was done at the TIME that its reply tells. */
static void
count_lateness(const struct redis_batch *b, int place, const struct expiry *e)
{
    int64_t done_us = session_commit_done_us(b, place);

    if (e->due_ms != 0 && done_us > 0)
        metrics_observe_us(METRIC_TIMEKEEPER_LATENESS, done_us - e->due_ms * 1000, 0, 0);
}

static bool
told(const struct redis_batch *b, int place)
{
    const redisReply *reply = redis_batch_reply(b, place);

    return reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
}

/* What Redis refused is the answer, so that the caller does not come again at once. */
static enum rc
count_applied(const struct session_store *st, const struct expiry *expiries, size_t *applied,
              struct fail *f)
{
    enum rc rc = RC_OK;

    for (int i = 0; i < redis_batch_count(st->commit); i++) {
        enum rc refused = redis_batch_check(st->commit, i, f);

        if (refused != RC_OK)
            rc = refused;
        if (refused == RC_OK && expiries[i].tells)
            *applied += told(st->commit, i) ? (size_t)expiries[i].warnings : 0;
        if (refused != RC_OK || expiries[i].changes == 0 ||
            session_commit_verdict(st->commit, i, NULL) != COMMIT_DONE)
            continue;
        *applied += (size_t)expiries[i].changes;
        session_commit_note(st->commit, i, expiries[i].id);
        due_log_write(&st->due, expiries[i].due_first, (size_t)expiries[i].changes,
                      expiries[i].id);
        count_lateness(st->commit, i, &expiries[i]);
    }
    return rc;
}

enum rc
session_store_expire(struct session_store *st, const struct store_due *due, size_t n,
                     size_t *applied, struct fail *f)
{
    struct store_result res = { 0 };
    struct session_call c;
    struct session s;
    struct expiry *expiries; /* of the commit at that place */
    enum rc rc;

    *applied = 0;
    due_log_clear(&st->due);
    redis_batch_clear(st->load);
    for (size_t i = 0; i < n; i++)
        session_load_add(st->load, st->conf->key_prefix, due[i].id);
    rc = redis_run(st->redis, st->load, f);
    if (rc != RC_OK || n == 0)
        return rc;
    session_init(&s);
    redis_batch_clear(st->commit);
    expiries = xalloc(n * sizeof(*expiries));
    for (size_t i = 0; i < n; i++) {
        struct expiry e;

        c = (struct session_call){ .st = st, .id = due[i].id, .s = &s, .res = &res };
        if (expire_one(&c, (int)(i * SESSION_LOAD_COMMANDS), due[i].wakeup_ms, &e))
            expiries[redis_batch_count(st->commit) - 1] = e;
    }
    rc = redis_run(st->redis, st->commit, f);
    if (rc == RC_OK)
        rc = count_applied(st, expiries, applied, f);
    free(expiries);
    session_fini(&s);
    return rc;
}

enum rc
session_store_beat(struct session_store *st, struct fail *f)
{
    struct key key = keys_timekeeper(st->conf->key_prefix);
    const char *renew[] = { "PEXPIRE", key.s, BEAT_TTL_MS }; /* goes also when Redis is full */
    const char *set[] = { "SET", key.s, "1", "PX", BEAT_TTL_MS };
    const redisReply *renewed;
    enum rc rc;

    redis_batch_clear(st->commit);
    redis_batch_addv(st->commit, 3, renew, NULL);
    redis_batch_addv(st->commit, 5, set, NULL);
    rc = redis_run(st->redis, st->commit, f);
    if (rc != RC_OK)
        return rc;
    renewed = redis_batch_reply(st->commit, 0);
    if (renewed->type == REDIS_REPLY_INTEGER && renewed->integer == 1)
        return RC_OK;
    return redis_batch_check(st->commit, 1, f);
}
