#include "audit_inbox.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "lua_scripts.h"

#include <hiredis/hiredis.h>

#define GROUP "audit"
#define QUARTER (KEYS_PARTITIONS / AUDIT_QUARTERS) /* partitions that one turn looks at */
#define CLAIM_MS 5000
#define HELD_MS "10000"
#define COUNT_MAX 256 /* records of one partition */
#define BYTES_MANY (8u << 20)

void
audit_inbox_init(struct audit_inbox *in, const struct conf *conf)
{
    *in = (struct audit_inbox){ .conf = conf, .count = COUNT_MAX };
    in->redis = redis_new(conf, "synckairos-audit");
    in->read = redis_batch_new();
    in->done = redis_batch_new();
    in->claim_ms = clock_mono_ms() + CLAIM_MS;
    in->first =
        (int)(clock_mono_us() % KEYS_PARTITIONS); /* not the same one in every process */
    id_random(in->consumer, sizeof(in->consumer) - 1);
}

void
audit_inbox_fini(struct audit_inbox *in)
{
    redis_batch_free(in->read);
    redis_batch_free(in->done);
    redis_free(in->redis);
    free(in->entry);
}

void
audit_inbox_complain(const char *event, const struct fail *f)
{
    if (f->rc != RC_STORE_UNAVAILABLE && f->rc != RC_OUTCOME_UNKNOWN)
        log_error(event, LOG_STR("code", rc_code(f->rc)), LOG_STR("error", f->log));
}

/* The groups begin with the first record there is. */
static enum rc
make_groups(struct audit_inbox *in, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(in->done);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        redis_batch_add(in->done, "XGROUP CREATE %s %s 0 MKSTREAM",
                        keys_audit(in->conf->key_prefix, i).s, GROUP);
    rc = redis_run(in->redis, in->done, f);
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++) {
        const redisReply *reply = redis_batch_reply(in->done, i);

        if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "BUSYGROUP", 9) != 0)
            rc = redis_batch_check(in->done, i, f);
    }
    in->groups = rc == RC_OK;
    return rc;
}

static int
partition_at(const struct audit_inbox *in, int k)
{
    return (in->first + k) % KEYS_PARTITIONS;
}

/* New records, or those that others have left. */
static void
ask(struct audit_inbox *in, bool left)
{
    char count[12];

    snprintf(count, sizeof(count), "%d", in->count);
    redis_batch_clear(in->read);
    for (int k = 0; k < QUARTER; k++) {
        struct key stream = keys_audit(in->conf->key_prefix, partition_at(in, k));
        const char *new[] = { stream.s, GROUP, in->consumer, count };
        const char *old[] = { stream.s, GROUP, in->consumer, HELD_MS, count };

        if (left)
            redis_batch_script(in->read, LUA_AUDIT_CLAIM, 1, 5, old, NULL);
        else
            redis_batch_script(in->read, LUA_AUDIT_READ, 1, 4, new, NULL);
    }
}

static struct audit_entry *
new_entry(struct audit_inbox *in)
{
    if (in->n == in->size) {
        in->size = in->size == 0 ? 256 : 2 * in->size;
        in->entry = xrealloc(in->entry, in->size * sizeof(*in->entry));
    }
    in->entry[in->n] = (struct audit_entry){ 0 };
    return &in->entry[in->n++];
}

/* {id, {field, value, ...}}; without fields when it was deleted meanwhile. */
static void
take_entry(struct audit_inbox *in, int partition, const redisReply *one)
{
    const redisReply *fields;
    struct audit_entry *e;

    if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
        one->element[0]->type != REDIS_REPLY_STRING)
        return;
    fields = one->element[1];
    e = new_entry(in);
    e->partition = e->record.partition = partition;
    e->id = one->element[0]->str;
    for (size_t i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i], *value = fields->element[i + 1];

        if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
            continue; /* nothing that we wrote */
        if (strcmp(name->str, "d") == 0) {
            e->record.event = value->str;
            e->record.event_len = value->len;
        } else if (strcmp(name->str, "s") == 0) {
            e->record.snapshot = value->str;
            e->record.snapshot_len = value->len;
        } else if (strcmp(name->str, "n") == 0) {
            e->record.number = strtoll(value->str, NULL, 10);
        }
    }
    in->bytes += e->record.event_len + e->record.snapshot_len;
}

