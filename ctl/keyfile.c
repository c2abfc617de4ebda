#include "keyfile_inside.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/redis.h"

#include <endian.h>
#include <hiredis/hiredis.h>
#include <string.h>

#define TRIES 5 /* until no session was created between two looks */
#define SCAN_COUNT "1000"

struct names {
    char (*at)[KEY_MAX];
    size_t n, size;
};

static void
names_add(struct names *names, const char *s)
{
    if (names->n == names->size) {
        names->size = names->size > 0 ? 2 * names->size : 256;
        names->at = xrealloc(names->at, names->size * sizeof(*names->at));
    }
    snprintf(names->at[names->n++], KEY_MAX, "%s", s);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* SCAN may tell a key twice. */
static void
names_settle(struct names *names)
{
    size_t kept = 0;

    if (names->n > 0)
        qsort(names->at, names->n, sizeof(*names->at), by_text);
    for (size_t i = 0; i < names->n; i++)
        if (kept == 0 || strcmp(names->at[kept - 1], names->at[i]) != 0)
            memmove(names->at[kept++], names->at[i], KEY_MAX);
    names->n = kept;
}

/* --- finding keys --- */

/* What SCAN tells: how to go on, and keys. */
static bool
is_page(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING && redis_is_texts(reply->element[1]);
}

/* All keys below the prefix but the passing ones; `all` false: those of no partition. */
static enum rc
scan(const struct conf *conf, struct redis *r, bool all, struct names *out, struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    struct key pattern = keys_every_key(conf->key_prefix);
    char cursor[32] = "0";
    enum rc rc;

    do {
        const redisReply *reply, *found;

        redis_batch_clear(b);
        redis_batch_add(b, "SCAN %s MATCH %s COUNT " SCAN_COUNT, cursor, pattern.s);
        rc = redis_run(r, b, f);
        if (rc == RC_OK)
            rc = redis_batch_check(b, 0, f);
        reply = redis_batch_reply(b, 0);
        if (rc == RC_OK && !is_page(reply))
            rc = fail_log(f, RC_INTERNAL, "redis: SCAN has no such answer");
        if (rc != RC_OK)
            break;
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        found = reply->element[1];
        for (size_t i = 0; i < found->elements; i++) {
            const redisReply *key = found->element[i];

            if (key->len < KEY_MAX && !keys_is_passing(conf->key_prefix, key->str, key->len) &&
                (all || keys_partition_of(conf->key_prefix, key->str, key->len) < 0))
                names_add(out, key->str);
        }
    } while (strcmp(cursor, "0") != 0);
    redis_batch_free(b);
    names_settle(out);
    return rc;
}

/* The keys of a partition, wake-ups last: who restores them has the sessions by then. */
static void
partition_names(const struct conf *conf, int partition, const redisReply *ids,
                struct names *out)
{
    const char *prefix = conf->key_prefix;

    out->n = 0;
    names_add(out, keys_life(prefix, partition).s);
    names_add(out, keys_audit(prefix, partition).s);
    names_add(out, keys_audit_dead(prefix, partition).s);
    for (size_t i = 0; i < ids->elements; i++) {
        if (!redis_is_id(ids->element[i]))
            continue;
        names_add(out, keys_session(prefix, ids->element[i]->str).s);
        names_add(out, keys_idem(prefix, ids->element[i]->str).s);
        names_add(out, keys_switch_limit(prefix, ids->element[i]->str).s);
    }
    names_add(out, keys_wakeups(prefix, partition).s);
}

/* --- writing --- */

static bool
put(FILE *out, const struct conf *conf, const char *key, int64_t ttl_ms,
    const redisReply *value)
{
    size_t skip = strlen(conf->key_prefix), len = strlen(key) - skip;
    uint64_t head[] = { htole64(len), htole64(ttl_ms > 0 ? (uint64_t)ttl_ms : 0),
                        htole64(value->len) };

    return fwrite(head, sizeof(head), 1, out) == 1 && fwrite(key + skip, 1, len, out) == len &&
           fwrite(value->str, 1, value->len, out) == value->len;
}

/* DUMP and PTTL of each stand one after another from `at` on. */
static enum rc
put_all(const struct conf *conf, FILE *out, const struct names *names, size_t from, size_t n,
        struct redisReply *const *at, size_t *written, struct fail *f)
{
    for (size_t i = 0; i < n; i++) {
        const redisReply *value = at[2 * i], *ttl = at[2 * i + 1];

        if (value->type != REDIS_REPLY_STRING)
            continue; /* gone meanwhile */
        if (!put(out, conf, names->at[from + i], ttl->integer, value))
            return fail_log(f, RC_INTERNAL, "the file of keys cannot be written");
        (*written)++;
    }
    return RC_OK;
}

static void
add_dumps(struct redis_batch *b, const struct names *names, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        redis_batch_add(b, "DUMP %s", names->at[i]);
        redis_batch_add(b, "PTTL %s", names->at[i]);
    }
}

