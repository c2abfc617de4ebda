/* Participants who come later, and clocks that are corrected. */
#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "00000000-0000-4000-8000-000000000000"
#define BERT "00000000-0000-4000-8000-000000000001"
#define CARL "cccccccc-0000-4000-8000-00000000000c"
#define RED "aaaaaaaa-0000-4000-8000-00000000000a"
#define DAY 86400000LL

static void
made(struct session *s, enum sync_mode mode, size_t n, int64_t bank)
{
    struct change c;

    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    epoch_make(s->epoch, T0 * 1000, 1);
    s->mode = mode;
    s->total_time_ms = bank;
    for (size_t k = 0; k < n; k++) {
        struct participant *p = session_add_participant(s);

        snprintf(p->id, sizeof(p->id), "00000000-0000-4000-8000-%012zu", k);
        p->index = (int64_t)k;
        p->total_time_ms = bank;
    }
    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
    session_clean(s);
}

static struct change
run(struct session *s, const struct command *cmd, int64_t now)
{
    struct change c;
    struct fail f = { .rc = RC_OK };

    if (session_command(s, cmd, now, &c, &f) != RC_OK)
        fail_msg("%s %s", f.message, f.details);
    return c;
}

static struct change
simply(struct session *s, enum command_type type, int64_t now)
{
    return run(s, &(struct command){ .type = type }, now);
}

static struct command
addition(const char *id, int64_t index, int64_t bank)
{
    return (struct command){ .type = COMMAND_ADD,
                             .participant_id = id,
                             .newcomer = { .index = index, .total_time_ms = bank } };
}

static struct command
correction(const char *id, bool sets, int64_t ms)
{
    return (struct command){ .type = COMMAND_ADJUST,
                             .participant_id = id,
                             .correction = { .sets = sets, .ms = ms, .note = "too late" } };
}

static void
refused(struct session *s, struct command cmd, enum rc rc, const char *details)
{
    struct session before;
    struct fail f = { .rc = RC_OK };
    struct change c;
    struct buf a, b;

    session_init(&before);
    session_copy(&before, s);
    assert_int_equal(session_command(s, &cmd, T0 + 700, &c, &f), rc);
    if (details != NULL && strstr(f.details, details) == NULL)
        fail_msg("%s", f.details);
    assert_int_equal(c.type, EVENT_NONE);
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    event_snapshot(&a, &before);
    event_snapshot(&b, s);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_false(s->dirty || (s->n > 0 && s->p[0].dirty));
    buf_fini(&a);
    buf_fini(&b);
    session_fini(&before);
}

/* --- adding --- */

static void
an_added_one_comes_last_with_the_highest_index(void **state)
{
    struct command add = addition(CARL, -1, 5000);
    struct session s;
    struct change c;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    s.p[0].index = 9;
    simply(&s, COMMAND_START, T0);
    session_clean(&s);
    c = run(&s, &add, T0 + 400);
    assert_int_equal(c.type, EVENT_PARTICIPANT_ADDED);
    assert_int_equal(c.participant, 2);
    assert_int_equal(c.remaining_ms, 5000);
    assert_int_equal(c.elapsed_ms, 0);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p[2].id, CARL);
    assert_int_equal(s.p[2].index, 10);
    assert_int_equal(s.p[2].total_time_ms, 5000);
    assert_int_equal(s.p[2].allotted_ms, 5000);
    assert_int_equal(s.p[2].group, -1);
    assert_true(s.p[2].dirty);
    assert_int_equal(s.cycle_started_at, T0 + 400); /* the open turn is charged */
    assert_int_equal(s.p[s.active].time_used_ms, 400);
    session_fini(&s);
}

static void
an_added_one_takes_the_place_that_the_index_says(void **state)
{
    struct command add = addition(CARL, 0, 5000);
    struct session s;

    (void)state;
    made(&s, MODE_PER_CYCLE, 2, 60000);
    add.newcomer.group_id = RED;
    run(&s, &add, T0);
    assert_int_equal(s.version, 2);
    assert_string_equal(s.p[2].group_id, RED);
    simply(&s, COMMAND_START, T0);
    simply(&s, COMMAND_SWITCH, T0);
    assert_int_equal(s.active, 2);
    session_fini(&s);
}

