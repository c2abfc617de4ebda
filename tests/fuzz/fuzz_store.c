/*
 * What Redis and PostgreSQL reply to a worker and to a timekeeper: the first line names who
 * asks (the table below), the parts behind it are what the servers say (servers.h).
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/metrics_ask.h"
#include "common/pg.h"
#include "common/redis.h"
#include "common/session_store.h"
#include "common/status.h"
#include "common/token.h"
#include "fcgi/request.h"
#include "fcgi/route.h"
#include "fuzz.h"
#include "servers.h"
#include "tests/lib/fake_io.h"

#include <string.h>

#define ID "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
#define OTHER "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f02"
#define P1 "11111111-1111-4111-8111-111111111111"
#define ONE "/v1/sessions/" ID
#define BODY                                                                                 \
    "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":120000," \
    "\"participants\":[{\"participant_id\":\"" P1                                            \
    "\",\"participant_index\":0,\"total_time_ms\":60000}]}"
#define EXPIRES_S 4102444800

enum { TOKEN = 1, KEY = 2, BRIEF = 4 };

struct ask {
    const char *name;
    const char *method, *uri, *body; /* body NULL: none */
    unsigned with;
    void (*run)(struct app *app); /* instead of a request */
};

/* --- a timekeeper --- */

static void
claim(struct app *app)
{
    struct store_claim claims[2] = { { .partition = 3, .max = STORE_DUE_MAX },
                                     { .partition = 4, .max = STORE_DUE_MAX } };
    struct fail f = { 0 };

    if (session_store_claim(app->store, "owner", 1500, claims, 2, &f) != RC_OK)
        return;
    for (size_t i = 0; i < 2; i++)
        HOLD(claims[i].n <= STORE_DUE_MAX);
}

static void
expire(struct app *app)
{
    static const struct store_due due[] = { { ID, 1795362403096LL },
                                            { OTHER, 1795362403097LL } };
    struct fail f = { 0 };
    size_t applied;

    (void)!session_store_expire(app->store, due, 2, &applied, &f);
}

static void
beat(struct app *app)
{
    struct fail f = { 0 };

    (void)!session_store_beat(app->store, &f);
}

static void
release(struct app *app)
{
    struct fail f = { 0 };

    (void)!session_store_release(app->store, "owner", &f);
}

/* --- both --- */

static void
metrics(struct app *app)
{
    int64_t asked[METRIC__MAX];
    struct fail f = { 0 };

    redis_batch_clear(app->batch);
    metrics_ask_nothing(asked);
    metrics_ask_add(app->batch, "sync:");
    if (redis_run(app->redis, app->batch, &f) == RC_OK)
        metrics_ask_take(app->batch, asked);
}

/* clang-format off */
static const struct ask asks[] = {
    { "get",      "GET",    ONE,                        NULL, 0, NULL },
    { "get as",   "GET",    ONE,                        NULL, TOKEN, NULL },
    { "poll",     "GET",    ONE "/poll?since_version=3", NULL, 0, NULL },
    { "create",   "POST",   "/v1/sessions",             BODY, TOKEN | KEY,  NULL },
    { "create anew", "POST", "/v1/sessions",            BODY, 0, NULL },
    { "start",    "POST",   ONE "/start",               "{}", 0, NULL },
    { "switch",   "POST",   ONE "/switch",              "{}", KEY,  NULL },
    { "switch brief", "POST", ONE "/switch",            "{}", KEY | BRIEF, NULL },
    { "switch as", "POST",  ONE "/switch",              "{}", TOKEN, NULL },
    { "delete",   "DELETE", ONE,                        NULL, KEY,  NULL },
    { "list",     "GET",    "/v1/sessions?limit=3",     NULL, TOKEN, NULL },
    { "list running", "GET", "/v1/sessions?status=running&cursor=1795362403096." ID, NULL, TOKEN, NULL },
    { "batch",    "POST",   "/v1/sessions/batch", "{\"session_ids\":[\"" ID "\",\"" OTHER "\"]}", 0, NULL },
    { "time",     "GET",    "/v1/time",                 NULL, 0, NULL },
    { "health",   "GET",    "/health",                  NULL, 0, NULL },
    { "ready",    "GET",    "/ready",                   NULL, 0, NULL },
    { "events",   "GET",    ONE "/events?limit=2",      NULL, 0, NULL },
    { "refused",  "POST",   ONE "/switch",              "[",  TOKEN, NULL },
    { "claim",    NULL, NULL, NULL, 0, claim },
    { "expire",   NULL, NULL, NULL, 0, expire },
    { "beat",     NULL, NULL, NULL, 0, beat },
    { "metrics",  NULL, NULL, NULL, 0, metrics },
    { "release",  NULL, NULL, NULL, 0, release },
};
/* clang-format on */

