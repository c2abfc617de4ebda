/*
 * Requests through everything between the web server and Redis, in process: parse, route, gate,
 * handler, store, rendered answer.
 */
#include "ask.h"
#include "common/arena.h"
#include "common/redis.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the life of a session ---- */

static void
a_session_lives(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/api/v1/sessions", BODY), 201);
    assert_string_equal(header("Location"), "/api/v1/sessions/" ID);
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    expect(201, "\"status\":\"pending\",\"version\":1,");
    expect(201, "\"metadata\":{\"a\":[1.50,\"x/y\"]}");

    ask("POST", "/v1/sessions", BODY);
    expect(200, "\"version\":1,"); /* the same again */
    ask("POST", ONE "/start", NULL);
    expect(200, "\"status\":\"running\",\"version\":2,");
    ask("POST", "/api/sessions/" ID "/switch/", "{\"current_participant_id\":\"" P1 "\"}");
    expect(200, "\"active_participant_id\":\"" P2 "\"");
    assert_true(has("\"version\":3,\"cycle_number\":2"));
    assert_false(has("sync_mode"));
    ask("POST", ONE "/pause", "{}");
    expect(200, "\"status\":\"paused\",\"version\":4,");
    ask("POST", ONE "/resume", "{\"expected_version\":4}");
    expect(200, "\"status\":\"running\",\"version\":5,");
    ask("POST", ONE "/complete", NULL);
    expect(200, "\"status\":\"completed\",\"version\":6,");
    ask("POST", ONE "/complete", NULL);
    expect(200, "\"version\":6,");
    ask("DELETE", ONE, NULL);
    expect(204, "");
    ask("GET", ONE, NULL);
    expect(404, "{\"error\":{\"code\":\"SESSION_NOT_FOUND\",\"message\":\"Session " ID
                " not found\"}}");
    ask("DELETE", ONE, NULL);
    expect(204, "");
}

static void
an_id_is_made_when_none_is_sent(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions",
        "{\"sync_mode\":\"per_participant\",\"total_time_ms\":1000,\"participants\":["
        "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":1000}]}");
    expect(201, "\"session_id\":\"");
    assert_int_equal(ask("GET", header("Location"), NULL), 200);
}

static void
guards_and_transitions_fail_as_said(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("POST", ONE "/switch", NULL);
    expect(400, "\"INVALID_STATE_TRANSITION\",\"message\":\"Session " ID
                " not running (current status: pending)\"");
    ask("POST", ONE "/start", "{\"expected_version\":7}");
    expect(409, "\"details\":{\"expected_version\":7,\"actual_version\":1}");
    ask("POST", ONE "/start", NULL);
    ask("POST", ONE "/switch", "{\"current_participant_id\":\"" P2 "\"}");
    expect(409, "\"CONFLICT\"");
    ask("POST", ONE "/switch", "{\"next_participant_id\":\"" ID "\"}");
    expect(400, "\"VALIDATION_ERROR\",\"message\":\"Participant " ID " not found in session\"");
    ask("POST", "/v1/sessions/" P1 "/start", NULL);
    expect(404, "\"SESSION_NOT_FOUND\"");
    ask("DELETE", ONE, "{\"expected_version\":9}");
    expect(409, "\"actual_version\":2");
}

static void
all_faults_of_a_creation_are_told_at_once(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions",
        "{\"sync_mode\":\"global\",\"total_time_ms\":1000,\"auto_advance\":true,"
        "\"max_cycles\":3,\"active_participant_id\":\"" ID "\",\"participants\":["
        "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":1000},"
        "{\"participant_id\":\"" P1 "\",\"participant_index\":1,\"total_time_ms\":1000}]}");
    expect(400, "\"details\":[{\"field\":\"participants.1.participant_id\",");
    expect(400, "{\"field\":\"active_participant_id\",");
    expect(400, "{\"field\":\"auto_advance\",");
    expect(400, "{\"field\":\"max_cycles\",");
    ask("POST", "/v1/sessions",
        "{\"sync_mode\":\"per_group\",\"total_time_ms\":1000,\"groups\":["
        "{\"group_id\":\"" P1 "\",\"total_time_ms\":1000,\"members\":[\"" ID "\"]},"
        "{\"group_id\":\"" P2 "\",\"total_time_ms\":1000,\"members\":[\"" P1 "\"]}],"
        "\"participants\":[{\"participant_id\":\"" P1 "\",\"participant_index\":0,"
        "\"total_time_ms\":1000,\"group_id\":\"" P1 "\"}]}");
    expect(400, "\"details\":[{\"field\":\"groups.0.members.0\",");
    expect(400, "{\"field\":\"participants.0.group_id\",");
}

