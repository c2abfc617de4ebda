#include "timekeeper.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/redis.h"
#include "common/session_store.h"
#include "worker_thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/random.h>

#define LEASE_MS 1500
#define REREAD_MS 500
#define BEAT_MS 1000
#define WELL_MS 5000
#define PAUSE_MS 100 /* after a failure */
#define RACE_MS 20   /* after a lost race */
#define WORK_MAX 128 /* sessions: Redis is busy with them for some 20 ms */

struct timekeeper {
    struct worker_thread thread;
    _Atomic uint64_t woken;  /* one bit per partition */
    _Atomic int64_t well_ms; /* of the last beat that Redis took */

    /* the thread's own */
    struct redis *redis;
    struct session_store *store;
    char owner[17];
    int64_t next_ms[KEYS_PARTITIONS]; /* monotonic: when to look at it */
    int64_t beat_ms;
    int first; /* partition: not the same one in every process */
    struct store_claim claims[KEYS_PARTITIONS];
};

static_assert(KEYS_PARTITIONS == 64, "one bit each in woken");

static uint32_t
draw(uint32_t n)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return 0;
    return random % n;
}

/* Log what is no mere outage: those redis.c has said itself. */
static void
tell(const char *event, const struct fail *f)
{
    if (f->rc != RC_STORE_UNAVAILABLE && f->rc != RC_OUTCOME_UNKNOWN)
        log_error(event, LOG_STR("code", rc_code(f->rc)), LOG_STR("error", f->log));
}

/* What is due of several partitions, to be brought up to date together. */
struct work {
    struct store_due due[WORK_MAX];
    size_t n;
};

static enum rc
do_work(struct timekeeper *t, struct work *w, size_t *applied)
{
    struct fail f = { 0 };
    size_t done = 0;
    enum rc rc = w->n == 0 ? RC_OK : session_store_expire(t->store, w->due, w->n, &done, &f);

    if (rc != RC_OK)
        tell("expiry failed", &f);
    *applied += done;
    w->n = 0;
    return rc;
}

/* Bring up to date what the claims have found. */
static enum rc
expire(struct timekeeper *t, size_t n, size_t *applied)
{
    struct work w = { .n = 0 };
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        const struct store_claim *c = &t->claims[i];

        if (w.n + c->n > WORK_MAX)
            rc = do_work(t, &w, applied);
        memcpy(w.due + w.n, c->due, c->n * sizeof(*c->due));
        w.n += c->n;
    }
    return rc == RC_OK ? do_work(t, &w, applied) : rc;
}

/* When to look at it again, by what the claim said at `now`. */
static int64_t
next_look(const struct store_claim *c, int64_t now)
{
    /* + 1: both clocks are cut to milliseconds, and too early finds nothing due */
    int64_t wake = now + (c->next_ms - c->now_ms) + 1;

    if (c->next_ms == 0 || wake > now + REREAD_MS)
        return now + REREAD_MS;
    return wake;
}

/* Look at `n` partitions. On failure the pass ends. */
static enum rc
serve(struct timekeeper *t, size_t n)
{
    struct fail f = { 0 };
    size_t applied = 0;
    int64_t now;
    enum rc rc = session_store_claim(t->store, t->owner, LEASE_MS, t->claims, n, &f);

    if (rc != RC_OK) {
        tell("claim failed", &f);
        return rc;
    }
    now = clock_mono_ms();
    for (size_t i = 0; i < n; i++)
        t->next_ms[t->claims[i].partition] = next_look(&t->claims[i], now);
    rc = expire(t, n, &applied);
    /* at once: more may be due, and the next wake-ups are not known yet */
    now = clock_mono_ms() + (applied > 0 ? 0 : RACE_MS);
    for (size_t i = 0; i < n; i++)
        if (t->claims[i].n > 0)
            t->next_ms[t->claims[i].partition] = now;
    return rc;
}

static enum rc
beat(struct timekeeper *t, int64_t now)
{
    struct fail f = { 0 };
    enum rc rc;

    if (now < t->beat_ms)
        return RC_OK;
    rc = session_store_beat(t->store, &f);
    if (rc != RC_OK) {
        tell("beat failed", &f);
        return rc;
    }
    t->beat_ms = now + BEAT_MS;
    atomic_store(&t->well_ms, now);
    return RC_OK;
}

/* Take over what timekeeper_wake noted. */
static void
take_woken(struct timekeeper *t)
{
    uint64_t woken = atomic_exchange(&t->woken, 0);

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if ((woken >> i & 1) != 0)
            t->next_ms[i] = 0;
}

/* Serve all that is due to be looked at; returns when to look again. */
static int64_t
pass(struct timekeeper *t)
{
    int64_t now = clock_mono_ms();
    int64_t until = now + REREAD_MS;
    size_t n = 0;

    if (beat(t, now) != RC_OK)
        return now + PAUSE_MS;
    for (int k = 0; k < KEYS_PARTITIONS; k++) {
        int i = (t->first + k) % KEYS_PARTITIONS;

        if (t->next_ms[i] <= now)
            t->claims[n++] = (struct store_claim){ .partition = i, .max = STORE_DUE_MAX };
    }
    if (n > 0 && serve(t, n) != RC_OK)
        return clock_mono_ms() + PAUSE_MS;
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (t->next_ms[i] < until)
            until = t->next_ms[i];
    return until < t->beat_ms ? until : t->beat_ms;
}

/* The others need not wait for the end of our leases. */
static void
give_back(struct timekeeper *t)
{
    struct fail f = { 0 };

    if (timekeeper_is_well(t) && session_store_release(t->store, t->owner, &f) != RC_OK)
        tell("release failed", &f);
}

static int64_t
turn(void *ctx)
{
    struct timekeeper *t = ctx;

    take_woken(t);
    return pass(t) - clock_mono_ms();
}

struct timekeeper *
timekeeper_start(const struct conf *conf)
{
    struct timekeeper *t = xalloc(sizeof(*t));
    int64_t now = clock_mono_ms();

    t->redis = redis_new(conf, "synckairos-timekeeper");
    t->store = session_store_new(conf, t->redis);
    id_random(t->owner, sizeof(t->owner) - 1);
    t->first = (int)draw(KEYS_PARTITIONS);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        t->next_ms[i] = now + draw(REREAD_MS);
    worker_thread_start(&t->thread, "the timekeeper", turn, t);
    return t;
}

void
timekeeper_wake(struct timekeeper *t, int partition)
{
    assert(partition >= 0 && partition < KEYS_PARTITIONS);
    atomic_fetch_or(&t->woken, UINT64_C(1) << partition);
    worker_thread_poke(&t->thread);
}

bool
timekeeper_is_well(const struct timekeeper *t)
{
    int64_t well = atomic_load(&t->well_ms);

    return well != 0 && clock_mono_ms() - well < WELL_MS;
}

void
timekeeper_stop(struct timekeeper *t)
{
    if (t == NULL)
        return;
    worker_thread_stop(&t->thread);
    give_back(t);
    session_store_free(t->store);
    redis_free(t->redis);
    free(t);
}
