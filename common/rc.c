#include "rc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>

#define STORE_RETRY_MS 1000

static const struct {
    int status;
    const char *code;
} rc_rows[RC__MAX] = {
#define X(name, status, code) { status, code },
    RC_LIST(X)
#undef X
};

/* What a client reads about a failure that is ours: never more than this. */
static const char *
fixed_message(enum rc rc)
{
    switch (rc) {
    case RC_STATE_UNREADABLE:
        return "Failed to deserialize session state";
    case RC_STORE_UNAVAILABLE:
        return "The session store does not answer, please try again";
    case RC_STORE_FULL:
        return "The session store is full, please try again later";
    case RC_OUTCOME_UNKNOWN:
        return "The outcome of this request is unknown, it is safe to repeat it";
    case RC_WORKER_UNAVAILABLE:
        return "No worker is available, please try again";
    default:
        return rc_status(rc) < 500 ? "The request cannot be carried out"
                                   : "Internal server error";
    }
}

/* How many bytes a UTF-8 character has that begins so. */
static size_t
utf8_size(unsigned char first)
{
    return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* vsnprintf that never leaves half a UTF-8 character at the end, by "%.200s" neither: messages
 * become JSON. */
static void PRINTF(3, 0) format_text(char *out, size_t size, const char *fmt, va_list ap)
{
    size_t len, at;

    if (vsnprintf(out, size, fmt, ap) < 0)
        out[0] = '\0';
    len = at = strlen(out);
    while (at > 0 && len - at < 3 && ((unsigned char)out[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0 && utf8_size((unsigned char)out[at - 1]) > len - at + 1)
        out[at - 1] = '\0';
}

/* Take the first failure; false when there is nowhere to write it, or one stands there already.
 */
static bool
take_failure(struct fail *f, enum rc rc)
{
    assert(rc != RC_OK);
    if (!f || f->rc != RC_OK)
        return false;
    f->rc = rc;
    return true;
}

int
rc_status(enum rc rc)
{
    return rc_rows[(unsigned)rc < RC__MAX ? rc : RC_INTERNAL].status;
}

const char *
rc_code(enum rc rc)
{
    return rc_rows[(unsigned)rc < RC__MAX ? rc : RC_INTERNAL].code;
}

enum rc
fail_set(struct fail *f, enum rc rc, const char *fmt, ...)
{
    va_list ap;

    if (!take_failure(f, rc))
        return f ? f->rc : rc;
    va_start(ap, fmt);
    format_text(f->message, sizeof(f->message), fmt, ap);
    va_end(ap);
    return rc;
}

enum rc
fail_invalid(struct fail *f)
{
    return fail_set(f, RC_VALIDATION, "Request validation failed");
}

enum rc
fail_log(struct fail *f, enum rc rc, const char *fmt, ...)
{
    va_list ap;

    if (!take_failure(f, rc))
        return f ? f->rc : rc;
    va_start(ap, fmt);
    format_text(f->log, sizeof(f->log), fmt, ap);
    va_end(ap);
    snprintf(f->message, sizeof(f->message), "%s", fixed_message(rc));
    if (rc_status(rc) == 503)
        f->retry_after_ms = STORE_RETRY_MS;
    return rc;
}

void
fail_reset(struct fail *f)
{
    if (f)
        *f = (struct fail){ .rc = RC_OK };
}
