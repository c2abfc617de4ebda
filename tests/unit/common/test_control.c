/* The rows of the table of time controls: each with its worked example from control.h. */
#include "common/buf.h"
#include "common/control.h"
#include "common/event.h"
#include "common/session.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL
#define BANK 60000
#define NO (-1)

/* The players, and what is reckoned with. */
static struct session s;
static int64_t now;

static void
draft(struct time_control control, size_t n, int64_t bank)
{
    session_init(&s);
    memcpy(s.id, "AbCdEf01-2345-4789-8abc-def012345678", ID_LEN + 1);
    memcpy(s.epoch, "0abcdefghij-wxyz.000000001", 27);
    s.mode = MODE_PER_PARTICIPANT;
    s.total_time_ms = bank;
    s.control = control;
    for (size_t k = 0; k < n; k++) {
        struct participant *p = session_add_participant(&s);

        snprintf(p->id, sizeof(p->id), "aaaaaaaa-0000-4000-8000-%012zu", k);
        p->index = (int64_t)k;
        p->total_time_ms = bank;
    }
}

static struct change
run(enum command_type type, int64_t after)
{
    struct command cmd = { .type = type };
    struct change c;

    now += after;
    assert_int_equal(session_command(&s, &cmd, now, &c, NULL), RC_OK);
    return c;
}

static void
begin(void)
{
    struct change c;

    now = T0;
    assert_int_equal(session_create(&s, now, &c, NULL), RC_OK);
    run(COMMAND_START, 0);
}

static void
two_with(struct time_control control)
{
    draft(control, 2, BANK);
    begin();
}

static int64_t
deadline_in(void)
{
    return session_deadline(&s) - now;
}

static int64_t
left(size_t place, int64_t later)
{
    return session_remaining(&s, place, now + later);
}

static struct control_counters
counters(int32_t place, int64_t later)
{
    struct control_counters c;

    control_count(&s, place, s.status == STATUS_RUNNING ? later : 0, &c);
    return c;
}

static void
shows(int32_t place, int64_t delay, int64_t periods, int64_t moves, int64_t stage)
{
    struct control_counters c = counters(place, 0);

    assert_int_equal(c.delay_left_ms, delay);
    assert_int_equal(c.periods_left, periods);
    assert_int_equal(c.moves_left, moves);
    assert_int_equal(c.stage, stage);
}

/* The clock of the open turn runs out. */
static struct change
time_out(void)
{
    struct change c;

    now = session_deadline(&s);
    assert_true(now > 0);
    assert_true(session_expire(&s, now, TTL, &c));
    assert_int_equal(c.at_ms, now);
    return c;
}

/* The bank of the one at `place` becomes `ms`. */
static void
correct(int place, int64_t ms, int64_t after)
{
    struct command cmd = { .type = COMMAND_ADJUST,
                           .participant_id = s.p[place].id,
                           .correction = { .sets = true, .ms = ms, .note = "test" } };
    struct change c;

    now += after;
    assert_int_equal(session_command(&s, &cmd, now, &c, NULL), RC_OK);
}

static const struct time_control fischer = { .type = CONTROL_FISCHER, .increment_ms = 2000 };
static const struct time_control delay = { .type = CONTROL_DELAY, .delay_ms = 3000 };
static const struct time_control bronstein = { .type = CONTROL_BRONSTEIN, .delay_ms = 3000 };
static const struct time_control byoyomi = { .type = CONTROL_BYOYOMI,
                                             .periods = 3,
                                             .period_ms = 10000 };
static const struct time_control canadian = { .type = CONTROL_CANADIAN,
                                              .moves = 2,
                                              .period_ms = 30000 };
static const struct time_control hourglass = { .type = CONTROL_HOURGLASS };
static const struct time_control per_move = { .type = CONTROL_PER_MOVE };
static const struct time_control stages = {
    .type = CONTROL_STAGES,
    .n_stages = 2,
    .stages = { { .moves = 2, .add_ms = 30000, .increment_ms = 1000 },
                { .increment_ms = 2000 } },
};

/* --- the worked examples --- */

