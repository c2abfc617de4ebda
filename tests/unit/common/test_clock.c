#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/time.h>

static void
test_units_agree(void **state)
{
    int64_t us = clock_mono_us(), ms = clock_mono_ms();

    (void)state;
    assert_in_range(ms - us / 1000, 0, 1000);
    us = clock_wall_us();
    ms = clock_wall_ms();
    assert_in_range(ms - us / 1000, 0, 1000);
    assert_in_range((time_t)(us / 1000000), time(NULL) - 2, time(NULL) + 1);
}

static void
test_monotonic(void **state)
{
    int64_t last = clock_mono_us();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_mono_us();

        assert_true(now >= last);
        last = now;
    }
}

static void
test_sleep_reaches_the_instant(void **state)
{
    int64_t until = clock_mono_us() + 20000;

    (void)state;
    clock_sleep_until_us(until);
    assert_true(clock_mono_us() >= until);
}

static void
test_sleep_into_the_past_returns(void **state)
{
    int64_t start = clock_mono_us();

    (void)state;
    clock_sleep_until_us(start - 5000000);
    clock_sleep_until_us(0);
    clock_sleep_until_us(-7);
    assert_true(clock_mono_us() - start < 1000000);
}

static void
on_alarm(int sig)
{
    (void)sig;
}

static void
test_signal_ends_the_sleep(void **state)
{
    struct sigaction sa = { .sa_handler = on_alarm };
    struct itimerval timer = { .it_value = { .tv_usec = 20000 } };
    int64_t start = clock_mono_us();

    (void)state;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    clock_sleep_until_us(start + 10000000);
    assert_true(clock_mono_us() - start < 5000000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units_agree),
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_sleep_reaches_the_instant),
        cmocka_unit_test(test_sleep_into_the_past_returns),
        cmocka_unit_test(test_signal_ends_the_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