/* Of path, query and body, too. */
static void
all_faults_of_a_request_are_told_at_once(void **state)
{
    (void)state;
    ask("PATCH", "/v1/sessions/x/participants/y", "{\"add_ms\":\"5\",\"surprise\":1}");
    expect(400, "\"details\":[{\"field\":\"id\",");
    expect(400, "},{\"field\":\"pid\",");
    expect(400, "},{\"field\":\"add_ms\",");
    expect(400, "},{\"field\":\"reason\",");
    expect(400, "\"code\":\"unrecognized_key\"}]");
    ask("GET", "/v1/sessions/x/poll?since_version=y", NULL);
    expect(400, "\"details\":[{\"field\":\"id\",");
    expect(400, "},{\"field\":\"since_version\",");
    ask("POST", "/v1/sessions/x/start", "{");
    expect(400, "\"field\":\"id\"");
    ask("POST", ONE "/start", "{");
    expect(400, "\"MALFORMED_JSON\"");
}

static void
participants_are_added_and_adjusted(void **state)
{
    static const char p3[] = "{\"participant_id\":\"33333333-3333-4333-8333-333333333333\","
                             "\"total_time_ms\":5000,\"expected_version\":1}";

    (void)state;
    ask("POST", ONE "/participants", p3);
    expect(404, "\"SESSION_NOT_FOUND\"");
    ask("POST", "/v1/sessions", BODY);
    ask("POST", ONE "/participants", p3);
    expect(201, "\"participant_index\":2,\"total_time_ms\":5000");
    expect(201, "\"version\":2");
    ask("POST", ONE "/participants", p3);
    expect(409, "\"actual_version\":2"); /* guards come first */
    ask("POST", ONE "/participants",
        "{\"participant_id\":\"" P2 "\",\"total_time_ms\":5000,\"participant_index\":0}");
    expect(400, "\"field\":\"participant_id\",");
    for (int i = 0; i < 2; i++) {
        ask_with("POST", ONE "/participants",
                 "{\"participant_id\":\"44444444-4444-4444-8444-444444444444\","
                 "\"total_time_ms\":5000,\"expected_version\":2}",
                 "HTTP_IDEMPOTENCY_KEY", "once");
        expect(201, "\"version\":3");
        assert_string_equal(header("Location"),
                            ONE "/participants/44444444-4444-4444-8444-444444444444");
        assert_string_equal(header("Idempotency-Replayed"), i == 0 ? "" : "true");
    }
    ask("PATCH", ONE "/participants/" P2, "{\"add_ms\":-500,\"reason\":\"late\"}");
    expect(200, "\"total_time_ms\":59500");
    expect(200, "\"version\":4");
    ask("PATCH", ONE "/participants/" P2, "{\"total_time_ms\":0}");
    expect(400, "\"field\":\"reason\"");
    ask("PATCH", ONE "/participants/" P2,
        "{\"total_time_ms\":5,\"add_ms\":5,\"reason\":\"x\"}");
    expect(400, "Only one of total_time_ms and add_ms can be given");
    ask("PATCH", ONE "/participants/" P2, "{\"reason\":\"x\"}");
    expect(400, "\"field\":\"add_ms\"");
    ask("PATCH", ONE "/participants/" P2, "{\"add_ms\":-59501,\"reason\":\"x\"}");
    expect(400, "\"field\":\"add_ms\",\"message\":\"The result must be");
    ask("PATCH", ONE "/participants/" ID, "{\"add_ms\":1,\"reason\":\"x\"}");
    expect(404, "\"NOT_FOUND\"");
    ask("POST", ONE "/cancel", NULL);
    ask("PATCH", ONE "/participants/" P2, "{\"add_ms\":1,\"reason\":\"x\"}");
    expect(400, "\"INVALID_STATE_TRANSITION\",\"message\":\"Participants of session " ID
                " cannot be changed (current status: cancelled)\"");
}

