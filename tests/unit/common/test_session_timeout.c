/* What follows when a clock reaches zero: the rows of the table of actions, and their rules. */
#include "common/session.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL

static void
draft(struct session *s, enum sync_mode mode, size_t n, enum timeout_action action)
{
    session_init(s);
    memcpy(s->id, "AbCdEf01-2345-4789-8abc-def012345678", ID_LEN + 1);
    memcpy(s->epoch, "0abcdefghij-wxyz.000000001", 27);
    s->mode = mode;
    s->total_time_ms = 1000;
    s->on_timeout.type = action;
    for (size_t k = 0; k < n; k++) {
        struct participant *p = session_add_participant(s);

        snprintf(p->id, sizeof(p->id), "aaaaaaaa-0000-4000-8000-%012zu", k);
        p->index = (int64_t)k;
        p->total_time_ms = 1000;
    }
}

static struct change
run(struct session *s, enum command_type type, int64_t now)
{
    struct command cmd = { .type = type, .grace_ms = 300 };
    struct change c;

    assert_int_equal(session_command(s, &cmd, now, &c, NULL), RC_OK);
    return c;
}

static void
begin(struct session *s)
{
    struct change c;

    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
    run(s, COMMAND_START, T0);
}

static struct change
due(struct session *s, int64_t now)
{
    struct change c;

    assert_true(session_expire(s, now, TTL, &c));
    return c;
}

/* --- the table: mode, action, auto_advance, and what two participants come to --- */

struct row {
    enum sync_mode mode;
    enum timeout_action action;
    bool advances;
    enum event_type event;
    enum sync_status status;
    int32_t active;
    enum change_reason result;
    int32_t winner;
};

#define ONE_EACH MODE_PER_PARTICIPANT
#define CYCLES MODE_PER_CYCLE
#define WENT_ON EVENT_PARTICIPANT_EXPIRED, STATUS_RUNNING, 0, REASON_NONE, -1
#define HANDED_OVER EVENT_CYCLE_SWITCHED, STATUS_RUNNING, 1, REASON_NONE, -1
#define LOST EVENT_SESSION_EXPIRED, STATUS_EXPIRED, -1, REASON_TIMEOUT, 1
#define OVER EVENT_SESSION_EXPIRED, STATUS_EXPIRED, -1, REASON_TIMEOUT, -1
#define LAST EVENT_SESSION_COMPLETED, STATUS_COMPLETED, -1, REASON_LAST_ONE_LEFT, 1

static const struct row rows[] = {
    { ONE_EACH, TIMEOUT_NONE, false, WENT_ON },
    { ONE_EACH, TIMEOUT_NOTIFY, false, WENT_ON },
    { ONE_EACH, TIMEOUT_NOTIFY, true, HANDED_OVER },
    { ONE_EACH, TIMEOUT_END_SESSION, false, LOST },
    { ONE_EACH, TIMEOUT_END_SESSION, true, LOST },
    { ONE_EACH, TIMEOUT_SKIP_CYCLE, false, HANDED_OVER },
    { ONE_EACH, TIMEOUT_AUTO_ACTION, false, WENT_ON },
    { ONE_EACH, TIMEOUT_AUTO_ACTION, true, HANDED_OVER },
    { ONE_EACH, TIMEOUT_ELIMINATE, false, LAST },
    { CYCLES, TIMEOUT_NONE, false, WENT_ON },
    { CYCLES, TIMEOUT_NONE, true, HANDED_OVER },
    { CYCLES, TIMEOUT_END_SESSION, false, LOST },
    { CYCLES, TIMEOUT_SKIP_CYCLE, false, HANDED_OVER },
    { CYCLES, TIMEOUT_AUTO_ACTION, true, HANDED_OVER },
    { CYCLES, TIMEOUT_ELIMINATE, false, LAST },
    { MODE_GLOBAL, TIMEOUT_NONE, false, OVER },
    { MODE_GLOBAL, TIMEOUT_END_SESSION, false, OVER },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void
timeout_row(void **state)
{
    const struct row *row = *state;
    bool has_turns = row->mode != MODE_GLOBAL;
    struct session s;
    struct change c;

    draft(&s, row->mode, 2, row->action);
    s.auto_advance = row->advances;
    begin(&s);
    c = due(&s, T0 + 1234);
    assert_int_equal(c.type, row->event);
    assert_int_equal(c.reason, REASON_TIMEOUT);
    assert_int_equal(c.at_ms, T0 + 1000);
    assert_int_equal(c.version, 3);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.expired, has_turns ? 0 : -1);
    assert_int_equal(s.status, row->status);
    assert_int_equal(s.active, row->active);
    assert_int_equal(s.result.reason, row->result);
    assert_int_equal(s.result.winner, row->winner);
    assert_int_equal(s.result.expired, has_turns && row->result != REASON_NONE ? 0 : -1);
    assert_int_equal(s.last_timeout.applied, row->action);
    assert_int_equal(s.last_timeout.version, 3);
    assert_int_equal(s.last_timeout.expired, has_turns ? 0 : -1);
    assert_int_equal(s.p[0].out, row->action == TIMEOUT_ELIMINATE ? OUT_ELIMINATED : OUT_NONE);
    assert_int_equal(s.p[0].cycle_count,
                     row->event == EVENT_CYCLE_SWITCHED || row->action == TIMEOUT_ELIMINATE);
    session_fini(&s);
}

