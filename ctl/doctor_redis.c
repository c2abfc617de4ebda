#include "doctor.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/metrics_ask.h"
#include "common/redis.h"
#include "common/redis_info.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define TIME_TRIES 5
#define CLOCK_MS 20
#define MEMORY_PERCENT 80
#define DRAIN_LATE_S 60
#define MB (1 << 20)

/* --- what INFO says --- */

static void
check_version(struct doctor *d, const char *info)
{
    char version[REDIS_INFO_VALUE_MAX];

    redis_info_value(info, "redis_version", version);
    if (strtol(version, NULL, 10) < 7)
        doctor_say(d, DOCTOR_FAIL, "redis version", "install Redis 7.0 or newer",
                   "%s is too old", version);
    else
        doctor_say(d, DOCTOR_OK, "redis version", NULL, "%s", version);
}

/* False: there is nothing else to look at. */
static bool
check_role(struct doctor *d, const char *info)
{
    if (redis_info_is(info, "redis_mode", "sentinel")) {
        doctor_say(d, DOCTOR_FAIL, "redis role",
                   "name the Redis in REDIS_URL that this Sentinel watches",
                   "this is a Sentinel, which keeps no sessions");
        return false;
    }
    if (redis_info_is(info, "cluster_enabled", "1"))
        doctor_say(d, DOCTOR_FAIL, "redis role",
                   "name a Redis in REDIS_URL that is run with `cluster-enabled no`",
                   "this server is a part of a Cluster, and the programs speak with one only");
    else if (!redis_info_is(info, "role", "master"))
        doctor_say(d, DOCTOR_FAIL, "redis role", "name the master in REDIS_URL",
                   "this server is a replica and takes no changes");
    else
        doctor_say(d, DOCTOR_OK, "redis role", NULL, "master");
    return true;
}

static void
check_memory(struct doctor *d, const char *info)
{
    int64_t used = redis_info_number(info, "used_memory"),
            most = redis_info_number(info, "maxmemory");
    char policy[REDIS_INFO_VALUE_MAX];

    redis_info_value(info, "maxmemory_policy", policy);
    if (strcmp(policy, "noeviction") != 0)
        doctor_say(d, DOCTOR_FAIL, "redis eviction",
                   "set `maxmemory-policy noeviction` in redis.conf",
                   "maxmemory-policy is %s: live sessions could be evicted", policy);
    else
        doctor_say(d, DOCTOR_OK, "redis eviction", NULL, "noeviction");
    if (most == 0 && d->conf->app_env == ENV_PRODUCTION) {
        doctor_say(d, DOCTOR_WARN, "redis memory",
                   "set `maxmemory` in redis.conf to what the machine can give",
                   "no limit: the system may end Redis when memory runs out");
        return;
    }
    if (most == 0)
        most = redis_info_number(info, "total_system_memory");
    if (most > 0 && used > most / 100 * MEMORY_PERCENT)
        doctor_say(d, DOCTOR_WARN, "redis memory",
                   "raise `maxmemory`, or shorten SESSION_CACHE_TTL; when it is full, nothing "
                   "new can be created",
                   "%" PRId64 " of %" PRId64 " MB are used", used / MB, most / MB);
    else
        doctor_say(d, DOCTOR_OK, "redis memory", NULL, "%" PRId64 " of %" PRId64 " MB are used",
                   used / MB, most / MB);
}

/* Every worker holds a connection, every broadcaster several. */
static void
check_clients(struct doctor *d, const char *info)
{
    doctor_say_connections(d, "redis connections",
                           "raise `maxclients` in redis.conf (and its limit of open files), or "
                           "lower FCGI_WORKERS",
                           redis_info_number(info, "connected_clients"),
                           redis_info_number(info, "maxclients"));
}

/* Whether the system decides when the file reaches the disk. Only a user with rights is told.
 */
static bool
is_never_synced(struct doctor *d)
{
    struct redis_batch *b = redis_batch_new();
    const redisReply *reply = NULL;
    bool never;

    redis_batch_add(b, "CONFIG GET appendfsync");
    if (redis_run(d->redis, b, NULL) == RC_OK)
        reply = redis_batch_reply(b, 0);
    never = reply != NULL && redis_is_texts(reply) && reply->elements == 2 &&
            strcmp(reply->element[1]->str, "no") == 0;
    redis_batch_free(b);
    return never;
}

