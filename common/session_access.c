/*
 * Who may see a session, as it is stored: the field `x` of its hash, "0" or "1" (private), then
 * the readers, each with a tab on both sides, so that looking for one is looking for a text.
 */
#include "arena.h"
#include "buf.h"
#include "session.h"
#include "session_row.h"

#define TEXT_MAX (SESSION_READERS_MAX * (SESSION_OWNER_MAX + 1) + 2)

bool
session_add_reader(struct session *s, const char *sub)
{
    size_t len = s->readers ? strlen(s->readers) : 0, sub_len = strlen(sub);

    if (sub_len == 0 || sub_len >= SESSION_OWNER_MAX || strchr(sub, '\t') ||
        len + sub_len + 3 > TEXT_MAX)
        return false;
    s->readers = xrealloc(s->readers, len + sub_len + 3);
    snprintf(s->readers + len, sub_len + 3, "%s%s\t", len == 0 ? "\t" : "", sub);
    return true;
}

bool
session_has_reader(const struct session *s, const char *sub)
{
    const char *at = s->readers;
    size_t len = strlen(sub);

    if (len == 0 || strchr(sub, '\t'))
        return false;
    while (at && (at = strstr(at, sub)) != NULL) {
        if (at[-1] == '\t' && at[len] == '\t') /* the text begins with a tab, and ends */
            return true;
        at++;
    }
    return false;
}

void
session_access_field(const struct session *s, struct buf *out)
{
    if (!s->is_private && !s->readers)
        return;
    buf_char(out, s->is_private ? '1' : '0');
    buf_str(out, s->readers ? s->readers : "");
}

enum rc
session_access_set(struct session *s, const char *value, size_t len, struct fail *f)
{
    bool listed = len > 1;

    if (len == 0 || len > TEXT_MAX || (*value != '0' && *value != '1') ||
        (listed && (len < 4 || value[1] != '\t' || value[len - 1] != '\t')) ||
        memchr(value, '\0', len) || memchr(value, '\n', len))
        return fail_log(f, RC_STATE_UNREADABLE, "a list of readers that is none");
    free(s->readers);
    s->readers = NULL;
    s->is_private = *value == '1';
    if (!listed)
        return RC_OK;
    s->readers = xalloc(len);
    memcpy(s->readers, value + 1, len - 1);
    return RC_OK;
}
