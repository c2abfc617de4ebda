#include "conf.h"
#include "redis.h"
#include "session_call.h"

/* Take the replies of one; r->due when it has to be read again, by itself. */
static enum rc
take(struct session_store *st, struct store_read *r, int place, struct fail *f)
{
    struct session_call c;
    enum rc rc;

    session_call_begin(&c, st, r->id);
    c.s = r->s;
    rc = session_load_result(st->load, place, r->s, &c.ld, f);
    r->server_time_ms = c.ld.now_us / 1000;
    if (rc != RC_OK)
        return rc;
    r->found = c.ld.exists;
    r->due = r->found && strcmp(c.ld.run_id, redis_run_id(st->redis)) != 0; /* another life */
    if (!r->found || r->due)
        return RC_OK;
    session_call_due(&c);
    r->due = st->pending.changes > 0;
    return RC_OK;
}

static enum rc
read_due(struct session_store *st, struct store_read *r, struct fail *f)
{
    static const struct store_terms none = { 0 };
    struct store_result res = { 0 };
    enum rc rc = session_store_get(st, r->id, &none, r->s, &res, f);

    r->server_time_ms = res.server_time_ms;
    r->found = rc == RC_OK;
    if (rc != RC_SESSION_NOT_FOUND)
        return rc;
    fail_reset(f);
    return RC_OK;
}

enum rc
session_store_get_many(struct session_store *st, struct store_read *reads, size_t n,
                       const struct store_rider *rider, struct fail *f)
{
    int first = 0;
    enum rc rc;

    redis_batch_clear(st->load);
    if (rider)
        rider->append(rider->ctx, st->load);
    first = redis_batch_count(st->load);
    for (size_t i = 0; i < n; i++)
        session_load_add(st->load, st->conf->key_prefix, reads[i].id);
    rc = redis_batch_count(st->load) > 0 ? redis_run(st->redis, st->load, f) : RC_OK;
    if (rc == RC_OK && rider)
        rc = rider->judge(rider->ctx, st->load, f);
    for (size_t i = 0; rc == RC_OK && i < n; i++)
        rc = take(st, &reads[i], first + (int)i * SESSION_LOAD_COMMANDS, f);
    for (size_t i = 0; rc == RC_OK && i < n; i++) {
        if (reads[i].due)
            rc = read_due(st, &reads[i], f);
    }
    return rc;
}
