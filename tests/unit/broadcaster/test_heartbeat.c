#include "broadcaster/heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
slots_follow_the_interval(void **state)
{
    static const struct {
        int64_t interval_ms;
        int slots;
        int64_t tick_ms;
    } rows[] = {
        { 5000, 50, 100 }, { 60000, 50, 1200 }, { 100, 4, 25 }, { 10, 1, 10 }, { 110, 4, 27 }
    };
    struct heartbeat h;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        heartbeat_init(&h, rows[i].interval_ms, 12345);
        assert_int_equal(h.slots, rows[i].slots);
        assert_int_equal(heartbeat_tick_ms(&h), rows[i].tick_ms);
    }
}

static void
sockets_spread_evenly(void **state)
{
    struct heartbeat h;
    int min = 1000000, max = 0;

    (void)state;
    heartbeat_init(&h, 5000, 99);
    for (int i = 0; i < 10000; i++)
        (void)heartbeat_join(&h);
    for (int i = 0; i < h.slots; i++) {
        min = h.counts[i] < min ? h.counts[i] : min;
        max = h.counts[i] > max ? h.counts[i] : max;
    }
    assert_int_equal(min, 200);
    assert_int_equal(max, 200);
}

static void
places_of_the_gone_are_taken_first(void **state)
{
    struct heartbeat h;
    int slot;

    (void)state;
    heartbeat_init(&h, 5000, 0);
    for (int i = 0; i < 400; i++)
        (void)heartbeat_join(&h);
    heartbeat_leave(&h, 17);
    slot = heartbeat_join(&h);
    assert_int_equal(slot, 17);
}

static void
first_ping_after_a_whole_interval(void **state)
{
    struct heartbeat h;
    int first = -1;
    int slot;

    (void)state;
    heartbeat_init(&h, 1000, 500);
    slot = heartbeat_join(&h);
    /* everything but the own slot comes up before */
    assert_int_equal(heartbeat_due(&h, 500 + 975, &first), h.slots - 1);
    for (int i = 0; i < h.slots - 1; i++)
        assert_int_not_equal((first + i) % h.slots, slot);
    assert_int_equal(heartbeat_due(&h, 1500, &first), 1);
    assert_int_equal(first, slot);
}

static void
each_slot_once_per_interval(void **state)
{
    /* any rhythm of calls serves every slot exactly once per interval */
    static const int64_t steps[] = { 1, 7, 25, 33, 999 };

    (void)state;
    for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
        struct heartbeat h;
        int served[HEARTBEAT_SLOTS_MAX] = { 0 };
        int64_t now = 0;

        heartbeat_init(&h, 5000, now);
        while (now < 50000) {
            int first = 0, n;

            now = now + steps[k] > 50000 ? 50000 : now + steps[k];
            n = heartbeat_due(&h, now, &first);
            for (int i = 0; i < n; i++)
                served[(first + i) % h.slots]++;
        }
        for (int i = 0; i < h.slots; i++)
            assert_int_equal(served[i], 10);
    }
}

static void
a_late_call_serves_each_slot_once(void **state)
{
    struct heartbeat h;
    int first;

    (void)state;
    heartbeat_init(&h, 5000, 0);
    assert_int_equal(heartbeat_due(&h, 3600000, &first), h.slots);
    assert_int_equal(heartbeat_due(&h, 3600000, &first), 0);
    assert_int_equal(heartbeat_due(&h, 3599000, &first), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_follow_the_interval),
        cmocka_unit_test(sockets_spread_evenly),
        cmocka_unit_test(places_of_the_gone_are_taken_first),
        cmocka_unit_test(first_ping_after_a_whole_interval),
        cmocka_unit_test(each_slot_once_per_interval),
        cmocka_unit_test(a_late_call_serves_each_slot_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
