#include "row.h"

#include "buf.h"
#include "id.h"
#include "json.h"
#include <stdbool.h>

#define SAFE_DIGITS 17 /* one more fits into 64 bits, whatever they all are */

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
    case ROW_ID:
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
    case ROW_ID:
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
    bool is_text = fd->type == ROW_TEXT || fd->type == ROW_ID;
    int64_t v = number_of(fd, obj);

    if (is_text ? *text == '\0' : v == fd->fallback)
        return;
    if (!*first)
        buf_char(out, ' ');
    *first = false;
    buf_char(out, fd->tag);
    if (is_text)
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

/* As field_encode writes them: no text has a second spelling. */
static int
own_hex(char c)
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
            if (len - i < 3 || own_hex(s[i + 1]) < 0 || own_hex(s[i + 2]) < 0)
                return false;
            c = own_hex(s[i + 1]) << 4 | own_hex(s[i + 2]);
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

/* A number that may be too long for 64 bits: digits of [s, end). */
static bool
long_decode(const char *s, const char *end, bool minus, int64_t *v)
{
    int64_t x = 0;

    for (; s < end; s++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_sub_overflow(x, *s - '0', &x))
            return false;
    if (!minus && __builtin_sub_overflow(0, x, &x))
        return false;
    *v = x;
    return true;
}

/*
 * Plain decimal as buf_i64 writes it: no plus, no leading zero, no "-0". Returns the first byte
 * behind it, NULL when there is none.
 */
static const char *
number_decode(const char *s, const char *end, int64_t *v)
{
    bool minus = s < end && *s == '-';
    const char *first = minus ? s + 1 : s;
    int64_t x = 0;

    for (s = first; s < end && s - first <= SAFE_DIGITS && *s >= '0' && *s <= '9'; s++)
        x = x * 10 + (*s - '0');
    if (s == first || (*first == '0' && (minus || s - first > 1)))
        return NULL;
    *v = minus ? -x : x;
    if (s - first <= SAFE_DIGITS)
        return s;
    while (s < end && *s >= '0' && *s <= '9')
        s++;
    return long_decode(first, s, minus, v) ? s : NULL;
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

static const char *
id_decode(const char *s, const char *end, char *out)
{
    if (end - s < ID_LEN || !id_is_uuid_shape(s, ID_LEN))
        return NULL;
    memcpy(out, s, ID_LEN);
    out[ID_LEN] = '\0';
    return s + ID_LEN;
}

/* The value that begins at s; returns the first byte behind it, NULL when it is none. */
static const char *
value_decode(const struct row_field *fd, const char *s, const char *end, void *obj)
{
    char *at = (char *)obj + fd->offset;
    const char *stop;
    int64_t v = 1;

    switch (fd->type) {
    case ROW_ID:
        return id_decode(s, end, at);
    case ROW_TEXT:
        stop = memchr(s, ' ', (size_t)(end - s));
        if (stop == NULL)
            stop = end;
        return text_decode(s, (size_t)(stop - s), at, (size_t)fd->max) ? stop : NULL;
    case ROW_BOOL:
        number_set(fd, obj, v);
        return s;
    default:
        stop = number_decode(s, end, &v);
        if (stop == NULL || !number_fits(fd, v))
            return NULL;
        if (fd->type == ROW_I64)
            memcpy(at, &v, sizeof(v)); /* nearly all are */
        else
            number_set(fd, obj, v);
        return stop;
    }
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

void
row_blank(const struct row_field *fields, void *obj)
{
    for (const struct row_field *fd = fields; fd->type != ROW_END; fd++)
        number_set(fd, obj, fd->fallback);
}

enum rc
row_take(const char *s, size_t len, const struct row_field *fields, void *obj, struct fail *f)
{
    const char *end = s + len;
    uint64_t seen = 0; /* bit k: fields[k] */
    size_t at = 0;

    while (s < end) {
        const struct row_field *fd = field_find(fields, &at, *s);

        if (fd == NULL || (seen >> (fd - fields) & 1) != 0)
            return fail_log(f, RC_STATE_UNREADABLE, "row field 0x%02x unknown or twice",
                            (unsigned char)*s);
        seen |= 1ULL << (fd - fields);
        s = value_decode(fd, s + 1, end, obj);
        if (s == NULL || (s < end && *s != ' '))
            return fail_log(f, RC_STATE_UNREADABLE, "row field %c unreadable", fd->tag);
        if (s == end)
            return RC_OK;
        if (++s == end)
            return fail_log(f, RC_STATE_UNREADABLE, "row ends in a space");
    }
    return RC_OK;
}

enum rc
row_decode(const char *s, size_t len, const struct row_field *fields, void *obj, struct fail *f)
{
    row_blank(fields, obj);
    return row_take(s, len, fields, obj, f);
}