static void
test_control_fischer_worked_example(void **state)
{
    (void)state;
    two_with(fischer);
    shows(0, NO, NO, NO, NO);
    assert_int_equal(deadline_in(), 60000);
    assert_int_equal(left(0, 10000), 50000);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 52000);
    assert_int_equal(s.increment_ms, 2000);
    session_fini(&s);
}

static void
test_control_delay_worked_example(void **state)
{
    (void)state;
    two_with(delay);
    shows(0, 3000, NO, NO, NO);
    assert_int_equal(deadline_in(), 63000);
    assert_int_equal(counters(0, 2000).delay_left_ms, 1000);
    assert_int_equal(left(0, 2999), 60000);
    assert_int_equal(left(0, 3001), 59999);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 53000);
    run(COMMAND_SWITCH, 2000);
    assert_int_equal(left(1, 0), 60000);
    assert_int_equal(s.p[1].time_used_ms, 2000);
    session_fini(&s);
}

static void
test_control_bronstein_worked_example(void **state)
{
    (void)state;
    two_with(bronstein);
    shows(0, NO, NO, NO, NO);
    assert_int_equal(deadline_in(), 60000);
    assert_int_equal(left(0, 10000), 50000);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 53000);
    assert_int_equal(left(1, 2000), 58000);
    run(COMMAND_SWITCH, 2000);
    assert_int_equal(left(1, 0), 60000);
    session_fini(&s);
}

static void
test_control_byoyomi_worked_example(void **state)
{
    (void)state;
    two_with(byoyomi);
    shows(0, NO, 3, NO, NO);
    assert_int_equal(deadline_in(), 60000 + 3 * 10000);
    assert_int_equal(left(0, 75000), 5000);
    assert_int_equal(counters(0, 75000).periods_left, 2);
    run(COMMAND_SWITCH, 75000);
    assert_int_equal(left(0, 0), 10000);
    assert_int_equal(s.p[0].total_time_ms, 0);
    assert_false(s.p[0].has_expired);
    shows(0, NO, 2, NO, NO);
    session_fini(&s);
}

static void
test_control_canadian_worked_example(void **state)
{
    (void)state;
    two_with(canadian);
    shows(0, NO, NO, 2, NO);
    assert_int_equal(deadline_in(), 90000);
    assert_int_equal(left(0, 70000), 20000);
    run(COMMAND_SWITCH, 70000);
    assert_int_equal(left(0, 0), 20000);
    shows(0, NO, NO, 1, NO);
    run(COMMAND_SWITCH, 1000);
    assert_int_equal(deadline_in(), 20000);
    assert_int_equal(left(0, 15000), 5000);
    run(COMMAND_SWITCH, 15000);
    assert_int_equal(left(0, 0), 30000);
    shows(0, NO, NO, 2, NO);
    session_fini(&s);
}

static void
test_control_hourglass_worked_example(void **state)
{
    (void)state;
    two_with(hourglass);
    shows(0, NO, NO, NO, NO);
    assert_int_equal(left(0, 10000), 50000);
    assert_int_equal(left(1, 10000), 70000);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(s.p[0].total_time_ms, 50000);
    assert_int_equal(s.p[1].total_time_ms, 70000);
    assert_int_equal(deadline_in(), 70000);
    session_fini(&s);
}

static void
test_control_per_move_worked_example(void **state)
{
    (void)state;
    two_with(per_move);
    shows(0, NO, NO, NO, NO);
    assert_int_equal(left(0, 10000), 50000);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 60000);
    session_fini(&s);
}

static void
test_control_stages_worked_example(void **state)
{
    (void)state;
    two_with(stages);
    shows(0, NO, NO, 2, 1);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 51000);
    shows(0, NO, NO, 1, 1);
    run(COMMAND_SWITCH, 1000);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 72000);
    shows(0, NO, NO, NO, 2);
    run(COMMAND_SWITCH, 1000);
    run(COMMAND_SWITCH, 5000);
    assert_int_equal(left(0, 0), 69000);
    shows(0, NO, NO, NO, 2);
    session_fini(&s);
}

