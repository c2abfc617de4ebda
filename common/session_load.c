#include "session_load.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session.h"
#include "session_row.h"
#include "session_slice.h"
#include "session_store.h"
#include <hiredis/hiredis.h>

enum { REPLY_HASH, REPLY_LIFE, REPLY_TIME, REPLIES = SESSION_LOAD_COMMANDS };
enum { LIFE_RUN_ID, LIFE_N, LIFE_GAPS, LIFE_FIELDS };

int
session_load_add(struct redis_batch *b, const char *prefix, const char *id)
{
    struct key session = keys_session(prefix, id);
    struct key life = keys_life(prefix, keys_partition(id));
    const char *hgetall[] = { "HGETALL", session.s };
    const char *hmget[] = { "HMGET", life.s, "run_id", "n", "gaps" };
    const char *time[] = { "TIME" };
    int place = redis_batch_addv(b, 2, hgetall, NULL);

    redis_batch_addv(b, 5, hmget, NULL);
    redis_batch_addv(b, 1, time, NULL);
    return place;
}

int
session_load_slice_add(struct redis_batch *b, const char *prefix, const char *id)
{
    struct key session = keys_session(prefix, id);
    struct key life = keys_life(prefix, keys_partition(id));
    const char *keys[] = { session.s, life.s };

    return redis_batch_script(b, LUA_LOAD_SLICE, 2, 2, keys, NULL);
}

/* A plain decimal of at most 18 digits; false when it is none. */
static bool
decimal(const char *s, size_t len, int64_t *out)
{
    int64_t v = 0;

    if (len == 0 || len > 18)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return true;
}

static bool
copy_text(char *out, size_t size, const redisReply *value)
{
    if (value->len >= size)
        return false;
    memcpy(out, value->str, value->len);
    out[value->len] = '\0';
    return true;
}

/* A hash, as HGETALL tells it. */
static bool
is_hash(const redisReply *reply)
{
    return redis_is_texts(reply) && reply->elements % 2 == 0;
}

static bool
take_life(const redisReply *life, struct session_loaded *ld)
{
    const redisReply *n;

    if (life->type != REDIS_REPLY_ARRAY || life->elements < LIFE_FIELDS)
        return false;
    if (life->element[LIFE_RUN_ID]->type != REDIS_REPLY_STRING)
        return true; /* none has begun */
    n = life->element[LIFE_N];
    return copy_text(ld->run_id, sizeof(ld->run_id), life->element[LIFE_RUN_ID]) &&
           n->type == REDIS_REPLY_STRING && decimal(n->str, n->len, &ld->life_n);
}

/* "n:from n:from", oldest first: the first one that the session of `life` has not lived. */
static bool
take_gaps(const redisReply *gaps, int64_t life, int64_t *from_ms)
{
    const char *at = gaps->str;

    if (gaps->type != REDIS_REPLY_STRING)
        return true; /* none */
    while (*at != '\0') {
        size_t n_len = strcspn(at, ":"), from_len = strcspn(at + n_len, " ");
        int64_t n, from;

        if (!decimal(at, n_len, &n) || from_len == 0 ||
            !decimal(at + n_len + 1, from_len - 1, &from))
            return false;
        if (life < n) {
            *from_ms = from;
            return true;
        }
        at += n_len + from_len;
        at += *at == ' ';
    }
    return true;
}

/* The commit's own fields, which have to be known even when the state is not readable. */
static bool
take_marks(const redisReply *hash, struct session *s, struct session_loaded *ld)
{
    for (size_t i = 0; i < hash->elements; i += 2) {
        const redisReply *name = hash->element[i];
        const redisReply *value = hash->element[i + 1];
        bool good = true;

        if (name->len != 1)
            continue;
        if (name->str[0] == 'v')
            good = copy_text(ld->version, sizeof(ld->version), value) &&
                   decimal(value->str, value->len, &s->version);
        else if (name->str[0] == 'e')
            good = copy_text(ld->epoch, sizeof(ld->epoch), value);
        else if (name->str[0] == 'c')
            good = copy_text(ld->commit_id, sizeof(ld->commit_id), value);
        if (!good)
            return false;
    }
    return s->version > 0 && epoch_is_valid(ld->epoch, strlen(ld->epoch));
}

