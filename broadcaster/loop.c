#include "loop.h"

#include "app.h"
#include "audit_backlog.h"
#include "audit_drain.h"
#include "common/arena.h"
#include "common/changes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/report.h"
#include "common/status.h"
#include "common/token.h"
#include "database.h"
#include "drain.h"
#include "foyer.h"
#include "hub.h"
#include "listener.h"
#include "pass.h"
#include "reader.h"
#include "recovery.h"
#include "scrape.h"
#include "sentry.h"
#include "server.h"
#include "socket.h"
#include "subscriber.h"
#include "timekeeper.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define HUB_TICK_MS 100
#define STATUS_MS 2000
#define SIGNALS 2

/* The loop's own handles beside those of the parts. */
struct handles {
    struct app app;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t hub_tick, beat, status;
    uv_signal_t signals[SIGNALS];
};

/* --- the parts call each other --- */

static void
call_subscribe(void *ctx, const char *id)
{
    struct app *app = ctx;

    subscriber_subscribe(app->subscriber, id);
}

static void
call_unsubscribe(void *ctx, const char *id)
{
    struct app *app = ctx;

    subscriber_unsubscribe(app->subscriber, id);
}

static bool
call_load(void *ctx, struct watch **ws, size_t n)
{
    struct app *app = ctx;

    return reader_load(app->reader, app->hub, ws, n);
}

static int64_t
call_now_ms(void *ctx)
{
    struct app *app = ctx;

    return talk_now_ms(&app->talk);
}

static bool
call_ask(void *ctx, struct redis_batch *b, link_done *done, void *arg)
{
    struct app *app = ctx;

    return reader_ask(app->reader, b, done, arg);
}

static bool
call_is_up(void *ctx)
{
    struct app *app = ctx;

    return reader_is_up(app->reader);
}

static int64_t
call_wall_ms(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

static void
on_link_up(void *ctx)
{
    struct app *app = ctx;

    passes_link_up(app->passes);
    app->talk.store_is_away = false;
    hub_link_up(app->hub);
}

static void
on_link_lost(void *ctx)
{
    struct app *app = ctx;

    app->talk.store_is_away = true;
    hub_link_lost(app->hub);
}

static void
on_event(void *ctx, const char *id, const char *payload, size_t len)
{
    struct app *app = ctx;

    hub_event(app->hub, id, payload, len);
}

static void
on_subscribed(void *ctx, const char *id)
{
    struct app *app = ctx;

    hub_subscribed(app->hub, id);
}

static void
on_unsubscribed(void *ctx, const char *id)
{
    struct app *app = ctx;

    hub_unsubscribed(app->hub, id);
}

static void
on_wake(void *ctx, int partition)
{
    struct app *app = ctx;

    timekeeper_wake(app->timekeeper, partition);
}

static void
on_life(void *ctx, int partition)
{
    struct app *app = ctx;

    hub_life_began(app->hub, partition);
}

static void
on_revoked(void *ctx, const char *message, size_t len)
{
    struct app *app = ctx;

    passes_revoked(app->passes, message, len);
}

static void
on_socket(void *ctx, int fd)
{
    struct app *app = ctx;

    if (server_has_room(app->server, foyer_count(app->foyer)))
        foyer_enter(app->foyer, fd);
    else
        close(fd);
}

static void
on_head(void *ctx, int fd, const struct head *head)
{
    struct app *app = ctx;

    server_take(app->server, fd, head);
}

/* --- the turn --- */

/* What this turn has brought goes out: questions to Redis, frames to clients. */
static void
end_turn(struct app *app)
{
    hub_pump(app->hub);
    passes_pump(app->passes);
    subscriber_pump(app->subscriber);
    sweep_turn(&app->sweep);
}

static void
on_prepare(uv_prepare_t *handle)
{
    end_turn(handle->data);
}

static void
on_check(uv_check_t *handle)
{
    end_turn(handle->data);
}

static void
on_hub_tick(uv_timer_t *timer)
{
    struct app *app = timer->data;

    hub_tick(app->hub);
    passes_tick(app->passes);
}

static void
on_beat(uv_timer_t *timer)
{
    struct app *app = timer->data;

    clients_beat(&app->clients, clock_mono_ms(), app->conf->ws_connection_timeout_ms);
}

static void
on_status(uv_timer_t *timer)
{
    struct app *app = timer->data;

    status_beat(app->status, clock_wall_ms());
}

static void
on_drained(struct app *app)
{
    app->done = true;
    uv_stop(&app->uv);
}

static void
on_signal(uv_signal_t *handle, int number)
{
    struct app *app = handle->data;

    if (app->draining)
        _exit(0);
    log_info("stopping", LOG_INT("signal", number));
    listener_close(app->listener);
    app->listener = NULL;
    app->drain = drain_begin(app, on_drained);
}

/* --- up and down --- */

static void
raise_files_limit(int64_t want)
{
    struct rlimit limit;

    if (want == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = (rlim_t)want;
    if (limit.rlim_max < limit.rlim_cur)
        limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("MAX_OPEN_FILES not granted", LOG_INT("wanted", want));
}

static void
start_handles(struct handles *h)
{
    static const int numbers[SIGNALS] = { SIGTERM, SIGINT };
    uv_loop_t *uv = &h->app.uv;
    int64_t beat_ms = heartbeat_tick_ms(&h->app.clients.wheel);

    uv_prepare_init(uv, &h->prepare);
    uv_check_init(uv, &h->check);
    uv_timer_init(uv, &h->hub_tick);
    uv_timer_init(uv, &h->beat);
    uv_timer_init(uv, &h->status);
    h->prepare.data = h->check.data = h->hub_tick.data = h->beat.data = h->status.data =
        &h->app;
    uv_prepare_start(&h->prepare, on_prepare);
    uv_check_start(&h->check, on_check);
    sweep_init(&h->app.sweep, uv, &h->app.clients);
    uv_timer_start(&h->hub_tick, on_hub_tick, HUB_TICK_MS, HUB_TICK_MS);
    uv_timer_start(&h->beat, on_beat, (uint64_t)beat_ms, (uint64_t)beat_ms);
    uv_timer_start(&h->status, on_status, 0, STATUS_MS);
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(uv, &h->signals[i]);
        h->signals[i].data = &h->app;
        uv_signal_start(&h->signals[i], on_signal, numbers[i]);
    }
}

static void
stop_handles(struct handles *h)
{
    uv_close((uv_handle_t *)&h->prepare, NULL);
    uv_close((uv_handle_t *)&h->check, NULL);
    uv_close((uv_handle_t *)&h->hub_tick, NULL);
    uv_close((uv_handle_t *)&h->beat, NULL);
    uv_close((uv_handle_t *)&h->status, NULL);
    sweep_close(&h->app.sweep);
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&h->signals[i], NULL);
}

