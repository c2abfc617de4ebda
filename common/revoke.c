#include "revoke.h"
#include "keys.h"
#include "redis.h"
#include "token.h"

#include <hiredis/hiredis.h>

static const char *const names[REVOKE__MAX] = { "sub", "sid", "jti" };

const char *
revoke_kind_name(enum revoke_kind k)
{
    return names[k];
}

/* "" when the token does not say. */
static const char *
value_of(const struct token *t, enum revoke_kind kind)
{
    const char *const values[REVOKE__MAX] = { t->sub, t->sid, t->jti };

    return values[kind];
}

int
revoke_add(struct redis_batch *b, const char *prefix, const struct token *t)
{
    int place = redis_batch_count(b);

    for (int k = 0; k < REVOKE__MAX; k++) {
        const char *value = value_of(t, (enum revoke_kind)k);
        struct key key;

        if (value[0] == '\0')
            continue;
        key = keys_revoked(prefix, names[k], value);
        redis_batch_addv(b, 2, (const char *[]){ "GET", key.s }, NULL);
    }
    return place;
}

/* Digits only; anything else counts as now, so that a damaged record shuts out. */
static int64_t
instant_of(const char *s, size_t len)
{
    int64_t ms = 0;

    if (len == 0 || len > 15)
        return INT64_MAX;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return INT64_MAX;
        ms = ms * 10 + (s[i] - '0');
    }
    return ms;
}

enum rc
revoke_judge(const struct redis_batch *b, int place, const struct token *t, struct fail *f)
{
    for (int k = 0; k < REVOKE__MAX; k++) {
        const redisReply *reply;
        enum rc rc;

        if (value_of(t, (enum revoke_kind)k)[0] == '\0')
            continue;
        rc = redis_batch_check(b, place, f);
        if (rc != RC_OK)
            return rc;
        reply = redis_batch_reply(b, place++);
        if (reply->type == REDIS_REPLY_STRING &&
            t->iat_ms <= instant_of(reply->str, reply->len))
            return fail_set(f, RC_UNAUTHENTICATED, "The token has been revoked");
    }
    return RC_OK;
}

int
revoke_put(struct redis_batch *b, const char *prefix, enum revoke_kind kind, const char *value,
           int64_t now_ms)
{
    struct key key = keys_revoked(prefix, names[kind], value);
    struct key channel = keys_revoked_channel(prefix);
    char at[24], ttl[24], head[40], message[40 + TOKEN_NAME_MAX + 1];
    int place;

    snprintf(at, sizeof(at), "%lld", (long long)now_ms);
    snprintf(ttl, sizeof(ttl), "%d", REVOKE_KEPT_S);
    snprintf(head, sizeof(head), "%s %s ", names[kind], at);
    snprintf(message, sizeof(message), "%s%.*s", head, TOKEN_NAME_MAX, value);
    place = redis_batch_addv(b, 5, (const char *[]){ "SET", key.s, at, "EX", ttl }, NULL);
    redis_batch_addv(b, 3, (const char *[]){ "PUBLISH", channel.s, message }, NULL);
    return place;
}

bool
revoke_hits(const char *message, size_t len, const struct token *t)
{
    for (int k = 0; k < REVOKE__MAX; k++) {
        const char *value = value_of(t, (enum revoke_kind)k), *at, *space;
        size_t left;

        if (value[0] == '\0' || len < 4 || memcmp(message, names[k], 3) != 0 ||
            message[3] != ' ')
            continue;
        at = message + 4;
        left = len - 4;
        space = memchr(at, ' ', left);
        if (!space)
            return false;
        left -= (size_t)(space + 1 - at);
        return left == strlen(value) && memcmp(space + 1, value, left) == 0 &&
               t->iat_ms <= instant_of(at, (size_t)(space - at));
    }
    return false;
}
