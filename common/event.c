#include "event.h"

#include "buf.h"
#include "row.h"
#include "session_row.h"

#define E(member) offsetof(struct event, member)

/* clang-format off */
static const struct row_field event_fields[] = {
    { 't', ROW_ENUM, E(type),           EVENT__MAX,        0,  0, 0 },
    { 'r', ROW_ENUM, E(reason),         REASON__MAX,       0,  0, 0 },
    { 'i', ROW_ID,   E(session_id),     0,                 0,  0, 0 },
    { 'e', ROW_TEXT, E(epoch),          EPOCH_MAX,         0,  0, 0 },
    { 'v', ROW_I64,  E(version),        0,                 0,  1, ROW_COUNT_MAX },
    { 'a', ROW_I64,  E(at_ms),          0,                 0,  1, ROW_INSTANT_MAX },
    { 's', ROW_I64,  E(server_time_ms), 0,                 0,  1, ROW_INSTANT_MAX },
    { 'm', ROW_I64,  E(remaining_ms),   0,                 -1, 0, ROW_SPAN_MAX },
    { 'u', ROW_I64,  E(elapsed_ms),     0,                 -1, 0, ROW_SPAN_MAX },
    { 'n', ROW_I64,  E(cycle_number),   0,                 0,  0, ROW_COUNT_MAX },
    { 'k', ROW_ENUM, E(applied),        TIMEOUT__MAX,      0,  0, 0 },
    { 'p', ROW_ID,   E(participant_id), 0,                 0,  0, 0 },
    { 'x', ROW_ID,   E(expired_id),     0,                 0,  0, 0 },
    { 'g', ROW_ID,   E(group_id),       0,                 0,  0, 0 },
    { 'y', ROW_ID,   E(expired_group_id), 0,               0,  0, 0 },
    { 'w', ROW_TEXT, E(note),           SESSION_NOTE_MAX,  0,  0, 0 },
    { 'o', ROW_TEXT, E(actor),          SESSION_OWNER_MAX, 0,  0, 0 },
    { 0,   ROW_END,  0,                 0,                 0,  0, 0 },
};
/* clang-format on */

static void
line_add(void *ctx, const char *name, const char *value, size_t len)
{
    struct buf *out = ctx;

    buf_str(out, name);
    buf_char(out, ' ');
    buf_add(out, value, len);
    buf_char(out, '\n');
}

/* What is too long is cut between two UTF-8 characters. */
static void
text_set(char *out, size_t size, const char *s)
{
    size_t len = s == NULL ? 0 : strlen(s);

    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0)
        memcpy(out, s, len);
    out[len] = '\0';
}

/* Somebody, and the group, where the mode has groups. */
static void
who_set(const struct session *s, int32_t place, char id[ID_LEN + 1], char group_id[ID_LEN + 1])
{
    if (place < 0)
        return;
    memcpy(id, s->p[place].id, ID_LEN + 1);
    if (s->p[place].group >= 0)
        memcpy(group_id, s->g[s->p[place].group].id, ID_LEN + 1);
}

void
event_encode(struct buf *out, const struct session *s, const struct change *c,
             int64_t server_time_ms, const char *actor, bool all)
{
    struct event ev = {
        .type = c->type,
        .reason = c->reason,
        .version = c->version,
        .at_ms = c->at_ms,
        .server_time_ms = server_time_ms,
        .remaining_ms = c->remaining_ms,
        .elapsed_ms = c->elapsed_ms,
        .cycle_number = s->cycle_number,
        .applied = c->reason == REASON_TIMEOUT ? s->on_timeout.type : TIMEOUT_NONE,
    };

    text_set(ev.session_id, sizeof(ev.session_id), s->id);
    text_set(ev.epoch, sizeof(ev.epoch), s->epoch);
    text_set(ev.actor, sizeof(ev.actor), actor);
    text_set(ev.note, sizeof(ev.note), c->note);
    who_set(s, c->participant, ev.participant_id, ev.group_id);
    who_set(s, c->expired, ev.expired_id, ev.expired_group_id);
    row_encode(out, event_fields, &ev);
    buf_char(out, '\n');
    session_fields(s, all, line_add, out);
}

void
event_snapshot(struct buf *out, const struct session *s)
{
    session_fields(s, true, line_add, out);
}

static bool
event_is_whole(const struct event *ev)
{
    return ev->type != EVENT_NONE && ev->version > 0 && ev->at_ms > 0 &&
           ev->server_time_ms > 0 && ev->session_id[0] != '\0' &&
           epoch_is_valid(ev->epoch, strlen(ev->epoch));
}

enum rc
event_decode(const char *s, size_t len, struct event *ev, struct fail *f)
{
    const char *end = len == 0 ? NULL : memchr(s, '\n', len);
    enum rc rc;

    if (end == NULL)
        return fail_log(f, RC_STATE_UNREADABLE, "event without a first line");
    rc = row_decode(s, (size_t)(end - s), event_fields, ev, f);
    if (rc != RC_OK)
        return rc;
    if (!event_is_whole(ev))
        return fail_log(f, RC_STATE_UNREADABLE, "event row is incomplete");
    ev->fields = end + 1;
    ev->fields_len = len - (size_t)(end + 1 - s);
    return RC_OK;
}

static enum rc
line_take(const char *line, size_t len, struct session *s, struct fail *f)
{
    const char *space = memchr(line, ' ', len);
    size_t name_len;

    if (space == NULL)
        return fail_log(f, RC_STATE_UNREADABLE, "event line without a value");
    name_len = (size_t)(space - line);
    return session_field_set(s, line, name_len, space + 1, len - name_len - 1, f);
}

enum rc
event_lines_take(const char *s, size_t len, struct session *out, struct fail *f)
{
    while (len > 0) {
        const char *end = memchr(s, '\n', len);
        size_t used;
        enum rc rc;

        if (end == NULL)
            return fail_log(f, RC_STATE_UNREADABLE, "event line is cut off");
        used = (size_t)(end - s) + 1;
        rc = line_take(s, used - 1, out, f);
        if (rc != RC_OK)
            return rc;
        s += used;
        len -= used;
    }
    return RC_OK;
}

enum rc
event_lines_apply(const char *s, size_t len, struct session *out, struct fail *f)
{
    enum rc rc = event_lines_take(s, len, out, f);

    return rc == RC_OK ? session_fields_done(out, f) : rc;
}

enum rc
event_apply(const struct event *ev, struct session *s, struct fail *f)
{
    enum rc rc;

    if (ev->type == EVENT_SESSION_CREATED) {
        session_fini(s);
        session_init(s);
    }
    rc = event_lines_apply(ev->fields, ev->fields_len, s, f);
    if (rc != RC_OK)
        return rc;
    if (!id_equal(s->id, ev->session_id))
        return fail_log(f, RC_STATE_UNREADABLE, "event of another session");
    s->version = ev->version;
    memcpy(s->epoch, ev->epoch, sizeof(s->epoch));
    return RC_OK;
}