/* --- more about each --- */

static void
test_control_fischer_is_what_nothing_means(void **state)
{
    (void)state;
    draft((struct time_control){ .type = CONTROL_NONE }, 2, BANK);
    s.increment_ms = 500;
    begin();
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(left(0, 0), 50500);
    session_fini(&s);
}

static void
test_control_delay_stands_still_in_a_pause(void **state)
{
    (void)state;
    two_with(delay);
    run(COMMAND_PAUSE, 1000);
    now += 5000;
    shows(0, 2000, NO, NO, NO);
    assert_int_equal(left(0, 0), 60000);
    run(COMMAND_RESUME, 0);
    shows(0, 2000, NO, NO, NO);
    assert_int_equal(deadline_in(), 62000);
    run(COMMAND_SWITCH, 2500);
    assert_int_equal(left(0, 0), 59500);
    assert_int_equal(s.p[0].time_used_ms, 3500);
    assert_int_equal(deadline_in(), 63000); /* the next turn has a delay of its own */
    session_fini(&s);
}

static void
test_control_delay_is_no_time_to_live_on(void **state)
{
    (void)state;
    two_with(delay);
    time_out();
    assert_int_equal(now, T0 + 63000);
    shows(0, 0, NO, NO, NO);
    assert_int_equal(session_deadline(&s), 0);
    run(COMMAND_SWITCH, 0);
    run(COMMAND_SWITCH, 1000);
    assert_int_equal(s.active, 0);
    shows(0, 0, NO, NO, NO);
    assert_int_equal(session_deadline(&s), 0);
    session_fini(&s);
}

