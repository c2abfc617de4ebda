#include "broadcaster/frame_reader.h"

#include "common/buf.h"
#include "tests/lib/client_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MASKED "\x01\x02\x03\x04"

static struct buf heard; /* "text+ text. ping:x close:" */
static struct frame_parser *shared;

static void
on_piece(void *ctx, const struct piece *p)
{
    (void)ctx;
    buf_printf(&heard, "%s%.*s%s ", p->binary ? "#" : "", (int)p->len, p->data,
               p->last ? "." : "+");
}

static void
on_control(void *ctx, enum frame_opcode op, const void *payload, size_t len)
{
    const char *name = op == FRAME_PING ? "ping" : op == FRAME_PONG ? "pong" : "close";

    (void)ctx;
    buf_printf(&heard, "%s:%.*s ", name, (int)len, (const char *)payload);
}

static const struct frame_calls calls = { on_piece, on_control, NULL };

struct script {
    unsigned char bytes[4096];
    size_t len;
};

static void
say(struct script *s, unsigned first, const char *payload)
{
    s->len += client_frame(s->bytes + s->len, first, payload, strlen(payload));
}

/* Whether all of it may be sent. */
static bool
read_in(struct frame_reader *r, const struct script *s, size_t step)
{
    bool sound = true;

    buf_clear(&heard);
    for (size_t at = 0; at < s->len && sound; at += step) {
        size_t n = step < s->len - at ? step : s->len - at;

        sound = frame_reader_read(r, &shared, s->bytes + at, n, &calls);
    }
    return sound;
}

static int
set_up(void **state)
{
    (void)state;
    buf_init(&heard, 65536);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    frame_parser_free(shared);
    shared = NULL;
    buf_fini(&heard);
    return 0;
}

static void
frames_are_handed_over_in_order(void **state)
{
    struct script s = { .len = 0 };
    struct frame_reader r = { .parser = NULL };

    (void)state;
    say(&s, 0x81, "one");
    say(&s, 0x89, "p");
    say(&s, 0x01, "two ");
    say(&s, 0x8a, "");
    say(&s, 0x00, "");
    say(&s, 0x80, "parts");
    say(&s, 0x82, "bin");
    say(&s, 0x81, "");
    assert_true(read_in(&r, &s, s.len));
    assert_string_equal(buf_cstr(&heard), "one. ping:p two + pong: + parts. #bin. . ");
    assert_null(r.parser);
    assert_non_null(shared);
    assert_false(r.in_message || r.is_over);
}

static void
bytes_one_by_one_are_the_same_frames(void **state)
{
    struct script s = { .len = 0 };
    struct frame_reader r = { .parser = NULL };

    (void)state;
    say(&s, 0x89, "ping");
    say(&s, 0x81, "abc");
    say(&s, 0x88, "");
    say(&s, 0x81, "unheard");
    assert_true(read_in(&r, &s, 1));
    assert_string_equal(buf_cstr(&heard), "ping:ping a+ b+ c. close: ");
    assert_true(r.is_over);
    assert_null(r.parser);
}

/* Half a frame is kept for its client alone, and others are read meanwhile. */
static void
halves_of_two_clients_do_not_mix(void **state)
{
    struct script first = { .len = 0 }, second = { .len = 0 }, whole = { .len = 0 };
    struct frame_reader a = { .parser = NULL }, b = { .parser = NULL }, c = { .parser = NULL };

    (void)state;
    say(&first, 0x81, "aaaa");
    say(&second, 0x81, "bbbb");
    say(&whole, 0x81, "c");
    for (size_t cut = 1; cut < first.len; cut++) {
        struct script rest = first;

        memmove(rest.bytes, rest.bytes + cut, first.len - cut);
        rest.len = first.len - cut;
        first.len = cut;
        assert_true(read_in(&a, &first, cut));
        assert_non_null(a.parser);
        assert_true(read_in(&c, &whole, whole.len));
        assert_string_equal(buf_cstr(&heard), "c. ");
        assert_true(read_in(&b, &second, second.len));
        assert_string_equal(buf_cstr(&heard), "bbbb. ");
        assert_null(b.parser);
        assert_true(read_in(&a, &rest, rest.len));
        assert_non_null(strstr(buf_cstr(&heard), "a. "));
        assert_null(a.parser);
        first.len = cut + rest.len;
    }
    assert_true(read_in(&a, &first, 3));
    first.len -= 1;
    assert_true(read_in(&a, &first, first.len));
    frame_reader_fini(&a); /* gone in the middle of a frame */
}

