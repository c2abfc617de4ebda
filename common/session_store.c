#include "session_store.h"
#include "arena.h"
#include "conf.h"
#include "event.h"
#include "redis.h"
#include "session_call.h"
#include "session_mine.h"

#define CREATE_TRIES_MAX 32
#define STATE_TEXT_MAX (4u << 20)
#define VERDICT_MAX (64u << 10)

struct session_store *
session_store_new(const struct conf *conf, struct redis *r)
{
    struct session_store *st = xalloc(sizeof(*st));

    st->conf = conf;
    st->redis = r;
    st->load = redis_batch_new();
    st->commit = redis_batch_new();
    session_commit_init(&st->pending);
    buf_init(&st->found, VERDICT_MAX);
    buf_init(&st->verdict, VERDICT_MAX);
    return st;
}

void
session_store_free(struct session_store *st)
{
    if (!st)
        return;
    redis_batch_free(st->load);
    redis_batch_free(st->commit);
    session_commit_fini(&st->pending);
    due_log_fini(&st->due);
    buf_fini(&st->found);
    buf_fini(&st->verdict);
    free(st);
}

/* Nothing known yet; a switch limit that is off has its whole quota. */
static void
result_begin(const struct session_store *st, struct store_result *res)
{
    const struct limit_rule *rule = &st->conf->rate_limit_switch;

    *res = (struct store_result){ .change = { .participant = -1, .expired = -1 } };
    res->switch_limit = (struct limit_state){
        .known = !st->conf->rate_limit_enabled && rule->count > 0,
        .limit = rule->count,
        .remaining = rule->count,
        .window_ms = rule->window_ms,
    };
}

enum rc
session_store_get(struct session_store *st, const char *id, const struct store_terms *terms,
                  struct session *s, struct store_result *res, struct fail *f)
{
    static const struct store_terms none = { 0 };

    return session_store_command(st, id, NULL, terms ? terms : &none, s, res, f);
}

enum rc
session_store_command(struct session_store *st, const char *id, const struct command *cmd,
                      const struct store_terms *terms, struct session *s,
                      struct store_result *res, struct fail *f)
{
    struct session_call c;
    enum rc rc;

    session_call_begin(&c, st, id);
    c.cmd = cmd;
    c.terms = terms;
    c.caller = terms->caller;
    c.s = s;
    c.res = res;
    c.f = f;
    c.takes_slice =
        terms->is_brief && cmd && cmd->type == COMMAND_SWITCH && !cmd->next_participant_id;
    result_begin(st, res);
    rc = session_call_load(&c, terms->rider);
    return rc == RC_OK ? session_call_settle(&c) : rc;
}

/* --- creation --- */

/* Whether both are the same but for their instants, which `a` takes over from `b`. */
static bool
is_same(struct session *a, const struct session *b)
{
    struct buf text_a, text_b;
    bool same;

    a->created_at = b->created_at;
    a->updated_at = b->updated_at;
    buf_init(&text_a, STATE_TEXT_MAX);
    buf_init(&text_b, STATE_TEXT_MAX);
    event_snapshot(&text_a, a);
    event_snapshot(&text_b, b);
    same = text_a.len == text_b.len && strcmp(buf_cstr(&text_a), buf_cstr(&text_b)) == 0;
    buf_fini(&text_a);
    buf_fini(&text_b);
    return same;
}

/* The session is there: ours of before (res->created), the same again, or another. */
static enum rc
compare(struct session_call *c, struct session *draft, bool sent)
{
    bool mine = sent && strcmp(c->ld.commit_id, c->commit_id) == 0;
    struct change change;
    enum rc rc;

    /* Also ours when others have gone on from it: the epoch is. */
    if (sent && strncmp(c->ld.epoch, draft->epoch, strcspn(draft->epoch, ".")) == 0)
        mine = true;
    if (!mine) {
        rc = session_create(draft, c->s->created_at, &change, c->f);
        if (rc != RC_OK)
            return rc;
        if (c->s->version != 1 || !is_same(draft, c->s))
            return fail_set(c->f, RC_SESSION_EXISTS, "Session %.36s already exists", draft->id);
    }
    c->res->created = mine;
    return RC_OK;
}

