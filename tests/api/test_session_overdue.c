/* A session that nobody came to for long: many changes are due at once, and whoever comes first
 * sees the state of now. */
#include "common/keys.h"
#include "store_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 100000

/* Two take turns of 1 ms each until `cycles` are over. */
static void
start_turns(int64_t cycles)
{
    session_fini(&fx.s);
    fixture_draft(&fx.s, id_a, 2, 60000);
    fx.s.mode = MODE_PER_CYCLE;
    fx.s.time_per_cycle_ms = 1;
    fx.s.max_cycles = cycles;
    fx.s.on_timeout.type = TIMEOUT_SKIP_CYCLE;
    fail_reset(&fx.f);
    assert_int_equal(session_store_create(fx.store, &fx.s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
}

/* Every version of the session has its record, once. */
static void
assert_recorded(void)
{
    assert_int_equal(fixture_audit_length(id_a), fx.s.version);
}

static void
a_command_is_answered_however_many_changes_are_overdue(void **state)
{
    static const int64_t counts[] = { 63, 64, 65, 128, 129, 200 };

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        private_redis_ask(&fx.server, "FLUSHALL");
        start_turns(counts[i]);
        usleep((useconds_t)(counts[i] + 20) * 1000);
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_TRANSITION);
        assert_int_equal(fixture_get(id_a), RC_OK);
        assert_int_equal(fx.s.status, STATUS_COMPLETED);
        assert_int_equal(fx.s.version, 2 + counts[i]);
        assert_recorded();
    }
}

static void
a_read_shows_the_turn_of_now(void **state)
{
    int64_t behind_ms;

    (void)state;
    start_turns(MANY);
    usleep(200000);
    assert_int_equal(fixture_get(id_a), RC_OK);
    behind_ms = fx.res.server_time_ms - fx.s.session_started_at - (fx.s.cycle_number - 1);
    assert_in_range(behind_ms, 0, 1);
    assert_true(fx.s.cycle_number > 150);
    assert_recorded();
    assert_int_equal(fixture_command(id_a, COMMAND_PAUSE), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_recorded();
}

/* Rather than hold a worker for long or show an old state; and the next one goes on from there.
 */
static void
thousands_are_left_to_the_next_call(void **state)
{
    (void)state;
    start_turns(MANY);
    usleep(4500000);
    assert_int_equal(fixture_get(id_a), RC_STORE_UNAVAILABLE);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_true(fx.s.cycle_number > 4400);
    assert_recorded();
}

/* Redis was away, since `after_ms` from the start. */
static void
live_through_an_outage(int64_t after_ms)
{
    struct key life = keys_life("t:", keys_partition(id_a));
    long long from = fx.s.session_started_at + after_ms;
    long long n = strtoll(private_redis_ask(&fx.server, "HGET %s n", life.s), NULL, 10) + 1;

    private_redis_ask(&fx.server, "HSET %s n %lld gaps %lld:%lld", life.s, n, n, from);
    if (fixture_get(id_a) != RC_OK)
        fail_msg("%s", fx.f.log);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_int_equal(fx.s.paused_at, from);
}

/* The turns before the outage were played, those in it were not. */
static void
an_outage_behind_many_overdue_changes_still_pauses(void **state)
{
    (void)state;
    start_turns(MANY);
    usleep(300000);
    live_through_an_outage(150);
    assert_int_equal(fx.s.cycle_number, 151);
    assert_recorded();
}

/* Their fields are more than Lua gives to one command. */
static void
an_outage_behind_thousands_of_overdue_changes_still_pauses(void **state)
{
    (void)state;
    start_turns(MANY);
    usleep(2100000);
    live_through_an_outage(2000);
    assert_int_equal(fx.s.cycle_number, 2001);
    assert_recorded();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_is_answered_however_many_changes_are_overdue),
        TEST(a_read_shows_the_turn_of_now),
        TEST(thousands_are_left_to_the_next_call),
        TEST(an_outage_behind_many_overdue_changes_still_pauses),
        TEST(an_outage_behind_thousands_of_overdue_changes_still_pauses),
    };
    int failed;

    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
