#include "common/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_uuid_grammar(void **state)
{
    static const struct {
        const char *s;
        bool strict, loose;
    } cases[] = {
        { "11111111-1111-4111-8111-111111111111", true, true },
        { "AbCdEf01-2345-7abC-BdEf-0123456789aB", true, true },
        { "11111111-1111-1111-a111-111111111111", true, true },
        { "11111111-1111-8111-b111-111111111111", true, true },
        { "11111111-1111-9111-8111-111111111111", false, true }, /* version */
        { "11111111-1111-0111-8111-111111111111", false, true },
        { "11111111-1111-a111-8111-111111111111", false, true },
        { "11111111-1111-4111-7111-111111111111", false, true }, /* variant */
        { "11111111-1111-4111-c111-111111111111", false, true },
        { "00000000-0000-0000-0000-000000000000", true, true }, /* nil */
        { "00000000-0000-0000-0000-000000000001", false, true },
        { "ffffffff-ffff-ffff-ffff-ffffffffffff", true, true }, /* max, lower case only */
        { "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", false, true },
        { "ffffffff-ffff-ffff-ffff-fffffffffffF", false, true },
        { "g1111111-1111-4111-8111-111111111111", false, false },
        { "11111111111111114111811111111111111111", false, false },
        { "11111111-1111-4111-8111-11111111111", false, false },
        { "11111111-1111-4111-8111-1111111111111", false, false },
        { "11111111-1111-4111-81111-11111111111", false, false },
        { "11111111_1111_4111_8111_111111111111", false, false },
        { "{1111111-1111-4111-8111-11111111111}", false, false },
        { "", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(id_is_uuid(cases[i].s, strlen(cases[i].s)), cases[i].strict);
        assert_int_equal(id_is_uuid_shape(cases[i].s, strlen(cases[i].s)), cases[i].loose);
    }
    assert_false(id_is_uuid("11111111-1111-4111-8111-11111111111\0", 36));
}

/* Each place takes exactly what it should. */
static void
test_each_character_of_a_uuid(void **state)
{
    char id[] = "01234567-89ab-4cde-8fAB-CDEF01234567";

    (void)state;
    for (size_t i = 0; i < ID_LEN; i++) {
        const char was = id[i];

        for (int c = 0; c < 256; c++) {
            bool hex = c < 128 && c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;

            id[i] = (char)c;
            assert_int_equal(id_is_uuid_shape(id, ID_LEN), was == '-' ? c == '-' : hex);
        }
        id[i] = was;
    }
}

static void
test_case(void **state)
{
    char out[ID_LEN + 1];

    (void)state;
    id_lower("ABCDEF01-2345-4abc-8DEF-0123456789Ab and more", out);
    assert_string_equal(out, "abcdef01-2345-4abc-8def-0123456789ab");
    assert_true(id_equal("ABCDEF01-x", "abcdef01-X"));
    assert_true(id_equal("", ""));
    assert_false(id_equal("abc", "abcd"));
    assert_false(id_equal("abcd", "abc"));
    assert_false(id_equal("abc", "abd"));
    assert_false(id_equal("@", "`")); /* 32 apart, but no letters */
    assert_false(id_equal("[", "{"));
}

static void
test_uuid4(void **state)
{
    char a[ID_LEN + 1], b[ID_LEN + 1], lower[ID_LEN + 1];

    (void)state;
    id_uuid4(a);
    for (int i = 0; i < 1000; i++) {
        id_uuid4(b);
        assert_true(id_is_uuid(b, strlen(b)));
        assert_int_equal(b[14], '4');
        assert_non_null(strchr("89ab", b[19]));
        id_lower(b, lower);
        assert_string_equal(b, lower);
        assert_string_not_equal(a, b);
        memcpy(a, b, sizeof(a));
    }
}

static void
test_random_text(void **state)
{
    char out[4001], other[17], another[17];
    int seen[256] = { 0 };

    (void)state;
    id_random(out, 4000);
    assert_int_equal(strlen(out), 4000);
    for (int i = 0; i < 4000; i++)
        seen[(unsigned char)out[i]]++;
    for (int c = 0; c < 256; c++) {
        bool ours = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');

        assert_true(ours ? seen[c] > 20
                         : seen[c] == 0); /* 111 expected, 8 standard deviations */
    }
    id_random(other, 16);
    id_random(another, 16);
    assert_string_not_equal(other, another);
    id_random(out, 0);
    assert_string_equal(out, "");
}

static void
test_crc16(void **state)
{
    (void)state;
    assert_int_equal(id_crc16("123456789", 9), 0x31c3); /* the check value of CRC-16/XMODEM */
    assert_int_equal(id_crc16("", 0), 0);
    assert_int_equal(id_crc16("foo", 3) & 0x3fff, 12182); /* CLUSTER KEYSLOT foo */
}

static void
test_epoch_form(void **state)
{
    char e[EPOCH_MAX];

    (void)state;
    epoch_make(e, 1795362403096123, 1795362403096);
    assert_int_equal(strlen(e), 26);
    assert_true(epoch_is_valid(e, strlen(e)));
    assert_int_equal(epoch_life(e), 1795362403096);
    epoch_make(e, 0, 0);
    assert_memory_equal(e, "00000000000-", 12);
    assert_string_equal(e + 16, ".000000000");
    assert_int_equal(epoch_life(e), 0);
    epoch_make(e, 0, 101559956668415); /* 36^9 - 1 */
    assert_string_equal(e + 16, ".zzzzzzzzz");
    assert_int_equal(epoch_life(e), 101559956668415);
}

/* As text: a later creation is greater, and of one creation a later life is. */
static void
test_epoch_sorts_as_text(void **state)
{
    static const int64_t created[] = {
        0, 1, 35, 36, 999999, 1795362403096123, 1795362403096124
    };
    char last[EPOCH_MAX] = "", e[EPOCH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(created) / sizeof(*created); i++) {
        epoch_make(e, created[i], 1795362403096 - (int64_t)i);
        assert_true(strcmp(last, e) < 0);
        memcpy(last, e, sizeof(last));
        assert_true(epoch_raise(e, 1795362403097));
        assert_true(strcmp(last, e) < 0);
        memcpy(last, e, sizeof(last));
    }
}

static void
test_epoch_raise(void **state)
{
    char e[EPOCH_MAX], before[EPOCH_MAX];

    (void)state;
    epoch_make(e, 5, 100);
    memcpy(before, e, sizeof(e));
    assert_false(epoch_raise(e, 100));
    assert_false(epoch_raise(e, 99));
    assert_string_equal(e, before);
    assert_true(epoch_raise(e, 101));
    assert_int_equal(epoch_life(e), 101);
    assert_memory_equal(e, before, 17); /* the same session */
    assert_false(epoch_raise(e, 101));
}

static void
test_epoch_grammar(void **state)
{
    static const char good[] = "000000abcde-xyz0.0123456zz";
    char e[EPOCH_MAX];

    (void)state;
    assert_true(epoch_is_valid(good, 26));
    assert_false(epoch_is_valid(good, 25));
    assert_false(epoch_is_valid("", 0));
    assert_int_equal(epoch_life("not an epoch"), -1);
    assert_int_equal(epoch_life(""), -1);
    for (int i = 0; i < 26; i++) { /* any one place spoilt */
        memcpy(e, good, sizeof(good));
        e[i] = 'A';
        assert_false(epoch_is_valid(e, 26));
        assert_int_equal(epoch_life(e), -1);
    }
}

static void
test_uuid8(void **state)
{
    static const unsigned char zeros[16], ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                                       255, 255, 255, 255, 255, 255, 255, 255 };
    char id[ID_LEN + 1];

    (void)state;
    id_uuid8(zeros, id);
    assert_string_equal(id, "00000000-0000-8000-8000-000000000000");
    id_uuid8(ones, id);
    assert_string_equal(id, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    assert_true(id_is_uuid(id, ID_LEN));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid_grammar),
        cmocka_unit_test(test_each_character_of_a_uuid),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_uuid4),
        cmocka_unit_test(test_uuid8),
        cmocka_unit_test(test_random_text),
        cmocka_unit_test(test_crc16),
        cmocka_unit_test(test_epoch_form),
        cmocka_unit_test(test_epoch_sorts_as_text),
        cmocka_unit_test(test_epoch_raise),
        cmocka_unit_test(test_epoch_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
