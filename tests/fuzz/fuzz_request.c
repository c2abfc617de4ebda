/*
 * A request from a web server: lines NAME=value, as FastCGI has them, and behind an empty line
 * the body; a line TOKEN=claims becomes a token of ours, with CUT the peer breaks off. It is
 * dispatched as always; what Redis says may follow (servers.h), otherwise it is away, which is
 * then the answer to what was well-formed.
 */
#include "common/arena.h"
#include "common/pg.h"
#include "common/redis.h"
#include "common/session_store.h"
#include "common/status.h"
#include "common/token.h"
#include "common/token_key.h"
#include "fcgi/reply.h"
#include "fcgi/request.h"
#include "fcgi/route.h"
#include "fuzz.h"
#include "servers.h"
#include "tests/lib/fake_io.h"

#include <string.h>

#define HEADER "{\"alg\":\"HS256\"}\n"

struct input {
    struct fake_io io;
    char *text;   /* cut into variables */
    char *bearer; /* NULL: none */
};

static struct conf conf;
static struct app app;
static struct token_key *key;
static struct req rq;

static void
begin(void)
{
    if (app.conf != NULL)
        return;
    conf = servers_conf();
    conf.max_body_bytes = 1024;
    app.conf = &conf;
    app.id_prefix[0] = 'x';
    HOLD(proxy_list_parse("192.0.2.0/24, ::1", &app.proxies, NULL) == RC_OK);
    HOLD(token_keys_new(&conf, &app.tokens, NULL) == RC_OK);
    (void)!status_open("/dev/null", &app.status, NULL);
    key = token_key_secret(conf.jwt_secret);
    app.batch = redis_batch_new();
    request_init(&rq, &app);
}

static void
take_token(struct input *in, const char *claims)
{
    size_t size = sizeof(HEADER) + strlen(claims), len;
    char *text = xalloc(size), *token;

    snprintf(text, size, HEADER "%s", claims);
    token = fuzz_sign(key, text, size - 1, &len);
    free(in->bearer);
    in->bearer = xalloc(len + sizeof("Bearer "));
    snprintf(in->bearer, len + sizeof("Bearer "), "Bearer %s", token);
    fake_set(&in->io, "HTTP_AUTHORIZATION", in->bearer);
    free(token);
    free(text);
}

/* "NAME=value" lines; the text is cut at each. */
static void
take_variables(struct input *in)
{
    char *line = in->text, *end;

    for (; line != NULL && in->io.n < FAKE_VARS_MAX; line = end) {
        char *equals;

        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (strcmp(line, "CUT") == 0)
            in->io.is_cut = true;
        equals = strchr(line, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        if (strcmp(line, "TOKEN") == 0)
            take_token(in, equals + 1);
        else
            fake_set(&in->io, line, equals + 1);
    }
}

static void
split(struct input *in, const char *s, size_t len)
{
    const char *body = memmem(s, len, "\n\n", 2);
    size_t head = body == NULL ? len : (size_t)(body - s);

    in->text = xalloc(head + 1);
    memcpy(in->text, s, head);
    fake_init(&in->io, "GET", "/", NULL);
    in->io.super.at_end = fake_at_end;
    if (body != NULL) {
        in->io.body = body + 2;
        in->io.body_len = len - head - 2;
    }
    take_variables(in);
}

/* Whether nothing of it was wrong. */
static bool
answer(struct input *in)
{
    struct fail f = { 0 };
    int status;

    if (request_parse(&rq, &in->io.super, &f) != RC_OK)
        reply_fail(&rq, &f, NULL);
    else
        route_dispatch(&rq);
    status = rq.reply.status;
    reply_render(&rq, &in->io.out);
    HOLD(status >= 200 && status <= 503 && !in->io.out.overflow);
    HOLD(memmem(in->io.out.data, in->io.out.len, "\r\n\r\n", 4) != NULL);
    if (rq.reply.type != NULL && strcmp(rq.reply.type, REPLY_JSON_TYPE) == 0)
        fuzz_hold_shown(&rq.reply.body);
    request_reset(&rq);
    return status < 400 || status == 503;
}

bool
fuzz_take(const char *s, size_t len)
{
    struct input in = { .text = NULL };
    bool taken;

    begin();
    split(&in, s, servers_begin(s, len, false));
    app.redis = redis_new(&conf, "fuzz");
    app.store = session_store_new(&conf, app.redis);
    app.pg = pg_new("", "", 0);
    taken = answer(&in);
    pg_free(app.pg);
    session_store_free(app.store);
    redis_free(app.redis);
    servers_end();
    fake_fini(&in.io);
    free(in.bearer);
    free(in.text);
    return taken;
}
