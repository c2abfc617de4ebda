#include "session_idem.h"
#include "buf.h"
#include "session.h"

#define KEPT_MS 86400000 /* as in lua/commit.lua */
#define HASH_LEN (STORE_HASH_MAX - 1)

/* A decimal and the blank behind it. */
static bool
take_number(const char **p, int64_t *v)
{
    char *end;

    if (**p < '0' || **p > '9')
        return false;
    *v = strtoll(*p, &end, 10);
    *p = end + 1;
    return *end == ' ';
}

bool
session_idem_read(const char *text, const struct store_idem *idem, int64_t now_ms,
                  struct store_result *res, enum rc *rc, struct fail *f)
{
    int64_t at_ms, number, status, version;
    const char *body;

    if (!take_number(&text, &at_ms) || !take_number(&text, &number) ||
        strcspn(text, " ") != HASH_LEN || text[HASH_LEN] != ' ')
        return false;
    body = text;
    text += HASH_LEN + 1;
    if (!take_number(&text, &status) || !take_number(&text, &version) || status < 200 ||
        status > 499 || now_ms - at_ms >= KEPT_MS)
        return false;
    if (memcmp(body, idem->body, HASH_LEN) != 0) {
        *rc = fail_set(f, RC_KEY_REUSED, "This Idempotency-Key came with another body before");
        return true;
    }
    res->replay.status = (int)status;
    res->replay.text = text;
    *rc = RC_OK;
    return true;
}

bool
session_idem_print(struct buf *out, const struct store_idem *idem, const struct session *s,
                   const struct store_result *res, const struct fail *f)
{
    struct buf answer;
    bool fits;
    int status;

    buf_init(&answer, out->max);
    status = idem->print(idem->ctx, &answer, s, res, f);
    buf_clear(out);
    buf_str(out, idem->body);
    buf_char(out, ' ');
    buf_i64(out, status);
    buf_char(out, ' ');
    buf_i64(out, s->version);
    buf_char(out, ' ');
    buf_add(out, buf_cstr(&answer), answer.len);
    fits = !answer.overflow && !out->overflow;
    buf_fini(&answer);
    return fits;
}
