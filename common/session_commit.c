#include "session_commit.h"
#include "arena.h"
#include "buf.h"
#include "changes.h"
#include "event.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session_load.h"
#include "session_row.h"
#include "session_slice.h"
#include "warning.h"
#include <assert.h>
#include <hiredis/hiredis.h>

#define TEXT_MAX (16u << 20)
#define SNAPSHOT_EVERY 64
#define TTL_MIN_MS 3600000 /* of what is over since long, and still has to be ended */

enum { KEYS_N = 6, FIXED_N = 22 };
enum { FULL = COMMIT_ERROR }; /* of the script's answers, the one behind the verdicts */
/* The script's answer when it has committed; the numbers of a limit come last. */
enum { DONE_NOW = 1, DONE_CHANGES, DONE_N, LIMIT_N = 3 };

bool
session_commit_snaps(int64_t version)
{
    return version % SNAPSHOT_EVERY == 0;
}

void
session_commit_init(struct session_commit *c)
{
    *c = (struct session_commit){ 0 };
    buf_init(&c->text, TEXT_MAX);
}

void
session_commit_fini(struct session_commit *c)
{
    buf_fini(&c->text);
    free(c->warnings.part);
    free(c->fields.part);
    free(c->records.part);
    free(c->argv);
    free(c->lens);
}

void
session_commit_clear(struct session_commit *c)
{
    buf_clear(&c->text);
    c->warnings.n = c->fields.n = c->records.n = c->changes = 0;
    c->deleted = false;
}

static void
add_part(struct commit_parts *p, size_t at, size_t len)
{
    if (p->n == p->size) {
        p->size = p->size ? 2 * p->size : 16;
        p->part = xrealloc(p->part, p->size * sizeof(*p->part));
    }
    p->part[p->n++] = (struct commit_part){ .at = at, .len = len };
}

/* The text from `at` to its end becomes a part. */
static void
close_part(struct commit_parts *p, const struct buf *text, size_t at)
{
    add_part(p, at, text->len - at);
}

/* The fields that the record from `at` on names, line by line behind its first, are what the
 * hash gets: one text for both. */
static void
take_fields(struct session_commit *c, size_t at)
{
    const char *text = buf_cstr(&c->text), *end = text + c->text.len;
    const char *line, *stop;

    if (c->text.overflow)
        return; /* perhaps in the middle of a line */
    for (line = rawmemchr(text + at, '\n') + 1; line < end; line = stop + 1) {
        const char *space = rawmemchr(line, ' ');

        stop = rawmemchr(space, '\n');
        add_part(&c->fields, (size_t)(line - text), (size_t)(space - line));
        add_part(&c->fields, (size_t)(space + 1 - text), (size_t)(stop - space - 1));
    }
}

void
session_commit_warn(struct session_commit *c, const struct session *s, int64_t now_ms)
{
    struct warning warnings[SESSION_WARNINGS_MAX];
    size_t n = session_warnings(s, warnings);

    assert(c->changes == 0);
    for (size_t i = 0; i < n && warnings[i].at_ms <= now_ms; i++) {
        size_t at = c->text.len;

        buf_i64(&c->text, warnings[i].at_ms);
        close_part(&c->warnings, &c->text, at);
        at = c->text.len;
        warning_encode(&c->text, s, warnings[i].threshold_ms, now_ms);
        close_part(&c->warnings, &c->text, at);
    }
}

/* Derived from the rows, so that it is stored, but no part of the event. */
static void
take_turns(struct session_commit *c, const struct session *s, const struct change *change)
{
    size_t at = c->text.len;

    if (!session_turns_moved(s, change))
        return;
    buf_char(&c->text, 'o');
    close_part(&c->fields, &c->text, at);
    at = c->text.len;
    session_turns_field(s, &c->text);
    close_part(&c->fields, &c->text, at);
}

