/*
 * What limits count, with numbers. Redis's own clock runs, so the tests of windows put the
 * limit into the state it would have (bucket number and counts) and look at one hit.
 */
#include "common/limit.h"
#include "common/redis.h"
#include "private_redis.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static struct private_redis server;
static struct redis *r;
static struct redis_batch *b;

/* A window so long that a test is an instant in it. */
static const int64_t hour_ms = 3600000;

static struct limit_state
hit(const struct limit_rule *rule)
{
    struct fail f = { 0 };
    int place;

    redis_batch_clear(b);
    place = limit_add(b, rule, "lim");
    if (redis_run(r, b, &f) != RC_OK)
        fail_msg("%s", f.log);
    return limit_result(b, place, rule);
}

static int64_t
now_ms(void)
{
    redis_batch_clear(b);
    redis_batch_add(b, "TIME");
    assert_int_equal(redis_run(r, b, NULL), RC_OK);
    return redis_time_us(redis_batch_reply(b, 0)) / 1000;
}

/* The limit as hits have left it: `c` in the bucket `i`, `p` in the one before. */
static void
put(int64_t i, int c, int p)
{
    char text[64];

    snprintf(text, sizeof(text), "%" PRId64 " %d %d 0", i, c, p);
    private_redis_ask(&server, "SET lim %s", text);
}

/* The hits in its bucket, and in the one before. */
static void
assert_counts(int c, int p)
{
    int64_t i, until;
    int got_c, got_p;

    assert_int_equal(sscanf(private_redis_ask(&server, "GET lim"), "%" SCNd64 " %d %d %" SCNd64,
                            &i, &got_c, &got_p, &until),
                     4);
    assert_int_equal(got_c, c);
    assert_int_equal(got_p, p);
}

static int
clean(void **state)
{
    (void)state;
    private_redis_ask(&server, "FLUSHALL");
    return 0;
}

static void
hits_count_down_to_a_refusal(void **state)
{
    struct limit_rule rule = { .count = 5, .window_ms = hour_ms };
    int64_t left = hour_ms - now_ms() % hour_ms;
    struct limit_state s;

    (void)state;
    for (int64_t i = 4; i >= 0; i--) {
        s = hit(&rule);
        assert_true(s.known);
        assert_false(s.refused);
        assert_int_equal(s.limit, 5);
        assert_int_equal(s.remaining, i);
        assert_in_range(s.reset_ms, left - 2000, left);
    }
    s = hit(&rule);
    assert_true(s.refused);
    assert_int_equal(s.remaining, 0);
    /* The next hit passes when this bucket is over and a fifth of it has faded. */
    assert_in_range(s.reset_ms, left + hour_ms / 5 - 2000, left + hour_ms / 5 + 1);
    assert_int_equal(hit(&rule).refused, true);
    assert_counts(5, 0);
}

/* 8 hits in the bucket before, and what is left of it counts by share. */
static void
the_bucket_before_fades(void **state)
{
    struct limit_rule rule = { .count = 10, .window_ms = hour_ms };
    int64_t now = now_ms();
    double share = (double)(hour_ms - now % hour_ms) / (double)hour_ms;
    int64_t used = (int64_t)(8 * share);
    struct limit_state s;

    (void)state;
    put(now / hour_ms - 1, 8, 3);
    s = hit(&rule);
    assert_false(s.refused);
    assert_in_range(s.remaining, (uintmax_t)(8 - used), (uintmax_t)(9 - used));
    assert_counts(1, 8);

    put(now / hour_ms - 2, 8, 3);
    assert_int_equal(hit(&rule).remaining, 9);
    assert_counts(1, 0);
}

static void
a_full_bucket_before_refuses_until_a_hit_has_faded(void **state)
{
    struct limit_rule rule = { .count = 4, .window_ms = hour_ms };
    int64_t now = now_ms();
    int64_t spent = now % hour_ms;
    /* 8 * (1 - x) + 1 <= 4 at x = 5/8 of the bucket; in the last part of the hour nothing is
     * refused any more. */
    int64_t free_at = hour_ms * 5 / 8;
    struct limit_state s;

    (void)state;
    put(now / hour_ms - 1, 8, 0);
    s = hit(&rule);
    if (spent > free_at) {
        assert_false(s.refused);
    } else if (spent < free_at - 2000) {
        assert_true(s.refused);
        assert_in_range(s.reset_ms, free_at - spent - 2000, free_at - spent + 1);
    }
}

static void
a_cool_down_is_not_prolonged_by_attempts(void **state)
{
    struct limit_rule rule = { .count = 2, .window_ms = 200, .cooldown_ms = 700 };
    struct limit_state s = { 0 };
    int64_t before, last;
    int hits = 0;

    (void)state;
    while (!s.refused && hits < 20) {
        s = hit(&rule);
        hits++;
    }
    assert_in_range(hits, 3, 6); /* a bucket may have ended in between */
    assert_int_equal(s.reset_ms, 700);
    before = now_ms();
    last = s.reset_ms;
    while (now_ms() - before < 650) {
        s = hit(&rule);
        assert_true(s.refused);
        assert_true(s.reset_ms <= last);
        last = s.reset_ms;
        usleep(20000);
    }
    usleep(100000);
    s = hit(&rule);
    assert_false(s.refused);
    assert_int_equal(s.remaining, 1);
}

static void
it_goes_by_itself(void **state)
{
    struct limit_rule rule = { .count = 1, .window_ms = 50 };

    (void)state;
    hit(&rule);
    usleep(150000);
    assert_string_equal(private_redis_ask(&server, "EXISTS lim"), "0");
}

static void
count_zero_is_no_limit(void **state)
{
    struct limit_rule rule = { .count = 0, .window_ms = 1000 };

    (void)state;
    redis_batch_clear(b);
    assert_int_equal(limit_add(b, &rule, "lim"), -1);
    assert_int_equal(redis_batch_count(b), 0);
    assert_false(limit_result(b, -1, &rule).known);
    assert_false(limit_result(b, -1, &rule).refused);
}

static void
a_broken_limiter_lets_pass(void **state)
{
    struct limit_rule rule = { .count = 1, .window_ms = 1000 };
    struct limit_state s;

    (void)state;
    private_redis_ask(&server, "HSET lim no text");
    s = hit(&rule);
    assert_false(s.known);
    assert_false(s.refused);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hits_count_down_to_a_refusal, clean),
        cmocka_unit_test_setup(the_bucket_before_fades, clean),
        cmocka_unit_test_setup(a_full_bucket_before_refuses_until_a_hit_has_faded, clean),
        cmocka_unit_test_setup(a_cool_down_is_not_prolonged_by_attempts, clean),
        cmocka_unit_test_setup(it_goes_by_itself, clean),
        cmocka_unit_test_setup(count_zero_is_no_limit, clean),
        cmocka_unit_test_setup(a_broken_limiter_lets_pass, clean),
    };
    struct conf conf;
    int failed;

    private_redis_start(&server);
    conf = private_redis_conf(&server);
    r = redis_new(&conf, "test");
    b = redis_batch_new();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_batch_free(b);
    redis_free(r);
    private_redis_stop(&server);
    return failed;
}
