/*
 * Two parts: which channels and loads are wanted (queues of watches), and what clients are told
 * when an event or a loaded state arrives. A watch that is not `live` only keeps events for
 * after its load; a live one judges each (watch.h).
 */
#include "hub.h"

#include "client.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/metrics.h"
#include "frame.h"
#include "protocol.h"
#include "watch.h"

#include <assert.h>
#include <sys/random.h>
#include <utlist.h>

/* A page that is reloaded comes back within this, to a state that is still fed. */
#define LINGER_MS 2000
#define RETRY_MS 100
#define RETRY_BROKEN_MS 5000
/* Older than what clients saw: the new life is not written yet (rolled back by a restart). */
#define ROLLBACKS_MAX 20
/* 1,000 participants are 300 KB. */
#define TEXT_MAX (2 * 1024 * 1024)

struct hub {
    struct hub_calls calls;
    int64_t watches_max;
    uint64_t seed; /* of the hash: clients choose the ids */
    bool linked;
    struct watch *watches; /* by lower-case id */
    struct watch *ready, *later;
    struct watch *idle; /* oldest first */
    struct watch *hot;
    struct buf text;
    struct hub_stats stats;
};

struct hub *
hub_new(const struct hub_calls *calls, int64_t watches_max)
{
    struct hub *h = xalloc(sizeof(*h));

    h->calls = *calls;
    h->watches_max = watches_max;
    if (getrandom(&h->seed, sizeof(h->seed), 0) != (ssize_t)sizeof(h->seed))
        fatal(71, "no random bytes");
    buf_init(&h->text, TEXT_MAX);
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

static struct watch *
find(struct hub *h, const char *id)
{
    char lower[ID_LEN + 1];
    struct watch *w;

    id_lower(id, lower);
    HASH_FIND_BYHASHVALUE(hh, h->watches, lower, ID_LEN, hash(h, lower), w);
    return w;
}

/* The message in h->text as a frame of one reference. */
static struct frame *
text_frame(struct hub *h)
{
    assert(!h->text.overflow);
    return frame_new(FRAME_TEXT, h->text.data, h->text.len);
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

static void
want_load(struct hub *h, struct watch *w)
{
    if (w->channel == CHANNEL_ON && !w->loading)
        requeue(h, w, QUEUE_LOAD);
}

static void
retry_load(struct hub *h, struct watch *w, int64_t in_ms)
{
    w->retry_ms = clock_mono_ms() + in_ms;
    if (w->channel == CHANNEL_ON)
        requeue(h, w, QUEUE_LATER);
}

static void
ask_channel(struct hub *h, struct watch *w)
{
    if (!h->linked || w->channel != CHANNEL_OFF)
        return;
    w->channel = CHANNEL_ASKED;
    h->calls.subscribe(h->calls.ctx, w->id);
}

static void
set_idle(struct hub *h, struct watch *w, bool idle)
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

static void
set_hot(struct hub *h, struct watch *w, bool hot)
{
    if (w->is_hot == hot)
        return;
    w->is_hot = hot;
    if (hot) {
        LL_PREPEND2(h->hot, w, hot_next);
        return;
    }
    LL_DELETE2(h->hot, w, hot_next);
    frame_drop(w->newest);
    w->newest = NULL;
}

static void
drop(struct hub *h, struct watch *w)
{
    requeue(h, w, QUEUE_NONE);
    set_idle(h, w, false);
    set_hot(h, w, false);
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
    free(h);
}

bool
hub_has_room(struct hub *h, const char *id)
{
    return h->stats.watches < h->watches_max || find(h, id) != NULL;
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
        set_hot(h, h->hot, false);
}

/* --- what clients are told --- */

/* Whether the state of `w` is newer than what `sub` was sent. */
static bool
is_news(const struct sub *sub)
{
    const struct watch *w = sub->watch;

    return sub->synced && (sub->lap < w->lap || sub->version < w->s.version);
}

static void
mark_sent(struct sub *sub, uint32_t lap, int64_t version)
{
    sub->lap = lap;
    sub->version = version;
}

/* The client fell behind: whatever comes next is news to it. */
static void
mark_lost(struct client *c)
{
    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more)
        if (sub->version != 0)
            sub->version = -1;
}

static void
send_state(struct sub *sub, struct frame *f)
{
    bool was_behind = sub->client->is_behind;

    if (client_queue(sub->client, f)) {
        mark_sent(sub, sub->watch->lap, sub->watch->s.version);
        return;
    }
    if (!was_behind && sub->client->is_behind)
        mark_lost(sub->client);
}

static struct frame *
newest(struct hub *h, struct watch *w)
{
    if (w->newest == NULL) {
        buf_clear(&h->text);
        protocol_state(&h->text, STATE_UPDATE, &w->s, w->at_ms);
        w->newest = text_frame(h);
        set_hot(h, w, true);
    }
    return w->newest;
}

/* Push the state of `w` to all to whom it is news. */
static void
push_state(struct hub *h, struct watch *w, enum state_kind kind)
{
    struct frame *f = NULL;
    struct sub *sub;

    DL_FOREACH(w->subs, sub)
    {
        /* who is behind is given the newest when it has caught up */
        if (!is_news(sub) || sub->client->close_code != 0 || sub->client->is_behind)
            continue;
        if (f == NULL && kind == STATE_UPDATE) {
            f = frame_take(newest(h, w));
        } else if (f == NULL) {
            buf_clear(&h->text);
            protocol_state(&h->text, kind, &w->s, w->at_ms);
            f = text_frame(h);
        }
        send_state(sub, f);
    }
    frame_drop(f);
}

/* TIME_EXPIRED goes to those who were just sent the version that it belongs to. */
static void
push_time_expired(struct hub *h, struct watch *w, const struct event *ev)
{
    struct frame *f;
    struct sub *sub;

    buf_clear(&h->text);
    protocol_time_expired(&h->text, w->spelling, ev);
    f = text_frame(h);
    DL_FOREACH(w->subs, sub)
    {
        bool was_behind = sub->client->is_behind;

        if (!sub->synced || sub->lap != w->lap || sub->version != ev->version)
            continue;
        if (!client_queue(sub->client, f) && !was_behind && sub->client->is_behind)
            mark_lost(sub->client);
    }
    frame_drop(f);
}

static void
end_sub(struct hub *h, struct sub *sub)
{
    struct watch *w = sub->watch;

    LL_DELETE2(sub->client->subs, sub, more);
    DL_DELETE(w->subs, sub);
    free(sub->waiter);
    free(sub);
    if (w->subs == NULL)
        set_idle(h, w, true);
}

/* SESSION_DELETED to all who know of the session; their subscription ends. `ev` NULL: it is
 * simply gone. */
static void
push_deleted(struct hub *h, struct watch *w, const struct event *ev)
{
    int64_t at_ms = ev != NULL ? ev->server_time_ms : h->calls.now_ms(h->calls.ctx);
    struct frame *f;
    struct sub *sub, *tmp;

    buf_clear(&h->text);
    protocol_deleted(&h->text, w->spelling, ev != NULL ? ev->epoch : NULL,
                     ev != NULL ? ev->version : 0, at_ms);
    f = text_frame(h);
    watch_forget(w);
    DL_FOREACH_SAFE(w->subs, sub, tmp)
    {
        struct client *c = sub->client;

        if (sub->version == 0)
            continue; /* it knows of none */
        end_sub(h, sub);
        if (c->subs == NULL)
            client_finish(c, f, 1000, "Session deleted");
        else
            client_answer(c, f);
    }
    frame_drop(f);
}

/* Answer one who waited for the load. */
static void
answer(struct hub *h, struct sub *sub, struct frame *sync, int64_t at_ms)
{
    const struct watch *w = sub->watch;
    struct waiter *waiter = sub->waiter;
    struct frame *f;

    sub->waiter = NULL;
    sub->synced = true;
    if (w->known == KNOWN_PRESENT &&
        (waiter->version != w->s.version || strcmp(waiter->epoch, w->s.epoch) != 0)) {
        send_state(sub, sync);
        free(waiter);
        return;
    }
    buf_clear(&h->text);
    if (w->known == KNOWN_PRESENT) {
        protocol_unchanged(&h->text, &w->s, at_ms);
        mark_sent(sub, w->lap, w->s.version);
    } else {
        protocol_not_found(&h->text, w->spelling, at_ms);
    }
    f = text_frame(h);
    client_answer(sub->client, f);
    frame_drop(f);
    free(waiter);
}

/* Answer all who waited for this load, from what the watch knows now. */
static void
answer_waiters(struct hub *h, struct watch *w, int64_t at_ms)
{
    struct frame *sync = NULL;
    struct sub *sub;
    bool more = false;

    if (at_ms < w->at_ms)
        at_ms = w->at_ms;
    DL_FOREACH(w->subs, sub)
    {
        if (sub->waiter == NULL)
            continue;
        if (!sub->waiter->served) {
            more = true;
            continue;
        }
        if (sync == NULL && w->known == KNOWN_PRESENT) {
            buf_clear(&h->text);
            protocol_state(&h->text, STATE_SYNC, &w->s, at_ms);
            sync = text_frame(h);
        }
        answer(h, sub, sync, at_ms);
    }
    frame_drop(sync);
    if (more)
        want_load(h, w);
}

/* --- events --- */

static void
reload(struct hub *h, struct watch *w)
{
    h->stats.gaps++;
    metrics_add(METRIC_WS_GAPS, 1, 0, 0, 0);
    w->live = false;
    buf_clear(&w->backlog);
    w->missed = w->loading; /* that load may have been too early */
    want_load(h, w);
}

static void
apply(struct hub *h, struct watch *w, enum watch_step step, const struct event *ev)
{
    if (!watch_apply(w, step, ev)) {
        log_warn("event does not fit", LOG_STR("session_id", w->id),
                 LOG_INT("version", ev->version));
        reload(h, w);
        return;
    }
    push_state(h, w, STATE_UPDATE);
    if (ev->reason == REASON_TIMEOUT)
        push_time_expired(h, w, ev);
}

static void
take_event(struct hub *h, struct watch *w, const char *payload, size_t len)
{
    struct fail f = { 0 };
    struct event ev;
    enum watch_step step;

    if (event_decode(payload, len, &ev, &f) != RC_OK) {
        log_warn("event unreadable", LOG_STR("session_id", w->id), LOG_STR("error", f.log));
        reload(h, w);
        return;
    }
    step = watch_judge(w, &ev);
    if (step == STEP_APPLY || step == STEP_CREATE)
        apply(h, w, step, &ev);
    else if (step == STEP_DELETE)
        push_deleted(h, w, &ev);
    else if (step == STEP_RELOAD)
        reload(h, w);
}

void
hub_event(struct hub *h, const char *id, const char *payload, size_t len)
{
    struct watch *w = find(h, id);

    if (w == NULL || w->channel == CHANNEL_LEAVING)
        return;
    h->stats.events++;
    metrics_add(METRIC_WS_EVENTS, 1, 0, 0, 0);
    w->heard = true;
    if (w->live)
        take_event(h, w, payload, len);
    else if (w->loading && !watch_keep(w, payload, len))
        w->missed = true;
}

/* After the load: what came while it was under way. */
static void
replay(struct hub *h, struct watch *w)
{
    const char *payload;
    size_t len, pos = 0;

    if (w->missed)
        reload(h, w);
    while (w->live && watch_kept(w, &pos, &payload, &len))
        take_event(h, w, payload, len);
    buf_fini(&w->backlog);
    w->missed = false;
}

/* --- loaded states --- */

/* A loaded state is older than what clients were shown: Redis went back, and the new life that
 * will say so is not written yet. */
static bool
is_rollback(const struct watch *w, const struct session *s)
{
    return w->known == KNOWN_PRESENT &&
           watch_order(s->epoch, s->version, w->s.epoch, w->s.version) < 0;
}

/* The first load after subscribing, or after something was missed. */
static void
loaded_afresh(struct hub *h, struct watch *w, struct session *s, int64_t at_ms)
{
    bool was_missing = w->known == KNOWN_MISSING;

    if (s != NULL && is_rollback(w, s) && ++w->rollbacks < ROLLBACKS_MAX) {
        w->live = false;
        retry_load(h, w, RETRY_MS);
        return;
    }
    if (s == NULL && w->missed && w->known == KNOWN_PRESENT) {
        /* read before the creation that we heard of since */
        buf_fini(&w->backlog);
        w->missed = false;
        want_load(h, w);
        return;
    }
    w->rollbacks = 0;
    w->live = true;
    if (s == NULL) {
        if (w->known == KNOWN_PRESENT)
            push_deleted(h, w, NULL);
        w->known = KNOWN_MISSING;
    } else {
        watch_adopt(w, s, at_ms);
        push_state(h, w, was_missing ? STATE_UPDATE : STATE_SYNC);
    }
    answer_waiters(h, w, at_ms);
    replay(h, w);
}

/* Somebody asked again about a live session. What is ahead of us comes as events, too; the
 * others get them one by one. */
static void
loaded_again(struct hub *h, struct watch *w, struct session *s, int64_t at_ms)
{
    struct session ours = w->s;
    int64_t ours_at_ms = w->at_ms;

    /* read before the creation or deletion that we heard of meanwhile: replies and events come
     * on two connections */
    if (w->heard && (s != NULL) != (w->known == KNOWN_PRESENT)) {
        want_load(h, w);
        return;
    }
    if (s == NULL || w->known != KNOWN_PRESENT || strcmp(s->epoch, w->s.epoch) > 0) {
        loaded_afresh(h, w, s, at_ms);
        return;
    }
    if (watch_order(s->epoch, s->version, w->s.epoch, w->s.version) <= 0) {
        answer_waiters(h, w, at_ms);
        return;
    }
    /* lend the newer state to the watch while the waiters are answered */
    w->s = *s;
    w->at_ms = at_ms;
    answer_waiters(h, w, at_ms);
    w->s = ours;
    w->at_ms = ours_at_ms;
}

static void
load_failed(struct hub *h, struct watch *w, enum rc rc)
{
    int64_t now = h->calls.now_ms(h->calls.ctx);
    struct sub *sub;

    if (rc != RC_STATE_UNREADABLE) {
        retry_load(h, w, RETRY_MS);
        return;
    }
    w->live = false;
    retry_load(h, w, RETRY_BROKEN_MS);
    DL_FOREACH(w->subs, sub)
    {
        struct frame *f;

        if (sub->waiter == NULL || sub->waiter->told)
            continue;
        buf_clear(&h->text);
        protocol_error(&h->text, FAULT_STATE_UNREADABLE, w->spelling, now);
        f = text_frame(h);
        client_answer(sub->client, f);
        frame_drop(f);
        sub->waiter->told = true;
    }
}

void
hub_loaded(struct hub *h, struct watch *w, enum rc rc, struct session *s, int64_t at_ms)
{
    assert(w->loading);
    w->loading = false;
    if (rc != RC_OK && rc != RC_SESSION_NOT_FOUND)
        load_failed(h, w, rc);
    else if (w->live)
        loaded_again(h, w, rc == RC_OK ? s : NULL, at_ms);
    else
        loaded_afresh(h, w, rc == RC_OK ? s : NULL, at_ms);
}

const char *
hub_watch_id(const struct watch *w)
{
    return w->id;
}

/* --- clients --- */

static struct watch *
find_or_make(struct hub *h, const char *id)
{
    struct watch *w = find(h, id);

    if (w != NULL)
        return w;
    w = watch_new(id);
    HASH_ADD_BYHASHVALUE(hh, h->watches, id, ID_LEN, hash(h, w->id), w);
    h->stats.watches++;
    return w;
}

static void
wait_for_load(struct hub *h, struct sub *sub, const struct message *m)
{
    struct waiter *waiter = sub->waiter;

    if (waiter == NULL)
        waiter = sub->waiter = xalloc(sizeof(*waiter));
    *waiter = (struct waiter){ .version = -1 };
    if (m != NULL) {
        waiter->version = m->last_known_version;
        memcpy(waiter->epoch, m->epoch, sizeof(waiter->epoch));
    }
    want_load(h, sub->watch);
}

void
hub_join(struct hub *h, struct client *c, const char *id)
{
    struct watch *w = find_or_make(h, id);
    struct sub *sub = xalloc(sizeof(*sub));

    sub->client = c;
    sub->watch = w;
    DL_APPEND(w->subs, sub);
    LL_PREPEND2(c->subs, sub, more);
    set_idle(h, w, false);
    ask_channel(h, w);
    wait_for_load(h, sub, NULL);
}

void
hub_leave(struct hub *h, struct client *c)
{
    struct sub *sub, *tmp;

    LL_FOREACH_SAFE2(c->subs, sub, tmp, more)
    end_sub(h, sub);
}

bool
hub_reconnect(struct hub *h, struct client *c, const struct message *m)
{
    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more) {
        if (m->session_id[0] != '\0' && !id_equal(m->session_id, sub->watch->id))
            continue;
        /* before its first answer it waits already */
        if (sub->synced || sub->waiter == NULL)
            wait_for_load(h, sub, m);
        return true;
    }
    return false;
}