static void
check_persistence(struct doctor *d, const char *info)
{
    if (!redis_info_is(info, "aof_enabled", "1"))
        doctor_say(d, DOCTOR_FAIL, "redis append-only file",
                   "set `appendonly yes` and `appendfsync everysec` in redis.conf",
                   "off: a restart of Redis loses sessions");
    else if (!redis_info_is(info, "aof_last_write_status", "ok") ||
             !redis_info_is(info, "aof_last_bgrewrite_status", "ok"))
        doctor_say(d, DOCTOR_FAIL, "redis append-only file",
                   "look at the disk of Redis (space, errors) and into its log",
                   "the last write or rewrite failed: changes are refused, or lost");
    else if (is_never_synced(d))
        doctor_say(d, DOCTOR_WARN, "redis append-only file",
                   "set `appendfsync everysec` in redis.conf",
                   "appendfsync is no: losing power loses half a minute");
    else
        doctor_say(d, DOCTOR_OK, "redis append-only file", NULL, "on, and well");
    if (!redis_info_is(info, "rdb_last_bgsave_status", "ok"))
        doctor_say(d, DOCTOR_FAIL, "redis snapshot",
                   "make room on the disk of Redis, or let it write there; then BGSAVE",
                   "the last one failed: Redis may refuse changes");
    else
        doctor_say(d, DOCTOR_OK, "redis snapshot", NULL, "the last one went well");
}

/* --- the rest --- */

static void
check_user(struct doctor *d)
{
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };
    int who = redis_batch_add(b, "ACL WHOAMI"), flush;
    const redisReply *reply;
    char user[REDIS_INFO_VALUE_MAX] = "";

    if (redis_run(d->redis, b, &f) == RC_OK) {
        reply = redis_batch_reply(b, who);
        if (reply->type == REDIS_REPLY_STRING)
            snprintf(user, sizeof(user), "%s", reply->str);
    }
    redis_batch_clear(b);
    flush = redis_batch_add(b, "ACL DRYRUN %s FLUSHALL", user[0] != '\0' ? user : "default");
    if (user[0] == '\0')
        doctor_say(d, DOCTOR_OK, "redis user", NULL, "may do little");
    else if (d->conf->app_env != ENV_PRODUCTION)
        doctor_say(d, DOCTOR_OK, "redis user", NULL, "%s; APP_ENV is not production", user);
    else if (redis_run(d->redis, b, &f) == RC_OK &&
             redis_batch_reply(b, flush)->type == REDIS_REPLY_STATUS)
        doctor_say(d, DOCTOR_WARN, "redis user",
                   "let the service use the user `synckairos` of etc/redis/users.acl",
                   "%s may do everything, FLUSHALL too", user);
    else
        doctor_say(d, DOCTOR_OK, "redis user", NULL, "%s may not do everything", user);
    redis_batch_free(b);
}

/* How far TIME is from this host's clock, in µs; the truth lies within *error of it. */
static bool
measure_clock(struct doctor *d, int64_t *offset, int64_t *error)
{
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };
    bool known = false;

    *error = INT64_MAX;
    for (int i = 0; i < TIME_TRIES; i++) {
        int64_t began, took, at, wall;

        redis_batch_clear(b);
        redis_batch_add(b, "TIME");
        began = clock_mono_us();
        wall = clock_wall_ms() * 1000;
        if (redis_run(d->redis, b, &f) != RC_OK)
            break;
        took = clock_mono_us() - began;
        at = redis_time_us(redis_batch_reply(b, 0));
        if (at < 0 || took >= *error)
            continue;
        *error = took;
        *offset = at - wall - took / 2;
        known = true;
    }
    redis_batch_free(b);
    *error = *error / 2 + 1000; /* and the host's clock is read in ms */
    return known;
}

/* Of this server only: that of a replica counts from the moment it becomes the master. */
static void
check_clock(struct doctor *d, const char *info)
{
    int64_t offset = 0, error = 0, replicas = redis_info_number(info, "connected_slaves");
    char beside[96] = "";

    if (!measure_clock(d, &offset, &error)) {
        doctor_say(d, DOCTOR_FAIL, "clocks",
                   "let the user of REDIS_URL run TIME (etc/redis/users.acl), and look whether "
                   "Redis is busy",
                   "TIME has no answer");
        return;
    }
    if (replicas > 0)
        snprintf(beside, sizeof(beside),
                 "; those of its %" PRId64 " replicas are not looked at", replicas);
    if (llabs(offset) - error > CLOCK_MS * 1000)
        doctor_say(d, DOCTOR_WARN, "clocks",
                   "let NTP (chrony) set the clocks of this host and of Redis's",
                   "Redis is %+.1f ms from this host: tokens are judged by another clock than "
                   "sessions%s",
                   (double)offset / 1000, beside);
    else
        doctor_say(d, DOCTOR_OK, "clocks", NULL, "Redis is %+.1f ms from this host%s",
                   (double)offset / 1000, beside);
}

