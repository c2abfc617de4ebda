#include "drain.h"

#include "app.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "frame.h"
#include "protocol.h"

#include <sys/random.h>
#include <utlist.h>

#define TICK_MS 10
/* Closed per second when DRAIN_SECONDS leaves the time. */
#define RATE 200
#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000
/* For the last ones to take their Close frame. */
#define GRACE_MS 1000

struct drain {
    struct app *app;
    void (*done)(struct app *app);
    uv_timer_t timer;
    int n; /* clients at the beginning */
    int closed;
    int slot; /* of the wheel, those before are closed */
    int64_t begun_ms, spread_ms;
};

int64_t
drain_spread_ms(int n, int64_t max_ms)
{
    int64_t ms = (int64_t)n * 1000 / RATE;

    return ms < max_ms ? ms : max_ms;
}

int
drain_due(int n, int64_t elapsed_ms, int64_t spread_ms)
{
    if (elapsed_ms >= spread_ms)
        return n;
    return (int)((int64_t)n * elapsed_ms / spread_ms);
}

static int64_t
reconnect_in_ms(void)
{
    uint16_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return RECONNECT_MAX_MS;
    return RECONNECT_MIN_MS + random % (RECONNECT_MAX_MS - RECONNECT_MIN_MS + 1);
}

static void
tell(struct drain *d, struct client *c)
{
    struct talk *t = &d->app->talk;
    struct frame *f;

    buf_clear(&t->text);
    protocol_draining(&t->text, reconnect_in_ms(), talk_now_ms(t));
    f = frame_new(FRAME_TEXT, t->text.data, t->text.len);
    client_answer(c, f);
    frame_drop(f);
}

/* A client that is not closing yet; NULL when all are. */
static struct client *
next_client(struct drain *d)
{
    struct clients *set = &d->app->clients;

    for (; d->slot < set->wheel.slots; d->slot++) {
        struct client *c;

        DL_FOREACH2(set->slots[d->slot], c, slot_next)
        if (c->close_code == 0)
            return c;
    }
    return NULL;
}

static void
cut_all(struct drain *d)
{
    struct clients *set = &d->app->clients;

    for (int i = 0; i < set->wheel.slots; i++) {
        struct client *c;

        DL_FOREACH2(set->slots[i], c, slot_next)
        client_cut(c);
    }
}

static void
on_timer(uv_timer_t *timer)
{
    struct drain *d = timer->data;
    int64_t elapsed = clock_mono_ms() - d->begun_ms;
    int due = drain_due(d->n, elapsed, d->spread_ms);
    struct client *c = NULL;

    while (d->closed < due && (c = next_client(d)) != NULL) {
        client_finish(c, NULL, 1001, "Server shutting down");
        d->closed++;
    }
    if (d->app->clients.n == 0) {
        uv_timer_stop(timer);
        d->done(d->app);
    } else if (elapsed >= d->spread_ms + GRACE_MS) {
        cut_all(d);
    }
}

struct drain *
drain_begin(struct app *app, void (*done)(struct app *app))
{
    struct drain *d = xalloc(sizeof(*d));
    struct clients *set = &app->clients;

    app->draining = true;
    d->app = app;
    d->done = done;
    d->n = set->n;
    d->begun_ms = clock_mono_ms();
    d->spread_ms = drain_spread_ms(set->n, app->conf->drain_ms);
    log_info("draining", LOG_INT("clients", d->n), LOG_INT("spread_ms", d->spread_ms));
    for (int i = 0; i < set->wheel.slots; i++) {
        struct client *c;

        DL_FOREACH2(set->slots[i], c, slot_next)
        tell(d, c);
    }
    uv_timer_init(&app->uv, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_timer, TICK_MS, TICK_MS);
    return d;
}

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
drain_close(struct drain *d)
{
    if (d != NULL)
        uv_close((uv_handle_t *)&d->timer, on_closed);
}
