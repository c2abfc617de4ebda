#include "broadcaster/drain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
few_go_at_once_many_take_the_time(void **state)
{
    (void)state;
    assert_int_equal(drain_spread_ms(0, 15000), 0);
    assert_int_equal(drain_spread_ms(2, 15000), 10);
    assert_int_equal(drain_spread_ms(400, 15000), 2000);
    assert_int_equal(drain_spread_ms(10000, 15000), 15000);
    assert_int_equal(drain_spread_ms(10000, 0), 0);
}

static void
closed_evenly(void **state)
{
    int last = 0;

    (void)state;
    for (int64_t t = 0; t <= 15000; t += 10) {
        int due = drain_due(10000, t, 15000);

        assert_in_range(due - last, 0, 7);
        last = due;
    }
    assert_int_equal(last, 10000);
    assert_int_equal(drain_due(3, 0, 0), 3);
    assert_int_equal(drain_due(3, 99999, 15), 3);
    assert_int_equal(drain_due(3, 0, 15), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_go_at_once_many_take_the_time),
        cmocka_unit_test(closed_evenly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
