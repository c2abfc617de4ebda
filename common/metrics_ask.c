#include "metrics_ask.h"

#include "keys.h"
#include "redis.h"
#include "redis_info.h"
#include "status.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/* The questions about each partition, the time, then INFO. */
enum { ASK_SESSIONS, ASK_RECORDS, ASK_BYTES, ASK_OLDEST, ASKS };
#define TIME_AT (ASKS * KEYS_PARTITIONS)
#define INFO_AT (TIME_AT + 1)

void
metrics_ask_nothing(int64_t asked[METRIC__MAX])
{
    for (int m = 0; m < METRIC__MAX; m++)
        asked[m] = -1;
}

void
metrics_ask_add(struct redis_batch *b, const char *prefix)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        redis_batch_add(b, "ZCARD %s", keys_wakeups(prefix, i).s);
        redis_batch_add(b, "XLEN %s", keys_audit(prefix, i).s);
        redis_batch_add(b, "MEMORY USAGE %s", keys_audit(prefix, i).s);
        redis_batch_add(b, "XRANGE %s - + COUNT 1", keys_audit(prefix, i).s);
    }
    redis_batch_add(b, "TIME");
    redis_batch_add(b, "INFO memory persistence replication");
}

/* Sum of the integers that one of the questions gave, nil is 0; -1 when one of them failed, or
 * they cannot be what was asked. */
static int64_t
sum(const struct redis_batch *b, int question)
{
    int64_t total = 0;

    for (int i = question; i < TIME_AT; i += ASKS) {
        const struct redisReply *reply = redis_batch_reply(b, i);

        if (reply == NULL ||
            (reply->type != REDIS_REPLY_INTEGER && reply->type != REDIS_REPLY_NIL))
            return -1;
        if (reply->type == REDIS_REPLY_INTEGER &&
            (reply->integer < 0 || __builtin_add_overflow(total, reply->integer, &total)))
            return -1;
    }
    return total;
}

/* When an entry was added, epoch ms: its id begins with that; -1 when there is none. */
static int64_t
added_at(const struct redisReply *entries)
{
    const struct redisReply *entry;

    if (entries == NULL || entries->type != REDIS_REPLY_ARRAY || entries->elements != 1)
        return -1;
    entry = entries->element[0];
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[0]->type != REDIS_REPLY_STRING)
        return -1;
    return strtoll(entry->element[0]->str, NULL, 10);
}

/* Seconds since the oldest record was added; 0 without one. */
static int64_t
oldest_s(const struct redis_batch *b)
{
    int64_t now_us = redis_time_us(redis_batch_reply(b, TIME_AT)), most_ms = 0;

    for (int i = ASK_OLDEST; i < TIME_AT; i += ASKS) {
        int64_t at_ms = added_at(redis_batch_reply(b, i));

        if (at_ms >= 0 && now_us / 1000 - at_ms > most_ms)
            most_ms = now_us / 1000 - at_ms;
    }
    return now_us < 0 ? -1 : most_ms / 1000;
}

/* 1 when the last append (and the last rewrite) went well; unknown without AOF. */
static int64_t
aof_is_well(const char *info)
{
    if (!redis_info_is(info, "aof_enabled", "1"))
        return -1;
    return redis_info_is(info, "aof_last_write_status", "ok") &&
           redis_info_is(info, "aof_last_bgrewrite_status", "ok");
}

/* Seconds since the slowest replica was heard; unknown without one. */
static int64_t
replica_lag(const char *info)
{
    int64_t n = redis_info_number(info, "connected_slaves"), most = -1;
    char name[32], line[REDIS_INFO_VALUE_MAX];

    for (int64_t i = 0; i < n; i++) {
        const char *lag;

        snprintf(name, sizeof(name), "slave%d", (int)i);
        redis_info_value(info, name, line);
        if (line[0] == '\0')
            break; /* there are not as many as it said */
        lag = strstr(line, "lag=");
        if (lag != NULL && strtoll(lag + 4, NULL, 10) > most)
            most = strtoll(lag + 4, NULL, 10);
    }
    return most;
}

void
metrics_ask_take(const struct redis_batch *b, int64_t asked[METRIC__MAX])
{
    const char *info = redis_info_text(redis_batch_reply(b, INFO_AT));

    asked[METRIC_REDIS_UP] = 1;
    asked[METRIC_ACTIVE_SESSIONS] = sum(b, ASK_SESSIONS); /* every session has a wake-up */
    asked[METRIC_AUDIT_WAITING] = sum(b, ASK_RECORDS);
    asked[METRIC_AUDIT_BYTES] = sum(b, ASK_BYTES);
    asked[METRIC_AUDIT_AGE] = oldest_s(b);
    asked[METRIC_REDIS_MEMORY] = redis_info_number(info, "used_memory");
    asked[METRIC_REDIS_MEMORY_MAX] = redis_info_number(info, "maxmemory");
    if (asked[METRIC_REDIS_MEMORY_MAX] == 0)
        asked[METRIC_REDIS_MEMORY_MAX] = redis_info_number(info, "total_system_memory");
    asked[METRIC_REDIS_AOF_OK] = aof_is_well(info);
    asked[METRIC_REDIS_REPLICAS] = redis_info_number(info, "connected_slaves");
    asked[METRIC_REDIS_LAG] = replica_lag(info);
}

void
metrics_ask_status(const struct status *s, int64_t now_ms, int64_t asked[METRIC__MAX])
{
    enum database_state db = s != NULL ? status_database(s, now_ms) : DATABASE_OFF;

    asked[METRIC_POSTGRES_UP] = db == DATABASE_OFF ? -1 : db == DATABASE_CONNECTED;
}
