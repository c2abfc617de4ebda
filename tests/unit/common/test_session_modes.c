/* The rows of the tables of modes: what burns, when it ends, and what is shown of it. */
#include "common/session.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"

static void
draft(struct session *s, enum sync_mode mode, size_t n, int64_t total)
{
    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    memcpy(s->epoch, "0abcdefghij-wxyz.000000001", 27);
    s->mode = mode;
    s->total_time_ms = total;
    for (size_t k = 0; k < n; k++) {
        struct participant *p = session_add_participant(s);

        snprintf(p->id, sizeof(p->id), "aaaaaaaa-0000-4000-8000-%012zu", k);
        p->index = (int64_t)k;
        p->total_time_ms = 60000;
    }
}

static void
made(struct session *s)
{
    struct change c;

    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
    session_clean(s);
}

static struct change
run(struct session *s, enum command_type type, int64_t now)
{
    struct command cmd = { .type = type };
    struct change c;

    assert_int_equal(session_command(s, &cmd, now, &c, NULL), RC_OK);
    return c;
}

static struct change
due(struct session *s, int64_t now)
{
    struct change c;

    assert_true(session_expire(s, now, TTL, &c));
    return c;
}

/* --- which modes need participants --- */

static void
participants_are_needed_where_there_are_turns(void **state)
{
    static const enum rc without[MODE__MAX] = {
        [MODE_PER_PARTICIPANT] = RC_VALIDATION,
        [MODE_PER_CYCLE] = RC_VALIDATION,
        [MODE_PER_GROUP] = RC_VALIDATION,
    };

    (void)state;
    for (int m = MODE_PER_PARTICIPANT; m < MODE__MAX; m++) {
        struct session s;
        struct change c;
        struct fail f = { .rc = RC_OK };

        draft(&s, (enum sync_mode)m, 0, 5000);
        assert_int_equal(session_create(&s, T0, &c, &f), without[m]);
        if (without[m] != RC_OK)
            assert_non_null(strstr(f.details, "\"field\":\"participants\""));
        session_fini(&s);
    }
}

/* --- global --- */

static void
global_burns_one_bank_for_everybody(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_GLOBAL, 2, 5000);
    made(&s);
    assert_int_equal(s.allotted_ms, 5000);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_deadline(&s), T0 + 5000);
    c = run(&s, COMMAND_SWITCH, T0 + 1200);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.remaining_ms, 3800);
    assert_int_equal(c.elapsed_ms, 1200);
    assert_int_equal(s.active, 1);
    assert_int_equal(s.total_time_ms, 3800);
    assert_int_equal(s.p[0].total_time_ms, 60000);
    assert_int_equal(s.p[0].cycle_count, 1);
    assert_int_equal(session_deadline(&s), T0 + 5000);
    assert_int_equal(session_remaining(&s, 0, T0 + 2000), 3000);
    assert_int_equal(session_remaining(&s, 1, T0 + 2000), 3000);
    assert_int_equal(session_clock(&s, T0 + 2000), 3000);
    run(&s, COMMAND_PAUSE, T0 + 2000);
    assert_int_equal(session_deadline(&s), 0);
    assert_int_equal(session_clock(&s, T0 + 9000), 3000);
    run(&s, COMMAND_RESUME, T0 + 10000);
    assert_int_equal(session_deadline(&s), T0 + 13000);
    session_fini(&s);
}

static void
global_ends_expired(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_GLOBAL, 2, 5000);
    made(&s);
    run(&s, COMMAND_START, T0);
    assert_false(session_expire(&s, T0 + 4999, TTL, &c));
    c = due(&s, T0 + 6000);
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(c.reason, REASON_TIMEOUT);
    assert_int_equal(c.at_ms, T0 + 5000);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.expired, -1);
    assert_int_equal(s.status, STATUS_EXPIRED);
    assert_int_equal(s.result.reason, REASON_TIMEOUT);
    assert_int_equal(s.result.expired, -1);
    assert_int_equal(s.last_timeout.version, s.version);
    assert_int_equal(s.last_timeout.expired, -1);
    assert_int_equal(s.session_completed_at, T0 + 5000);
    assert_int_equal(s.active, -1);
    assert_int_equal(session_clock(&s, T0 + 7000), 0);
    assert_false(s.p[0].has_expired);
    assert_int_equal(session_last_resort(&s, TTL), T0 + 5000 + TTL);
    session_fini(&s);
}

static void
global_takes_the_cycle_for_its_bank(void **state)
{
    struct session s;

    (void)state;
    draft(&s, MODE_GLOBAL, 0, 0);
    s.time_per_cycle_ms = 7000;
    made(&s);
    assert_int_equal(s.total_time_ms, 7000);
    assert_int_equal(s.allotted_ms, 7000);
    session_fini(&s);
    draft(&s, MODE_GLOBAL, 0, 4000);
    s.time_per_cycle_ms = 7000;
    made(&s);
    assert_int_equal(s.total_time_ms, 4000);
    session_fini(&s);
}

/* --- count_up --- */

