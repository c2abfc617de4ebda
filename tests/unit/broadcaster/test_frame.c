#include "broadcaster/frame.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
heads_at_the_boundaries(void **state)
{
    static const struct {
        size_t len, head;
        unsigned char bytes[FRAME_HEAD_MAX];
    } rows[] = {
        { 0, 2, { 0x81, 0 } },
        { 125, 2, { 0x81, 125 } },
        { 126, 4, { 0x81, 126, 0, 126 } },
        { 65535, 4, { 0x81, 126, 0xff, 0xff } },
        { 65536, 10, { 0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0 } },
        { 0x123456789a, 10, { 0x81, 127, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        unsigned char out[FRAME_HEAD_MAX];

        assert_int_equal(frame_head(out, FRAME_TEXT, rows[i].len), rows[i].head);
        assert_memory_equal(out, rows[i].bytes, rows[i].head);
    }
}

static void
payload_stands_behind_the_head(void **state)
{
    static char payload[70000];
    static const size_t lens[] = { 0, 1, 125, 126, 65535, 65536, 70000 };

    (void)state;
    memset(payload, 'x', sizeof(payload));
    for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
        struct frame *f = frame_new(FRAME_TEXT, payload, lens[i]);
        size_t head = f->len - lens[i];

        assert_true(head == 2 || head == 4 || head == 10);
        assert_memory_equal(f->bytes + head, payload, lens[i]);
        frame_drop(f);
    }
}

static void
control_frames(void **state)
{
    struct frame *ping = frame_new(FRAME_PING, NULL, 0);
    struct frame *bye = frame_close(1001, "Server shutting down");
    struct frame *curt = frame_close(1000, NULL);

    (void)state;
    assert_memory_equal(ping->bytes, "\x89\x00", 2);
    assert_int_equal(ping->len, 2);
    assert_memory_equal(bye->bytes, "\x88\x16\x03\xe9Server shutting down", 24);
    assert_int_equal(bye->len, 24);
    assert_memory_equal(curt->bytes, "\x88\x02\x03\xe8", 4);
    frame_drop(ping);
    frame_drop(bye);
    frame_drop(curt);
    frame_drop(NULL);
}

static void
shared_until_the_last_drop(void **state)
{
    struct frame *f = frame_new(FRAME_TEXT, "abc", 3);

    (void)state;
    assert_ptr_equal(frame_take(f), f);
    frame_drop(f);
    assert_memory_equal(f->bytes,
                        "\x81\x03"
                        "abc",
                        5);
    frame_drop(f);
}

static void
a_close_is_answered_as_it_deserves(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        uint16_t answer;
    } closes[] = {
        { "", 0, 0 },
        { "\x03", 1, 1002 },
        { "\x03\xe8", 2, 1000 },
        { "\x03\xe8gone", 6, 1000 },
        { "\x03\xeb", 2, 1003 },
        { "\x03\xec", 2, 1002 },
        { "\x03\xee", 2, 1002 },
        { "\x03\xef", 2, 1007 },
        { "\x03\xf6", 2, 1014 },
        { "\x03\xf7", 2, 1002 },
        { "\x0b\xb7", 2, 1002 },
        { "\x0b\xb8", 2, 3000 },
        { "\x13\x87", 2, 4999 },
        { "\x13\x88", 2, 1002 },
        { "\x00\x00", 2, 1002 },
        { "\x03\xe8\xc3(", 4, 1007 },
        { "\x03\xe8\xed\xa0\x80", 5, 1007 },
        { "\x03\xe8\xc3\xa9", 4, 1000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(closes) / sizeof(*closes); i++)
        assert_int_equal(frame_close_answer(closes[i].payload, closes[i].len),
                         closes[i].answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_at_the_boundaries),
        cmocka_unit_test(payload_stands_behind_the_head),
        cmocka_unit_test(control_frames),
        cmocka_unit_test(shared_until_the_last_drop),
        cmocka_unit_test(a_close_is_answered_as_it_deserves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