void
session_commit_change(struct session_commit *c, struct session *s, const struct change *change,
                      enum sync_status before, int64_t server_time_ms, const char *actor)
{
    bool created = change->type == EVENT_SESSION_CREATED;
    size_t at = c->text.len;

    assert(change->type != EVENT_NONE && !c->deleted);
    event_encode(&c->text, s, change, server_time_ms, actor, created);
    take_fields(c, at);
    close_part(&c->records, &c->text, at);
    at = c->text.len;
    if (created || s->status != before || session_commit_snaps(change->version))
        event_snapshot(&c->text, s);
    close_part(&c->records, &c->text, at);
    take_turns(c, s, change);
    c->changes++;
    c->deleted = change->type == EVENT_SESSION_DELETED;
    session_clean(s);
}

struct arguments {
    struct session_commit *c;
    size_t n;
};

static void
put(struct arguments *a, const char *s, size_t len)
{
    struct session_commit *c = a->c;

    if (a->n == c->size) {
        c->size = c->size ? 2 * c->size : 64;
        c->argv = xrealloc(c->argv, c->size * sizeof(*c->argv));
        c->lens = xrealloc(c->lens, c->size * sizeof(*c->lens));
    }
    c->argv[a->n] = s;
    c->lens[a->n++] = len;
}

static void
put_text(struct arguments *a, const char *s)
{
    put(a, s, strlen(s));
}

static void
put_number(struct arguments *a, char text[I64_SIZE], int64_t v)
{
    put(a, text, i64_print(text, v));
}

static void
put_parts(struct arguments *a, const struct commit_parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        put(a, buf_cstr(&a->c->text) + p->part[i].at, p->part[i].len);
}

/* Where the texts of the arguments stand until the batch has copied them. */
struct scratch {
    char number[8][I64_SIZE];
    char id[ID_LEN + 1];
};

/* What was read, and what becomes of the hash: version, epoch, delete or not, TTL, wake-up. */
static void
put_terms(struct arguments *a, const struct commit_terms *t, const struct session *s,
          struct scratch *o)
{
    const struct session_commit *c = a->c;
    bool gone = c->deleted || !s;
    int64_t backstop = s ? session_backstop(s, t->ended_ttl_ms) : 0;
    int64_t rest_ms = backstop - t->ld->now_us / 1000;

    put_text(a, t->ld->version);
    put_text(a, t->ld->epoch);
    if (s && c->changes > 0)
        put_number(a, o->number[0], s->version);
    else
        put_text(a, "");
    put_text(a, s ? s->epoch : "");
    put_text(a, t->commit_id);
    put_text(a, t->ld->run_id);
    put_number(a, o->number[1], t->ld->life_n);
    put_number(a, o->number[2], t->ld->now_us);
    put_text(a, gone ? "delete" : t->due_only ? "due" : "");
    if (gone) {
        put_text(a, "");
        put_text(a, "");
        return;
    }
    if (backstop == t->ld->backstop_ms && !t->due_only)
        put_text(a, "");
    else
        put_number(a, o->number[3], rest_ms > TTL_MIN_MS ? rest_ms : TTL_MIN_MS);
    if (c->changes > 0)
        put_number(a, o->number[4], session_wakeup(s, 0, t->ended_ttl_ms));
    else
        put_text(a, "-");
}

static void
put_limit(struct arguments *a, const struct limit_rule *rule, struct scratch *o)
{
    put_number(a, o->number[5], rule ? rule->count : 0);
    put_number(a, o->number[6], rule ? rule->window_ms : 0);
    put_number(a, o->number[7], rule ? rule->cooldown_ms : 0);
}

