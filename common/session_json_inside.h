/*
 * session_json_inside.h - what the files of session_json.h share: session_json.c (the session)
 * and session_json_people.c (participants and groups). Nobody else includes this.
 */
#ifndef COMMON_SESSION_JSON_INSIDE_H
#define COMMON_SESSION_JSON_INSIDE_H

#include "buf.h"
#include "session_json.h"

/* Names and punctuation are literals of known length: one memcpy each. */
#define LIT(out, text) buf_add(out, text, sizeof(text) - 1)

static inline void
bool_add(struct buf *out, bool b)
{
    if (b)
        LIT(out, "true");
    else
        LIT(out, "false");
}

/* Words and ids of ours: nothing in them needs an escape. */
static inline void
word_add(struct buf *out, const char *s)
{
    buf_char(out, '"');
    buf_str(out, s);
    buf_char(out, '"');
}

/* -1: there is none, and the member is left out. */
static inline void
ms_add(struct buf *out, const char *name, int64_t ms)
{
    if (ms < 0)
        return;
    buf_str(out, name);
    buf_i64(out, ms);
}

/* ,"participants":[...] and ,"groups":[...]; `only` NULL: all of them. */
void session_json_participants(struct buf *out, const struct session *s,
                               const struct session_part *only, int64_t now);
void session_json_groups(struct buf *out, const struct session *s,
                         const struct session_part *only, int64_t now);

#endif
