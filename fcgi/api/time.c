/*
 * /v1/time: the one clock (Redis TIME), with the stamps that a client needs to set its own by
 * it: when the request came in, when the answer goes out.
 */
#include "fcgi/api/api.h"

#include "common/clock.h"
#include "common/redis.h"
#include "fcgi/gate.h"

#include <inttypes.h>

#define SERVER_VERSION "2.0.0" /* what clients of SyncKairos 2.0 compare with */
#define DRIFT_TOLERANCE_MS 50

static enum rc
get_time(struct req *rq, struct fail *f)
{
    struct redis_batch *b = rq->app->batch;
    int64_t sent_us = clock_mono_us(), got_us, redis_us, offset_us, transmit_us;
    enum rc rc;
    int place;

    redis_batch_clear(b);
    gate_limit_append(rq, b);
    place = redis_batch_add(b, "TIME");
    rc = redis_run(rq->app->redis, b, f);
    if (rc == RC_OK)
        rc = redis_batch_check(b, place, f);
    if (rc == RC_OK)
        rc = gate_limit_judge(rq, b, f);
    if (rc != RC_OK)
        return rc;
    got_us = clock_mono_us();
    redis_us = redis_time_us(redis_batch_reply(b, place));
    offset_us = redis_us - (sent_us + got_us) / 2;
    transmit_us = clock_mono_us() + offset_us;
    rq->server_time_ms = transmit_us / 1000;
    buf_printf(reply_bare(rq, 200, REPLY_JSON_TYPE),
               "{\"timestamp_ms\":%" PRId64 ",\"server_version\":\"" SERVER_VERSION
               "\",\"drift_tolerance_ms\":%d,\"receive_us\":%" PRId64
               ",\"transmit_us\":%" PRId64 "}",
               rq->server_time_ms, DRIFT_TOLERANCE_MS, rq->start_us + offset_us, transmit_us);
    reply_header(rq, "Cache-Control", "no-store");
    return RC_OK;
}

/* clang-format off */
const struct route time_routes[] = {
    { METHOD_GET, "/v1/time", AUTH_PUBLIC, LIMIT_TIME, NULL, NULL, get_time, 200, ANSWER_TIME, "Time", "Read the server's clock" },
    { .path = NULL },
};
/* clang-format on */
