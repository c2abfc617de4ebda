/* The syntax of limits. What they count is in tests/api/test_limit_hit.c. */
#include "common/limit.h"
#include <hiredis/hiredis.h>
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

/* It may stand behind what a script tells besides: an instant, for one. */
static struct limit_state
read_behind_two(long long allowed, long long remaining, long long reset_ms)
{
    const long long said[] = { 0, 1795362406396500, allowed, remaining, reset_ms };
    const struct limit_rule rule = { .count = 10, .window_ms = 1000 };
    redisReply number[5], *element[5];
    const redisReply reply = { .type = REDIS_REPLY_ARRAY, .elements = 5, .element = element };

    for (size_t i = 0; i < 5; i++) {
        number[i] = (redisReply){ .type = REDIS_REPLY_INTEGER, .integer = said[i] };
        element[i] = &number[i];
    }
    return limit_read(&reply, 2, &rule);
}

static void
a_verdict_is_read_where_it_stands(void **state)
{
    struct limit_state verdict = read_behind_two(1, 8, 600);

    (void)state;
    assert_true(verdict.known);
    assert_false(verdict.refused);
    assert_int_equal(verdict.remaining, 8);
    assert_int_equal(verdict.reset_ms, 600);
    assert_true(read_behind_two(0, 0, 5).refused);
    assert_false(read_behind_two(1, -1, 600).known);
    assert_false(read_behind_two(1, INT64_MAX, 600).known);
    assert_false(read_behind_two(1, 8, -5).known);
    assert_false(read_behind_two(1, 8, INT64_MAX).known);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_parsed),
        cmocka_unit_test(what_is_no_rule_is_refused),
        cmocka_unit_test(no_answer_lets_pass),
        cmocka_unit_test(a_verdict_is_read_where_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
