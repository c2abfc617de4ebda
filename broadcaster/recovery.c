/*
 * One look is a round trip. What it may lead to, a turn each, so that the thread can be ended
 * in between and does not hold the lease for long without renewing it:
 *
 *   look     partitions whose life is new: how long the Redis was away, what PostgreSQL has
 * that Redis has not (a list of ids) wait     until the drain has taken in all that was in the
 * streams by then put back a few of the list each turn, as they are recorded by now end count
 * what is nowhere, say that it is done
 */
#include "recovery.h"

#include "common/arena.h"
#include "common/changes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/redis.h"
#include "lua_scripts.h"
#include "recovery_list.h"
#include "recovery_put.h"
#include "worker_thread.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define LOOK_MS 500
#define WAIT_MS 20
#define AWAY_MS 250
#define SEEN_MS 1000
#define LEASE_MS "15000"
#define DEADLINE_MS 10000
#define MARGIN_MS \
    60000 /* an expiry is recorded at its deadline, which may be before its commit */
#define START_MS 60000 /* within which all partitions of a Redis begin their lives */
#define PUT_AT_ONCE 32

enum phase { PHASE_LOOK, PHASE_WAIT, PHASE_PUT, PHASE_END };

/* What the life of a partition began with; 0 unknown. */
struct life {
    int64_t n, recovered;
    int64_t changes_from, changes_to; /* that this Redis came with, and that were known */
    int64_t seen_from_ms;
    int64_t oldest_ms; /* audit record in Redis */
    bool is_begun;     /* under the Redis that answers */
    bool is_new;       /* begun, and nobody has looked after it: part of the recovery in hand */
};

struct recovery {
    struct worker_thread thread;
    const struct conf *conf;
    struct redis *redis;
    struct redis_batch *batch;
    struct pg *pg;
    char owner[17];
    enum phase phase;
    struct life life[KEYS_PARTITIONS];
    int64_t now_ms; /* TIME of the last look */
    int64_t noted_ms;
    struct recovery_list list; /* sessions to put back */
    int64_t listed_ms;         /* TIME when the list was complete */
    struct recovery_putter *putter;
    size_t put, done; /* sessions: put back, and looked at, of the list */
};

enum { S_NOTE_SEEN, S_SEEN, S_RECORDED };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_NOTE_SEEN] = { "note when Redis was seen",
        "INSERT INTO sync_seen AS s (seen_at) VALUES (to_timestamp($1::float8 / 1000))"
        " ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at"
        " WHERE s.seen_at < excluded.seen_at", 1 },
    [S_SEEN] = { "when Redis was seen",
        "SELECT (extract(epoch FROM greatest((SELECT seen_at FROM sync_seen),"
        " (SELECT max(timestamp) FROM sync_events WHERE timestamp < to_timestamp($1::float8 / 1000))))"
        " * 1000)::bigint", 1 },
    [S_RECORDED] = { "what is recorded of a partition",
        "SELECT max(changes) FROM sync_partitions WHERE partition = $1 AND life < $2", 2 },
};
/* clang-format on */

/* --- looking --- */

static int64_t
number(const redisReply *life, size_t i)
{
    const redisReply *e = i < life->elements ? life->element[i] : NULL;

    return e != NULL && e->type == REDIS_REPLY_STRING ? strtoll(e->str, NULL, 10) : 0;
}

static bool
is_of_this_run(const struct recovery *r, const redisReply *life)
{
    const redisReply *run_id = life->elements > 5 ? life->element[5] : NULL;

    return run_id != NULL && run_id->type == REDIS_REPLY_STRING &&
           strcmp(run_id->str, redis_run_id(r->redis)) == 0;
}

