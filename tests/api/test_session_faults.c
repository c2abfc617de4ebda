/* Lost answers, restarts, outages, a full Redis: nothing is done twice, half or under an old
 * life. */
#include "common/clock.h"
#include "common/event.h"
#include "common/keys.h"
#include "common/session_call.h"
#include "common/session_slice.h"
#include "cut_proxy.h"
#include "store_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static struct cut_proxy *proxy;

static int
proxy_setup(void **state)
{
    int failed = fixture_setup(state);

    proxy = cut_proxy_new(&fx.server);
    fx.conf.redis_url = cut_proxy_url(proxy);
    fixture_reopen();
    return failed;
}

static int
proxy_teardown(void **state)
{
    int failed = fixture_teardown(state);

    cut_proxy_free(proxy);
    return failed;
}

static void
start_game(int64_t bank_ms)
{
    assert_int_equal(fixture_create(id_a, 2, bank_ms), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
}

/* --- round trips --- */

static void
a_command_is_two_round_trips_and_a_read_one(void **state)
{
    (void)state;
    start_game(60000);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK); /* knows its scripts */
    cut_proxy_requests(proxy);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(cut_proxy_requests(proxy), 2);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(cut_proxy_requests(proxy), 1);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_TRANSITION);
    assert_int_equal(cut_proxy_requests(proxy), 1);
    private_redis_ask(&fx.server, "SCRIPT FLUSH");
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(cut_proxy_requests(proxy), 3);
    assert_int_equal(fx.s.version, 5);
}

/* --- lost answers --- */

static const enum cut cuts[] = { CUT_BEFORE, CUT_AFTER, CUT_LATE };

enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

/* However the answer is lost, the switch has happened once and the answer says so. */
static void
a_lost_answer_of_a_switch_is_found_out(void **state)
{
    (void)state;
    start_game(60000);
    for (int i = 0; i < CUTS; i++) {
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
        assert_int_equal(fx.res.tries, cuts[i] == CUT_AFTER ? 1 : 2);
        assert_int_equal(fx.s.version, 3 + i);
        assert_int_equal(fx.res.change.version, 3 + i);
        assert_int_equal(fx.res.change.type, EVENT_CYCLE_SWITCHED);
        assert_int_equal(fixture_get(id_a), RC_OK);
        assert_int_equal(fx.s.version, 3 + i);
        assert_int_equal(fixture_audit_length(id_a), 3 + i);
    }
}

/* In a large session the switch was made on a slice; whose time was over is told by what is
 * read afterwards. */
static void
a_lost_answer_of_a_switch_names_who_had_no_time(void **state)
{
    static const struct store_terms terms = { .is_brief = true };
    struct command cmd = { .type = COMMAND_SWITCH };

    (void)state;
    assert_int_equal(fixture_create(id_a, 2 * SESSION_LARGE, 1), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    for (size_t i = 0; i < CUTS; i++) {
        usleep(2000);
        assert_int_equal(fixture_get(id_a), RC_OK); /* the clock of who is on stands at zero */
        assert_int_equal(fx.s.active, i);
        assert_true(fx.s.p[i].has_expired);
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(
            session_store_command(fx.store, id_a, &cmd, &terms, &fx.s, &fx.res, &fx.f), RC_OK);
        assert_in_range(fx.res.change.expired, 0, fx.s.n - 1);
        assert_string_equal(fx.s.p[fx.res.change.expired].id, fixture_participant(i));
        assert_int_equal(fx.res.change.participant, fx.res.change.expired);
    }
}

static void
a_lost_answer_of_a_creation_is_found_out(void **state)
{
    (void)state;
    for (int i = 0; i < CUTS; i++) {
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
        assert_true(fx.res.created);
        assert_int_equal(fx.s.version, 1);
        assert_int_equal(fixture_audit_length(id_a), 2 * i + 1);
        assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
    }
}

static void
a_lost_answer_of_a_deletion_is_found_out(void **state)
{
    (void)state;
    for (int i = 0; i < CUTS; i++) {
        assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
        assert_int_equal(fixture_get(id_a), RC_SESSION_NOT_FOUND);
        assert_int_equal(fixture_audit_length(id_a), 2 * i + 2);
    }
}

static void
a_lost_answer_of_an_expiry_is_found_out(void **state)
{
    (void)state;
    for (int i = 0; i < CUTS; i++) {
        start_game(20);
        usleep(30000);
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(fixture_get(id_a), RC_OK);
        assert_int_equal(fx.s.version, 3);
        assert_true(fx.s.p[0].has_expired);
        assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
        assert_int_equal(fixture_audit_length(id_a), 4 * (i + 1));
    }
}

/* The due change is committed, its answer lost; the command is refused all the same. */
static void
a_lost_answer_does_not_turn_a_refusal_into_success(void **state)
{
    (void)state;
    start_game(20);
    usleep(30000);
    cut_proxy_arm(proxy, CUT_AFTER);
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_TRANSITION);
    assert_int_equal(fx.s.version, 3);
    assert_int_equal(fixture_audit_length(id_a), 3);
}

