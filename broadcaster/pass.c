#include "pass.h"

#include "client.h"
#include "common/access.h"
#include "common/arena.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "common/revoke.h"
#include "common/token.h"
#include "failures.h"
#include "frame.h"
#include "protocol.h"
#include "seat.h"

#include <assert.h>
#include <utlist.h>

#define ASK_MAX 64 /* clients in one question */
#define WHO_MAX (TOKEN_NAME_MAX + 16)
#define GONE_MAX (4 << 20) /* what does not fit is forgotten when this process ends */

/* A question under way; who goes meanwhile is taken out. */
struct ask {
    struct passes *p;
    struct redis_batch *batch;
    struct client *client[ASK_MAX]; /* whose token it is about */
    struct client *sitter[ASK_MAX]; /* who wants to be counted */
    char *who[ASK_MAX];             /* as what; NULL: is not counted here; owned */
    char owner[SEAT_OWNER_MAX];     /* under which name of ours */
    int place[ASK_MAX], seat[ASK_MAX];
    size_t n;
};

struct passes {
    const struct conf *conf;
    struct token_keys *keys;
    struct clients *clients;
    struct pass_calls calls;
    struct client *waiting; /* to be asked about */
    struct ask *ask;        /* NULL: none under way */
    struct seats seats;
    struct buf gone; /* whose sockets are one less: texts with a NUL behind each */
    int64_t beat_ms; /* the next one */
    int64_t next_ms; /* no token ends or is to be warned of before */
    struct buf text; /* scratch */
};

static void
ask_free(struct ask *ask)
{
    for (size_t i = 0; i < ask->n; i++)
        free(ask->who[i]);
    redis_batch_free(ask->batch);
    free(ask);
}

struct passes *
passes_new(const struct conf *conf, struct token_keys *keys, struct clients *clients,
           const struct pass_calls *calls)
{
    struct passes *p = xalloc(sizeof(*p));

    *p = (struct passes){
        .conf = conf, .keys = keys, .clients = clients, .calls = *calls, .next_ms = INT64_MAX
    };
    buf_init(&p->text, 512);
    buf_init(&p->gone, GONE_MAX);
    seats_init(&p->seats, conf);
    return p;
}

