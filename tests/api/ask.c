#include "ask.h"
#include "common/clock.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct private_redis server;
struct conf conf;
struct service service;
static char status_file[64];

/* The answer to the newest request. */
struct buf answer;
int status;

static void
set_conf(void)
{
    conf = private_redis_conf(&server);
    conf.app_env = ENV_TEST;
    conf.allowed_origins = "";
    conf.allow_anonymous = "";
    conf.database_url = "";
    conf.trusted_proxies = "";
    conf.status_file = status_file;
    conf.max_body_bytes = 4096;
    conf.strict_body = true;
    conf.jwt_secret = "the secret of the tests, long enough";
    conf.rate_limit_create = (struct limit_rule){ 5, 60000, 0 };
    conf.rate_limit_get = (struct limit_rule){ 100, 60000, 0 };
    conf.rate_limit_time = (struct limit_rule){ 60, 60000, 0 };
    conf.rate_limit_general = (struct limit_rule){ 100, 60000, 0 };
}

int
ask_setup(void **state)
{
    (void)state;
    set_conf();
    private_redis_ask(&server, "FLUSHALL");
    service_init(&service, &conf);
    return 0;
}

int
ask_teardown(void **state)
{
    (void)state;
    service_fini(&service);
    return 0;
}

int
send_fake(struct fake_io *fake)
{
    service_answer(&service, &fake->super);
    assert_int_equal(fake->finished, 1);
    buf_clear(&answer);
    buf_add(&answer, fake->out.data, fake->out.len);
    fake_fini(fake);
    assert_int_equal(strncmp(buf_cstr(&answer), "Status: ", 8), 0);
    status = (int)strtol(buf_cstr(&answer) + 8, NULL, 10);
    return status;
}

/* body NULL: none. Returns the status. */
int
ask(const char *method, const char *path, const char *body)
{
    struct fake_io fake;

    fake_init(&fake, method, path, body);
    return send_fake(&fake);
}

int
ask_with(const char *method, const char *path, const char *body, const char *name,
         const char *value)
{
    struct fake_io fake;

    fake_init(&fake, method, path, body);
    fake_set(&fake, name, value);
    return send_fake(&fake);
}

const char *
ask_token(const struct token_claims *claims)
{
    static struct buf text = { .max = TOKEN_TEXT_MAX };
    struct token_claims own = *claims;

    buf_clear(&text);
    buf_str(&text, "Bearer ");
    if (own.exp_s == 0)
        own.exp_s = clock_wall_ms() / 1000 + 3600;
    assert_true(token_mint_own(service.app.tokens, &own, &text));
    return buf_cstr(&text);
}

int
ask_as(const char *sub, enum role role, const char *method, const char *path, const char *body)
{
    const struct token_claims claims = { .sub = sub, .role = role };

    if (sub == NULL)
        return ask(method, path, body);
    return ask_with(method, path, body, "HTTP_AUTHORIZATION", ask_token(&claims));
}

bool
has(const char *part)
{
    return strstr(buf_cstr(&answer), part) != NULL;
}

void
expect(int want, const char *part)
{
    if (status != want || !has(part))
        fail_msg("wanted %d with %s, got %s", want, part, buf_cstr(&answer));
}

/* The value of one answer header into `out`; "" when it is missing. */
const char *
header(const char *name)
{
    static char out[256];
    char line[64];
    const char *at;

    snprintf(line, sizeof(line), "\r\n%s: ", name);
    at = strstr(buf_cstr(&answer), line);
    out[0] = '\0';
    if (at != NULL) {
        at += strlen(line);
        snprintf(out, sizeof(out), "%.*s", (int)strcspn(at, "\r"), at);
    }
    return out;
}

/* How often Redis has read from a socket: what is sent together is read together. */
int64_t
redis_reads(void)
{
    const char *stats = private_redis_ask(&server, "INFO stats");

    return strtoll(strstr(stats, "total_reads_processed:") + 22, NULL, 10);
}

void
ask_begin(void)
{
    private_redis_start(&server);
    snprintf(status_file, sizeof(status_file), "/tmp/sk-status-%d", (int)getpid());
    buf_init(&answer, 16 * 1024 * 1024);
}

void
ask_end(void)
{
    buf_fini(&answer);
    unlink(status_file);
    private_redis_stop(&server);
}
