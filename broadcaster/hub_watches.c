/*
 * The watches: which channels and loads are wanted, as queues of watches, and what the link
 * says about them.
 */
#include "hub_inside.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "frame.h"

#include <sys/random.h>
#include <utlist.h>

/* A page that is reloaded comes back within this, to a state that is still fed. */
#define LINGER_MS 2000
/* 1,000 participants are 300 KB. */
#define TEXT_MAX (2 * 1024 * 1024)

struct hub *
hub_new(const struct hub_calls *calls, int64_t watches_max)
{
    struct hub *h = xalloc(sizeof(*h));

    h->calls = *calls;
    h->watches_max = watches_max;
    if (getrandom(&h->seed, sizeof(h->seed), 0) != (ssize_t)sizeof(h->seed))
        fatal(71, "no random bytes");
    buf_init(&h->text, TEXT_MAX);
    delta_init(&h->delta);
    return h;
}

/* uthash's own hashes are no secret. */
static unsigned
hash(const struct hub *h, const char id[ID_LEN + 1])
{
    uint64_t sum = h->seed;

    for (size_t i = 0; i < ID_LEN; i += 4) {
        uint32_t part;

        memcpy(&part, id + i, sizeof(part));
        sum = (sum ^ part) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return (unsigned)(sum >> 32);
}

struct watch *
hub_find(struct hub *h, const char *id)
{
    char lower[ID_LEN + 1];
    struct watch *w;

    id_lower(id, lower);
    HASH_FIND_BYHASHVALUE(hh, h->watches, lower, ID_LEN, hash(h, lower), w);
    return w;
}

struct watch *
hub_find_or_make(struct hub *h, const char *id)
{
    struct watch *w = hub_find(h, id);

    if (w != NULL)
        return w;
    w = watch_new(id);
    HASH_ADD_BYHASHVALUE(hh, h->watches, id, ID_LEN, hash(h, w->id), w);
    h->stats.watches++;
    return w;
}

/* --- which loads and channels are wanted --- */

static void
requeue(struct hub *h, struct watch *w, enum watch_queue to)
{
    if (w->queue == to)
        return;
    if (w->queue == QUEUE_LOAD)
        DL_DELETE2(h->ready, w, queue_prev, queue_next);
    else if (w->queue == QUEUE_LATER)
        DL_DELETE2(h->later, w, queue_prev, queue_next);
    if (to == QUEUE_LOAD)
        DL_APPEND2(h->ready, w, queue_prev, queue_next);
    else if (to == QUEUE_LATER)
        DL_APPEND2(h->later, w, queue_prev, queue_next);
    w->queue = to;
}

void
hub_want_load(struct hub *h, struct watch *w)
{
    if (w->channel == CHANNEL_ON && !w->loading)
        requeue(h, w, QUEUE_LOAD);
}

void
hub_retry_load(struct hub *h, struct watch *w, int64_t in_ms)
{
    w->retry_ms = clock_mono_ms() + in_ms;
    if (w->channel == CHANNEL_ON)
        requeue(h, w, QUEUE_LATER);
}

void
hub_ask_channel(struct hub *h, struct watch *w)
{
    if (!h->linked || w->channel != CHANNEL_OFF)
        return;
    w->channel = CHANNEL_ASKED;
    h->calls.subscribe(h->calls.ctx, w->id);
}

void
hub_set_idle(struct hub *h, struct watch *w, bool idle)
{
    if (w->is_idle == idle)
        return;
    w->is_idle = idle;
    if (idle) {
        w->idle_ms = clock_mono_ms();
        DL_APPEND2(h->idle, w, idle_prev, idle_next);
    } else {
        DL_DELETE2(h->idle, w, idle_prev, idle_next);
    }
}

void
hub_set_hot(struct hub *h, struct watch *w, bool hot)
{
    if (w->is_hot == hot)
        return;
    w->is_hot = hot;
    if (hot) {
        LL_PREPEND2(h->hot, w, hot_next);
        return;
    }
    LL_DELETE2(h->hot, w, hot_next);
    watch_cool(w);
}

static void
drop(struct hub *h, struct watch *w)
{
    requeue(h, w, QUEUE_NONE);
    hub_set_idle(h, w, false);
    hub_set_hot(h, w, false);
    HASH_DEL(h->watches, w);
    h->stats.watches--;
    watch_free(w);
}

/* Nobody watches it: give the channel back; it is freed when Redis has confirmed. */
static void
let_go(struct hub *h, struct watch *w)
{
    if (w->loading || w->channel == CHANNEL_ASKED || w->channel == CHANNEL_LEAVING)
        return;
    if (w->channel == CHANNEL_OFF) {
        drop(h, w);
        return;
    }
    requeue(h, w, QUEUE_NONE);
    w->live = false;
    w->channel = CHANNEL_LEAVING;
    h->calls.unsubscribe(h->calls.ctx, w->id);
}

void
hub_free(struct hub *h)
{
    struct watch *w, *tmp;

    if (h == NULL)
        return;
    HASH_ITER(hh, h->watches, w, tmp)
    drop(h, w);
    buf_fini(&h->text);
    delta_fini(&h->delta);
    free(h);
}

bool
hub_has_room(struct hub *h, const char *id)
{
    return h->stats.watches < h->watches_max || hub_find(h, id) != NULL;
}

void
hub_pump(struct hub *h)
{
    while (h->ready != NULL) {
        struct watch *ws[HUB_LOAD_MAX];
        struct watch *w;
        size_t n = 0;

        DL_FOREACH2(h->ready, w, queue_next)
        {
            ws[n++] = w;
            if (n == HUB_LOAD_MAX)
                break;
        }
        if (!h->calls.load(h->calls.ctx, ws, n))
            return;
        h->stats.loads += (int64_t)n;
        for (size_t i = 0; i < n; i++) {
            struct sub *sub;

            requeue(h, ws[i], QUEUE_NONE);
            ws[i]->loading = true;
            ws[i]->heard = false;
            DL_FOREACH(ws[i]->subs, sub)
            if (sub->waiter != NULL)
                sub->waiter->served = true;
        }
    }
}

void
hub_tick(struct hub *h)
{
    int64_t now = clock_mono_ms();
    struct watch *w, *tmp;

    DL_FOREACH_SAFE2(h->later, w, tmp, queue_next)
    if (w->retry_ms <= now)
        requeue(h, w, QUEUE_LOAD);
    DL_FOREACH_SAFE2(h->idle, w, tmp, idle_next)
    {
        if (now - w->idle_ms < LINGER_MS && h->stats.watches < h->watches_max)
            break;
        let_go(h, w);
    }
    while (h->hot != NULL)
        hub_set_hot(h, h->hot, false);
}

/* --- the link --- */

void
hub_subscribed(struct hub *h, const char *id)
{
    struct watch *w = hub_find(h, id);

    if (w == NULL || w->channel != CHANNEL_ASKED)
        return;
    w->channel = CHANNEL_ON;
    hub_want_load(h, w);
}

void
hub_unsubscribed(struct hub *h, const char *id)
{
    struct watch *w = hub_find(h, id);

    if (w == NULL || w->channel != CHANNEL_LEAVING)
        return;
    w->channel = CHANNEL_OFF;
    if (w->subs == NULL)
        drop(h, w);
    else
        hub_ask_channel(h, w);
}

void
hub_link_up(struct hub *h)
{
    struct watch *w, *tmp;

    h->linked = true;
    HASH_ITER(hh, h->watches, w, tmp)
    hub_ask_channel(h, w);
}

void
hub_link_lost(struct hub *h)
{
    struct watch *w, *tmp;
    int64_t resyncs = 0;

    h->linked = false;
    HASH_ITER(hh, h->watches, w, tmp)
    {
        struct sub *sub;

        w->live = false;
        w->missed = w->loading;
        w->channel = CHANNEL_OFF;
        requeue(h, w, QUEUE_NONE);
        DL_FOREACH(w->subs, sub)
        if (sub->waiter != NULL)
            sub->waiter->served = false;
        if (w->subs == NULL && !w->loading)
            drop(h, w);
        else if (!w->loading)
            resyncs++;
    }
    h->stats.resyncs += resyncs;
    metrics_add(METRIC_WS_RESYNCS, resyncs, 0, 0, 0);
}

const char *
hub_watch_id(const struct watch *w)
{
    return w->id;
}

struct hub_stats
hub_stats(const struct hub *h)
{
    return h->stats;
}