static enum rc
take_state(const redisReply *hash, struct session *s, struct session_loaded *ld, struct fail *f)
{
    if (!take_marks(hash, s, ld))
        return fail_log(f, RC_STATE_UNREADABLE, "session hash without version or epoch");
    for (size_t i = 0; i < hash->elements; i += 2) {
        const redisReply *name = hash->element[i];
        const redisReply *value = hash->element[i + 1];
        enum rc rc = session_field_set(s, name->str, name->len, value->str, value->len, f);

        if (rc != RC_OK)
            return rc;
    }
    memcpy(s->epoch, ld->epoch, sizeof(s->epoch));
    epoch_raise(s->epoch, ld->life_n);
    return (s->is_slice ? session_slice_done : session_fields_done)(s, f);
}

static enum rc
take(const struct redisReply *const *reply, bool is_slice, struct session *s,
     struct session_loaded *ld, struct fail *f)
{
    enum rc rc;

    session_fini(s);
    session_init(s);
    s->is_slice = is_slice;
    *ld = (struct session_loaded){ .now_us = redis_time_us(reply[REPLY_TIME]) };
    if (ld->now_us < 0 || !is_hash(reply[REPLY_HASH]) || !take_life(reply[REPLY_LIFE], ld))
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: no replies to a load");
    ld->exists = reply[REPLY_HASH]->elements > 0;
    if (!ld->exists)
        return RC_OK;
    rc = take_state(reply[REPLY_HASH], s, ld, f);
    if (rc != RC_OK)
        return rc;
    session_clean(s);
    ld->backstop_ms = session_backstop(s, 0);
    if (!take_gaps(reply[REPLY_LIFE]->element[LIFE_GAPS], epoch_life(ld->epoch),
                   &ld->gap_from_ms))
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: no replies to a load");
    return RC_OK;
}

enum rc
session_load_take(const struct redisReply *const *reply, struct session *s,
                  struct session_loaded *ld, struct fail *f)
{
    return take(reply, false, s, ld, f);
}

enum rc
session_load_slice_result(const struct redis_batch *b, int place, struct session *s,
                          struct session_loaded *ld, struct fail *f)
{
    enum rc rc = redis_batch_check(b, place, f);
    const redisReply *reply;

    *ld = (struct session_loaded){ .now_us = -1 };
    if (rc == RC_INTERNAL) { /* what the script met was none of ours */
        fail_reset(f);
        return fail_log(f, RC_STATE_UNREADABLE, "no slice");
    }
    if (rc != RC_OK)
        return rc;
    reply = redis_batch_reply(b, place);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < REPLIES)
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: no reply to a load");
    return take((const redisReply *const *)reply->element, reply->elements > REPLIES, s, ld, f);
}

enum rc
session_load_result(const struct redis_batch *b, int place, struct session *s,
                    struct session_loaded *ld, struct fail *f)
{
    const redisReply *reply[REPLIES];

    for (int i = 0; i < REPLIES; i++) {
        enum rc rc = redis_batch_check(b, place + i, f);

        if (rc == RC_INTERNAL && i == REPLY_HASH) {
            ld->now_us = redis_time_us(redis_batch_reply(b, place + REPLY_TIME));
            fail_reset(f);
            return fail_log(f, RC_STATE_UNREADABLE, "session key of a wrong type");
        }
        if (rc != RC_OK)
            return rc;
        reply[i] = redis_batch_reply(b, place + i);
    }
    return session_load_take(reply, s, ld, f);
}

enum rc
session_load_read(const struct redis_batch *b, int place, const char *id, struct session *s,
                  int64_t *now_us, struct fail *f)
{
    struct session_loaded ld = { .now_us = -1 };
    enum rc rc = session_load_result(b, place, s, &ld, f);

    *now_us = ld.now_us;
    if (rc == RC_OK && !ld.exists)
        return fail_set(f, RC_SESSION_NOT_FOUND, "Session %.36s not found", id);
    return rc;
}
