#include "fcgi/reply.h"

#include "common/conf.h"
#include "fcgi/request.h"
#include "tests/lib/fake_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;
static struct app app = { .conf = &conf, .id_prefix = "test" };
static struct fake_io io;
static struct req rq;
static struct buf out;

static int
setup(void **state)
{
    struct fail f = { 0 };

    (void)state;
    conf = (struct conf){ .allowed_origins = "",
                          .max_body_bytes = 1024,
                          .rate_limit_get = { 100, 60000, 0 } };
    fake_init(&io, "GET", "/v1/time", NULL);
    request_init(&rq, &app);
    buf_init(&out, 1 << 24);
    return request_parse(&rq, &io.super, &f) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    request_fini(&rq);
    fake_fini(&io);
    buf_fini(&out);
    return 0;
}

static const char *
render(void)
{
    buf_clear(&out);
    reply_render(&rq, &out);
    return buf_cstr(&out);
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void
test_data(void **state)
{
    const char *text;

    (void)state;
    buf_str(reply_data(&rq, 201), "{\"a\":1}");
    rq.server_time_ms = 1234;
    text = render();
    assert_true(strncmp(text, "Status: 201 Created\r\n", 21) == 0);
    assert_has(text, "X-Request-Id: test-");
    assert_has(text, "Server-Time: 1234\r\n");
    assert_has(text, "Content-Type: application/json; charset=utf-8\r\nContent-Length: 16\r\n");
    assert_has(text, "\r\n\r\n{\"data\":{\"a\":1}}");
    assert_null(strstr(text, "\r\nRateLimit-"));
}

static void
test_head_has_the_length_and_no_body(void **state)
{
    const char *text;

    (void)state;
    rq.head = true;
    buf_str(reply_bare(&rq, 200, "text/plain"), "12345");
    text = render();
    assert_has(text, "Content-Length: 5\r\n");
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void
test_empty(void **state)
{
    const char *text;

    (void)state;
    reply_empty(&rq, 204);
    text = render();
    assert_has(text, "Status: 204 No Content\r\n");
    assert_null(strstr(text, "\nContent-Type"));
    assert_null(strstr(text, "\nContent-Length"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

static void
test_failures(void **state)
{
    struct fail f = { .rc = RC_CONFLICT, .message = "No \"way\"" };
    const char *text;

    (void)state;
    reply_fail(&rq, &f, NULL);
    text = render();
    assert_has(text, "Status: 409 Conflict\r\n");
    assert_has(text,
               "\r\n\r\n{\"error\":{\"code\":\"CONFLICT\",\"message\":\"No \\\"way\\\"\"}}");
    assert_null(strstr(text, "\r\nRetry-After:"));

    snprintf(f.details, sizeof(f.details), "{\"a\":1}");
    reply_fail(&rq, &f, NULL);
    assert_has(render(), "\",\"details\":{\"a\":1}}}");
    reply_fail(&rq, &f, "[2]");
    assert_has(render(), "\",\"details\":[2]}}");
}

/* A failure replaces what a handler had begun. */
static void
test_failure_after_data(void **state)
{
    struct fail f = { .rc = RC_STORE_UNAVAILABLE, .message = "Later", .retry_after_ms = 1001 };
    const char *text;

    (void)state;
    buf_str(reply_data(&rq, 200), "{\"half");
    reply_fail(&rq, &f, NULL);
    text = render();
    assert_null(strstr(text, "half"));
    assert_has(text, "Status: 503 Service Unavailable\r\n");
    assert_has(text, "Retry-After: 2\r\n");
    assert_has(text, "\"message\":\"Later\"}}");
    assert_null(strstr(text, "retry_after_seconds"));
}

static void
test_limited_and_unauthenticated(void **state)
{
    struct fail f = { .rc = RC_LIMITED, .message = "Slow", .retry_after_ms = 60000 };
    const char *text;

    (void)state;
    reply_fail(&rq, &f, NULL);
    text = render();
    assert_has(text, "\"message\":\"Slow\",\"retry_after_seconds\":60}}");
    assert_has(text, "Retry-After: 60\r\n");
    f = (struct fail){ .rc = RC_UNAUTHENTICATED, .message = "Who?" };
    reply_fail(&rq, &f, NULL);
    assert_has(render(), "WWW-Authenticate: Bearer\r\n");
}

static void
test_limit_headers(void **state)
{
    const char *text;

    (void)state;
    rq.limit_kind = LIMIT_GET;
    reply_empty(&rq, 204);
    assert_has(render(), "RateLimit-Policy: 100;w=60\r\nRateLimit-Limit: 100\r\n"
                         "RateLimit-Remaining: 100\r\nRateLimit-Reset: 60\r\n");
    rq.limit = (struct limit_state){ .known = true, .remaining = 7, .reset_ms = 1001 };
    text = render();
    assert_has(text, "RateLimit-Remaining: 7\r\nRateLimit-Reset: 2\r\n");
    conf.rate_limit_get.count = 0; /* no limit */
    assert_null(strstr(render(), "\r\nRateLimit-"));
    conf.rate_limit_get.count = 100;
}

static void
test_cors_table(void **state)
{
    static const struct {
        const char *allowed, *origin, *want; /* NULL: no Access-Control header at all */
        bool vary;
    } cases[] = {
        { "", NULL, "*", false },
        { "*", "https://x.example", "*", false },
        { "https://a.example,https://b.example", "https://b.example", "https://b.example",
          true },
        { "https://a.example, https://b.example", NULL, "https://a.example", true },
        { "https://a.example,https://b.example", "https://c.example", NULL, true },
        { "https://a.example", "https://a.example.evil", NULL, true },
        { "https://a.example.org", "https://a.example", NULL, true },
        { "https://a.example,*", "https://c.example", "*", false },
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text;

        conf.allowed_origins = cases[i].allowed;
        fake_set(&io, "HTTP_ORIGIN", cases[i].origin);
        reply_empty(&rq, 204);
        text = render();
        assert_int_equal(strstr(text, "Vary: Origin\r\n") != NULL, cases[i].vary);
        if (cases[i].want == NULL) {
            assert_null(strstr(text, "Access-Control"));
            continue;
        }
        snprintf(line, sizeof(line), "Access-Control-Allow-Origin: %s\r\n", cases[i].want);
        assert_has(text, line);
        assert_has(text, "Access-Control-Allow-Credentials: true\r\n");
    }
    conf.allowed_origins = "";
}

static void
test_headers_cannot_be_forged(void **state)
{
    const char *text;

    (void)state;
    reply_empty(&rq, 204);
    reply_header(&rq, "X-Good", "%s", "a b");
    reply_header(&rq, "X-Bad", "%s", "a\r\nX-Worse: b");
    reply_header(&rq, "X-Bad", "%s", "a\x7f");
    text = render();
    assert_has(text, "X-Good: a b\r\n");
    assert_null(strstr(text, "X-Bad"));
    assert_null(strstr(text, "X-Worse"));
}

static void
test_silence_and_overflow_are_500(void **state)
{
    struct buf *body;
    const char *text;

    (void)state;
    text = render();
    assert_has(text, "Status: 500 Internal Server Error\r\n");
    assert_has(text, "\"code\":\"INTERNAL_ERROR\"");

    reply_clear(&rq.reply);
    body = reply_data(&rq, 200);
    for (size_t i = 0; i <= REPLY_MAX / 1024; i++)
        buf_printf(body, "%1024d", 1);
    text = render();
    assert_has(text, "Status: 500 Internal Server Error\r\n");
    assert_true(out.len < 1024);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_has_the_length_and_no_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_after_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limited_and_unauthenticated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cors_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_headers_cannot_be_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_and_overflow_are_500, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
