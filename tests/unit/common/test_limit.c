/* The syntax of limits. What they count is in tests/api/test_limit_hit.c. */
#include "common/limit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
rules_are_parsed(void **state)
{
    static const struct {
        const char *text;
        int64_t count, window_ms, cooldown_ms;
    } table[] = {
        { "10/1s+10s", 10, 1000, 10000 },
        { "5/60s", 5, 60000, 0 },
        { "5/60", 5, 60000, 0 },
        { "100/250ms+1m", 100, 250, 60000 },
        { "5/1h", 5, 3600000, 0 },
        { "0", 0, 7000, 0 },
        { "500", 500, 7000, 0 },
        { "1000000000/8784h", 1000000000, 8784LL * 3600000, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct limit_rule rule;
        struct fail f = { 0 };

        if (limit_parse(table[i].text, 7000, &rule, &f) != RC_OK)
            fail_msg("%s: %s", table[i].text, f.message);
        assert_int_equal(rule.count, table[i].count);
        assert_int_equal(rule.window_ms, table[i].window_ms);
        assert_int_equal(rule.cooldown_ms, table[i].cooldown_ms);
    }
}

static void
what_is_no_rule_is_refused(void **state)
{
    static const char *const table[] = {
        "",        "x",         "-1",     "+1",          "1/",      "1/0s",
        "1/s",     "1/1d",      "1/1sm",  "1/1s+",       "1/1s+0",  "1/1s+1x",
        "1/1s 2",  " 1",        "1 ",     "1/-1s",       "1+1s",    "1000000001",
        "1/8785h", "1/1s+1s+1", "1/1.5s", "99999999999", "1/1s/1s", "1/999999999999999999h",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct limit_rule rule = { .count = 77 };
        struct fail f = { 0 };

        if (limit_parse(table[i], 1000, &rule, &f) != RC_VALIDATION)
            fail_msg("\"%s\" was accepted", table[i]);
        assert_int_equal(rule.count, 77);
        assert_non_null(strstr(f.message, "is no limit"));
    }
}

static void
no_answer_lets_pass(void **state)
{
    struct limit_rule rule = { .count = 3, .window_ms = 1000 };
    struct limit_state verdict = limit_read(NULL, 0, &rule);

    (void)state;
    assert_false(verdict.known);
    assert_false(verdict.refused);
    assert_int_equal(verdict.limit, 3);
    assert_int_equal(verdict.window_ms, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_parsed),
        cmocka_unit_test(what_is_no_rule_is_refused),
        cmocka_unit_test(no_answer_lets_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
