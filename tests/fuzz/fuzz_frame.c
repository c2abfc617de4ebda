/* Frames of a client, strict and lax ones. The first byte says in which steps the others come:
 * it must make no difference to what is heard, and none to whether they may be sent. */
#include "broadcaster/frame_reader.h"
#include "common/arena.h"
#include "common/buf.h"
#include "fuzz.h"

#include <string.h>

#define HEARD_MAX (1024 * 1024)

struct told {
    struct buf text;
    bool in_message; /* parts of one are one, however they came */
};

static void
on_piece(void *ctx, const struct piece *p)
{
    struct told *t = ctx;

    HOLD(p->data != NULL || p->len == 0);
    if (!t->in_message)
        buf_str(&t->text, p->binary ? "\nbinary " : "\ntext ");
    buf_add(&t->text, p->data, p->len);
    t->in_message = !p->last;
    if (p->last)
        buf_str(&t->text, " end");
}

/* May come between the parts: told apart from them. */
static void
on_control(void *ctx, enum frame_opcode op, const void *payload, size_t len)
{
    struct told *t = ctx;

    HOLD(op == FRAME_PING || op == FRAME_PONG || op == FRAME_CLOSE);
    HOLD(len <= 125);
    buf_printf(&t->text, "\ncontrol %d ", (int)op);
    buf_add(&t->text, payload, len);
    buf_char(&t->text, '\n');
}

static void
hold_same(const struct told *a, const struct told *b)
{
    HOLD(a->text.len == b->text.len && a->in_message == b->in_message);
    HOLD(a->text.len == 0 || memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

/* Whether all of it may be sent. */
static bool
read_in(struct told *t, struct frame_parser **shared, const char *s, size_t len, size_t step)
{
    const struct frame_calls calls = { on_piece, on_control, t };
    struct frame_reader r = { .parser = NULL };
    bool sound = true;

    for (size_t at = 0; at < len && sound; at += step) {
        size_t n = step < len - at ? step : len - at;
        char *exact = xalloc(n);

        memcpy(exact, s + at, n);
        sound = frame_reader_read(&r, shared, exact, n, &calls);
        free(exact);
        HOLD(!r.is_over || r.parser == NULL);
    }
    HOLD(sound || r.is_over);
    frame_reader_fini(&r);
    return sound;
}

/* --- the same by the book (RFC 6455, 5.2), slowly --- */

struct head {
    bool fin, masked, whole;
    unsigned rsv, op;
    uint64_t len;
    size_t size; /* bytes of it */
    bool shortest;
};

static struct head
head_of(const unsigned char *p, size_t left)
{
    struct head h = { .whole = false };
    size_t more;

    if (left < 2)
        return h;
    h = (struct head){ .fin = p[0] >> 7,
                       .rsv = p[0] >> 4 & 7,
                       .op = p[0] & 15,
                       .masked = p[1] >> 7,
                       .len = p[1] & 127 };
    more = h.len == 127 ? 8 : h.len == 126 ? 2 : 0;
    h.size = 2 + more + (h.masked ? 4 : 0);
    /* wslay tells of a head when some of the payload is there */
    h.whole = left >= h.size + (h.len > 0);
    for (size_t i = 0; i < more && h.whole; i++)
        h.len = (i == 0 ? 0 : h.len << 8) | p[2 + i];
    h.shortest = h.len > (more == 8 ? UINT16_MAX : more == 2 ? 125 : 0) || more == 0;
    return h;
}

static bool
may_come(const struct head *h, bool in_message)
{
    if (!h->masked || h->rsv != 0 || !h->shortest || h->len > INT64_MAX)
        return false;
    if (h->op >= 8)
        return h->op <= 10 && h->fin && h->len <= 125;
    return in_message ? h->op == 0 : h->op == 1 || h->op == 2;
}

/* What is to be heard of [p, p + left). `sound` is not said of half a head. */
static void
hear(struct told *t, const unsigned char *p, size_t left, bool sound)
{
    bool open = false, binary = false;

    while (left > 0) {
        struct head h = head_of(p, left);
        size_t n;
        char *text;

        if (!h.whole)
            return;
        HOLD(may_come(&h, open) || !sound);
        if (!may_come(&h, open))
            return;
        left -= h.size;
        n = h.len < left ? (size_t)h.len : left;
        text = xalloc(n + 1);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(p[h.size + i] ^ p[h.size - 4 + i % 4]);
        if (h.op >= 8 && n == h.len)
            on_control(t, h.op, text, n);
        if (h.op < 8) {
            binary = open ? binary : h.op == 2;
            open = !h.fin || n < h.len;
            on_piece(t, &(struct piece){ text, n, .last = !open, .binary = binary });
        }
        free(text);
        if (n < h.len || h.op == 8)
            return;
        p += h.size + n;
        left -= n;
    }
    HOLD(sound);
}

bool
fuzz_take(const char *s, size_t len)
{
    struct frame_parser *shared = NULL;
    struct told whole = { .in_message = false }, parts = { .in_message = false },
                book = { .in_message = false };
    size_t step = len > 0 ? 1 + (unsigned char)*s : 1;
    bool sound;

    if (len < 2)
        return false;
    buf_init(&whole.text, HEARD_MAX);
    buf_init(&parts.text, HEARD_MAX);
    sound = read_in(&whole, &shared, s + 1, len - 1, len);
    HOLD(read_in(&parts, &shared, s + 1, len - 1, step) == sound);
    hold_same(&whole, &parts);
    buf_init(&book.text, HEARD_MAX);
    hear(&book, (const unsigned char *)s + 1, len - 1, sound);
    hold_same(&whole, &book);
    buf_fini(&book.text);
    buf_fini(&whole.text);
    buf_fini(&parts.text);
    frame_parser_free(shared);
    return sound && !whole.in_message;
}