/* --- timed hand-overs --- */

static void
overdue_hand_overs_each_have_their_own_deadline(void **state)
{
    struct session s;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 3, TIMEOUT_SKIP_CYCLE);
    begin(&s);
    for (int k = 1; k <= 5; k++) {
        struct change c = due(&s, T0 + 5500);

        assert_int_equal(c.at_ms, T0 + 1000 * k);
        assert_int_equal(s.active, k % 3);
        assert_int_equal(s.cycle_number, k + 1);
        assert_false(s.p[0].has_expired);
    }
    assert_int_equal(session_deadline(&s), T0 + 6000);
    session_fini(&s);
}

static void
the_turn_goes_to_the_next_who_has_time(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_PARTICIPANT, 4, TIMEOUT_NONE);
    s.auto_advance = true;
    begin(&s);
    s.p[1].total_time_ms = 0;
    s.p[1].has_expired = true;
    s.p[2].out = OUT_REMOVED;
    due(&s, T0 + 1000);
    assert_int_equal(s.active, 3);
    c = due(&s, T0 + 9000);
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(c.at_ms, T0 + 2000);
    assert_int_equal(s.result.reason, REASON_TIMEOUT);
    assert_int_equal(s.result.expired, 3);
    assert_int_equal(s.result.winner, -1);
    session_fini(&s);
}

static void
cycles_go_round_until_max_cycles(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, TIMEOUT_NONE);
    s.auto_advance = true;
    s.max_cycles = 3;
    begin(&s);
    due(&s, T0 + 1000);
    due(&s, T0 + 2000);
    c = due(&s, T0 + 3000);
    assert_int_equal(c.type, EVENT_SESSION_COMPLETED);
    assert_int_equal(c.reason, REASON_TIMEOUT);
    assert_int_equal(s.result.reason, REASON_CYCLES_DONE);
    assert_int_equal(s.cycle_number, 3);
    assert_int_equal(s.p[0].cycle_count, 2);
    session_fini(&s);
}

static void
an_explicit_switch_after_the_last_cycle_completes_too(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, TIMEOUT_NONE);
    s.max_cycles = 2;
    begin(&s);
    run(&s, COMMAND_SWITCH, T0 + 100);
    c = run(&s, COMMAND_SWITCH, T0 + 200);
    assert_int_equal(c.type, EVENT_SESSION_COMPLETED);
    assert_int_equal(c.reason, REASON_CYCLES_DONE);
    assert_int_equal(c.expired, -1);
    assert_int_equal(s.status, STATUS_COMPLETED);
    assert_int_equal(s.result.reason, REASON_CYCLES_DONE);
    session_fini(&s);
}

