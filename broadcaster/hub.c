/*
 * Judges what comes: an event, a loaded state, a client's question. A watch that is not `live`
 * only keeps events for after its load; a live one judges each (watch.h).
 */
#include "client.h"
#include "common/arena.h"
#include "common/event.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/warning.h"
#include "frame.h"
#include "hub_inside.h"

#include <assert.h>
#include <utlist.h>

#define RETRY_MS 100
#define RETRY_BROKEN_MS 5000
/* Older than what clients saw: the new life is not written yet (rolled back by a restart). */
#define ROLLBACKS_MAX 20

/* --- events --- */

static void
reload(struct hub *h, struct watch *w)
{
    h->stats.gaps++;
    metrics_add(METRIC_WS_GAPS, 1, 0, 0, 0);
    w->live = false;
    buf_clear(&w->backlog);
    w->missed = w->loading; /* that load may have been too early */
    hub_want_load(h, w);
}

static void
apply(struct hub *h, struct watch *w, enum watch_step step, const struct event *ev)
{
    bool is_delta = step == STEP_APPLY && w->deltas > 0;

    if (is_delta)
        delta_begin(&h->delta, &w->s, w->at_ms);
    if (!watch_apply(w, step, ev)) {
        log_warn("event does not fit", LOG_STR("session_id", w->id),
                 LOG_INT("version", ev->version));
        reload(h, w);
        return;
    }
    if (is_delta)
        is_delta = delta_end(&h->delta, ev, &w->s);
    hub_push_state(h, w, STATE_UPDATE, is_delta ? &h->delta : NULL);
    if (ev->reason == REASON_TIMEOUT)
        hub_push_timeout(h, w, ev);
}

/* A warning is about one version: whoever has another one does not need it. */
static void
take_warning(struct hub *h, struct watch *w, const char *payload, size_t len)
{
    struct fail f = { 0 };
    struct warning_note note;

    if (warning_decode(payload, len, &note, &f) != RC_OK)
        log_warn("warning unreadable", LOG_STR("session_id", w->id), LOG_STR("error", f.log));
    else if (w->known == KNOWN_PRESENT &&
             watch_order(note.epoch, note.version, w->s.epoch, w->s.version) == 0)
        hub_push_warning(h, w, &note);
}

static void
take_event(struct hub *h, struct watch *w, const char *payload, size_t len)
{
    struct fail f = { 0 };
    struct event ev;
    enum watch_step step;

    if (warning_is(payload, len)) {
        take_warning(h, w, payload, len);
        return;
    }
    if (event_decode(payload, len, &ev, &f) != RC_OK) {
        log_warn("event unreadable", LOG_STR("session_id", w->id), LOG_STR("error", f.log));
        reload(h, w);
        return;
    }
    step = watch_judge(w, &ev);
    if (step == STEP_APPLY || step == STEP_CREATE)
        apply(h, w, step, &ev);
    else if (step == STEP_DELETE)
        hub_push_deleted(h, w, &ev);
    else if (step == STEP_RELOAD)
        reload(h, w);
    if (step == STEP_APPLY || step == STEP_CREATE || step == STEP_DELETE)
        metrics_observe_us(METRIC_PUSH_DELAY,
                           (h->calls.now_ms(h->calls.ctx) - ev.server_time_ms) * 1000, 0, 0);
}

void
hub_event(struct hub *h, const char *id, const char *payload, size_t len)
{
    struct watch *w = hub_find(h, id);

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
        hub_retry_load(h, w, RETRY_MS);
        return;
    }
    if (s == NULL && w->missed && w->known == KNOWN_PRESENT) {
        /* read before the creation that we heard of since */
        buf_fini(&w->backlog);
        w->missed = false;
        hub_want_load(h, w);
        return;
    }
    w->rollbacks = 0;
    w->live = true;
    if (s == NULL) {
        if (w->known == KNOWN_PRESENT)
            hub_push_deleted(h, w, NULL);
        w->known = KNOWN_MISSING;
    } else {
        watch_adopt(w, s, at_ms);
        hub_push_state(h, w, was_missing ? STATE_UPDATE : STATE_SYNC, NULL);
    }
    hub_answer_waiters(h, w, at_ms);
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
        hub_want_load(h, w);
        return;
    }
    if (s == NULL || w->known != KNOWN_PRESENT || strcmp(s->epoch, w->s.epoch) > 0) {
        loaded_afresh(h, w, s, at_ms);
        return;
    }
    if (watch_order(s->epoch, s->version, w->s.epoch, w->s.version) <= 0) {
        hub_answer_waiters(h, w, at_ms);
        return;
    }
    /* lend the newer state to the watch while the waiters are answered */
    w->s = *s;
    w->at_ms = at_ms;
    hub_answer_waiters(h, w, at_ms);
    w->s = ours;
    w->at_ms = ours_at_ms;
}