static void
check_broadcaster(struct doctor *d, struct redis_batch *b)
{
    struct fail f = { 0 };
    const redisReply *reply = NULL;

    redis_batch_clear(b);
    redis_batch_add(b, "EXISTS %s", keys_timekeeper(d->conf->key_prefix).s);
    if (redis_run(d->redis, b, &f) == RC_OK)
        reply = redis_batch_reply(b, 0);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER || reply->integer == 0)
        doctor_say(d, DOCTOR_FAIL, "timekeeper",
                   "start synckairos-broadcaster with the same REDIS_URL and KEY_PREFIX",
                   "there is none: time runs out only when somebody looks");
    else
        doctor_say(d, DOCTOR_OK, "timekeeper", NULL, "is at work");
}

/* Records that wait for PostgreSQL, and those that it has refused. */
static void
check_audit(struct doctor *d, struct redis_batch *b)
{
    int64_t asked[METRIC__MAX], dead = 0;
    struct fail f = { 0 };

    redis_batch_clear(b);
    metrics_ask_add(b, d->conf->key_prefix);
    metrics_ask_nothing(asked);
    if (redis_run(d->redis, b, &f) == RC_OK)
        metrics_ask_take(b, asked);
    redis_batch_clear(b);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        redis_batch_add(b, "XLEN %s", keys_audit_dead(d->conf->key_prefix, i).s);
    if (redis_run(d->redis, b, &f) == RC_OK)
        for (int i = 0; i < KEYS_PARTITIONS; i++)
            if (redis_batch_reply(b, i)->type == REDIS_REPLY_INTEGER)
                dead += redis_batch_reply(b, i)->integer;
    if (asked[METRIC_AUDIT_WAITING] < 0)
        doctor_say(d, DOCTOR_FAIL, "audit trail",
                   "let the user of REDIS_URL do what etc/redis/users.acl says",
                   "Redis does not tell what waits");
    else if (dead > 0)
        doctor_say(d, DOCTOR_WARN, "audit trail",
                   "look at `error` in the streams *:audit:dead, repair, and put them back",
                   "PostgreSQL has refused %" PRId64 " records for good", dead);
    else if (d->conf->database_url[0] != '\0' && asked[METRIC_AUDIT_AGE] > DRAIN_LATE_S)
        doctor_say(d, DOCTOR_WARN, "audit trail",
                   "see why PostgreSQL takes no records: is it up, is a broadcaster?",
                   "%" PRId64 " records wait, the oldest for %" PRId64 " s",
                   asked[METRIC_AUDIT_WAITING], asked[METRIC_AUDIT_AGE]);
    else
        doctor_say(d, DOCTOR_OK, "audit trail", NULL, "%" PRId64 " records wait in Redis",
                   asked[METRIC_AUDIT_WAITING]);
}

void
doctor_redis(struct doctor *d)
{
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };
    const redisReply *info = NULL;
    char *text;

    redis_batch_add(b, "INFO");
    if (redis_run(d->redis, b, &f) == RC_OK && redis_batch_check(b, 0, &f) == RC_OK)
        info = redis_batch_reply(b, 0);
    if (info == NULL || info->type != REDIS_REPLY_STRING) {
        doctor_say(d, DOCTOR_FAIL, "redis",
                   "start Redis, or correct REDIS_URL and REDIS_PASSWORD", "%s", f.log);
        redis_batch_free(b);
        return;
    }
    text = xstrdup(info->str);
    doctor_say(d, DOCTOR_OK, "redis", NULL, "answers");
    check_version(d, text);
    if (check_role(d, text)) {
        check_memory(d, text);
        check_clients(d, text);
        check_persistence(d, text);
        check_user(d);
        check_clock(d, text);
        check_broadcaster(d, b);
        check_audit(d, b);
    }
    free(text);
    redis_batch_free(b);
}
