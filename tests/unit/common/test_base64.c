#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* RFC 4648, section 10, in the alphabet of section 5. */
static void
test_both_ways(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = { { "", "" },
                  { "f", "Zg" },
                  { "fo", "Zm8" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg" },
                  { "fooba", "Zm9vYmE" },
                  { "foobar", "Zm9vYmFy" },
                  { "\xfb\xff\xfe", "-__-" } };
    unsigned char bytes[16];
    char text[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t len = strlen(cases[i].bytes);

        base64_encode((const unsigned char *)cases[i].bytes, len, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text), BASE64_LEN(len));
        assert_true(base64_decode(text, strlen(text), bytes, &n));
        assert_int_equal(n, len);
        assert_memory_equal(bytes, cases[i].bytes, len);
    }
}

static void
test_other_texts_are_refused(void **state)
{
    static const char *const texts[] = { "Zg==",  "Zg=", "Z",    "Zm9vY", "Zh",    "Zm9",
                                         "Zm9v ", " Zg", "Z+8v", "Zm/v",  "Zm9\n", "Z.8v" };
    unsigned char bytes[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (base64_decode(texts[i], strlen(texts[i]), bytes, &n))
            fail_msg("%s", texts[i]);
    assert_false(base64_decode("Zm\0v", 4, bytes, &n));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
