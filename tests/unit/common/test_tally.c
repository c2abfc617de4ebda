#include "common/arena.h"
#include "common/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define T0 1700000040000LL /* a minute begins */
#define MINUTE 60000

static void *area;
static int64_t wait_ms;

static int
begin(void **state)
{
    (void)state;
    area = mmap(NULL, tally_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return area == MAP_FAILED ? -1 : 0;
}

static int
end(void **state)
{
    (void)state;
    return munmap(area, tally_size());
}

static bool
hit(const struct limit_rule *rule, const char *who, int64_t at_ms)
{
    return tally_hit(area, rule, who, T0 + at_ms, &wait_ms);
}

static void
test_so_many_in_a_window(void **state)
{
    static const struct limit_rule rule = { 5, MINUTE, 0 };

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(hit(&rule, "u", i));
    assert_false(hit(&rule, "u", 10));
    assert_true(hit(&rule, "v", 10));
    assert_false(hit(&rule, "u", MINUTE - 1));
    /* the five fade as the window moves on */
    assert_false(hit(&rule, "u", MINUTE + 11999));
    assert_true(hit(&rule, "u", MINUTE + 12000));
    assert_false(hit(&rule, "u", MINUTE + 12001));
    assert_true(hit(&rule, "u", 3 * MINUTE));
}

/* When it says that the next may pass, it may; not long before. */
static void
test_wait_is_true(void **state)
{
    static const struct limit_rule rule = { 3, MINUTE, 0 };

    (void)state;
    for (int64_t start = 0; start < MINUTE; start += 7001) {
        char who[32];
        int64_t at = start;

        snprintf(who, sizeof(who), "%lld", (long long)start);
        for (int i = 0; i < 3; i++)
            assert_true(hit(&rule, who, at));
        for (int i = 0; i < 5; i++) {
            assert_false(hit(&rule, who, at));
            assert_in_range(wait_ms, 1, 2 * MINUTE);
            at += wait_ms;
            assert_false(hit(&rule, who, at - 50));
            if (!hit(&rule, who, at + 1))
                fail_msg("not after %lld", (long long)at);
            at++;
        }
    }
}

static void
test_cool_down_is_not_prolonged(void **state)
{
    static const struct limit_rule rule = { 2, 1000, 10000 };

    (void)state;
    assert_true(hit(&rule, "u", 0));
    assert_true(hit(&rule, "u", 1));
    assert_false(hit(&rule, "u", 2));
    assert_int_equal(wait_ms, 10000);
    assert_false(hit(&rule, "u", 5000));
    assert_int_equal(wait_ms, 5002);
    assert_false(hit(&rule, "u", 10001));
    assert_true(hit(&rule, "u", 10002));
}

static void
test_no_rule_no_limit(void **state)
{
    static const struct limit_rule none = { 0, MINUTE, 0 };

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(hit(&none, "u", 0));
}

/* The largest numbers that a setting may hold, which no sum of theirs overflows. */
static void
test_more_than_is_counted_is_no_limit(void **state)
{
    static const struct limit_rule huge = { 1000000000, 366LL * 24 * 3600 * 1000, 0 };
    static const struct limit_rule most = { TALLY_COUNT_MAX, 366LL * 24 * 3600 * 1000, 0 };

    (void)state;
    for (int i = 0; i < 2 * TALLY_COUNT_MAX; i++)
        assert_true(hit(&huge, "huge", 0));
    for (int i = 0; i < TALLY_COUNT_MAX; i++)
        assert_true(hit(&most, "most", 0));
    assert_false(hit(&most, "most", 0));
}

/* A flood of names takes places; it refuses nobody who did nothing. */
static void
test_a_flood_of_names(void **state)
{
    static const struct limit_rule rule = { 1, MINUTE, 0 };
    char who[32];

    (void)state;
    for (int i = 0; i < 4 * TALLY_SLOTS; i++) {
        snprintf(who, sizeof(who), "address %d", i);
        if (!hit(&rule, who, 0))
            fail_msg("%s", who);
    }
}

/* Processes count together, and lose no hit. */
static void
test_processes_share(void **state)
{
    static const struct limit_rule rule = { 30000, MINUTE, 0 };
    int status;

    (void)state;
    for (int k = 0; k < 4; k++) {
        if (fork() == 0) {
            for (int i = 0; i < 7500; i++)
                if (!hit(&rule, "u", 0))
                    _exit(1);
            _exit(0);
        }
    }
    for (int k = 0; k < 4; k++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_false(hit(&rule, "u", 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(test_so_many_in_a_window),
        T(test_wait_is_true),
        T(test_cool_down_is_not_prolonged),
        T(test_no_rule_no_limit),
        T(test_more_than_is_counted_is_no_limit),
        T(test_a_flood_of_names),
        T(test_processes_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
