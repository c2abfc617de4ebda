#include "redis_batch.h"
#include "arena.h"
#include "buf.h"
#include "id.h"
#include "lua_scripts.h"
#include <assert.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>

#define WIRE_MAX (64u << 20)
#define SHA_LEN 40
#define HEAD_MAX 24
#define SECONDS_MAX 253402300799 /* year 9999 */

/* Commands that may be sent again when their answer was lost. */
static const char *const repeatable_commands[] = {
    "EXISTS", "EXPIRE", "GET",  "HGET",  "HGETALL",          "HMGET", "INFO",
    "PING",   "TIME",   "XLEN", "ZCARD", "ZREVRANGEBYSCORE", NULL,
};

/* Errors of a server that cannot serve now; the words are Redis's. */
static const char *const unavailable_errors[] = {
    "OOM",         "MISCONF",  "READONLY",   "LOADING",    "BUSY",
    "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MASTERDOWN", NULL,
};

static char script_sha[LUA__MAX][SHA_LEN + 1];
static pthread_once_t script_once = PTHREAD_ONCE_INIT;

static void
hash_scripts(void)
{
    for (int i = 0; i < LUA__MAX; i++) {
        unsigned char md[EVP_MAX_MD_SIZE];
        unsigned int len = 0;

        if (!EVP_Digest(lua_script_text[i], strlen(lua_script_text[i]), md, &len, EVP_sha1(),
                        NULL))
            abort(); /* libcrypto without SHA-1: nothing would work */
        for (unsigned int k = 0; k < len; k++)
            snprintf(script_sha[i] + 2 * k, 3, "%02x", md[k]);
    }
}

const char *
redis_script_sha(int script)
{
    assert(script >= 0 && script < LUA__MAX);
    pthread_once(&script_once, hash_scripts);
    return script_sha[script];
}

struct redis_batch *
redis_batch_new(void)
{
    struct redis_batch *b = xalloc(sizeof(*b));

    b->repeatable = true;
    return b;
}

void
redis_batch_drop_replies(struct redis_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        if (b->cmd[i].reply && !b->cmd[i].pooled)
            freeReplyObject(b->cmd[i].reply);
        b->cmd[i].reply = NULL;
    }
    if (b->pool)
        arena_reset(b->pool);
    b->got = 0;
}

void
redis_batch_clear(struct redis_batch *b)
{
    redis_batch_drop_replies(b);
    b->len = 0;
    b->overflow = false;
    b->n = 0;
    b->repeatable = true;
}

void
redis_batch_free(struct redis_batch *b)
{
    if (!b)
        return;
    redis_batch_clear(b);
    arena_free(b->pool);
    free(b->wire);
    free(b->cmd);
    free(b);
}

int
redis_batch_count(const struct redis_batch *b)
{
    return b->n;
}

/* Note a command whose bytes were appended from `at` on. */
static int
place_command(struct redis_batch *b, size_t at, int script)
{
    assert(b->got == 0);
    if (b->n == b->size) {
        b->size = b->size ? 2 * b->size : 16;
        b->cmd = xrealloc(b->cmd, (size_t)b->size * sizeof(*b->cmd));
    }
    b->cmd[b->n] = (struct redis_command){ .at = at, .len = b->len - at, .script = script };
    return b->n++;
}

static bool
is_repeatable(const char *name, size_t len)
{
    for (const char *const *p = repeatable_commands; *p; p++) {
        if (strlen(*p) == len && strncmp(*p, name, len) == 0)
            return true;
    }
    return false;
}

/* Where the next `len` bytes go; NULL when they would be too many. */
static char *
room_for(struct redis_batch *b, size_t len)
{
    char *p;

    if (len > WIRE_MAX - b->len)
        b->overflow = true;
    if (b->overflow)
        return NULL;
    if (b->len + len > b->room) {
        b->room = 2 * (b->len + len);
        b->wire = xrealloc(b->wire, b->room);
    }
    p = b->wire + b->len;
    b->len += len;
    return p;
}

static void
put_raw(struct redis_batch *b, const char *s, size_t len)
{
    char *p = room_for(b, len);

    if (p)
        memcpy(p, s, len);
}

