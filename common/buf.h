/*
 * buf.h - a growing byte buffer with a hard maximum.
 *
 * Writers never check each append: an append that would pass the maximum is
 * dropped whole, like all after it, and sets `overflow`, which the owner looks at once, at the
 * end.
 * The bytes are always followed by a NUL that does not count in `len`.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t size; /* allocated */
    size_t max;  /* most that len may reach */
    bool overflow;
};

/* An empty buffer that may grow to `max` bytes. No allocation yet. */
void buf_init(struct buf *b, size_t max);
/* Free the bytes; the buffer can be used again with the same maximum. */
void buf_fini(struct buf *b);
/* Empty, keep the allocation, clear overflow. */
void buf_clear(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
/* Here, so that the length of a literal costs nothing. */
static inline void
buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}
void buf_char(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v); /* i64_print */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* `s` as a JSON string with its quotes (RFC 8259 section 7); s is valid UTF-8. */
void buf_json(struct buf *b, const char *s, size_t len);
/* epoch ms as a quoted ISO-8601 UTC time, "2026-11-22T15:46:43.096Z"; years 0001..9999,
 * what lies outside shows as the nearest instant inside. */
void buf_time(struct buf *b, int64_t at_ms);

/* Plain decimal, as "%" PRId64 but ten times as fast, into out; returns the length. */
#define I64_SIZE 21 /* the longest, and its NUL */
size_t i64_print(char out[I64_SIZE], int64_t v);

/* The bytes as a C string: "" when nothing was written. Borrowed. */
const char *buf_cstr(const struct buf *b);

#endif