/* A few large records are as much work as many small ones. */
static void
adapt(struct audit_inbox *in)
{
    if (in->bytes > BYTES_MANY)
        in->count = in->count > 4 ? in->count / 4 : 1;
    else if (in->bytes < BYTES_MANY / 8 && in->count < COUNT_MAX)
        in->count *= 2;
}

/* The next quarter; every CLAIM_MS once round for what others have left. */
static bool
move_on(struct audit_inbox *in)
{
    bool left = clock_mono_ms() >= in->claim_ms;

    in->first = (in->first + QUARTER) % KEYS_PARTITIONS;
    if (left && ++in->claimed == AUDIT_QUARTERS) {
        in->claimed = 0;
        in->claim_ms = clock_mono_ms() + CLAIM_MS;
    }
    return left;
}

enum rc
audit_inbox_read(struct audit_inbox *in, struct fail *f)
{
    enum rc rc = in->groups ? RC_OK : make_groups(in, f);

    in->n = in->bytes = 0;
    if (rc != RC_OK)
        return rc;
    ask(in, move_on(in));
    rc = redis_run(in->redis, in->read, f);
    for (int k = 0; k < QUARTER && rc == RC_OK; k++) {
        const redisReply *reply = redis_batch_reply(in->read, k);

        if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "NOGROUP") != NULL)
            in->groups = false; /* a Redis that has lost them */
        else if (redis_batch_check(in->read, k, f) != RC_OK)
            audit_inbox_complain("audit read failed", f);
        for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
            take_entry(in, partition_at(in, k), reply->element[i]);
        fail_reset(f);
    }
    adapt(in);
    return rc;
}

/* --- forgetting --- */

static void
ask_bury(struct audit_inbox *in, const struct audit_entry *e)
{
    struct key dead = keys_audit_dead(in->conf->key_prefix, e->partition);
    const struct audit_record *r = &e->record;
    const char *argv[] = {
        "XADD", dead.s, "*", "d", r->event, "s", r->snapshot ? r->snapshot : "", "error", e->why
    };
    const size_t lens[] = { 4, dead.len,      1, 1, r->event_len, 1, r->snapshot_len,
                            5, strlen(e->why) };

    redis_batch_addv(in->done, 9, argv, lens);
    metrics_add(METRIC_AUDIT_DEAD, 1, 0, 0, 0);
}

/* One command for all entries of a partition; they stand together. */
static void
ask_forget(struct audit_inbox *in, const char *command, const char *group, size_t lo, size_t hi)
{
    struct key stream = keys_audit(in->conf->key_prefix, in->entry[lo].partition);
    const char **argv = xalloc((hi - lo + 3) * sizeof(*argv));
    int n = 0;

    argv[n++] = command;
    argv[n++] = stream.s;
    if (group != NULL)
        argv[n++] = group;
    for (size_t i = lo; i < hi; i++)
        argv[n++] = in->entry[i].id;
    redis_batch_addv(in->done, n, argv, NULL);
    free(argv);
}

/* Dead letters first: a record is always somewhere. */
enum rc
audit_inbox_forget(struct audit_inbox *in, struct fail *f)
{
    enum rc rc = RC_OK;

    redis_batch_clear(in->done);
    for (size_t i = 0; i < in->n; i++)
        if (in->entry[i].dead)
            ask_bury(in, &in->entry[i]);
    if (redis_batch_count(in->done) > 0)
        rc = redis_run(in->redis, in->done, f);
    for (int i = 0; i < redis_batch_count(in->done) && rc == RC_OK; i++)
        rc = redis_batch_check(in->done, i, f);
    if (rc != RC_OK)
        return rc;
    redis_batch_clear(in->done);
    for (size_t lo = 0, hi; lo < in->n; lo = hi) {
        for (hi = lo + 1; hi < in->n && in->entry[hi].partition == in->entry[lo].partition;)
            hi++;
        ask_forget(in, "XDEL", NULL, lo, hi);
        ask_forget(in, "XACK", GROUP, lo, hi);
    }
    return redis_run(in->redis, in->done, f);
}
