#include "common/etag.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TAG "\"0f8zq1c0d2k-ab12.0mw3k9x1z-17\""

static void
a_tag_is_epoch_and_version(void **state)
{
    char tag[ETAG_MAX];

    (void)state;
    etag_make(tag, "0f8zq1c0d2k-ab12.0mw3k9x1z", 17);
    assert_string_equal(tag, TAG);
    etag_make(tag, "0f8zq1c0d2k-ab12.0mw3k9x1z", INT64_MAX); /* the longest fits */
    assert_string_equal(tag, "\"0f8zq1c0d2k-ab12.0mw3k9x1z-9223372036854775807\"");
}

static void
lists(void **state)
{
    static const struct {
        const char *list;
        bool valid, has;
        int64_t version;
    } cases[] = {
        { TAG, true, true, 17 },
        { "W/" TAG, true, true, 17 },
        { "*", true, true, 0 },
        { " * ", true, true, 0 },
        { "\"a\" , W/" TAG, true, true, 0 },
        { ", ," TAG ",", true, true, 17 },
        { "\"a,b\",\"\"", true, false, 0 },
        { "\"-5\"", true, false, 5 },
        { "\"5\"", true, false, 0 },
        { "\"x-5a\"", true, false, 0 },
        { "\"x-12345678901234567890\"", true, false, 0 },
        { "\"\xc3\xa4!#\"", true, false, 0 },
        { "", false, false, 0 },
        { " ,", false, false, 0 },
        { "17", false, false, 0 },
        { "\"a", false, false, 0 },
        { "a\"", false, false, 0 },
        { "\"a\"\"b\"", false, false, 0 },
        { "\"a\" \"b\"", false, false, 0 },
        { "\"a b\"", false, false, 0 },
        { "\"a\x7f\"", false, false, 0 },
        { "w/\"a\"", false, false, 0 },
        { "W/*", false, false, 0 },
        { "*, \"a\"", false, true, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (etag_list_is_valid(cases[i].list) != cases[i].valid)
            fail_msg("valid: %s", cases[i].list);
        if (etag_list_has(cases[i].list, TAG) != cases[i].has)
            fail_msg("has: %s", cases[i].list);
        if (cases[i].valid && etag_list_version(cases[i].list) != cases[i].version)
            fail_msg("version: %s", cases[i].list);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_is_epoch_and_version),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
