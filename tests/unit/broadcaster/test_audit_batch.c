#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broadcaster/audit_batch.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"

#define ID "11111111-2222-4333-8444-555555555555"
#define FIRST "0abcdefghij-wxyz.000000001"
#define RAISED "0abcdefghij-wxyz.000000002"
#define LATER "0bbcdefghij-wxyz.000000002"

struct fixture {
    struct audit_batch *batch;
    struct session s;
    struct change change;
    struct fail f;
};

static int
setup(void **state)
{
    static struct fixture fx;

    fx = (struct fixture){ .batch = audit_batch_new() };
    session_init(&fx.s);
    memcpy(fx.s.id, ID, sizeof(ID));
    memcpy(fx.s.epoch, FIRST, sizeof(FIRST));
    fx.s.mode = MODE_PER_PARTICIPANT;
    fx.s.total_time_ms = 60000;
    for (int k = 0; k < 2; k++) {
        struct participant *p = session_add_participant(&fx.s);

        memcpy(p->id, ID, sizeof(ID));
        p->id[0] = (char)('a' + k);
        p->index = k;
        p->total_time_ms = 60000;
    }
    assert_int_equal(session_create(&fx.s, 1000000, &fx.change, &fx.f), RC_OK);
    *state = &fx;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;

    session_fini(&fx->s);
    audit_batch_free(fx->batch);
    return 0;
}

/* Add the change that was made last. */
static void
add(struct fixture *fx, bool whole)
{
    struct audit_record r = { 0 };
    struct buf event, snapshot;

    buf_init(&event, 1 << 20);
    buf_init(&snapshot, 1 << 20);
    event_encode(&event, &fx->s, &fx->change, fx->change.at_ms, "tab\tand \\", whole);
    if (whole)
        event_snapshot(&snapshot, &fx->s);
    r.event = event.data;
    r.event_len = event.len;
    r.snapshot = snapshot.data;
    r.snapshot_len = snapshot.len;
    assert_int_equal(audit_batch_add(fx->batch, &r, &fx->f), RC_OK);
    session_clean(&fx->s);
    buf_fini(&event);
    buf_fini(&snapshot);
}

static void
command(struct fixture *fx, enum command_type type, int64_t now_ms)
{
    const struct command cmd = { .type = type };

    assert_int_equal(session_command(&fx->s, &cmd, now_ms, &fx->change, &fx->f), RC_OK);
}

static void
assert_row(const struct buf *rows, const char *begin)
{
    if (strncmp(buf_cstr(rows), begin, strlen(begin)) != 0)
        assert_string_equal(buf_cstr(rows), begin);
}

static size_t
lines(const struct buf *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < rows->len; i++)
        n += rows->data[i] == '\n';
    return n;
}

static void
test_a_row_per_record_one_per_session_and_one_per_participant(void **state)
{
    struct fixture *fx = *state;

    add(fx, true);
    command(fx, COMMAND_START, 1001000);
    add(fx, true);
    command(fx, COMMAND_SWITCH, 1003000);
    add(fx, false);
    assert_int_equal(lines(audit_batch_events(fx->batch)), 3);
    assert_int_equal(lines(audit_batch_sessions(fx->batch)), 1);
    assert_int_equal(lines(audit_batch_participants(fx->batch)), 2);
    assert_row(audit_batch_sessions(fx->batch),
               ID "\t" FIRST "\t3\t1\tper_participant\trunning\t\\N\t");
    /* the first one used 2 s in one turn and was active from start to switch */
    assert_row(audit_batch_participants(fx->batch), ID
               "\t0\t" FIRST "\t3\ta1111111-2222-4333-8444-555555555555\t\\N\t60000\t1\t2000\t"
               "1000000\t1001000\t1003000\n");
}

static void
test_what_copy_would_misread_is_escaped(void **state)
{
    struct fixture *fx = *state;

    add(fx, true);
    assert_non_null(strstr(buf_cstr(audit_batch_events(fx->batch)), "\ttab\\tand \\\\\t"));
}

static void
test_a_record_that_comes_late_leaves_the_summary_alone(void **state)
{
    struct fixture *fx = *state;
    struct session before;
    struct change start;

    command(fx, COMMAND_START, 1001000);
    start = fx->change;
    session_init(&before);
    session_copy(&before, &fx->s);
    command(fx, COMMAND_SWITCH, 1003000);
    add(fx, false);
    session_fini(&fx->s);
    fx->s = before;
    fx->change = start;
    add(fx, true);
    assert_row(audit_batch_sessions(fx->batch),
               ID "\t" FIRST "\t3\t1\tper_participant\trunning\t");
    assert_row(audit_batch_participants(fx->batch),
               ID "\t0\t" FIRST
                  "\t3\ta1111111-2222-4333-8444-555555555555\t\\N\t60000\t1\t2000\t");
    assert_int_equal(lines(audit_batch_events(fx->batch)), 2);
}

static void
test_a_later_life_is_newer_and_a_later_birth_begins_anew(void **state)
{
    struct fixture *fx = *state;

    add(fx, true);
    memcpy(fx->s.epoch, RAISED, sizeof(RAISED));
    command(fx, COMMAND_START, 1001000);
    add(fx, false);
    assert_row(audit_batch_sessions(fx->batch), ID "\t" RAISED "\t2\t1\t");
    assert_int_equal(lines(audit_batch_participants(fx->batch)), 2);
    memcpy(fx->s.epoch, LATER, sizeof(LATER));
    fx->s.n = 1;
    fx->s.version = fx->change.version = 1;
    fx->change.type = EVENT_SESSION_CREATED;
    add(fx, true);
    assert_row(audit_batch_sessions(fx->batch), ID "\t" LATER "\t1\t1\t");
    assert_int_equal(lines(audit_batch_participants(fx->batch)), 1);
}

static void
test_a_deletion_keeps_what_was_known(void **state)
{
    struct fixture *fx = *state;

    add(fx, true);
    command(fx, COMMAND_DELETE, 1005000);
    session_clean(&fx->s);
    add(fx, false);
    assert_row(audit_batch_sessions(fx->batch),
               ID "\t" FIRST "\t2\t1\tper_participant\tpending\t");
    assert_non_null(
        strstr(buf_cstr(audit_batch_sessions(fx->batch)), "\t1005000\t1005000\t2\t"));
}

static void
test_what_is_no_record_is_refused_and_leaves_no_row(void **state)
{
    struct fixture *fx = *state;
    static const struct audit_record bad[] = {
        { .event = "nonsense", .event_len = 8 },
        { .event = "t1 i" ID " e" FIRST " v1 a5 s5\nh", .event_len = 76 },
        { .event = "t1 i" ID " e" FIRST " v1 a5 s5\n",
          .event_len = 75,
          .snapshot = "x",
          .snapshot_len = 1 },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fail f = { 0 };

        assert_int_equal(audit_batch_add(fx->batch, &bad[i], &f), RC_STATE_UNREADABLE);
        assert_int_equal(audit_batch_events(fx->batch)->len, 0);
        assert_int_equal(audit_batch_sessions(fx->batch)->len, 0);
    }
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_row_per_record_one_per_session_and_one_per_participant),
        T(test_what_copy_would_misread_is_escaped),
        T(test_a_record_that_comes_late_leaves_the_summary_alone),
        T(test_a_later_life_is_newer_and_a_later_birth_begins_anew),
        T(test_a_deletion_keeps_what_was_known),
        T(test_what_is_no_record_is_refused_and_leaves_no_row),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