/* "$17\r\n" or "*3\r\n" */
static void
put_head(struct redis_batch *b, char kind, size_t n)
{
    char text[HEAD_MAX];
    size_t at = sizeof(text);

    text[--at] = '\n';
    text[--at] = '\r';
    do
        text[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    text[--at] = kind;
    put_raw(b, text + at, sizeof(text) - at);
}

static void
put_bulk(struct redis_batch *b, const char *s, size_t len)
{
    char *p;

    put_head(b, '$', len);
    p = room_for(b, len + 2);
    if (!p)
        return;
    memcpy(p, s, len);
    p[len] = '\r';
    p[len + 1] = '\n';
}

int
redis_batch_add(struct redis_batch *b, const char *fmt, ...)
{
    size_t at = b->len;
    char *wire = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = redisvFormatCommand(&wire, fmt, ap);
    va_end(ap);
    if (len < 0)
        abort(); /* a wrong format is our bug, and malloc does not fail here */
    put_raw(b, wire, (size_t)len);
    redisFreeCommand(wire);
    b->repeatable = b->repeatable && is_repeatable(fmt, strcspn(fmt, " "));
    return place_command(b, at, -1);
}

int
redis_batch_addv(struct redis_batch *b, int argc, const char **argv, const size_t *lens)
{
    size_t at = b->len;

    put_head(b, '*', (size_t)argc);
    for (int i = 0; i < argc; i++)
        put_bulk(b, argv[i], lens ? lens[i] : strlen(argv[i]));
    b->repeatable = b->repeatable && is_repeatable(argv[0], lens ? lens[0] : strlen(argv[0]));
    return place_command(b, at, -1);
}

/* A hit counted twice is harmless, and so is a name put or dropped twice; a slice is read. The
 * others carry the run id of the server they were made for and must not reach another. */
static bool
is_repeatable_script(int script)
{
    return script == LUA_LIMIT_HIT || script == LUA_OWN_PUT || script == LUA_OWN_DROP ||
           script == LUA_LOAD_SLICE;
}

int
redis_batch_script(struct redis_batch *b, int script, int nkeys, int argc, const char **argv,
                   const size_t *lens)
{
    size_t at = b->len;
    char count[I64_SIZE];
    size_t digits = i64_print(count, nkeys);

    put_head(b, '*', (size_t)argc + 3);
    put_bulk(b, "EVALSHA", 7);
    put_bulk(b, redis_script_sha(script), SHA_LEN);
    put_bulk(b, count, digits);
    for (int i = 0; i < argc; i++)
        put_bulk(b, argv[i], lens ? lens[i] : strlen(argv[i]));
    b->repeatable = b->repeatable && is_repeatable_script(script);
    return place_command(b, at, script);
}

int
redis_batch_add_raw(struct redis_batch *b, const char *wire, size_t len)
{
    size_t at = b->len;

    put_raw(b, wire, len);
    b->repeatable = false;
    return place_command(b, at, -1);
}

const char *
redis_batch_wire(const struct redis_batch *b, size_t *len)
{
    *len = b->len;
    return b->wire ? b->wire : "";
}

static bool
place_reply(struct redis_batch *b, struct redisReply *reply, bool pooled)
{
    assert(b->got < b->n);
    b->cmd[b->got].reply = reply;
    b->cmd[b->got++].pooled = pooled;
    return b->got == b->n;
}

bool
redis_batch_give(struct redis_batch *b, struct redisReply *reply)
{
    return place_reply(b, reply, false);
}

bool
redis_batch_take(struct redis_batch *b, struct redisReply *reply)
{
    return place_reply(b, reply, true);
}

static void
free_pool(void *pool)
{
    arena_free(pool);
}

void
redis_batch_move(struct redis_batch *to, int to_place, struct redis_batch *from, int place)
{
    if (to->cmd[to_place].reply && !to->cmd[to_place].pooled)
        freeReplyObject(to->cmd[to_place].reply);
    to->cmd[to_place].reply = from->cmd[place].reply;
    to->cmd[to_place].pooled = from->cmd[place].pooled;
    from->cmd[place].reply = NULL;
    if (from->pool == NULL)
        return;
    if (to->pool == NULL)
        to->pool = from->pool;
    else
        arena_defer(to->pool, free_pool, from->pool); /* lives as long as what it holds */
    from->pool = NULL;
}

const struct redisReply *
redis_batch_reply(const struct redis_batch *b, int place)
{
    return place >= 0 && place < b->n ? b->cmd[place].reply : NULL;
}

/* Does the text say `word` where an error code stands: in front, or, from a script under Redis
 * 6, behind ": -". */
static bool
says(const char *text, const char *word)
{
    size_t len = strlen(word);

    while (strncmp(text, word, len) != 0 || (text[len] != ' ' && text[len] != '\0')) {
        text = strstr(text, ": -");
        if (!text)
            return false;
        text += strlen(": -");
    }
    return true;
}

enum rc
redis_batch_check(const struct redis_batch *b, int place, struct fail *f)
{
    const struct redisReply *reply = redis_batch_reply(b, place);

    if (!reply)
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: the reply was lost");
    if (reply->type != REDIS_REPLY_ERROR)
        return RC_OK;
    for (const char *const *p = unavailable_errors; *p; p++) {
        if (says(reply->str, *p))
            return fail_log(f, RC_STORE_UNAVAILABLE, "redis: %s", reply->str);
    }
    return fail_log(f, RC_INTERNAL, "redis: %s", reply->str);
}

bool
redis_is_texts(const struct redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

bool
redis_is_id(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING && id_is_uuid_shape(reply->str, reply->len);
}

int64_t
redis_time_us(const struct redisReply *reply)
{
    int64_t s, us;

    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return -1;
    }
    s = strtoll(reply->element[0]->str, NULL, 10);
    us = strtoll(reply->element[1]->str, NULL, 10);
    return s >= 0 && s <= SECONDS_MAX && us >= 0 && us < 1000000 ? s * 1000000 + us : -1;
}
