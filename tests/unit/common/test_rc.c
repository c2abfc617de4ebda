#include "common/rc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_table(void **state)
{
    (void)state;
    assert_int_equal(rc_status(RC_OK), 200);
    assert_string_equal(rc_code(RC_SESSION_NOT_FOUND), "SESSION_NOT_FOUND");
    for (int i = 0; i < RC__MAX; i++) {
        assert_in_range(rc_status((enum rc)i), 200, 599);
        assert_true(*rc_code((enum rc)i) >= 'A' && *rc_code((enum rc)i) <= 'Z');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(rc_code((enum rc)i), rc_code((enum rc)k));
    }
}

static void
test_unknown_code_is_internal(void **state)
{
    (void)state;
    assert_int_equal(rc_status(RC__MAX), 500);
    assert_string_equal(rc_code((enum rc)(RC__MAX + 7)), "INTERNAL_ERROR");
    assert_string_equal(rc_code((enum rc) - 1), "INTERNAL_ERROR");
}

static void
test_first_failure_wins(void **state)
{
    struct fail f = { .rc = RC_OK };

    (void)state;
    assert_int_equal(fail_set(&f, RC_CONFLICT, "first %d", 1), RC_CONFLICT);
    assert_int_equal(fail_set(&f, RC_NOT_FOUND, "second"), RC_CONFLICT);
    assert_int_equal(fail_log(&f, RC_INTERNAL, "third"), RC_CONFLICT);
    assert_int_equal(f.rc, RC_CONFLICT);
    assert_string_equal(f.message, "first 1");
    assert_string_equal(f.log, "");
    fail_reset(&f);
    assert_int_equal(f.rc, RC_OK);
    assert_string_equal(f.message, "");
    assert_int_equal(fail_set(&f, RC_NOT_FOUND, "second"), RC_NOT_FOUND);
}

static void
test_without_a_record(void **state)
{
    (void)state;
    assert_int_equal(fail_set(NULL, RC_CONFLICT, "x"), RC_CONFLICT);
    assert_int_equal(fail_log(NULL, RC_INTERNAL, "x"), RC_INTERNAL);
    fail_reset(NULL);
}

/* What went wrong inside stays in the log; each code of ours has a sentence for the client. */
static void
test_our_failures_tell_nothing(void **state)
{
    (void)state;
    for (int i = RC_OK + 1; i < RC__MAX; i++) {
        struct fail f = { .rc = RC_OK };

        assert_int_equal(fail_log(&f, (enum rc)i, "redis at %s", "10.1.2.3"), i);
        assert_string_equal(f.log, "redis at 10.1.2.3");
        assert_true(strlen(f.message) > 10);
        assert_null(strstr(f.message, "10.1.2.3"));
        assert_int_equal(f.retry_after_ms, rc_status((enum rc)i) == 503 ? 1000 : 0);
    }
}

/* A message is cut between characters, whatever the cut would fall into. */
static void
test_long_message_stays_utf8(void **state)
{
    static const struct {
        const char *tail;
        size_t len;
    } cases[] = {
        { "abcdef", 255 },
        { "\xc3\xa9\xc3\xa9", 254 },
        { "\xe2\x82\xac..", 255 },
        { "\xf0\x9f\x98\x80", 252 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fail f = { .rc = RC_OK };
        char text[260];

        memset(text, 'x', sizeof(text));
        memcpy(text + 252, cases[i].tail, strlen(cases[i].tail) + 1);
        (void)fail_set(&f, RC_CONFLICT, "%s%s", text, "and more");
        assert_in_range(strlen(f.message), 252, 255);
        assert_true(strlen(f.message) <= cases[i].len);
        assert_memory_equal(f.message, text, strlen(f.message));
        assert_true((unsigned char)f.message[strlen(f.message) - 1] < 0xc0);
    }
}

/* Nor is what a precision has cut, wherever in the character. */
static void
test_cut_argument_stays_utf8(void **state)
{
    static const char *const parts[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        for (int len = 1; len <= 4; len++) {
            struct fail f = { .rc = RC_OK };
            size_t whole = strlen(parts[i]), kept = (size_t)len < whole ? 1 : 1 + whole;

            (void)fail_set(&f, RC_NOT_FOUND, "x%.*s", len, parts[i]);
            assert_int_equal(strlen(f.message), kept);
            assert_memory_equal(f.message + 1, parts[i], kept - 1);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_unknown_code_is_internal),
        cmocka_unit_test(test_first_failure_wins),
        cmocka_unit_test(test_without_a_record),
        cmocka_unit_test(test_our_failures_tell_nothing),
        cmocka_unit_test(test_long_message_stays_utf8),
        cmocka_unit_test(test_cut_argument_stays_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