/* Slower than a `now` may be old: the commit refuses itself, the next try is in time. */
static void
a_commit_that_was_long_on_its_way_is_made_again(void **state)
{
    (void)state;
    start_game(60000);
    cut_proxy_arm(proxy, CUT_SLOW);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(fx.res.tries, 2);
    assert_int_equal(fx.s.version, 3);
    assert_true(fx.s.p[0].time_used_ms >= 1190);
}

/* Redis gone with the answer: nobody can say. */
static void
a_lost_answer_and_no_redis_is_an_unknown_outcome(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct session_call c;

    (void)state;
    start_game(60000);
    session_call_begin(&c, fx.store, id_a);
    c.cmd = &cmd;
    c.s = &fx.s;
    c.res = &fx.res;
    c.f = &fx.f;
    assert_int_equal(session_call_load(&c, NULL), RC_OK);
    private_redis_kill(&fx.server);
    switch (session_call_settle(&c)) {
    case RC_OUTCOME_UNKNOWN:
    case RC_STORE_UNAVAILABLE: /* the proxy had hung up before anything was sent */
        break;
    default:
        fail_msg("%s", fx.f.log);
    }
    assert_true(fx.f.retry_after_ms > 0);
    assert_int_equal(fixture_get(id_a), RC_STORE_UNAVAILABLE);
    private_redis_restart(&fx.server);
}

/* --- restarts --- */

static int64_t
life_n(void)
{
    return strtoll(
        private_redis_ask(&fx.server, "HGET %s n", keys_life("t:", keys_partition(id_a)).s),
        NULL, 10);
}

static void
a_restart_begins_a_new_life(void **state)
{
    char epoch[EPOCH_MAX];
    int64_t n;

    (void)state;
    start_game(60000);
    memcpy(epoch, fx.s.epoch, sizeof(epoch));
    n = life_n();
    assert_int_equal(epoch_life(epoch), n);
    private_redis_restart(&fx.server);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_true(life_n() > n);
    assert_int_equal(epoch_life(fx.s.epoch), life_n());
    assert_true(strcmp(fx.s.epoch, epoch) > 0);
    assert_int_equal(fx.s.status, STATUS_RUNNING); /* a short outage: time ran on */
    assert_int_equal(fx.s.version, 2);
    assert_string_equal(fixture_field(id_a, "e"), epoch);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_string_equal(fixture_field(id_a, "e"), fx.s.epoch);
    assert_int_equal(fx.s.version, 3);
}

static void
life_grows_even_when_all_was_lost(void **state)
{
    int64_t n;

    (void)state;
    start_game(60000);
    n = life_n();
    private_redis_ask(&fx.server, "FLUSHALL");
    private_redis_restart(&fx.server);
    assert_int_equal(fixture_get(id_a), RC_SESSION_NOT_FOUND);
    assert_true(life_n() > n);
}

/* Loaded from one run of Redis, committed to the next: not under the old life. */
static void
a_commit_does_not_cross_a_restart(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct session_call c;
    int64_t n;

    (void)state;
    start_game(60000);
    n = life_n();
    session_call_begin(&c, fx.store, id_a);
    c.cmd = &cmd;
    c.s = &fx.s;
    c.res = &fx.res;
    c.f = &fx.f;
    assert_int_equal(session_call_load(&c, NULL), RC_OK);
    private_redis_restart(&fx.server);
    assert_int_equal(session_call_settle(&c), RC_OK);
    assert_int_equal(fx.s.version, 3);
    assert_true(life_n() > n);
    assert_int_equal(epoch_life(fixture_field(id_a, "e")), life_n());
}

/* A Redis that was away too long: the clock stands where it was last seen. */
static void
a_long_outage_pauses_as_of_the_last_sign_of_life(void **state)
{
    int64_t seen;

    (void)state;
    fx.conf.outage_pause_ms = 300;
    start_game(60000);
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
    seen = strtoll(
        private_redis_ask(&fx.server, "HGET %s seen", keys_life("t:", keys_partition(id_a)).s),
        NULL, 10);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_int_equal(fx.s.version, 3);
    assert_int_equal(fx.s.paused_at,
                     fx.s.session_started_at > seen ? fx.s.session_started_at : seen);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 3);
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_OK);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_RUNNING);
    assert_int_equal(fixture_audit_length(id_a), 4);
}

