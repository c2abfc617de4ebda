/* TIME_WARNING in Redis: published once per turn and value, whoever comes when, and in its
 * place before the change that follows. */
#include "common/keys.h"
#include "common/warning.h"
#include "store_fixture.h"
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define BANK 60000

static redisContext *ear; /* subscribed to the channel of id_a */

/* --- what is said --- */

static int
begin(void **state)
{
    int failed = fixture_setup(state);

    ear = redisConnectUnix(fx.server.socket);
    assert_non_null(ear);
    freeReplyObject(redisCommand(ear, "SUBSCRIBE %s", keys_channel("t:", id_a).s));
    return failed;
}

static int
end(void **state)
{
    redisFree(ear);
    return fixture_teardown(state);
}

/* What was published since the last look: "v3" for an event, "w59990" for a warning. */
static const char *
heard(void)
{
    static char out[200];
    redisReply *reply = NULL;

    out[0] = '\0';
    private_redis_ask(&fx.server, "PUBLISH %s end", keys_channel("t:", id_a).s);
    for (;;) {
        const char *text;
        size_t used = strlen(out);
        struct warning_note note;

        assert_int_equal(redisGetReply(ear, (void **)&reply), REDIS_OK);
        text = reply->element[2]->str;
        if (strcmp(text, "end") == 0)
            break;
        if (warning_is(text, reply->element[2]->len)) {
            assert_int_equal(warning_decode(text, reply->element[2]->len, &note, NULL), RC_OK);
            assert_in_range(note.remaining_ms, 1, note.threshold_ms);
            snprintf(out + used, sizeof(out) - used, "w%" PRId64 " ", note.threshold_ms);
        } else {
            text = strstr(text, " v");
            assert_non_null(text);
            snprintf(out + used, sizeof(out) - used, "%.2s ", text + 1);
        }
        freeReplyObject(reply);
    }
    freeReplyObject(reply);
    return out;
}

/* --- what is done --- */

/* Warnings 10, 20, ... ms after the start. */
static void
start_game(int warnings)
{
    struct session *s = &fx.s;

    session_fini(s);
    fixture_draft(s, id_a, 3, BANK);
    for (int k = 0; k < warnings; k++)
        s->warn_at_ms[k] = BANK - 10 * (k + 1);
    assert_int_equal(session_store_create(fx.store, s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_string_equal(heard(), "v1 v2 ");
}

static struct store_claim
claim(const char *owner)
{
    struct store_claim c = { .partition = keys_partition(id_a), .max = STORE_DUE_MAX };

    fail_reset(&fx.f);
    assert_int_equal(session_store_claim(fx.store, owner, 1, &c, 1, &fx.f), RC_OK);
    assert_true(c.held);
    usleep(5000); /* the next one may claim, too */
    return c;
}

static size_t
expire(const struct store_claim *c)
{
    return fixture_expire(c->due, c->n);
}

static int64_t
wakeup(void)
{
    return strtoll(private_redis_ask(&fx.server, "ZSCORE %s %s",
                                     keys_wakeups("t:", keys_partition(id_a)).s, id_a),
                   NULL, 10);
}

static int64_t
deadline(void)
{
    return fx.s.session_started_at + BANK;
}

/* --- the tests --- */

static void
the_wake_up_goes_from_warning_to_warning_to_the_deadline(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    assert_int_equal(wakeup(), fx.s.session_started_at + 10);
    usleep(20000);
    c = claim("t");
    assert_int_equal(c.n, 1);
    assert_int_equal(c.due[0].wakeup_ms, fx.s.session_started_at + 10);
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "w59990 ");
    assert_int_equal(wakeup(), deadline());
    c = claim("t");
    assert_int_equal(c.n, 0);
    assert_int_equal(c.next_ms, deadline());
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 2);
    assert_int_equal(fixture_audit_length(id_a), 2);
}

static void
several_that_are_due_come_in_order(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(3);
    usleep(50000);
    c = claim("t");
    assert_int_equal(expire(&c), 3);
    assert_string_equal(heard(), "w59990 w59980 w59970 ");
    assert_int_equal(wakeup(), deadline());
}

static void
two_timekeepers_tell_it_once(void **state)
{
    struct store_claim first, second;

    (void)state;
    start_game(1);
    usleep(20000);
    first = claim("first"); /* and then it is frozen */
    second = claim("second");
    assert_int_equal(second.n, 1);
    assert_int_equal(expire(&second), 1);
    assert_int_equal(expire(&first), 0);
    assert_int_equal(expire(&second), 0);
    assert_string_equal(heard(), "w59990 ");
}

static void
one_that_was_killed_leaves_it_to_the_next(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    usleep(20000);
    assert_int_equal(claim("killed").n, 1);
    c = claim("next");
    assert_int_equal(c.n, 1);
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "w59990 ");
}

/* Its load was quick, its call comes late: what it says would not be true any more. */
static void
one_that_comes_late_says_nothing_old(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    usleep(20000);
    c = claim("slow");
    private_redis_ask(&fx.server, "CLIENT PAUSE 1200 WRITE"); /* reads go through */
    assert_int_equal(expire(&c), 0);
    assert_string_equal(heard(), "");
    assert_int_equal(wakeup(), fx.s.session_started_at + 10);
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "w59990 ");
}

