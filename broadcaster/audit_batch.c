#include "audit_batch.h"

#include "audit_copy.h"
#include "audit_summary.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"
#include "common/session_json.h"
#include "common/session_row.h"

#define ROWS_MAX (512u << 20)
#define JSON_MAX (4u << 20)

struct audit_batch {
    struct buf events, sessions, participants, json;
    struct audit_summaries *summaries;
    struct session state; /* scratch: the fields of one record */
};

struct audit_batch *
audit_batch_new(void)
{
    struct audit_batch *b = xalloc(sizeof(*b));

    buf_init(&b->events, ROWS_MAX);
    buf_init(&b->sessions, ROWS_MAX);
    buf_init(&b->participants, ROWS_MAX);
    buf_init(&b->json, JSON_MAX);
    b->summaries = audit_summaries_new();
    session_init(&b->state);
    return b;
}

void
audit_batch_clear(struct audit_batch *b)
{
    audit_summaries_clear(b->summaries);
    buf_clear(&b->events);
}

void
audit_batch_free(struct audit_batch *b)
{
    if (b == NULL)
        return;
    audit_summaries_free(b->summaries);
    buf_fini(&b->events);
    buf_fini(&b->sessions);
    buf_fini(&b->participants);
    buf_fini(&b->json);
    session_fini(&b->state);
    free(b);
}

/* --- one record --- */

/* The state behind the record as clients see it. */
static void
put_state(struct audit_batch *b, const struct event *ev)
{
    buf_clear(&b->json);
    session_json(&b->json, &b->state, ev->server_time_ms);
    copy_raw(&b->events, buf_cstr(&b->json), b->json.len);
    copy_end_column(&b->events);
}

/* The event names it in per_group; elsewhere a group is only a word of the participant. */
static const char *
group_of(const struct audit_batch *b, const struct event *ev)
{
    int32_t place =
        ev->participant_id[0] == '\0' ? -1 : session_find(&b->state, ev->participant_id);

    if (ev->group_id[0] != '\0')
        return ev->group_id;
    return place < 0 ? "" : b->state.p[place].group_id;
}

static void
put_event(struct audit_batch *b, const struct audit_record *r, const struct event *ev)
{
    struct buf *out = &b->events;

    copy_text(out, ev->session_id);
    copy_text(out, event_type_name(ev->type));
    copy_text(out, ev->participant_id);
    copy_text(out, group_of(b, ev));
    copy_int(out, ev->remaining_ms, -1);
    copy_int(out, ev->elapsed_ms, -1);
    copy_int(out, ev->cycle_number, -1);
    copy_int(out, ev->at_ms, -1);
    if (r->snapshot_len > 0)
        put_state(b, ev);
    else
        copy_text(out, NULL);
    copy_text(out, ev->epoch);
    copy_int(out, ev->version, -1);
    copy_text(out, ev->actor);
    copy_text(out, ev->note[0] != '\0' ? ev->note : change_reason_name(ev->reason));
    copy_int(out, ev->server_time_ms, -1);
    copy_raw(out, ev->fields, ev->fields_len);
    copy_end_column(out);
    if (r->snapshot_len > 0)
        copy_raw(out, r->snapshot, r->snapshot_len);
    else
        buf_str(out, "\\N");
    copy_end_column(out);
    copy_int(out, r->partition, -1);
    copy_int(out, epoch_life(ev->epoch), -1);
    copy_int(out, r->number, 0);
    copy_end_row(out);
}

enum rc
audit_batch_add(struct audit_batch *b, const struct audit_record *r, struct fail *f)
{
    bool whole = r->snapshot_len > 0;
    struct event ev;
    enum rc rc = event_decode(r->event, r->event_len, &ev, f);

    if (rc != RC_OK)
        return rc;
    session_fini(&b->state);
    session_init(&b->state);
    rc = whole ? event_lines_apply(r->snapshot, r->snapshot_len, &b->state, f)
               : event_lines_take(ev.fields, ev.fields_len, &b->state, f);
    if (rc == RC_OK && b->state.id[0] != '\0' && !id_equal(b->state.id, ev.session_id))
        rc = fail_log(f, RC_STATE_UNREADABLE, "record of another session");
    if (rc != RC_OK)
        return rc;
    b->state.version = ev.version;
    memcpy(b->state.epoch, ev.epoch, sizeof(ev.epoch));
    put_event(b, r, &ev);
    audit_summaries_take(b->summaries, &b->state, &ev, whole);
    return RC_OK;
}

/* --- rows --- */

const struct buf *
audit_batch_events(const struct audit_batch *b)
{
    return &b->events;
}

const struct buf *
audit_batch_sessions(struct audit_batch *b)
{
    buf_clear(&b->sessions);
    audit_summaries_print_sessions(b->summaries, &b->sessions);
    return &b->sessions;
}

const struct buf *
audit_batch_participants(struct audit_batch *b)
{
    buf_clear(&b->participants);
    audit_summaries_print_participants(b->summaries, &b->participants);
    return &b->participants;
}
