/* What the headers of a command say: If-Match and Prefer; and reads for those without a socket.
 */
#include "ask.h"
#include "common/keys.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define IF_MATCH "HTTP_IF_MATCH"
#define PREFER "HTTP_PREFER"

/* Create and start the session; its tag, with W/. */
static const char *
started(void)
{
    static char tag[128];

    assert_int_equal(ask("POST", "/v1/sessions", BODY), 201);
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    assert_int_equal(ask("GET", ONE, NULL), 200);
    snprintf(tag, sizeof(tag), "%s", header("ETag"));
    return tag;
}

static void
if_match_lets_the_named_state_pass(void **state)
{
    const char *tag = started();
    char list[300];

    (void)state;
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, IF_MATCH, tag), 200);
    ask_with("POST", ONE "/switch", NULL, IF_MATCH, tag);
    expect(412, "{\"error\":{\"code\":\"PRECONDITION_FAILED\",\"message\":\"The session is not "
                "in the state that If-Match names\",\"details\":{\"expected_version\":2,"
                "\"actual_version\":3}}}");
    assert_int_equal(ask("GET", ONE, NULL), 200);
    expect(200, "\"version\":3,");
    /* weakly: W/ does not count; one of several is enough; anything */
    snprintf(list, sizeof(list), "\"x\", %s", header("ETag") + 2);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, IF_MATCH, list), 200);
    assert_int_equal(ask_with("POST", ONE "/pause", NULL, IF_MATCH, "*"), 200);
    ask_with("POST", ONE "/resume", NULL, IF_MATCH, "\"mine\"");
    expect(412, "\"details\":{\"expected_version\":null,\"actual_version\":5}");
    ask_with("DELETE", ONE, NULL, IF_MATCH, tag);
    expect(412, "\"actual_version\":5");
    assert_int_equal(ask("DELETE", ONE, NULL), 204);
}

static void
a_malformed_if_match_is_no_condition(void **state)
{
    static const char *const bad[] = { "", "17", "\"a", "\"a\" \"b\"", "*, \"a\"" };

    (void)state;
    started();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ask_with("POST", ONE "/switch", NULL, IF_MATCH, bad[i]);
        expect(400, "\"VALIDATION_ERROR\"");
        expect(400,
               "\"details\":[{\"field\":\"If-Match\",\"message\":\"If-Match must be * or a "
               "list of entity tags\",\"code\":\"invalid_format\"}]");
    }
    ask("GET", ONE, NULL);
    expect(200, "\"version\":2,");
}

/* 404, expected_version, If-Match, current_participant_id, the transition table. */
static void
guards_are_judged_in_order(void **state)
{
    const char *tag = started();

    (void)state;
    assert_int_equal(ask_with("POST", "/v1/sessions/" P1 "/start", NULL, IF_MATCH, "\"other\""),
                     404);
    assert_int_equal(ask_with("DELETE", "/v1/sessions/" P1, NULL, IF_MATCH, "\"other\""), 204);
    ask_with("POST", ONE "/switch", "{\"expected_version\":9}", IF_MATCH, "\"other\"");
    expect(409, "\"details\":{\"expected_version\":9,\"actual_version\":2}");
    ask_with("POST", ONE "/switch", "{\"expected_version\":2}", IF_MATCH, "\"other\"");
    assert_int_equal(status, 412);
    ask_with("POST", ONE "/switch", "{\"current_participant_id\":\"" P2 "\"}", IF_MATCH,
             "\"other\"");
    assert_int_equal(status, 412);
    ask_with("POST", ONE "/switch", "{\"current_participant_id\":\"" P2 "\"}", IF_MATCH, tag);
    expect(409, "\"active_participant_id\":\"" P1 "\"");
    assert_int_equal(ask_with("POST", ONE "/resume", NULL, IF_MATCH, "\"other\""), 412);
    ask_with("POST", ONE "/resume", NULL, IF_MATCH, tag);
    expect(400, "\"INVALID_STATE_TRANSITION\"");
}

/* What is due is committed first: the tag from before it is of a state that is over. */
static void
if_match_is_judged_after_what_is_due(void **state)
{
    char tag[128];

    (void)state;
    ask("POST", "/v1/sessions",
        "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":1000,"
        "\"participants\":[{\"participant_id\":\"" P1
        "\",\"participant_index\":0,\"total_time_ms\":1000}]}");
    ask("POST", ONE "/start", NULL);
    ask("GET", ONE, NULL);
    snprintf(tag, sizeof(tag), "%s", header("ETag"));
    usleep(1050000);
    ask_with("POST", ONE "/switch", NULL, IF_MATCH, tag);
    expect(412, "{\"expected_version\":2,\"actual_version\":3}");
}

