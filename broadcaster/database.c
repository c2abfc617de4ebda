#include "database.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/status.h"

#include <libpq-fe.h>

#define CHECK_MS 2000

struct database {
    const char *url; /* "" off */
    struct status *status;
    uv_timer_t timer;
    uv_work_t work;
    PGPing answer;
    int64_t took_us;
    enum database_state said;
    bool busy, closed;
};

/* In a thread of libuv's pool. */
static void
ask(uv_work_t *work)
{
    struct database *d = work->data;
    const char *const keys[] = { "dbname", "connect_timeout", NULL };
    const char *const values[] = { d->url, "2", NULL };

    int64_t begun_us = clock_mono_us();

    d->answer = PQpingParams(keys, values, 1);
    d->took_us = clock_mono_us() - begun_us;
}

static void
say(struct database *d, enum database_state state)
{
    static const char *const words[] = { "off", "down", "connected" };

    status_set_database(d->status, state, clock_wall_ms());
    if (state != d->said)
        log_info("database", LOG_STR("state", words[state]));
    d->said = state;
}

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
on_answer(uv_work_t *work, int status)
{
    struct database *d = work->data;

    d->busy = false;
    if (d->closed)
        uv_close((uv_handle_t *)&d->timer, on_closed);
    else if (status == 0) {
        if (d->answer == PQPING_OK)
            metrics_observe_us(METRIC_POSTGRES_ROUND_TRIP, d->took_us, 0, 0);
        say(d, d->answer == PQPING_OK ? DATABASE_CONNECTED : DATABASE_DOWN);
    }
}

static void
on_timer(uv_timer_t *timer)
{
    struct database *d = timer->data;

    if (d->url[0] == '\0') {
        say(d, DATABASE_OFF);
        return;
    }
    if (!d->busy && uv_queue_work(timer->loop, &d->work, ask, on_answer) == 0)
        d->busy = true;
}

struct database *
database_watch(uv_loop_t *loop, const struct conf *conf, struct status *status)
{
    struct database *d = xalloc(sizeof(*d));

    d->url = conf->database_url;
    d->status = status;
    d->work.data = d;
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_timer, 0, CHECK_MS);
    return d;
}

void
database_close(struct database *d)
{
    if (d == NULL)
        return;
    uv_timer_stop(&d->timer);
    d->closed = true;
    if (!d->busy)
        uv_close((uv_handle_t *)&d->timer, on_closed);
}
