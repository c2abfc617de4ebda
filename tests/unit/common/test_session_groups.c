/* The mode per_group: who shares a bank, how it burns, and round whom turns go. */
#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"
#include "common/session_json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define TTL 3600000LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define RED "aaaaaaaa-0000-4000-8000-00000000000a"
#define BLUE "bbbbbbbb-0000-4000-8000-00000000000b"
#define GREEN "cccccccc-0000-4000-8000-00000000000c"
#define PERSON "00000000-0000-4000-8000-%012zu"

static char told[1000]; /* the faults, each as "field code;" */

static void
note(void *ctx, const char *field, const char *message, const char *code)
{
    size_t len = strlen(told);

    (void)ctx;
    assert_true(strlen(message) > 10);
    snprintf(told + len, sizeof(told) - len, "%s %s;", field, code);
}

static void
draft(struct session *s)
{
    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    epoch_make(s->epoch, T0 * 1000, 1);
    s->mode = MODE_PER_GROUP;
    s->total_time_ms = 60000;
    told[0] = '\0';
}

/* `group` NULL: says nothing. */
static struct participant *
person(struct session *s, const char *group, int64_t index, int64_t bank)
{
    struct participant *p = session_add_participant(s);

    snprintf(p->id, sizeof(p->id), PERSON, s->n - 1);
    snprintf(p->group_id, sizeof(p->group_id), "%s", group == NULL ? "" : group);
    p->index = index;
    p->total_time_ms = bank;
    return p;
}

static void
group(struct session *s, const char *id, int64_t bank)
{
    struct group *g = session_add_group(s);

    snprintf(g->id, sizeof(g->id), "%s", id);
    g->total_time_ms = bank;
}

static void
made(struct session *s)
{
    struct fail f = { .rc = RC_OK };
    struct change c;

    if (session_create(s, T0, &c, &f) != RC_OK)
        fail_msg("%s", f.details);
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

static void
groups_are(const struct session *s, const char *expected)
{
    char all[500] = "";

    for (size_t k = 0; k < s->n_groups; k++)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%.4s=%lld ", s->g[k].id,
                 (long long)s->g[k].total_time_ms);
    assert_string_equal(all, expected);
}

/* Two of red and one of blue, five seconds each; red begins. */
static void
match(struct session *s, enum timeout_action action)
{
    draft(s);
    group(s, RED, 5000);
    group(s, BLUE, 5000);
    person(s, RED, 0, 60000);
    person(s, BLUE, 1, 60000);
    person(s, RED, 2, 60000);
    s->on_timeout.type = action;
    made(s);
    run(s, COMMAND_START, T0);
}

/* --- who is in which group --- */

static void
group_bank_is_the_largest_of_the_members_where_none_is_given(void **state)
{
    struct session s;

    (void)state;
    draft(&s);
    person(&s, RED, 0, 1000);
    person(&s, BLUE, 1, 7000);
    person(&s, "AAAAAAAA-0000-4000-8000-00000000000A", 2, 3000);
    made(&s);
    groups_are(&s, "aaaa=3000 bbbb=7000 ");
    assert_int_equal(s.g[0].allotted_ms, 3000);
    assert_int_equal(s.p[2].group, 0);
    assert_int_equal(s.p[0].total_time_ms, 1000);
    session_fini(&s);
}

static void
one_without_a_group_is_its_own(void **state)
{
    struct session s;

    (void)state;
    draft(&s);
    person(&s, NULL, 0, 1000);
    person(&s, "00000000-0000-4000-8000-000000000000", 1, 2000); /* joins the first one */
    person(&s, NULL, 2, 3000);
    made(&s);
    groups_are(&s, "0000=2000 0000=3000 ");
    assert_string_equal(s.g[1].id, s.p[2].id);
    assert_int_equal(s.p[1].group, 0);
    session_fini(&s);
}

static void
groups_stand_as_given_then_by_lowest_index(void **state)
{
    struct membership m[] = { { 1, 0, "00000000-0000-4000-8000-000000000003" } };
    struct session s;

    (void)state;
    draft(&s);
    group(&s, GREEN, 9000);
    group(&s, BLUE, 8000);
    person(&s, RED, 5, 1000);
    person(&s, NULL, 1, 2000);
    person(&s, RED, 0, 1500);
    person(&s, NULL, 0, 4000);
    assert_int_equal(session_draft_groups(&s, m, 1, note, NULL), 0);
    groups_are(&s, "cccc=9000 bbbb=8000 aaaa=1500 0000=2000 ");
    assert_int_equal(s.p[3].group, 1);
    made(&s); /* which does not group them again */
    groups_are(&s, "cccc=9000 bbbb=8000 aaaa=1500 0000=2000 ");
    assert_int_equal(s.p[0].group, 2);
    assert_string_equal(s.p[0].group_id, "");
    session_fini(&s);
}