/* The answer to a creation that met a session. *again: look at it again. */
static enum rc
meet(struct session_call *c, struct session *draft, bool sent, bool *again)
{
    struct fail trouble = { 0 };
    enum commit_verdict verdict;
    enum rc rc = compare(c, draft, sent), stored;

    *again = false;
    c->judged = true;
    session_commit_clear(&c->st->pending);
    if (session_call_keep(c, c->s, rc)) {
        stored = session_call_send(c, session_due_commit_id, c->s, &verdict, &trouble);
        if (stored != RC_OK && verdict == COMMIT_ERROR) {
            *c->f = trouble;
            return stored;
        }
        *again = stored != RC_OK || verdict != COMMIT_DONE;
    }
    if (*again)
        fail_reset(c->f);
    if (*again || rc != RC_OK)
        return rc;
    session_fini(draft);
    *draft = *c->s;
    session_init(c->s);
    return RC_OK;
}

/* There is no such session: put it there. RC_OK with res->created when it is done, without when
 * it has to be looked at again. */
static enum rc
put_there(struct session_call *c, struct session *draft, bool *sent)
{
    struct session_commit *pending = &c->st->pending;
    struct fail trouble = { 0 };
    enum commit_verdict verdict;
    struct change change;
    enum rc rc;

    epoch_make(draft->epoch, c->ld.now_us, c->ld.life_n);
    rc = session_create(draft, c->ld.now_us / 1000, &change, c->f);
    if (rc != RC_OK)
        return rc;
    session_commit_clear(pending);
    session_commit_change(pending, draft, &change, STATUS_UNSET, c->ld.now_us / 1000,
                          c->terms->actor);
    c->res->change = change;
    c->res->created = true;
    c->judged = true;
    session_call_keep(c, draft, RC_OK);
    rc = session_call_send(c, c->commit_id, draft, &verdict, &trouble);
    if (rc == RC_OK && verdict == COMMIT_DONE)
        return RC_OK;
    c->res->change = (struct change){ .participant = -1, .expired = -1 };
    c->res->created = false;
    *sent = *sent || rc == RC_OUTCOME_UNKNOWN;
    if (rc != RC_OK && verdict == COMMIT_ERROR) {
        if (c->f)
            *c->f = trouble;
        return rc;
    }
    return RC_OK;
}

static enum rc
create(struct session_call *c, struct session *draft)
{
    bool sent = false; /* and the answer was lost */
    bool again;

    for (int i = 0; i < CREATE_TRIES_MAX; i++) {
        enum rc rc = session_call_load(c, i == 0 ? c->terms->rider : NULL);

        if (rc != RC_OK && sent) {
            fail_reset(c->f);
            return fail_log(c->f, RC_OUTCOME_UNKNOWN, "create: answer lost, no more is known");
        }
        if (rc != RC_OK || session_call_replays(c, &rc))
            return rc;
        if (c->ld.exists) {
            rc = session_call_settle(c); /* it may be one that is over by now */
            if (rc == RC_OK) {
                rc = meet(c, draft, sent, &again);
                if (!again)
                    return rc;
                continue;
            }
            if (rc != RC_SESSION_NOT_FOUND)
                return rc;
            fail_reset(c->f);
            continue;
        }
        rc = put_there(c, draft, &sent);
        if (rc != RC_OK || c->res->created)
            return rc;
    }
    return fail_set(c->f, RC_CONFLICT, "Concurrent modification detected, please retry");
}

/* The owner had a session of this id before: from now on it is his newest. Best effort, for it
 * is named in any case. */
static void
name_anew(struct session_call *c)
{
    struct redis_batch *b = c->st->commit;
    struct fail ignored = { 0 };

    redis_batch_clear(b);
    session_mine_put(b, c->st->conf->key_prefix, c->owner, c->id, true);
    (void)!redis_run(c->st->redis, b, &ignored);
}

enum rc
session_store_create(struct session_store *st, struct session *draft,
                     const struct store_terms *terms, struct store_result *res, struct fail *f)
{
    struct session found;
    struct session_call c;
    enum rc rc;

    session_init(&found);
    session_call_begin(&c, st, draft->id);
    c.terms = terms;
    c.s = &found;
    c.res = res;
    c.f = f;
    result_begin(st, res);
    c.owner = draft->owner[0] != '\0' ? draft->owner : NULL;
    rc = create(&c, draft);
    if (rc == RC_OK && res->created && c.was_named)
        name_anew(&c);
    session_fini(&found);
    return rc;
}