static void
load_failed(struct hub *h, struct watch *w, enum rc rc)
{
    struct sub *sub;

    if (rc != RC_STATE_UNREADABLE) {
        hub_retry_load(h, w, RETRY_MS);
        return;
    }
    w->live = false;
    hub_retry_load(h, w, RETRY_BROKEN_MS);
    DL_FOREACH(w->subs, sub)
    {
        if (sub->waiter == NULL || sub->waiter->told)
            continue;
        hub_refuse(h, sub->client, FAULT_STATE_UNREADABLE, w->spelling);
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

/* --- clients --- */

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
    hub_want_load(h, sub->watch);
}

static struct sub *
add_sub(struct hub *h, struct client *c, const char *id)
{
    struct watch *w = hub_find_or_make(h, id);
    struct sub *sub = xalloc(sizeof(*sub));

    sub->client = c;
    sub->watch = w;
    DL_APPEND(w->subs, sub);
    LL_PREPEND2(c->subs, sub, more);
    hub_set_idle(h, w, false);
    hub_ask_channel(h, w);
    wait_for_load(h, sub, NULL);
    return sub;
}

static struct sub *
find_sub(const struct client *c, const char *id)
{
    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more)
        if (id_equal(id, sub->watch->id))
            return sub;
    return NULL;
}

static int
count_subs(const struct client *c)
{
    int n = 0;

    for (const struct sub *sub = c->subs; sub != NULL; sub = sub->more)
        n++;
    return n;
}

static void
set_delta(struct sub *sub, bool delta)
{
    sub->watch->deltas += delta - sub->delta;
    sub->delta = delta;
}

void
hub_join(struct hub *h, struct client *c, const char *id, bool delta)
{
    struct sub *sub = add_sub(h, c, id);

    set_delta(sub, delta);
    c->opened_with = sub->watch->hh.hashv;
}

enum fault
hub_subscribe(struct hub *h, struct client *c, const struct message *m)
{
    struct sub *sub = find_sub(c, m->session_id);

    if (sub == NULL && count_subs(c) >= HUB_SUBS_MAX)
        return FAULT_SUBSCRIPTION_LIMIT;
    if (!hub_has_room(h, m->session_id))
        return FAULT_SERVER_FULL;
    buf_clear(&h->text);
    protocol_subscribed(&h->text, m->session_id, h->calls.now_ms(h->calls.ctx));
    hub_reply(h, c);
    if (sub == NULL)
        sub = add_sub(h, c, m->session_id);
    else
        wait_for_load(h, sub, NULL);
    set_delta(sub, m->delta);
    return FAULT_NONE;
}

enum fault
hub_unsubscribe(struct hub *h, struct client *c, const struct message *m)
{
    struct sub *sub = find_sub(c, m->session_id);

    if (sub == NULL)
        return FAULT_NOT_SUBSCRIBED;
    hub_end_sub(h, sub);
    buf_clear(&h->text);
    protocol_unsubscribed(&h->text, m->session_id, h->calls.now_ms(h->calls.ctx));
    hub_reply(h, c);
    return FAULT_NONE;
}

void
hub_refuse(struct hub *h, struct client *c, enum fault fault, const char *id)
{
    buf_clear(&h->text);
    protocol_error(&h->text, fault, id, h->calls.now_ms(h->calls.ctx));
    hub_reply(h, c);
}

void
hub_leave(struct hub *h, struct client *c)
{
    struct sub *sub, *tmp;

    LL_FOREACH_SAFE2(c->subs, sub, tmp, more)
    hub_end_sub(h, sub);
}

enum fault
hub_reconnect(struct hub *h, struct client *c, const struct message *m)
{
    enum fault fault = FAULT_NOT_SUBSCRIBED;

    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more) {
        if (m->session_id[0] != '\0' && !id_equal(m->session_id, sub->watch->id))
            continue;
        /* before its first answer it waits already */
        if (sub->synced || sub->waiter == NULL)
            wait_for_load(h, sub, m);
        fault = FAULT_NONE;
    }
    return fault;
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
