/*
 * row.h - one compact text row of tagged values, driven by a table.
 *
 * "i0b5f... x0 t60000 u1234": fields joined by one space, each a letter and its value. A field
 * at its default is left out; an unknown or repeated letter, a value out of range and any other
 * spelling of the same row's separators are errors. Values hold no space and no control
 * character (strings are percent-encoded), so rows can be lines of an event, and people can
 * read them. Decoding allocates nothing.
 */
#ifndef COMMON_ROW_H
#define COMMON_ROW_H

#include "rc.h"
#include <stddef.h>
#include <stdint.h>

struct buf;

/* What stored numbers may be: far beyond any session, and no sum of a few overflows. */
#define ROW_INSTANT_MAX 100000000000000LL /* epoch ms, the year 5138 */
#define ROW_SPAN_MAX 100000000000000LL
#define ROW_COUNT_MAX 9007199254740991LL /* what every JSON client keeps exact */

enum row_type {
    ROW_END,
    ROW_I64,  /* int64_t */
    ROW_I32,  /* int32_t */
    ROW_ENUM, /* an enum, 0..max-1 */
    ROW_BOOL, /* bool; present = true */
    ROW_ID,   /* char[ID_LEN + 1]: a UUID (id_is_uuid_shape) as it is; default "" */
    ROW_TEXT, /* char[max], NUL-terminated, percent-encoded on the wire; default "" */
};

/* A table has at most 64 rows and the one with ROW_END. */
struct row_field {
    char tag;
    enum row_type type;
    size_t offset;
    int64_t max;      /* ROW_ENUM: members; ROW_TEXT: size of the array */
    int64_t fallback; /* value when left out (numbers) */
    int64_t from, to; /* ROW_I64, ROW_I32: what is accepted besides the fallback; 0, 0: any */
};

/* Append the row of `obj`; no newline. */
void row_encode(struct buf *out, const struct row_field *fields, const void *obj);

/* Set every field of the table as in a row that says nothing. */
void row_blank(const struct row_field *fields, void *obj);
/* Fill `obj`, which is blank (row_blank), or a copy of one that is: for many rows of one kind.
 * The rest as row_decode. Costs about ten instructions per byte of the row. */
enum rc row_take(const char *s, size_t len, const struct row_field *fields, void *obj,
                 struct fail *f) MUSTCHECK;
/* Fill `obj` (every field of the table is set). RC_OK or RC_STATE_UNREADABLE; obj is then
 * partly filled and not to be used. */
enum rc row_decode(const char *s, size_t len, const struct row_field *fields, void *obj,
                   struct fail *f) MUSTCHECK;

#endif