/* Both changes are made in the one commit of the command. */
static void
adjusting_the_active_one_to_zero_expires_it(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("POST", ONE "/start", NULL);
    ask_with("PATCH", ONE "/participants/" P1, "{\"total_time_ms\":0,\"reason\":\"flag\"}",
             "HTTP_IDEMPOTENCY_KEY", "k");
    expect(200, "\"version\":4");
    expect(200, "\"last_timeout\":{\"version\":4,");
    expect(200, "\"has_expired\":true");
    ask_with("PATCH", ONE "/participants/" P1, "{\"total_time_ms\":0,\"reason\":\"flag\"}",
             "HTTP_IDEMPOTENCY_KEY", "k");
    expect(200, "\"version\":4");
    assert_string_equal(header("Idempotency-Replayed"), "true");
    ask("PATCH", ONE "/participants/" P1, "{\"total_time_ms\":7000,\"reason\":\"no flag\"}");
    expect(200, "\"has_expired\":false");
    expect(200, "\"deadline_at\"");
}

/* ---- reads ---- */

static void
etags_name_the_state(void **state)
{
    char etag[128], list[400];

    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("GET", ONE, NULL);
    expect(200, "\r\nCache-Control: no-cache\r\n");
    snprintf(etag, sizeof(etag), "%s", header("ETag"));
    assert_int_equal(strncmp(etag, "W/\"", 3), 0);

    ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", etag);
    expect(304, "\r\nETag: W/\"");
    assert_string_equal(header("Content-Type"), "");
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", etag + 2), 304);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", "*"), 304);
    snprintf(list, sizeof(list), "\"x\" ,W/\"y\",%s", etag);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", list), 304);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", "\"x\", W/\"\", ,"), 200);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", ""), 200);

    ask("POST", ONE "/start", NULL);
    assert_int_equal(ask_with("GET", ONE, NULL, "HTTP_IF_NONE_MATCH", etag), 200);
    assert_string_not_equal(header("ETag"), etag);
}

static void
head_is_get_without_a_body(void **state)
{
    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("HEAD", ONE, NULL);
    expect(200, "\r\nETag: W/\"");
    assert_true(strtol(header("Content-Length"), NULL, 10) > 500);
    assert_string_equal(strstr(buf_cstr(&answer), "\r\n\r\n"), "\r\n\r\n");
}

static void
time_has_its_stamps(void **state)
{
    long long ms, receive, transmit;

    (void)state;
    ask("GET", "/v1/time", NULL);
    expect(200, ",\"server_version\":\"2.0.0\",\"drift_tolerance_ms\":50,");
    assert_int_equal(
        sscanf(strstr(buf_cstr(&answer), "{\"timestamp_ms\""),
               "{\"timestamp_ms\":%lld,\"server_version\":\"2.0.0\","
               "\"drift_tolerance_ms\":50,\"receive_us\":%lld,\"transmit_us\":%lld}",
               &ms, &receive, &transmit),
        3);
    assert_true(receive <= transmit);
    assert_true(transmit - receive < 2000000);
    assert_int_equal(ms, transmit / 1000);
    assert_int_equal(ms, strtoll(header("Server-Time"), NULL, 10));
}

