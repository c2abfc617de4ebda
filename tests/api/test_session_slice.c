/* A switch in a large session reads and writes a slice of it: the same as if it were the whole.
 */
#include "common/buf.h"
#include "common/event.h"
#include "common/keys.h"
#include "common/session_slice.h"
#include "store_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STEPS 80
#define BANK_MS 86400000
#define TEXT_MAX (1u << 20)
#define TURNS_MAX 1024

static unsigned long noise;

static unsigned
dice(unsigned sides)
{
    noise = noise * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(noise >> 33) % sides;
}

/* A random large session: turns go by any index, some of them equal. */
static void
create(enum sync_mode mode, size_t n)
{
    struct session *s = &fx.s;

    session_fini(s);
    fixture_draft(s, id_a, n, BANK_MS);
    s->mode = mode;
    s->total_time_ms = mode == MODE_COUNT_UP ? 0 : BANK_MS;
    for (size_t k = 0; k < n; k++) {
        s->p[k].index = dice(2) ? (int64_t)k : dice(100);
        if (mode == MODE_PER_GROUP && dice(10) > 0)
            memcpy(s->p[k].group_id, fixture_participant(1000 + dice(8)), ID_LEN + 1);
    }
    session_draft_groups(s, NULL, 0, NULL, NULL);
    fail_reset(&fx.f);
    if (session_store_create(fx.store, s, &nobody, &fx.res, &fx.f) != RC_OK)
        fail_msg("%s %s", fx.f.message, fx.f.details);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
}

static enum rc
run(const struct command *cmd, bool is_brief)
{
    const struct store_terms terms = { .actor = "somebody", .is_brief = is_brief };

    fail_reset(&fx.f);
    return session_store_command(fx.store, id_a, cmd, &terms, &fx.s, &fx.res, &fx.f);
}

static enum rc
switch_briefly(void)
{
    return run(&(struct command){ .type = COMMAND_SWITCH }, true);
}

static void
same(const struct session *a, const struct session *b)
{
    struct buf x, y;

    buf_init(&x, TEXT_MAX);
    buf_init(&y, TEXT_MAX);
    event_snapshot(&x, a);
    event_snapshot(&y, b);
    assert_string_equal(buf_cstr(&x), buf_cstr(&y));
    buf_fini(&x);
    buf_fini(&y);
}

/* The whole as it stands is what `cmd` makes of `before` at that instant. */
static void
made_of(struct session *before, const struct command *cmd)
{
    int64_t now = fx.res.server_time_ms;
    struct change c, said = fx.res.change;

    assert_int_equal(session_command(before, cmd, now, &c, NULL), RC_OK);
    assert_int_equal(said.remaining_ms, c.remaining_ms);
    assert_int_equal(said.version, c.version);
    assert_int_equal(fixture_get(id_a), RC_OK);
    same(&fx.s, before);
}

/* `o` says what the rows do. */
static void
turns_are_true(void)
{
    struct buf turns;

    buf_init(&turns, TEXT_MAX);
    session_turns_field(&fx.s, &turns);
    assert_string_equal(fixture_field(id_a, "o"), buf_cstr(&turns));
    buf_fini(&turns);
}

/* Somebody comes or goes, or gets the turn out of order. */
static void
disturb(size_t *added)
{
    struct command cmd = { .newcomer = { .index = -1, .total_time_ms = BANK_MS } };
    char who[ID_LEN + 1]; /* the session that it comes from is read again meanwhile */

    memcpy(who, fx.s.p[dice((unsigned)fx.s.n)].id, sizeof(who));
    switch (dice(3)) {
    case 0:
        cmd.type = COMMAND_REMOVE;
        cmd.participant_id = who;
        break;
    case 1:
        cmd.type = COMMAND_ADD;
        cmd.participant_id = fixture_participant(2000 + (*added)++);
        cmd.newcomer.index = dice(2) ? -1 : (int64_t)dice(100);
        break;
    default:
        cmd.type = COMMAND_SWITCH;
        cmd.next_participant_id = who;
    }
    (void)!run(&cmd, dice(2)); /* refused when it is about the one who is on, or out */
}

/* Switches in between; how many of them went by a slice. */
static size_t
walk(enum sync_mode mode, unsigned long seed)
{
    static const struct command cmd = { .type = COMMAND_SWITCH };
    size_t slices = 0, added = 0;

    noise = seed;
    create(mode, SESSION_LARGE + 1 + dice(60));
    for (int i = 0; i < STEPS; i++) {
        struct session before;

        assert_int_equal(fixture_get(id_a), RC_OK);
        turns_are_true();
        if (dice(4) == 0)
            disturb(&added);
        assert_int_equal(fixture_get(id_a), RC_OK);
        session_init(&before);
        session_copy(&before, &fx.s);
        assert_int_equal(switch_briefly(), RC_OK);
        slices += fx.s.is_slice;
        made_of(&before, &cmd);
        session_fini(&before);
    }
    return slices;
}

#define WALKS(mode)                                               \
    for (unsigned long seed = 1; seed <= 2; seed++) {             \
        fixture_teardown(NULL);                                   \
        fixture_setup(NULL);                                      \
        print_message("seed %lu\n", seed);                        \
        assert_in_range(walk(mode, seed), STEPS * 8 / 10, STEPS); \
    }

static void
banks(void **state)
{
    (void)state;
    WALKS(MODE_PER_PARTICIPANT);
}

static void
cycles(void **state)
{
    (void)state;
    WALKS(MODE_PER_CYCLE);
}