static void
test_control_bronstein_gives_back_at_most_the_delay(void **state)
{
    static const int64_t turns[][2] = {
        { 0, 60000 }, { 1, 60000 }, { 3000, 60000 }, { 3001, 59999 }, { 59999, 3001 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        two_with(bronstein);
        run(COMMAND_SWITCH, turns[i][0]);
        assert_int_equal(left(0, 0), turns[i][1]);
        session_fini(&s);
    }
}

static void
test_control_bronstein_counts_the_turn_without_its_pauses(void **state)
{
    (void)state;
    two_with(bronstein);
    run(COMMAND_PAUSE, 1000);
    run(COMMAND_RESUME, 50000);
    run(COMMAND_SWITCH, 1000);
    assert_int_equal(left(0, 0), 60000);
    session_fini(&s);
}

static void
test_control_byoyomi_loses_each_period_when_it_is_used_up(void **state)
{
    static const struct {
        int64_t turn, left, periods;
    } cases[] = {
        { 59999, 1, 3 },     { 60000, 10000, 3 }, { 60001, 9999, 3 },  { 69999, 1, 3 },
        { 70000, 10000, 2 }, { 79999, 1, 2 },     { 80000, 10000, 1 }, { 89999, 1, 1 },
        { 90000, 0, 0 },     { 100000, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        two_with(byoyomi);
        assert_int_equal(left(0, cases[i].turn), cases[i].left);
        assert_int_equal(counters(0, cases[i].turn).periods_left, cases[i].periods);
        session_fini(&s);
    }
}

static void
test_control_byoyomi_goes_on_after_a_pause(void **state)
{
    (void)state;
    two_with(byoyomi);
    run(COMMAND_PAUSE, 72000);
    now += 9000;
    assert_int_equal(left(0, 0), 8000);
    shows(0, NO, 2, NO, NO);
    run(COMMAND_RESUME, 0);
    assert_int_equal(deadline_in(), 18000);
    run(COMMAND_PAUSE, 1000);
    run(COMMAND_RESUME, 1000);
    assert_int_equal(left(0, 0), 7000);
    assert_int_equal(left(0, 7001), 9999);
    assert_int_equal(counters(0, 7001).periods_left, 1);
    run(COMMAND_SWITCH, 6999);
    assert_int_equal(left(0, 0), 10000);
    shows(0, NO, 2, NO, NO);
    session_fini(&s);
}

static void
test_control_byoyomi_ends_with_its_last_period(void **state)
{
    struct change c;

    (void)state;
    draft(byoyomi, 2, BANK);
    s.on_timeout.type = TIMEOUT_END_SESSION;
    begin();
    c = time_out();
    assert_int_equal(now, T0 + 90000);
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(s.result.winner, 1);
    assert_true(s.p[0].has_expired);
    assert_int_equal(s.p[0].time_used_ms, 90000);
    shows(0, NO, 0, NO, NO);
    session_fini(&s);
}

static void
test_control_canadian_block_too_short_for_its_moves(void **state)
{
    (void)state;
    two_with(canadian);
    run(COMMAND_SWITCH, 89000);
    run(COMMAND_SWITCH, 0);
    shows(0, NO, NO, 1, NO);
    assert_int_equal(deadline_in(), 1000);
    time_out();
    assert_true(s.p[0].has_expired);
    run(COMMAND_SWITCH, 500);
    assert_int_equal(left(0, 0), 0);
    shows(0, NO, NO, 1, NO);
    session_fini(&s);
}

static void
test_control_canadian_moves_count_once_the_bank_is_gone(void **state)
{
    (void)state;
    two_with(canadian);
    run(COMMAND_SWITCH, 59999);
    shows(0, NO, NO, 2, NO);
    run(COMMAND_SWITCH, 0);
    run(COMMAND_SWITCH, 1);
    assert_int_equal(left(0, 0), 30000);
    shows(0, NO, NO, 1, NO);
    session_fini(&s);
}

static void
test_control_hourglass_needs_exactly_two(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        struct fail f = { .rc = RC_OK };
        struct change c;

        draft(hourglass, n, BANK);
        assert_int_equal(session_create(&s, T0, &c, &f), n == 2 ? RC_OK : RC_VALIDATION);
        assert_true(n == 2 || strstr(f.details, "\"field\":\"participants\"") != NULL);
        session_fini(&s);
    }
}

static void
test_control_hourglass_at_zero_stays_there(void **state)
{
    (void)state;
    two_with(hourglass);
    time_out();
    assert_int_equal(s.p[0].total_time_ms, 0);
    assert_int_equal(s.p[1].total_time_ms, 120000);
    run(COMMAND_SWITCH, 5000);
    assert_int_equal(s.p[1].total_time_ms, 120000);
    assert_int_equal(left(0, 10000), 0);
    run(COMMAND_SWITCH, 10000);
    assert_int_equal(s.p[0].total_time_ms, 0);
    assert_true(s.p[0].has_expired);
    assert_int_equal(s.p[1].total_time_ms, 110000);
    session_fini(&s);
}

static void
test_control_hourglass_change_carries_both_banks(void **state)
{
    (void)state;
    two_with(hourglass);
    session_clean(&s);
    run(COMMAND_PAUSE, 1000);
    assert_true(s.p[0].dirty && s.p[1].dirty);
    assert_int_equal(s.p[1].time_used_ms, 0);
    session_fini(&s);
}

static void
test_control_stages_end_only_after_their_moves(void **state)
{
    struct time_control three = { .type = CONTROL_STAGES, .n_stages = 3 };

    (void)state;
    three.stages[0] = (struct time_stage){ .moves = 1, .add_ms = 5 };
    three.stages[1] = (struct time_stage){ .moves = 3, .add_ms = 7, .increment_ms = 100 };
    two_with(three);
    run(COMMAND_SWITCH, 0);
    assert_int_equal(left(0, 0), 60005);
    shows(0, NO, NO, 3, 2);
    for (int i = 0; i < 3; i++) {
        run(COMMAND_SWITCH, 0);
        run(COMMAND_SWITCH, 0);
    }
    assert_int_equal(left(0, 0), 60005 + 300 + 7);
    shows(0, NO, NO, NO, 3);
    shows(1, NO, NO, 1, 2);
    session_fini(&s);
}

/* --- what they have in common --- */

static const struct time_control *const all[] = {
    &fischer, &delay, &bronstein, &byoyomi, &canadian, &hourglass, &per_move, &stages,
};
#define N_ALL (sizeof(all) / sizeof(all[0]))

static void
test_a_hand_over_effect_never_applies_to_an_expired_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        struct control_counters before, after;
        struct change c;

        two_with(*all[i]);
        time_out();
        before = counters(0, 0);
        c = run(COMMAND_SWITCH, 1000);
        after = counters(0, 0);
        assert_int_equal(c.expired, 0);
        assert_int_equal(left(0, 0), 0);
        assert_int_equal(s.p[0].total_time_ms, 0);
        assert_memory_equal(&before, &after, sizeof(before));
        session_fini(&s);
    }
}