static void
an_added_one_joins_a_group_or_makes_one(void **state)
{
    struct command add = addition(CARL, -1, 5000);
    struct session s;

    (void)state;
    made(&s, MODE_PER_GROUP, 2, 60000);
    session_clean(&s);
    add.newcomer.group_id = BERT;
    run(&s, &add, T0);
    assert_int_equal(s.p[2].group, 1);
    assert_int_equal(s.g[1].total_time_ms, 60000);
    assert_false(s.g[1].dirty);
    add = addition("dddddddd-0000-4000-8000-00000000000d", -1, 7000);
    add.newcomer.group_id = RED;
    run(&s, &add, T0);
    assert_int_equal(s.n_groups, 3);
    assert_string_equal(s.g[2].id, RED);
    assert_int_equal(s.g[2].total_time_ms, 7000);
    assert_int_equal(s.g[2].allotted_ms, 7000);
    assert_true(s.g[2].dirty);
    add = addition("eeeeeeee-0000-4000-8000-00000000000e", -1, 8000);
    run(&s, &add, T0);
    assert_string_equal(s.g[3].id, "eeeeeeee-0000-4000-8000-00000000000e");
    session_fini(&s);
}

static void
a_session_made_without_participants_gets_none_later(void **state)
{
    struct session s;

    (void)state;
    made(&s, MODE_GLOBAL, 0, 60000);
    refused(&s, addition(CARL, -1, 5000), RC_VALIDATION, "\"participant_id\"");
    session_fini(&s);
}

static void
additions_that_cannot_be(void **state)
{
    struct session s;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    refused(&s, addition(BERT, -1, 5000), RC_VALIDATION, "\"duplicate\"");
    s.p[1].index = SESSION_INDEX_MAX;
    refused(&s, addition(CARL, -1, 5000), RC_VALIDATION, "\"participant_index\"");
    session_fini(&s);
    made(&s, MODE_PER_GROUP, SESSION_PARTICIPANTS_MAX, 60000);
    refused(&s, addition(CARL, 1, 5000), RC_VALIDATION, "Cannot exceed 1000 participants");
    session_fini(&s);
    made(&s, MODE_PER_GROUP, 2, 60000);
    while (s.n_groups < SESSION_GROUPS_MAX)
        memcpy(session_add_group(&s)->id, RED, sizeof(RED));
    session_clean(&s);
    refused(&s, addition(CARL, 1, 5000), RC_VALIDATION, "Cannot exceed 1000 groups");
    session_fini(&s);
}

/* --- adjusting: what moves in each mode --- */

static void
adjusting_moves_the_own_bank_in_per_participant(void **state)
{
    struct command more = correction(BERT, false, 500), set = correction(ANNA, true, 2000);
    struct session s;
    struct change c;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    simply(&s, COMMAND_START, T0);
    c = run(&s, &more, T0 + 1000);
    assert_int_equal(c.type, EVENT_PARTICIPANT_ADJUSTED);
    assert_int_equal(c.participant, 1);
    assert_int_equal(c.remaining_ms, 60500);
    assert_string_equal(c.note, "too late");
    assert_int_equal(s.p[1].total_time_ms, 60500);
    assert_int_equal(s.p[1].allotted_ms, 60500);
    assert_int_equal(s.p[0].total_time_ms, 59000); /* the open turn is charged first */
    run(&s, &set, T0 + 2000);
    assert_int_equal(s.p[0].total_time_ms, 2000);
    assert_int_equal(s.p[0].allotted_ms, 4000); /* moved by what the bank moved by */
    assert_int_equal(session_deadline(&s), T0 + 4000);
    session_fini(&s);
}

static void
adjusting_moves_the_groups_bank_in_per_group(void **state)
{
    struct command less = correction(BERT, false, -500);
    struct session s;

    (void)state;
    made(&s, MODE_PER_GROUP, 2, 60000);
    session_clean(&s);
    run(&s, &less, T0);
    assert_int_equal(s.g[1].total_time_ms, 59500);
    assert_int_equal(s.g[1].allotted_ms, 59500);
    assert_true(s.g[1].dirty && !s.g[0].dirty);
    assert_int_equal(s.p[1].total_time_ms, 60000);
    session_fini(&s);
}

