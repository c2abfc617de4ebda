/*
 * /health and /ready: whether this process works, and whether it can do its work.
 */
#include "fcgi/api/api.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/redis.h"
#include "common/status.h"
#include "fcgi/request.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

static const char *const database_words[] = {
    [DATABASE_OFF] = "off",
    [DATABASE_DOWN] = "down",
    [DATABASE_CONNECTED] = "connected",
};

/* What one round trip to Redis tells. */
struct pulse {
    bool redis;
    bool timekeeper;
    int64_t now_ms; /* Redis TIME, the host's clock while Redis is away */
};

static struct pulse
take_pulse(struct req *rq)
{
    struct redis_batch *b = rq->app->batch;
    struct key key = keys_timekeeper(rq->app->conf->key_prefix);
    struct pulse pulse = { .now_ms = clock_wall_ms() };
    const struct redisReply *reply;
    struct fail ignored = { 0 };
    int ping, exists, time;

    redis_batch_clear(b);
    ping = redis_batch_add(b, "PING");
    exists = redis_batch_add(b, "EXISTS %s", key.s);
    time = redis_batch_add(b, "TIME");
    if (redis_run(rq->app->redis, b, &ignored) != RC_OK ||
        redis_batch_check(b, ping, &ignored) != RC_OK)
        return pulse;
    pulse.redis = true;
    reply = redis_batch_reply(b, exists);
    pulse.timekeeper = reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
    pulse.now_ms = redis_time_us(redis_batch_reply(b, time)) / 1000;
    rq->server_time_ms = pulse.now_ms;
    return pulse;
}

static enum rc
health(struct req *rq, struct fail *f)
{
    const struct conf *conf = rq->app->conf;
    struct pulse pulse = take_pulse(rq);
    int64_t wall_ms = clock_wall_ms();
    int64_t up_ms = wall_ms - status_started_at(rq->app->status);
    enum database_state db =
        *conf->database_url == '\0' ? DATABASE_OFF : status_database(rq->app->status, wall_ms);
    struct buf *out = reply_bare(rq, 200, REPLY_JSON_TYPE);

    (void)f;
    buf_printf(out,
               "{\"status\":\"ok\",\"timestamp\":%" PRId64 ",\"uptime\":%" PRId64
               ",\"database\":\"%s\",\"redis\":\"%s\",\"timekeeper\":\"%s\"",
               pulse.now_ms, up_ms > 0 ? up_ms / 1000 : 0, database_words[db],
               pulse.redis ? "connected" : "down", pulse.timekeeper ? "ok" : "absent");
    if (conf->app_env == ENV_PRODUCTION && !conf->auth_required)
        buf_printf(out, ",\"anonymous\":\"sync\"");
    buf_char(out, '}');
    reply_header(rq, "Cache-Control", "no-store");
    return RC_OK;
}

static enum rc
ready(struct req *rq, struct fail *f)
{
    const char *why = rq->app->draining       ? "The process is stopping"
                      : !take_pulse(rq).redis ? "The store does not answer"
                                              : NULL;

    (void)f;
    if (why == NULL)
        buf_str(reply_bare(rq, 200, REPLY_JSON_TYPE), "{\"ready\":true,\"status\":\"ready\"}");
    else
        buf_printf(reply_bare(rq, 503, REPLY_JSON_TYPE),
                   "{\"ready\":false,\"status\":\"not_ready\",\"error\":\"%s\"}", why);
    reply_header(rq, "Cache-Control", "no-store");
    return RC_OK;
}

/* clang-format off */
const struct route ops_routes[] = {
    { METHOD_GET, "/health", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, health, 200, ANSWER_HEALTH, "Health", "Say how this host is; 200 while the process works" },
    { METHOD_GET, "/ready",  AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, ready,  200, ANSWER_READY,  "Health", "Say whether requests can be served; else 503" },
    { .path = NULL },
};
/* clang-format on */
