#include "buf.h"
#include "arena.h"

#include <assert.h>
#include <stdarg.h>

#define SIZE_FIRST 256
#define TIME_MIN_MS (-62135596800000LL) /* 0001-01-01T00:00:00.000Z */
#define TIME_MAX_MS 253402300799999LL   /* 9999-12-31T23:59:59.999Z */
#define DAY_MS 86400000LL
#define DAY_ZERO 719468 /* days from 0000-03-01 to 1970-01-01 */

static bool
buf_grow(struct buf *b, size_t more)
{
    size_t size = b->size ? b->size : SIZE_FIRST;

    if (b->overflow || more > b->max - b->len) {
        b->overflow = true;
        return false;
    }
    while (size <= b->len + more)
        size *= 2;
    if (size - 1 > b->max)
        size = b->max + 1;
    b->data = xrealloc(b->data, size);
    b->size = size;
    return true;
}

/* Room for `more` bytes and the NUL; false, and nothing more is taken, when max forbids it.
 * Each append comes by; what is allocated is never more than max and the NUL. */
static inline bool
buf_reserve(struct buf *b, size_t more)
{
    if (more < b->size - b->len && !b->overflow)
        return true;
    return buf_grow(b, more);
}

/* Undo what one append wrote in pieces before it hit the maximum. */
static void
buf_rewind(struct buf *b, size_t len)
{
    b->len = len;
    if (b->data)
        b->data[len] = '\0';
}

static void
json_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
    };
    char out[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
    size_t len = 6;

    if (c >= 0x20 || shorts[c]) {
        out[1] = c >= 0x20 ? (char)c : shorts[c];
        len = 2;
    }
    buf_add(b, out, len);
}

static bool
json_is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void
put_digits(char *out, int width, unsigned value)
{
    while (width-- > 0) {
        out[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* "2026-11-22" out of the days since 0000-03-01: years that begin in March have their leap day
 * at the end (Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days). gmtime
 * would be a third of what printing a time costs. */
static void
put_date(char *out, unsigned days)
{
    unsigned era = days / 146097, day = days % 146097;
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365, month;

    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153; /* 0: March */
    put_digits(out, 4, era * 400 + year + (month >= 10));
    put_digits(out + 5, 2, month < 10 ? month + 3 : month - 9);
    put_digits(out + 8, 2, day - (153 * month + 2) / 5 + 1);
}

void
buf_init(struct buf *b, size_t max)
{
    assert(max < SIZE_MAX / 2);
    *b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
    b->overflow = false;
    buf_rewind(b, 0);
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
    if (!buf_reserve(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void
buf_char(struct buf *b, char c)
{
    if (!buf_reserve(b, 1))
        return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

size_t
i64_print(char out[I64_SIZE], int64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[I64_SIZE], *p = digits + sizeof(digits);
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    size_t len;

    *--p = '\0';
    for (; u >= 10; u /= 100) {
        p -= 2;
        memcpy(p, pairs + 2 * (u % 100), 2);
    }
    if (u > 0 || v == 0)
        *--p = (char)('0' + u);
    if (v < 0)
        *--p = '-';
    len = (size_t)(digits + sizeof(digits) - 1 - p);
    memcpy(out, p, len + 1);
    return len;
}

void
buf_i64(struct buf *b, int64_t v)
{
    char digits[I64_SIZE];

    buf_add(b, digits, i64_print(digits, v));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
    size_t room = b->size - b->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if (!buf_reserve(b, (size_t)n)) {
        buf_rewind(b, b->len);
        return;
    }
    if ((size_t)n >= room) {
        va_start(ap, fmt);
        vsnprintf(b->data + b->len, b->size - b->len, fmt, ap);
        va_end(ap);
    }
    b->len += (size_t)n;
}

void
buf_json(struct buf *b, const char *s, size_t len)
{
    size_t start = b->len, i = 0;

    buf_char(b, '"');
    while (i < len) {
        size_t from = i;

        while (i < len && json_is_plain((unsigned char)s[i]))
            i++;
        buf_add(b, s + from, i - from);
        if (i < len)
            json_escape(b, (unsigned char)s[i++]);
    }
    buf_char(b, '"');
    if (b->overflow)
        buf_rewind(b, start);
}

void
buf_time(struct buf *b, int64_t at_ms)
{
    char out[] = "\"0000-00-00T00:00:00.000Z\"";
    unsigned ms;

    if (at_ms < TIME_MIN_MS)
        at_ms = TIME_MIN_MS;
    if (at_ms > TIME_MAX_MS)
        at_ms = TIME_MAX_MS;
    at_ms += DAY_ZERO * DAY_MS;
    put_date(out + 1, (unsigned)(at_ms / DAY_MS));
    ms = (unsigned)(at_ms % DAY_MS);
    put_digits(out + 12, 2, ms / 3600000);
    put_digits(out + 15, 2, ms / 60000 % 60);
    put_digits(out + 18, 2, ms / 1000 % 60);
    put_digits(out + 21, 3, ms % 1000);
    buf_add(b, out, sizeof(out) - 1);
}

const char *
buf_cstr(const struct buf *b)
{
    return b->data ? b->data : "";
}
