#include "session_mine.h"
#include "arena.h"
#include "conf.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session_call.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define KEPT "10000"
#define TTL_S "2592000"
#define SCORE_DIGITS 15
#define CHUNK 100 /* sessions read at once to find some in a status */

int
session_mine_put(struct redis_batch *b, const char *prefix, const char *owner, const char *id,
                 bool anew)
{
    struct key key = keys_owned(prefix, owner);
    char lower[ID_LEN + 1];

    id_lower(id, lower);
    return redis_batch_script(b, LUA_OWN_PUT, 1, 5,
                              (const char *[]){ key.s, lower, anew ? "1" : "0", KEPT, TTL_S },
                              NULL);
}

void
session_mine_put_back(struct redis_batch *b, const char *prefix, const char *owner,
                      const char *id, int64_t created_at)
{
    struct key key = keys_owned(prefix, owner);
    char lower[ID_LEN + 1];

    id_lower(id, lower);
    redis_batch_add(b, "ZADD %s %lld %s", key.s, (long long)created_at, lower);
    redis_batch_add(b, "EXPIRE %s " TTL_S, key.s);
}

/* --- cursors: the score and the id behind which to go on --- */

struct mark {
    char id[ID_LEN + 1];
    int64_t at_ms;
};

/* A score, as Redis writes it. */
static bool
score_read(const char *s, size_t len, int64_t *ms)
{
    *ms = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || i == SCORE_DIGITS)
            return false;
        *ms = *ms * 10 + (s[i] - '0');
    }
    return len > 0;
}

static bool
cursor_read(const char *cursor, struct mark *m)
{
    const char *dot = strchr(cursor, '.');

    if (!dot || !score_read(cursor, (size_t)(dot - cursor), &m->at_ms) ||
        !id_is_uuid_shape(dot + 1, strlen(dot + 1)))
        return false;
    id_lower(dot + 1, m->id);
    return true;
}

bool
session_mine_cursor_is_valid(const char *cursor)
{
    struct mark m;

    return cursor_read(cursor, &m);
}

/* --- names --- */

struct name {
    const char *id;    /* borrowed from the reply, as all here */
    const char *score; /* as Redis writes it */
    int64_t at_ms;     /* the same */
    bool gone;
};

struct listing {
    struct session_store *st;
    const struct store_mine *q;
    struct redis_batch *names; /* holds the replies that `name` borrows from */
    struct name *name;
    size_t total;         /* names */
    size_t at;            /* the first one that was not looked at */
    bool more;            /* there are others behind them */
    struct session *room; /* CHUNK of them */
};

static int
ask_names(struct listing *l, const struct mark *after)
{
    struct key key = keys_owned(l->st->conf->key_prefix, l->q->owner);
    char max[24] = "+inf";
    const char *range[] = { "ZREVRANGEBYSCORE", key.s,   max, "-inf",
                            "WITHSCORES",       "LIMIT", "0", "501" };
    const char *expire[] = { "EXPIRE", key.s, TTL_S };
    int place;

    _Static_assert(MINE_NAMES_MAX == 500, "asked for one more");
    if (after->id[0] != '\0')
        snprintf(max, sizeof(max), "%" PRId64, after->at_ms);
    place = redis_batch_addv(l->names, 8, range, NULL);
    redis_batch_addv(l->names, 3, expire, NULL);
    return place;
}

/* Names of the same instant come in falling order, too. */
static bool
is_behind(const struct name *name, const struct mark *after)
{
    return after->id[0] == '\0' || name->at_ms < after->at_ms ||
           strcmp(name->id, after->id) < 0;
}

static enum rc
take_names(struct listing *l, int place, const struct mark *after, struct fail *f)
{
    enum rc rc = redis_batch_check(l->names, place, f);
    const redisReply *reply;

    if (rc != RC_OK)
        return rc;
    reply = redis_batch_reply(l->names, place);
    l->name = xalloc((reply->elements / 2 + 1) * sizeof(*l->name));
    l->more = reply->elements / 2 > MINE_NAMES_MAX;
    for (size_t i = 0; i + 1 < reply->elements && i / 2 < MINE_NAMES_MAX; i += 2) {
        const redisReply *id = reply->element[i], *score = reply->element[i + 1];
        struct name name = { .id = id->str, .score = score->str };

        if (redis_is_id(id) && score->str && score_read(score->str, score->len, &name.at_ms) &&
            is_behind(&name, after))
            l->name[l->total++] = name;
    }
    return RC_OK;
}

