/* What the timekeeper relies on: claims, leases, what is due, and committing it in two round
 * trips. */
#include "common/buf.h"
#include "common/clock.h"
#include "common/keys.h"
#include "common/metrics.h"
#include "cut_proxy.h"
#include "store_fixture.h"
#include "tests/lib/metric_value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX STORE_DUE_MAX

static int64_t lease_ms = 300;

static struct store_claim
claim(const char *owner, int max)
{
    struct store_claim c = { .partition = keys_partition(id_a), .max = max };

    fail_reset(&fx.f);
    if (session_store_claim(fx.store, owner, lease_ms, &c, 1, &fx.f) != RC_OK)
        fail_msg("%s", fx.f.log);
    return c;
}

static size_t
expire(const struct store_claim *c)
{
    return fixture_expire(c->due, c->n);
}

/* Ids of the partition of id_a, by number. */
static const char *
neighbour(int number)
{
    static char id[ID_LEN + 1];
    int found = -1;

    for (unsigned i = 0; found < number; i++) {
        snprintf(id, sizeof(id), "a1b2c3d4-0000-4000-8000-%012x", i + 0x100);
        found += keys_partition(id) == keys_partition(id_a);
    }
    return id;
}

static int64_t
wakeup(const char *id)
{
    return strtoll(private_redis_ask(&fx.server, "ZSCORE %s %s",
                                     keys_wakeups("t:", keys_partition(id)).s, id),
                   NULL, 10);
}

static void
start_game(const char *id, int64_t bank_ms)
{
    assert_int_equal(fixture_create(id, 2, bank_ms), RC_OK);
    assert_int_equal(fixture_command(id, COMMAND_START), RC_OK);
}

static void
a_partition_has_one_owner_at_a_time(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(id_a, 20);
    usleep(30000);
    c = claim("first", MAX);
    assert_true(c.held);
    assert_int_equal(c.n, 1);
    c = claim("second", MAX);
    assert_false(c.held);
    assert_int_equal(c.n, 0);
    assert_true(c.now_ms > 0);
    assert_in_range(c.next_ms, c.now_ms, c.now_ms + lease_ms); /* when the first one's ends */
    for (int i = 0; i < 4; i++) { /* renewed: longer than one lease */
        assert_true(claim("first", MAX).held);
        usleep((useconds_t)lease_ms * 1000 / 2);
    }
    assert_false(claim("second", MAX).held);
    usleep((useconds_t)lease_ms * 1000);
    assert_true(claim("second", MAX).held);
    assert_false(claim("first", MAX).held);
}

static void
a_partition_given_back_is_free_at_once(void **state)
{
    (void)state;
    assert_true(claim("first", MAX).held);
    assert_int_equal(session_store_release(fx.store, "second", &fx.f), RC_OK);
    assert_false(claim("second", MAX).held);
    assert_int_equal(session_store_release(fx.store, "first", &fx.f), RC_OK);
    assert_true(claim("second", MAX).held);
    assert_false(claim("first", MAX).held);
}

static void
a_claim_shows_what_is_due_and_what_comes_next(void **state)
{
    struct store_claim c;
    int64_t later;

    (void)state;
    c = claim("t", MAX);
    assert_true(c.held);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.next_ms, 0);
    start_game(id_a, 60000);
    later = session_wakeup(&fx.s, 0, 0);
    start_game(neighbour(0), 20);
    start_game(neighbour(1), 20);
    start_game(neighbour(2), 20);
    usleep(30000);
    c = claim("t", 2);
    assert_int_equal(c.n, 2);
    assert_true(c.next_ms > 0 && c.next_ms <= c.now_ms); /* one more is due */
    assert_int_equal(expire(&c), 2);
    c = claim("t", 2);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.next_ms, later);
    assert_string_equal(c.due[0].id, neighbour(2));
    assert_int_equal(expire(&c), 1);
    c = claim("t", 2);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.next_ms, later);
}

/* Frozen past its lease, it wakes with an old list: the other one has done it all. */
static void
a_frozen_owner_does_no_harm(void **state)
{
    struct store_claim old, new;

    (void)state;
    for (int i = 0; i < 5; i++)
        start_game(neighbour(i), 20);
    usleep(30000);
    old = claim("frozen", MAX);
    assert_int_equal(old.n, 5);
    usleep((useconds_t)(lease_ms + 20) * 1000);
    new = claim("other", MAX);
    assert_int_equal(new.n, 5);
    assert_int_equal(expire(&new), 5);
    assert_int_equal(expire(&old), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fixture_get(neighbour(i)), RC_OK);
        assert_int_equal(fx.s.version, 3);
        assert_int_equal(fx.s.last_timeout.at, fx.s.session_started_at + 20);
    }
    assert_int_equal(fixture_audit_length(id_a), 15);
}

