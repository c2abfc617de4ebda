#include "database.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/pg.h"
#include "common/status.h"

#define CHECK_MS 2000
#define ASK_MS 2000

struct database {
    struct pg *pg; /* NULL: off */
    struct status *status;
    uv_timer_t timer;
    uv_work_t work;
    bool answers;
    int64_t took_us, connections, connections_max; /* of the last answer */
    enum database_state said;
    bool busy, closed;
};

static const struct pg_stmt connections = {
    .name = "connections",
    .sql = "SELECT count(*), current_setting('max_connections')::int"
           " - current_setting('superuser_reserved_connections')::int"
           " FROM pg_stat_activity WHERE backend_type = 'client backend'",
};

/* In a thread of libuv's pool. */
static void
ask(uv_work_t *work)
{
    struct database *d = work->data;
    int64_t begun_us = clock_mono_us();
    struct pg_result *r = NULL;
    struct fail ignored = { 0 };

    d->answers = pg_run(d->pg, &connections, NULL, &r, &ignored) == RC_OK;
    d->took_us = clock_mono_us() - begun_us;
    d->connections = d->answers ? pg_int(r, 0, 0) : -1;
    d->connections_max = d->answers ? pg_int(r, 0, 1) : -1;
    pg_result_free(r);
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
    struct database *d = handle->data;

    pg_free(d->pg);
    free(d);
}

static void
take_answer(struct database *d)
{
    if (d->answers)
        metrics_observe_us(METRIC_POSTGRES_ROUND_TRIP, d->took_us, 0, 0);
    metrics_set(METRIC_POSTGRES_CONNECTIONS, d->connections);
    metrics_set(METRIC_POSTGRES_CONNECTIONS_MAX, d->connections_max);
    say(d, d->answers ? DATABASE_CONNECTED : DATABASE_DOWN);
}

static void
on_answer(uv_work_t *work, int status)
{
    struct database *d = work->data;

    d->busy = false;
    if (d->closed)
        uv_close((uv_handle_t *)&d->timer, on_closed);
    else if (status == 0)
        take_answer(d);
}

static void
on_timer(uv_timer_t *timer)
{
    struct database *d = timer->data;

    if (d->pg == NULL) {
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

    if (conf->database_url[0] != '\0')
        d->pg = pg_new(conf->database_url, "synckairos-watch", ASK_MS);
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