static void
test_timed_hand_over_goes_to_who_has_time_in_every_control(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        size_t n = all[i]->type == CONTROL_HOURGLASS ? 2 : 3;

        draft(*all[i], n, BANK);
        s.auto_advance = true;
        begin();
        assert_int_equal(time_out().type, EVENT_CYCLE_SWITCHED);
        assert_int_equal(s.active, 1);
        if (n == 3) { /* byoyomi and canadian: what follows the bank is time, too */
            run(COMMAND_SWITCH, all[i]->period_ms > 0 ? BANK + 1 : 1);
            assert_int_equal(time_out().type, EVENT_CYCLE_SWITCHED);
            assert_int_equal(s.active, 1);
        }
        time_out();
        assert_int_equal(s.status, STATUS_EXPIRED);
        session_fini(&s);
    }
}

static void
test_time_used_is_the_wall_time_of_turns_in_every_control(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        two_with(*all[i]);
        for (int64_t turn = 0; turn < 12; turn++)
            run(COMMAND_SWITCH, 1000 * turn);
        run(COMMAND_PAUSE, 77777);
        run(COMMAND_RESUME, 5000);
        run(COMMAND_COMPLETE, 10);
        assert_int_equal(s.p[0].time_used_ms + s.p[1].time_used_ms + s.paused_total_ms,
                         now - T0);
        assert_int_equal(s.p[1].time_used_ms, 1000 * (1 + 3 + 5 + 7 + 9 + 11));
        session_fini(&s);
    }
}

static void
test_removed_and_eliminated_take_no_part_in_any_control(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        draft(*all[i], 2, BANK);
        s.on_timeout.type = TIMEOUT_ELIMINATE;
        begin();
        assert_int_equal(time_out().type, EVENT_SESSION_COMPLETED);
        assert_int_equal(s.result.winner, 1);
        assert_int_equal(s.p[0].out, OUT_ELIMINATED);
        session_fini(&s);
    }
}

static void
test_time_control_elsewhere_is_refused(void **state)
{
    (void)state;
    for (int m = MODE_PER_CYCLE; m < MODE__MAX; m++) {
        struct fail f = { .rc = RC_OK };
        struct change c;

        draft(delay, 2, BANK);
        s.mode = (enum sync_mode)m;
        assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
        assert_non_null(strstr(f.details, "\"field\":\"time_control\""));
        session_fini(&s);
    }
}

static void
refused(struct time_control control, int64_t increment, const char *field)
{
    struct fail f = { .rc = RC_OK };
    struct change c;

    draft(control, 2, BANK);
    s.increment_ms = increment;
    assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
    if (strstr(f.details, field) == NULL)
        fail_msg("%s is not %s", f.details, field);
    session_fini(&s);
}

static void
test_increment_ms_beside_another_control_is_refused(void **state)
{
    (void)state;
    for (size_t i = 1; i < N_ALL; i++) {
        refused(*all[i], 0, "\"field\":\"increment_ms\"");
        refused(*all[i], 5, "\"field\":\"increment_ms\"");
    }
    refused(fischer, 1999, "\"field\":\"increment_ms\"");
    draft(fischer, 2, BANK);
    s.increment_ms = 2000;
    begin();
    session_fini(&s);
}

static void
test_every_stage_but_the_last_has_moves(void **state)
{
    struct time_control wrong = stages;

    (void)state;
    wrong.stages[0].moves = 0;
    refused(wrong, -1, "\"field\":\"time_control.stages.0.moves\"");
    wrong.stages[0].moves = wrong.stages[1].moves = 2;
    refused(wrong, -1, "\"field\":\"time_control.stages.1.moves\"");
}

