#include "recovery_lives.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/pg.h"
#include "common/redis.h"
#include "lua_scripts.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define AWAY_MS 250
#define NUMBER_MAX 1000000000000000
#define SEEN_MS 1000
#define START_MS 60000 /* within which all partitions of a Redis begin their lives */

enum { S_NOTE_SEEN, S_SEEN, S_RECORDED };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_NOTE_SEEN] = { "note when Redis was seen",
        "INSERT INTO sync_seen AS s (seen_at) VALUES (to_timestamp($1::float8 / 1000))"
        " ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at"
        " WHERE s.seen_at < excluded.seen_at", 1 },
    [S_SEEN] = { "when Redis was seen",
        "SELECT (extract(epoch FROM greatest((SELECT seen_at FROM sync_seen),"
        " (SELECT max(timestamp) FROM sync_events WHERE timestamp < to_timestamp($1::float8 / 1000))))"
        " * 1000)::bigint", 1 },
    [S_RECORDED] = { "what is recorded of a partition",
        "SELECT max(changes) FROM sync_partitions WHERE partition = $1 AND life < $2", 2 },
};
/* clang-format on */

/* --- looking --- */

/* Instants and counts of changes: anything else is none. */
static int64_t
sane(int64_t n)
{
    return n >= 0 && n <= NUMBER_MAX ? n : 0;
}

static int64_t
number(const redisReply *life, size_t i)
{
    const redisReply *e = i < life->elements ? life->element[i] : NULL;

    return e != NULL && e->type == REDIS_REPLY_STRING ? sane(strtoll(e->str, NULL, 10)) : 0;
}

static bool
is_of_this_run(const struct recovery_lives *l, const redisReply *life)
{
    const redisReply *run_id = life->elements > 5 ? life->element[5] : NULL;

    return run_id != NULL && run_id->type == REDIS_REPLY_STRING &&
           strcmp(run_id->str, redis_run_id(l->redis)) == 0;
}

enum rc
recovery_lives_look(struct recovery_lives *l, bool in_hand, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(l->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        struct key life = keys_life(l->conf->key_prefix, i);
        struct key audit = keys_audit(l->conf->key_prefix, i);
        const char *argv[] = { life.s, audit.s };

        redis_batch_script(l->batch, LUA_RECOVERY_BEGIN, 2, 2, argv, NULL);
    }
    redis_batch_add(l->batch, "TIME");
    rc = redis_run(l->redis, l->batch, f);
    for (int i = 0; i < KEYS_PARTITIONS && rc == RC_OK; i++) {
        const redisReply *reply = redis_batch_reply(l->batch, i);
        struct recovery_life *life = &l->life[i];

        rc = redis_batch_check(l->batch, i, f);
        if (rc != RC_OK)
            break;
        life->oldest_ms = number(reply, 6);
        if (in_hand)
            continue; /* the recovery in hand is about the lives that it began with */
        life->n = number(reply, 0);
        life->recovered = number(reply, 1);
        life->changes_from = number(reply, 2);
        life->changes_to = number(reply, 3);
        life->seen_from_ms = number(reply, 4);
        life->is_begun = is_of_this_run(l, reply);
        life->is_new = life->is_begun && life->n != life->recovered;
    }
    if (rc == RC_OK)
        l->now_ms = redis_time_us(redis_batch_reply(l->batch, KEYS_PARTITIONS)) / 1000;
    return rc;
}

bool
recovery_lives_are_new(const struct recovery_lives *l)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (l->life[i].is_new)
            return true;
    return false;
}

bool
recovery_lives_have_begun(const struct recovery_lives *l)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (!l->life[i].is_begun)
            return false;
    return true;
}

bool
recovery_lives_are_drained(const struct recovery_lives *l, int64_t until_ms)
{
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (l->life[i].is_new && l->life[i].oldest_ms != 0 && l->life[i].oldest_ms <= until_ms)
            return false;
    return true;
}

/* Only once each life has begun and was looked after: else it would hide for how long the Redis
 * was away. */
