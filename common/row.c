#include "row.h"

#include "buf.h"
#include "json.h"
#include <stdbool.h>

/* Enums travel as their number and are written through an int. */
_Static_assert(sizeof(enum row_type) == sizeof(int), "enums are ints");

static int64_t
number_of(const struct row_field *fd, const void *obj)
{
    const char *at = (const char *)obj + fd->offset;
    int64_t i64;
    int32_t i32;
    bool b;

    switch (fd->type) {
    case ROW_I64:
        memcpy(&i64, at, sizeof(i64));
        return i64;
    case ROW_I32:
    case ROW_ENUM:
        memcpy(&i32, at, sizeof(i32));
        return i32;
    case ROW_BOOL:
        memcpy(&b, at, sizeof(b));
        return b;
    case ROW_TEXT:
    case ROW_END:
        break;
    }
    return 0;
}

static void
number_set(const struct row_field *fd, void *obj, int64_t v)
{
    char *at = (char *)obj + fd->offset;
    int32_t i32 = (int32_t)v;
    bool b = v != 0;

    switch (fd->type) {
    case ROW_I64:
        memcpy(at, &v, sizeof(v));
        break;
    case ROW_I32:
    case ROW_ENUM:
        memcpy(at, &i32, sizeof(i32));
        break;
    case ROW_BOOL:
        memcpy(at, &b, sizeof(b));
        break;
    case ROW_TEXT:
        *at = '\0';
        break;
    case ROW_END:
        break;
    }
}

static bool
is_plain(unsigned char c)
{
    return c > ' ' && c != '%' && c != 0x7f;
}

static void
text_encode(struct buf *out, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    char esc[3] = { '%' };
    size_t n = 0;

    for (;;) {
        while (is_plain((unsigned char)s[n]))
            n++;
        buf_add(out, s, n);
        if (s[n] == '\0')
            return;
        esc[1] = hex[(unsigned char)s[n] >> 4];
        esc[2] = hex[(unsigned char)s[n] & 15];
        buf_add(out, esc, sizeof(esc));
        s += n + 1;
        n = 0;
    }
}

static void
field_encode(struct buf *out, const struct row_field *fd, const void *obj, bool *first)
{
    const char *text = (const char *)obj + fd->offset;
    int64_t v = number_of(fd, obj);

    if (fd->type == ROW_TEXT ? *text == '\0' : v == fd->fallback)
        return;
    if (!*first)
        buf_char(out, ' ');
    *first = false;
    buf_char(out, fd->tag);
    if (fd->type == ROW_TEXT)
        text_encode(out, text);
    else if (fd->type != ROW_BOOL)
        buf_i64(out, v);
}

void
row_encode(struct buf *out, const struct row_field *fields, const void *obj)
{
    bool first = true;

    for (; fields->type != ROW_END; fields++)
        field_encode(out, fields, obj, &first);
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Bytes of s into out[max] with a NUL; false when it does not fit or is not ours. */
static bool
text_decode(const char *s, size_t len, char *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];

        if (c == '%') {
            if (len - i < 3 || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
                return false;
            c = hex_value(s[i + 1]) << 4 | hex_value(s[i + 2]);
            i += 2;
        } else if (!is_plain((unsigned char)c)) {
            return false;
        }
        if (n + 1 >= max)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n > 0 && json_utf8_is_valid(out, n);
}

/* Plain decimal as buf_i64 writes it: no plus, no leading zero, no "-0". */
static bool
number_decode(const char *s, size_t len, int64_t *v)
{
    bool minus = len > 0 && *s == '-';
    size_t i = minus ? 1 : 0;
    int64_t x = 0;

    if (i == len || (s[i] == '0' && len > 1))
        return false;
    for (; i < len; i++) {
        int d = s[i] - '0';

        if (d < 0 || d > 9 || __builtin_mul_overflow(x, 10, &x) ||
            __builtin_sub_overflow(x, d, &x))
            return false;
    }
    if (!minus && __builtin_sub_overflow(0, x, &x))
        return false;
    *v = x;
    return true;
}

static bool
number_fits(const struct row_field *fd, int64_t v)
{
    if (fd->type == ROW_ENUM)
        return v >= 0 && v < fd->max;
    if (fd->type == ROW_I32 && (v < INT32_MIN || v > INT32_MAX))
        return false;
    if (fd->from == 0 && fd->to == 0)
        return true;
    return v == fd->fallback || (v >= fd->from && v <= fd->to);
}

static bool
value_decode(const struct row_field *fd, const char *s, size_t len, void *obj)
{
    int64_t v = 1;

    if (fd->type == ROW_TEXT)
        return text_decode(s, len, (char *)obj + fd->offset, (size_t)fd->max);
    if (fd->type == ROW_BOOL ? len != 0 : !number_decode(s, len, &v) || !number_fits(fd, v))
        return false;
    number_set(fd, obj, v);
    return true;
}

/* The row of the table with that tag, looked for from `*at` on: rows come in table order. */
static const struct row_field *
field_find(const struct row_field *fields, size_t *at, char tag)
{
    size_t start = *at;

    do {
        const struct row_field *fd = &fields[(*at)++];

        if (fd->type == ROW_END)
            *at = 0;
        else if (fd->tag == tag)
            return fd;
    } while (*at != start);
    return NULL;
}

enum rc
row_decode(const char *s, size_t len, const struct row_field *fields, void *obj, struct fail *f)
{
    const char *end = s + len;
    uint64_t seen[2] = { 0 };
    size_t at = 0;

    for (const struct row_field *fd = fields; fd->type != ROW_END; fd++)
        number_set(fd, obj, fd->fallback);
    while (s < end) {
        const char *stop = memchr(s, ' ', (size_t)(end - s));
        const struct row_field *fd = field_find(fields, &at, *s);
        unsigned tag = (unsigned char)*s;

        if (stop == NULL)
            stop = end;
        else if (stop + 1 == end)
            return fail_log(f, RC_STATE_UNREADABLE, "row ends in a space");
        if (fd == NULL || (seen[tag >> 6] >> (tag & 63) & 1) != 0)
            return fail_log(f, RC_STATE_UNREADABLE, "row field 0x%02x unknown or twice", tag);
        seen[tag >> 6] |= 1ULL << (tag & 63);
        if (!value_decode(fd, s + 1, (size_t)(stop - s) - 1, obj))
            return fail_log(f, RC_STATE_UNREADABLE, "row field %c unreadable", fd->tag);
        s = stop == end ? end : stop + 1;
    }
    return RC_OK;
}