static void
contradicting_group_ids_are_refused_all_at_once(void **state)
{
    struct membership m[] = {
        { 0, 0, "00000000-0000-4000-8000-000000000000" },
        { 0, 1, "00000000-0000-4000-8000-000000000009" },
        { 1, 0, "00000000-0000-4000-8000-000000000000" },
        { 1, 1, "00000000-0000-4000-8000-000000000001" },
        { 1, 2, "00000000-0000-4000-8000-000000000001" },
    };
    struct session s;

    (void)state;
    draft(&s);
    group(&s, RED, 5000);
    group(&s, BLUE, 5000);
    group(&s, "AAAAAAAA-0000-4000-8000-00000000000A", 5000);
    person(&s, NULL, 0, 1000);
    person(&s, RED, 1, 1000);
    assert_int_equal(session_draft_groups(&s, m, 5, note, NULL), 5);
    assert_string_equal(told, "groups.0.members.1 invalid_value;groups.1.members.0 duplicate;"
                              "groups.1.members.2 duplicate;"
                              "participants.1.group_id invalid_value;"
                              "groups.2.group_id duplicate;");
    session_fini(&s);
}

static void
groups_are_at_most_a_thousand(void **state)
{
    struct session s;

    (void)state;
    draft(&s);
    for (size_t k = 0; k < SESSION_PARTICIPANTS_MAX; k++)
        person(&s, NULL, (int64_t)k, 1000);
    assert_int_equal(session_draft_groups(&s, NULL, 0, note, NULL), 0);
    assert_int_equal(s.n_groups, SESSION_GROUPS_MAX);
    assert_string_equal(s.g[999].id, s.p[999].id);
    session_fini(&s);
    draft(&s);
    group(&s, RED, 5000);
    for (size_t k = 0; k < SESSION_PARTICIPANTS_MAX; k++)
        person(&s, NULL, (int64_t)k, 1000);
    assert_int_equal(session_draft_groups(&s, NULL, 0, note, NULL), 1);
    assert_string_equal(told, "groups too_big;");
    session_fini(&s);
}

static void
groups_belong_to_per_group_only(void **state)
{
    struct session s;

    (void)state;
    draft(&s);
    s.mode = MODE_GLOBAL;
    s.auto_advance = true;
    s.first = 7;
    person(&s, RED, 0, 1000);
    group(&s, RED, 5000);
    assert_int_equal(session_draft_check(&s, note, NULL), 3);
    assert_string_equal(told, "active_participant_id invalid_value;auto_advance invalid_value;"
                              "groups invalid_value;");
    assert_int_equal(session_draft_groups(&s, NULL, 0, note, NULL), 0);
    session_fini(&s);
}

/* --- what burns --- */

static void
per_group_burns_the_bank_of_the_active_ones_group(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_NONE);
    assert_int_equal(session_deadline(&s), T0 + 5000);
    assert_int_equal(session_remaining(&s, 0, T0 + 1200), 3800);
    assert_int_equal(session_remaining(&s, 2, T0 + 1200), 3800);
    assert_int_equal(session_remaining(&s, 1, T0 + 1200), 5000);
    assert_int_equal(session_group_remaining(&s, 0, T0 + 1200), 3800);
    assert_int_equal(session_clock(&s, T0 + 1200), -1);
    assert_int_equal(session_elapsed(&s, T0 + 1200), -1);
    c = run(&s, COMMAND_SWITCH, T0 + 1200);
    assert_int_equal(c.remaining_ms, 3800);
    assert_int_equal(c.elapsed_ms, 1200);
    assert_int_equal(s.g[0].total_time_ms, 3800);
    assert_int_equal(s.g[0].time_used_ms, 1200);
    assert_int_equal(s.g[0].allotted_ms, 5000);
    assert_int_equal(s.p[0].total_time_ms, 60000);
    assert_int_equal(s.p[0].time_used_ms, 1200);
    assert_int_equal(s.p[0].cycle_count, 1);
    assert_int_equal(session_deadline(&s), T0 + 6200);
    session_fini(&s);
}