/* A second, short outage does not forgive the first one. */
static void
a_gap_is_remembered_over_another_restart(void **state)
{
    (void)state;
    const int partition = keys_partition(id_a);

    fx.conf.outage_pause_ms = 300;
    start_game(60000);
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
    for (int i = 0; i < 2; i++) { /* somebody begins both lives without touching the session */
        fixture_reopen();
        assert_int_equal(session_lives_begin(fx.store, &partition, 1, &fx.f), RC_OK);
        if (i == 0)
            private_redis_restart(&fx.server);
    }
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
}

/* The command meets the paused session, in the commit that pauses it. */
static void
a_command_after_a_long_outage_is_judged_by_the_pause(void **state)
{
    (void)state;
    fx.conf.outage_pause_ms = 300;
    start_game(60000);
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_TRANSITION);
    assert_string_equal(fixture_field(id_a, "v"), "3");
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_OK);
    assert_int_equal(fx.s.version, 4);
}

/* --- a full Redis --- */

static void
a_full_redis_refuses_whole_commits(void **state)
{
    (void)state;
    fx.conf.rate_limit_switch = (struct limit_rule){ .count = 100, .window_ms = 60000 };
    start_game(60000);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory-policy noeviction");
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_STORE_UNAVAILABLE);
    assert_non_null(strstr(fx.f.log, "OOM"));
    assert_null(strstr(fx.f.message, "OOM"));
    assert_int_equal(fx.f.retry_after_ms, 1000);
    assert_int_equal(fixture_create(id_b, 2, 60000), RC_STORE_UNAVAILABLE);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 2);
    assert_int_equal(fixture_audit_length(id_a), 2);
    assert_string_equal(
        private_redis_ask(&fx.server, "EXISTS %s", keys_switch_limit("t:", id_a).s), "0");
    /* What is due is applied all the same. */
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    assert_int_equal(fixture_create(id_b, 2, 10), RC_OK);
    assert_int_equal(fixture_command(id_b, COMMAND_START), RC_OK);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    usleep(20000);
    assert_int_equal(fixture_get(id_b), RC_OK);
    assert_int_equal(fx.s.version, 3);
    assert_int_equal(fixture_command(id_b, COMMAND_DELETE), RC_OK);
    /* What frees memory goes through. */
    assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    assert_int_equal(fixture_audit_length(id_a), 3);
    assert_int_equal(fixture_create(id_b, 2, 60000), RC_OK);
    assert_true(fx.res.created);
}

static void
a_read_only_redis_refuses(void **state)
{
    (void)state;
    start_game(60000);
    private_redis_ask(&fx.server, "REPLICAOF 127.0.0.1 1");
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_STORE_UNAVAILABLE);
    assert_int_equal(redis_fd(fx.redis), -1); /* the next one asks the address again */
    private_redis_ask(&fx.server, "REPLICAOF NO ONE");
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define PROXY_TEST(name) cmocka_unit_test_setup_teardown(name, proxy_setup, proxy_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        PROXY_TEST(a_command_is_two_round_trips_and_a_read_one),
        PROXY_TEST(a_lost_answer_of_a_switch_is_found_out),
        PROXY_TEST(a_lost_answer_of_a_switch_names_who_had_no_time),
        PROXY_TEST(a_lost_answer_of_a_creation_is_found_out),
        PROXY_TEST(a_lost_answer_of_a_deletion_is_found_out),
        PROXY_TEST(a_lost_answer_of_an_expiry_is_found_out),
        PROXY_TEST(a_lost_answer_does_not_turn_a_refusal_into_success),
        PROXY_TEST(a_commit_that_was_long_on_its_way_is_made_again),
        PROXY_TEST(a_lost_answer_and_no_redis_is_an_unknown_outcome),
        TEST(a_restart_begins_a_new_life),
        TEST(life_grows_even_when_all_was_lost),
        TEST(a_commit_does_not_cross_a_restart),
        TEST(a_long_outage_pauses_as_of_the_last_sign_of_life),
        TEST(a_gap_is_remembered_over_another_restart),
        TEST(a_command_after_a_long_outage_is_judged_by_the_pause),
        TEST(a_full_redis_refuses_whole_commits),
        TEST(a_read_only_redis_refuses),
    };
    int failed;

    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
