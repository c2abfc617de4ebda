#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sample {
    const char *text;
    size_t len;
    const char *message; /* after "Malformed JSON: "; NULL: good */
};
#define BAD(text, message)             \
    {                                  \
        text, sizeof text - 1, message \
    }
#define GOOD(text)                  \
    {                               \
        text, sizeof text - 1, NULL \
    }

/* clang-format off */
static const struct sample samples[] = {
    /* what is good */
    GOOD("{}"),
    GOOD("[]"),
    GOOD(" \t\r\n[ ] \n"),
    GOOD("null"),
    GOOD("true"),
    GOOD("false"),
    GOOD("\"\""),
    GOOD("0"),
    GOOD("-0"),
    GOOD("12 "),
    GOOD("1e3"),
    GOOD("1E+3"),
    GOOD("1.5e-3"),
    GOOD("[1,2,[3,{}],\"x\",null]"),
    GOOD("{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":3},{\"a\":4}]}"),
    GOOD("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\""),
    GOOD("\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
    GOOD("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    GOOD("9223372036854775807"),
    GOOD("-9223372036854775808"),
    GOOD("1.7976931348623157e308"),
    GOOD("9223372036854775808.0"),
    GOOD("1e-400"),
    GOOD("0.1000000000000000055511151231257827021181583404541015625000000000000000000001"),
    GOOD("{\"\":1,\"a\":2,\"A\":3,\"\\u0061b\":4,\"abc\":5}"),
    /* structure */
    BAD("", "no value at byte 0"),
    BAD("  \n", "no value at byte 3"),
    BAD("{", "unexpected end at byte 1"),
    BAD("[1", "unexpected end at byte 2"),
    BAD("[1,", "unexpected end at byte 3"),
    BAD("{\"a\"", "a colon is missing at byte 4"),
    BAD("{\"a\":", "unexpected end at byte 5"),
    BAD("{\"a\":1,", "unexpected end at byte 7"),
    BAD("{\"a\":1,}", "a key is missing at byte 7"),
    BAD("{a:1}", "a key is missing at byte 1"),
    BAD("{'a':1}", "a key is missing at byte 1"),
    BAD("{1:1}", "a key is missing at byte 1"),
    BAD("{,}", "a key is missing at byte 1"),
    BAD("{\"a\" 1}", "a colon is missing at byte 5"),
    BAD("{\"a\":}", "unexpected text at byte 5"),
    BAD("[1,]", "unexpected text at byte 3"),
    BAD("[,]", "unexpected text at byte 1"),
    BAD("[1 2]", "a comma or closing bracket is missing at byte 3"),
    BAD("[1}", "a comma or closing bracket is missing at byte 2"),
    BAD("{\"a\":1]", "a comma or closing bracket is missing at byte 6"),
    BAD("{\"a\":1 \"b\":2}", "a comma or closing bracket is missing at byte 7"),
    BAD("]", "unexpected text at byte 0"),
    BAD("{} {}", "text after the value at byte 3"),
    BAD("1 x", "text after the value at byte 2"),
    BAD("{}\0", "text after the value at byte 2"),
    BAD("\"a\"b", "text after the value at byte 3"),
    BAD("nul", "unexpected text at byte 0"),
    BAD("nulL", "unexpected text at byte 0"),
    BAD("True", "unexpected text at byte 0"),
    BAD("truex", "text after the value at byte 4"),
    BAD("NaN", "unexpected text at byte 0"),
    BAD("Infinity", "unexpected text at byte 0"),
    BAD("// x\n1", "unexpected text at byte 0"),
    BAD("1 /* x */", "text after the value at byte 2"),
    BAD("\xef\xbb\xbf{}", "unexpected text at byte 0"),
    BAD("\0", "unexpected text at byte 0"),
    BAD("\x0b{}", "unexpected text at byte 0"),
    BAD("\xc2\xa0{}", "unexpected text at byte 0"),
    /* numbers */
    BAD("-", "a digit is missing at byte 1"),
    BAD("+1", "unexpected text at byte 0"),
    BAD(".5", "unexpected text at byte 0"),
    BAD("1.", "a digit is missing at byte 2"),
    BAD("1.e3", "a digit is missing at byte 2"),
    BAD("1e", "a digit is missing at byte 2"),
    BAD("1e+", "a digit is missing at byte 3"),
    BAD("01", "leading zero at byte 0"),
    BAD("-00", "leading zero at byte 1"),
    BAD("0x10", "text after the value at byte 1"),
    BAD("-Infinity", "a digit is missing at byte 1"),
    BAD("[9223372036854775808]", "number out of range at byte 1"),
    BAD("[-9223372036854775809]", "number out of range at byte 1"),
    BAD("[18446744073709551616]", "number out of range at byte 1"),
    BAD("[100000000000000000000000000000000000000000000]", "number out of range at byte 1"),
    BAD("[1e309]", "number out of range at byte 1"),
    BAD("[-1.8e308]", "number out of range at byte 1"),
    BAD("[1e99999999999999999999]", "number out of range at byte 1"),
    /* strings */
    BAD("\"", "unfinished string at byte 1"),
    BAD("\"a", "unfinished string at byte 2"),
    BAD("\"\\", "unfinished string at byte 2"),
    BAD("\"\\\"", "unfinished string at byte 3"),
    BAD("\"\n\"", "control character in a string at byte 1"),
    BAD("\"a\0\"", "control character in a string at byte 2"),
    BAD("\"\x1f\"", "control character in a string at byte 1"),
    BAD("\"\\a\"", "unknown escape at byte 1"),
    BAD("\"\\0\"", "unknown escape at byte 1"),
    BAD("\"\\U0041\"", "unknown escape at byte 1"),
    BAD("\"\\\0\"", "unknown escape at byte 1"),
    BAD("\"\\u\"", "\\u without four hex digits at byte 1"),
    BAD("\"\\u12", "\\u without four hex digits at byte 1"),
    BAD("\"\\u12g4\"", "\\u without four hex digits at byte 1"),
    BAD("\"\\u+123\"", "\\u without four hex digits at byte 1"),
    BAD("\"x\\u0000\"", "U+0000 at byte 2"),
    BAD("\"\\ud800\"", "lone surrogate at byte 1"),
    BAD("\"\\uDC00\"", "lone surrogate at byte 1"),
    BAD("\"\\ud800\\ud800\"", "lone surrogate at byte 1"),
    BAD("\"\\ud800x\"", "lone surrogate at byte 1"),
    BAD("\"\\ud800\\n1234\"", "lone surrogate at byte 1"),
    BAD("\"\\ud800\\u", "lone surrogate at byte 1"),
    BAD("\"\\udbff\\ue000\"", "lone surrogate at byte 1"),
    BAD("\"\\udc00\\ud800\"", "lone surrogate at byte 1"),
    BAD("{\"\\ud800\":1}", "lone surrogate at byte 2"),
    /* UTF-8 */
    BAD("\"\x80\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xbf\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xc0\x80\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xc1\xbf\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xc2\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xc2", "invalid UTF-8 at byte 1"),
    BAD("\"\xe0\x9f\xbf\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xed\xa0\x80\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xed\xbf\xbf\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xe2\x82\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xf0\x8f\xbf\xbf\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xf4\x90\x80\x80\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xf5\x80\x80\x80\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xf0\x9f\x98\"", "invalid UTF-8 at byte 1"),
    BAD("\"\xff\"", "invalid UTF-8 at byte 1"),
    BAD("{\"\xff\":1}", "invalid UTF-8 at byte 2"),
    /* keys */
    BAD("{\"a\":1,\"a\":2}", "duplicate key at byte 7"),
    BAD("{\"a\":1,\"b\":2,\"a\":3}", "duplicate key at byte 13"),
    BAD("{\"\":1,\"\":2}", "duplicate key at byte 6"),
    BAD("{\"ab\":1,\"\\u0061b\":2}", "duplicate key at byte 8"),
    BAD("{\"\\u0061b\":1,\"ab\":2}", "duplicate key at byte 13"),
    BAD("{\"\\n\":1,\"\\u000A\":2}", "duplicate key at byte 8"),
    BAD("{\"\\/\":1,\"/\":2}", "duplicate key at byte 8"),
    BAD("{\"\xc3\xa9\":1,\"\\u00e9\":2}", "duplicate key at byte 8"),
    BAD("{\"\xe2\x82\xac\":1,\"\\u20AC\":2}", "duplicate key at byte 9"),
    BAD("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", "duplicate key at byte 10"),
    BAD("{\"x\":{\"k\":1,\"k\":2}}", "duplicate key at byte 12"),
    BAD("[{\"k\":1},{\"k\":[{\"j\":1}],\"k\":2}]", "duplicate key at byte 24"),
    BAD("{\"k\":{\"k\":{}},\"j\":0,\"k\":1}", "duplicate key at byte 20"),
};
/* clang-format on */

/* Every sample, from a heap block of exactly its length, so that ASan sees a read past it. */
static void
test_samples(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fail f = { .rc = RC_OK };
        char expected[128], *copy = xalloc(samples[i].len + 1);
        char *exact = xrealloc(copy, samples[i].len > 0 ? samples[i].len : 1);
        enum rc rc;

        memcpy(exact, samples[i].text, samples[i].len);
        rc = json_scan(exact, samples[i].len, &f);
        free(exact);
        if (samples[i].message == NULL) {
            if (rc != RC_OK)
                fail_msg("%s: %s", samples[i].text, f.message);
            continue;
        }
        snprintf(expected, sizeof expected, "Malformed JSON: %s", samples[i].message);
        if (rc != RC_MALFORMED_JSON || strcmp(f.message, expected) != 0)
            fail_msg("%s: '%s', not '%s'", samples[i].text, f.message, expected);
    }
}

/* The scan and json-c agree: what passes is parsed, and a second time to the same text. */
static void
test_parse_takes_what_the_scan_passes(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct fail f = { .rc = RC_OK };
        struct json_object *json = NULL, *again = NULL;
        enum rc rc = json_parse(samples[i].text, samples[i].len, &json, &f);
        const char *text;

        assert_int_equal(rc, samples[i].message == NULL ? RC_OK : RC_MALFORMED_JSON);
        if (rc != RC_OK) {
            assert_null(json);
            continue;
        }
        text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
        assert_int_equal(json_parse(text, strlen(text), &again, &f), RC_OK);
        assert_true(json_object_equal(json, again));
        json_object_put(json);
        json_object_put(again);
    }
}

