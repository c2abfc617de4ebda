#include "reader.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "common/session.h"
#include "common/session_store.h"
#include "hub.h"
#include "link.h"
#include "server_clock.h"

#include <assert.h>

#define SAMPLE_MS 1000
#define PENDING_MAX 8

struct reader {
    const struct conf *conf;
    struct server_clock *clock;
    struct link *link;
    uv_timer_t timer;
    struct redis_batch *time; /* TIME; under way while time_sent_us is set */
    int64_t time_sent_us;
};

struct load {
    struct hub *hub;
    struct redis_batch *batch;
    size_t n;
    struct watch *watches[HUB_LOAD_MAX];
    int places[HUB_LOAD_MAX];
};

/* --- the server clock --- */

static void
on_time(void *ctx, struct redis_batch *b, bool complete)
{
    struct reader *r = ctx;
    int64_t sent_us = r->time_sent_us;

    r->time_sent_us = 0;
    if (complete && redis_batch_check(b, 0, NULL) == RC_OK) {
        server_clock_sample(r->clock, sent_us, link_heard_us(r->link),
                            redis_time_us(redis_batch_reply(b, 0)));
        metrics_observe_us(METRIC_REDIS_ROUND_TRIP, link_heard_us(r->link) - sent_us, 0, 0);
        metrics_set(METRIC_CLOCK_ERROR, server_clock_error_us(r->clock));
    }
    redis_batch_clear(b);
}

static void
sample(struct reader *r)
{
    if (r->time_sent_us != 0)
        return;
    redis_batch_clear(r->time);
    redis_batch_add(r->time, "TIME");
    r->time_sent_us = clock_mono_us();
    if (!link_send(r->link, r->time, on_time, r))
        r->time_sent_us = 0;
}

static void
on_sample_timer(uv_timer_t *timer)
{
    sample(timer->data);
}

static void
on_up(void *ctx)
{
    sample(ctx);
}

/* --- states --- */

static void
give(struct load *load, size_t i, bool complete)
{
    struct session s;
    struct fail f = { 0 };
    int64_t now_us = 0;
    struct watch *w = load->watches[i];
    enum rc rc = RC_STORE_UNAVAILABLE;

    session_init(&s);
    if (complete)
        rc = session_load_read(load->batch, load->places[i], hub_watch_id(w), &s, &now_us, &f);
    if (rc == RC_STATE_UNREADABLE)
        log_error("session unreadable", LOG_STR("session_id", hub_watch_id(w)),
                  LOG_STR("error", f.log));
    hub_loaded(load->hub, w, rc, &s, now_us / 1000);
    session_fini(&s);
}

static void
on_loaded(void *ctx, struct redis_batch *b, bool complete)
{
    struct load *load = ctx;

    for (size_t i = 0; i < load->n; i++)
        give(load, i, complete);
    redis_batch_free(b);
    free(load);
}

bool
reader_load(struct reader *r, struct hub *hub, struct watch **ws, size_t n)
{
    struct load *load;

    assert(n <= HUB_LOAD_MAX);
    if (!link_is_up(r->link) || link_pending(r->link) >= PENDING_MAX)
        return false;
    load = xalloc(sizeof(*load));
    load->hub = hub;
    load->batch = redis_batch_new();
    load->n = n;
    for (size_t i = 0; i < n; i++) {
        load->watches[i] = ws[i];
        load->places[i] =
            session_load_add(load->batch, r->conf->key_prefix, hub_watch_id(ws[i]));
    }
    if (link_send(r->link, load->batch, on_loaded, load))
        return true;
    redis_batch_free(load->batch);
    free(load);
    return false;
}

bool
reader_ask(struct reader *r, struct redis_batch *b, link_done *done, void *ctx)
{
    return link_send(r->link, b, done, ctx);
}

/* --- life --- */

struct reader *
reader_new(uv_loop_t *loop, const struct conf *conf, struct server_clock *clock)
{
    struct reader *r = xalloc(sizeof(*r));
    const struct link_calls calls = { .up = on_up, .ctx = r };

    r->conf = conf;
    r->clock = clock;
    r->time = redis_batch_new();
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_sample_timer, SAMPLE_MS, SAMPLE_MS);
    r->link = link_new(loop, conf, "synckairos-reader", &calls);
    return r;
}

static void
on_closed(uv_handle_t *handle)
{
    struct reader *r = handle->data;

    redis_batch_free(r->time);
    free(r);
}

void
reader_close(struct reader *r)
{
    if (r == NULL)
        return;
    link_close(r->link);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

bool
reader_is_up(const struct reader *r)
{
    return link_is_up(r->link);
}
