#include "common/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOWER "abcdef01-2345-4abc-8def-0123456789ab"
#define UPPER "ABCDEF01-2345-4ABC-8DEF-0123456789AB"

static void
test_session_keys(void **state)
{
    char want[KEY_MAX];
    int nn = keys_partition(LOWER);
    struct key k = keys_session("sk:", LOWER);

    (void)state;
    snprintf(want, sizeof(want), "sk:{s%02d}:session:" LOWER, nn);
    assert_string_equal(k.s, want);
    assert_int_equal(k.len, strlen(want));
    snprintf(want, sizeof(want), "sk:{s%02d}:ch:" LOWER, nn);
    assert_string_equal(keys_channel("sk:", LOWER).s, want);
    snprintf(want, sizeof(want), "sk:{s%02d}:lim:" LOWER, nn);
    assert_string_equal(keys_switch_limit("sk:", LOWER).s, want);
    snprintf(want, sizeof(want), "sk:{s%02d}:idem:" LOWER, nn);
    assert_string_equal(keys_idem("sk:", UPPER).s, want);
}

static void
test_case_does_not_matter(void **state)
{
    (void)state;
    assert_int_equal(keys_partition(LOWER), keys_partition(UPPER));
    assert_string_equal(keys_session("", LOWER).s, keys_session("", UPPER).s);
    assert_string_equal(keys_channel("", LOWER).s, keys_channel("", UPPER).s);
    assert_string_equal(keys_switch_limit("", LOWER).s, keys_switch_limit("", UPPER).s);
}

static void
test_partitions_are_used_evenly(void **state)
{
    int seen[KEYS_PARTITIONS] = { 0 };
    char id[ID_LEN + 1];

    (void)state;
    for (int i = 0; i < 6400; i++) {
        int nn;

        id_uuid4(id);
        nn = keys_partition(id);
        assert_in_range(nn, 0, KEYS_PARTITIONS - 1);
        seen[nn]++;
    }
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        assert_in_range(seen[i], 30, 200); /* 100 expected, 7 standard deviations */
}

static void
test_partition_keys(void **state)
{
    (void)state;
    assert_string_equal(keys_wakeups("sk:", 7).s, "sk:{s07}:wakeups");
    assert_string_equal(keys_wake("sk:", 63).s, "sk:{s63}:wake");
    assert_string_equal(keys_audit("", 0).s, "{s00}:audit");
    assert_string_equal(keys_life("p", 10).s, "p{s10}:life");
    assert_string_equal(keys_lease("sk:", 1).s, "sk:{s01}:lease");
    assert_string_equal(keys_timekeeper("sk:").s, "sk:timekeeper");
}

/* The keys of one commit lie in one slot of a Cluster: they share the hash tag. */
static void
test_one_commit_one_slot(void **state)
{
    struct key keys[6];
    int nn = keys_partition(LOWER);

    (void)state;
    keys[0] = keys_session("sk:", LOWER);
    keys[1] = keys_channel("sk:", UPPER);
    keys[2] = keys_switch_limit("sk:", LOWER);
    keys[3] = keys_wakeups("sk:", nn);
    keys[4] = keys_audit("sk:", nn);
    keys[5] = keys_life("sk:", nn);
    for (int i = 0; i < 6; i++)
        assert_memory_equal(keys[i].s, keys[0].s, strlen("sk:{sNN}:"));
}

static void
test_limit_keys(void **state)
{
    struct key k;

    (void)state;
    assert_string_equal(keys_limit("sk:", "get", "10.0.0.1", false).s, "sk:{lim:get:10.0.0.1}");
    assert_string_equal(keys_limit("sk:", "time", "2001:db8::/64", false).s,
                        "sk:{lim:time:2001:db8::/64}");
    /* who is called like an address does not use it up */
    assert_string_equal(keys_limit("sk:", "get", "10.0.0.1", true).s,
                        "sk:{lim:user:get:10.0.0.1}");
    k = keys_limit("sk:", "get", "}x", false); /* foreign text cannot shape the key */
    assert_memory_equal(k.s, "sk:{lim:get:#", 13);
    assert_int_equal(strlen(k.s), 13 + 32 + 1);
    assert_string_not_equal(k.s, keys_limit("sk:", "get", "}y", false).s);
    assert_string_equal(k.s, keys_limit("sk:", "get", "}x", false).s);
    assert_string_not_equal(keys_limit("sk:", "get", "", false).s,
                            keys_limit("sk:", "get", " ", false).s);
}

