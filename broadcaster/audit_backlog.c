#include "audit_backlog.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/redis.h"
#include "common/redis_info.h"
#include "lua_scripts.h"
#include "worker_thread.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define TURN_MS 1000
#define DEFAULT_MAX ((int64_t)1 << 30)
/* What an empty stream with its group and its consumers takes is no backlog. */
#define EMPTY_BYTES 16384
#define INTEGER_MAX ((int64_t)1 << 48) /* more is none of these, and sums stay sums */
#define CUT_TO 0.9                     /* of the limit, so that not every turn cuts */

struct stream {
    int64_t bytes, dead_bytes, records;
};

struct audit_backlog {
    struct worker_thread thread;
    const struct conf *conf;
    struct redis *redis;
    struct redis_batch *batch;
    struct stream stream[KEYS_PARTITIONS];
    int64_t total, limit;
    char verdict;    /* written last; 0: none */
    char run_id[64]; /* of the Redis whose settings the log has */
};

static int64_t
integer(const struct redis_batch *b, int place)
{
    const redisReply *reply = redis_batch_reply(b, place);

    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
        return 0; /* nil: no such key */
    return reply->integer < INTEGER_MAX ? reply->integer : INTEGER_MAX;
}

/* 25 % of maxmemory. */
static int64_t
share_of_memory(const redisReply *reply)
{
    int64_t max = redis_info_number(redis_info_text(reply), "maxmemory");

    return max > 0 ? max / 4 : DEFAULT_MAX;
}

static enum rc
measure(struct audit_backlog *a, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(a->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        redis_batch_add(a->batch, "MEMORY USAGE %s", keys_audit(a->conf->key_prefix, i).s);
        redis_batch_add(a->batch, "MEMORY USAGE %s", keys_audit_dead(a->conf->key_prefix, i).s);
        redis_batch_add(a->batch, "XLEN %s", keys_audit(a->conf->key_prefix, i).s);
    }
    redis_batch_add(a->batch, "INFO memory");
    rc = redis_run(a->redis, a->batch, f);
    if (rc != RC_OK)
        return rc;
    a->total = 0;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct stream *s = &a->stream[i];

        s->records = integer(a->batch, 3 * i + 2);
        s->bytes = integer(a->batch, 3 * i);
        if (s->records == 0 && s->bytes <= EMPTY_BYTES)
            s->bytes = 0;
        s->dead_bytes = integer(a->batch, 3 * i + 1);
        a->total += s->bytes + s->dead_bytes;
    }
    a->limit = a->conf->audit_backlog_max != 0
                   ? a->conf->audit_backlog_max
                   : share_of_memory(redis_batch_reply(a->batch, 3 * KEYS_PARTITIONS));
    return RC_OK;
}

/* --- with PostgreSQL: say no in time --- */

static void
tell(struct audit_backlog *a, char verdict)
{
    static const char *const words[] = { "within the limit", "creations are refused",
                                         "commands are refused" };

    if (verdict != a->verdict && (a->verdict != 0 || verdict != '0'))
        log_warn("audit backlog", LOG_STR("state", words[verdict - '0']),
                 LOG_INT("bytes", a->total), LOG_INT("limit", a->limit));
    a->verdict = verdict;
}

static enum rc
judge(struct audit_backlog *a, struct fail *f)
{
    const char verdict[2] = { (char)(a->total < a->limit       ? '0'
                                     : a->total / 2 < a->limit ? '1'
                                                               : '2'),
                              '\0' };
    enum rc rc;

    redis_batch_clear(a->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key life = keys_life(a->conf->key_prefix, i);
        const char *argv[] = { life.s, verdict };

        redis_batch_script(a->batch, LUA_AUDIT_VERDICT, 1, 2, argv, NULL);
    }
    rc = redis_run(a->redis, a->batch, f);
    if (rc == RC_OK)
        tell(a, verdict[0]);
    return rc;
}

/* --- without: the oldest go --- */

static enum rc
cut(struct audit_backlog *a, struct fail *f)
{
    double keep = CUT_TO * (double)a->limit / (double)a->total;

    if (a->total <= a->limit)
        return RC_OK;
    redis_batch_clear(a->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        redis_batch_add(a->batch, "XTRIM %s MAXLEN %lld", keys_audit(a->conf->key_prefix, i).s,
                        (long long)((double)a->stream[i].records * keep));
    return redis_run(a->redis, a->batch, f);
}

/* Once for every Redis that is met. */
static void
log_settings(struct audit_backlog *a)
{
    if (strcmp(a->run_id, redis_run_id(a->redis)) == 0)
        return;
    snprintf(a->run_id, sizeof(a->run_id), "%s", redis_run_id(a->redis));
    redis_info_log(a->redis);
}

static int64_t
turn(void *ctx)
{
    struct audit_backlog *a = ctx;
    struct fail f = { 0 };
    enum rc rc = measure(a, &f);

    if (rc == RC_OK)
        log_settings(a);
    if (rc == RC_OK)
        rc = a->conf->database_url[0] != '\0' ? judge(a, &f) : cut(a, &f);
    if (rc != RC_OK && rc != RC_STORE_UNAVAILABLE && rc != RC_OUTCOME_UNKNOWN)
        log_error("audit backlog", LOG_STR("error", f.log));
    return TURN_MS;
}

struct audit_backlog *
audit_backlog_start(const struct conf *conf)
{
    struct audit_backlog *a = xalloc(sizeof(*a));

    a->conf = conf;
    a->redis = redis_new(conf, "synckairos-backlog");
    a->batch = redis_batch_new();
    worker_thread_start(&a->thread, "the audit backlog", turn, a);
    return a;
}

void
audit_backlog_stop(struct audit_backlog *a)
{
    if (a == NULL)
        return;
    worker_thread_stop(&a->thread);
    redis_batch_free(a->batch);
    redis_free(a->redis);
    free(a);
}