static void
adjusting_moves_the_running_cycle_in_per_cycle(void **state)
{
    struct session s;
    struct command set = correction(ANNA, true, 9000);

    (void)state;
    made(&s, MODE_PER_CYCLE, 2, 60000);
    refused(&s, correction(ANNA, true, 9000), RC_VALIDATION, "\"total_time_ms\"");
    simply(&s, COMMAND_START, T0);
    session_clean(&s);
    refused(&s, correction(BERT, false, 1), RC_VALIDATION, "\"add_ms\"");
    run(&s, &set, T0 + 1000);
    assert_int_equal(session_clock(&s, T0 + 2000), 8000);
    assert_int_equal(s.p[0].total_time_ms, 60000);
    simply(&s, COMMAND_SWITCH, T0 + 2000);
    assert_int_equal(session_clock(&s, T0 + 2000), 60000);
    session_fini(&s);
}

static void
adjusting_moves_the_sessions_bank_in_global(void **state)
{
    struct command less = correction(BERT, false, -10000);
    struct session s;

    (void)state;
    made(&s, MODE_GLOBAL, 2, 60000);
    simply(&s, COMMAND_START, T0);
    run(&s, &less, T0 + 1000);
    assert_int_equal(s.total_time_ms, 49000);
    assert_int_equal(s.allotted_ms, 50000);
    session_fini(&s);
}

static void
adjusting_is_refused_in_count_up(void **state)
{
    struct session s;

    (void)state;
    made(&s, MODE_COUNT_UP, 2, 60000);
    refused(&s, correction(ANNA, false, 1), RC_VALIDATION, "\"add_ms\"");
    session_fini(&s);
}

/* --- adjusting: how far, and what follows --- */

static void
adjusting_results_in_0_to_a_day(void **state)
{
    struct command all = correction(ANNA, false, DAY - 60000);
    struct session s;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    refused(&s, correction(ANNA, false, -60001), RC_VALIDATION, "\"add_ms\"");
    refused(&s, correction(ANNA, false, DAY - 59999), RC_VALIDATION, "\"add_ms\"");
    refused(&s, correction(ANNA, true, -1), RC_VALIDATION, "\"total_time_ms\"");
    refused(&s, correction(CARL, true, 1), RC_NOT_FOUND, NULL);
    run(&s, &all, T0);
    assert_int_equal(s.p[0].total_time_ms, DAY);
    session_fini(&s);
}

static void
allotted_ms_is_never_below_zero(void **state)
{
    struct command none = correction(ANNA, true, 0);
    struct session s;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 1000);
    s.p[0].total_time_ms = 5000; /* by increments */
    run(&s, &none, T0);
    assert_int_equal(s.p[0].allotted_ms, 0);
    session_fini(&s);
}

static void
more_than_0_clears_has_expired(void **state)
{
    struct command some = correction(ANNA, false, 5);
    struct session s;
    struct change c;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 1000);
    simply(&s, COMMAND_START, T0);
    assert_true(session_expire(&s, T0 + 1000, TTL, &c));
    assert_int_equal(session_deadline(&s), 0);
    run(&s, &some, T0 + 3000);
    assert_false(s.p[0].has_expired);
    assert_int_equal(session_deadline(&s), T0 + 3005);
    assert_int_equal(s.p[0].time_used_ms, 3000);
    session_fini(&s);
}

static void
zero_on_the_active_one_expires_it_at_once(void **state)
{
    struct command none = correction(ANNA, true, 0), other = correction(BERT, true, 0);
    struct session s;
    struct change c;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    s.on_timeout.type = TIMEOUT_END_SESSION;
    simply(&s, COMMAND_START, T0);
    run(&s, &other, T0 + 100);
    assert_true(s.p[1].has_expired);
    assert_false(session_expire(&s, T0 + 100, TTL, &c));
    run(&s, &none, T0 + 200);
    assert_true(s.emptied);
    assert_int_equal(session_deadline(&s), T0 + 200);
    assert_true(session_expire(&s, T0 + 150, TTL, &c)); /* by a clock that is behind */
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(c.at_ms, T0 + 200);
    assert_int_equal(c.version, 5);
    assert_int_equal(s.result.winner, 1);
    assert_false(s.emptied);
    session_fini(&s);
}

