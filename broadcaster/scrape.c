#include "scrape.h"

#include "answer.h"
#include "app.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/metrics_ask.h"
#include "common/redis.h"
#include "foyer.h"
#include "head.h"
#include "listener.h"
#include "reader.h"

#define ASK_MS 1000
/* An answer older than this is none. */
#define ANSWER_OLD_MS 5000
#define TEXT_MAX (8 * 1024 * 1024)
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct scrape {
    struct app *app;
    struct listener *listener;
    struct foyer *foyer;
    uv_timer_t timer;
    struct redis_batch *batch; /* under way while `asking` */
    int64_t asked[METRIC__MAX];
    int64_t answered_ms; /* 0 never */
    bool asking;
};

/* --- what is asked of Redis beforehand --- */

static void
on_asked(void *ctx, struct redis_batch *b, bool complete)
{
    struct scrape *s = ctx;

    s->asking = false;
    if (complete) {
        metrics_ask_take(b, s->asked);
        s->answered_ms = clock_mono_ms();
    }
    redis_batch_clear(b);
}

static void
on_timer(uv_timer_t *timer)
{
    struct scrape *s = timer->data;

    if (s->asking)
        return;
    redis_batch_clear(s->batch);
    metrics_ask_add(s->batch, s->app->conf->key_prefix);
    s->asking = reader_ask(s->app->reader, s->batch, on_asked, s);
}

/* --- the answer --- */

static void
render(struct scrape *s, struct buf *out)
{
    int64_t asked[METRIC__MAX];
    bool fresh = s->answered_ms != 0 && clock_mono_ms() - s->answered_ms < ANSWER_OLD_MS;

    if (fresh)
        memcpy(asked, s->asked, sizeof(asked));
    else
        metrics_ask_nothing(asked);
    asked[METRIC_REDIS_UP] = fresh && reader_is_up(s->app->reader);
    metrics_ask_status(s->app->status, clock_wall_ms(), asked);
    metrics_render(out, asked);
}

static void
on_head(void *ctx, int fd, const struct head *head)
{
    struct scrape *s = ctx;
    struct answer a = { .status = 200, .type = TEXT_TYPE };
    struct buf text;

    buf_init(&text, TEXT_MAX);
    if (strcmp(head->a.path, "/metrics") != 0) {
        a.status = 404;
        buf_str(&text, "There is only /metrics.\n");
    } else if (head->method != HEAD_GET) {
        a.status = 405;
        a.header = "Allow: GET";
        buf_str(&text, "Only GET is answered here.\n");
    } else {
        render(s, &text);
    }
    a.bare = head->method == HEAD_HEAD;
    a.body = buf_cstr(&text);
    a.len = text.len;
    answer_send(&s->app->uv, fd, &a);
    buf_fini(&text);
}

static void
on_socket(void *ctx, int fd)
{
    const struct scrape *s = ctx;

    foyer_enter(s->foyer, fd);
}

/* --- life --- */

struct scrape *
scrape_new(struct app *app)
{
    const struct conf *conf = app->conf;
    struct scrape *s;

    if (conf->metrics_port == 0 || !conf->enable_metrics)
        return NULL;
    s = xalloc(sizeof(*s));
    s->app = app;
    s->batch = redis_batch_new();
    s->foyer = foyer_new(&app->uv, on_head, s);
    s->listener = listener_new(&app->uv, conf->metrics_host, conf->metrics_port, on_socket, s);
    uv_timer_init(&app->uv, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, 0, ASK_MS);
    return s;
}

static void
on_closed(uv_handle_t *handle)
{
    struct scrape *s = handle->data;

    redis_batch_free(s->batch);
    free(s);
}

void
scrape_close(struct scrape *s)
{
    if (s == NULL)
        return;
    listener_close(s->listener);
    foyer_close(s->foyer);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