static void
health_never_fails(void **state)
{
    (void)state;
    private_redis_ask(&server, "SET t:{lim}x 1");
    ask("GET", "/health", NULL);
    expect(200, "{\"status\":\"ok\",\"timestamp\":");
    expect(200, "\"database\":\"off\",\"redis\":\"connected\",\"timekeeper\":\"absent\"}");
    assert_string_equal(header("RateLimit-Limit"), "");
    assert_string_equal(header("Access-Control-Allow-Origin"), "*");
    ask("GET", "/ready", NULL);
    expect(200, "{\"ready\":true,\"status\":\"ready\"}");

    private_redis_kill(&server);
    ask("GET", "/health", NULL);
    expect(200, "\"redis\":\"down\",\"timekeeper\":\"absent\"}");
    ask("GET", "/ready", NULL);
    expect(503, "{\"ready\":false,\"status\":\"not_ready\",\"error\":\"");
    ask("GET", ONE, NULL);
    expect(503, "\"STORE_UNAVAILABLE\"");
    assert_string_equal(header("Retry-After"), "1");
    ask("GET", "/v1/time", NULL);
    expect(503, "\"STORE_UNAVAILABLE\"");
    private_redis_restart(&server);
}

/* A connection that Redis closed while it was idle costs a read nothing. */
static void
a_restarted_redis_is_not_noticed(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
    } calls[] = { { "GET", "/v1/time", 200 },    { "GET", "/ready", 200 },
                  { "GET", ONE, 200 },           { "POST", ONE "/switch", 200 },
                  { "POST", ONE "/pause", 200 }, { "DELETE", ONE, 204 } };

    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("POST", ONE "/start", NULL);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        private_redis_restart(&server);
        ask(calls[i].method, calls[i].path, NULL);
        expect(calls[i].status, "");
    }
}

static void
a_draining_worker_is_not_ready(void **state)
{
    (void)state;
    service.app.draining = true;
    ask("GET", "/ready", NULL);
    expect(503, "\"not_ready\"");
    assert_int_equal(ask("GET", "/health", NULL), 200);
}

static void
anonymous_production_is_shown(void **state)
{
    (void)state;
    conf.app_env = ENV_PRODUCTION;
    ask("GET", "/health", NULL);
    expect(200, ",\"anonymous\":\"sync\"}");
    conf.app_env = ENV_TEST;
    ask("GET", "/health", NULL);
    assert_false(has("anonymous"));
}

/* ---- what is no route ---- */

static void
unknown_paths_and_methods(void **state)
{
    (void)state;
    ask("GET", "/nope", NULL);
    expect(404, "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"Cannot GET /nope\"}}");
    assert_int_equal(ask("GET", "/", NULL), 404);
    assert_int_equal(ask("GET", "/api/health", NULL), 404);
    ask("POST", "/v1/time", NULL);
    expect(405, "\"METHOD_NOT_ALLOWED\"");
    assert_string_equal(header("Allow"), "GET, HEAD, OPTIONS");
    ask("PATCH", ONE, NULL);
    assert_string_equal(header("Allow"), "GET, HEAD, DELETE, OPTIONS");
    ask("BREW", ONE "/start", NULL);
    expect(405, "BREW is not allowed here");
    ask("GET", "/v1/%zz", NULL);
    expect(400, "\"BAD_REQUEST\"");
    ask("GET", "/v1/sessions/x%2fy", NULL);
    expect(400, "\"BAD_REQUEST\"");
}

static void
preflights_are_granted(void **state)
{
    (void)state;
    ask_with("OPTIONS", ONE "/switch", NULL, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
             "content-type,x-mine");
    expect(204, "\r\nAccess-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n");
    assert_string_equal(header("Access-Control-Allow-Headers"), "content-type,x-mine");
    ask_with("OPTIONS", "/anything", NULL, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "a\r\nb");
    expect(204, "");
    assert_string_equal(header("Access-Control-Allow-Headers"), "");
}

static void
request_ids_come_back(void **state)
{
    (void)state;
    ask_with("GET", "/nope", NULL, "HTTP_X_REQUEST_ID", "mine-1");
    assert_string_equal(header("X-Request-Id"), "mine-1");
    ask_with("GET", "/nope", NULL, "HTTP_X_REQUEST_ID", "not mine");
    assert_string_not_equal(header("X-Request-Id"), "not mine");
    assert_string_not_equal(header("X-Request-Id"), "");
}

/* ---- the gate ---- */