static void
many_expire_in_two_round_trips(void **state)
{
    struct cut_proxy *proxy = cut_proxy_new(&fx.server);
    struct store_claim c;

    (void)state;
    fx.conf.redis_url = cut_proxy_url(proxy);
    fixture_reopen();
    for (int i = 0; i < 20; i++)
        start_game(neighbour(i), 10);
    usleep(20000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 20);
    cut_proxy_requests(proxy);
    assert_int_equal(expire(&c), 20);
    assert_int_equal(cut_proxy_requests(proxy), 2);
    assert_int_equal(claim("t", MAX).n, 0);
    fixture_reopen();
    cut_proxy_free(proxy);
}

/* All partitions whose turn has come: one round trip claims them, whatever their lives are. */
static void
partitions_are_claimed_together(void **state)
{
    struct cut_proxy *proxy = cut_proxy_new(&fx.server);
    struct store_claim claims[KEYS_PARTITIONS];
    size_t found = 0;

    (void)state;
    fx.conf.redis_url = cut_proxy_url(proxy);
    fixture_reopen();
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        claims[i] = (struct store_claim){ .partition = i, .max = MAX };
    assert_int_equal(session_store_claim(fx.store, "other", lease_ms, &claims[7], 1, &fx.f),
                     RC_OK);
    start_game(id_a, 10);
    start_game(id_b, 10);
    usleep(20000);
    assert_int_equal(
        session_store_claim(fx.store, "t", lease_ms, claims, KEYS_PARTITIONS, &fx.f), RC_OK);
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        assert_int_equal(claims[i].held, i != 7);
        assert_true(claims[i].now_ms > 0);
        found += claims[i].n;
    }
    assert_int_equal(found, 2);
    assert_int_equal(claims[keys_partition(id_a)].n, 1);
    assert_string_equal(claims[keys_partition(id_a)].due[0].id, id_a);
    cut_proxy_requests(proxy);
    assert_int_equal(
        session_store_claim(fx.store, "t", lease_ms, claims, KEYS_PARTITIONS, &fx.f), RC_OK);
    assert_int_equal(cut_proxy_requests(proxy), 1);
    fixture_reopen();
    cut_proxy_free(proxy);
}

/* Another commit between claim and expiry: nothing due any more, or judged anew; never lost. */
static void
what_is_not_due_any_more_gets_its_right_wake_up(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(id_a, 60000);
    private_redis_ask(&fx.server, "ZADD %s 1 %s", keys_wakeups("t:", keys_partition(id_a)).s,
                      id_a);
    c = claim("t", MAX);
    assert_int_equal(c.n, 1);
    assert_int_equal(expire(&c), 0);
    assert_int_equal(wakeup(id_a), session_wakeup(&fx.s, 0, 0));
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 2);
    assert_int_equal(fixture_audit_length(id_a), 2);
}

static void
the_wake_up_of_a_missing_session_goes(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(id_a, 10);
    private_redis_ask(&fx.server, "DEL %s", keys_session("t:", id_a).s);
    usleep(20000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 1);
    assert_int_equal(expire(&c), 0);
    c = claim("t", MAX);
    assert_int_equal(c.n, 0);
    assert_int_equal(c.next_ms, 0);
    assert_int_equal(fixture_audit_length(id_a), 2);
}

static void
an_unreadable_session_is_put_off(void **state)
{
    struct store_claim c;
    char id[ID_LEN + 1];

    (void)state;
    memcpy(id, neighbour(0), sizeof(id));
    start_game(id, 10);
    start_game(id_a, 10);
    private_redis_ask(&fx.server, "HSET %s h nonsense", keys_session("t:", id_a).s);
    usleep(20000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 2);
    assert_int_equal(expire(&c), 1); /* the other one is served */
    c = claim("t", MAX);
    assert_int_equal(c.n, 0);
    assert_in_range(wakeup(id_a), c.now_ms + 55000, c.now_ms + 60000);
}