static void
a_turn_goes_to_the_next_group_and_its_next_member(void **state)
{
    static const int32_t turns[] = { 0, 1, 2, 1, 0, 1, 2 };
    struct command to = { .type = COMMAND_SWITCH,
                          .next_participant_id = "00000000-0000-4000-8000-000000000000" };
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_NONE);
    for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
        assert_int_equal(s.active, turns[i]);
        run(&s, COMMAND_SWITCH, T0 + 1);
    }
    /* said by name, within the group of whose turn it is: then the other group's again */
    assert_int_equal(s.active, 1);
    run(&s, COMMAND_SWITCH, T0 + 1);
    assert_int_equal(s.active, 0);
    assert_int_equal(session_command(&s, &to, T0 + 1, &c, NULL), RC_OK);
    assert_int_equal(s.active, 0);
    run(&s, COMMAND_SWITCH, T0 + 1);
    assert_int_equal(s.active, 1);
    run(&s, COMMAND_SWITCH, T0 + 1);
    assert_int_equal(s.active, 2);
    session_fini(&s);
}

static void
a_group_alone_goes_round_its_members(void **state)
{
    struct command out = { .type = COMMAND_REMOVE,
                           .participant_id = "00000000-0000-4000-8000-000000000001" };
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_NONE);
    assert_int_equal(session_command(&s, &out, T0 + 1, &c, NULL), RC_OK);
    run(&s, COMMAND_SWITCH, T0 + 2);
    assert_int_equal(s.active, 2);
    run(&s, COMMAND_SWITCH, T0 + 3);
    assert_int_equal(s.active, 0);
    session_fini(&s);
}

static void
the_first_is_of_the_first_group_that_somebody_is_in(void **state)
{
    struct session s;

    (void)state;
    draft(&s);
    group(&s, GREEN, 5000);
    group(&s, BLUE, 5000);
    person(&s, RED, 0, 1000);
    person(&s, BLUE, 4, 1000);
    person(&s, BLUE, 3, 1000);
    made(&s);
    run(&s, COMMAND_START, T0);
    assert_int_equal(s.active, 2);
    session_fini(&s);
}

/* --- when a bank reaches zero --- */

static void
has_expired_is_the_groups_and_shown_on_its_members(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_NONE);
    c = due(&s, T0 + 9000);
    assert_int_equal(c.type, EVENT_PARTICIPANT_EXPIRED);
    assert_int_equal(c.at_ms, T0 + 5000);
    assert_int_equal(c.expired, 0);
    assert_true(s.g[0].has_expired && !s.g[1].has_expired);
    assert_true(session_has_expired(&s, 0) && session_has_expired(&s, 2));
    assert_false(session_has_expired(&s, 1));
    assert_int_equal(session_deadline(&s), 0);
    c = run(&s, COMMAND_SWITCH, T0 + 9000);
    assert_int_equal(c.expired, 0);
    session_fini(&s);
}

static void
auto_advance_leaves_out_groups_without_time(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_SKIP_CYCLE);
    c = due(&s, T0 + 5000);
    assert_int_equal(c.type, EVENT_CYCLE_SWITCHED);
    assert_int_equal(s.active, 1);
    c = due(&s, T0 + 10000);
    assert_int_equal(c.type, EVENT_SESSION_EXPIRED);
    assert_int_equal(s.result.expired, 1);
    session_fini(&s);
}

static void
eliminate_puts_the_whole_group_out(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    draft(&s);
    person(&s, RED, 0, 5000);
    person(&s, BLUE, 1, 5000);
    person(&s, GREEN, 2, 5000);
    person(&s, RED, 3, 5000);
    person(&s, RED, 4, 5000)->out = OUT_REMOVED;
    s.on_timeout.type = TIMEOUT_ELIMINATE;
    made(&s);
    run(&s, COMMAND_START, T0);
    c = due(&s, T0 + 5000);
    assert_int_equal(s.p[4].out, OUT_REMOVED); /* as it left */
    assert_int_equal(c.type, EVENT_CYCLE_SWITCHED);
    assert_int_equal(s.p[0].out, OUT_ELIMINATED);
    assert_int_equal(s.p[3].out, OUT_ELIMINATED);
    assert_true(s.p[3].dirty);
    assert_int_equal(s.active, 1);
    c = due(&s, T0 + 10000);
    assert_int_equal(c.type, EVENT_SESSION_COMPLETED);
    assert_int_equal(s.result.reason, REASON_LAST_ONE_LEFT);
    assert_int_equal(s.result.winner, 2);
    session_fini(&s);
}

static void
a_group_that_is_left_has_no_single_winner(void **state)
{
    struct command to = { .type = COMMAND_SWITCH,
                          .next_participant_id = "00000000-0000-4000-8000-000000000001" };
    struct session s;
    struct change c;

    (void)state;
    match(&s, TIMEOUT_ELIMINATE);
    assert_int_equal(session_command(&s, &to, T0, &c, NULL), RC_OK);
    c = due(&s, T0 + 5000);
    assert_int_equal(c.type, EVENT_SESSION_COMPLETED);
    assert_int_equal(s.result.reason, REASON_LAST_ONE_LEFT);
    assert_int_equal(s.result.winner, -1);
    session_fini(&s);
}