static void
a_read_between_takes_nothing_away(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    usleep(20000);
    c = claim("t");
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.res.tries, 0);
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "w59990 ");
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_string_equal(heard(), "");
}

/* Whoever commits before the timekeeper tells it, before the own change. */
static void
a_commit_between_tells_it_first(void **state)
{
    static const enum command_type types[] = { COMMAND_SWITCH, COMMAND_PAUSE, COMMAND_COMPLETE,
                                               COMMAND_DELETE };
    struct store_claim c;

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        start_game(1);
        usleep(20000);
        c = claim("t");
        assert_int_equal(fixture_command(id_a, types[i]), RC_OK);
        assert_string_equal(heard(), "w59990 v3 ");
        assert_int_equal(expire(&c), 0);
        assert_string_equal(heard(), "");
        private_redis_ask(&fx.server, "FLUSHALL");
    }
}

static void
a_commit_after_the_timekeeper_does_not_tell_it_again(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(2);
    usleep(15000);
    c = claim("t");
    assert_true(expire(&c) >= 1);
    usleep(15000);
    assert_int_equal(fixture_command(id_a, COMMAND_PAUSE), RC_OK);
    assert_string_equal(heard(), "w59990 w59980 v3 ");
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_OK);
    assert_string_equal(heard(), "v4 ");
    assert_int_equal(wakeup(), session_deadline(&fx.s));
}

static void
a_pause_puts_it_off(void **state)
{
    struct store_claim c;
    struct session *s = &fx.s;

    (void)state;
    session_fini(s);
    fixture_draft(s, id_a, 2, BANK);
    s->warn_at_ms[0] = BANK - 500;
    assert_int_equal(session_store_create(fx.store, s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_PAUSE), RC_OK);
    usleep(550000);
    assert_int_equal(claim("t").n, 0);
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_OK);
    assert_string_equal(heard(), "v1 v2 v3 v4 ");
    usleep(550000);
    c = claim("t");
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "w59500 ");
}

static void
the_next_turn_warns_by_its_own_clock(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    usleep(20000);
    c = claim("t");
    assert_int_equal(c.due[0].wakeup_ms, fx.s.cycle_started_at + 10);
    assert_int_equal(expire(&c), 1);
    /* if the first turn had crossed it already, its switch said so */
    assert_non_null(strstr(heard(), "v3 w59990 "));
}

static void
after_the_deadline_nothing_is_told(void **state)
{
    struct session *s = &fx.s;
    struct store_claim c;

    (void)state;
    session_fini(s);
    fixture_draft(s, id_a, 2, 300);
    s->warn_at_ms[0] = 290;
    assert_int_equal(session_store_create(fx.store, s, &nobody, &fx.res, &fx.f), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    usleep(310000);
    c = claim("t");
    assert_int_equal(expire(&c), 1);
    assert_string_equal(heard(), "v1 v2 v3 ");
}

static void
a_full_redis_warns_too(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(1);
    usleep(20000);
    c = claim("t");
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    assert_int_equal(expire(&c), 1);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    assert_string_equal(heard(), "w59990 ");
    assert_int_equal(wakeup(), deadline());
}

static int
print_verdict(void *ctx, struct buf *out, const struct session *s,
              const struct store_result *res, const struct fail *f)
{
    (void)ctx;
    (void)out;
    (void)s;
    (void)res;
    return f == NULL ? 200 : 409;
}

/* What is stored for an Idempotency-Key alone is no change of the clock. */
static void
a_verdict_alone_leaves_the_wake_up_as_it_is(void **state)
{
    const struct store_idem idem = { .key = "k", .body = "b", .print = print_verdict };
    const struct store_terms terms = { .idem = &idem };
    const struct command cmd = { .type = COMMAND_SWITCH, .expected_version = 77 };
    struct store_claim c;

    (void)state;
    start_game(1);
    usleep(20000);
    c = claim("t");
    assert_int_equal(expire(&c), 1);
    assert_int_equal(session_store_command(fx.store, id_a, &cmd, &terms, &fx.s, &fx.res, &fx.f),
                     RC_CONFLICT);
    assert_int_equal(fx.res.tries, 1);
    assert_int_equal(wakeup(), deadline());
    assert_string_equal(heard(), "w59990 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_wake_up_goes_from_warning_to_warning_to_the_deadline),
        TEST(several_that_are_due_come_in_order),
        TEST(two_timekeepers_tell_it_once),
        TEST(one_that_was_killed_leaves_it_to_the_next),
        TEST(one_that_comes_late_says_nothing_old),
        TEST(a_read_between_takes_nothing_away),
        TEST(a_commit_between_tells_it_first),
        TEST(a_commit_after_the_timekeeper_does_not_tell_it_again),
        TEST(a_pause_puts_it_off),
        TEST(the_next_turn_warns_by_its_own_clock),
        TEST(after_the_deadline_nothing_is_told),
        TEST(a_full_redis_warns_too),
        TEST(a_verdict_alone_leaves_the_wake_up_as_it_is),
    };
    int failed;

    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