void
recovery_lives_note_seen(struct recovery_lives *l)
{
    char at[24];
    const char *args[] = { at };
    struct fail ignored = { 0 };

    if (!recovery_lives_have_begun(l) || recovery_lives_are_new(l) ||
        clock_mono_ms() < l->noted_ms)
        return;
    snprintf(at, sizeof(at), "%" PRId64, l->now_ms);
    if (pg_run(l->pg, &stmts[S_NOTE_SEEN], args, NULL, &ignored) == RC_OK)
        l->noted_ms = clock_mono_ms() + SEEN_MS;
    else
        l->noted_ms = clock_mono_ms() + AWAY_MS;
}

/* --- the gap --- */

static enum rc
ask_int(struct recovery_lives *l, int stmt, const char *const *args, int64_t *out,
        struct fail *f)
{
    struct pg_result *result = NULL;
    enum rc rc = pg_run(l->pg, &stmts[stmt], args, &result, f);

    if (rc == RC_OK)
        *out = pg_rows(result) > 0 ? sane(pg_int(result, 0, 0)) : 0; /* NULL is "" is 0 */
    pg_result_free(result);
    return rc;
}

/*
 * When the Redis was back. Another partition may have begun its life, been looked after and had
 * changes recorded before a new one begins: those tell nothing of the time before.
 */
static int64_t
back_since(const struct recovery_lives *l)
{
    int64_t newest_ms = 0, since_ms = l->now_ms;

    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (l->life[i].is_new && l->life[i].n > newest_ms)
            newest_ms = l->life[i].n;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct recovery_life *life = &l->life[i];

        if (life->is_begun && life->n < since_ms && life->n >= newest_ms - START_MS)
            since_ms = life->n;
    }
    return since_ms;
}

enum rc
recovery_lives_set_gaps(struct recovery_lives *l, struct fail *f)
{
    char n[KEYS_PARTITIONS][24], since[KEYS_PARTITIONS][24];
    int64_t seen_ms = 0;
    const char *args[] = { n[0] };
    enum rc rc;

    snprintf(n[0], sizeof(n[0]), "%" PRId64, back_since(l));
    rc = ask_int(l, S_SEEN, args, &seen_ms, f);
    if (rc != RC_OK)
        return rc;
    redis_batch_clear(l->batch);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct recovery_life *life = &l->life[i];
        int64_t last_ms = life->seen_from_ms > seen_ms ? life->seen_from_ms : seen_ms;
        struct key key = keys_life(l->conf->key_prefix, i);
        const char *argv[] = { key.s, n[i], since[i] };

        if (!life->is_new || last_ms == 0)
            continue;
        snprintf(n[i], sizeof(n[i]), "%" PRId64, life->n);
        since[i][0] = '\0';
        if (life->n - last_ms > l->conf->outage_pause_ms)
            snprintf(since[i], sizeof(since[i]), "%" PRId64, last_ms);
        redis_batch_script(l->batch, LUA_RECOVERY_GAP, 1, 3, argv, NULL);
    }
    return redis_batch_count(l->batch) == 0 ? RC_OK : redis_run(l->redis, l->batch, f);
}

/* --- what is lost --- */

enum rc
recovery_lives_count_lost(struct recovery_lives *l, int64_t *lost, struct fail *f)
{
    *lost = 0;
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        const struct recovery_life *life = &l->life[i];
        char partition[12], n[24];
        const char *args[] = { partition, n };
        int64_t recorded = 0;
        enum rc rc;

        if (!life->is_new || life->changes_to <= life->changes_from)
            continue;
        snprintf(partition, sizeof(partition), "%d", i);
        snprintf(n, sizeof(n), "%" PRId64, life->n);
        rc = ask_int(l, S_RECORDED, args, &recorded, f);
        if (rc != RC_OK)
            return rc;
        if (recorded < life->changes_from)
            recorded = life->changes_from;
        *lost += life->changes_to > recorded ? life->changes_to - recorded : 0;
    }
    return RC_OK;
}
