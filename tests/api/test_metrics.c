/*
 * What workers count of requests, and who may read it: through the whole of fcgi/ in process.
 */
#include "common/keys.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "fcgi/gate.h"
#include "fcgi/service.h"
#include "private_redis.h"
#include "tests/lib/fake_io.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define P1 "11111111-1111-4111-8111-111111111111"
#define P2 "22222222-2222-4222-8222-222222222222"
#define ID "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
#define ID2 "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f02"
#define BODY(id)                                                                             \
    "{\"session_id\":\"" id "\",\"sync_mode\":\"per_participant\",\"total_time_ms\":120000," \
    "\"participants\":["                                                                     \
    "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":60000},"       \
    "{\"participant_id\":\"" P2 "\",\"participant_index\":1,\"total_time_ms\":60000}]}"
#define ONE "/v1/sessions/" ID
#define REQUESTS(method, route, status)                                   \
    "synckairos_http_requests_total{method=\"" method "\",route=\"" route \
    "\",status_code=\"" status "\"}"

static struct private_redis server;
static struct conf conf;
static struct service service;
static char status_file[80];
static struct buf answer; /* to the newest request */
static int status;

static int
setup(void **state)
{
    (void)state;
    conf = private_redis_conf(&server);
    conf.app_env = ENV_TEST;
    conf.allowed_origins = conf.allow_anonymous = conf.database_url = conf.trusted_proxies = "";
    conf.status_file = status_file;
    conf.enable_metrics = true;
    conf.metrics_allow = "192.0.2.0/24";
    conf.max_body_bytes = 4096;
    conf.strict_body = true;
    conf.rate_limit_create = (struct limit_rule){ 5, 60000, 0 };
    conf.rate_limit_get = (struct limit_rule){ 3, 60000, 0 };
    conf.rate_limit_general = (struct limit_rule){ 100, 60000, 0 };
    private_redis_ask(&server, "FLUSHALL");
    service_init(&service, &conf);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    service_fini(&service);
    unlink(status_file);
    return 0;
}

static void
again(void)
{
    service_fini(&service);
    service_init(&service, &conf);
}

/* Returns the status; `name` NULL: no further variable. */
static int
ask_with(const char *method, const char *path, const char *body, const char *name,
         const char *value)
{
    struct fake_io fake;

    fake_init(&fake, method, path, body);
    if (name != NULL)
        fake_set(&fake, name, value);
    service_answer(&service, &fake.super);
    buf_clear(&answer);
    buf_add(&answer, fake.out.data, fake.out.len);
    fake_fini(&fake);
    status = (int)strtol(buf_cstr(&answer) + strlen("Status: "), NULL, 10);
    return status;
}

static int
ask(const char *method, const char *path, const char *body)
{
    return ask_with(method, path, body, NULL, NULL);
}

/* What stands behind `sample` on /metrics; -1 when it is not there. */
static int64_t
value_of(const char *sample)
{
    char line[256];
    const char *at;

    assert_int_equal(ask("GET", "/metrics", NULL), 200);
    snprintf(line, sizeof(line), "\n%s ", sample);
    at = strstr(buf_cstr(&answer), line);
    return at != NULL ? strtoll(at + strlen(line), NULL, 10) : -1;
}

/* --- tables --- */

static void
test_every_failure_limit_and_route_has_its_place(void **state)
{
    (void)state;
    for (int rc = 0; rc < RC__MAX; rc++) {
        char text[8];

        snprintf(text, sizeof(text), "%d", rc_status((enum rc)rc));
        assert_string_equal(
            metric_label_rows[METRIC_STATUS].values[metric_label_place(METRIC_STATUS, text)],
            text);
    }
    for (int kind = LIMIT_NONE + 1; kind < LIMIT__MAX; kind++) {
        const char *name = gate_limit_name((enum limit_kind)kind);

        assert_string_equal(
            metric_label_rows[METRIC_LIMIT].values[metric_label_place(METRIC_LIMIT, name)],
            name);
    }
    for (size_t i = 0; i < route_count(); i++) {
        size_t place = service.app.route_places[i];

        assert_in_range(place, 1, METRICS_ROUTES - 1);
        assert_true(strlen(route_at(i)->path) < METRICS_ROUTE_MAX);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(service.app.route_places[k] == place,
                             strcmp(route_at(k)->path, route_at(i)->path) == 0);
    }
}

/* --- requests --- */

static void
test_requests_count_under_their_route(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v1/sessions", BODY(ID)), 201);
    assert_int_equal(ask("POST", "/api/v1/sessions", BODY(ID2)), 201);
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    assert_int_equal(ask("POST", ONE "/switch", NULL), 200);
    assert_int_equal(ask("POST", ONE "/switch", "{\"expected_version\":77}"), 409);
    assert_int_equal(ask("HEAD", ONE, NULL), 200);
    assert_int_equal(ask("GET", ONE, NULL), 200);
    assert_int_equal(ask("GET", "/nothing/" ID, NULL), 404);
    assert_int_equal(ask("PUT", ONE, NULL), 405);
    assert_int_equal(ask("OPTIONS", ONE, NULL), 204);
    assert_int_equal(ask("BREW", ONE, NULL), 405);
    assert_int_equal(ask("GET", "/%zz", NULL), 400);
    assert_int_equal(value_of(REQUESTS("POST", "/v1/sessions", "201")), 2);
    assert_int_equal(value_of(REQUESTS("POST", "/v1/sessions/:id/start", "200")), 1);
    assert_int_equal(value_of(REQUESTS("POST", "/v1/sessions/:id/switch", "200")), 1);
    assert_int_equal(value_of(REQUESTS("POST", "/v1/sessions/:id/switch", "409")), 1);
    assert_int_equal(value_of(REQUESTS("HEAD", "/v1/sessions/:id", "200")), 1);
    assert_int_equal(value_of(REQUESTS("GET", "/v1/sessions/:id", "200")), 1);
    assert_int_equal(value_of(REQUESTS("GET", "other", "404")), 1);
    assert_int_equal(value_of(REQUESTS("PUT", "other", "405")), 1);
    assert_int_equal(value_of(REQUESTS("OPTIONS", "other", "204")), 1);
    assert_int_equal(value_of(REQUESTS("other", "other", "405")), 1);
    assert_int_equal(value_of(REQUESTS("GET", "other", "400")), 1);
    assert_int_equal(value_of(REQUESTS("GET", "/metrics", "200")), 11);
    assert_null(strstr(buf_cstr(&answer), ID)); /* no label that a caller chooses */
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_count"), 2);
    assert_int_equal(
        value_of("synckairos_http_request_duration_ms_count{method=\"POST\",route=\"/"
                 "v1/sessions/:id/switch\"}"),
        2);
}

static void
test_another_worker_shows_the_same(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v1/sessions", BODY(ID)), 201);
    again();
    assert_int_equal(value_of(REQUESTS("POST", "/v1/sessions", "201")), 1);
}

static void
test_sessions_and_audit_records_are_counted_in_redis(void **state)
{
    (void)state;
    assert_int_equal(value_of("synckairos_active_sessions"), 0);
    assert_int_equal(value_of("synckairos_db_write_queue_size"), 0);
    assert_int_equal(value_of("synckairos_redis_up"), 1);
    ask("POST", "/v1/sessions", BODY(ID));
    ask("POST", "/v1/sessions", BODY(ID2));
    ask("POST", ONE "/start", NULL);
    assert_int_equal(value_of("synckairos_active_sessions"), 2);
    assert_int_equal(value_of("synckairos_db_write_queue_size"), 3);
    ask("POST", ONE "/complete", NULL);
    assert_int_equal(value_of("synckairos_active_sessions"), 2); /* it can still be read */
    ask("DELETE", ONE, NULL);
    ask("DELETE", ONE, NULL);
    assert_int_equal(value_of("synckairos_active_sessions"), 1);
}

static void
test_refusals_by_limits(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        ask("GET", ONE, NULL);
    assert_int_equal(status, 429);
    ask("POST", "/v1/sessions", BODY(ID));
    ask("POST", ONE "/start", NULL);
    for (int i = 0; i < 12; i++)
        ask("POST", ONE "/switch", NULL);
    assert_int_equal(status, 429);
    assert_int_equal(value_of("synckairos_rate_limit_rejections_total{limit=\"get\"}"), 2);
    assert_int_equal(value_of("synckairos_rate_limit_rejections_total{limit=\"switch\"}"), 2);
    assert_int_equal(value_of("synckairos_rate_limit_rejections_total{limit=\"create\"}"), 0);
    assert_int_equal(value_of("synckairos_rate_limit_errors_total"), 0);
}

/* The limiter's key cannot be used: requests pass, and are counted. */
static void
test_a_limiter_that_fails(void **state)
{
    struct key key = keys_limit(conf.key_prefix, "get", "192.0.2.1", false);

    (void)state;
    private_redis_ask(&server, "HSET %s x y", key.s);
    assert_int_equal(ask("GET", ONE, NULL), 404);
    assert_int_equal(value_of("synckairos_rate_limit_errors_total"), 1);
}

static void
test_a_store_that_is_away(void **state)
{
    (void)state;
    private_redis_kill(&server);
    assert_int_equal(ask("GET", ONE, NULL), 503);
    assert_int_equal(value_of("synckairos_store_errors_total{code=\"STORE_UNAVAILABLE\"}"), 1);
    assert_int_equal(value_of("synckairos_store_errors_total{code=\"STORE_FULL\"}"), 0);
    assert_int_equal(value_of("synckairos_redis_up"), 0);
    assert_int_equal(value_of("synckairos_active_sessions"), -1);
    assert_int_equal(value_of("synckairos_db_write_queue_size"), -1);
    private_redis_restart(&server);
    again();
    assert_int_equal(value_of("synckairos_redis_up"), 1);
}

/* --- who may read --- */

static void
test_only_those_who_are_allowed(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/metrics", NULL), 200);
    assert_non_null(strstr(buf_cstr(&answer),
                           "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_int_equal(ask("HEAD", "/metrics", NULL), 200);
    assert_int_equal(ask_with("GET", "/metrics", NULL, "REMOTE_ADDR", "198.51.100.1"), 404);
    assert_non_null(strstr(buf_cstr(&answer), "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":"
                                              "\"Cannot GET /metrics\"}}"));
    assert_int_equal(ask_with("GET", "/metrics", NULL, "REMOTE_ADDR", "unix:"), 404);
}

static void
test_a_proxy_that_nobody_named_hides_who_asks(void **state)
{
    (void)state;
    assert_int_equal(ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", "192.0.2.7"),
                     404);
    assert_int_equal(ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", ""), 200);
    conf.trusted_proxies = "192.0.2.1";
    again();
    assert_int_equal(ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", "192.0.2.7"),
                     200);
    assert_int_equal(ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", "198.51.100.1"),
                     404);
    assert_int_equal(
        ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", "192.0.2.7, 198.51.100.1"),
        404);
    assert_int_equal(ask_with("GET", "/metrics", NULL, "HTTP_X_FORWARDED_FOR", "nonsense"),
                     404);
}

static void
test_switched_off(void **state)
{
    (void)state;
    conf.enable_metrics = false;
    conf.metrics_allow = NULL;
    again();
    assert_int_equal(ask("GET", ONE, NULL), 404);
    assert_int_equal(ask("GET", "/metrics", NULL), 404);
    conf.enable_metrics = true;
    conf.metrics_allow = "0.0.0.0/0";
    again();
    assert_int_equal(value_of(REQUESTS("GET", "/v1/sessions/:id", "404")), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_failure_limit_and_route_has_its_place),
        TEST(test_requests_count_under_their_route),
        TEST(test_another_worker_shows_the_same),
        TEST(test_sessions_and_audit_records_are_counted_in_redis),
        TEST(test_refusals_by_limits),
        TEST(test_a_limiter_that_fails),
        TEST(test_a_store_that_is_away),
        TEST(test_only_those_who_are_allowed),
        TEST(test_a_proxy_that_nobody_named_hides_who_asks),
        TEST(test_switched_off),
    };
    int failed;

    private_redis_start(&server);
    snprintf(status_file, sizeof(status_file), "%s.status", server.dir);
    buf_init(&answer, 16 * 1024 * 1024);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&answer);
    private_redis_stop(&server);
    return failed;
}