static enum rc
look(struct recovery *r, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(r->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key life = keys_life(r->conf->key_prefix, i);
        struct key audit = keys_audit(r->conf->key_prefix, i);
        const char *argv[] = { life.s, audit.s };

        redis_batch_script(r->batch, LUA_RECOVERY_BEGIN, 2, 2, argv, NULL);
    }
    redis_batch_add(r->batch, "TIME");
    rc = redis_run(r->redis, r->batch, f);
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++) {
        const redisReply *reply = redis_batch_reply(r->batch, i);
        struct life *life = &r->life[i];

        rc = redis_batch_check(r->batch, i, f);
        if (rc != RC_OK)
            break;
        life->oldest_ms = number(reply, 6);
        if (r->phase != PHASE_LOOK)
            continue; /* the recovery in hand is about the lives that it began with */
        life->n = number(reply, 0);
        life->recovered = number(reply, 1);
        life->changes_from = number(reply, 2);
        life->changes_to = number(reply, 3);
        life->seen_from_ms = number(reply, 4);
        life->is_begun = is_of_this_run(r, reply);
        life->is_new = life->is_begun && life->n != life->recovered;
    }
    if (rc == RC_OK)
        r->now_ms = redis_time_us(redis_batch_reply(r->batch, KEYS_PARTITIONS)) / 1000;
    return rc;
}

static bool
is_needed(const struct recovery *r)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (r->life[i].is_new)
            return true;
    return false;
}

/* Ours already, or free; *held then. The recovery key is written by nobody else. */
static enum rc
take_lease(struct recovery *r, bool *held, struct fail *f)
{
    struct key lease = keys_recovery(r->conf->key_prefix);
    const redisReply *owner;
    enum rc rc;

    redis_batch_clear(r->batch);
    redis_batch_add(r->batch, "SET %s %s NX PX " LEASE_MS, lease.s, r->owner);
    redis_batch_add(r->batch, "GET %s", lease.s);
    rc = redis_run(r->redis, r->batch, f);
    if (rc != RC_OK)
        return rc;
    owner = redis_batch_reply(r->batch, 1);
    *held = owner->type == REDIS_REPLY_STRING && strcmp(owner->str, r->owner) == 0;
    return RC_OK;
}

/* Only once each life has begun and was looked after: else it would hide for how long the Redis
 * was away. */
static void
note_seen(struct recovery *r)
{
    char at[24];
    const char *args[] = { at };
    struct fail ignored = { 0 };

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (!r->life[i].is_begun || r->life[i].is_new)
            return;
    if (clock_mono_ms() < r->noted_ms)
        return;
    snprintf(at, sizeof(at), "%" PRId64, r->now_ms);
    if (pg_run(r->pg, &stmts[S_NOTE_SEEN], args, NULL, &ignored) == RC_OK)
        r->noted_ms = clock_mono_ms() + SEEN_MS;
    else
        r->noted_ms = clock_mono_ms() + AWAY_MS;
}

/* --- the gap --- */

static enum rc
ask_int(struct recovery *r, int stmt, const char *const *args, int64_t *out, struct fail *f)
{
    struct pg_result *result = NULL;
    enum rc rc = pg_run(r->pg, &stmts[stmt], args, &result, f);

    if (rc == RC_OK)
        *out = pg_rows(result) > 0 ? pg_int(result, 0, 0) : 0; /* NULL is "" is 0 */
    pg_result_free(result);
    return rc;
}

/*
 * When the Redis was back. Another partition may have begun its life, been looked after and had
 * changes recorded before a new one begins: those tell nothing of the time before.
 */
static int64_t
back_since(const struct recovery *r)
{
    int64_t newest_ms = 0, since_ms = r->now_ms;

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (r->life[i].is_new && r->life[i].n > newest_ms)
            newest_ms = r->life[i].n;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct life *life = &r->life[i];

        if (life->is_begun && life->n < since_ms && life->n >= newest_ms - START_MS)
            since_ms = life->n;
    }
    return since_ms;
}

