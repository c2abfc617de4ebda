#include "store_fixture.h"
#include "common/arena.h"
#include "common/keys.h"
#include "common/log.h"
#include <inttypes.h>

struct fixture fx;

const struct store_terms nobody;
const char id_a[] = "a1b2c3d4-0000-4000-8000-00000000000a";
const char id_b[] = "A1B2C3D4-0000-4000-8000-00000000000B";

void
fixture_begin(void)
{
    private_redis_start(&fx.server);
}

void
fixture_end(void)
{
    private_redis_stop(&fx.server);
}

void
fixture_reopen(void)
{
    session_store_free(fx.store);
    redis_free(fx.redis);
    fx.redis = redis_new(&fx.conf, "test");
    fx.store = session_store_new(&fx.conf, fx.redis);
}

int
fixture_setup(void **state)
{
    (void)state;
    if (fx.server.pid == 0)
        private_redis_restart(&fx.server);
    private_redis_ask(&fx.server, "FLUSHALL");
    fx.conf = private_redis_conf(&fx.server);
    fx.conf.rate_limit_switch.count = 0;
    fixture_reopen();
    session_init(&fx.s);
    fail_reset(&fx.f);
    return 0;
}

int
fixture_teardown(void **state)
{
    (void)state;
    session_fini(&fx.s);
    session_store_free(fx.store);
    redis_free(fx.redis);
    fx.store = NULL;
    fx.redis = NULL;
    return 0;
}

const char *
fixture_participant(size_t place)
{
    static _Thread_local char id[4][ID_LEN + 1];
    static _Thread_local int turn;
    char *out = id[turn++ % 4];

    snprintf(out, ID_LEN + 1, "00000000-0000-4000-9000-%012x", (unsigned)place + 1);
    return out;
}

void
fixture_draft(struct session *s, const char *id, size_t n, int64_t bank_ms)
{
    session_init(s);
    memcpy(s->id, id, ID_LEN + 1);
    s->mode = MODE_PER_PARTICIPANT;
    s->total_time_ms = bank_ms * (int64_t)n;
    s->metadata = xstrdup("{\"name\":\"test\"}");
    for (size_t i = 0; i < n; i++) {
        struct participant *p = session_add_participant(s);

        memcpy(p->id, fixture_participant(i), ID_LEN + 1);
        p->index = (int64_t)i;
        p->total_time_ms = bank_ms;
    }
}

enum rc
fixture_create(const char *id, size_t n, int64_t bank_ms)
{
    session_fini(&fx.s);
    fixture_draft(&fx.s, id, n, bank_ms);
    fail_reset(&fx.f);
    return session_store_create(fx.store, &fx.s, &nobody, &fx.res, &fx.f);
}

enum rc
fixture_command(const char *id, enum command_type type)
{
    const struct store_terms somebody = { .actor = "somebody" };
    struct command cmd = { .type = type };

    fail_reset(&fx.f);
    return session_store_command(fx.store, id, &cmd, &somebody, &fx.s, &fx.res, &fx.f);
}

enum rc
fixture_get(const char *id)
{
    static const struct store_terms none = { 0 };

    fail_reset(&fx.f);
    return session_store_get(fx.store, id, &none, &fx.s, &fx.res, &fx.f);
}

size_t
fixture_expire(const struct store_due *due, size_t n)
{
    size_t applied = 0;

    fail_reset(&fx.f);
    if (session_store_expire(fx.store, due, n, &applied, &fx.f) != RC_OK)
        fatal(70, "expire: %s", fx.f.log);
    return applied;
}

const char *
fixture_field(const char *id, const char *field)
{
    return private_redis_ask(&fx.server, "HGET %s %s", keys_session("t:", id).s, field);
}

int64_t
fixture_audit_length(const char *id)
{
    return strtoll(
        private_redis_ask(&fx.server, "XLEN %s", keys_audit("t:", keys_partition(id)).s), NULL,
        10);
}
