#include "doctor.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/metrics_ask.h"
#include "common/redis.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define TIME_TRIES 5
#define CLOCK_MS 20
#define MEMORY_PERCENT 80
#define DRAIN_LATE_S 60
#define VALUE_MAX 96
#define MB (1 << 20)

/* The value of "name:" in an INFO reply; "" when there is none. */
static void
field(const char *info, const char *name, char out[VALUE_MAX])
{
    size_t len = strlen(name);

    out[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        line += len + 1;
        snprintf(out, VALUE_MAX, "%.*s", (int)strcspn(line, "\r\n"), line);
        return;
    }
}

static bool
field_is(const char *info, const char *name, const char *value)
{
    char text[VALUE_MAX];

    field(info, name, text);
    return strcmp(text, value) == 0;
}

static int64_t
number(const char *info, const char *name)
{
    char text[VALUE_MAX];

    field(info, name, text);
    return strtoll(text, NULL, 10);
}

/* --- what INFO says --- */

static void
check_version(struct doctor *d, const char *info)
{
    char version[VALUE_MAX];

    field(info, "redis_version", version);
    if (strtol(version, NULL, 10) < 7)
        doctor_say(d, DOCTOR_FAIL, "redis version", "install Redis 7.0 or newer",
                   "%s is too old", version);
    else
        doctor_say(d, DOCTOR_OK, "redis version", NULL, "%s", version);
    if (!field_is(info, "role", "master"))
        doctor_say(d, DOCTOR_FAIL, "redis role", "name the master in REDIS_URL",
                   "this server is a replica and takes no changes");
    else
        doctor_say(d, DOCTOR_OK, "redis role", NULL, "master");
}

static void
check_memory(struct doctor *d, const char *info)
{
    int64_t used = number(info, "used_memory"), most = number(info, "maxmemory");
    char policy[VALUE_MAX];

    field(info, "maxmemory_policy", policy);
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
        most = number(info, "total_system_memory");
    if (most > 0 && used > most / 100 * MEMORY_PERCENT)
        doctor_say(d, DOCTOR_WARN, "redis memory",
                   "raise `maxmemory`, or shorten SESSION_CACHE_TTL; when it is full, nothing "
                   "new can be created",
                   "%" PRId64 " of %" PRId64 " MB are used", used / MB, most / MB);
    else
        doctor_say(d, DOCTOR_OK, "redis memory", NULL, "%" PRId64 " of %" PRId64 " MB are used",
                   used / MB, most / MB);
}

static void
check_persistence(struct doctor *d, const char *info)
{
    if (!field_is(info, "aof_enabled", "1"))
        doctor_say(d, DOCTOR_FAIL, "redis append-only file",
                   "set `appendonly yes` and `appendfsync everysec` in redis.conf",
                   "off: a restart of Redis loses sessions");
    else if (!field_is(info, "aof_last_write_status", "ok") ||
             !field_is(info, "aof_last_bgrewrite_status", "ok"))
        doctor_say(d, DOCTOR_FAIL, "redis append-only file",
                   "look at the disk of Redis (space, errors) and into its log",
                   "the last write or rewrite failed: changes are refused, or lost");
    else
        doctor_say(d, DOCTOR_OK, "redis append-only file", NULL, "on, and well");
    if (!field_is(info, "rdb_last_bgsave_status", "ok"))
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
    char user[VALUE_MAX] = "";

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

static void
check_clock(struct doctor *d)
{
    int64_t offset = 0, error = 0;

    if (!measure_clock(d, &offset, &error)) {
        doctor_say(d, DOCTOR_FAIL, "clocks", "look at Redis", "TIME has no answer");
        return;
    }
    if (llabs(offset) - error > CLOCK_MS * 1000)
        doctor_say(d, DOCTOR_WARN, "clocks",
                   "let NTP (chrony) set the clocks of this host and of Redis's",
                   "Redis is %+.1f ms from this host: tokens are judged by another clock than "
                   "sessions",
                   (double)offset / 1000);
    else
        doctor_say(d, DOCTOR_OK, "clocks", NULL, "Redis is %+.1f ms from this host",
                   (double)offset / 1000);
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
    if (dead > 0)
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
    check_memory(d, text);
    check_persistence(d, text);
    check_user(d);
    check_clock(d);
    check_broadcaster(d, b);
    check_audit(d, b);
    free(text);
    redis_batch_free(b);
}
