/*
 * One turn: read from a quarter of the partitions in one round trip (or, every few seconds,
 * take over what others have left), write, then delete and acknowledge in one more. A partition
 * is read by one drain at a time (audit_read.lua), and the quarters let several work side by
 * side. The replies of the read are what the records borrow, so nothing is copied before it is
 * a row.
 *
 * A batch that PostgreSQL does not take now is kept and tried again. A batch with a record that
 * it will never take is halved until that record is found. Records are deleted before they are
 * acknowledged: cut in between, they are without content in the list of the pending, and
 * XAUTOCLAIM drops those.
 */
#include "audit_drain.h"

#include "audit_writer.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "lua_scripts.h"
#include "worker_thread.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define GROUP "audit"
#define QUARTER (KEYS_PARTITIONS / 4) /* partitions that one turn looks at */
#define GATHER_MS 20                  /* between two turns while there is something */
#define IDLE_MS 50
#define AWAY_MS 250 /* after a failure */
#define CLAIM_MS 5000
#define FLUSH_MS 2000
#define HELD_MS "10000"
#define COUNT_MAX 256 /* records of one partition */
#define BYTES_MANY (8u << 20)
#define BUSY 64 /* records: read on at once */

struct entry {
    int partition;
    const char *id; /* in the stream */
    struct audit_record record;
    bool dead;
    char why[128];
};

struct audit_drain {
    struct worker_thread thread;
    const struct conf *conf;
    struct redis *redis;
    struct audit_writer *writer;
    char consumer[17];
    struct redis_batch *read; /* its replies hold the records */
    struct redis_batch *done;
    struct entry *entry;
    struct audit_record *record; /* of the entries, one behind the other */
    size_t n, size, bytes;
    bool held;       /* the entries are not in PostgreSQL yet */
    bool groups;     /* they are there, as far as is known */
    bool complained; /* about the schema */
    int count;       /* records to ask of each partition */
    int first;       /* partition of this turn's quarter */
    int64_t claim_ms;
    int claimed; /* quarters, since then */
};

/* --- reading --- */

static void
complain(const char *event, const struct fail *f)
{
    if (f->rc != RC_STORE_UNAVAILABLE && f->rc != RC_OUTCOME_UNKNOWN)
        log_error(event, LOG_STR("code", rc_code(f->rc)), LOG_STR("error", f->log));
}

/* The groups begin with the first record there is. */
static enum rc
make_groups(struct audit_drain *d, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(d->done);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        redis_batch_add(d->done, "XGROUP CREATE %s %s 0 MKSTREAM",
                        keys_audit(d->conf->key_prefix, i).s, GROUP);
    rc = redis_run(d->redis, d->done, f);
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++) {
        const redisReply *reply = redis_batch_reply(d->done, i);

        if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "BUSYGROUP", 9) != 0)
            rc = redis_batch_check(d->done, i, f);
    }
    d->groups = rc == RC_OK;
    return rc;
}

static int
partition_at(const struct audit_drain *d, int k)
{
    return (d->first + k) % KEYS_PARTITIONS;
}

/* New records, or those that others have left. */
static void
ask(struct audit_drain *d, bool left)
{
    char count[12];

    snprintf(count, sizeof(count), "%d", d->count);
    redis_batch_clear(d->read);
    for (int k = 0; k < QUARTER; k++) {
        struct key stream = keys_audit(d->conf->key_prefix, partition_at(d, k));
        const char *new[] = { stream.s, GROUP, d->consumer, count };
        const char *old[] = { stream.s, GROUP, d->consumer, HELD_MS, count };

        if (left)
            redis_batch_script(d->read, LUA_AUDIT_CLAIM, 1, 5, old, NULL);
        else
            redis_batch_script(d->read, LUA_AUDIT_READ, 1, 4, new, NULL);
    }
}

static struct entry *
new_entry(struct audit_drain *d)
{
    if (d->n == d->size) {
        d->size = d->size == 0 ? 256 : 2 * d->size;
        d->entry = xrealloc(d->entry, d->size * sizeof(*d->entry));
        d->record = xrealloc(d->record, d->size * sizeof(*d->record));
    }
    d->entry[d->n] = (struct entry){ 0 };
    return &d->entry[d->n++];
}

/* {id, {field, value, ...}}; without fields when it was deleted meanwhile. */
static void
take_entry(struct audit_drain *d, int partition, const redisReply *one)
{
    const redisReply *fields;
    struct entry *e;

    if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
        one->element[0]->type != REDIS_REPLY_STRING)
        return;
    fields = one->element[1];
    e = new_entry(d);
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
    d->bytes += e->record.event_len + e->record.snapshot_len;
}

