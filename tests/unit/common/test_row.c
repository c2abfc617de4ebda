#include "common/row.h"

#include "common/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

enum colour { COLOUR_UNSET, RED, GREEN, COLOUR__MAX };

struct thing {
    char name[8];
    int64_t big, unset, small;
    int32_t place;
    enum colour colour;
    bool on;
};

/* clang-format off */
static const struct row_field fields[] = {
    { 'n', ROW_TEXT, offsetof(struct thing, name),   8,           0,  0,  0 },
    { 'b', ROW_I64,  offsetof(struct thing, big),    0,           0,  0,  0 },
    { 'u', ROW_I64,  offsetof(struct thing, unset),  0,           -1, 0,  0 },
    { 's', ROW_I64,  offsetof(struct thing, small),  0,           -7, 10, 20 },
    { 'p', ROW_I32,  offsetof(struct thing, place),  0,           -1, 0,  999 },
    { 'c', ROW_ENUM, offsetof(struct thing, colour), COLOUR__MAX, 0,  0,  0 },
    { 'o', ROW_BOOL, offsetof(struct thing, on),     0,           0,  0,  0 },
    { 0,   ROW_END,  0,                              0,           0,  0,  0 },
};
/* clang-format on */

static const struct thing empty = { .unset = -1, .small = -7, .place = -1 };

static void
assert_same(const struct thing *a, const struct thing *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->big, b->big);
    assert_int_equal(a->unset, b->unset);
    assert_int_equal(a->small, b->small);
    assert_int_equal(a->place, b->place);
    assert_int_equal(a->colour, b->colour);
    assert_int_equal(a->on, b->on);
}

static void
encodes_to(const struct thing *t, const char *expected)
{
    struct thing back;
    struct buf out;

    buf_init(&out, 1000);
    row_encode(&out, fields, t);
    assert_string_equal(buf_cstr(&out), expected);
    memset(&back, 0x55, sizeof(back));
    assert_int_equal(row_decode(buf_cstr(&out), out.len, fields, &back, NULL), RC_OK);
    assert_same(&back, t);
    buf_fini(&out);
}

static void
rows_come_back_as_they_were(void **state)
{
    struct thing t = empty;

    (void)state;
    encodes_to(&t, "");
    t = (struct thing){ "ab c%\n", 5, 0, 20, 0, GREEN, true };
    encodes_to(&t, "nab%20c%25%0A b5 u0 s20 p0 c2 o");
    t = empty;
    t.big = INT64_MAX;
    encodes_to(&t, "b9223372036854775807");
    t.big = INT64_MIN;
    encodes_to(&t, "b-9223372036854775808");
    t = empty;
    memcpy(t.name, "\xc3\xa4\x7f", 4);
    encodes_to(&t, "n\xc3\xa4%7F");
}

static void
order_of_fields_is_free(void **state)
{
    const char *row = "o c1 b7 nx";
    struct thing t, expected = { "x", 7, -1, -7, -1, RED, true };

    (void)state;
    assert_int_equal(row_decode(row, strlen(row), fields, &t, NULL), RC_OK);
    assert_same(&t, &expected);
}

static void
foreign_rows_are_refused(void **state)
{
    static const char *const bad[] = {
        " ",
        "b1 ",
        " b1",
        "b1  u1",
        "z1",
        "b1 b1",
        "b",
        "b+1",
        "b01",
        "b-0",
        "b-",
        "b1x",
        "b1.5",
        "b0x1",
        "b1\tu1",
        "c3",
        "c-1",
        "c",
        "p1000",
        "p-2",
        "s9",
        "s21",
        "o1",
        "n",
        "n12345678",
        "n%",
        "n%4",
        "n%zz",
        "n%4a",
        "n%00",
        "n\x01",
        "n\x7f",
        "n\xff",
        "n%FF",
        "\x80",
        "\377z",
        "b1\n",
        "s-8",
        "p4294967296",
        "b9223372036854775808",
        "b-9223372036854775809",
        "b99999999999999999999999",
    };
    struct thing t;
    struct fail f;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        memset(&f, 0, sizeof(f));
        if (row_decode(bad[i], strlen(bad[i]), fields, &t, &f) != RC_STATE_UNREADABLE)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(f.rc, RC_STATE_UNREADABLE);
        assert_true(f.log[0] != '\0');
    }
    assert_int_equal(row_decode("b1\0u1", 5, fields, &t, NULL), RC_STATE_UNREADABLE);
}

static void
ranges_end_where_the_table_says(void **state)
{
    static const char *const good[] = { "s10", "s20", "s-7", "p999", "p-1", "c0", "n1234567" };
    struct thing t;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(row_decode(good[i], strlen(good[i]), fields, &t, NULL), RC_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_were),
        cmocka_unit_test(order_of_fields_is_free),
        cmocka_unit_test(foreign_rows_are_refused),
        cmocka_unit_test(ranges_end_where_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
