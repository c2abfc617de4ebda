/* When a running clock crosses a value of warn_at_ms: once in a turn, and never from below. */
#include "common/session.h"

#include "common/buf.h"
#include "common/warning.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-000000000000"

static void
draft(struct session *s, enum sync_mode mode, int64_t bank_ms)
{
    static const int64_t warn_at[SESSION_WARNINGS_MAX] = { 5000, 300, 5000, 20000, 300 };

    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    memcpy(s->epoch, "0abcdefghij-wxyz.000000001", 27);
    s->mode = mode;
    s->total_time_ms = bank_ms;
    for (int k = 0; k < 2; k++) {
        struct participant *p = session_add_participant(s);

        snprintf(p->id, sizeof(p->id), "aaaaaaaa-0000-4000-8000-%012d", k);
        p->index = k;
        p->total_time_ms = bank_ms;
    }
    memcpy(s->warn_at_ms, warn_at, sizeof(warn_at));
}

static void
run(struct session *s, enum command_type type, int64_t now)
{
    struct command cmd = { .type = type };
    struct change c;

    assert_int_equal(session_command(s, &cmd, now, &c, NULL), RC_OK);
}

static void
begin(struct session *s, enum sync_mode mode, int64_t bank_ms)
{
    struct change c;

    draft(s, mode, bank_ms);
    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
    run(s, COMMAND_START, T0);
}

/* "threshold@instant after T0 ..." of what is ahead. */
static void
ahead(const struct session *s, const char *expected)
{
    struct warning w[SESSION_WARNINGS_MAX];
    size_t n = session_warnings(s, w);
    char text[200] = "";

    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%" PRId64 "@%" PRId64,
                 i > 0 ? " " : "", w[i].threshold_ms, (int64_t)(w[i].at_ms - T0));
    assert_string_equal(text, expected);
}

static void
warn_at_ms_is_ascending_without_duplicates(void **state)
{
    static const int64_t expected[SESSION_WARNINGS_MAX] = { 300, 5000, 20000 };
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 60000);
    assert_memory_equal(s.warn_at_ms, expected, sizeof(expected));
    session_fini(&s);
    session_init(&s);
    assert_int_equal(s.warn_at_ms[0], 10000);
    assert_int_equal(s.warn_at_ms[1], 0);
    session_fini(&s);
}

static void
a_clock_crosses_each_value_once_on_its_way_down(void **state)
{
    static const enum sync_mode modes[] = { MODE_PER_PARTICIPANT, MODE_PER_CYCLE, MODE_GLOBAL };
    struct session s;

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        begin(&s, modes[i], 60000);
        ahead(&s, "20000@40000 5000@55000 300@59700");
        assert_int_equal(session_wakeup(&s, 0, TTL), T0 + 40000);
        assert_int_equal(session_wakeup(&s, T0 + 39999, TTL), T0 + 40000);
        assert_int_equal(session_wakeup(&s, T0 + 40000, TTL), T0 + 55000);
        assert_int_equal(session_wakeup(&s, T0 + 59700, TTL), T0 + 60000);
        assert_int_equal(session_due_at(&s, TTL), T0 + 60000);
        session_fini(&s);
    }
}

static void
a_stopwatch_warns_before_its_limit(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_COUNT_UP, 0);
    ahead(&s, "");
    session_fini(&s);
    draft(&s, MODE_COUNT_UP, 0);
    s.max_time_ms = 30000;
    assert_int_equal(session_create(&s, T0, &(struct change){ 0 }, NULL), RC_OK);
    run(&s, COMMAND_START, T0);
    ahead(&s, "20000@10000 5000@25000 300@29700");
    session_fini(&s);
}

static void
a_turn_that_begins_below_or_at_a_value_does_not_cross_it(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 4000);
    ahead(&s, "300@3700");
    session_fini(&s);
    begin(&s, MODE_PER_PARTICIPANT, 5000);
    ahead(&s, "300@4700");
    session_fini(&s);
}