static void
cycles_that_go_on_alone_have_a_limit(void **state)
{
    static const struct {
        enum timeout_action action;
        bool advances;
        int64_t max_cycles;
    } cases[] = { { TIMEOUT_NONE, false, 0 },
                  { TIMEOUT_NONE, true, 1000 },
                  { TIMEOUT_SKIP_CYCLE, false, 1000 },
                  { TIMEOUT_ELIMINATE, false, 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct session s;

        draft(&s, MODE_PER_CYCLE, 2, cases[i].action);
        s.auto_advance = cases[i].advances;
        begin(&s);
        assert_int_equal(s.max_cycles, cases[i].max_cycles);
        session_fini(&s);
    }
}

/* --- ends --- */

static void
a_named_winner_wins(void **state)
{
    struct session s;

    (void)state;
    draft(&s, MODE_PER_PARTICIPANT, 3, TIMEOUT_END_SESSION);
    begin(&s);
    due(&s, T0 + 1000);
    assert_int_equal(s.result.winner, -1);
    session_fini(&s);
    draft(&s, MODE_PER_PARTICIPANT, 3, TIMEOUT_END_SESSION);
    s.on_timeout.winner = 2;
    begin(&s);
    due(&s, T0 + 1000);
    assert_int_equal(s.result.winner, 2);
    session_fini(&s);
}

static void
eliminated_one_after_the_other_until_one_is_left(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_PARTICIPANT, 3, TIMEOUT_ELIMINATE);
    begin(&s);
    c = due(&s, T0 + 1000);
    assert_int_equal(c.type, EVENT_CYCLE_SWITCHED);
    assert_int_equal(s.p[0].out, OUT_ELIMINATED);
    assert_int_equal(s.active, 1);
    c = due(&s, T0 + 2000);
    assert_int_equal(c.type, EVENT_SESSION_COMPLETED);
    assert_int_equal(s.result.reason, REASON_LAST_ONE_LEFT);
    assert_int_equal(s.result.winner, 2);
    assert_int_equal(s.result.expired, 1);
    session_fini(&s);
}

/* --- who begins --- */

static void
the_one_named_at_creation_begins(void **state)
{
    struct session s;

    (void)state;
    draft(&s, MODE_PER_PARTICIPANT, 3, TIMEOUT_NONE);
    s.first = 2;
    begin(&s);
    assert_int_equal(s.active, 2);
    run(&s, COMMAND_SWITCH, T0 + 10);
    assert_int_equal(s.active, 0);
    session_fini(&s);
}

/* --- grace --- */

static void
an_unguarded_switch_right_after_a_timed_one_is_refused(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH, .grace_ms = 300 };
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    draft(&s, MODE_PER_CYCLE, 2, TIMEOUT_SKIP_CYCLE);
    begin(&s);
    due(&s, T0 + 1050); /* committed 50 ms late */
    assert_int_equal(session_command(&s, &cmd, T0 + 1349, &c, &f), RC_CONFLICT);
    assert_string_equal(f.details,
                        "{\"active_participant_id\":\"aaaaaaaa-0000-4000-8000-000000000001\"}");
    assert_int_equal(s.version, 3);
    cmd.expected_version = 3;
    assert_int_equal(session_command(&s, &cmd, T0 + 1349, &c, NULL), RC_OK);
    cmd.expected_version = 0;
    cmd.current_participant_id = s.p[0].id;
    assert_int_equal(session_command(&s, &cmd, T0 + 1349, &c, NULL), RC_OK);
    cmd.current_participant_id = NULL;
    assert_int_equal(session_command(&s, &cmd, T0 + 1350, &c, NULL), RC_OK);
    session_fini(&s);
}

/* --- what cannot be asked for --- */

