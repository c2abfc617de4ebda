#include "frame.h"

#include "common/arena.h"
#include "common/json.h"

#include <assert.h>

size_t
frame_head(unsigned char out[FRAME_HEAD_MAX], enum frame_opcode op, size_t len)
{
    size_t extra = len < 126 ? 0 : len <= 0xffff ? 2 : 8;

    out[0] = (unsigned char)(0x80 | op);
    out[1] = (unsigned char)(extra == 0 ? len : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        out[2 + i] = (unsigned char)(len >> (8 * (extra - 1 - i)));
    return 2 + extra;
}

static struct frame *
make(const void *head, size_t n, const void *payload, size_t len)
{
    struct frame *f = xalloc(sizeof(*f) + n + len);

    assert(n + len <= UINT32_MAX);
    f->refs = 1;
    f->len = (uint32_t)(n + len);
    memcpy(f->bytes, head, n);
    if (len > 0)
        memcpy(f->bytes + n, payload, len);
    return f;
}

struct frame *
frame_new(enum frame_opcode op, const void *payload, size_t len)
{
    unsigned char head[FRAME_HEAD_MAX];

    return make(head, frame_head(head, op, len), payload, len);
}

struct frame *
frame_raw(const void *bytes, size_t len)
{
    return make(bytes, len, NULL, 0);
}

struct frame *
frame_close(uint16_t code, const char *reason)
{
    char payload[2 + FRAME_REASON_MAX + 1];
    size_t len = reason != NULL ? strlen(reason) : 0;

    assert(len <= FRAME_REASON_MAX);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    snprintf(payload + 2, sizeof(payload) - 2, "%s", len > 0 ? reason : "");
    return frame_new(FRAME_CLOSE, payload, 2 + len);
}

uint16_t
frame_close_answer(const void *payload, size_t len)
{
    static const struct {
        uint16_t from, to;
    } sent[] = { { 1000, 1003 }, { 1007, 1014 }, { 3000, 4999 } };
    const unsigned char *p = payload;
    const char *reason = (const char *)payload + 2;
    uint16_t code;

    if (len == 0)
        return 0;
    if (len == 1)
        return 1002;
    code = (uint16_t)(p[0] << 8 | p[1]);
    for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++) {
        if (code >= sent[i].from && code <= sent[i].to)
            return json_utf8_is_valid(reason, len - 2) ? code : 1007;
    }
    return 1002;
}

struct frame *
frame_take(struct frame *f)
{
    assert(f->refs > 0);
    f->refs++;
    return f;
}

void
frame_drop(struct frame *f)
{
    if (f == NULL)
        return;
    assert(f->refs > 0);
    if (--f->refs == 0)
        free(f);
}