/* With what PostgreSQL knows of when each Redis was seen, for how long was it away? */
static enum rc
set_gaps(struct recovery *r, struct fail *f)
{
    char n[KEYS_PARTITIONS][24], since[KEYS_PARTITIONS][24];
    int64_t seen_ms = 0;
    const char *args[] = { n[0] };
    enum rc rc;

    snprintf(n[0], sizeof(n[0]), "%" PRId64, back_since(r));
    rc = ask_int(r, S_SEEN, args, &seen_ms, f);
    if (rc != RC_OK)
        return rc;
    redis_batch_clear(r->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct life *life = &r->life[i];
        int64_t last_ms = life->seen_from_ms > seen_ms ? life->seen_from_ms : seen_ms;
        struct key key = keys_life(r->conf->key_prefix, i);
        const char *argv[] = { key.s, n[i], since[i] };

        if (!life->is_new || last_ms == 0)
            continue;
        snprintf(n[i], sizeof(n[i]), "%" PRId64, life->n);
        since[i][0] = '\0';
        if (life->n - last_ms > r->conf->outage_pause_ms)
            snprintf(since[i], sizeof(since[i]), "%" PRId64, last_ms);
        redis_batch_script(r->batch, LUA_RECOVERY_GAP, 1, 3, argv, NULL);
    }
    return redis_batch_count(r->batch) == 0 ? RC_OK : redis_run(r->redis, r->batch, f);
}

/* --- the phases --- */

/* Which sessions PostgreSQL has to be asked for: the live ones, and what was changed shortly
 * before any of these Redises was seen last. */
static enum rc
begin(struct recovery *r, struct fail *f)
{
    bool is_new[KEYS_PARTITIONS];
    int64_t changed_ms = r->now_ms;
    enum rc rc = set_gaps(r, f);

    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct life *life = &r->life[i];

        is_new[i] = life->is_new;
        if (life->is_new && life->seen_from_ms != 0 &&
            life->seen_from_ms - MARGIN_MS < changed_ms)
            changed_ms = life->seen_from_ms - MARGIN_MS;
    }
    if (rc == RC_OK)
        rc = recovery_list_fill(&r->list, r->putter, is_new, changed_ms, f);
    if (rc != RC_OK)
        return rc;
    r->phase = PHASE_WAIT; /* lives that begin from now on are for the next recovery */
    rc = look(r, f);       /* for TIME: by now the list is complete */
    if (rc != RC_OK)
        r->phase = PHASE_LOOK;
    r->listed_ms = r->now_ms;
    r->put = r->done = 0;
    return rc;
}

/* Whether the streams of these partitions hold nothing older than the list. */
static bool
is_drained(const struct recovery *r)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (r->life[i].is_new && r->life[i].oldest_ms != 0 &&
            r->life[i].oldest_ms <= r->listed_ms)
            return false;
    return true;
}

static enum rc
put_some(struct recovery *r, struct fail *f)
{
    int64_t lives[KEYS_PARTITIONS];
    size_t n = r->list.n - r->done < PUT_AT_ONCE ? r->list.n - r->done : PUT_AT_ONCE;
    size_t put = 0;
    enum rc rc;

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        lives[i] = r->life[i].n;
    rc = recovery_put(r->putter, r->list.id + r->done, n, lives, &put, f);
    if (rc != RC_OK)
        return rc;
    metrics_add(METRIC_SESSIONS_PUT_BACK, (int64_t)put, 0, 0, 0);
    r->put += put;
    r->done += n;
    return RC_OK;
}

/* Changes that were told to somebody here, and are neither in this Redis nor recorded. */
static enum rc
count_lost(struct recovery *r, int64_t *lost, struct fail *f)
{
    *lost = 0;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct life *life = &r->life[i];
        char partition[12], n[24];
        const char *args[] = { partition, n };
        int64_t recorded = 0;
        enum rc rc;

        if (!life->is_new || life->changes_to <= life->changes_from)
            continue;
        snprintf(partition, sizeof(partition), "%d", i);
        snprintf(n, sizeof(n), "%" PRId64, life->n);
        rc = ask_int(r, S_RECORDED, args, &recorded, f);
        if (rc != RC_OK)
            return rc;
        if (recorded < life->changes_from)
            recorded = life->changes_from;
        *lost += life->changes_to > recorded ? life->changes_to - recorded : 0;
    }
    return RC_OK;
}

