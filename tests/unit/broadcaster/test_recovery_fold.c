#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broadcaster/recovery_fold.h"
#include "common/buf.h"
#include "common/event.h"

#define ID "11111111-2222-4333-8444-555555555555"
#define FIRST "0abcdefghij-wxyz.000000001"
#define LATER "0abcdefghij-wxyz.000000002"
#define RECORDS 8

/* A session, and its records as they were made: newest last. */
struct fixture {
    struct session s;
    struct recovery_fold *fold;
    struct buf text[2 * RECORDS];
    struct recovery_row row[RECORDS];
    size_t n;
    struct fail f;
};

static void
record(struct fixture *fx, const char *epoch, const struct change *c, bool whole)
{
    struct buf *delta = &fx->text[2 * fx->n], *snapshot = delta + 1;
    const char *line;

    snprintf(fx->s.epoch, sizeof(fx->s.epoch), "%s", epoch);
    event_encode(delta, &fx->s, c, c->at_ms, NULL, false);
    if (whole)
        event_snapshot(snapshot, &fx->s);
    line = strchr(buf_cstr(delta), '\n') + 1;
    fx->row[fx->n++] = (struct recovery_row){
        .epoch = epoch, .version = c->version, .delta = line, .snapshot = buf_cstr(snapshot)
    };
    session_clean(&fx->s);
}

static int
setup(void **state)
{
    static struct fixture fx;
    struct change c;

    fx = (struct fixture){ .fold = recovery_fold_new() };
    for (size_t i = 0; i < 2 * RECORDS; i++)
        buf_init(&fx.text[i], 1 << 16);
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
    assert_int_equal(session_create(&fx.s, 1000000, &c, &fx.f), RC_OK);
    record(&fx, FIRST, &c, true);
    *state = &fx;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;

    for (size_t i = 0; i < 2 * RECORDS; i++)
        buf_fini(&fx->text[i]);
    session_fini(&fx->s);
    recovery_fold_free(fx->fold);
    return 0;
}

static void
command(struct fixture *fx, const char *epoch, enum command_type type, int64_t now_ms)
{
    const struct command cmd = { .type = type };
    struct change c;

    assert_int_equal(session_command(&fx->s, &cmd, now_ms, &c, &fx->f), RC_OK);
    record(fx, epoch, &c, false);
}

/* Newest first, until it is enough. */
static bool
add_all(struct fixture *fx, size_t skip)
{
    bool enough = false;

    for (size_t i = fx->n; i-- > 0 && !enough;)
        if (i != skip)
            enough = recovery_fold_add(fx->fold, &fx->row[i]);
    return enough;
}

static void
assert_is(struct fixture *fx, const struct session *expected)
{
    struct buf a, b;
    struct session s;

    session_init(&s);
    buf_init(&a, 1 << 16);
    buf_init(&b, 1 << 16);
    assert_int_equal(recovery_fold_state(fx->fold, &s, &fx->f), RC_OK);
    event_snapshot(&a, &s);
    event_snapshot(&b, expected);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_int_equal(s.version, expected->version);
    assert_string_equal(s.epoch, expected->epoch);
    buf_fini(&a);
    buf_fini(&b);
    session_fini(&s);
}

static void
test_snapshot_and_deltas_fold_to_the_state(void **state)
{
    struct fixture *fx = *state;

    command(fx, FIRST, COMMAND_START, 1001000);
    command(fx, FIRST, COMMAND_SWITCH, 1003000);
    command(fx, FIRST, COMMAND_PAUSE, 1004500);
    assert_true(add_all(fx, SIZE_MAX));
    assert_is(fx, &fx->s);
}

static void
test_what_a_later_life_has_replaced_does_not_count(void **state)
{
    struct fixture *fx = *state;
    struct session earlier;

    command(fx, FIRST, COMMAND_START, 1001000);
    session_init(&earlier);
    session_copy(&earlier, &fx->s);
    command(fx, FIRST, COMMAND_SWITCH, 1003000);
    command(fx, FIRST, COMMAND_SWITCH, 1004000);
    session_fini(&fx->s); /* a Redis that has forgotten both switches */
    fx->s = earlier;
    command(fx, LATER, COMMAND_PAUSE, 1009000);
    assert_true(add_all(fx, SIZE_MAX));
    assert_is(fx, &fx->s);
}

static void
test_a_missing_record_or_snapshot_is_no_state(void **state)
{
    struct fixture *fx = *state;
    struct session s;

    session_init(&s);
    command(fx, FIRST, COMMAND_START, 1001000);
    command(fx, FIRST, COMMAND_SWITCH, 1003000);
    assert_true(add_all(fx, 1));
    assert_int_equal(recovery_fold_state(fx->fold, &s, &fx->f), RC_STATE_UNREADABLE);
    recovery_fold_free(fx->fold);
    fx->fold = recovery_fold_new();
    assert_false(add_all(fx, 0));
    fail_reset(&fx->f);
    assert_int_equal(recovery_fold_state(fx->fold, &s, &fx->f), RC_STATE_UNREADABLE);
    session_fini(&s);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_snapshot_and_deltas_fold_to_the_state),
        T(test_what_a_later_life_has_replaced_does_not_count),
        T(test_a_missing_record_or_snapshot_is_no_state),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
