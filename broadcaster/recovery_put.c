#include "recovery_put.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/pg.h"
#include "common/redis.h"
#include "common/session.h"
#include "common/session_mine.h"
#include "common/session_row.h"
#include "common/session_slice.h"
#include "lua_scripts.h"
#include "recovery_fold.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

/* A snapshot is recorded at least every 64 versions; twice that leaves room for replaced ones.
 */
#define ROWS_USUAL "160"
#define ROWS_ALL "1000000"
#define TEXT_MAX (16u << 20)

enum { C_EPOCH, C_VERSION, C_IS_DELETION, C_DELTA, C_SNAPSHOT };

static const struct pg_stmt rows_stmt = {
    "records of a session",
    "SELECT epoch, version, (event_type = 'session_deleted')::integer, delta, snapshot"
    " FROM sync_events WHERE session_id = $1 ORDER BY epoch DESC, version DESC LIMIT "
    "$2::bigint",
    2,
};

struct recovery_putter *
recovery_putter_new(const struct conf *conf, struct redis *redis, struct pg *pg)
{
    struct recovery_putter *p = xalloc(sizeof(*p));

    p->conf = conf;
    p->redis = redis;
    p->pg = pg;
    p->batch = redis_batch_new();
    p->names = redis_batch_new();
    p->names_again = redis_batch_new();
    p->send = redis_batch_new();
    return p;
}

void
recovery_putter_free(struct recovery_putter *p)
{
    if (p == NULL)
        return;
    redis_batch_free(p->batch);
    redis_batch_free(p->names);
    redis_batch_free(p->names_again);
    redis_batch_free(p->send);
    free(p);
}

/* --- marks --- */

void
recovery_mark_ask(struct recovery_putter *p, const char *id)
{
    redis_batch_add(p->batch, "HMGET %s v e", keys_session(p->conf->key_prefix, id).s);
}

void
recovery_mark_take(const struct redis_batch *b, int place, struct recovery_mark *mark)
{
    const redisReply *reply = redis_batch_reply(b, place);

    *mark = (struct recovery_mark){ .version = 0 };
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return;
    mark->version = strtoll(reply->element[0]->str, NULL, 10);
    snprintf(mark->epoch, sizeof(mark->epoch), "%s", reply->element[1]->str);
}

bool
recovery_mark_is_before(const struct recovery_mark *a, const struct recovery_mark *b)
{
    int order = strcmp(a->epoch, b->epoch);

    return order < 0 || (order == 0 && a->version < b->version);
}

/* --- the recorded state --- */

struct recorded {
    struct recovery_mark mark;
    bool is_deletion;
    struct session s;
};

/* Out of the newest rows; *enough when they reach back to a snapshot. */
static enum rc
read_rows(const struct pg_result *rows, struct recorded *out, bool *enough, struct fail *f)
{
    struct recovery_fold *fold = recovery_fold_new();
    enum rc rc = RC_OK;

    *enough = false;
    snprintf(out->mark.epoch, sizeof(out->mark.epoch), "%s", pg_text(rows, 0, C_EPOCH));
    out->mark.version = pg_int(rows, 0, C_VERSION);
    out->is_deletion = pg_int(rows, 0, C_IS_DELETION) == 1;
    for (int i = 0; i < pg_rows(rows) && !*enough; i++) {
        const struct recovery_row row = { .epoch = pg_text(rows, i, C_EPOCH),
                                          .version = pg_int(rows, i, C_VERSION),
                                          .delta = pg_text(rows, i, C_DELTA),
                                          .snapshot = pg_text(rows, i, C_SNAPSHOT) };

        *enough = recovery_fold_add(fold, &row);
    }
    if (*enough && !out->is_deletion)
        rc = recovery_fold_state(fold, &out->s, f);
    recovery_fold_free(fold);
    return rc;
}

static enum rc
read_recorded(struct recovery_putter *p, const char *id, struct recorded *out, struct fail *f)
{
    static const char *const limits[] = { ROWS_USUAL, ROWS_ALL };
    bool enough = false;
    enum rc rc = RC_OK;

    for (size_t i = 0; i < 2 && rc == RC_OK && !enough; i++) {
        const char *args[] = { id, limits[i] };
        struct pg_result *rows = NULL;

        rc = pg_run(p->pg, &rows_stmt, args, &rows, f);
        if (rc == RC_OK && pg_rows(rows) > 0)
            rc = read_rows(rows, out, &enough, f);
        pg_result_free(rows);
    }
    if (rc == RC_OK && !enough)
        return fail_log(f, RC_STATE_UNREADABLE, "no snapshot is recorded");
    return rc;
}

/* --- putting it back --- */

/* Arguments of the script; the texts stand in `text` until they are sent. */
struct arguments {
    struct buf text;
    struct {
        size_t at, len;
    } * part;
    size_t n, size;
};

static void
put(struct arguments *a, const char *s, size_t len)
{
    if (a->n == a->size) {
        a->size = a->size == 0 ? 64 : 2 * a->size;
        a->part = xrealloc(a->part, a->size * sizeof(*a->part));
    }
    a->part[a->n].at = a->text.len;
    a->part[a->n++].len = len;
    buf_add(&a->text, s, len);
}

static void
put_text(struct arguments *a, const char *s)
{
    put(a, s, strlen(s));
}