void
hub_catch_up(struct hub *h, struct client *c)
{
    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more)
        if (sub->watch->known == KNOWN_PRESENT && is_news(sub))
            send_state(sub, newest(h, sub->watch));
}

/* --- the link --- */

void
hub_subscribed(struct hub *h, const char *id)
{
    struct watch *w = find(h, id);

    if (w == NULL || w->channel != CHANNEL_ASKED)
        return;
    w->channel = CHANNEL_ON;
    want_load(h, w);
}

void
hub_unsubscribed(struct hub *h, const char *id)
{
    struct watch *w = find(h, id);

    if (w == NULL || w->channel != CHANNEL_LEAVING)
        return;
    w->channel = CHANNEL_OFF;
    if (w->subs == NULL)
        drop(h, w);
    else
        ask_channel(h, w);
}

void
hub_link_up(struct hub *h)
{
    struct watch *w, *tmp;

    h->linked = true;
    HASH_ITER(hh, h->watches, w, tmp)
    ask_channel(h, w);
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

void
hub_life_began(struct hub *h, int partition)
{
    struct watch *w, *tmp;

    HASH_ITER(hh, h->watches, w, tmp)
    {
        if (keys_partition(w->id) == partition && w->channel == CHANNEL_ON)
            reload(h, w);
    }
}

struct hub_stats
hub_stats(const struct hub *h)
{
    return h->stats;
}
