/* GET /v1/sessions: one's own sessions, the newest first. */
#include "ask.h"
#include "common/keys.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AUTH "HTTP_AUTHORIZATION"

static int
setup(void **state)
{
    ask_setup(state);
    conf.auth_required = true;
    conf.rate_limit_enabled = false;
    return 0;
}

/* "000000NN-..." */
static const char *
id_of(int n)
{
    static char id[ID_LEN + 1];

    snprintf(id, sizeof(id), "%08d-0000-4000-8000-000000000000", n);
    return id;
}

static int
create_as(const char *sub, int n, const char *more)
{
    char body[400];

    snprintf(body, sizeof(body), "{\"session_id\":\"%s\",\"sync_mode\":\"count_up\"%s}",
             id_of(n), more);
    return ask_as(sub, ROLE_USER, "POST", "/v1/sessions", body);
}

static int
list_with(const struct token_claims *claims, const char *query)
{
    struct fake_io fake;

    fake_init(&fake, "GET", "/v1/sessions", NULL);
    fake_set(&fake, "QUERY_STRING", query);
    if (claims != NULL)
        fake_set(&fake, AUTH, ask_token(claims));
    return send_fake(&fake);
}

static int
list(const char *sub, const char *query)
{
    const struct token_claims claims = { .sub = sub };

    return list_with(&claims, query);
}

/* The numbers of the sessions listed, in their order: "3 2 1"; a + behind when there are more.
 */
static const char *
listed(void)
{
    static char out[4096];
    size_t len = 0;
    const char *p = buf_cstr(&answer);

    out[0] = '\0';
    while ((p = strstr(p, "{\"session_id\":\"")) != NULL) {
        p += strlen("{\"session_id\":\"");
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%ld", len > 0 ? " " : "",
                                strtol(p, NULL, 10));
    }
    if (has("\"next_cursor\""))
        snprintf(out + len, sizeof(out) - len, "+");
    return out;
}

static const char *
next_query(const char *more)
{
    static char query[200];
    const char *at = strstr(buf_cstr(&answer), "\"next_cursor\":\"");

    assert_non_null(at);
    at += strlen("\"next_cursor\":\"");
    snprintf(query, sizeof(query), "%s&cursor=%.*s", more, (int)strcspn(at, "\""), at);
    return query;
}

static long
names(const char *sub)
{
    return strtol(private_redis_ask(&server, "ZCARD %s", keys_owned("t:", sub).s), NULL, 10);
}

/* So that names do not share an instant. */
static void
age(const char *sub, int n, int64_t at_ms)
{
    private_redis_ask(&server, "ZADD %s %lld %s", keys_owned("t:", sub).s, (long long)at_ms,
                      id_of(n));
}

static void
mine_newest_first(void **state)
{
    (void)state;
    assert_int_equal(list("u", ""), 200);
    expect(200, "{\"data\":{\"sessions\":[]}}");
    for (int n = 1; n <= 3; n++) {
        assert_int_equal(
            create_as("u", n, n == 2 ? ",\"metadata\":{\"visibility\":\"private\"}" : ""), 201);
        age("u", n, 1700000000000 + n);
    }
    assert_int_equal(create_as("v", 4, ""), 201);
    list("u", "");
    assert_string_equal(listed(), "3 2 1"); /* the private one, too */
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    list("v", "");
    assert_string_equal(listed(), "4");
    assert_int_equal(list("w", ""), 200);
    assert_string_equal(listed(), "");
}

static void
anonymous_is_401(void **state)
{
    (void)state;
    assert_int_equal(list_with(NULL, ""), 401);
    conf.auth_required = false;
    assert_int_equal(list_with(NULL, ""), 401);
    assert_string_equal(header("WWW-Authenticate"), "Bearer");
    assert_int_equal(list("u", ""), 200);
}