static void
test_parse_keeps_values(void **state)
{
    static const char text[] = "{\"i\":9223372036854775807,\"d\":1500.0,\"s\":\"a\\u00e9\","
                               "\"n\":null,\"a\":[1,true]}";
    struct fail f = { .rc = RC_OK };
    struct json_object *json, *v;

    (void)state;
    assert_int_equal(json_parse(text, sizeof text - 1, &json, &f), RC_OK);
    assert_int_equal(json_object_get_int64(json_object_object_get(json, "i")), INT64_MAX);
    assert_true(json_object_get_double(json_object_object_get(json, "d")) == 1500.0);
    assert_string_equal(json_object_get_string(json_object_object_get(json, "s")), "a\xc3\xa9");
    assert_true(json_object_object_get_ex(json, "n", &v));
    assert_null(v);
    assert_int_equal(json_object_array_length(json_object_object_get(json, "a")), 2);
    json_object_put(json);
}

static void
test_parse_of_a_bare_number_ends_with_it(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct json_object *json;

    (void)state;
    assert_int_equal(json_parse("12345", 3, &json, &f), RC_OK);
    assert_int_equal(json_object_get_int64(json), 123);
    json_object_put(json);
}

static enum rc
scan_nested(size_t depth, const char *open, const char *inner, char close, struct fail *f)
{
    struct buf text;
    enum rc rc;
    size_t i;

    buf_init(&text, 1 << 20);
    for (i = 0; i < depth; i++)
        buf_str(&text, open);
    buf_str(&text, inner);
    for (i = 0; i < depth; i++)
        buf_char(&text, close);
    rc = json_scan(text.data, text.len, f);
    if (rc == RC_OK) { /* json-c has to go as deep */
        struct json_object *json = NULL;

        assert_int_equal(json_parse(text.data, text.len, &json, f), RC_OK);
        json_object_put(json);
    }
    buf_fini(&text);
    return rc;
}