/* A few large records are as much work as many small ones. */
static void
adapt(struct audit_drain *d)
{
    if (d->bytes > BYTES_MANY)
        d->count = d->count > 4 ? d->count / 4 : 1;
    else if (d->bytes < BYTES_MANY / 8 && d->count < COUNT_MAX)
        d->count *= 2;
}

/* The next quarter; every CLAIM_MS once round for what others have left. */
static bool
move_on(struct audit_drain *d)
{
    bool left = clock_mono_ms() >= d->claim_ms;

    d->first = (d->first + QUARTER) % KEYS_PARTITIONS;
    if (left && ++d->claimed == KEYS_PARTITIONS / QUARTER) {
        d->claimed = 0;
        d->claim_ms = clock_mono_ms() + CLAIM_MS;
    }
    return left;
}

static enum rc
read_entries(struct audit_drain *d, struct fail *f)
{
    enum rc rc = d->groups ? RC_OK : make_groups(d, f);

    d->n = d->bytes = 0;
    if (rc != RC_OK)
        return rc;
    ask(d, move_on(d));
    rc = redis_run(d->redis, d->read, f);
    for (int k = 0; k < QUARTER && rc == RC_OK; k++) {
        const redisReply *reply = redis_batch_reply(d->read, k);

        if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "NOGROUP") != NULL)
            d->groups = false; /* a Redis that has lost them */
        else if (redis_batch_check(d->read, k, f) != RC_OK)
            complain("audit read failed", f);
        for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
            take_entry(d, partition_at(d, k), reply->element[i]);
        fail_reset(f);
    }
    adapt(d);
    return rc;
}

/* --- writing --- */

static void
bury(struct entry *e, const char *why)
{
    e->dead = true;
    snprintf(e->why, sizeof(e->why), "%s", why);
    log_error("audit record is refused", LOG_STR("stream_id", e->id),
              LOG_INT("partition", e->partition), LOG_STR("error", why));
}

/* The records of the entries lo..hi-1 that are not dead; returns how many, and which in at[].
 */
static size_t
gather(struct audit_drain *d, size_t lo, size_t hi)
{
    size_t n = 0;

    for (size_t i = lo; i < hi; i++)
        if (!d->entry[i].dead && d->entry[i].record.event != NULL)
            d->record[n++] = d->entry[i].record;
    return n;
}

/* The entry of the k-th record that was gathered from lo on. */
static struct entry *
entry_of(struct audit_drain *d, size_t lo, size_t k)
{
    for (size_t i = lo;; i++)
        if (!d->entry[i].dead && d->entry[i].record.event != NULL && k-- == 0)
            return &d->entry[i];
}

/* Write the entries lo..hi-1, and bury those that cannot be. RC_OK when all are dealt with. */
static enum rc
write_range(struct audit_drain *d, size_t lo, size_t hi, struct fail *f)
{
    enum rc rc = RC_OK;
    size_t n, bad;

    while ((n = gather(d, lo, hi)) > 0) {
        fail_reset(f);
        rc = audit_writer_write(d->writer, d->record, n, &bad, f);
        if (rc == RC_STATE_UNREADABLE) {
            bury(entry_of(d, lo, bad), f->log);
            continue;
        }
        if (rc != RC_INTERNAL || !audit_writer_refuses_data(d->writer))
            return rc;
        if (n == 1) {
            bury(entry_of(d, lo, 0), f->log);
            continue;
        }
        rc = write_range(d, lo, lo + (hi - lo) / 2, f);
        return rc == RC_OK ? write_range(d, lo + (hi - lo) / 2, hi, f) : rc;
    }
    fail_reset(f);
    return RC_OK;
}

static void
ask_bury(struct audit_drain *d, const struct entry *e)
{
    struct key dead = keys_audit_dead(d->conf->key_prefix, e->partition);
    const struct audit_record *r = &e->record;
    const char *argv[] = {
        "XADD", dead.s, "*", "d", r->event, "s", r->snapshot ? r->snapshot : "", "error", e->why
    };
    const size_t lens[] = { 4, dead.len,      1, 1, r->event_len, 1, r->snapshot_len,
                            5, strlen(e->why) };

    redis_batch_addv(d->done, 9, argv, lens);
    metrics_add(METRIC_AUDIT_DEAD, 1, 0, 0, 0);
}