static void
limit_and_cursor_walk_through_all(void **state)
{
    (void)state;
    for (int n = 1; n <= 7; n++) {
        assert_int_equal(create_as("u", n, ""), 201);
        age("u", n, 1700000000000 + n / 3); /* some at the same instant */
    }
    list("u", "limit=3");
    assert_string_equal(listed(), "7 6 5+");
    list("u", next_query("limit=3"));
    assert_string_equal(listed(), "4 3 2+");
    list("u", next_query("limit=3"));
    assert_string_equal(listed(), "1");
    list("u", "limit=7");
    assert_string_equal(listed(), "7 6 5 4 3 2 1");
    list("u", "");
    assert_string_equal(listed(), "7 6 5 4 3 2 1");
}

static void
bad_parameters_are_400(void **state)
{
    static const char *const bad[] = {
        "limit=0",
        "limit=101",
        "limit=x",
        "status=open",
        "status=",
        "cursor=",
        "cursor=x",
        "cursor=1.",
        "cursor=.",
        "limit=1&limit=1",
        "cursor=1700000000000.00000001-0000-4000-8000-00000000000",
        "cursor=99999999999999999999.00000001-0000-4000-8000-000000000000",
        "owner=",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (list("u", bad[i]) != 400)
            fail_msg("%s: %d", bad[i], status);
}

static void
status_filters(void **state)
{
    char path[100];

    (void)state;
    for (int n = 1; n <= 5; n++) {
        assert_int_equal(create_as("u", n, ""), 201);
        age("u", n, 1700000000000 + n);
        snprintf(path, sizeof(path), "/v1/sessions/%s/%s", id_of(n),
                 n % 2 == 0 ? "start" : "cancel");
        assert_int_equal(ask_as("u", ROLE_USER, "POST", path, NULL), 200);
    }
    list("u", "status=running");
    assert_string_equal(listed(), "4 2");
    list("u", "status=cancelled&limit=2");
    assert_string_equal(listed(), "5 3+");
    list("u", next_query("status=cancelled&limit=2"));
    assert_string_equal(listed(), "1");
    list("u", "status=paused");
    assert_string_equal(listed(), "");
}

/* A name without a session, or with one of somebody else's, is dropped when it is read. */
static void
names_without_a_session_are_dropped(void **state)
{
    (void)state;
    assert_int_equal(create_as("u", 1, ""), 201);
    assert_int_equal(create_as("u", 2, ""), 201);
    assert_int_equal(ask_as("u", ROLE_USER, "DELETE",
                            "/v1/sessions/00000002-0000-4000-8000-"
                            "000000000000",
                            NULL),
                     204);
    assert_int_equal(create_as("v", 1, ""), 409);
    assert_int_equal(names("u"), 2);
    assert_int_equal(names("v"), 1);
    list("u", "");
    assert_string_equal(listed(), "1");
    assert_int_equal(names("u"), 2); /* its creation might be under way */
    age("u", 1, 1700000000001);
    age("u", 2, 1700000000002);
    age("v", 1, 1700000000001);
    list("u", "");
    assert_string_equal(listed(), "1");
    assert_int_equal(names("u"), 1);
    list("v", "");
    assert_string_equal(listed(), "");
    assert_int_equal(names("v"), 0);
}

/* Left behind by a creation that was cut off, then created after all. */
static void
a_name_without_a_session_is_renewed(void **state)
{
    (void)state;
    age("u", 1, 1700000000000);
    list("u", "");
    assert_int_equal(names("u"), 0);
    assert_int_equal(create_as("u", 1, ""), 201);
    age("u", 2, 1700000000000);
    assert_int_equal(create_as("u", 2, ""), 201); /* named before: moves to the front */
    list("u", "limit=1");
    assert_string_equal(listed(), "2+");
}

static void
an_id_used_again_is_the_newest(void **state)
{
    (void)state;
    assert_int_equal(create_as("u", 1, ""), 201);
    age("u", 1, 1700000000001);
    assert_int_equal(create_as("u", 2, ""), 201);
    age("u", 2, 1700000000002);
    assert_int_equal(create_as("u", 1, ""), 200); /* the same again: stays where it is */
    list("u", "");
    assert_string_equal(listed(), "2 1");
    assert_int_equal(ask_as("u", ROLE_USER, "DELETE",
                            "/v1/sessions/00000001-0000-4000-8000-"
                            "000000000000",
                            NULL),
                     204);
    assert_int_equal(create_as("u", 1, ""), 201);
    list("u", "");
    assert_string_equal(listed(), "1 2");
}

static void
a_service_may_ask_for_another_owner(void **state)
{
    const struct token_claims back_end = { .sub = "s", .role = ROLE_SERVICE };
    const struct token_claims admin = { .sub = "root", .role = ROLE_ADMIN };
    const struct token_claims moderator = { .sub = "m", .role = ROLE_MODERATOR };

    (void)state;
    assert_int_equal(create_as("u", 1, ",\"metadata\":{\"visibility\":\"private\"}"), 201);
    list_with(&back_end, "owner=u");
    assert_string_equal(listed(), "1");
    list_with(&back_end, "");
    assert_string_equal(listed(), "");
    list_with(&admin, "owner=u");
    assert_string_equal(listed(), "1");
    assert_int_equal(list_with(&moderator, "owner=u"), 403);
    assert_int_equal(list("v", "owner=u"), 403);
    assert_int_equal(list("u", "owner=u"), 200);
}

static void
two_round_trips_and_none_more_for_creating(void **state)
{
    char path[100];
    int64_t reads;

    (void)state;
    conf.rate_limit_enabled = true;
    conf.rate_limit_create.count = 0;
    create_as("u", 9, ""); /* lives have begun */
    for (int n = 1; n <= 3; n++) {
        create_as("u", n, "");
        snprintf(path, sizeof(path), "/v1/sessions/%s", id_of(n));
        assert_int_equal(ask_as("u", ROLE_USER, "DELETE", path, NULL), 204);
        assert_int_equal(ask_as("w", ROLE_USER, "POST", "/v1/sessions", "{}"), 400);
        reads = redis_reads();
        assert_int_equal(create_as("w", n, ""), 201);
        assert_int_equal(redis_reads() - reads, OWN_READS + 2);
    }
    reads = redis_reads();
    list("w", "");
    assert_string_equal(listed(), "3 2 1");
    assert_int_equal(redis_reads() - reads, OWN_READS + 2);
}

/* Hundreds of names whose sessions are gone, and then one that is there. */
static void
many_gone_names(void **state)
{
    (void)state;
    assert_int_equal(create_as("u", 9000, ""), 201);
    age("u", 9000, 1600000000000);
    for (int n = 1; n <= 600; n++)
        age("u", n, 1700000000000 + n);
    list("u", "limit=5");
    assert_string_equal(listed(), "+");
    assert_int_equal(names("u"), 101);
    list("u", next_query("limit=5"));
    assert_string_equal(listed(), "9000");
    assert_int_equal(names("u"), 1);
}

static void
without_redis_it_is_503(void **state)
{
    (void)state;
    private_redis_ask(&server, "SET %s text", keys_owned("t:", "u").s);
    assert_int_equal(list("u", ""), 500); /* another type */
    assert_int_equal(create_as("u", 1, ""), 500);
    private_redis_stop(&server);
    assert_int_equal(list("u", ""), 503);
    private_redis_start(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, ask_teardown)
        T(mine_newest_first),
        T(anonymous_is_401),
        T(limit_and_cursor_walk_through_all),
        T(bad_parameters_are_400),
        T(status_filters),
        T(names_without_a_session_are_dropped),
        T(a_name_without_a_session_is_renewed),
        T(an_id_used_again_is_the_newest),
        T(a_service_may_ask_for_another_owner),
        T(two_round_trips_and_none_more_for_creating),
        T(many_gone_names),
        T(without_redis_it_is_503),
    };
    int failed;

    ask_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ask_end();
    return failed;
}