static void
ids_in_paths_are_checked(void **state)
{
    static const char *const bad[] = { "x", "0e6c81f0-58b2-0f6f-9d39-6f4f4a6d2f01",
                                       "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF" };
    static const char *const good[] = { "00000000-0000-0000-0000-000000000000",
                                        "ffffffff-ffff-ffff-ffff-ffffffffffff",
                                        "0E6C81F0-58B2-4F6F-9D39-6F4F4A6D2F01" };
    char path[96];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "/v1/sessions/%s", bad[i]);
        ask("GET", path, NULL);
        expect(400,
               "{\"error\":{\"code\":\"VALIDATION_ERROR\",\"message\":\"Request validation "
               "failed\",\"details\":[{\"field\":\"id\",\"message\":\"Session ID must be a "
               "valid UUID\",\"code\":\"invalid_format\"}]}}");
        snprintf(path, sizeof(path), "/v1/sessions/%s", good[i]);
        assert_int_equal(ask("GET", path, NULL), 404);
    }
}

static void
bodies_are_checked(void **state)
{
    static const struct {
        const char *body, *want;
        int status;
    } cases[] = {
        { "{", "\"MALFORMED_JSON\"", 400 },
        { "{\"a\":1,\"a\":1}", "\"MALFORMED_JSON\"", 400 },
        { "{} x", "\"MALFORMED_JSON\"", 400 },
        { "[]",
          "[{\"field\":\"\",\"message\":\"Invalid input: expected object, received array\"",
          400 },
        { "null",
          "[{\"field\":\"\",\"message\":\"Invalid input: expected object, received null\"",
          400 },
        { "{\"x\":1}", "{\"field\":\"x\",\"message\":\"Unrecognized key: \\\"x\\\"\"", 400 },
        { "{\"expected_version\":\"1\"}", "\"invalid_type\"", 400 },
        { "{\"expected_version\":0}", "\"too_small\"", 400 },
    };

    (void)state;
    ask("POST", "/v1/sessions", BODY);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask("POST", ONE "/start", cases[i].body);
        expect(cases[i].status, cases[i].want);
    }
    ask("POST", ONE "/switch", "{\"next_participant_id\":\"x\"}");
    expect(400, "Next participant ID must be a valid UUID");
    ask("GET", ONE, NULL);
    expect(200, "\"version\":1,");
}