static void
test_depth(void **state)
{
    struct fail f = { .rc = RC_OK };

    (void)state;
    assert_int_equal(scan_nested(32, "[", "", ']', &f), RC_OK);
    assert_int_equal(scan_nested(32, "[", "1", ']', &f), RC_OK);
    assert_int_equal(scan_nested(31, "{\"a\":", "{}", '}', &f), RC_OK);
    assert_int_equal(scan_nested(32, "{\"a\":", "\"x\"", '}', &f), RC_OK);
    assert_int_equal(scan_nested(33, "[", "", ']', &f), RC_MALFORMED_JSON);
    assert_string_equal(f.message, "Malformed JSON: nesting deeper than 32 at byte 32");
    fail_reset(&f);
    assert_int_equal(scan_nested(32, "{\"a\":", "[]", '}', &f), RC_MALFORMED_JSON);
    fail_reset(&f);
    assert_int_equal(scan_nested(100000, "[", "", ']', &f), RC_MALFORMED_JSON);
}

/* As many keys as a body can hold, in one object, must not cost the square of their number. */
static void
test_many_keys(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct buf text;
    clock_t began = clock();
    int i;

    (void)state;
    buf_init(&text, 1 << 20);
    for (i = 0; i < 30000; i++)
        buf_printf(&text, "%c\"\\u0041%d\":1", i == 0 ? '{' : ',', i);
    buf_str(&text, "}");
    assert_int_equal(json_scan(text.data, text.len, &f), RC_OK);
    text.len--;
    buf_str(&text, ",\"A29999\":1}");
    assert_int_equal(json_scan(text.data, text.len, &f), RC_MALFORMED_JSON);
    assert_non_null(strstr(f.message, "duplicate key"));
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 2.0); /* squared: a minute */
    buf_fini(&text);
}

