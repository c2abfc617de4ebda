#include "broadcaster/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE 60000

static int
hits(struct meter *m, int64_t now_ms, int n)
{
    int ok = 0;

    for (int i = 0; i < n; i++)
        ok += meter_hit(m, now_ms, MINUTE, 100);
    return ok;
}

static void
a_hundred_pass_and_no_more(void **state)
{
    struct meter m = { 0 };

    (void)state;
    assert_int_equal(hits(&m, 7 * MINUTE + 30000, 150), 100);
}

static void
no_double_burst_over_the_edge(void **state)
{
    struct meter m = { 0 };

    (void)state;
    assert_int_equal(hits(&m, 8 * MINUTE - 1, 100), 100);
    assert_int_equal(hits(&m, 8 * MINUTE, 10), 0);
    /* half of the window later half of the earlier ones have left it */
    assert_int_equal(hits(&m, 8 * MINUTE + 30000, 100), 40);
}

static void
forgotten_after_two_windows(void **state)
{
    struct meter m = { 0 };

    (void)state;
    hits(&m, 3 * MINUTE, 100);
    assert_int_equal(hits(&m, 5 * MINUTE, 100), 100);
}

static void
counters_do_not_wrap(void **state)
{
    struct meter m = { 0 };

    (void)state;
    hits(&m, 3 * MINUTE, 70000);
    assert_int_equal(hits(&m, 3 * MINUTE, 1), 0);
}

static void
steady_pace_passes_for_ever(void **state)
{
    struct meter m = { 0 };

    (void)state;
    for (int64_t now = 0; now < 60 * MINUTE; now += 700)
        assert_true(meter_hit(&m, now, MINUTE, 100));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_pass_and_no_more),
        cmocka_unit_test(no_double_burst_over_the_edge),
        cmocka_unit_test(forgotten_after_two_windows),
        cmocka_unit_test(counters_do_not_wrap),
        cmocka_unit_test(steady_pace_passes_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
