/*
 * How often: limits and revocations, which ride in the first round trip of the handler.
 */
#include "fcgi/gate.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/limit.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "common/revoke.h"

/* Kinds that gate.c counts; the switch limit is the commit's. */
static const struct limit_row {
    const char *name; /* part of the key */
    size_t rule;      /* offset in struct conf */
    bool by_address;  /* not by user, even where there is one */
    bool counted_here;
} limits[LIMIT__MAX] = {
    [LIMIT_GENERAL] = { "general", offsetof(struct conf, rate_limit_general), false, true },
    [LIMIT_CREATE] = { "create", offsetof(struct conf, rate_limit_create), false, true },
    [LIMIT_GET] = { "get", offsetof(struct conf, rate_limit_get), false, true },
    [LIMIT_TIME] = { "time", offsetof(struct conf, rate_limit_time), true, true },
    [LIMIT_SWITCH] = { "switch", offsetof(struct conf, rate_limit_switch), false, false },
};

const char *
gate_limit_name(enum limit_kind kind)
{
    return limits[kind].name;
}

static const struct limit_row *
limit_row(const struct req *rq)
{
    const struct limit_row *row = &limits[rq->limit_kind];

    return row->name != NULL ? row : NULL;
}

static const struct limit_rule *
limit_rule(const struct req *rq)
{
    const struct limit_row *row = limit_row(rq);

    if (row == NULL)
        return NULL;
    return (const struct limit_rule *)(const void *)((const char *)rq->app->conf + row->rule);
}

static bool
limit_is_due(const struct req *rq)
{
    const struct limit_row *row = limit_row(rq);

    return row != NULL && row->counted_here && !rq->limit_done &&
           rq->app->conf->rate_limit_enabled && !access_is_unlimited(&rq->caller);
}

static bool
revoke_is_due(const struct req *rq)
{
    return rq->caller.token != NULL && !rq->revoke_done;
}

void
gate_limit_append(struct req *rq, struct redis_batch *b)
{
    char address[ADDRESS_MAX];
    bool is_user;
    struct key key;

    rq->revoke_place = -1;
    if (revoke_is_due(rq)) {
        rq->revoke_place = revoke_add(b, rq->app->conf->key_prefix, rq->caller.token);
        rq->revoke_done = true;
    }
    rq->limit_place = -1;
    if (!limit_is_due(rq))
        return;
    is_user = rq->user != NULL && !limit_row(rq)->by_address;
    if (!is_user)
        address_limit_key(rq->client, address);
    key = keys_limit(rq->app->conf->key_prefix, limit_row(rq)->name,
                     is_user ? rq->user : address, is_user);
    rq->limit_place = limit_add(b, limit_rule(rq), key.s);
    rq->limit_done = true;
}

void
gate_forget_caller(struct req *rq)
{
    rq->caller.token = NULL;
    rq->user = NULL;
    rq->limit_kind = LIMIT_GENERAL;
    rq->limit_done = false;
}

enum rc
gate_limit_judge(struct req *rq, const struct redis_batch *b, struct fail *f)
{
    enum rc rc;

    if (rq->revoke_place >= 0) {
        rc = revoke_judge(b, rq->revoke_place, rq->caller.token, f);
        if (rc == RC_UNAUTHENTICATED)
            gate_forget_caller(rq);
        if (rc != RC_OK)
            return rc;
    }
    if (rq->limit_place < 0)
        return RC_OK;
    rq->limit = limit_result(b, rq->limit_place, limit_rule(rq));
    if (!rq->limit.known)
        metrics_add(METRIC_LIMIT_SILENT, 1, 0, 0, 0);
    if (!rq->limit.known || !rq->limit.refused)
        return RC_OK;
    (void)!fail_set(f, RC_LIMITED, "Too many requests, please try again later");
    f->retry_after_ms = rq->limit.reset_ms;
    return RC_LIMITED;
}

static void
rider_append(void *ctx, struct redis_batch *b)
{
    gate_limit_append(ctx, b);
}

static enum rc
rider_judge(void *ctx, const struct redis_batch *b, struct fail *f)
{
    return gate_limit_judge(ctx, b, f);
}

struct store_rider *
gate_rider(struct req *rq)
{
    struct store_rider *rider = arena_alloc(rq->mem, sizeof(*rider));

    *rider = (struct store_rider){ rider_append, rider_judge, rq };
    return rider;
}

enum rc
gate_limit_settle(struct req *rq, struct fail *f)
{
    struct redis_batch *b = rq->app->batch;
    struct fail ignored = { 0 };
    enum rc rc, first = RC_OK;

    /* a second time when the token was revoked: that counts on the address */
    while (limit_is_due(rq) || revoke_is_due(rq)) {
        redis_batch_clear(b);
        gate_limit_append(rq, b);
        if (redis_batch_count(b) == 0 || redis_run(rq->app->redis, b, &ignored) != RC_OK)
            break;
        rc = gate_limit_judge(rq, b, first == RC_OK ? f : &ignored);
        if (rc == RC_LIMITED && first != RC_OK)
            *f = ignored;
        if (rc != RC_OK)
            first = rc;
        if (rc != RC_UNAUTHENTICATED)
            break;
    }
    return first;
}

void
gate_limit_headers(const struct req *rq, struct buf *out)
{
    const struct limit_rule *rule = limit_rule(rq);
    bool known = rq->limit.known;
    int64_t remaining, reset_ms;

    if (rule == NULL || rule->count == 0)
        return;
    remaining = known ? rq->limit.remaining : rule->count;
    reset_ms = known ? rq->limit.reset_ms : rule->window_ms;
    buf_str(out, "RateLimit-Policy: ");
    buf_i64(out, rule->count);
    buf_str(out, ";w=");
    buf_i64(out, (rule->window_ms + 999) / 1000);
    buf_str(out, "\r\nRateLimit-Limit: ");
    buf_i64(out, rule->count);
    buf_str(out, "\r\nRateLimit-Remaining: ");
    buf_i64(out, remaining);
    buf_str(out, "\r\nRateLimit-Reset: ");
    buf_i64(out, (reset_ms + 999) / 1000);
    buf_str(out, "\r\n");
}