static void
test_longest_fit(void **state)
{
    char prefix[65], who[1000];

    (void)state;
    memset(prefix, 'p', 64);
    prefix[64] = '\0';
    memset(who, 'w', 999);
    who[999] = '\0';
    assert_true(keys_session(prefix, LOWER).len < KEY_MAX);
    assert_true(keys_limit(prefix, "general", who, true).len < KEY_MAX);
    who[48] = '\0';
    assert_true(keys_limit(prefix, "general", who, true).len < KEY_MAX);
}

static void
test_channel_id(void **state)
{
    struct key k = keys_channel("any:{thing}:", UPPER);
    char id[ID_LEN + 1] = "untouched", bad[KEY_MAX];

    (void)state;
    assert_true(keys_channel_id(k.s, k.len, id));
    assert_string_equal(id, LOWER);
    k = keys_channel("", LOWER);
    assert_true(keys_channel_id(k.s, k.len, id));
    assert_false(keys_channel_id(k.s, k.len - 1, id));
    assert_false(keys_channel_id(k.s + 1, k.len - 1, id));
    assert_false(keys_channel_id(LOWER, ID_LEN, id));
    assert_false(keys_channel_id("", 0, id));
    k = keys_session("sk:", LOWER);
    assert_false(keys_channel_id(k.s, k.len, id));
    k = keys_wake("sk:", 3);
    assert_false(keys_channel_id(k.s, k.len, id));
    snprintf(bad, sizeof(bad), "sk:{s%02d}:ch:" LOWER, (keys_partition(LOWER) + 1) % 64);
    assert_false(keys_channel_id(bad, strlen(bad), id)); /* not where this session lives */
}

static void
test_patterns_take_the_prefix_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(keys_every_channel("sk:").s, "sk:{s*}:ch:*");
    assert_string_equal(keys_every_key("a[b*?]\\:").s, "a\\[b\\*\\?\\]\\\\:*");
}

static void
test_a_key_tells_its_partition_and_whether_it_passes(void **state)
{
    struct key session = keys_session("x:", "11111111-1111-4111-8111-111111111111");
    struct key lease = keys_lease("x:", 7), seen = keys_timekeeper("x:"), own;
    static const char *const others[] = { "x:{s64}:audit", "x:{s1}:audit", "y:{s01}:audit",
                                          "x:{t01}:audit", "x:{s01}audit", "x:" };

    (void)state;
    own = keys_owned("x:", "ann");
    assert_int_equal(keys_partition_of("x:", session.s, session.len),
                     keys_partition("11111111-1111-4111-8111-111111111111"));
    assert_int_equal(keys_partition_of("x:", lease.s, lease.len), 7);
    assert_int_equal(keys_partition_of("x:", own.s, own.len), -1);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(keys_partition_of("x:", others[i], strlen(others[i])), -1);
    assert_true(keys_is_passing("x:", lease.s, lease.len));
    assert_true(keys_is_passing("x:", seen.s, seen.len));
    assert_false(keys_is_passing("x:", session.s, session.len));
    assert_false(keys_is_passing("x:", own.s, own.len));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_keys),
        cmocka_unit_test(test_case_does_not_matter),
        cmocka_unit_test(test_partitions_are_used_evenly),
        cmocka_unit_test(test_partition_keys),
        cmocka_unit_test(test_one_commit_one_slot),
        cmocka_unit_test(test_limit_keys),
        cmocka_unit_test(test_longest_fit),
        cmocka_unit_test(test_channel_id),
        cmocka_unit_test(test_patterns_take_the_prefix_as_it_is),
        cmocka_unit_test(test_a_key_tells_its_partition_and_whether_it_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