/* Any cut of a good text is bad, and no cut is read past its end (ASan). */
static void
test_every_prefix_is_refused(void **state)
{
    static const char text[] = "{\"a\":[1.5e+3,true,false,null,"
                               "\"\\ud83d\\ude00\xf0\x9f\x98\x80\"],\"b\":{\"\\n\":{}}}";
    size_t len;

    (void)state;
    for (len = 0; len < sizeof text - 1; len++) {
        struct fail f = { .rc = RC_OK };
        char *cut = xalloc(len > 0 ? len : 1);

        memcpy(cut, text, len);
        assert_int_equal(json_scan(cut, len, &f), RC_MALFORMED_JSON);
        free(cut);
    }
    assert_int_equal(json_scan(text, sizeof text - 1, NULL), RC_OK);
}

/* Every code point in its UTF-8 form is valid but the surrogates and U+0000. */
static void
test_utf8_of_every_code_point(void **state)
{
    uint32_t v;

    (void)state;
    for (v = 0; v <= 0x10ffff; v++) {
        char s[4];
        size_t n;

        if (v < 0x80) {
            n = 1;
            s[0] = (char)v;
        } else if (v < 0x800) {
            n = 2;
            s[0] = (char)(0xc0 | v >> 6);
        } else if (v < 0x10000) {
            n = 3;
            s[0] = (char)(0xe0 | v >> 12);
            s[1] = (char)(0x80 | (v >> 6 & 0x3f));
        } else {
            n = 4;
            s[0] = (char)(0xf0 | v >> 18);
            s[1] = (char)(0x80 | (v >> 12 & 0x3f));
            s[2] = (char)(0x80 | (v >> 6 & 0x3f));
        }
        if (n > 1)
            s[n - 1] = (char)(0x80 | (v & 0x3f));
        assert_int_equal(json_utf8_is_valid(s, n), v != 0 && (v < 0xd800 || v > 0xdfff));
    }
}

static void
test_utf8_words(void **state)
{
    (void)state;
    assert_true(json_utf8_is_valid("", 0));
    assert_true(json_utf8_is_valid("a\n\x7f\xc3\xa9", 5));
    assert_false(json_utf8_is_valid("a\0b", 3));
    assert_false(json_utf8_is_valid("a\xc3", 2));
    assert_false(json_utf8_is_valid("\xf0\x9f\x98\x80\x80", 5));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_parse_takes_what_the_scan_passes),
        cmocka_unit_test(test_parse_keeps_values),
        cmocka_unit_test(test_parse_of_a_bare_number_ends_with_it),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_utf8_of_every_code_point),
        cmocka_unit_test(test_utf8_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
