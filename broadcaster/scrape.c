#include "scrape.h"

#include "app.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/metrics_ask.h"
#include "common/redis.h"
#include "foyer.h"
#include "listener.h"
#include "reader.h"
#include "server.h"

#include <libwebsockets.h>
#include <unistd.h>

#define ASK_MS 1000
/* An answer older than this is none. */
#define ANSWER_OLD_MS 5000
#define TEXT_MAX (8 * 1024 * 1024)
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct scrape {
    struct app *app;
    struct lws_vhost *vhost;
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

/* The connection closes with the answer: Prometheus comes again in 15 s. */
static int
answer(struct scrape *s, struct lws *wsi, const char *path)
{
    bool found = strcmp(path, "/metrics") == 0;
    bool get = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
    struct buf head, body;

    buf_init(&head, TEXT_MAX + 1024);
    buf_init(&body, TEXT_MAX);
    if (found && get)
        render(s, &body);
    else
        buf_str(&body, found ? "Only GET is answered here.\n" : "There is only /metrics.\n");
    buf_printf(&head,
               "HTTP/1.1 %s\r\nContent-Type: %s\r\n%sCache-Control: no-store\r\n"
               "Connection: close\r\nContent-Length: %zu\r\n\r\n",
               !found ? "404 Not Found"
               : get  ? "200 OK"
                      : "405 Method Not Allowed",
               TEXT_TYPE, found && !get ? "Allow: GET\r\n" : "", body.len);
    buf_add(&head, body.data, body.len);
    buf_fini(&body);
    (void)!lws_write(wsi, (unsigned char *)head.data, head.len, LWS_WRITE_RAW);
    buf_fini(&head);
    return -1;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len)
{
    (void)user;
    (void)len;
    if (why == LWS_CALLBACK_HTTP)
        return answer(lws_vhost_user(lws_get_vhost(wsi)), wsi, in);
    return why == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
    { .name = "metrics", .callback = callback, .tx_packet_size = 16 * 1024 * 1024 },
    { .name = NULL },
};

static void
on_socket(void *ctx, int fd)
{
    const struct scrape *s = ctx;

    foyer_enter(s->foyer, fd);
}

static void
on_head(void *ctx, int fd, const char *head, size_t len)
{
    const struct scrape *s = ctx;

    if (len == 0)
        (void)!lws_adopt_socket_vhost(s->vhost, fd);
    else
        (void)!lws_adopt_socket_vhost_readbuf(s->vhost, fd, head, len);
}

/* --- life --- */

struct scrape *
scrape_new(struct app *app)
{
    const struct conf *conf = app->conf;
    /* another "port" than the server's: by that the library finds the host of a request */
    struct lws_context_creation_info info = { .protocols = protocols,
                                              .port = CONTEXT_PORT_NO_LISTEN,
                                              .vhost_name = "metrics" };
    struct scrape *s;

    if (conf->metrics_port == 0 || !conf->enable_metrics)
        return NULL;
    s = xalloc(sizeof(*s));
    s->app = app;
    s->batch = redis_batch_new();
    info.user = s;
    s->vhost = server_add_vhost(app->server, &info);
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