/* --- a worker --- */

static struct conf conf;
static struct app app;
static struct req rq;
static struct buf token;

/* Once; what an input may change is made for each. */
static void
begin(void)
{
    struct token_claims claims = {
        .sub = "somebody", .sid = "login", .jti = "1", .exp_s = EXPIRES_S, .iat_s = 1700000000
    };

    if (app.conf != NULL)
        return;
    conf = servers_conf();
    app.conf = &conf;
    HOLD(token_keys_new(&conf, &app.tokens, NULL) == RC_OK);
    (void)!status_open("/dev/null", &app.status, NULL);
    buf_init(&token, 4096);
    buf_str(&token, "Bearer ");
    HOLD(token_mint_own(app.tokens, &claims, &token));
    app.batch = redis_batch_new();
    request_init(&rq, &app);
}

/* What a replay shows is shown as it was stored. */
static bool
is_as_it_was(void)
{
    return strstr(buf_cstr(&rq.reply.head), "Idempotency-Replayed") != NULL;
}

static bool
answer(const struct ask *ask)
{
    struct fail f = { 0 };
    struct fake_io io;
    int status;

    fake_init(&io, ask->method, ask->uri, ask->body);
    if (strchr(ask->uri, '?') != NULL)
        fake_set(&io, "QUERY_STRING", strchr(ask->uri, '?') + 1);
    if ((ask->with & TOKEN) != 0)
        fake_set(&io, "HTTP_AUTHORIZATION", buf_cstr(&token));
    if ((ask->with & KEY) != 0)
        fake_set(&io, "HTTP_IDEMPOTENCY_KEY", "key");
    if ((ask->with & BRIEF) != 0)
        fake_set(&io, "HTTP_PREFER", "return=minimal");
    fake_set(&io, "HTTP_IF_NONE_MATCH", "W/\"0abcdefghij-wxyz.000000001-7\"");
    HOLD(request_parse(&rq, &io.super, &f) == RC_OK);
    route_dispatch(&rq);
    status = rq.reply.status;
    reply_render(&rq, &io.out);
    HOLD(status >= 200 && status <= 503 && !io.out.overflow);
    if (rq.reply.type != NULL && strcmp(rq.reply.type, REPLY_JSON_TYPE) == 0 && !is_as_it_was())
        fuzz_hold_shown(&rq.reply.body);
    request_reset(&rq);
    fake_fini(&io);
    return status < 400;
}

static const struct ask *
ask_of(const char *s, size_t len)
{
    const char *end = memchr(s, '\n', len);
    size_t line = end == NULL ? len : (size_t)(end - s);

    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++)
        if (strlen(asks[i].name) == line && memcmp(asks[i].name, s, line) == 0)
            return &asks[i];
    return NULL;
}

bool
fuzz_take(const char *s, size_t len)
{
    const struct ask *ask = ask_of(s, servers_begin(s, len, false));
    bool taken = ask != NULL;

    begin();
    if (ask == NULL)
        return false;
    app.redis = redis_new(&conf, "fuzz");
    app.store = session_store_new(&conf, app.redis);
    app.pg = pg_new("", "", 0);
    if (ask->run != NULL)
        ask->run(&app);
    else
        taken = answer(ask);
    pg_free(app.pg);
    session_store_free(app.store);
    redis_free(app.redis);
    servers_end();
    return taken;
}
