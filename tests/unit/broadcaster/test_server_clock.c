#include "broadcaster/server_clock.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define REDIS 1795362403096000LL /* Redis time at monotonic 0 */

static void
host_clock_before_the_first_sample(void **state)
{
    struct server_clock c;
    int64_t mono = clock_mono_us();

    (void)state;
    server_clock_init(&c);
    assert_false(server_clock_is_set(&c));
    assert_int_equal(server_clock_error_us(&c), -1);
    assert_true(llabs(server_clock_at(&c, mono) - clock_wall_us()) < 100000);
}

static void
shortest_round_trip_wins(void **state)
{
    struct server_clock c;

    (void)state;
    server_clock_init(&c);
    /* 1,000 there and 3,000 back: 1,000 wrong */
    assert_true(server_clock_sample(&c, 10000, 14000, REDIS + 11000));
    assert_int_equal(server_clock_error_us(&c), 2000);
    assert_int_equal(server_clock_at(&c, 20000), REDIS + 19000);
    assert_true(server_clock_sample(&c, 20000, 20200, REDIS + 20100));
    assert_int_equal(server_clock_at(&c, 30000), REDIS + 30000);
    assert_int_equal(server_clock_error_us(&c), 100);
    /* a slower one later changes nothing */
    assert_true(server_clock_sample(&c, 40000, 44000, REDIS + 41000));
    assert_int_equal(server_clock_at(&c, 50000), REDIS + 50000);
}

static void
a_sample_is_used_for_eight(void **state)
{
    struct server_clock c;

    (void)state;
    server_clock_init(&c);
    server_clock_sample(&c, 0, 100, REDIS + 50);
    for (int i = 1; i < SERVER_CLOCK_SAMPLES; i++) {
        server_clock_sample(&c, i * 1000000, i * 1000000 + 400, REDIS + i * 1000000 + 300);
        assert_int_equal(server_clock_error_us(&c), 50);
    }
    server_clock_sample(&c, 9000000, 9000400, REDIS + 9000300);
    assert_int_equal(server_clock_error_us(&c), 200);
    assert_int_equal(server_clock_at(&c, 0), REDIS + 100);
}

static void
a_clock_that_was_set_is_followed_at_once(void **state)
{
    struct server_clock c;

    (void)state;
    server_clock_init(&c);
    server_clock_sample(&c, 0, 100, REDIS + 50);
    /* worse round trip, but 10 s off: Redis's clock has moved */
    server_clock_sample(&c, 1000000, 1004000, REDIS + 1002000 + 10000000);
    assert_int_equal(server_clock_at(&c, 2000000), REDIS + 12000000);
    server_clock_sample(&c, 2000000, 2000100, REDIS + 2000050 - 500000);
    assert_int_equal(server_clock_at(&c, 3000000), REDIS + 2500000);
}

static void
drift_is_not_a_set_clock(void **state)
{
    struct server_clock c;

    (void)state;
    server_clock_init(&c);
    server_clock_sample(&c, 0, 100, REDIS + 50);
    server_clock_sample(&c, 1000000, 1000200, REDIS + 1000100 + 900);
    assert_int_equal(server_clock_at(&c, 0), REDIS);
}

static void
useless_samples_are_refused(void **state)
{
    struct server_clock c;

    (void)state;
    server_clock_init(&c);
    assert_false(server_clock_sample(&c, 1000, 999, REDIS));
    assert_false(server_clock_sample(&c, 1000, 1100, -1));
    assert_false(server_clock_is_set(&c));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_clock_before_the_first_sample),
        cmocka_unit_test(shortest_round_trip_wins),
        cmocka_unit_test(a_sample_is_used_for_eight),
        cmocka_unit_test(a_clock_that_was_set_is_followed_at_once),
        cmocka_unit_test(drift_is_not_a_set_clock),
        cmocka_unit_test(useless_samples_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
