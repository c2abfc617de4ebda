#include "pass.h"

#include "client.h"
#include "common/access.h"
#include "common/arena.h"
#include "common/conf.h"
#include "common/redis.h"
#include "common/revoke.h"
#include "common/token.h"
#include "frame.h"
#include "protocol.h"

#include <assert.h>
#include <utlist.h>

#define ASK_MAX 64 /* clients in one question */

/* A question under way; who goes meanwhile is taken out. */
struct ask {
    struct passes *p;
    struct redis_batch *batch;
    struct client *client[ASK_MAX];
    int place[ASK_MAX];
    size_t n;
};

struct passes {
    const struct conf *conf;
    struct token_keys *keys;
    struct clients *clients;
    struct pass_calls calls;
    struct client *waiting; /* to be asked about */
    struct ask *ask;        /* NULL: none under way */
    int64_t next_ms;        /* no token ends or is to be warned of before */
    struct buf text;        /* scratch */
};

struct passes *
passes_new(const struct conf *conf, struct token_keys *keys, struct clients *clients,
           const struct pass_calls *calls)
{
    struct passes *p = xalloc(sizeof(*p));

    *p = (struct passes){
        .conf = conf, .keys = keys, .clients = clients, .calls = *calls, .next_ms = INT64_MAX
    };
    buf_init(&p->text, 512);
    return p;
}

void
passes_free(struct passes *p)
{
    if (p == NULL)
        return;
    assert(p->waiting == NULL);
    if (p->ask != NULL)
        redis_batch_free(p->ask->batch);
    free(p->ask);
    buf_fini(&p->text);
    free(p);
}

/* --- time --- */

static void
warn(struct passes *p, struct client *c, int64_t now_ms)
{
    struct frame *f;

    buf_clear(&p->text);
    protocol_token_expiring(&p->text, c->pass.token->exp_ms, now_ms);
    f = frame_new(FRAME_TEXT, p->text.data, p->text.len);
    f->stays = true;
    (void)client_reply(c, f);
    frame_drop(f);
    c->pass.is_warned = true;
}

static void
look_at(struct passes *p, struct client *c, int64_t now_ms)
{
    const struct token *t = c->pass.token;
    int64_t next_ms;

    if (t == NULL || c->close_code != 0)
        return;
    if (now_ms >= t->exp_ms) {
        client_finish(c, NULL, 4401, "Token expired");
        return;
    }
    if (!c->pass.is_warned && now_ms >= t->exp_ms - PASS_WARN_MS)
        warn(p, c, now_ms);
    next_ms = c->pass.is_warned ? t->exp_ms : t->exp_ms - PASS_WARN_MS;
    if (next_ms < p->next_ms)
        p->next_ms = next_ms;
}

void
passes_tick(struct passes *p)
{
    int64_t now_ms = p->calls.now_ms(p->calls.ctx);
    struct client *c;

    if (now_ms < p->next_ms)
        return;
    p->next_ms = INT64_MAX;
    for (int i = 0; i < p->clients->wheel.slots; i++)
        DL_FOREACH2(p->clients->slots[i], c, slot_next)
    look_at(p, c, now_ms);
}

void
pass_greet(struct passes *p, struct client *c)
{
    look_at(p, c, p->calls.now_ms(p->calls.ctx));
}

/* --- revocation --- */

static void
want_ask(struct passes *p, struct client *c)
{
    if (c->pass.token == NULL || c->pass.is_waiting)
        return;
    c->pass.is_waiting = true;
    DL_APPEND2(p->waiting, c, pass.prev, pass.next);
}

static void
stop_waiting(struct passes *p, struct client *c)
{
    if (!c->pass.is_waiting)
        return;
    c->pass.is_waiting = false;
    DL_DELETE2(p->waiting, c, pass.prev, pass.next);
}

static void
forget_ask(struct passes *p, const struct client *c)
{
    for (size_t i = 0; p->ask != NULL && i < p->ask->n; i++)
        if (p->ask->client[i] == c)
            p->ask->client[i] = NULL;
}

