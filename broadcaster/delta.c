#include "delta.h"

#include "common/event.h"
#include "common/session.h"

#include <assert.h>
#include <string.h>

#define TEXT_MAX (64 * 1024)

void
delta_init(struct delta *d)
{
    memset(d, 0, sizeof(*d));
    buf_init(&d->before, TEXT_MAX);
    buf_init(&d->after, TEXT_MAX);
}

void
delta_fini(struct delta *d)
{
    buf_fini(&d->before);
    buf_fini(&d->after);
}

void
delta_begin(struct delta *d, const struct session *s, int64_t at_ms)
{
    d->version = s->version;
    d->active = s->active;
    d->runs = s->status == STATUS_RUNNING;
    d->timed_out = s->last_timeout.version != 0;
    d->clock_ms = session_clock(s, at_ms);
    buf_clear(&d->before);
    session_json_minimal(&d->before, s, at_ms);
    assert(!d->before.overflow);
}

/* --- who has changed --- */

static void
all_of(struct delta *d, const struct session *s)
{
    for (size_t k = 0; k < s->n; k++)
        session_part_add(d->part.p, k);
}

/* A group, and what its members show of it. */
static void
group_of(struct delta *d, const struct session *s, size_t group)
{
    session_part_add(d->part.g, group);
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].group == (int32_t)group)
            session_part_add(d->part.p, k);
}

static void
participant_of(struct delta *d, const struct session *s, int32_t place)
{
    if (place < 0)
        return;
    session_part_add(d->part.p, (size_t)place);
    if (s->p[place].group >= 0)
        session_part_add(d->part.g, (size_t)s->p[place].group);
}

/* Whoever is or was on, and all who show the same clock. */
static void
turn_of(struct delta *d, const struct session *s, int32_t place)
{
    participant_of(d, s, place);
    if (place >= 0 && s->p[place].group >= 0)
        group_of(d, s, (size_t)s->p[place].group);
}

/* "p:7 i0b5f... x3": the row of a participant, or of a group. */
static void
line_of(struct delta *d, const struct session *s, const char *line)
{
    size_t place;

    if (line[1] != ':')
        return;
    place = strtoul(line + 2, NULL, 10);
    if (line[0] == 'p' && place < s->n)
        participant_of(d, s, (int32_t)place);
    else if (line[0] == 'g' && place < s->n_groups)
        group_of(d, s, place);
}

static void
lines_of(struct delta *d, const struct session *s, const struct event *ev)
{
    const char *at = ev->fields, *end = ev->fields + ev->fields_len;

    while (end - at > 2) {
        const char *next = memchr(at, '\n', (size_t)(end - at));

        line_of(d, s, at);
        if (next == NULL)
            break;
        at = next + 1;
    }
}

/* In what is new, null would be taken for a member that goes (RFC 7396, section 1). Of all that
 * changes, only the caller's own penalty can hold one; a text with that word costs little. */
static bool
brings_null(const struct delta *d, const struct session *s)
{
    return !d->timed_out && s->last_timeout.version != 0 &&
           strstr(s->on_timeout.penalty, "null") != NULL;
}

bool
delta_end(struct delta *d, const struct event *ev, const struct session *s)
{
    memset(&d->part, 0, sizeof(d->part));
    lines_of(d, s, ev);
    if (d->runs || s->status == STATUS_RUNNING || d->active != s->active) {
        turn_of(d, s, d->active);
        turn_of(d, s, s->active);
    }
    /* everybody shows the one clock of the session */
    if (s->mode == MODE_GLOBAL &&
        (d->runs || d->clock_ms != session_clock(s, ev->server_time_ms)))
        all_of(d, s);
    buf_clear(&d->after);
    session_json_minimal(&d->after, s, ev->server_time_ms);
    assert(!d->after.overflow);
    return !brings_null(d, s);
}

/* --- the patch --- */

/* One member of an object: the name with its quotes. */
struct member {
    const char *name, *value;
    size_t name_len, len;
};

/* Behind the string that begins at s. */
static const char *
skip_string(const char *s)
{
    for (s++; *s != '"'; s++)
        if (*s == '\\')
            s++;
    return s + 1;
}

/* Behind the value that begins at s. */
static const char *
skip_value(const char *s)
{
    int depth = 0;

    for (;;) {
        if (*s == '"')
            s = skip_string(s);
        else if (*s == '{' || *s == '[')
            depth++, s++;
        else if (depth > 0 && (*s == '}' || *s == ']'))
            depth--, s++;
        else
            s++;
        if (depth == 0 && (*s == ',' || *s == '}' || *s == ']' || *s == '\0'))
            return s;
    }
}

/* The member at *at, which stands on the `{` or `,` before it; false at the end. */
static bool
next_member(const char **at, struct member *m)
{
    if (**at == '}' || (*at)[1] == '}')
        return false;
    m->name = *at + 1;
    m->value = skip_string(m->name) + 1;
    m->name_len = (size_t)(m->value - 1 - m->name);
    *at = skip_value(m->value);
    m->len = (size_t)(*at - m->value);
    return true;
}

static bool
same_name(const struct member *a, const struct member *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* Both texts have the same order, so it mostly stands at *hint. */
static bool
find_member(const char *object, const char **hint, const struct member *like, struct member *m)
{
    const char *at = *hint;

    while (next_member(&at, m))
        if (same_name(m, like)) {
            *hint = at;
            return true;
        }
    at = object;
    while (at < *hint && next_member(&at, m))
        if (same_name(m, like)) {
            *hint = at;
            return true;
        }
    return false;
}

static bool
runs_by_itself(const struct member *m)
{
    static const char *const names[] = { "\"time_remaining_ms\"", "\"time_elapsed_ms\"" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (m->name_len == strlen(names[i]) && memcmp(m->name, names[i], m->name_len) == 0)
            return true;
    return false;
}

static void
name_add(struct buf *out, const struct member *m, bool *comma)
{
    if (*comma)
        buf_char(out, ',');
    *comma = true;
    buf_add(out, m->name, m->name_len);
    buf_char(out, ':');
}

static void
nulls_add(struct buf *out, const char *before, const char *after, bool *comma)
{
    const char *at = before, *hint = after;
    struct member was, is;

    while (next_member(&at, &was)) {
        if (find_member(after, &hint, &was, &is))
            continue;
        name_add(out, &was, comma);
        buf_str(out, "null");
    }
}

void
delta_patch(struct buf *out, const char *before, const char *after)
{
    const char *at = after, *hint = before;
    struct member is, was;
    bool comma = false;

    buf_char(out, '{');
    while (next_member(&at, &is)) {
        bool known = find_member(before, &hint, &is, &was);

        if (known && !runs_by_itself(&is) && was.len == is.len &&
            memcmp(was.value, is.value, is.len) == 0)
            continue;
        name_add(out, &is, &comma);
        if (known && *was.value == '{' && *is.value == '{')
            delta_patch(out, was.value, is.value); /* as deep as our own objects are */
        else
            buf_add(out, is.value, is.len);
    }
    nulls_add(out, before, after, &comma);
    buf_char(out, '}');
}