/* One command for all entries of a partition; they stand together. */
static void
ask_forget(struct audit_drain *d, const char *command, const char *group, size_t lo, size_t hi)
{
    struct key stream = keys_audit(d->conf->key_prefix, d->entry[lo].partition);
    const char **argv = xalloc((hi - lo + 3) * sizeof(*argv));
    int n = 0;

    argv[n++] = command;
    argv[n++] = stream.s;
    if (group != NULL)
        argv[n++] = group;
    for (size_t i = lo; i < hi; i++)
        argv[n++] = d->entry[i].id;
    redis_batch_addv(d->done, n, argv, NULL);
    free(argv);
}

/* Dead letters first: a record is always somewhere. */
static enum rc
forget(struct audit_drain *d, struct fail *f)
{
    enum rc rc = RC_OK;

    redis_batch_clear(d->done);
    for (size_t i = 0; i < d->n; i++)
        if (d->entry[i].dead)
            ask_bury(d, &d->entry[i]);
    if (redis_batch_count(d->done) > 0)
        rc = redis_run(d->redis, d->done, f);
    for (int i = 0; i < redis_batch_count(d->done) && rc == RC_OK; i++)
        rc = redis_batch_check(d->done, i, f);
    if (rc != RC_OK)
        return rc;
    redis_batch_clear(d->done);
    for (size_t lo = 0, hi; lo < d->n; lo = hi) {
        for (hi = lo + 1; hi < d->n && d->entry[hi].partition == d->entry[lo].partition;)
            hi++;
        ask_forget(d, "XDEL", NULL, lo, hi);
        ask_forget(d, "XACK", GROUP, lo, hi);
    }
    return redis_run(d->redis, d->done, f);
}

/* --- the thread --- */

/* Say once what needs an operator: tables that are missing, for instance. */
static void
tell_schema(struct audit_drain *d, const struct fail *f)
{
    if (!d->complained)
        log_error("audit records cannot be written", LOG_STR("error", f->log),
                  LOG_STR("remedy", "kairosctl migrate"));
    d->complained = true;
}

static int64_t
turn(void *ctx)
{
    struct audit_drain *d = ctx;
    struct fail f = { 0 };
    enum rc rc = RC_OK;

    if (!d->held)
        rc = read_entries(d, &f);
    if (rc != RC_OK) {
        complain("audit read failed", &f);
        return AWAY_MS;
    }
    if (d->n == 0) {
        audit_writer_tend(d->writer);
        return IDLE_MS;
    }
    d->held = true;
    rc = write_range(d, 0, d->n, &f);
    if (rc == RC_INTERNAL)
        tell_schema(d, &f);
    if (rc != RC_OK)
        return AWAY_MS;
    d->complained = false;
    /* Not forgotten, they are taken over, by whomever, and written once more without effect. */
    if (forget(d, &f) != RC_OK)
        complain("audit acknowledgement failed", &f);
    d->held = false;
    audit_writer_tend(d->writer);
    return d->n >= BUSY ? 0 : GATHER_MS;
}

/* What is left at the end of the process; what does not go is for the next one. */
static void
flush(struct audit_drain *d)
{
    int64_t until_ms = clock_mono_ms() + FLUSH_MS;
    int idle = 0;

    while (clock_mono_ms() < until_ms && idle < KEYS_PARTITIONS / QUARTER) {
        if (turn(d) == AWAY_MS)
            return;
        idle = d->n == 0 ? idle + 1 : 0;
    }
}

struct audit_drain *
audit_drain_start(const struct conf *conf)
{
    struct audit_drain *d;

    if (conf->database_url[0] == '\0')
        return NULL;
    d = xalloc(sizeof(*d));
    d->conf = conf;
    d->redis = redis_new(conf, "synckairos-audit");
    d->writer = audit_writer_new(conf->database_url, conf->audit_retention_days);
    d->read = redis_batch_new();
    d->done = redis_batch_new();
    d->count = COUNT_MAX;
    d->claim_ms = clock_mono_ms() + CLAIM_MS;
    d->first = (int)(clock_mono_us() % KEYS_PARTITIONS); /* not the same one in every process */
    id_random(d->consumer, sizeof(d->consumer) - 1);
    worker_thread_start(&d->thread, "the audit drain", turn, d);
    return d;
}

void
audit_drain_stop(struct audit_drain *d)
{
    if (d == NULL)
        return;
    worker_thread_stop(&d->thread);
    flush(d);
    redis_batch_free(d->read);
    redis_batch_free(d->done);
    redis_free(d->redis);
    audit_writer_free(d->writer);
    free(d->entry);
    free(d->record);
    free(d);
}