static void
media_types(void **state)
{
    static const struct {
        const char *type;
        bool strict_ok, counts; /* counts: as a body, when it need not be JSON */
    } cases[] = {
        { "application/json", true, true },
        { "APPLICATION/JSON; charset=UTF-8", true, true },
        { "application/json;charset=\"utf-8\"", true, true },
        { "application/json; charset=latin1", false, false },
        { "application/json; charset=utf-80", false, false },
        { "application/jsonx", false, false },
        { "text/plain", false, false },
        { "", false, false },
        { NULL, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int want_strict = cases[i].strict_ok ? 404 : 415;

        conf.strict_body = true;
        assert_int_equal(ask_with("POST", ONE "/start", "{}", "CONTENT_TYPE", cases[i].type),
                         want_strict);
        conf.strict_body = false; /* reference clients: any other type is no body */
        assert_int_equal(ask_with("POST", ONE "/start", "{bad", "CONTENT_TYPE", cases[i].type),
                         cases[i].counts ? 400 : 404);
        assert_int_equal(
            ask_with("POST", ONE "/start", "{\"x\":1}", "CONTENT_TYPE", cases[i].type), 404);
    }
    conf.strict_body = true;
    assert_int_equal(ask_with("POST", ONE "/start", "", "CONTENT_TYPE", "text/plain"), 404);
}

static void
sizes(void **state)
{
    struct fake_io fake;
    char *big = xalloc(5001);

    (void)state;
    memset(big, ' ', 5000);
    big[0] = '{';
    big[4095] = '}';
    big[4096] = '\0';
    assert_int_equal(ask("POST", ONE "/start", big), 404); /* just fits */
    big[4096] = ' ';
    ask("POST", ONE "/start", big);
    expect(413, "\"PAYLOAD_TOO_LARGE\"");

    /* chunked: no length is said, and whether there is a body shows when reading */
    fake_init(&fake, "POST", ONE "/start", big);
    fake_set(&fake, "CONTENT_LENGTH", NULL);
    fake.super.at_end = fake_at_end;
    assert_int_equal(send_fake(&fake), 413);
    fake_init(&fake, "POST", ONE "/start", "{\"expected_version\":\"x\"}");
    fake_set(&fake, "CONTENT_LENGTH", "");
    fake.super.at_end = fake_at_end;
    assert_int_equal(send_fake(&fake), 400);
    fake_init(&fake, "POST", ONE "/start", NULL);
    fake.super.at_end = fake_at_end;
    assert_int_equal(send_fake(&fake), 404);

    /* cut off before its first byte it is no command without a body */
    fake_init(&fake, "POST", ONE "/start", NULL);
    fake.super.at_end = fake_at_end;
    fake.is_cut = true;
    send_fake(&fake);
    expect(400, "did not arrive in whole");

    /* less than was said is never acted on */
    fake_init(&fake, "POST", ONE "/start", "{}");
    fake_set(&fake, "CONTENT_LENGTH", "3");
    send_fake(&fake);
    expect(400, "shorter than its Content-Length");
    free(big);
}

static void
nobody_is_let_in_without_a_token(void **state)
{
    (void)state;
    conf.auth_required = true;
    conf.rate_limit_general.count = 3;
    ask("POST", "/v1/sessions", "{");
    expect(401, "{\"error\":{\"code\":\"UNAUTHENTICATED\"");
    assert_string_equal(header("WWW-Authenticate"), "Bearer");
    assert_string_equal(header("RateLimit-Limit"), "3");
    assert_string_equal(header("RateLimit-Remaining"), "2");
    assert_int_equal(ask("GET", ONE, NULL), 401);
    assert_int_equal(ask("DELETE", ONE, NULL), 401);
    assert_int_equal(ask("GET", ONE, NULL), 429); /* failed authentications are limited */
    assert_int_equal(ask("GET", "/v1/time", NULL), 200);
    assert_int_equal(ask("GET", "/health", NULL), 200);
}

/* ---- limits ---- */

static void
reads_are_limited_in_their_own_round_trip(void **state)
{
    int64_t reads;

    (void)state;
    conf.rate_limit_get.count = 2;
    ask("POST", "/v1/sessions", BODY);
    reads = redis_reads();
    ask("GET", ONE, NULL);
    expect(200,
           "\r\nRateLimit-Policy: 2;w=60\r\nRateLimit-Limit: 2\r\nRateLimit-Remaining: 1\r\n");
    assert_int_equal(redis_reads() - reads, OWN_READS + 1);
    ask("GET", ONE, NULL);
    assert_string_equal(header("RateLimit-Remaining"), "0");
    ask("GET", ONE, NULL);
    expect(429, "{\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\",\"message\":\"Too many requests, "
                "please try again later\",\"retry_after_seconds\":");
    assert_in_range(strtol(header("Retry-After"), NULL, 10), 1, 120);
    /* other kinds and other addresses have counts of their own */
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    assert_int_equal(ask_with("GET", ONE, NULL, "REMOTE_ADDR", "192.0.2.2"), 200);
}

static void
what_ends_early_counts_too(void **state)
{
    (void)state;
    conf.rate_limit_general.count = 3;
    ask("POST", ONE "/start", "{");
    expect(400, "\r\nRateLimit-Remaining: 2\r\n");
    ask("POST", "/v1/sessions/x/start", NULL);
    expect(400, "\r\nRateLimit-Remaining: 1\r\n");
    ask_with("POST", ONE "/start", "{}", "CONTENT_TYPE", "text/plain");
    expect(415, "\r\nRateLimit-Remaining: 0\r\n");
    ask("POST", ONE "/start", "{");
    expect(429, "\"RATE_LIMIT_EXCEEDED\"");
}

static void
switches_are_limited_by_session(void **state)
{
    int64_t reads;

    (void)state;
    ask("POST", "/v1/sessions", BODY);
    ask("POST", ONE "/start", NULL);
    reads = redis_reads();
    ask("POST", ONE "/switch", NULL);
    expect(200,
           "\r\nRateLimit-Policy: 10;w=1\r\nRateLimit-Limit: 10\r\nRateLimit-Remaining: 9\r\n");
    assert_int_equal(redis_reads() - reads, OWN_READS + 2);
    conf.rate_limit_switch.count = 1;
    ask("POST", ONE "/switch", NULL);
    expect(429, "\"Too many cycle switches for this session, please slow down\"");
    assert_true(strtol(header("Retry-After"), NULL, 10) >= 1);
}

static void
without_limits_the_headers_stay(void **state)
{
    (void)state;
    conf.rate_limit_enabled = false;
    conf.rate_limit_time.count = 1;
    for (int i = 0; i < 5; i++) {
        ask("GET", "/v1/time", NULL);
        expect(200,
               "\r\nRateLimit-Limit: 1\r\nRateLimit-Remaining: 1\r\nRateLimit-Reset: 60\r\n");
    }
    conf.rate_limit_create.count = 1;
    assert_int_equal(ask("POST", "/v1/sessions", BODY), 201);
    assert_int_equal(ask("POST", "/v1/sessions", "{"), 400);
    conf.rate_limit_switch.count = 1;
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    for (int i = 0; i < 3; i++) {
        ask("POST", ONE "/switch", NULL);
        expect(200, "\r\nRateLimit-Limit: 1\r\nRateLimit-Remaining: 1\r\n");
    }
    assert_string_equal(private_redis_ask(&server, "KEYS *lim*"), "");
}

/* Whoever has one address of IPv6 has a whole /64 of them; IPv4 is the same in both spellings.
 */
static void
addresses_count_by_network(void **state)
{
    static const struct {
        const char *peer;
        int status;
    } asks[] = {
        { "2001:db8::1", 200 },         { "2001:db8:0:0:ffff::2", 429 },
        { "2001:db8:0:1::1", 200 },     { "198.51.100.1", 200 },
        { "198.51.100.2", 200 },        { "198.51.100.1", 429 },
        { "::ffff:198.51.100.2", 429 },
    };

    (void)state;
    conf.rate_limit_time.count = 1;
    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
        ask_with("GET", "/v1/time", NULL, "REMOTE_ADDR", asks[i].peer);
        if (status != asks[i].status)
            fail_msg("%s: %d", asks[i].peer, status);
    }
}

