/* Which timekeeper works on which partition: leases, and what is due there. */
#include "conf.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session_call.h"
#include "session_store.h"
#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>

#define TRIES 3
#define INSTANT_MAX_MS 253402300799999 /* year 9999 */
#define RECOVERY_MS "2000" /* in which PostgreSQL may give back what a Redis has lost */

enum { CLAIM_NOT_HELD, CLAIM_HELD, CLAIM_OTHER_LIFE };

static void
claim_add(struct session_store *st, const struct store_claim *c, const char *owner,
          const char *lease_ms)
{
    char max[24];
    const char *prefix = st->conf->key_prefix;
    struct key lease = keys_lease(prefix, c->partition);
    struct key wakeups = keys_wakeups(prefix, c->partition);
    struct key life = keys_life(prefix, c->partition);
    const char *argv[] = { lease.s,
                           wakeups.s,
                           life.s,
                           owner,
                           lease_ms,
                           max,
                           redis_run_id(st->redis),
                           session_audit_keep(st->conf) == NULL ? RECOVERY_MS : "0" };

    assert(c->max > 0 && c->max <= STORE_DUE_MAX);
    snprintf(max, sizeof(max), "%d", c->max);
    redis_batch_script(st->load, LUA_CLAIM, 3, 8, argv, NULL);
}

/* Epoch ms; 0 when that is not what it is. */
static int64_t
instant_of(const redisReply *text)
{
    int64_t ms = text->type == REDIS_REPLY_STRING ? strtoll(text->str, NULL, 10) : 0;

    return ms > 0 && ms <= INSTANT_MAX_MS ? ms : 0;
}

/* The reply of a claim; false when it is none. */
static bool
read_claim(const redisReply *reply, struct store_claim *c)
{
    const redisReply *ids;
    int64_t now_us;

    if (reply->elements != 4 || reply->element[2]->type != REDIS_REPLY_STRING ||
        reply->element[3]->type != REDIS_REPLY_ARRAY)
        return false;
    now_us = redis_time_us(reply->element[1]);
    ids = reply->element[3];
    if (now_us < 0 || ids->elements > 2 * STORE_DUE_MAX || ids->elements % 2 != 0)
        return false;
    c->held = reply->element[0]->integer == CLAIM_HELD;
    c->now_ms = now_us / 1000;
    c->next_ms = instant_of(reply->element[2]);
    for (size_t i = 0; i < ids->elements; i += 2) {
        if (ids->element[i]->type != REDIS_REPLY_STRING || ids->element[i]->len != ID_LEN)
            continue; /* nothing that we wrote */
        memcpy(c->due[c->n].id, ids->element[i]->str, ID_LEN + 1);
        c->due[c->n++].wakeup_ms = instant_of(ids->element[i + 1]);
    }
    return true;
}

/* Take the replies, which stand in the order of the claims that had none yet. */
static enum rc
take_replies(struct session_store *st, struct store_claim *claims, size_t n, struct fail *f)
{
    int place = 0;

    for (size_t i = 0; i < n; i++) {
        const redisReply *reply;
        enum rc rc;

        if (claims[i].now_ms != 0)
            continue;
        rc = redis_batch_check(st->load, place, f);
        if (rc != RC_OK)
            return rc;
        reply = redis_batch_reply(st->load, place++);
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
            reply->element[0]->integer == CLAIM_OTHER_LIFE)
            continue;
        if (reply->type != REDIS_REPLY_ARRAY || !read_claim(reply, &claims[i]))
            return fail_log(f, RC_STORE_UNAVAILABLE, "claim: no answer to it");
    }
    return RC_OK;
}

/* One round trip. Partitions that live another life have no answer then. */
static enum rc
ask(struct session_store *st, const char *owner, int64_t lease_ms, struct store_claim *claims,
    size_t n, struct fail *f)
{
    char lease_text[24];
    enum rc rc = redis_connect(st->redis, f);

    if (rc != RC_OK)
        return rc;
    snprintf(lease_text, sizeof(lease_text), "%" PRId64, lease_ms);
    redis_batch_clear(st->load);
    for (size_t i = 0; i < n; i++)
        if (claims[i].now_ms == 0)
            claim_add(st, &claims[i], owner, lease_text);
    rc = redis_run(st->redis, st->load, f);
    return rc == RC_OK ? take_replies(st, claims, n, f) : rc;
}

static bool
have_answers(const struct store_claim *claims, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (claims[i].now_ms == 0)
            return false;
    return true;
}

/* Of all partitions, whichever was asked for: they lost their Redis together, and what begins
 * together is looked after together (recovery.h). */
static enum rc
begin_lives(struct session_store *st, struct fail *f)
{
    int all[KEYS_PARTITIONS];

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        all[i] = i;
    return session_lives_begin(st, all, KEYS_PARTITIONS, f);
}

enum rc
session_store_claim(struct session_store *st, const char *owner, int64_t lease_ms,
                    struct store_claim *claims, size_t n, struct fail *f)
{
    for (size_t i = 0; i < n; i++) {
        claims[i].held = false;
        claims[i].n = 0;
        claims[i].next_ms = claims[i].now_ms = 0;
    }
    for (int i = 0; i < TRIES; i++) {
        enum rc rc;

        fail_reset(f);
        rc = ask(st, owner, lease_ms, claims, n, f);
        if (rc != RC_OK && (redis_fd(st->redis) >= 0 || i + 1 == TRIES))
            return rc;
        if (rc != RC_OK)
            continue; /* the connection had been closed: once more, on a new one */
        if (have_answers(claims, n))
            return RC_OK;
        rc = begin_lives(st, f);
        if (rc != RC_OK)
            return rc;
    }
    return fail_log(f, RC_STORE_UNAVAILABLE, "claim: no answer to it");
}

enum rc
session_store_release(struct session_store *st, const char *owner, struct fail *f)
{
    redis_batch_clear(st->commit);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key lease = keys_lease(st->conf->key_prefix, i);
        struct key wake = keys_wake(st->conf->key_prefix, i);
        const char *argv[] = { lease.s, owner, wake.s };

        redis_batch_script(st->commit, LUA_LEASE_DROP, 1, 3, argv, NULL);
    }
    return redis_run(st->redis, st->commit, f);
}
