/* Who asks, and what he may: tokens at the gate, every command by every role, revocation. */
#include "ask.h"
#include "common/clock.h"
#include "common/keys.h"
#include "common/redis.h"
#include "common/revoke.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AUTH "HTTP_AUTHORIZATION"
/* BODY with more in it. */
#define BODY_WITH(more)                                                                      \
    "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":120000," \
    "\"participants\":["                                                                     \
    "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":60000},"       \
    "{\"participant_id\":\"" P2 "\",\"participant_index\":1,\"total_time_ms\":60000}]" more  \
    "}"
#define PRIVATE_BODY BODY_WITH(",\"metadata\":{\"visibility\":\"private\"}")
#define READERS_BODY                      \
    BODY_WITH(",\"readers\":[\"r\xc3\xa9" \
              "ader\",\"other\"]")
#define NOT_FOUND \
    "{\"error\":{\"code\":\"SESSION_NOT_FOUND\",\"message\":\"Session " ID " not found\"}}"

static int
setup(void **state)
{
    ask_setup(state);
    conf.auth_required = true;
    conf.rate_limit_enabled = false;
    return 0;
}

static const char *
stored(const char *field)
{
    return private_redis_ask(&server, "HGET %s %s", keys_session("t:", ID).s, field);
}

/* ---- the gate ---- */

static void
without_a_good_token_nobody_is_let_in(void **state)
{
    static const char *const bad[] = { "", "Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c" };
    const struct token_claims over = { .sub = "u", .exp_s = 1 };

    (void)state;
    ask("GET", ONE, NULL);
    expect(401, "\"UNAUTHENTICATED\"");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ask_with("POST", "/v1/sessions", BODY, AUTH, bad[i]);
        expect(401, "\"UNAUTHENTICATED\"");
        assert_string_equal(header("WWW-Authenticate"), "Bearer");
    }
    ask_with("POST", "/v1/sessions", BODY, AUTH, ask_token(&over));
    expect(401, "\"The token has expired\"");
    assert_int_equal(ask_as("u", ROLE_USER, "POST", "/v1/sessions", BODY), 201);
}

/* Route, then token, then body: each is asked for only when the one before is right. */
static void
order_of_the_steps(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/v1/nothing", NULL), 404);
    assert_int_equal(ask("PUT", "/v1/sessions", NULL), 405);
    assert_int_equal(ask("POST", "/v1/sessions/x/start", "{"), 401);
    assert_int_equal(ask_as("u", ROLE_USER, "POST", "/v1/sessions/x/start", "{"), 400);
    assert_int_equal(ask_as("u", ROLE_USER, "POST", ONE "/start", "{"), 400);
}

static void
the_creator_owns_and_is_the_actor(void **state)
{
    (void)state;
    ask_as("M\xc3\xbcller", ROLE_USER, "POST", "/v1/sessions", BODY);
    expect(201, "\"owner\":\"M\xc3\xbcller\"");
    ask_as("back end", ROLE_SERVICE, "POST", ONE "/start", NULL);
    expect(200, "\"owner\":\"M\xc3\xbcller\"");
    assert_non_null(strstr(private_redis_ask(&server, "XREVRANGE %s + - COUNT 1",
                                             keys_audit("t:", keys_partition(ID)).s),
                           "back"));
}

static void
without_auth_a_token_is_heard_and_none_is_needed(void **state)
{
    (void)state;
    conf.auth_required = false;
    ask_with("POST", "/v1/sessions", PRIVATE_BODY, AUTH, "Bearer of.bad.news");
    expect(201, "\"version\":1");
    assert_false(has("\"owner\""));
    assert_int_equal(ask("DELETE", ONE, NULL), 204);
    ask_as("u", ROLE_USER, "POST", "/v1/sessions", PRIVATE_BODY);
    expect(201, "\"owner\":\"u\"");
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    assert_int_equal(ask_as("v", ROLE_USER, "DELETE", ONE, NULL), 204);
}

/* ---- every command by every role ---- */

/* clang-format off */
static const struct {
    const char *sub;
    enum role role;
} callers[] = {
    { NULL, ROLE_NONE }, { "owner", ROLE_USER }, { P1, ROLE_USER }, { P2, ROLE_USER },
    { "r\xc3\xa9" "ader", ROLE_USER }, { "m", ROLE_MODERATOR }, { "s", ROLE_SERVICE },
    { "root", ROLE_ADMIN }, { "stranger", ROLE_USER },
};
#define CALLERS (sizeof(callers) / sizeof(*callers))