static const struct {
    const char *bytes;
    size_t len;
} forbidden[] = {
#define ROW(s)           \
    {                    \
        s, sizeof(s) - 1 \
    }
    ROW("\x81\x02hi"),         /* no mask */
    ROW("\x89\x01x"),          /* no mask */
    ROW("\x81\x80\x01\x02\x03" /* a good one, then none */
        "\x04\x81\x01x"),
    ROW("\xc1\x80" MASKED),
    ROW("\xa1\x80" MASKED),
    ROW("\x91\x80" MASKED), /* reserved bits */
    ROW("\xc9\x80" MASKED),
    ROW("\x83\x80" MASKED),
    ROW("\x87\x80" MASKED), /* opcodes */
    ROW("\x8b\x80" MASKED),
    ROW("\x8f\x80" MASKED),
    ROW("\x09\x80" MASKED), /* ping in parts */
    ROW("\x08\x80" MASKED),
    ROW("\x80\x80" MASKED),
    ROW("\x00\x80" MASKED),                   /* rest of nothing */
    ROW("\x01\x80" MASKED "\x81\x80" MASKED), /* text within text */
    ROW("\x01\x80" MASKED "\x80\x80" MASKED "\x80\x80" MASKED),
    ROW("\x81\xfe\x00\x02" MASKED "hi"), /* lengths longer than needed */
    ROW("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x02" MASKED "hi"),
    ROW("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x02" MASKED "hi"),
    ROW("\x89\xfe\x00\x7e" MASKED), /* ping of 126 */
    ROW("GET / HTTP/1.1\r\n\r\n"),
#undef ROW
};

static void
what_nobody_may_send_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
        for (int step = 1; step <= 64; step *= 8) {
            struct script s = { .len = forbidden[i].len }, more = { .len = 0 };
            struct frame_reader r = { .parser = NULL };

            memcpy(s.bytes, forbidden[i].bytes, s.len);
            if (read_in(&r, &s, (size_t)step))
                fail_msg("row %zu in steps of %d is taken", i, step);
            assert_true(r.is_over);
            assert_null(r.parser);
            say(&more, 0x81, "more");
            assert_true(read_in(&r, &more, more.len));
            assert_string_equal(buf_cstr(&heard), "");
        }
    }
}

/* 2^62 bytes are said: what comes is handed over, and nothing is kept for the rest. */
static void
a_long_frame_costs_nothing_beforehand(void **state)
{
    static const char head[] = "\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04";
    struct script s = { .len = sizeof(head) - 1 + 3 };
    struct frame_reader r = { .parser = NULL };

    (void)state;
    memcpy(s.bytes, head, sizeof(head) - 1);
    memcpy(s.bytes + sizeof(head) - 1, "\x60\x60\x60", 3);
    assert_true(read_in(&r, &s, s.len));
    assert_string_equal(buf_cstr(&heard), "#abc+ ");
    assert_non_null(r.parser);
    frame_reader_fini(&r);
    assert_null(r.parser);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_are_handed_over_in_order),       TEST(bytes_one_by_one_are_the_same_frames),
        TEST(halves_of_two_clients_do_not_mix),      TEST(what_nobody_may_send_ends_it),
        TEST(a_long_frame_costs_nothing_beforehand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
