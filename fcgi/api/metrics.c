/*
 * /metrics for Prometheus: what all processes of this host have counted, and what Redis is
 * asked at this moment, in one round trip. For those whom METRICS_ALLOW names; to others the
 * page does not exist.
 */
#include "fcgi/api/api.h"

#include "common/conf.h"
#include "common/keys.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "fcgi/request.h"

#include <hiredis/hiredis.h>
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
    char peer[CLIENT_MAX];

    if (hops == NULL || *hops == '\0')
        return false;
    client_address(&none, request_header(rq, "REMOTE_ADDR"), NULL, peer);
    return strcmp(peer, rq->client) == 0;
}

static bool
may_read(const struct req *rq)
{
    return metrics_are_on() && client_is_among(&rq->app->metrics_allow, rq->client) &&
           !is_behind_stranger(rq);
}

/* Sum of the integers that the commands at first, first + step, ... gave; -1 when one of them
 * failed. */
static int64_t
sum(const struct redis_batch *b, int first, int step)
{
    int64_t total = 0;

    for (int i = first; i < redis_batch_count(b); i += step) {
        const struct redisReply *reply = redis_batch_reply(b, i);

        if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
            return -1;
        total += reply->integer;
    }
    return total;
}

static void
ask_redis(struct req *rq, int64_t asked[METRIC__MAX])
{
    const char *prefix = rq->app->conf->key_prefix;
    struct redis_batch *b = rq->app->batch;
    struct fail ignored = { 0 };

    asked[METRIC_REDIS_UP] = 0;
    asked[METRIC_ACTIVE_SESSIONS] = asked[METRIC_AUDIT_WAITING] = -1;
    redis_batch_clear(b);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        redis_batch_add(b, "ZCARD %s", keys_wakeups(prefix, i).s);
        redis_batch_add(b, "XLEN %s", keys_audit(prefix, i).s);
    }
    if (redis_run(rq->app->redis, b, &ignored) != RC_OK)
        return;
    asked[METRIC_REDIS_UP] = 1;
    asked[METRIC_ACTIVE_SESSIONS] = sum(b, 0, 2); /* every session has a wake-up */
    asked[METRIC_AUDIT_WAITING] = sum(b, 1, 2);
}

static enum rc
get_metrics(struct req *rq, struct fail *f)
{
    int64_t asked[METRIC__MAX] = { 0 };

    if (!may_read(rq))
        return fail_set(f, RC_NOT_FOUND, "Cannot %s %.200s", rq->method_text, rq->path);
    ask_redis(rq, asked);
    metrics_render(reply_bare(rq, 200, TEXT_TYPE), asked);
    reply_header(rq, "Cache-Control", "no-store");
    return RC_OK;
}

/* clang-format off */
const struct route metrics_routes[] = {
    { METHOD_GET, "/metrics", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_metrics, 200, ANSWER_METRICS, "Metrics", "Read what was counted, as Prometheus does" },
    { .path = NULL },
};
/* clang-format on */