static void
nothing_is_crossed_while_no_clock_runs(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 60000);
    run(&s, COMMAND_PAUSE, T0 + 1000);
    ahead(&s, "");
    assert_int_equal(session_wakeup(&s, 0, TTL), T0 + 1000 + SESSION_IDLE_MS);
    run(&s, COMMAND_RESUME, T0 + 2000);
    ahead(&s, "20000@41000 5000@56000 300@60700");
    run(&s, COMMAND_COMPLETE, T0 + 3000);
    ahead(&s, "");
    session_fini(&s);
}

static void
a_pause_between_does_not_warn_again(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 60000);
    run(&s, COMMAND_PAUSE, T0 + 40000);
    run(&s, COMMAND_RESUME, T0 + 50000);
    ahead(&s, "5000@65000 300@69700");
    session_fini(&s);
}

/* Time that comes back during a turn: the value is crossed again, and not told again. */
static void
in_one_turn_a_value_is_told_once(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 60000);
    run(&s, COMMAND_PAUSE, T0 + 41000);
    s.p[0].total_time_ms += 30000;
    run(&s, COMMAND_RESUME, T0 + 41000);
    ahead(&s, "5000@85000 300@89700");
    run(&s, COMMAND_SWITCH, T0 + 42000);
    run(&s, COMMAND_SWITCH, T0 + 43000); /* anna again, another turn */
    assert_int_equal(s.active, 0);
    ahead(&s, "20000@71000 5000@86000 300@90700");
    session_fini(&s);
}

/* As clients see it, ms by ms: the oracle of the test below. */
static void
falls_as_seen(struct session *s, int64_t until_ms)
{
    struct warning w[SESSION_WARNINGS_MAX];
    size_t n = session_warnings(s, w), seen = 0;
    int64_t before = session_running_clock(s, T0), now;
    bool told[SESSION_WARNINGS_MAX] = { false };

    for (int64_t x = 1; x <= until_ms; x++) {
        now = session_running_clock(s, T0 + x);
        for (size_t k = SESSION_WARNINGS_MAX; k-- > 0;) {
            int64_t at = s->warn_at_ms[k];

            if (at == 0 || told[k] || before <= at || now != at)
                continue;
            told[k] = true;
            assert_true(seen < n);
            assert_int_equal(w[seen].threshold_ms, at);
            assert_int_equal(w[seen++].at_ms, T0 + x);
        }
        before = now;
    }
    assert_int_equal(seen, n);
    session_fini(s);
}

static void
every_time_control_warns_as_its_clock_is_seen(void **state)
{
    static const struct {
        struct time_control control;
        int64_t bank, until;
    } cases[] = {
        { { .type = CONTROL_DELAY, .delay_ms = 700 }, 6000, 6700 },
        { { .type = CONTROL_BRONSTEIN, .delay_ms = 700 }, 6000, 6000 },
        { { .type = CONTROL_HOURGLASS }, 6000, 6000 },
        { { .type = CONTROL_PER_MOVE }, 6000, 6000 },
        { { .type = CONTROL_BYOYOMI, .periods = 3, .period_ms = 22000 }, 6000, 72000 },
        { { .type = CONTROL_BYOYOMI, .periods = 1, .period_ms = 1000 }, 25000, 26000 },
        { { .type = CONTROL_CANADIAN, .moves = 5, .period_ms = 22000 }, 4000, 26000 },
        { { .type = CONTROL_STAGES, .n_stages = 1 }, 6000, 6000 },
    };
    struct change c;
    struct session s;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        draft(&s, MODE_PER_PARTICIPANT, cases[i].bank);
        s.control = cases[i].control;
        assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
        run(&s, COMMAND_START, T0);
        assert_int_equal(session_deadline(&s), T0 + cases[i].until);
        falls_as_seen(&s, cases[i].until);
    }
}