/* --- corrections --- */

static void
test_correction_leaves_the_delay_of_the_turn_as_used(void **state)
{
    (void)state;
    two_with(delay);
    correct(0, 5000, 2000);
    shows(0, 1000, NO, NO, NO);
    assert_int_equal(deadline_in(), 6000);
    correct(0, 0, 0);
    assert_true(s.p[0].has_expired);
    shows(0, 0, NO, NO, NO);
    assert_int_equal(session_deadline(&s), now); /* its expiry is due at once */
    time_out();
    assert_int_equal(session_deadline(&s), 0);
    session_fini(&s);
}

static void
test_correction_to_no_bank_begins_the_periods_of_byoyomi(void **state)
{
    (void)state;
    two_with(byoyomi);
    correct(0, 0, 1000);
    assert_false(s.p[0].has_expired);
    assert_int_equal(left(0, 4000), 6000);
    assert_int_equal(deadline_in(), 30000);
    correct(0, 5000, 4000); /* the bank burns first, then the period as it was left */
    assert_int_equal(left(0, 0), 5000);
    assert_int_equal(left(0, 6000), 5000);
    shows(0, NO, 3, NO, NO);
    assert_int_equal(deadline_in(), 31000);
    session_fini(&s);
}

static void
test_correction_brings_no_lost_period_back(void **state)
{
    (void)state;
    two_with(byoyomi);
    time_out();
    correct(0, 60000, 500);
    assert_false(s.p[0].has_expired);
    run(COMMAND_SWITCH, 1000);
    run(COMMAND_SWITCH, 1000);
    shows(0, NO, 0, NO, NO);
    assert_int_equal(deadline_in(), 59000);
    session_fini(&s);
}

static void
test_correction_lets_a_canadian_block_wait(void **state)
{
    (void)state;
    two_with(canadian);
    run(COMMAND_SWITCH, 70000);
    correct(0, 4000, 0);
    assert_int_equal(left(0, 0), 4000);
    run(COMMAND_SWITCH, 1000);
    assert_int_equal(deadline_in(), 24000);
    assert_int_equal(left(0, 3000), 1000);
    assert_int_equal(left(0, 6000), 18000);
    run(COMMAND_SWITCH, 6000);
    assert_int_equal(left(0, 0), 30000);
    shows(0, NO, NO, 2, NO);
    session_fini(&s);
}

static void
test_correction_of_an_hourglass_is_for_one_side(void **state)
{
    (void)state;
    two_with(hourglass);
    correct(1, 10000, 5000);
    assert_int_equal(left(0, 0), 55000);
    assert_int_equal(left(1, 0), 10000);
    assert_int_equal(left(1, 1000), 11000);
    session_fini(&s);
}

static void
test_correction_is_for_later_turns_too_in_per_move(void **state)
{
    (void)state;
    two_with(per_move);
    correct(0, 80000, 0);
    assert_int_equal(left(0, 30000), 50000);
    run(COMMAND_SWITCH, 30000);
    assert_int_equal(left(0, 0), 80000);
    session_fini(&s);
}

/* --- stored --- */

static enum rc
stored_and_loaded(struct session *back)
{
    struct buf text;
    enum rc rc;

    buf_init(&text, 100000);
    event_snapshot(&text, &s);
    session_init(back);
    rc = event_lines_apply(text.data, text.len, back, NULL);
    buf_fini(&text);
    return rc;
}

static void
test_every_control_is_stored_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        struct session back;

        two_with(*all[i]);
        run(COMMAND_PAUSE, 65000);
        assert_int_equal(stored_and_loaded(&back), RC_OK);
        assert_memory_equal(&back.control, &s.control, sizeof(s.control));
        assert_int_equal(back.p[0].overtime_ms, s.p[0].overtime_ms);
        assert_int_equal(back.p[0].periods_left, s.p[0].periods_left);
        assert_int_equal(back.p[0].moves_left, s.p[0].moves_left);
        assert_int_equal(back.p[0].stage, s.p[0].stage);
        session_fini(&s);
        session_fini(&back);
    }
}