static void
rules_that_a_mode_cannot_have_are_refused(void **state)
{
    static const struct {
        enum sync_mode mode;
        enum timeout_action action;
        bool advances;
        int64_t max_cycles;
        int32_t first, winner;
        const char *field;
    } cases[] = {
        { MODE_GLOBAL, TIMEOUT_SKIP_CYCLE, false, 0, -1, -1, "action_on_timeout.type" },
        { MODE_GLOBAL, TIMEOUT_AUTO_ACTION, false, 0, -1, -1, "action_on_timeout.type" },
        { MODE_COUNT_UP, TIMEOUT_ELIMINATE, false, 0, -1, -1, "action_on_timeout.type" },
        { MODE_COUNT_UP, TIMEOUT_NONE, true, 0, -1, -1, "auto_advance" },
        { MODE_PER_PARTICIPANT, TIMEOUT_NONE, false, 5, -1, -1, "max_cycles" },
        { MODE_PER_PARTICIPANT, TIMEOUT_NONE, false, 0, 2, -1, "active_participant_id" },
        { MODE_PER_PARTICIPANT, TIMEOUT_NOTIFY, false, 0, -1, 2,
          "action_on_timeout.winner_participant_id" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fail f = { .rc = RC_OK };
        char wanted[64];
        struct session s;
        struct change c;

        draft(&s, cases[i].mode, 2, cases[i].action);
        s.auto_advance = cases[i].advances;
        s.max_cycles = cases[i].max_cycles;
        s.first = cases[i].first;
        s.on_timeout.winner = cases[i].winner;
        assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
        snprintf(wanted, sizeof(wanted), "\"field\":\"%s\"", cases[i].field);
        assert_non_null(strstr(f.details, wanted));
        session_fini(&s);
    }
}

static void
actions_have_aliases(void **state)
{
    (void)state;
    for (int a = TIMEOUT_NOTIFY; a < TIMEOUT__MAX; a++)
        assert_int_equal(timeout_action_parse(timeout_action_name((enum timeout_action)a)), a);
    assert_int_equal(timeout_action_parse("game_over"), TIMEOUT_END_SESSION);
    assert_int_equal(timeout_action_parse("skip_question"), TIMEOUT_SKIP_CYCLE);
    assert_int_equal(timeout_action_parse("auto_fold"), TIMEOUT_AUTO_ACTION);
    assert_int_equal(timeout_action_parse("explode"), TIMEOUT_NONE);
    assert_string_equal(timeout_action_name(TIMEOUT_NONE), "notify");
    assert_string_equal(timeout_action_name(TIMEOUT__MAX), "");
}

static const struct CMUnitTest plain_tests[] = {
    cmocka_unit_test(overdue_hand_overs_each_have_their_own_deadline),
    cmocka_unit_test(the_turn_goes_to_the_next_who_has_time),
    cmocka_unit_test(cycles_go_round_until_max_cycles),
    cmocka_unit_test(an_explicit_switch_after_the_last_cycle_completes_too),
    cmocka_unit_test(cycles_that_go_on_alone_have_a_limit),
    cmocka_unit_test(a_named_winner_wins),
    cmocka_unit_test(eliminated_one_after_the_other_until_one_is_left),
    cmocka_unit_test(the_one_named_at_creation_begins),
    cmocka_unit_test(an_unguarded_switch_right_after_a_timed_one_is_refused),
    cmocka_unit_test(rules_that_a_mode_cannot_have_are_refused),
    cmocka_unit_test(actions_have_aliases),
};

int
main(void)
{
    static struct row states[ROWS];
    static char names[ROWS][80];
    struct CMUnitTest tests[ROWS];
    int failed;

    for (size_t i = 0; i < ROWS; i++) {
        states[i] = rows[i];
        snprintf(names[i], sizeof(names[i]), "%s, %s%s: %s", sync_mode_name(rows[i].mode),
                 rows[i].action == TIMEOUT_NONE ? "absent"
                                                : timeout_action_name(rows[i].action),
                 rows[i].advances ? ", auto_advance" : "", event_type_name(rows[i].event));
        tests[i] = (struct CMUnitTest){ names[i], timeout_row, NULL, NULL, &states[i] };
    }
    failed = cmocka_run_group_tests_name("rules", plain_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("actions", tests, NULL, NULL);
}
