/* The head of a request as a broadcaster looks at it: what is sound stays a head when its token
 * is moved. A line behind the head is the payload of a Close. */
#include "broadcaster/foyer.h"
#include "broadcaster/frame.h"
#include "broadcaster/vet.h"
#include "common/buf.h"
#include "fuzz.h"

#include <string.h>

#define REWRITTEN_MAX (64 * 1024)
#define HEAD_MAX 8192 /* more is never looked at */

static void
hold_close(const char *s, size_t len)
{
    uint16_t code = frame_close_answer(s, len);

    HOLD(code == 0 || (code >= 1000 && code < 5000));
    HOLD((code == 0) == (len == 0));
}

bool
fuzz_take(const char *s, size_t len)
{
    const char *end = memmem(s, len, "\r\n\r\n", 4);
    size_t head = end != NULL ? (size_t)(end + 4 - s) : len;
    enum vet vet;
    struct buf out;

    if (head > HEAD_MAX)
        return false;
    hold_close(s + head, len - head);
    vet = vet_head(s, head);
    buf_init(&out, REWRITTEN_MAX);
    if (foyer_rewrite(&out, s, head)) {
        HOLD(!out.overflow);
        HOLD(vet != VET_SOUND || out.len < head + 64);
        HOLD(vet != VET_SOUND || vet_head(out.data, out.len) == VET_SOUND);
    }
    buf_fini(&out);
    return vet == VET_SOUND;
}