/* The answers in this order: nobody, owner, active, waiting, reader, moderator, service, admin,
 * stranger; of an ordinary session, a private one, one with readers. */
static const struct {
    const char *method, *path;
    int before; /* commands that lead there: start, pause */
    int status[3][CALLERS];
} cells[] = {
    { "GET", "", 1, {
        { 401, 200, 200, 200, 200, 200, 200, 200, 200 },
        { 401, 200, 200, 200, 404, 200, 200, 200, 404 },
        { 401, 404, 404, 404, 200, 404, 200, 200, 404 } } },
    { "GET", "/poll", 1, {
        { 401, 200, 200, 200, 200, 200, 200, 200, 200 },
        { 401, 200, 200, 200, 404, 200, 200, 200, 404 },
        { 401, 404, 404, 404, 200, 404, 200, 200, 404 } } },
    { "POST", "/start", 0, {
        { 401, 200, 403, 403, 403, 403, 200, 200, 403 },
        { 401, 200, 403, 403, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/switch", 1, {
        { 401, 200, 200, 403, 403, 403, 200, 200, 403 },
        { 401, 200, 200, 403, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/pause", 1, {
        { 401, 200, 200, 200, 403, 403, 200, 200, 403 },
        { 401, 200, 200, 200, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/resume", 2, {
        { 401, 200, 200, 200, 403, 403, 200, 200, 403 },
        { 401, 200, 200, 200, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/complete", 1, {
        { 401, 200, 403, 403, 403, 403, 200, 200, 403 },
        { 401, 200, 403, 403, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/cancel", 1, {
        { 401, 200, 403, 403, 403, 403, 200, 200, 403 },
        { 401, 200, 403, 403, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "POST", "/participants", 1, {
        { 401, 201, 403, 403, 403, 403, 201, 201, 403 },
        { 401, 201, 403, 403, 404, 403, 201, 201, 404 },
        { 401, 404, 404, 404, 403, 404, 201, 201, 404 } } },
    { "PATCH", "/participants/" P2, 1, {
        { 401, 200, 403, 403, 403, 200, 200, 200, 403 },
        { 401, 200, 403, 403, 404, 200, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "DELETE", "/participants/" P2, 1, {
        { 401, 200, 403, 403, 403, 403, 200, 200, 403 },
        { 401, 200, 403, 403, 404, 403, 200, 200, 404 },
        { 401, 404, 404, 404, 403, 404, 200, 200, 404 } } },
    { "DELETE", "", 1, {
        { 401, 204, 403, 403, 403, 403, 204, 204, 403 },
        { 401, 204, 403, 403, 204, 403, 204, 204, 204 },
        { 401, 204, 204, 204, 403, 204, 204, 204, 204 } } },
};
/* clang-format on */

static void
make_session(int kind, int before)
{
    static const char *const bodies[] = { BODY, PRIVATE_BODY, READERS_BODY };
    static const char *const steps[] = { ONE "/start", ONE "/pause" };

    private_redis_ask(&server, "FLUSHALL");
    if (kind == 2)
        ask_as("s", ROLE_SERVICE, "POST", "/v1/sessions", bodies[kind]);
    else
        ask_as("owner", ROLE_USER, "POST", "/v1/sessions", bodies[kind]);
    assert_int_equal(status, 201);
    for (int i = 0; i < before; i++)
        assert_int_equal(ask_as("root", ROLE_ADMIN, "POST", steps[i], NULL), 200);
}

static const char *
body_of(size_t cell)
{
    if (strcmp(cells[cell].path, "/participants") == 0)
        return "{\"participant_id\":\"" ID "\",\"total_time_ms\":5000}";
    return strcmp(cells[cell].method, "PATCH") == 0 ? "{\"add_ms\":1000,\"reason\":\"late\"}"
                                                    : NULL;
}

static void
ask_cell(size_t cell, int kind, size_t who)
{
    char path[200], version[24];
    struct fake_io fake;

    make_session(kind, cells[cell].before);
    snprintf(version, sizeof(version), "%s", stored("v"));
    snprintf(path, sizeof(path), ONE "%s", cells[cell].path);
    fake_init(&fake, cells[cell].method, path, body_of(cell));
    fake_set(&fake, "QUERY_STRING", "since_version=0");
    if (callers[who].sub != NULL)
        fake_set(&fake, AUTH,
                 ask_token(&(struct token_claims){ .sub = callers[who].sub,
                                                   .role = callers[who].role }));
    send_fake(&fake);
    if (status != cells[cell].status[kind][who])
        fail_msg("%s %s as %s, kind %d: %d", cells[cell].method, cells[cell].path,
                 callers[who].sub ? callers[who].sub : "nobody", kind, status);
    if (status == 404)
        assert_true(has(NOT_FOUND));
    if (status > 204 || (status == 204 && cells[cell].status[kind][who] == 204 &&
                         callers[who].role == ROLE_USER && strcmp(callers[who].sub, "owner")))
        assert_string_equal(stored("v"), version); /* nothing has happened */
}

static void
every_command_by_every_role(void **state)
{
    (void)state;
    for (size_t cell = 0; cell < sizeof(cells) / sizeof(*cells); cell++)
        for (int kind = 0; kind < 3; kind++)
            for (size_t who = 0; who < CALLERS; who++)
                ask_cell(cell, kind, who);
}

static void
a_private_session_is_missing_in_a_batch(void **state)
{
    (void)state;
    make_session(1, 0);
    ask_as("stranger", ROLE_USER, "POST", "/v1/sessions/batch",
           "{\"session_ids\":[\"" ID "\"]}");
    expect(200, "{\"sessions\":[],\"missing\":[\"" ID "\"]}");
    ask_as(P2, ROLE_USER, "POST", "/v1/sessions/batch", "{\"session_ids\":[\"" ID "\"]}");
    expect(200, "\"missing\":[]}");
}

/* The one thing that tells: its id is taken. */
static void
creating_a_private_id_answers_409(void **state)
{
    (void)state;
    make_session(1, 0);
    ask_as("stranger", ROLE_USER, "POST", "/v1/sessions", PRIVATE_BODY);
    expect(409, "\"SESSION_EXISTS\"");
    assert_false(has("private"));
    assert_int_equal(ask_as("owner", ROLE_USER, "POST", "/v1/sessions", PRIVATE_BODY), 200);
}

static void
only_a_service_names_readers(void **state)
{
    (void)state;
    ask_as("u", ROLE_USER, "POST", "/v1/sessions", READERS_BODY);
    expect(403, "\"FORBIDDEN\"");
    ask_as("u", ROLE_MODERATOR, "POST", "/v1/sessions", READERS_BODY);
    expect(403, "\"FORBIDDEN\"");
    ask_as("s", ROLE_SERVICE, "POST", "/v1/sessions", BODY_WITH(",\"readers\":[]"));
    expect(400, "\"readers\"");
    ask_as("s", ROLE_SERVICE, "POST", "/v1/sessions", BODY_WITH(",\"readers\":[\"a\\tb\"]"));
    expect(400, "\"readers.0\"");
    ask_as("s", ROLE_SERVICE, "POST", "/v1/sessions", READERS_BODY);
    expect(201, "\"owner\":\"s\"");
    assert_false(has("ader\"")); /* who else may see it is nobody's business */
}

static void
the_token_may_speak_for_participants(void **state)
{
    const char *for_both[] = { P1, P2 };
    const struct token_claims claims = { .sub = "table", .participants = for_both, .n = 2 };

    (void)state;
    make_session(0, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_with("POST", ONE "/switch", NULL, AUTH, ask_token(&claims)), 200);
    assert_int_equal(ask_with("POST", ONE "/cancel", NULL, AUTH, ask_token(&claims)), 403);
}

/* 404, 403, and only then what else is wrong. */
static void
rights_are_judged_before_guards(void **state)
{
    (void)state;
    make_session(0, 1);
    assert_int_equal(ask_as("stranger", ROLE_USER, "POST", ONE "/switch",
                            "{\"expected_version\":7,\"current_participant_id\":\"" P2 "\"}"),
                     403);
    assert_int_equal(ask_as("stranger", ROLE_USER, "POST", ONE "/start", NULL), 403);
    make_session(1, 1);
    assert_int_equal(
        ask_as("stranger", ROLE_USER, "POST", ONE "/switch", "{\"expected_version\":7}"), 404);
}

/* The turn has passed on by his own switch: the repetition gets its answer, not 403. */
static void
a_participant_repeats_his_own_switch(void **state)
{
    const struct token_claims claims = { .sub = P1 };
    struct fake_io fake;

    (void)state;
    make_session(0, 1);
    for (int i = 0; i < 2; i++) {
        fake_init(&fake, "POST", ONE "/switch", NULL);
        fake_set(&fake, AUTH, ask_token(&claims));
        fake_set(&fake, "HTTP_IDEMPOTENCY_KEY", "click");
        send_fake(&fake);
        expect(200, "\"version\":3");
    }
    assert_string_equal(header("Idempotency-Replayed"), "true");
    assert_int_equal(ask_as(P1, ROLE_USER, "POST", ONE "/switch", NULL), 403);
}

/* A key is its caller's: the same one of somebody else is another, and shows nothing. */
static void
nobody_gets_the_answer_to_the_key_of_another(void **state)
{
    static const char *const callers_of_it[] = { P1, "owner" };
    static const int wanted[] = { 200, 400 };
    struct fake_io fake;

    (void)state;
    make_session(0, 1);
    for (int i = 0; i < 2; i++) {
        fake_init(&fake, "POST", ONE "/pause", NULL);
        fake_set(&fake, AUTH, ask_token(&(struct token_claims){ .sub = callers_of_it[i] }));
        fake_set(&fake, "HTTP_IDEMPOTENCY_KEY", "click");
        assert_int_equal(send_fake(&fake), wanted[i]);
        assert_string_equal(header("Idempotency-Replayed"), "");
    }
}

/* ---- limits ---- */

static void
limits_count_the_user_and_spare_services(void **state)
{
    (void)state;
    make_session(0, 0);
    conf.rate_limit_enabled = true;
    conf.rate_limit_get.count = 2;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask_as("u", ROLE_USER, "GET", ONE, NULL), 200);
    assert_int_equal(ask_as("u", ROLE_USER, "GET", ONE, NULL), 429);
    assert_int_equal(ask_as("v", ROLE_USER, "GET", ONE, NULL), 200);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask_as("s", ROLE_SERVICE, "GET", ONE, NULL), 200);
    assert_string_equal(header("RateLimit-Limit"), "2");
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask_as("root", ROLE_ADMIN, "GET", ONE, NULL), 200);
    assert_int_equal(ask_as("root", ROLE_ADMIN, "GET", ONE, NULL), 429);
}

/* Whoever is called as an address is uses up nothing of that. */
static void
a_user_is_never_taken_for_an_address(void **state)
{
    (void)state;
    make_session(0, 0);
    conf.rate_limit_enabled = true;
    conf.rate_limit_general.count = 1;
    assert_int_equal(ask_as("192.0.2.1", ROLE_USER, "POST", ONE "/start", "{"), 400);
    assert_int_equal(ask_as("192.0.2.1", ROLE_USER, "POST", ONE "/start", "{"), 429);
    assert_int_equal(ask("POST", ONE "/start", "{"), 401); /* from 192.0.2.1 */
    assert_int_equal(ask("POST", ONE "/start", "{"), 429);
}

static void
a_service_switches_without_a_limit(void **state)
{
    (void)state;
    make_session(0, 1);
    conf.rate_limit_enabled = true;
    conf.rate_limit_switch = (struct limit_rule){ 1, 60000, 0 };
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_as("s", ROLE_SERVICE, "POST", ONE "/switch", NULL), 200);
    assert_int_equal(ask_as("root", ROLE_ADMIN, "POST", ONE "/switch", NULL), 200);
    assert_int_equal(ask_as("root", ROLE_ADMIN, "POST", ONE "/switch", NULL), 429);
}

/* ---- revocation ---- */

static void
revoke(enum revoke_kind kind, const char *value, int64_t now_ms)
{
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };

    revoke_put(b, "t:", kind, value, now_ms);
    assert_int_equal(redis_run(service.app.redis, b, &f), RC_OK);
    redis_batch_free(b);
}

static void
a_revoked_token_is_refused_in_the_same_round_trip(void **state)
{
    static const char *const values[] = { "u u", "login", "one" };
    int64_t now_s = clock_wall_ms() / 1000, reads;

    (void)state;
    make_session(0, 0);
    for (int k = 0; k < REVOKE__MAX; k++) {
        struct token_claims claims = {
            .sub = "u u", .sid = "login", .jti = "one", .iat_s = now_s - 10, .exp_s = now_s + 60
        };

        private_redis_ask(&server, "DEL %s", keys_revoked("t:", "sub", "u u").s);
        assert_int_equal(ask_with("GET", ONE, NULL, AUTH, ask_token(&claims)), 200);
        revoke((enum revoke_kind)k, values[k], (now_s - 5) * 1000);
        reads = redis_reads();
        ask_with("GET", ONE, NULL, AUTH, ask_token(&claims));
        expect(401, "\"The token has been revoked\"");
        assert_string_equal(header("WWW-Authenticate"), "Bearer");
        assert_int_equal(redis_reads() - reads, OWN_READS + 1);
        ask_with("POST", ONE "/start", NULL, AUTH, ask_token(&claims));
        expect(401, "revoked");
        ask_with("POST", ONE "/start", "{", AUTH, ask_token(&claims)); /* before the body */
        expect(401, "revoked");
        claims.iat_s = now_s; /* issued after that */
        assert_int_equal(ask_with("GET", ONE, NULL, AUTH, ask_token(&claims)), 200);
        claims.iat_s = 0; /* nobody knows when: before */
        assert_int_equal(ask_with("GET", ONE, NULL, AUTH, ask_token(&claims)), 401);
        private_redis_ask(&server, "DEL %s %s", keys_revoked("t:", "sid", "login").s,
                          keys_revoked("t:", "jti", "one").s);
    }
    assert_string_equal(stored("v"), "1");
}

static void
revoked_tokens_count_on_the_address(void **state)
{
    (void)state;
    make_session(0, 0);
    conf.rate_limit_enabled = true;
    conf.rate_limit_general.count = 2;
    revoke(REVOKE_SUB, "u", clock_wall_ms());
    assert_int_equal(ask_as("u", ROLE_USER, "GET", ONE, NULL), 401);
    assert_int_equal(ask_as("u", ROLE_USER, "POST", ONE "/start", "{"), 401);
    assert_int_equal(ask_as("u", ROLE_USER, "POST", ONE "/start", "{"), 429);
    assert_int_equal(ask("GET", ONE, NULL), 429);
    assert_int_equal(ask_as("v", ROLE_USER, "GET", ONE, NULL), 200);
}

/* Who cannot be asked about is not let in on trust. */
static void
an_unreadable_revocation_lets_nobody_in(void **state)
{
    static const char *const nonsense[] = { "nonsense", "", "0000000000000000", "1.5" };
    const struct token_claims claims = { .sub = "u", .iat_s = clock_wall_ms() / 1000 };

    (void)state;
    make_session(0, 0);
    private_redis_ask(&server, "LPUSH %s x", keys_revoked("t:", "sub", "u").s);
    assert_true(ask_as("u", ROLE_USER, "GET", ONE, NULL) >= 500);
    private_redis_ask(&server, "DEL %s", keys_revoked("t:", "sub", "u").s);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
        private_redis_ask(&server, "SET %s %s", keys_revoked("t:", "sub", "u").s, nonsense[i]);
        assert_int_equal(ask_with("GET", ONE, NULL, AUTH, ask_token(&claims)), 401);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, ask_teardown)
        T(without_a_good_token_nobody_is_let_in),
        T(order_of_the_steps),
        T(the_creator_owns_and_is_the_actor),
        T(without_auth_a_token_is_heard_and_none_is_needed),
        T(every_command_by_every_role),
        T(a_private_session_is_missing_in_a_batch),
        T(creating_a_private_id_answers_409),
        T(only_a_service_names_readers),
        T(the_token_may_speak_for_participants),
        T(rights_are_judged_before_guards),
        T(a_participant_repeats_his_own_switch),
        T(nobody_gets_the_answer_to_the_key_of_another),
        T(limits_count_the_user_and_spare_services),
        T(a_user_is_never_taken_for_an_address),
        T(a_service_switches_without_a_limit),
        T(a_revoked_token_is_refused_in_the_same_round_trip),
        T(revoked_tokens_count_on_the_address),
        T(an_unreadable_revocation_lets_nobody_in),
    };
    int failed;

    ask_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ask_end();
    return failed;
}
