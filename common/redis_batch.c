#include "redis_batch.h"
#include "arena.h"
#include "lua_scripts.h"
#include <assert.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>

#define WIRE_MAX (64u << 20)
#define SHA_LEN 40

/* Commands that may be sent again when their answer was lost. */
static const char *const repeatable_commands[] = { "EXISTS", "GET",  "HGET", "HGETALL", "HMGET",
                                                   "INFO",   "PING", "TIME", NULL };

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

    buf_init(&b->wire, WIRE_MAX);
    b->repeatable = true;
    return b;
}

void
redis_batch_drop_replies(struct redis_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        if (b->cmd[i].reply)
            freeReplyObject(b->cmd[i].reply);
        b->cmd[i].reply = NULL;
    }
    b->got = 0;
}

void
redis_batch_clear(struct redis_batch *b)
{
    redis_batch_drop_replies(b);
    buf_clear(&b->wire);
    b->n = 0;
    b->repeatable = true;
}

void
redis_batch_free(struct redis_batch *b)
{
    if (!b)
        return;
    redis_batch_clear(b);
    buf_fini(&b->wire);
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
    b->cmd[b->n] =
        (struct redis_command){ .at = at, .len = b->wire.len - at, .script = script };
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

static void
put_bulk(struct buf *out, const char *s, size_t len)
{
    buf_char(out, '$');
    buf_i64(out, (int64_t)len);
    buf_add(out, "\r\n", 2);
    buf_add(out, s, len);
    buf_add(out, "\r\n", 2);
}

static void
put_count(struct buf *out, int n)
{
    buf_char(out, '*');
    buf_i64(out, n);
    buf_add(out, "\r\n", 2);
}

int
redis_batch_add(struct redis_batch *b, const char *fmt, ...)
{
    size_t at = b->wire.len;
    char *wire = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = redisvFormatCommand(&wire, fmt, ap);
    va_end(ap);
    if (len < 0)
        abort(); /* a wrong format is our bug, and malloc does not fail here */
    buf_add(&b->wire, wire, (size_t)len);
    redisFreeCommand(wire);
    b->repeatable = b->repeatable && is_repeatable(fmt, strcspn(fmt, " "));
    return place_command(b, at, -1);
}

int
redis_batch_addv(struct redis_batch *b, int argc, const char **argv, const size_t *lens)
{
    size_t at = b->wire.len;

    put_count(&b->wire, argc);
    for (int i = 0; i < argc; i++)
        put_bulk(&b->wire, argv[i], lens ? lens[i] : strlen(argv[i]));
    b->repeatable = b->repeatable && is_repeatable(argv[0], lens ? lens[0] : strlen(argv[0]));
    return place_command(b, at, -1);
}

int
redis_batch_script(struct redis_batch *b, int script, int nkeys, int argc, const char **argv,
                   const size_t *lens)
{
    size_t at = b->wire.len;
    char count[16];

    put_count(&b->wire, argc + 3);
    put_bulk(&b->wire, "EVALSHA", 7);
    put_bulk(&b->wire, redis_script_sha(script), SHA_LEN);
    put_bulk(&b->wire, count, (size_t)snprintf(count, sizeof(count), "%d", nkeys));
    for (int i = 0; i < argc; i++)
        put_bulk(&b->wire, argv[i], lens ? lens[i] : strlen(argv[i]));
    /* A hit counted twice is harmless. The others carry the run id of the server they were made
     * for and must not reach another. */
    b->repeatable = b->repeatable && script == LUA_LIMIT_HIT;
    return place_command(b, at, script);
}

int
redis_batch_add_raw(struct redis_batch *b, const char *wire, size_t len)
{
    size_t at = b->wire.len;

    buf_add(&b->wire, wire, len);
    b->repeatable = false;
    return place_command(b, at, -1);
}

const char *
redis_batch_wire(const struct redis_batch *b, size_t *len)
{
    *len = b->wire.len;
    return buf_cstr(&b->wire);
}

bool
redis_batch_give(struct redis_batch *b, struct redisReply *reply)
{
    assert(b->got < b->n);
    b->cmd[b->got++].reply = reply;
    return b->got == b->n;
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

    for (const char *p = text; p; p = strstr(p, ": -")) {
        if (p != text)
            p += 3;
        if (strncmp(p, word, len) == 0 && (p[len] == ' ' || p[len] == '\0'))
            return true;
    }
    return false;
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

int64_t
redis_time_us(const struct redisReply *reply)
{
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return -1;
    }
    return strtoll(reply->element[0]->str, NULL, 10) * 1000000 +
           strtoll(reply->element[1]->str, NULL, 10);
}
