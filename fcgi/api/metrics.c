/*
 * /metrics for Prometheus: what all processes of this host have counted, and what Redis is
 * asked at this moment, in one round trip. For those whom METRICS_ALLOW names; to others the
 * page does not exist. /status, for the same callers, draws charts of it.
 */
#include "fcgi/api/api.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/metrics_ask.h"
#include "common/redis.h"
#include "fcgi/request.h"

#include <string.h>

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Behind a proxy that nobody named in TRUSTED_PROXIES all callers have the proxy's address,
 * which may well be a listed one: then it is not known who asks.
 */
static bool
is_behind_stranger(const struct req *rq)
{
    static const struct proxy_list none;
    const char *hops = request_header(rq, "HTTP_X_FORWARDED_FOR");
    char peer[ADDRESS_MAX];

    if (hops == NULL || *hops == '\0')
        return false;
    address_of_client(&none, request_header(rq, "REMOTE_ADDR"), NULL, peer);
    return strcmp(peer, rq->client) == 0;
}

static bool
may_read(const struct req *rq)
{
    return metrics_are_on() && address_is_among(&rq->app->metrics_allow, rq->client) &&
           !is_behind_stranger(rq);
}

static void
ask_redis(struct req *rq, int64_t asked[METRIC__MAX])
{
    struct redis_batch *b = rq->app->batch;
    struct fail ignored = { 0 };

    asked[METRIC_REDIS_UP] = 0;
    redis_batch_clear(b);
    metrics_ask_add(b, rq->app->conf->key_prefix);
    if (redis_run(rq->app->redis, b, &ignored) == RC_OK)
        metrics_ask_take(b, asked);
}

static enum rc
get_metrics(struct req *rq, struct fail *f)
{
    int64_t asked[METRIC__MAX];

    if (!may_read(rq))
        return fail_set(f, RC_NOT_FOUND, "Cannot %s %.200s", rq->method_text, rq->path);
    metrics_ask_nothing(asked);
    metrics_ask_status(rq->app->status, clock_wall_ms(), asked);
    ask_redis(rq, asked);
    metrics_render(reply_bare(rq, 200, TEXT_TYPE), asked);
    reply_header(rq, "Cache-Control", "no-store");
    return RC_OK;
}

/* The rest of the page is static (web/status), and asks for /metrics itself. */
static const char status_page[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Status \u00b7 SyncKairos</title>\n"
    "<link rel=\"icon\" href=\"/demo/icon.svg\" type=\"image/svg+xml\">\n"
    "<link rel=\"stylesheet\" href=\"/status/status.css\">\n"
    "<script type=\"module\" src=\"/status/status.js\"></script>\n</head>\n<body>\n"
    "<header><h1>SyncKairos</h1><p id=\"word\" role=\"status\">Asking for "
    "figures</p></header>\n"
    "<ul id=\"lamps\"></ul>\n<main id=\"charts\"></main>\n</body>\n</html>\n";

static enum rc
get_status(struct req *rq, struct fail *f)
{
    if (!may_read(rq))
        return fail_set(f, RC_NOT_FOUND, "Cannot %s %.200s", rq->method_text, rq->path);
    buf_str(reply_bare(rq, 200, "text/html; charset=utf-8"), status_page);
    reply_header(rq, "Cache-Control", "no-store");
    reply_header(rq, "Content-Security-Policy",
                 "default-src 'self'; base-uri 'none'; frame-ancestors 'none'");
    return RC_OK;
}

/* clang-format off */
const struct route metrics_routes[] = {
    { METHOD_GET, "/metrics", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_metrics, 200, ANSWER_OPERATOR, "Metrics", "Read what was counted, as Prometheus does" },
    { METHOD_GET, "/status", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_status, 200, ANSWER_OPERATOR, "Status", "The operator's page: live charts of /metrics" },
    { .path = NULL },
};
/* clang-format on */