static void
a_key_of_a_wrong_type_is_put_off(void **state)
{
    struct store_claim c;

    (void)state;
    start_game(id_a, 10);
    private_redis_ask(&fx.server, "SET %s nonsense", keys_session("t:", id_a).s);
    usleep(20000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 1);
    assert_int_equal(expire(&c), 0);
    c = claim("t", MAX);
    assert_int_equal(c.n, 0);
    assert_in_range(wakeup(id_a), c.now_ms + 55000, c.now_ms + 60000);
}

static void
an_idle_session_ends_by_the_timekeeper(void **state)
{
    struct store_claim c;

    (void)state;
    fx.conf.session_cache_ttl_ms = 20;
    fixture_create(id_a, 2, 60000);
    fixture_command(id_a, COMMAND_COMPLETE);
    usleep(30000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 1);
    assert_int_equal(expire(&c), 1);
    assert_string_equal(private_redis_ask(&fx.server, "EXISTS %s", keys_session("t:", id_a).s),
                        "0");
    assert_int_equal(fixture_audit_length(id_a), 3);
}

/* Nobody looks at the sessions after a long outage but the timekeeper. */
static void
a_long_outage_pauses_unwatched_sessions_too(void **state)
{
    struct store_claim c;

    (void)state;
    fx.conf.outage_pause_ms = 300;
    start_game(id_a, 60000);
    start_game(neighbour(0), 60000);
    fixture_command(neighbour(0), COMMAND_PAUSE);
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
    c = claim("t", MAX);
    assert_int_equal(c.n, 2);
    assert_int_equal(expire(&c), 1);
    assert_int_equal(claim("t", MAX).n, 0);
    assert_string_equal(fixture_field(id_a, "v"), "3");
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_int_equal(fx.res.tries, 0);
}

static void
outage(void)
{
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
}

/* It stands still from the first one on, even when nobody came to it before the next. */
static void
of_two_long_outages_the_first_counts(void **state)
{
    struct store_claim c;
    int64_t first, second;
    char late[ID_LEN + 1];

    (void)state;
    fx.conf.outage_pause_ms = 300;
    memcpy(late, neighbour(0), sizeof(late));
    start_game(id_a, 60000);
    first = fx.s.session_started_at;
    outage();
    start_game(late, 60000); /* begins the next life */
    second = fx.s.session_started_at;
    for (int i = 0; i < 2; i++) {
        outage();
        assert_int_equal(fixture_create(neighbour(i + 1), 2, 60000), RC_OK);
    }
    c = claim("t", MAX);
    assert_int_equal(c.n, 3);
    assert_int_equal(expire(&c), 2);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_in_range(fx.s.paused_at, first, first + patient_ms(400));
    assert_int_equal(fixture_get(late), RC_OK);
    assert_int_equal(fx.s.status, STATUS_PAUSED);
    assert_in_range(fx.s.paused_at, second, second + patient_ms(400));
    assert_true(second - first > 500);
}

static void
gaps_that_cannot_be_read_are_an_outage(void **state)
{
    static const char *const texts[] = { "x", "1", "1:", ":1", "1:2:3", "1:x", "-1:2" };

    (void)state;
    start_game(id_a, 60000);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        private_redis_ask(&fx.server, "HSET %s gaps %s",
                          keys_life("t:", keys_partition(id_a)).s, texts[i]);
        assert_int_equal(fixture_get(id_a), RC_STORE_UNAVAILABLE);
    }
    private_redis_ask(&fx.server, "HSET %s gaps %s", keys_life("t:", keys_partition(id_a)).s,
                      "1:2");
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.status, STATUS_RUNNING);
}

/* The claims of an idle partition tell how long an outage was. */
static void
a_claim_keeps_the_sign_of_life(void **state)
{
    struct key life = keys_life("t:", keys_partition(id_a));
    int64_t before, after;

    (void)state;
    claim("t", MAX);
    before = strtoll(private_redis_ask(&fx.server, "HGET %s seen", life.s), NULL, 10);
    usleep(1050000);
    claim("other", MAX);
    after = strtoll(private_redis_ask(&fx.server, "HGET %s seen", life.s), NULL, 10);
    assert_in_range(after - before, 1000, 1000 + patient_ms(1000));
}