static void
count_up_grows_and_counts_laps(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_COUNT_UP, 0, 0);
    made(&s);
    c = run(&s, COMMAND_START, T0);
    assert_int_equal(c.participant, -1);
    assert_int_equal(c.remaining_ms, -1);
    assert_int_equal(c.elapsed_ms, 0);
    assert_int_equal(session_deadline(&s), 0);
    c = run(&s, COMMAND_SWITCH, T0 + 1500);
    assert_int_equal(c.type, EVENT_CYCLE_SWITCHED);
    assert_int_equal(c.elapsed_ms, 1500);
    assert_int_equal(s.cycle_number, 2);
    assert_int_equal(s.active, -1);
    assert_int_equal(session_elapsed(&s, T0 + 1700), 1700);
    assert_int_equal(session_clock(&s, T0 + 1700), -1);
    run(&s, COMMAND_PAUSE, T0 + 2000);
    run(&s, COMMAND_RESUME, T0 + 5000);
    run(&s, COMMAND_COMPLETE, T0 + 5500);
    assert_int_equal(s.time_used_ms, 2500);
    assert_int_equal(s.paused_total_ms, 3000);
    assert_int_equal(session_elapsed(&s, T0 + 9000), 2500);
    session_fini(&s);
}

static void
count_up_ends_at_its_limit(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_COUNT_UP, 1, 0);
    s.max_time_ms = 3000;
    made(&s);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_deadline(&s), T0 + 3000);
    assert_int_equal(session_clock(&s, T0 + 1000), 2000);
    assert_int_equal(session_remaining(&s, 0, T0 + 1000), -1);
    c = due(&s, T0 + 3000);
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(c.remaining_ms, 0);
    assert_int_equal(c.elapsed_ms, 3000);
    assert_int_equal(s.status, STATUS_EXPIRED);
    assert_int_equal(s.p[0].time_used_ms, 3000);
    session_fini(&s);
}

/* --- laps --- */

static void
a_lap_changes_nothing_but_its_number(void **state)
{
    struct command next = { .type = COMMAND_SWITCH,
                            .next_participant_id = "aaaaaaaa-0000-4000-8000-000000000000" };
    struct command guarded = { .type = COMMAND_SWITCH,
                               .current_participant_id = next.next_participant_id };
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_GLOBAL, 0, 5000);
    made(&s);
    run(&s, COMMAND_START, T0);
    run(&s, COMMAND_SWITCH, T0 + 100);
    assert_int_equal(s.cycle_number, 2);
    assert_int_equal(s.total_time_ms, 4900);
    assert_int_equal(session_deadline(&s), T0 + 5000);
    assert_int_equal(session_command(&s, &next, T0 + 200, &c, NULL), RC_VALIDATION);
    assert_int_equal(session_command(&s, &guarded, T0 + 200, &c, NULL), RC_CONFLICT);
    assert_int_equal(s.cycle_number, 2);
    session_fini(&s);
}

/* --- per_cycle --- */

static void
per_cycle_gives_every_turn_the_same(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, 9000);
    s.time_per_cycle_ms = 3000;
    made(&s);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_deadline(&s), T0 + 3000);
    c = run(&s, COMMAND_SWITCH, T0 + 2999);
    assert_int_equal(c.expired, -1);
    assert_int_equal(c.elapsed_ms, 2999);
    assert_int_equal(s.p[0].total_time_ms, 60000);
    assert_int_equal(session_deadline(&s), T0 + 2999 + 3000);
    assert_int_equal(session_clock(&s, T0 + 3999), 2000);
    assert_int_equal(session_remaining(&s, 1, T0 + 3999), 60000);
    run(&s, COMMAND_PAUSE, T0 + 3999);
    run(&s, COMMAND_RESUME, T0 + 5000);
    assert_int_equal(session_deadline(&s), T0 + 7000);
    session_fini(&s);
}

static void
per_cycle_takes_the_total_for_its_cycle(void **state)
{
    struct session s;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, 9000);
    made(&s);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_deadline(&s), T0 + 9000);
    session_fini(&s);
}

static void
per_cycle_clears_the_mark_at_the_hand_over(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, 3000);
    made(&s);
    run(&s, COMMAND_START, T0);
    c = due(&s, T0 + 3500);
    assert_int_equal(c.type, EVENT_PARTICIPANT_EXPIRED);
    assert_int_equal(c.expired, 0);
    assert_true(s.p[0].has_expired);
    assert_int_equal(s.status, STATUS_RUNNING);
    assert_int_equal(session_deadline(&s), 0);
    c = run(&s, COMMAND_SWITCH, T0 + 4000);
    assert_int_equal(c.expired, 0);
    assert_false(s.p[0].has_expired);
    assert_true(s.p[0].dirty);
    assert_int_equal(s.p[0].time_used_ms, 4000);
    assert_int_equal(session_deadline(&s), T0 + 7000);
    session_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(participants_are_needed_where_there_are_turns),
        cmocka_unit_test(global_burns_one_bank_for_everybody),
        cmocka_unit_test(global_ends_expired),
        cmocka_unit_test(global_takes_the_cycle_for_its_bank),
        cmocka_unit_test(count_up_grows_and_counts_laps),
        cmocka_unit_test(count_up_ends_at_its_limit),
        cmocka_unit_test(a_lap_changes_nothing_but_its_number),
        cmocka_unit_test(per_cycle_gives_every_turn_the_same),
        cmocka_unit_test(per_cycle_takes_the_total_for_its_cycle),
        cmocka_unit_test(per_cycle_clears_the_mark_at_the_hand_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