static void
groups(void **state)
{
    (void)state;
    WALKS(MODE_PER_GROUP);
}

static void
one_bank(void **state)
{
    (void)state;
    WALKS(MODE_GLOBAL);
}

static void
no_bank(void **state)
{
    (void)state;
    WALKS(MODE_COUNT_UP);
}

static void
small_sessions_are_whole(void **state)
{
    (void)state;
    assert_int_equal(fixture_create(id_a, SESSION_LARGE, BANK_MS), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_string_equal(fixture_field(id_a, "o"), "");
    assert_int_equal(switch_briefly(), RC_OK);
    assert_false(fx.s.is_slice);
    assert_int_equal(fx.s.n, SESSION_LARGE);
}

static void
whoever_shows_participants_has_them_all(void **state)
{
    (void)state;
    create(MODE_PER_PARTICIPANT, 100);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(fx.s.n, 100);
    assert_int_equal(run(&(struct command){ .type = COMMAND_PAUSE }, true), RC_OK);
    assert_int_equal(fx.s.n, 100);
}

/* A refusal tells the truth about all, too. */
static void
what_is_refused_is_judged_by_the_whole(void **state)
{
    (void)state;
    create(MODE_PER_PARTICIPANT, 100);
    assert_int_equal(run(&(struct command){ .type = COMMAND_PAUSE }, true), RC_OK);
    assert_int_equal(switch_briefly(), RC_TRANSITION);
    assert_int_equal(fx.s.n, 100);
}

static void
the_last_cycle_ends_it(void **state)
{
    (void)state;
    session_fini(&fx.s);
    fixture_draft(&fx.s, id_a, 100, BANK_MS);
    fx.s.mode = MODE_PER_CYCLE;
    fx.s.max_cycles = 2;
    fx.s.total_time_ms = BANK_MS;
    assert_int_equal(session_store_create(fx.store, &fx.s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_int_equal(switch_briefly(), RC_OK);
    assert_true(fx.s.is_slice);
    assert_int_equal(switch_briefly(), RC_OK);
    assert_false(fx.s.is_slice);
    assert_int_equal(fx.s.status, STATUS_COMPLETED);
    assert_int_equal(fx.s.result.reason, REASON_CYCLES_DONE);
}

/* Somebody who is not on wants to switch: he is told that he may not, by who he is. */
static void
rights_are_judged_by_the_whole(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct token token = { .sub = "" };
    struct caller caller = { .token = &token };
    const struct store_terms terms = { .caller = &caller, .is_brief = true };

    (void)state;
    session_fini(&fx.s);
    fixture_draft(&fx.s, id_a, 100, BANK_MS);
    fx.s.is_private = true;
    assert_int_equal(session_store_create(fx.store, &fx.s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    token.sub = fixture_participant(50);
    assert_int_equal(session_store_command(fx.store, id_a, &cmd, &terms, &fx.s, &fx.res, &fx.f),
                     RC_FORBIDDEN);
    fail_reset(&fx.f);
    token.sub = fixture_participant(500);
    assert_int_equal(session_store_command(fx.store, id_a, &cmd, &terms, &fx.s, &fx.res, &fx.f),
                     RC_SESSION_NOT_FOUND);
    fail_reset(&fx.f);
    token.sub = fixture_participant(0);
    assert_int_equal(session_store_command(fx.store, id_a, &cmd, &terms, &fx.s, &fx.res, &fx.f),
                     RC_OK);
    assert_true(fx.s.is_slice);
}

/* What cannot be used is not: the rows tell. */
static void
broken_turns_do_no_harm(void **state)
{
    static const char *const broken[] = { "",          "nonsense", ";",      ";: ",
                                          ";: 0 777 ", ";7: 0 1 ", "; 0 1 ", ";: 1 2 " };
    struct key key = keys_session("t:", id_a);

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        fixture_teardown(NULL);
        fixture_setup(NULL);
        assert_int_equal(fixture_create(id_a, 100, BANK_MS), RC_OK);
        assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
        private_redis_ask(&fx.server, "HSET %s o %s", key.s, broken[i]);
        if (switch_briefly() != RC_OK)
            fail_msg("%s: %s", broken[i], fx.f.log);
        assert_int_equal(fixture_get(id_a), RC_OK);
        assert_int_equal(fx.s.n, 100);
        assert_int_equal(fx.s.active, 1);
    }
}

/* As a worker of before leaves it behind, which does not know of turns. */
static void
whoever_is_out_is_passed_over_in_old_turns(void **state)
{
    struct key key = keys_session("t:", id_a);
    struct command cmd = { .type = COMMAND_REMOVE };
    char turns[TURNS_MAX];

    (void)state;
    assert_int_equal(fixture_create(id_a, 100, BANK_MS), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    snprintf(turns, sizeof(turns), "%s", fixture_field(id_a, "o"));
    cmd.participant_id = fixture_participant(1);
    assert_int_equal(run(&cmd, false), RC_OK);
    private_redis_ask(&fx.server, "HSET %s o %s", key.s, turns);
    assert_int_equal(switch_briefly(), RC_OK);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.active, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        T(banks),
        T(cycles),
        T(groups),
        T(one_bank),
        T(no_bank),
        T(small_sessions_are_whole),
        T(whoever_shows_participants_has_them_all),
        T(what_is_refused_is_judged_by_the_whole),
        T(the_last_cycle_ends_it),
        T(rights_are_judged_by_the_whole),
        T(broken_turns_do_no_harm),
        T(whoever_is_out_is_passed_over_in_old_turns),
    };
    int failed;

    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