static void
put_number(struct arguments *a, int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, v);
    put_text(a, text);
}

static void
put_field(void *ctx, const char *name, const char *value, size_t len)
{
    put_text(ctx, name);
    put(ctx, value, len);
}

static void
put_turns(struct arguments *a, const struct session *s)
{
    struct buf turns;

    buf_init(&turns, TEXT_MAX);
    session_turns_field(s, &turns);
    if (turns.len > 0)
        put_field(a, "o", buf_cstr(&turns), turns.len);
    buf_fini(&turns);
}

static void
send(struct recovery_putter *p, const struct arguments *a)
{
    const char **argv = xalloc(a->n * sizeof(*argv));
    size_t *lens = xalloc(a->n * sizeof(*lens));

    for (size_t i = 0; i < a->n; i++) {
        argv[i] = buf_cstr(&a->text) + a->part[i].at;
        lens[i] = a->part[i].len;
    }
    redis_batch_script(p->send, LUA_RECOVERY_PUT, 3, (int)a->n, argv, lens);
    free(argv);
    free(lens);
}

static void
ask_put(struct recovery_putter *p, const char *id, const struct recovery_mark *there,
        int64_t life, const struct recorded *recorded)
{
    int partition = keys_partition(id);
    struct arguments a = { .n = 0 };

    buf_init(&a.text, TEXT_MAX);
    put_text(&a, keys_session(p->conf->key_prefix, id).s);
    put_text(&a, keys_wakeups(p->conf->key_prefix, partition).s);
    put_text(&a, keys_life(p->conf->key_prefix, partition).s);
    if (there->epoch[0] == '\0')
        put_text(&a, "");
    else
        put_number(&a, there->version);
    put_text(&a, there->epoch);
    put_number(&a, life);
    put_text(&a, id);
    if (recorded->is_deletion) {
        put_text(&a, "");
        put_text(&a, "");
    } else {
        put_number(&a, recorded->mark.version);
        put_text(&a, recorded->mark.epoch);
        put_number(&a, session_backstop(&recorded->s, p->conf->session_cache_ttl_ms));
        session_fields(&recorded->s, true, put_field, &a);
        put_turns(&a, &recorded->s);
    }
    send(p, &a);
    buf_fini(&a.text);
    free(a.part);
}

static void
name(struct recovery_putter *p, const struct session *s, const char *id)
{
    const char *prefix = p->conf->key_prefix;

    /* with another time, by which whoever drops it knows that it was named anew */
    session_mine_put_back(p->names, prefix, s->owner, id, s->created_at + 1);
    session_mine_put_back(p->names_again, prefix, s->owner, id, s->created_at);
}

/* Add what one session needs to p->send. RC_OK, also when it needs nothing. */
static enum rc
put_one(struct recovery_putter *p, const char *id, int place, int64_t life, struct fail *f)
{
    struct recorded recorded = { .is_deletion = false };
    struct recovery_mark there;
    bool goes;
    enum rc rc = redis_batch_check(p->batch, place, f);

    if (rc != RC_OK)
        return rc;
    recovery_mark_take(p->batch, place, &there);
    session_init(&recorded.s);
    rc = read_recorded(p, id, &recorded, f);
    /* What has ended need not come back when it is gone. */
    goes = there.epoch[0] == '\0'
               ? !recorded.is_deletion && !sync_status_is_terminal(recorded.s.status)
               : recovery_mark_is_before(&there, &recorded.mark);
    if (rc == RC_OK && goes) {
        if (!recorded.is_deletion && recorded.s.owner[0] != '\0')
            name(p, &recorded.s, id);
        ask_put(p, id, &there, life, &recorded);
    }
    session_fini(&recorded.s);
    if (rc != RC_STATE_UNREADABLE)
        return rc;
    log_error("session cannot be put back", LOG_STR("session_id", id),
              LOG_STR("error", f->log));
    fail_reset(f);
    return RC_OK;
}

enum rc
recovery_put(struct recovery_putter *p, const struct recovery_id *id, size_t n,
             const int64_t lives[KEYS_PARTITIONS], size_t *done, struct fail *f)
{
    enum rc rc;

    *done = 0;
    redis_batch_clear(p->batch);
    redis_batch_clear(p->names);
    redis_batch_clear(p->names_again);
    redis_batch_clear(p->send);
    for (size_t i = 0; i < n; i++)
        recovery_mark_ask(p, id[i].s);
    rc = redis_run(p->redis, p->batch, f);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = put_one(p, id[i].s, (int)i, lives[keys_partition(id[i].s)], f);
    if (rc != RC_OK || redis_batch_count(p->send) == 0)
        return rc;
    /* Names first, as for a creation: a session is never without one. And once more, because
     * who lists them in between drops names whose sessions are not there yet. */
    rc = redis_run(p->redis, p->names, f);
    if (rc == RC_OK)
        rc = redis_run(p->redis, p->send, f);
    if (rc == RC_OK)
        rc = redis_run(p->redis, p->names_again, f);
    for (int i = 0; i < redis_batch_count(p->send) && rc == RC_OK; i++) {
        rc = redis_batch_check(p->send, i, f);
        if (rc == RC_OK && redis_batch_reply(p->send, i)->integer == 1)
            (*done)++;
    }
    return rc;
}
