#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sys/wait.h>
#include <unistd.h>

static int saved_stderr, ends[2];
static char got[65536];

static int
capture(void **state)
{
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_DIRECT), 0); /* O_DIRECT: one packet a write */
    dup2(ends[1], STDERR_FILENO);
    log_setup(LOG_INFO, LOG_JSON, "test");
    log_request(NULL);
    return 0;
}

static int
release(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* All that was written, as a string; *writes counts the write(2) calls. */
static const char *
written(int *writes)
{
    size_t len = 0;
    ssize_t n;

    *writes = 0;
    for (;;) {
        n = read(ends[0], got + len, sizeof(got) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        (*writes)++;
    }
    got[len] = '\0';
    return got;
}

/* The one line that was written, parsed. */
static json_object *
line(void)
{
    int writes;
    const char *s = written(&writes), *end = strchr(s, '\n');
    json_tokener *tok = json_tokener_new();
    json_object *o;

    assert_non_null(end);
    assert_int_equal(end[1], '\0'); /* one line, at the end */
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    o = json_tokener_parse_ex(tok, s, (int)(end - s));
    assert_int_equal(json_tokener_get_error(tok), json_tokener_success);
    json_tokener_free(tok);
    return o;
}

static const char *
str(json_object *o, const char *key)
{
    return json_object_get_string(json_object_object_get(o, key));
}

static void
test_a_line(void **state)
{
    json_object *o;

    (void)state;
    log_request("req-1");
    log_warn("slow", LOG_STR("route", "/v1/x"), LOG_INT("ms", -5), LOG_STR("none", NULL));
    o = line();
    assert_string_equal(str(o, "level"), "warn");
    assert_string_equal(str(o, "component"), "test");
    assert_string_equal(str(o, "request_id"), "req-1");
    assert_string_equal(str(o, "message"), "slow");
    assert_string_equal(str(o, "route"), "/v1/x");
    assert_int_equal(json_object_get_int(json_object_object_get(o, "ms")), -5);
    assert_string_equal(str(o, "none"), "");
    assert_int_equal(strlen(str(o, "timestamp")), 24);
    json_object_put(o);
}

static void
test_no_request_no_id(void **state)
{
    json_object *o;

    (void)state;
    log_info("up", LOG_END);
    o = line();
    assert_null(json_object_object_get(o, "request_id"));
    json_object_put(o);
}

static void
test_level_is_a_threshold(void **state)
{
    int writes;

    (void)state;
    assert_true(log_enabled(LOG_INFO));
    assert_false(log_enabled(LOG_DEBUG));
    log_debug("no", LOG_END);
    assert_string_equal(written(&writes), "");
    log_setup(LOG_DEBUG, LOG_JSON, "test");
    log_debug("yes", LOG_END);
    assert_non_null(strstr(written(&writes), "yes"));
}

static void
test_one_write_a_line(void **state)
{
    int writes;

    (void)state;
    log_info("one", LOG_STR("a", "b"), LOG_INT("c", 1));
    log_info("two", LOG_STR("a", "b"));
    written(&writes);
    assert_int_equal(writes, 2);
}

static void
test_values_cannot_forge_a_line(void **state)
{
    const char *evil = "x\"}\n{\"level\":\"error\"}\r\t\x01\\";
    json_object *o;

    (void)state;
    log_info("in", LOG_STR("path", evil));
    o = line();
    assert_string_equal(str(o, "path"), evil);
    json_object_put(o);
}

/* Foreign bytes need not be UTF-8; the line must be. */
static void
test_bad_utf8_is_replaced(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
          "ok \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "\xff.", "\xef\xbf\xbd." },
        { "\xc3", "\xef\xbf\xbd" },
        { "\xc3(", "\xef\xbf\xbd(" },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf0\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf5", "\xef\xbf\xbd" },
        { "\x80", "\xef\xbf\xbd" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_object *o;

        log_info("in", LOG_STR("v", cases[i].in));
        o = line();
        assert_string_equal(str(o, "v"), cases[i].out);
        json_object_put(o);
    }
}

static void
test_lines_are_bounded(void **state)
{
    char big[20000];
    json_object *o;

    (void)state;
    memset(big, '\x01', sizeof(big) - 1); /* six bytes each when escaped */
    big[sizeof(big) - 1] = '\0';
    log_info("big", LOG_INT("a", 1), LOG_STR("huge", big), LOG_STR("b", "lost"));
    o = line();
    assert_true(strlen(got) <= 8192);
    assert_int_equal(json_object_get_int(json_object_object_get(o, "a")), 1);
    assert_null(json_object_object_get(o, "huge"));
    assert_true(json_object_get_boolean(json_object_object_get(o, "truncated")));
    json_object_put(o);

    memset(big, 'x', sizeof(big) - 1); /* a long value is cut, the rest stays */
    log_info("big", LOG_STR("long", big), LOG_STR("b", "kept"));
    o = line();
    assert_int_equal(strlen(str(o, "long")), 2048);
    assert_string_equal(str(o, "b"), "kept");
    json_object_put(o);
}

static void
test_text_for_people(void **state)
{
    int writes;
    const char *s;

    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, "test");
    log_request("r1");
    log_error("it broke", LOG_STR("why", "two words"), LOG_STR("path", "/v1"), LOG_INT("n", 3),
              LOG_STR("nl", "a\nb"), LOG_STR("e", ""));
    s = written(&writes);
    assert_int_equal(s[4], '-');
    assert_int_equal(s[23], 'Z');
    assert_string_equal(s + 24, " error test: it broke request_id=r1 why=\"two words\" path=/v1"
                                " n=3 nl=\"a\\nb\" e=\"\"\n");
}

static void
test_errno_survives(void **state)
{
    int writes;

    (void)state;
    close(STDERR_FILENO);
    errno = ENOENT;
    log_error("nobody reads this", LOG_END);
    assert_int_equal(errno, ENOENT);
    dup2(ends[1], STDERR_FILENO);
    written(&writes);
}

static void
test_fatal_says_why_and_ends(void **state)
{
    int status;
    pid_t pid = fork();
    json_object *o;

    (void)state;
    if (pid == 0)
        fatal(78, "no %s", "config");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 78);
    o = line();
    assert_string_equal(str(o, "level"), "error");
    assert_string_equal(str(o, "reason"), "no config");
    json_object_put(o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, capture, release)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_line),
        TEST(test_no_request_no_id),
        TEST(test_level_is_a_threshold),
        TEST(test_one_write_a_line),
        TEST(test_values_cannot_forge_a_line),
        TEST(test_bad_utf8_is_replaced),
        TEST(test_lines_are_bounded),
        TEST(test_text_for_people),
        TEST(test_errno_survives),
        TEST(test_fatal_says_why_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
