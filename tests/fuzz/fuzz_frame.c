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

bool
fuzz_take(const char *s, size_t len)
{
    struct frame_parser *shared = NULL;
    struct told whole = { .in_message = false }, parts = { .in_message = false };
    size_t step = len > 0 ? 1 + (unsigned char)*s : 1;
    bool sound;

    if (len < 2)
        return false;
    buf_init(&whole.text, HEARD_MAX);
    buf_init(&parts.text, HEARD_MAX);
    sound = read_in(&whole, &shared, s + 1, len - 1, len);
    HOLD(read_in(&parts, &shared, s + 1, len - 1, step) == sound);
    HOLD(whole.text.len == parts.text.len && whole.in_message == parts.in_message);
    HOLD(whole.text.len == 0 || memcmp(whole.text.data, parts.text.data, whole.text.len) == 0);
    buf_fini(&whole.text);
    buf_fini(&parts.text);
    frame_parser_free(shared);
    return sound && !whole.in_message;
}