/* --- what is shown, stored and sent --- */

static void
groups_are_shown(void **state)
{
    struct session s;
    struct buf out;

    (void)state;
    match(&s, TIMEOUT_NONE);
    s.total_time_ms = 0;
    buf_init(&out, 100000);
    session_json(&out, &s, T0 + 1200);
    assert_non_null(strstr(
        buf_cstr(&out),
        "],\"groups\":[{\"group_id\":\"" RED "\",\"total_time_ms\":5000,\"allotted_ms\":5000,"
        "\"time_used_ms\":0,\"time_remaining_ms\":3800,\"has_expired\":false,\"members\":["
        "\"00000000-0000-4000-8000-000000000000\",\"00000000-0000-4000-8000-000000000002\"]},"
        "{\"group_id\":\"" BLUE "\",\"total_time_ms\":5000,\"allotted_ms\":5000,"
        "\"time_used_ms\":0,\"time_remaining_ms\":5000,\"has_expired\":false,\"members\":["
        "\"00000000-0000-4000-8000-000000000001\"]}],\"active_participant_id\":"
        "\"00000000-0000-4000-8000-000000000000\",\"active_group_id\":\"" RED "\","));
    assert_non_null(strstr(buf_cstr(&out), "\"has_expired\":false,\"group_id\":\"" RED "\""));
    due(&s, T0 + 5000);
    run(&s, COMMAND_COMPLETE, T0 + 5000);
    buf_clear(&out);
    session_json(&out, &s, T0 + 6000);
    assert_non_null(strstr(buf_cstr(&out), "\"active_group_id\":null,"));
    assert_non_null(strstr(buf_cstr(&out), "\"expired_group_id\":\"" RED "\""));
    assert_non_null(strstr(buf_cstr(&out), "\"has_expired\":true,\"group_id\":\"" RED "\""));
    buf_clear(&out);
    session_json_minimal(&out, &s, T0 + 6000);
    assert_null(strstr(buf_cstr(&out), "\"groups\""));
    buf_fini(&out);
    session_fini(&s);
}

static void
events_name_the_group(void **state)
{
    struct session s, copy;
    struct change c;
    struct event ev;
    struct buf out;

    (void)state;
    match(&s, TIMEOUT_NONE);
    session_init(&copy);
    session_copy(&copy, &s);
    session_clean(&s);
    c = due(&s, T0 + 5000);
    assert_true(s.g[0].dirty && !s.g[1].dirty);
    buf_init(&out, 100000);
    event_encode(&out, &s, &c, T0 + 5001, NULL, false);
    assert_int_equal(event_decode(out.data, out.len, &ev, NULL), RC_OK);
    assert_string_equal(ev.group_id, RED);
    assert_string_equal(ev.expired_group_id, RED);
    assert_non_null(strstr(buf_cstr(&out), "\ng:0 i" RED " A5000 u5000 e\n"));
    assert_null(strstr(buf_cstr(&out), "\ng:1"));
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_OK);
    assert_true(session_has_expired(&copy, 2));
    buf_fini(&out);
    session_fini(&s);
    session_fini(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_bank_is_the_largest_of_the_members_where_none_is_given),
        cmocka_unit_test(one_without_a_group_is_its_own),
        cmocka_unit_test(groups_stand_as_given_then_by_lowest_index),
        cmocka_unit_test(contradicting_group_ids_are_refused_all_at_once),
        cmocka_unit_test(groups_are_at_most_a_thousand),
        cmocka_unit_test(groups_belong_to_per_group_only),
        cmocka_unit_test(per_group_burns_the_bank_of_the_active_ones_group),
        cmocka_unit_test(a_turn_goes_to_the_next_group_and_its_next_member),
        cmocka_unit_test(a_group_alone_goes_round_its_members),
        cmocka_unit_test(the_first_is_of_the_first_group_that_somebody_is_in),
        cmocka_unit_test(has_expired_is_the_groups_and_shown_on_its_members),
        cmocka_unit_test(auto_advance_leaves_out_groups_without_time),
        cmocka_unit_test(eliminate_puts_the_whole_group_out),
        cmocka_unit_test(a_group_that_is_left_has_no_single_winner),
        cmocka_unit_test(groups_are_shown),
        cmocka_unit_test(events_name_the_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