static void
judge(struct passes *p, struct client *c, const struct redis_batch *b, int place)
{
    struct fail f = { 0 };
    enum rc rc = revoke_judge(b, place, c->pass.token, &f);

    if (rc == RC_UNAUTHENTICATED)
        client_finish(c, NULL, 4401, "Token revoked");
    else if (rc != RC_OK)
        want_ask(p, c);
}

static void
on_answer(void *ctx, struct redis_batch *b, bool complete)
{
    struct ask *ask = ctx;
    struct passes *p = ask->p;

    p->ask = NULL;
    for (size_t i = 0; i < ask->n; i++) {
        if (ask->client[i] == NULL)
            continue;
        if (complete)
            judge(p, ask->client[i], b, ask->place[i]);
        else
            want_ask(p, ask->client[i]);
    }
    redis_batch_free(b);
    free(ask);
}

void
passes_pump(struct passes *p)
{
    struct ask *ask;

    if (p->waiting == NULL || p->ask != NULL)
        return;
    ask = xalloc(sizeof(*ask));
    ask->p = p;
    ask->batch = redis_batch_new();
    while (p->waiting != NULL && ask->n < ASK_MAX) {
        struct client *c = p->waiting;

        stop_waiting(p, c);
        ask->place[ask->n] = revoke_add(ask->batch, p->conf->key_prefix, c->pass.token);
        ask->client[ask->n++] = c;
    }
    p->ask = ask;
    if (p->calls.ask(p->calls.ctx, ask->batch, on_answer, ask))
        return;
    p->ask = NULL; /* the link is down: at the next turn */
    for (size_t i = 0; i < ask->n; i++)
        want_ask(p, ask->client[i]);
    redis_batch_free(ask->batch);
    free(ask);
}

void
passes_revoked(struct passes *p, const char *message, size_t len)
{
    struct client *c;

    for (int i = 0; i < p->clients->wheel.slots; i++)
        DL_FOREACH2(p->clients->slots[i], c, slot_next)
    if (c->pass.token != NULL && revoke_hits(message, len, c->pass.token))
        client_finish(c, NULL, 4401, "Token revoked");
}

void
passes_link_up(struct passes *p)
{
    struct client *c;

    for (int i = 0; i < p->clients->wheel.slots; i++)
        DL_FOREACH2(p->clients->slots[i], c, slot_next)
    want_ask(p, c);
}

/* --- one client --- */

static void
put_token(struct passes *p, struct client *c, const struct token *token)
{
    forget_ask(p, c); /* it is about the old one */
    stop_waiting(p, c);
    free(c->pass.token);
    c->pass.token = token != NULL ? token_dup(token) : NULL;
    c->pass.is_warned = false;
    want_ask(p, c);
}

void
pass_take(struct passes *p, struct client *c, const struct token *token)
{
    c->pass.is_free = !p->conf->auth_required;
    put_token(p, c, token);
}

enum fault
pass_refresh(struct passes *p, struct client *c, const char *text)
{
    int64_t now_ms = p->calls.now_ms(p->calls.ctx);
    const struct token *t;

    if (token_check(p->keys, text, strlen(text), now_ms, &t, NULL) != RC_OK ||
        t->exp_ms <= now_ms)
        return FAULT_UNAUTHENTICATED;
    if (c->pass.token != NULL && strcmp(c->pass.token->sub, t->sub) != 0)
        return FAULT_OTHER_SUB;
    put_token(p, c, t);
    look_at(p, c, now_ms);
    return FAULT_NONE;
}

bool
pass_is_unlimited(const struct client *c)
{
    const struct caller who = { .token = c->pass.token };

    return access_is_unlimited(&who);
}

void
pass_leave(struct passes *p, struct client *c)
{
    forget_ask(p, c);
    stop_waiting(p, c);
    free(c->pass.token);
    c->pass.token = NULL;
}