static enum rc
end(struct recovery *r, struct fail *f)
{
    char n[KEYS_PARTITIONS][24];
    int64_t lost;
    enum rc rc = count_lost(r, &lost, f);

    if (rc != RC_OK)
        return rc;
    redis_batch_clear(r->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key life = keys_life(r->conf->key_prefix, i);
        struct key wake = keys_wake(r->conf->key_prefix, i);
        const char *argv[] = { life.s, n[i], wake.s };

        snprintf(n[i], sizeof(n[i]), "%" PRId64, r->life[i].n);
        if (r->life[i].is_new)
            redis_batch_script(r->batch, LUA_RECOVERY_END, 1, 3, argv, NULL);
    }
    redis_batch_add(r->batch, "DEL %s", keys_recovery(r->conf->key_prefix).s);
    rc = redis_run(r->redis, r->batch, f);
    if (rc != RC_OK)
        return rc;
    metrics_add(METRIC_CHANGES_LOST, lost, 0, 0, 0);
    if (lost > 0)
        log_error("changes lost", LOG_INT("changes", lost));
    if (r->list.n > 0)
        log_warn("sessions put back", LOG_INT("sessions", (int64_t)r->put));
    return RC_OK;
}

/* --- the thread --- */

static int64_t
turn_look(struct recovery *r, struct fail *f)
{
    bool held = false;

    if (look(r, f) != RC_OK)
        return AWAY_MS;
    if (!is_needed(r)) {
        note_seen(r);
        return LOOK_MS;
    }
    if (take_lease(r, &held, f) != RC_OK || !held)
        return LOOK_MS;
    if (begin(r, f) != RC_OK)
        return AWAY_MS;
    if (r->list.n == 0)
        r->phase = PHASE_END;
    return 0;
}

static int64_t
turn_on(struct recovery *r, struct fail *f)
{
    enum rc rc;

    if (r->phase == PHASE_WAIT) {
        rc = look(r, f);
        if (rc == RC_OK && is_drained(r))
            r->phase = PHASE_PUT;
        return rc != RC_OK ? AWAY_MS : r->phase == PHASE_PUT ? 0 : WAIT_MS;
    }
    rc = r->phase == PHASE_PUT ? put_some(r, f) : end(r, f);
    if (rc != RC_OK)
        return AWAY_MS;
    if (r->phase == PHASE_END)
        r->phase = PHASE_LOOK;
    else if (r->done == r->list.n)
        r->phase = PHASE_END;
    return 0;
}

/* The lease is renewed; lost, or with another Redis behind it, all is looked at anew. */
static bool
is_still_ours(struct recovery *r, struct fail *f)
{
    bool held = false;

    if (take_lease(r, &held, f) != RC_OK)
        return true; /* the turn will find out */
    redis_batch_clear(r->batch);
    redis_batch_add(r->batch, "PEXPIRE %s " LEASE_MS, keys_recovery(r->conf->key_prefix).s);
    return held && redis_run(r->redis, r->batch, f) == RC_OK;
}

static int64_t
turn(void *ctx)
{
    struct recovery *r = ctx;
    struct fail f = { 0 };
    int64_t pause_ms;

    if (r->phase != PHASE_LOOK && !is_still_ours(r, &f))
        r->phase = PHASE_LOOK;
    fail_reset(&f);
    pause_ms = r->phase == PHASE_LOOK ? turn_look(r, &f) : turn_on(r, &f);
    if (f.rc == RC_INTERNAL)
        log_error("recovery", LOG_STR("error", f.log));
    return pause_ms;
}

struct recovery *
recovery_start(const struct conf *conf)
{
    struct recovery *r;

    if (conf->database_url[0] == '\0')
        return NULL;
    r = xalloc(sizeof(*r));
    r->conf = conf;
    r->redis = redis_new(conf, "synckairos-recovery");
    r->batch = redis_batch_new();
    r->pg = pg_new(conf->database_url, "synckairos-recovery", DEADLINE_MS);
    r->putter = recovery_putter_new(conf, r->redis, r->pg);
    id_random(r->owner, sizeof(r->owner) - 1);
    worker_thread_start(&r->thread, "the recovery", turn, r);
    return r;
}

void
recovery_stop(struct recovery *r)
{
    if (r == NULL)
        return;
    worker_thread_stop(&r->thread);
    recovery_list_fini(&r->list);
    recovery_putter_free(r->putter);
    redis_batch_free(r->batch);
    pg_free(r->pg);
    redis_free(r->redis);
    free(r);
}