static enum rc
read_names(struct listing *l, const struct store_rider *rider, struct fail *f)
{
    struct mark after = { 0 };
    enum rc rc;
    int place;

    if (l->q->cursor && !cursor_read(l->q->cursor, &after))
        return fail_set(f, RC_VALIDATION, "The cursor is none of ours");
    if (rider)
        rider->append(rider->ctx, l->names);
    place = ask_names(l, &after);
    rc = redis_run(l->st->redis, l->names, f);
    if (rc == RC_OK && rider)
        rc = rider->judge(rider->ctx, l->names, f);
    return rc == RC_OK ? take_names(l, place, &after, f) : rc;
}

/* --- sessions --- */

/* What was read becomes one of the page. */
static void
take(struct store_read *out, struct store_read *from)
{
    struct session *s = out->s;

    session_fini(s);
    *s = *from->s;
    session_init(from->s);
    *out = *from;
    out->s = s;
}

/* Look at the next names; those that fit go into out[]. */
static enum rc
read_some(struct listing *l, struct store_read *out, size_t *n, struct fail *f)
{
    size_t most = l->q->status == STATUS_UNSET ? l->q->limit - *n : CHUNK, count = 0;
    struct store_read reads[CHUNK];
    enum rc rc;

    for (; count < most && l->at + count < l->total; count++)
        reads[count] =
            (struct store_read){ .id = l->name[l->at + count].id, .s = &l->room[count] };
    rc = session_store_get_many(l->st, reads, count, NULL, f);
    for (size_t i = 0; rc == RC_OK && i < count && *n < l->q->limit; i++, l->at++) {
        if (!reads[i].found || strcmp(reads[i].s->owner, l->q->owner) != 0)
            l->name[l->at].gone = true;
        else if (l->q->status == STATUS_UNSET || reads[i].s->status == l->q->status)
            take(&out[(*n)++], &reads[i]);
    }
    return rc;
}

/* Best effort: what stays is dropped the next time. */
static void
drop_gone(struct listing *l)
{
    struct key key = keys_owned(l->st->conf->key_prefix, l->q->owner);
    const char *argv[1 + 2 * MINE_NAMES_MAX] = { key.s };
    struct fail ignored = { 0 };
    int argc = 1;

    for (size_t i = 0; i < l->at; i++) {
        if (!l->name[i].gone)
            continue;
        argv[argc++] = l->name[i].id;
        argv[argc++] = l->name[i].score;
    }
    if (argc == 1)
        return;
    redis_batch_clear(l->st->commit);
    redis_batch_script(l->st->commit, LUA_OWN_DROP, 1, argc, argv, NULL);
    (void)!redis_run(l->st->redis, l->st->commit, &ignored);
}

enum rc
session_store_mine(struct session_store *st, const struct store_mine *q,
                   const struct store_rider *rider, struct store_read *out, size_t *n,
                   char next[MINE_CURSOR_MAX], struct fail *f)
{
    struct listing l = { .st = st, .q = q, .names = redis_batch_new() };
    enum rc rc;

    *n = 0;
    next[0] = '\0';
    l.room = xalloc(CHUNK * sizeof(*l.room));
    for (size_t i = 0; i < CHUNK; i++)
        session_init(&l.room[i]);
    rc = read_names(&l, rider, f);
    while (rc == RC_OK && *n < q->limit && l.at < l.total)
        rc = read_some(&l, out, n, f);
    if (rc == RC_OK) {
        drop_gone(&l);
        if (l.at > 0 && (l.at < l.total || l.more))
            snprintf(next, MINE_CURSOR_MAX, "%s.%s", l.name[l.at - 1].score,
                     l.name[l.at - 1].id);
    }
    for (size_t i = 0; i < CHUNK; i++)
        session_fini(&l.room[i]);
    free(l.room);
    free(l.name);
    redis_batch_free(l.names);
    return rc;
}
