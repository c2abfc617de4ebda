/*
 * audit_copy.h - rows in COPY's text format: columns by tabs, rows by newlines, \N for NULL.
 */
#ifndef BROADCASTER_AUDIT_COPY_H
#define BROADCASTER_AUDIT_COPY_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Bytes of a column, escaped; copy_end_column ends it. */
void copy_raw(struct buf *out, const char *s, size_t len);
void copy_end_column(struct buf *out);
/* A column; "" and NULL are NULL. */
void copy_text(struct buf *out, const char *s);
/* A column; `none` is NULL. */
void copy_int(struct buf *out, int64_t v, int64_t none);
/* The last column ends with the row. */
void copy_end_row(struct buf *out);

#endif