static void
return_minimal_leaves_the_participants_out(void **state)
{
    static const char *const verbs[] = { "/start", "/switch", "/pause", "/resume",
                                         "/complete" };

    (void)state;
    ask("POST", "/v1/sessions", BODY);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        char path[80];

        snprintf(path, sizeof(path), ONE "%s", verbs[i]);
        ask_with("POST", path, NULL, PREFER, "return=minimal");
        expect(200, "\"session_id\":\"" ID "\"");
        assert_string_equal(header("Preference-Applied"), "return=minimal");
        assert_true(has("\"version\":") && has("\"server_time\":"));
        assert_false(has("\"participants\""));
    }
    ask("POST", ONE "/complete", NULL);
    expect(200, "\"participants\":[");
    assert_string_equal(header("Preference-Applied"), "");
}

static void
preferences_are_read_as_rfc_7240_says(void **state)
{
    static const struct {
        const char *prefer;
        bool minimal;
    } cases[] = {
        { "return=minimal", true },
        { "Return = Minimal", true },
        { "return=\"minimal\"", true },
        { "respond-async, return=minimal; foo=\"some, value\"", true },
        { "foo=\"a, return=minimal\", wait=10", false },
        { "foo=\"\\\", return=minimal\"", false },
        { "foo=\"\\", false },
        { "return=representation, return=minimal", false },
        { "return=minimal, return=representation", true },
        { "return=minimalist", false },
        { "return", false },
        { "returns=minimal", false },
        { "", false },
    };

    (void)state;
    started();
    ask("POST", ONE "/complete", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask_with("POST", ONE "/complete", NULL, PREFER, cases[i].prefer);
        assert_int_equal(status, 200);
        if (has("\"participants\"") == cases[i].minimal)
            fail_msg("%s", cases[i].prefer);
    }
}

/* ---- polling ---- */