/* Charged in the second period: what was crossed in the bank or in the first one is known. */
static void
a_charge_between_two_periods_forgets_nothing(void **state)
{
    struct change c;
    struct session s;

    (void)state;
    draft(&s, MODE_PER_PARTICIPANT, 6000);
    s.control =
        (struct time_control){ .type = CONTROL_BYOYOMI, .periods = 3, .period_ms = 7000 };
    assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
    run(&s, COMMAND_START, T0);
    ahead(&s, "5000@1000 300@5700");
    run(&s, COMMAND_PAUSE, T0 + 13500);
    run(&s, COMMAND_RESUME, T0 + 13500);
    ahead(&s, "");
    run(&s, COMMAND_SWITCH, T0 + 13600);
    run(&s, COMMAND_SWITCH, T0 + 13600); /* anna again, in her periods */
    ahead(&s, "5000@15600 300@20300");
    session_fini(&s);
}

/* --- what is published --- */

static void
comes_back(const struct session *s, int64_t now, const char *participant, const char *group)
{
    struct warning_note note;
    struct buf out;

    buf_init(&out, 512);
    warning_encode(&out, s, 5000, now);
    assert_true(warning_is(out.data, out.len));
    assert_int_equal(warning_decode(out.data, out.len, &note, NULL), RC_OK);
    assert_string_equal(note.session_id, SID);
    assert_string_equal(note.epoch, s->epoch);
    assert_int_equal(note.version, 2);
    assert_int_equal(note.server_time_ms, now);
    assert_int_equal(note.threshold_ms, 5000);
    assert_int_equal(note.remaining_ms, 60000 - (now - T0));
    assert_string_equal(note.participant_id, participant);
    assert_string_equal(note.group_id, group);
    buf_fini(&out);
}

static void
a_warning_tells_whose_clock_it_is(void **state)
{
    struct session s;

    (void)state;
    begin(&s, MODE_PER_PARTICIPANT, 60000);
    comes_back(&s, T0 + 55003, ANNA, "");
    session_fini(&s);
    begin(&s, MODE_PER_CYCLE, 60000);
    comes_back(&s, T0 + 55003, ANNA, "");
    session_fini(&s);
    begin(&s, MODE_GLOBAL, 60000);
    comes_back(&s, T0 + 55003, "", "");
    session_fini(&s);
}

static void
foreign_bytes_are_no_warning(void **state)
{
    static const char *const texts[] = {
        "",
        "!",
        "!x",
        "i" SID,
        "!i" SID " e0abcdefghij-wxyz.000000001 v1 s1",
        "!i" SID " e0abcdefghij-wxyz.000000001 s1 w1",
        "!ix e0abcdefghij-wxyz.000000001 v1 s1 w1",
        "!i" SID " ex v1 s1 w1",
        "!i" SID " e0abcdefghij-wxyz.000000001 v1 s1 w1 px",
        "!i" SID " e0abcdefghij-wxyz.000000001 v1 s1 w1 gx",
    };
    static const char good[] = "!i" SID " e0abcdefghij-wxyz.000000001 v1 s1 w1";
    struct warning_note note;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(warning_decode(texts[i], strlen(texts[i]), &note, NULL),
                         RC_STATE_UNREADABLE);
    assert_int_equal(warning_decode(good, strlen(good), &note, NULL), RC_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warn_at_ms_is_ascending_without_duplicates),
        cmocka_unit_test(a_clock_crosses_each_value_once_on_its_way_down),
        cmocka_unit_test(a_stopwatch_warns_before_its_limit),
        cmocka_unit_test(a_turn_that_begins_below_or_at_a_value_does_not_cross_it),
        cmocka_unit_test(nothing_is_crossed_while_no_clock_runs),
        cmocka_unit_test(a_pause_between_does_not_warn_again),
        cmocka_unit_test(in_one_turn_a_value_is_told_once),
        cmocka_unit_test(every_time_control_warns_as_its_clock_is_seen),
        cmocka_unit_test(a_charge_between_two_periods_forgets_nothing),
        cmocka_unit_test(a_warning_tells_whose_clock_it_is),
        cmocka_unit_test(foreign_bytes_are_no_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