enum rc
session_commit_add(struct session_commit *c, struct redis_batch *b,
                   const struct commit_terms *t, const struct session *s, int *place,
                   struct fail *f)
{
    int partition = keys_partition(t->id);
    struct key key[KEYS_N] = {
        keys_session(t->prefix, t->id),      keys_wakeups(t->prefix, partition),
        keys_audit(t->prefix, partition),    keys_life(t->prefix, partition),
        keys_switch_limit(t->prefix, t->id), keys_idem(t->prefix, t->id),
    };
    struct key channel = keys_channel(t->prefix, t->id);
    struct key wake = keys_wake(t->prefix, partition);
    struct arguments a = { .c = c };
    char nfields[I64_SIZE], nwarnings[I64_SIZE];
    struct scratch o;

    *place = -1;
    if (c->text.overflow)
        return fail_log(f, RC_INTERNAL, "commit of more than 16 MB");
    for (int i = 0; i < KEYS_N; i++)
        put(&a, key[i].s, key[i].len);
    put_terms(&a, t, s, &o);
    id_lower(t->id, o.id);
    put(&a, o.id, ID_LEN);
    put(&a, channel.s, channel.len);
    put(&a, wake.s, wake.len);
    put_text(&a, t->audit_keep == NULL ? "" : t->audit_keep);
    put_limit(&a, t->limit, &o);
    put_number(&a, nfields, (int64_t)c->fields.n);
    put_text(&a, t->idem_key ? t->idem_key : "");
    put(&a, t->idem_key ? buf_cstr(t->verdict) : "", t->idem_key ? t->verdict->len : 0);
    put_number(&a, nwarnings, c->changes > 0 ? (int64_t)c->warnings.n / 2 : 0);
    assert(a.n == KEYS_N + FIXED_N);
    if (c->changes > 0)
        put_parts(&a, &c->warnings);
    put_parts(&a, &c->fields);
    put_parts(&a, &c->records);
    *place = redis_batch_script(b, LUA_COMMIT, KEYS_N, (int)a.n, c->argv, c->lens);
    return RC_OK;
}

enum commit_verdict
session_commit_verdict(const struct redis_batch *b, int place, struct fail *f)
{
    static const struct {
        size_t least, most;
    } elements[] = { [COMMIT_DONE] = { DONE_N, DONE_N + LIMIT_N },
                     [COMMIT_LOST_RACE] = { 4, 4 },
                     [COMMIT_OTHER_LIFE] = { 1, 1 },
                     [COMMIT_LIMITED] = { 1 + LIMIT_N, 1 + LIMIT_N },
                     [COMMIT_ANSWERED] = { 1, 1 } };
    const redisReply *reply;
    long long v;

    if (redis_batch_check(b, place, f) != RC_OK)
        return COMMIT_ERROR;
    reply = redis_batch_reply(b, place);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->type == REDIS_REPLY_INTEGER && reply->element[0]->integer == FULL) {
        fail_log(f, RC_STORE_FULL, "commit: the audit streams are full");
        return COMMIT_ERROR;
    }
    v = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                reply->element[0]->type == REDIS_REPLY_INTEGER
            ? reply->element[0]->integer
            : -1;
    if (v >= COMMIT_DONE && v < COMMIT_ERROR && reply->elements >= elements[v].least &&
        reply->elements <= elements[v].most)
        return (enum commit_verdict)v;
    fail_log(f, RC_INTERNAL, "commit: an unknown reply");
    return COMMIT_ERROR;
}

void
session_commit_note(const struct redis_batch *b, int place, const char *id)
{
    const redisReply *changes = redis_batch_reply(b, place)->element[DONE_CHANGES];

    if (changes->type == REDIS_REPLY_INTEGER)
        changes_note(keys_partition(id), changes->integer);
}

int64_t
session_commit_done_us(const struct redis_batch *b, int place)
{
    const redisReply *now = redis_batch_reply(b, place)->element[DONE_NOW];

    return now->type == REDIS_REPLY_INTEGER ? now->integer : 0;
}

struct limit_state
session_commit_limit(const struct redis_batch *b, int place, const struct limit_rule *rule)
{
    const redisReply *reply = redis_batch_reply(b, place);

    return limit_read(reply, reply->elements - LIMIT_N, rule);
}