static void
zero_in_a_pause_only_marks(void **state)
{
    struct command none = correction(ANNA, true, 0);
    struct session s;
    struct change c;

    (void)state;
    made(&s, MODE_PER_PARTICIPANT, 2, 60000);
    simply(&s, COMMAND_START, T0);
    simply(&s, COMMAND_PAUSE, T0 + 100);
    run(&s, &none, T0 + 200);
    assert_true(s.p[0].has_expired && !s.emptied);
    simply(&s, COMMAND_RESUME, T0 + 300);
    assert_false(session_expire(&s, T0 + 400, TTL, &c));
    session_fini(&s);
    made(&s, MODE_GLOBAL, 1, 60000); /* where the session would never end otherwise */
    simply(&s, COMMAND_START, T0);
    simply(&s, COMMAND_PAUSE, T0 + 100);
    run(&s, &none, T0 + 200);
    simply(&s, COMMAND_RESUME, T0 + 300);
    assert_true(session_expire(&s, T0 + 400, TTL, &c));
    assert_int_equal(c.at_ms, T0 + 300);
    session_fini(&s);
}

static void
the_event_tells_who_and_why(void **state)
{
    struct command add = addition(CARL, -1, 5000), set = correction(CARL, true, 9000);
    struct session s, copy;
    struct change c;
    struct event ev;
    struct buf out;

    (void)state;
    made(&s, MODE_PER_GROUP, 2, 60000);
    session_init(&copy);
    session_copy(&copy, &s);
    buf_init(&out, 1 << 16);
    c = run(&s, &add, T0 + 10);
    event_encode(&out, &s, &c, T0 + 11, "moderator 7", false);
    assert_int_equal(event_decode(out.data, out.len, &ev, NULL), RC_OK);
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_OK);
    assert_int_equal(copy.n, 3);
    assert_int_equal(copy.n_groups, 3);
    assert_string_equal(copy.p[2].id, CARL);
    session_clean(&s);
    buf_clear(&out);
    c = run(&s, &set, T0 + 20);
    event_encode(&out, &s, &c, T0 + 21, "moderator 7", false);
    assert_int_equal(event_decode(out.data, out.len, &ev, NULL), RC_OK);
    assert_int_equal(ev.type, EVENT_PARTICIPANT_ADJUSTED);
    assert_string_equal(ev.participant_id, CARL);
    assert_string_equal(ev.group_id, CARL);
    assert_string_equal(ev.note, "too late");
    assert_string_equal(ev.actor, "moderator 7");
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_OK);
    assert_int_equal(copy.g[2].total_time_ms, 9000);
    buf_fini(&out);
    session_fini(&s);
    session_fini(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_added_one_comes_last_with_the_highest_index),
        cmocka_unit_test(an_added_one_takes_the_place_that_the_index_says),
        cmocka_unit_test(an_added_one_joins_a_group_or_makes_one),
        cmocka_unit_test(a_session_made_without_participants_gets_none_later),
        cmocka_unit_test(additions_that_cannot_be),
        cmocka_unit_test(adjusting_moves_the_own_bank_in_per_participant),
        cmocka_unit_test(adjusting_moves_the_groups_bank_in_per_group),
        cmocka_unit_test(adjusting_moves_the_running_cycle_in_per_cycle),
        cmocka_unit_test(adjusting_moves_the_sessions_bank_in_global),
        cmocka_unit_test(adjusting_is_refused_in_count_up),
        cmocka_unit_test(adjusting_results_in_0_to_a_day),
        cmocka_unit_test(allotted_ms_is_never_below_zero),
        cmocka_unit_test(more_than_0_clears_has_expired),
        cmocka_unit_test(zero_on_the_active_one_expires_it_at_once),
        cmocka_unit_test(zero_in_a_pause_only_marks),
        cmocka_unit_test(the_event_tells_who_and_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