static void
test_a_control_without_its_parameters_is_unreadable(void **state)
{
    static const struct time_control broken[] = {
        { .type = CONTROL_BYOYOMI, .periods = 2 },
        { .type = CONTROL_CANADIAN, .moves = 2 },
        { .type = CONTROL_STAGES },
        { .type = CONTROL_STAGES, .n_stages = 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct session back;

        two_with(fischer);
        s.control = broken[i];
        s.p[0].stage = 1;
        s.p[1].stage = 2;
        assert_int_equal(stored_and_loaded(&back), RC_STATE_UNREADABLE);
        session_fini(&s);
        session_fini(&back);
    }
}

static void
test_control_words_are_those_of_the_wire(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ALL; i++)
        assert_int_equal(control_type_parse(control_type_name(all[i]->type)), all[i]->type);
    assert_int_equal(control_type_parse("chess"), CONTROL_NONE);
    assert_int_equal(control_type_parse(""), CONTROL_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_fischer_worked_example),
        cmocka_unit_test(test_control_delay_worked_example),
        cmocka_unit_test(test_control_bronstein_worked_example),
        cmocka_unit_test(test_control_byoyomi_worked_example),
        cmocka_unit_test(test_control_canadian_worked_example),
        cmocka_unit_test(test_control_hourglass_worked_example),
        cmocka_unit_test(test_control_per_move_worked_example),
        cmocka_unit_test(test_control_stages_worked_example),
        cmocka_unit_test(test_control_fischer_is_what_nothing_means),
        cmocka_unit_test(test_control_delay_stands_still_in_a_pause),
        cmocka_unit_test(test_control_delay_is_no_time_to_live_on),
        cmocka_unit_test(test_control_bronstein_gives_back_at_most_the_delay),
        cmocka_unit_test(test_control_bronstein_counts_the_turn_without_its_pauses),
        cmocka_unit_test(test_control_byoyomi_loses_each_period_when_it_is_used_up),
        cmocka_unit_test(test_control_byoyomi_goes_on_after_a_pause),
        cmocka_unit_test(test_control_byoyomi_ends_with_its_last_period),
        cmocka_unit_test(test_control_canadian_block_too_short_for_its_moves),
        cmocka_unit_test(test_control_canadian_moves_count_once_the_bank_is_gone),
        cmocka_unit_test(test_control_hourglass_needs_exactly_two),
        cmocka_unit_test(test_control_hourglass_at_zero_stays_there),
        cmocka_unit_test(test_control_hourglass_change_carries_both_banks),
        cmocka_unit_test(test_control_stages_end_only_after_their_moves),
        cmocka_unit_test(test_a_hand_over_effect_never_applies_to_an_expired_one),
        cmocka_unit_test(test_timed_hand_over_goes_to_who_has_time_in_every_control),
        cmocka_unit_test(test_time_used_is_the_wall_time_of_turns_in_every_control),
        cmocka_unit_test(test_removed_and_eliminated_take_no_part_in_any_control),
        cmocka_unit_test(test_time_control_elsewhere_is_refused),
        cmocka_unit_test(test_increment_ms_beside_another_control_is_refused),
        cmocka_unit_test(test_every_stage_but_the_last_has_moves),
        cmocka_unit_test(test_correction_leaves_the_delay_of_the_turn_as_used),
        cmocka_unit_test(test_correction_to_no_bank_begins_the_periods_of_byoyomi),
        cmocka_unit_test(test_correction_brings_no_lost_period_back),
        cmocka_unit_test(test_correction_lets_a_canadian_block_wait),
        cmocka_unit_test(test_correction_of_an_hourglass_is_for_one_side),
        cmocka_unit_test(test_correction_is_for_later_turns_too_in_per_move),
        cmocka_unit_test(test_every_control_is_stored_whole),
        cmocka_unit_test(test_a_control_without_its_parameters_is_unreadable),
        cmocka_unit_test(test_control_words_are_those_of_the_wire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
