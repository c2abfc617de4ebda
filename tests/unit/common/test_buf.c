#include "common/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static void
test_empty(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(b.len, 0);
    assert_null(b.data);
    buf_clear(&b);
    buf_fini(&b);
    buf_fini(&b);
}

static void
test_appends(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    buf_str(&b, "a");
    buf_add(&b, "b\0c", 3);
    buf_char(&b, 'd');
    buf_printf(&b, "%s%03d", "e", 7);
    buf_i64(&b, -12);
    assert_int_equal(b.len, 12);
    assert_memory_equal(b.data, "ab\0cde007-12", 13);
    buf_clear(&b);
    assert_string_equal(buf_cstr(&b), "");
    buf_str(&b, "again");
    assert_string_equal(buf_cstr(&b), "again");
    buf_fini(&b);
    buf_str(&b, "usable"); /* with the same maximum */
    assert_string_equal(buf_cstr(&b), "usable");
    assert_int_equal(b.max, 1000);
    buf_fini(&b);
}

static void
test_grows_to_the_maximum_exactly(void **state)
{
    struct buf b;

    (void)state;
    for (size_t max = 0; max < 1100; max += 257) {
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            buf_char(&b, 'x');
        assert_false(b.overflow);
        assert_int_equal(b.len, max);
        buf_char(&b, 'y');
        assert_true(b.overflow);
        assert_int_equal(b.len, max);
        assert_int_equal(strlen(buf_cstr(&b)), max);
        assert_true(b.size <= max + 1);
        buf_fini(&b);
    }
}

static void
test_overflow_drops_the_append_whole(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    buf_str(&b, "12345");
    buf_str(&b, "678901");
    assert_true(b.overflow);
    assert_string_equal(buf_cstr(&b), "12345");
    buf_char(&b, '6'); /* would fit, but would make a hole */
    buf_printf(&b, "%d", 7);
    assert_string_equal(buf_cstr(&b), "12345");
    buf_clear(&b);
    assert_false(b.overflow);
    buf_str(&b, "1234567890");
    assert_false(b.overflow);
    buf_fini(&b);
    buf_str(&b, "12345");
    buf_add(&b, "", SIZE_MAX); /* len + n must not wrap */
    assert_true(b.overflow);
    assert_string_equal(buf_cstr(&b), "12345");
    buf_fini(&b);
}

static void
test_printf_overflow(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 300);
    buf_printf(&b, "%0300d", 1);
    assert_false(b.overflow);
    assert_int_equal(b.len, 300);
    buf_clear(&b);
    buf_str(&b, "abc");
    buf_printf(&b, "%0298d", 1);
    assert_true(b.overflow);
    assert_string_equal(buf_cstr(&b), "abc");
    buf_fini(&b);
}

static void
test_i64(void **state)
{
    static const struct {
        int64_t v;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { 7, "7" },
        { -1, "-1" },
        { 1000000, "1000000" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_clear(&b);
        buf_i64(&b, cases[i].v);
        assert_string_equal(buf_cstr(&b), cases[i].text);
    }
    buf_fini(&b);
}

/* Every length, even and odd, around every power of ten. */
static void
test_i64_is_what_printf_says(void **state)
{
    char got[I64_SIZE], want[I64_SIZE];
    int64_t power = 1;

    (void)state;
    for (int digits = 1; digits <= 19; digits++) {
        for (int64_t v = power - 110; v <= power + 110; v++) {
            snprintf(want, sizeof(want), "%" PRId64, v);
            assert_int_equal(i64_print(got, v), strlen(want));
            assert_string_equal(got, want);
            snprintf(want, sizeof(want), "%" PRId64, -v);
            assert_int_equal(i64_print(got, -v), strlen(want));
            assert_string_equal(got, want);
        }
        if (digits < 19)
            power *= 10;
    }
}

static void
test_json_strings(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
    } cases[] = {
        { "", 0, "\"\"" },
        { "plain /</script>", 16, "\"plain /</script>\"" },
        { "\"\\", 2, "\"\\\"\\\\\"" },
        { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
        { "a\0b", 3, "\"a\\u0000b\"" },
        { "\x01\x1f\x7f", 3, "\"\\u0001\\u001f\x7f\"" },
        { "\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_clear(&b);
        buf_json(&b, cases[i].in, cases[i].len);
        assert_string_equal(buf_cstr(&b), cases[i].out);
    }
    buf_fini(&b);
}

/* A string is an append: dropped whole at any place where the room ends. */
static void
test_json_overflow_leaves_nothing(void **state)
{
    struct buf b;

    (void)state;
    for (size_t max = 1; max < 8; max++) {
        buf_init(&b, max);
        buf_char(&b, '[');
        buf_json(&b, "x\ny", 3);
        assert_int_equal(b.overflow, max < 7);
        assert_string_equal(buf_cstr(&b), max < 7 ? "[" : "[\"x\\ny\"");
        buf_fini(&b);
    }
}

static void
test_time(void **state)
{
    static const struct {
        int64_t at_ms;
        const char *text;
    } cases[] = {
        { 0, "\"1970-01-01T00:00:00.000Z\"" },
        { 1, "\"1970-01-01T00:00:00.001Z\"" },
        { -1, "\"1969-12-31T23:59:59.999Z\"" },
        { -1000, "\"1969-12-31T23:59:59.000Z\"" },
        { 1795362403096, "\"2026-11-22T15:46:43.096Z\"" },
        { 951782400000, "\"2000-02-29T00:00:00.000Z\"" },
        { 4107542400000, "\"2100-03-01T00:00:00.000Z\"" },
        { 253402300799999, "\"9999-12-31T23:59:59.999Z\"" },
        { -62135596800000, "\"0001-01-01T00:00:00.000Z\"" },
        { INT64_MAX, "\"9999-12-31T23:59:59.999Z\"" },
        { INT64_MIN, "\"0001-01-01T00:00:00.000Z\"" },
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_clear(&b);
        buf_time(&b, cases[i].at_ms);
        assert_string_equal(buf_cstr(&b), cases[i].text);
    }
    buf_fini(&b);
}

/* Every day of the years 1..9999, at some time of it. */
static void
test_time_is_what_gmtime_says(void **state)
{
    const int64_t first = -719162, last = 2932896;
    char want[64];
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (int64_t day = first; day <= last; day++) {
        int64_t second = (day - first) * 7919 % 86400;
        time_t at = (time_t)(day * 86400 + second);
        struct tm tm;

        gmtime_r(&at, &tm);
        snprintf(want, sizeof(want), "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (int)(second % 1000));
        buf_clear(&b);
        buf_time(&b, (int64_t)at * 1000 + second % 1000);
        if (strcmp(buf_cstr(&b), want) != 0)
            fail_msg("%s instead of %s", buf_cstr(&b), want);
    }
    buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_grows_to_the_maximum_exactly),
        cmocka_unit_test(test_overflow_drops_the_append_whole),
        cmocka_unit_test(test_printf_overflow),
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_i64_is_what_printf_says),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_overflow_leaves_nothing),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_time_is_what_gmtime_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