/* The limiter alone is broken: its key has another type. The store works, so requests pass. */
static void
a_broken_limiter_lets_pass(void **state)
{
    char key[128];

    (void)state;
    ask("GET", "/v1/time", NULL);
    assert_int_equal(status, 200);
    snprintf(key, sizeof(key), "%s", private_redis_ask(&server, "KEYS *lim*"));
    private_redis_ask(&server, "DEL %s", key);
    private_redis_ask(&server, "HSET %s x y", key);
    ask("GET", "/v1/time", NULL);
    expect(200, "\r\nRateLimit-Remaining: 60\r\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, ask_setup, ask_teardown)
        T(a_session_lives),
        T(an_id_is_made_when_none_is_sent),
        T(guards_and_transitions_fail_as_said),
        T(all_faults_of_a_creation_are_told_at_once),
        T(all_faults_of_a_request_are_told_at_once),
        T(participants_are_added_and_adjusted),
        T(adjusting_the_active_one_to_zero_expires_it),
        T(etags_name_the_state),
        T(head_is_get_without_a_body),
        T(time_has_its_stamps),
        T(health_never_fails),
        T(a_restarted_redis_is_not_noticed),
        T(a_draining_worker_is_not_ready),
        T(anonymous_production_is_shown),
        T(unknown_paths_and_methods),
        T(preflights_are_granted),
        T(request_ids_come_back),
        T(ids_in_paths_are_checked),
        T(bodies_are_checked),
        T(media_types),
        T(sizes),
        T(nobody_is_let_in_without_a_token),
        T(reads_are_limited_in_their_own_round_trip),
        T(what_ends_early_counts_too),
        T(switches_are_limited_by_session),
        T(without_limits_the_headers_stay),
        T(addresses_count_by_network),
        T(a_broken_limiter_lets_pass),
#undef T
    };
    int failed;

    ask_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ask_end();
    return failed;
}
