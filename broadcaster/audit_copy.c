#include "audit_copy.h"

#include "common/buf.h"

#include <assert.h>
#include <string.h>

void
copy_raw(struct buf *out, const char *s, size_t len)
{
    while (len > 0) {
        size_t run = 0;

        while (run < len && s[run] != '\\' && s[run] != '\n' && s[run] != '\t' &&
               s[run] != '\r')
            run++;
        buf_add(out, s, run);
        if (run == len)
            return;
        buf_char(out, '\\');
        buf_char(out, s[run] == '\\'   ? '\\'
                      : s[run] == '\n' ? 'n'
                      : s[run] == '\t' ? 't'
                                       : 'r');
        s += run + 1;
        len -= run + 1;
    }
}

void
copy_end_column(struct buf *out)
{
    buf_char(out, '\t');
}

void
copy_text(struct buf *out, const char *s)
{
    if (s == NULL || *s == '\0')
        buf_str(out, "\\N");
    else
        copy_raw(out, s, strlen(s));
    copy_end_column(out);
}

void
copy_int(struct buf *out, int64_t v, int64_t none)
{
    if (v == none)
        buf_str(out, "\\N");
    else
        buf_i64(out, v);
    copy_end_column(out);
}

void
copy_end_row(struct buf *out)
{
    assert(out->overflow || out->data[out->len - 1] == '\t');
    if (!out->overflow)
        out->data[out->len - 1] = '\n';
}