/* Time is kept when memory is full, and what is over goes: otherwise it would stay full. */
static void
a_full_redis_still_keeps_time(void **state)
{
    struct store_claim c;

    (void)state;
    fx.conf.session_cache_ttl_ms = 20;
    start_game(id_a, 10);
    fixture_create(neighbour(0), 2, 60000);
    fixture_command(neighbour(0), COMMAND_COMPLETE);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    private_redis_ask(&fx.server, "DEL %s", keys_life("t:", keys_partition(id_a)).s);
    usleep(30000);
    c = claim("t", MAX);
    assert_int_equal(c.n, 2);
    assert_int_equal(expire(&c), 2);
    assert_string_equal(fixture_field(id_a, "v"), "3");
    assert_string_equal(fixture_field(neighbour(0), "v"), "");
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    assert_int_equal(fixture_audit_length(id_a), 6);
}

static void
a_redis_that_refuses_is_said(void **state)
{
    struct store_claim c;
    size_t applied;

    (void)state;
    start_game(id_a, 10);
    usleep(20000);
    c = claim("t", MAX);
    private_redis_ask(&fx.server, "REPLICAOF 127.0.0.1 1");
    assert_int_equal(session_store_expire(fx.store, c.due, c.n, &applied, &fx.f),
                     RC_STORE_UNAVAILABLE);
    assert_int_equal(applied, 0);
    private_redis_ask(&fx.server, "REPLICAOF NO ONE");
    assert_int_equal(expire(&c), 1);
}

static void
a_timekeeper_says_that_it_lives(void **state)
{
    int64_t ttl;

    (void)state;
    assert_int_equal(session_store_beat(fx.store, &fx.f), RC_OK);
    private_redis_ask(&fx.server, "PEXPIRE %s 1000", keys_timekeeper("t:").s);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    assert_int_equal(session_store_beat(fx.store, &fx.f), RC_OK);
    private_redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    ttl = strtoll(private_redis_ask(&fx.server, "PTTL %s", keys_timekeeper("t:").s), NULL, 10);
    assert_in_range(ttl, 4000, 5000);
}

#define LATENESS "timekeeper_lateness_ms"

static void
lateness_counts_from_the_instant_that_was_due(void **state)
{
    void *area = calloc(1, metrics_size());
    int64_t began;
    struct store_claim c;

    (void)state;
    metrics_attach(area);
    start_game(id_a, 10);
    began = clock_mono_ms();
    usleep(80000);
    c = claim("t", MAX);
    assert_int_equal(metric_value(LATENESS "_count"), 0);
    assert_int_equal(expire(&c), 1);
    assert_int_equal(metric_value(LATENESS "_count"), 1);
    assert_in_range(metric_value(LATENESS "_sum"), 65, clock_mono_ms() - began + 1);
    assert_int_equal(expire(&c), 0); /* somebody else was quicker */
    assert_int_equal(metric_value(LATENESS "_count"), 1);
    metrics_attach(NULL);
    free(area);
}

/* A timekeeper is not late because Redis was away. */
static void
lateness_leaves_outages_out(void **state)
{
    void *area = calloc(1, metrics_size());
    struct store_claim c;

    (void)state;
    metrics_attach(area);
    fx.conf.outage_pause_ms = 300;
    start_game(id_a, 200);
    private_redis_kill(&fx.server);
    usleep(500000);
    private_redis_restart(&fx.server);
    c = claim("t", MAX);
    assert_int_equal(expire(&c), 1);
    assert_int_equal(metric_value(LATENESS "_count"), 0);
    metrics_attach(NULL);
    free(area);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_has_one_owner_at_a_time),
        TEST(a_partition_given_back_is_free_at_once),
        TEST(a_claim_shows_what_is_due_and_what_comes_next),
        TEST(a_frozen_owner_does_no_harm),
        TEST(many_expire_in_two_round_trips),
        TEST(partitions_are_claimed_together),
        TEST(what_is_not_due_any_more_gets_its_right_wake_up),
        TEST(the_wake_up_of_a_missing_session_goes),
        TEST(an_unreadable_session_is_put_off),
        TEST(a_key_of_a_wrong_type_is_put_off),
        TEST(an_idle_session_ends_by_the_timekeeper),
        TEST(a_long_outage_pauses_unwatched_sessions_too),
        TEST(of_two_long_outages_the_first_counts),
        TEST(gaps_that_cannot_be_read_are_an_outage),
        TEST(a_claim_keeps_the_sign_of_life),
        TEST(a_full_redis_still_keeps_time),
        TEST(a_redis_that_refuses_is_said),
        TEST(a_timekeeper_says_that_it_lives),
        TEST(lateness_counts_from_the_instant_that_was_due),
        TEST(lateness_leaves_outages_out),
    };
    int failed;

    lease_ms = patient_ms(lease_ms);
    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
