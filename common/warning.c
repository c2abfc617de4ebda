#include "warning.h"

#include "buf.h"
#include "row.h"
#include "session.h"

#define MARK '!'
#define W(member) offsetof(struct warning_note, member)

/* clang-format off */
static const struct row_field note_fields[] = {
    { 'i', ROW_TEXT, W(session_id),     ID_LEN + 1, 0, 0, 0 },
    { 'e', ROW_TEXT, W(epoch),          EPOCH_MAX,  0, 0, 0 },
    { 'v', ROW_I64,  W(version),        0,          0, 1, ROW_COUNT_MAX },
    { 's', ROW_I64,  W(server_time_ms), 0,          0, 1, ROW_INSTANT_MAX },
    { 'w', ROW_I64,  W(threshold_ms),   0,          0, 1, ROW_SPAN_MAX },
    { 'm', ROW_I64,  W(remaining_ms),   0,          0, 0, ROW_SPAN_MAX },
    { 'p', ROW_TEXT, W(participant_id), ID_LEN + 1, 0, 0, 0 },
    { 'g', ROW_TEXT, W(group_id),       ID_LEN + 1, 0, 0, 0 },
    { 0,   ROW_END,  0,                 0,          0, 0, 0 },
};
/* clang-format on */

/* Whose clock runs; nobody's where it is the session's. */
static void
name_owner(struct warning_note *w, const struct session *s)
{
    const struct participant *p;

    if (s->active < 0 || s->mode == MODE_GLOBAL || s->mode == MODE_COUNT_UP)
        return;
    p = &s->p[s->active];
    if (s->mode == MODE_PER_GROUP)
        memcpy(w->group_id, s->g[p->group].id, sizeof(w->group_id));
    else
        memcpy(w->participant_id, p->id, sizeof(w->participant_id));
}

void
warning_encode(struct buf *out, const struct session *s, int64_t threshold_ms,
               int64_t server_time_ms)
{
    struct warning_note w = {
        .version = s->version,
        .server_time_ms = server_time_ms,
        .threshold_ms = threshold_ms,
        .remaining_ms = session_running_clock(s, server_time_ms),
    };

    memcpy(w.session_id, s->id, sizeof(w.session_id));
    memcpy(w.epoch, s->epoch, sizeof(w.epoch));
    name_owner(&w, s);
    buf_char(out, MARK);
    row_encode(out, note_fields, &w);
}

bool
warning_is(const char *s, size_t len)
{
    return len > 0 && *s == MARK;
}

static bool
is_id_or_none(const char *id)
{
    return id[0] == '\0' || id_is_uuid_shape(id, strlen(id));
}

enum rc
warning_decode(const char *s, size_t len, struct warning_note *w, struct fail *f)
{
    enum rc rc;

    if (!warning_is(s, len))
        return fail_log(f, RC_STATE_UNREADABLE, "no warning");
    rc = row_decode(s + 1, len - 1, note_fields, w, f);
    if (rc != RC_OK)
        return rc;
    if (w->version < 1 || w->server_time_ms < 1 || w->threshold_ms < 1 ||
        !id_is_uuid_shape(w->session_id, strlen(w->session_id)) ||
        !epoch_is_valid(w->epoch, strlen(w->epoch)) || !is_id_or_none(w->participant_id) ||
        !is_id_or_none(w->group_id))
        return fail_log(f, RC_STATE_UNREADABLE, "warning is incomplete");
    return RC_OK;
}
