/*
 * One look is a round trip. What it may lead to takes a turn each, so that the thread can be
 * ended in between and renews its lease before each:
 *
 * - begin: partitions whose life is new, how long their Redis was away, and what PostgreSQL has
 *   that it has not (a list of ids);
 *
 * - wait until the drain has taken in all that was in the streams by then;
 *
 * - put back a few of the list each turn, as they are recorded by now;
 *
 * - end: count what is nowhere, say that it is done.
 */
#include "recovery.h"

#include "common/arena.h"
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
#include "recovery_lives.h"
#include "recovery_put.h"
#include "worker_thread.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define LOOK_MS 500
#define WAIT_MS 20
#define MUSTER_MS \
    500 /* that partitions are given to begin, so that one recovery does for all */
#define AWAY_MS 250
#define LEASE_MS "15000"
#define DEADLINE_MS 10000
/* An expiry is recorded at its deadline, which may be before its commit. */
#define MARGIN_MS 60000
#define PUT_AT_ONCE 32

enum phase { PHASE_LOOK, PHASE_WAIT, PHASE_PUT, PHASE_END };

struct recovery {
    struct worker_thread thread;
    const struct conf *conf;
    struct redis *redis;
    struct redis_batch *batch;
    struct pg *pg;
    char owner[17];
    enum phase phase;
    int64_t muster_ms; /* monotonic: until when a recovery waits for those who have not begun */
    struct recovery_lives lives;
    struct recovery_list list; /* sessions to put back */
    int64_t listed_ms;         /* TIME when the list was complete */
    struct recovery_putter *putter;
    size_t put, done; /* sessions: put back, and looked at, of the list */
};

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

/* --- the phases --- */

/* Which sessions PostgreSQL has to be asked for: the live ones, and what was changed shortly
 * before any of these Redises was seen last. */
static enum rc
begin(struct recovery *r, struct fail *f)
{
    bool is_new[KEYS_PARTITIONS];
    int64_t changed_ms = r->lives.now_ms;
    enum rc rc = recovery_lives_set_gaps(&r->lives, f);

    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct recovery_life *life = &r->lives.life[i];

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
    rc = recovery_lives_look(&r->lives, true, f); /* for TIME: the list is complete */
    if (rc != RC_OK)
        r->phase = PHASE_LOOK;
    r->listed_ms = r->lives.now_ms;
    r->put = r->done = 0;
    return rc;
}

static enum rc
put_some(struct recovery *r, struct fail *f)
{
    int64_t lives[KEYS_PARTITIONS];
    size_t n = r->list.n - r->done < PUT_AT_ONCE ? r->list.n - r->done : PUT_AT_ONCE;
    size_t put = 0;
    enum rc rc;

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        lives[i] = r->lives.life[i].n;
    rc = recovery_put(r->putter, r->list.id + r->done, n, lives, &put, f);
    if (rc != RC_OK)
        return rc;
    metrics_add(METRIC_SESSIONS_PUT_BACK, (int64_t)put, 0, 0, 0);
    r->put += put;
    r->done += n;
    return RC_OK;
}

static enum rc
end(struct recovery *r, struct fail *f)
{
    char n[KEYS_PARTITIONS][24];
    int64_t lost;
    enum rc rc = recovery_lives_count_lost(&r->lives, &lost, f);

    if (rc != RC_OK)
        return rc;
    redis_batch_clear(r->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key life = keys_life(r->conf->key_prefix, i);
        struct key wake = keys_wake(r->conf->key_prefix, i);
        const char *argv[] = { life.s, n[i], wake.s };

        snprintf(n[i], sizeof(n[i]), "%" PRId64, r->lives.life[i].n);
        if (r->lives.life[i].is_new)
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

/* There is nothing to look after. */
static int64_t
rest(struct recovery *r, int64_t pause_ms)
{
    r->muster_ms = clock_mono_ms() + pause_ms + MUSTER_MS;
    return pause_ms;
}

static int64_t
turn_look(struct recovery *r, struct fail *f)
{
    bool held = false;

    if (recovery_lives_look(&r->lives, false, f) != RC_OK)
        return rest(r, AWAY_MS);
    if (!recovery_lives_are_new(&r->lives)) {
        recovery_lives_note_seen(&r->lives);
        return rest(r, LOOK_MS);
    }
    if (!recovery_lives_have_begun(&r->lives) && clock_mono_ms() < r->muster_ms)
        return WAIT_MS;
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
        rc = recovery_lives_look(&r->lives, true, f);
        if (rc == RC_OK && recovery_lives_are_drained(&r->lives, r->listed_ms))
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
    r->lives = (struct recovery_lives){
        .conf = conf, .redis = r->redis, .batch = r->batch, .pg = r->pg
    };
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
