/* What INFO says, taken apart. */
#include "common/redis_info.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

static const char text[] =
    "# Memory\r\nused_memory:12345678901\r\nmaxmemory:0\r\n"
    "maxmemory_policy:noeviction\r\n\r\n# Persistence\r\naof_enabled:1\r\n"
    "empty:\r\nlast:end";

static const char *
value(const char *info, const char *name)
{
    static char out[REDIS_INFO_VALUE_MAX];

    redis_info_value(info, name, out);
    return out;
}

static void
values_are_found_by_their_whole_name(void **state)
{
    (void)state;
    assert_string_equal(value(text, "maxmemory_policy"), "noeviction");
    assert_string_equal(value(text, "maxmemory"), "0");
    assert_string_equal(value(text, "last"), "end");
    assert_string_equal(value(text, "empty"), "");
    assert_string_equal(value(text, "memory"), "");
    assert_string_equal(value(text, "used_memor"), "");
    assert_string_equal(value(NULL, "maxmemory"), "");
    assert_true(redis_info_is(text, "aof_enabled", "1"));
    assert_false(redis_info_is(text, "aof_enabled", "10"));
    assert_false(redis_info_is(NULL, "aof_enabled", "1"));
}

static void
numbers_that_are_not_there_are_minus_one(void **state)
{
    (void)state;
    assert_int_equal(redis_info_number(text, "used_memory"), 12345678901);
    assert_int_equal(redis_info_number(text, "maxmemory"), 0);
    assert_int_equal(redis_info_number(text, "nothing"), -1);
    assert_int_equal(redis_info_number(NULL, "maxmemory"), -1);
}

static void
a_long_value_is_cut(void **state)
{
    char info[1024] = "x:";

    (void)state;
    memset(info + 2, 'a', 1000);
    assert_int_equal(strlen(value(info, "x")), REDIS_INFO_VALUE_MAX - 1);
}

static void
only_a_text_is_a_text(void **state)
{
    char line[] = "x:1";
    redisReply reply = { .type = REDIS_REPLY_STRING, .str = line };

    (void)state;
    assert_string_equal(redis_info_text(&reply), "x:1");
    reply.type = REDIS_REPLY_ERROR;
    assert_null(redis_info_text(&reply));
    assert_null(redis_info_text(NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_their_whole_name),
        cmocka_unit_test(numbers_that_are_not_there_are_minus_one),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(only_a_text_is_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