static void
a_poll_answers_what_is_new(void **state)
{
    char epoch[64], path[256];

    (void)state;
    started();
    snprintf(epoch, sizeof(epoch), "%s", strstr(buf_cstr(&answer), "\"epoch\":\"") + 9);
    epoch[strcspn(epoch, "\"")] = '\0';
    ask("GET", ONE "/poll", NULL);
    assert_int_equal(status, 400);
    ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=2");
    expect(304, "\r\nETag: W/\"");
    assert_string_equal(header("Content-Type"), "");
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=1");
    expect(200, "\"version\":2,");
    expect(200, "\r\nCache-Control: no-cache\r\n");
    ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=0");
    assert_int_equal(status, 200);
    ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=3"); /* of a lost life */
    assert_int_equal(status, 200);
    snprintf(path, sizeof(path), "since_version=2&epoch=%s", epoch);
    assert_int_equal(ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", path), 304);
    snprintf(path, sizeof(path), "epoch=%sx&since_version=2", epoch);
    assert_int_equal(ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", path), 200);
    ask_with("GET", "/v1/sessions/" P1 "/poll", NULL, "QUERY_STRING", "since_version=1");
    assert_int_equal(status, 404);
}

static void
a_poll_commits_what_is_due_before_it_says_304(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions",
        "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":1000,"
        "\"participants\":[{\"participant_id\":\"" P1
        "\",\"participant_index\":0,\"total_time_ms\":1000}]}");
    ask("POST", ONE "/start", NULL);
    assert_int_equal(ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=2"),
                     304);
    usleep(1050000);
    ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", "since_version=2");
    expect(200, "\"version\":3,");
    expect(200, "\"has_expired\":true");
}

static void
query_parameters_are_checked(void **state)
{
    static const struct {
        const char *query, *want;
        int status;
    } cases[] = {
        { "", "{\"field\":\"since_version\",\"message\":", 400 },
        { "since_version=", "{\"field\":\"since_version\",\"message\":", 400 },
        { "since_version=x", "\"code\":\"invalid_type\"", 400 },
        { "since_version=1.5", "\"code\":\"invalid_type\"", 400 },
        { "since_version=-1", "\"code\":\"too_small\"", 400 },
        { "since_version=99999999999999999999", "\"code\":\"invalid_type\"", 400 },
        { "since_version=1&since_version=1", "\"message\":\"Must be given only once\"", 400 },
        { "since_version=1&epoch=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "{\"field\":\"epoch\",", 400 },
        { "since_version=%zz", "\"BAD_REQUEST\"", 400 },
        { "since_version=%ff", "\"BAD_REQUEST\"", 400 },
        { "since_version=%00", "\"BAD_REQUEST\"", 400 },
        { "since_version=2%", "\"BAD_REQUEST\"", 400 },
        { "&&since_versio%6e=%31&other=7&", "\"version\":2", 200 },
        { "since%5Fversion=2&x", "", 304 },
    };

    (void)state;
    started();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask_with("GET", ONE "/poll", NULL, "QUERY_STRING", cases[i].query);
        if (status != cases[i].status || !has(cases[i].want))
            fail_msg("%s: %s", cases[i].query, buf_cstr(&answer));
    }
}

/* ---- batches ---- */

static int
ask_batch(const char *ids)
{
    char body[4096];

    snprintf(body, sizeof(body), "{\"session_ids\":[%s]}", ids);
    return ask("POST", "/v1/sessions/batch", body);
}

#define SECOND "44444444-4444-4444-8444-444444444444"
#define ONE_SECOND_LONG(id)                                                                \
    "{\"session_id\":\"" id "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":1000," \
    "\"participants\":[{\"participant_id\":\"" P1                                          \
    "\",\"participant_index\":0,\"total_time_ms\":1000}]}"

static void
a_batch_shows_what_is_there(void **state)
{
    int64_t reads;

    (void)state;
    assert_int_equal(ask("POST", "/v1/sessions", BODY), 201);
    assert_int_equal(ask("POST", "/v1/sessions", ONE_SECOND_LONG(SECOND)), 201);
    reads = redis_reads();
    ask_batch("\"" SECOND "\",\"" P1 "\",\"" ID "\",\"0E6C81F0-58B2-4F6F-9D39-6F4F4A6D2F01\"");
    assert_int_equal(redis_reads() - reads, OWN_READS + 1); /* one round trip */
    expect(200, "{\"data\":{\"sessions\":[{\"session_id\":\"" SECOND "\",");
    expect(200, "},{\"session_id\":\"" ID "\",");
    expect(200, "}],\"missing\":[\"" P1 "\"]}}");
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    assert_string_equal(header("RateLimit-Policy"), "100;w=60");
    assert_int_equal(ask_batch(""), 200);
    expect(200, "{\"data\":{\"sessions\":[],\"missing\":[]}}");
}

static void
a_batch_commits_what_is_due(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions", ONE_SECOND_LONG(ID));
    ask("POST", "/v1/sessions", ONE_SECOND_LONG(SECOND));
    ask("POST", ONE "/start", NULL);
    usleep(1050000);
    ask_batch("\"" ID "\",\"" SECOND "\"");
    expect(200, "\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\",\"status\":"
                "\"running\",\"version\":3,");
    expect(200, "\"status\":\"pending\",\"version\":1,");
    assert_string_equal(private_redis_ask(&server, "HGET %s v", keys_session("t:", ID).s), "3");
}

static void
a_batch_after_a_restart_is_of_the_new_life(void **state)
{
    char epoch[64];

    (void)state;
    started();
    snprintf(epoch, sizeof(epoch), "%.40s", strstr(buf_cstr(&answer), "\"epoch\":\"") + 9);
    epoch[strcspn(epoch, "\"")] = '\0';
    private_redis_restart(&server);
    ask_batch("\"" ID "\",\"" SECOND "\"");
    expect(200, "\"version\":2,");
    assert_false(has(epoch));
}

static void
bodies_of_batches_are_checked(void **state)
{
    char ids[51 * 40] = "";
    size_t len = 0;

    (void)state;
    ask_batch("\"" ID "\",\"x\",7,null");
    expect(400, "{\"field\":\"session_ids.1\",\"message\":\"Session ID must be a valid "
                "UUID\",\"code\":\"invalid_format\"}");
    expect(400, "{\"field\":\"session_ids.2\",\"message\":\"Invalid input: expected string, "
                "received number\",\"code\":\"invalid_type\"}");
    expect(400, "{\"field\":\"session_ids.3\",");
    for (int i = 0; i < 50; i++)
        len += (size_t)snprintf(ids + len, sizeof(ids) - len,
                                "%s\"11111111-1111-4111-8111-%012d\"", i == 0 ? "" : ",", i);
    assert_int_equal(ask_batch(ids), 200);
    snprintf(ids + len, sizeof(ids) - len, ",\"" ID "\"");
    ask_batch(ids);
    expect(400, "\"Cannot exceed 50 sessions\"");
    assert_int_equal(ask("POST", "/v1/sessions/batch", "{}"), 400);
    assert_int_equal(ask("POST", "/v1/sessions/batch", NULL), 400);
}

static void
batches_are_limited(void **state)
{
    (void)state;
    conf.rate_limit_general.count = 1;
    assert_int_equal(ask_batch(""), 200);
    assert_int_equal(ask_batch("\"" ID "\""), 429);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, ask_setup, ask_teardown)
        T(if_match_lets_the_named_state_pass),
        T(a_malformed_if_match_is_no_condition),
        T(guards_are_judged_in_order),
        T(if_match_is_judged_after_what_is_due),
        T(return_minimal_leaves_the_participants_out),
        T(preferences_are_read_as_rfc_7240_says),
        T(a_poll_answers_what_is_new),
        T(a_poll_commits_what_is_due_before_it_says_304),
        T(query_parameters_are_checked),
        T(a_batch_shows_what_is_there),
        T(a_batch_commits_what_is_due),
        T(a_batch_after_a_restart_is_of_the_new_life),
        T(bodies_of_batches_are_checked),
        T(batches_are_limited),
#undef T
    };
    int failed;

    ask_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ask_end();
    return failed;
}