/* Ask for the keys, and for the ids once more, in one step of Redis. */
static enum rc
dump_partition(const struct conf *conf, struct redis *r, int partition, struct redis_batch *b,
               const struct names *names, const redisReply **all, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(b);
    redis_batch_add(b, "MULTI");
    redis_batch_add(b, "ZCARD %s", keys_wakeups(conf->key_prefix, partition).s);
    add_dumps(b, names, 0, names->n);
    redis_batch_add(b, "EXEC");
    rc = redis_run(r, b, f);
    if (rc == RC_OUTCOME_UNKNOWN) /* nothing was changed */
        rc = RC_STORE_UNAVAILABLE;
    if (rc == RC_OK)
        rc = redis_batch_check(b, redis_batch_count(b) - 1, f);
    if (rc != RC_OK)
        return rc;
    *all = redis_batch_reply(b, redis_batch_count(b) - 1);
    if ((*all)->type != REDIS_REPLY_ARRAY || (*all)->elements != 1 + 2 * names->n)
        return fail_log(f, RC_INTERNAL, "redis: EXEC has no such answer");
    return RC_OK;
}

/* Whether all the sessions that Redis counts were named, and are there. */
static bool
is_whole(const redisReply *all, size_t names)
{
    int64_t n = 0;

    for (size_t i = 3; i + 1 < names; i += 3)
        n += all->element[1 + 2 * i]->type == REDIS_REPLY_STRING;
    return n == all->element[0]->integer;
}

static enum rc
write_partition(const struct conf *conf, struct redis *r, FILE *out, int partition,
                size_t *written, struct fail *f)
{
    struct redis_batch *ids = redis_batch_new(), *b = redis_batch_new();
    const redisReply *all = NULL;
    struct names names = { 0 };
    bool whole = false;
    enum rc rc = RC_OK;

    for (int i = 0; i < TRIES && rc == RC_OK && !whole; i++) {
        redis_batch_clear(ids);
        redis_batch_add(ids, "ZRANGE %s 0 -1", keys_wakeups(conf->key_prefix, partition).s);
        rc = redis_run(r, ids, f);
        if (rc == RC_OK)
            rc = redis_batch_check(ids, 0, f);
        if (rc != RC_OK)
            break;
        partition_names(conf, partition, redis_batch_reply(ids, 0), &names);
        rc = dump_partition(conf, r, partition, b, &names, &all, f);
        if (rc == RC_OK)
            whole = is_whole(all, names.n);
    }
    if (rc == RC_OK)
        rc = put_all(conf, out, &names, 0, names.n, all->element + 1, written, f);
    free(names.at);
    redis_batch_free(ids);
    redis_batch_free(b);
    return rc;
}

/* Owners' lists, revocations, limits: each for itself. */
static enum rc
write_others(const struct conf *conf, struct redis *r, FILE *out, size_t *written,
             struct fail *f)
{
    struct names names = { 0 };
    enum rc rc = scan(conf, r, false, &names, f);

    for (size_t i = 0; i < names.n && rc == RC_OK; i += KEYFILE_BATCH) {
        size_t n = names.n - i < KEYFILE_BATCH ? names.n - i : KEYFILE_BATCH;
        struct redis_batch *b = redis_batch_new();
        struct redisReply **at = xalloc(2 * n * sizeof(*at));

        add_dumps(b, &names, i, n);
        rc = redis_run(r, b, f);
        for (size_t k = 0; rc == RC_OK && k < 2 * n; k++) {
            rc = redis_batch_check(b, (int)k, f);
            memcpy(&at[k], &(const redisReply *){ redis_batch_reply(b, (int)k) }, sizeof(*at));
        }
        if (rc == RC_OK)
            rc = put_all(conf, out, &names, i, n, at, written, f);
        free(at);
        redis_batch_free(b);
    }
    free(names.at);
    return rc;
}

enum rc
keyfile_write(const struct conf *conf, struct redis *r, FILE *out, size_t *n, struct fail *f)
{
    enum rc rc = RC_OK;

    *n = 0;
    if (fputs(KEYFILE_MAGIC, out) < 0)
        return fail_log(f, RC_INTERNAL, "the file of keys cannot be written");
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++)
        rc = write_partition(conf, r, out, i, n, f);
    return rc == RC_OK ? write_others(conf, r, out, n, f) : rc;
}

/* --- what is there --- */

enum rc
keyfile_look(const struct conf *conf, struct redis *r, int64_t *sessions, int64_t *records,
             struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    enum rc rc;

    *sessions = *records = 0;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        redis_batch_add(b, "ZCARD %s", keys_wakeups(conf->key_prefix, i).s);
        redis_batch_add(b, "XLEN %s", keys_audit(conf->key_prefix, i).s);
    }
    rc = redis_run(r, b, f);
    for (int i = 0; i < 2 * KEYS_PARTITIONS && rc == RC_OK; i++) {
        rc = redis_batch_check(b, i, f);
        if (rc == RC_OK)
            *(i % 2 == 0 ? sessions : records) += redis_batch_reply(b, i)->integer;
    }
    redis_batch_free(b);
    return rc;
}

enum rc
keyfile_clear(const struct conf *conf, struct redis *r, struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    struct names names = { 0 };
    size_t gone = 0;
    enum rc rc = scan(conf, r, true, &names, f);

    for (size_t i = 0; i < names.n && rc == RC_OK; i++) {
        redis_batch_add(b, "UNLINK %s", names.at[i]);
        if (redis_batch_count(b) == KEYFILE_BATCH || i + 1 == names.n)
            rc = keyfile_flush(r, b, &gone, f);
    }
    free(names.at);
    redis_batch_free(b);
    return rc;
}