void
passes_free(struct passes *p)
{
    if (p == NULL)
        return;
    assert(p->waiting == NULL);
    if (p->ask != NULL)
        ask_free(p->ask);
    buf_fini(&p->text);
    buf_fini(&p->gone);
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

    if (now_ms >= p->beat_ms)
        p->beat_ms = 0;
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
    if ((c->pass.token == NULL && !c->pass.wants_seat) || c->pass.is_waiting)
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
forget_sitter(struct passes *p, const struct client *c)
{
    for (size_t i = 0; p->ask != NULL && i < p->ask->n; i++)
        if (p->ask->sitter[i] == c)
            p->ask->sitter[i] = NULL;
}

/* --- seats --- */

/* Whose sockets it counts among: REFRESH does not change that. */
static const char *
who_of(const struct client *c, char out[WHO_MAX])
{
    const struct token *user = c->pass.is_user ? c->pass.token : NULL;

    snprintf(out, WHO_MAX, "%s %s", user != NULL ? "user" : "address",
             user != NULL ? user->sub : c->pass.address);
    return out;
}

static void
give_back(struct passes *p, const char *who)
{
    if (p->gone.len + strlen(who) < GONE_MAX)
        buf_add(&p->gone, who, strlen(who) + 1);
}

static void
want_seat_again(struct passes *p, struct client *c, bool has_one)
{
    c->pass.has_seat = false;
    c->pass.wants_seat = true;
    c->pass.keeps_seat = has_one;
    want_ask(p, c);
}

/* Under another name: what Redis knows of us may be wrong, and ends by itself. */
static void
count_anew(struct passes *p)
{
    struct client *c;

    if (!seats_are_on(&p->seats))
        return;
    seats_renew(&p->seats);
    buf_clear(&p->gone);
    p->beat_ms = 0;
    for (int i = 0; i < p->clients->wheel.slots; i++)
        DL_FOREACH2(p->clients->slots[i], c, slot_next)
    if (c->pass.has_seat)
        want_seat_again(p, c, true);
}

/* The answer to whether there is a seat; the socket may have gone meanwhile. */
static void
seat(struct passes *p, struct ask *ask, size_t i, enum seat_verdict verdict)
{
    struct client *c = ask->sitter[i];

    if (strcmp(ask->owner, p->seats.owner) != 0) { /* counted under a name that is no more */
        if (c != NULL && verdict != SEAT_REFUSED)
            want_seat_again(p, c, c->pass.keeps_seat || verdict == SEAT_TAKEN);
        return;
    }
    if (verdict == SEAT_SILENT)
        metrics_add(METRIC_LIMIT_SILENT, 1, 0, 0, 0);
    if (verdict == SEAT_REFUSED && c != NULL) {
        metrics_add(METRIC_LIMIT_REJECTIONS, 1, metric_label_place(METRIC_LIMIT, "ws_open"), 0,
                    0);
        client_finish(c, NULL, 4429, "Too many connections");
    }
    if (verdict == SEAT_TAKEN && c != NULL)
        c->pass.has_seat = true;
    else if (verdict == SEAT_TAKEN)
        give_back(p, ask->who[i]);
}

static void
put_beat(struct passes *p, struct redis_batch *b)
{
    if (p->beat_ms != 0 || !seats_are_on(&p->seats))
        return;
    seat_beat(&p->seats, b);
    p->beat_ms = p->calls.now_ms(p->calls.ctx) + SEAT_BEAT_MS;
}

/* Who left. */
static void
put_seats(struct passes *p, struct redis_batch *b)
{
    for (size_t at = 0; at < p->gone.len; at += strlen(p->gone.data + at) + 1)
        seat_close(&p->seats, b, p->gone.data + at);
    buf_clear(&p->gone);
}

static bool
has_something_to_say(const struct passes *p)
{
    return p->waiting != NULL || p->gone.len > 0 ||
           (p->beat_ms == 0 && seats_are_on(&p->seats));
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
    if (!complete)
        count_anew(p); /* nobody knows what was counted */
    for (size_t i = 0; i < ask->n; i++) {
        if (ask->who[i] != NULL)
            seat(p, ask, i, complete ? seat_verdict(b, ask->seat[i]) : SEAT_SILENT);
        if (ask->client[i] == NULL || ask->place[i] < 0)
            continue;
        if (complete)
            judge(p, ask->client[i], b, ask->place[i]);
        else
            want_ask(p, ask->client[i]);
    }
    ask_free(ask);
}

static void
put_client(struct passes *p, struct ask *ask, struct client *c)
{
    char who[WHO_MAX];
    size_t i = ask->n++;

    ask->client[i] = ask->sitter[i] = c;
    ask->place[i] = -1;
    if (c->pass.token != NULL)
        ask->place[i] = revoke_add(ask->batch, p->conf->key_prefix, c->pass.token);
    if (!c->pass.wants_seat)
        return;
    ask->who[i] = xstrdup(who_of(c, who));
    ask->seat[i] = seat_open(&p->seats, ask->batch, who, c->pass.keeps_seat);
    c->pass.wants_seat = false;
}

void
passes_pump(struct passes *p)
{
    struct ask *ask;

    if (!has_something_to_say(p) || p->ask != NULL || !p->calls.is_up(p->calls.ctx))
        return;
    ask = xalloc(sizeof(*ask));
    ask->p = p;
    memcpy(ask->owner, p->seats.owner, sizeof(ask->owner));
    ask->batch = redis_batch_new();
    put_beat(p, ask->batch);
    while (p->waiting != NULL && ask->n < ASK_MAX) {
        struct client *c = p->waiting;

        stop_waiting(p, c);
        put_client(p, ask, c);
    }
    put_seats(p, ask->batch);
    p->ask = ask;
    if (p->calls.ask(p->calls.ctx, ask->batch, on_answer, ask))
        return;
    on_answer(ask, ask->batch, false); /* the link went down */
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
    count_anew(p);
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
pass_take(struct passes *p, struct client *c, const struct token *token, const char *address)
{
    const struct caller who = { .token = token };

    c->pass.is_free = !p->conf->auth_required;
    c->pass.address = xstrdup(address);
    c->pass.is_user = token != NULL;
    c->pass.wants_seat = seats_are_on(&p->seats) && !access_is_unlimited(&who);
    put_token(p, c, token);
}

static enum fault
fail(struct passes *p, struct client *c, int64_t now_ms)
{
    int64_t wait_ms;

    if (!pass_is_unlimited(c) &&
        !failures_add(p->conf, p->calls.tally, c->pass.address, now_ms, &wait_ms))
        client_finish(c, NULL, 1008, "Too many failed tokens");
    return FAULT_UNAUTHENTICATED;
}

enum fault
pass_refresh(struct passes *p, struct client *c, const char *text)
{
    int64_t now_ms = p->calls.now_ms(p->calls.ctx);
    const struct token *t;

    if (token_check(p->keys, text, strlen(text), now_ms, &t, NULL) != RC_OK ||
        t->exp_ms <= now_ms)
        return fail(p, c, now_ms);
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
    char who[WHO_MAX];

    forget_ask(p, c);
    forget_sitter(p, c);
    stop_waiting(p, c);
    if (c->pass.has_seat)
        give_back(p, who_of(c, who));
    free(c->pass.token);
    free(c->pass.address);
    c->pass.token = NULL;
    c->pass.address = NULL;
}