static void
start_parts(struct app *app)
{
    const struct conf *conf = app->conf;
    const struct hub_calls hub_calls = { .subscribe = call_subscribe,
                                         .unsubscribe = call_unsubscribe,
                                         .load = call_load,
                                         .now_ms = call_now_ms,
                                         .ctx = app };
    const struct subscriber_calls subscriber_calls = { .up = on_link_up,
                                                       .lost = on_link_lost,
                                                       .event = on_event,
                                                       .subscribed = on_subscribed,
                                                       .unsubscribed = on_unsubscribed,
                                                       .wake = on_wake,
                                                       .life = on_life,
                                                       .revoked = on_revoked,
                                                       .ctx = app };
    struct pass_calls pass_calls = {
        .ask = call_ask, .is_up = call_is_up, .now_ms = call_wall_ms, .ctx = app
    };
    struct fail f = { 0 };

    app->tokens = token_keys_start(conf);
    if (status_open(conf->status_file, &app->status, &f) != RC_OK)
        log_warn("status file", LOG_STR("error", f.log));
    report_attach(status_reports(app->status));
    report_crashes("synckairos-broadcaster");
    changes_attach(status_changes(app->status));
    if (conf->enable_metrics)
        metrics_attach(status_metrics(app->status));
    metrics_hold(METRIC_WS_CONNECTIONS, 0);
    server_clock_init(&app->clock);
    clients_init(&app->clients, &socket_io, conf->ws_heartbeat_ms, clock_mono_ms());
    app->hub = hub_new(&hub_calls, conf->max_sessions);
    pass_calls.tally = status_tally(app->status);
    app->passes = passes_new(conf, app->tokens, &app->clients, &pass_calls);
    talk_init(&app->talk, app->hub, &app->clock,
              conf->rate_limit_enabled ? &conf->rate_limit_ws_messages : NULL);
    app->talk.passes = app->passes;
    app->talk.store_is_away = true; /* until the link is up */
    app->server = server_new(app);
    app->timekeeper = timekeeper_start(conf);
    app->audit_drain = audit_drain_start(conf);
    app->audit_backlog = audit_backlog_start(conf);
    app->recovery = recovery_start(conf);
    app->subscriber = subscriber_new(&app->uv, conf, &subscriber_calls);
    app->reader = reader_new(&app->uv, conf, &app->clock);
    app->database = database_watch(&app->uv, conf, app->status);
    app->sentry = sentry_new(&app->uv, conf);
    app->foyer = foyer_new(&app->uv, on_head, app);
    app->listener = listener_new(&app->uv, conf->ws_host, conf->ws_port, on_socket, app);
    app->scrape = scrape_new(app);
}

static void
stop_parts(struct app *app)
{
    timekeeper_stop(app->timekeeper);
    scrape_close(app->scrape);
    sentry_close(app->sentry);
    recovery_stop(app->recovery);
    audit_backlog_stop(app->audit_backlog);
    audit_drain_stop(app->audit_drain);
    listener_close(app->listener);
    foyer_close(app->foyer);
    drain_close(app->drain);
    subscriber_close(app->subscriber);
    reader_close(app->reader);
    database_close(app->database);
}

int
loop_run(const struct conf *conf)
{
    struct handles *h = xalloc(sizeof(*h));
    struct app *app = &h->app;

    signal(SIGPIPE, SIG_IGN);
    raise_files_limit(conf->max_open_files);
    app->conf = conf;
    if (uv_loop_init(&app->uv) != 0)
        fatal(71, "no event loop");
    start_parts(app);
    start_handles(h);
    log_info("listening", LOG_STR("host", conf->ws_host), LOG_INT("port", conf->ws_port));
    while (!app->done)
        uv_run(&app->uv, UV_RUN_DEFAULT);
    stop_parts(app);
    stop_handles(h);
    uv_run(&app->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&app->uv) != 0)
        log_warn("handles left open", LOG_END);
    server_free(app->server);
    hub_free(app->hub);
    passes_free(app->passes);
    token_keys_free(app->tokens);
    talk_fini(&app->talk);
    clients_fini(&app->clients);
    metrics_hold_nothing();
    metrics_attach(NULL);
    report_attach(NULL);
    changes_attach(NULL);
    status_close(app->status);
    free(h);
    log_info("stopped", LOG_END);
    return 0;
}
