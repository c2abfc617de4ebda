#include "audit_batch.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"
#include "common/session_json.h"
#include "common/session_row.h"

#include <assert.h>

#define uthash_fatal(text) abort()
#include <uthash.h>

#define ROWS_MAX (512u << 20)
#define JSON_MAX (4u << 20)

/* A participant, as far as the records of the batch tell. */
struct seat {
    bool has_row; /* p is known */
    struct participant p;
    int64_t version; /* of the record that p is from */
    int64_t first_active_ms, last_active_ms, seen_ms;
};

/* A session, as far as the records of the batch tell: of its newest birth. */
struct summary {
    UT_hash_handle hh;
    char id[ID_LEN + 1]; /* lower case */
    char epoch[EPOCH_MAX];
    int64_t version;
    int64_t at_ms, deleted_ms;
    char actor[SESSION_OWNER_MAX];
    bool has_header; /* `header` is known; what it would own is not used */
    bool is_whole;   /* there was a record with all fields */
    struct session header;
    char *metadata;
    struct seat *seat;
    size_t n;
};

struct audit_batch {
    struct buf events, sessions, participants, json;
    struct summary *summaries;
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
    session_init(&b->state);
    return b;
}

static void
drop_summaries(struct audit_batch *b)
{
    struct summary *s = b->summaries, *next;

    HASH_CLEAR(hh, b->summaries); /* frees its own memory; the list stays in ours */
    for (; s != NULL; s = next) {
        next = s->hh.next;
        free(s->metadata);
        free(s->seat);
        free(s);
    }
}

void
audit_batch_clear(struct audit_batch *b)
{
    drop_summaries(b);
    buf_clear(&b->events);
}

void
audit_batch_free(struct audit_batch *b)
{
    if (b == NULL)
        return;
    drop_summaries(b);
    buf_fini(&b->events);
    buf_fini(&b->sessions);
    buf_fini(&b->participants);
    buf_fini(&b->json);
    session_fini(&b->state);
    free(b);
}

/* --- COPY's text format: columns by tabs, rows by newlines, \N for NULL --- */

static void
put_raw(struct buf *out, const char *s, size_t len)
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

static void
end_column(struct buf *out)
{
    buf_char(out, '\t');
}

/* "" is NULL. */
static void
put_text(struct buf *out, const char *s)
{
    if (s == NULL || *s == '\0')
        buf_str(out, "\\N");
    else
        put_raw(out, s, strlen(s));
    end_column(out);
}

/* `none` is NULL. */
static void
put_int(struct buf *out, int64_t v, int64_t none)
{
    if (v == none)
        buf_str(out, "\\N");
    else
        buf_i64(out, v);
    end_column(out);
}

/* The last column ends with the row. */
static void
end_row(struct buf *out)
{
    assert(out->overflow || out->data[out->len - 1] == '\t');
    if (!out->overflow)
        out->data[out->len - 1] = '\n';
}

/* --- one record --- */

/* The state behind the record as clients see it. */
static void
put_state(struct audit_batch *b, const struct event *ev)
{
    buf_clear(&b->json);
    session_json(&b->json, &b->state, ev->server_time_ms);
    put_raw(&b->events, buf_cstr(&b->json), b->json.len);
    end_column(&b->events);
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

    put_text(out, ev->session_id);
    put_text(out, event_type_name(ev->type));
    put_text(out, ev->participant_id);
    put_text(out, group_of(b, ev));
    put_int(out, ev->remaining_ms, -1);
    put_int(out, ev->elapsed_ms, -1);
    put_int(out, ev->cycle_number, -1);
    put_int(out, ev->at_ms, -1);
    if (r->snapshot_len > 0)
        put_state(b, ev);
    else
        put_text(out, NULL);
    put_text(out, ev->epoch);
    put_int(out, ev->version, -1);
    put_text(out, ev->actor);
    put_text(out, ev->note[0] != '\0' ? ev->note : change_reason_name(ev->reason));
    put_int(out, ev->server_time_ms, -1);
    put_raw(out, ev->fields, ev->fields_len);
    end_column(out);
    if (r->snapshot_len > 0)
        put_raw(out, r->snapshot, r->snapshot_len);
    else
        buf_str(out, "\\N");
    end_column(out);
    put_int(out, r->partition, -1);
    put_int(out, epoch_life(ev->epoch), -1);
    put_int(out, r->number, 0);
    end_row(out);
}

/* --- summaries --- */

/* What two lives of one session have in common: "<created>-<random>". */
static int
compare_births(const char *a, const char *b)
{
    return strncmp(a, b, strcspn(a, "."));
}

static int
compare_marks(const struct summary *s, const struct event *ev)
{
    int order = strcmp(s->epoch, ev->epoch);

    if (order != 0)
        return order;
    return s->version < ev->version ? -1 : s->version > ev->version;
}

static struct summary *
find_summary(struct audit_batch *b, const struct event *ev)
{
    char id[ID_LEN + 1];
    struct summary *s;

    id_lower(ev->session_id, id);
    HASH_FIND(hh, b->summaries, id, ID_LEN, s);
    if (s == NULL) {
        s = xalloc(sizeof(*s));
        memcpy(s->id, id, sizeof(id));
        HASH_ADD(hh, b->summaries, id, ID_LEN, s);
    }
    return s;
}

static struct seat *
find_seat(struct summary *s, size_t place)
{
    if (place >= s->n) {
        s->seat = xrealloc(s->seat, (place + 1) * sizeof(*s->seat));
        memset(s->seat + s->n, 0, (place + 1 - s->n) * sizeof(*s->seat));
        s->n = place + 1;
    }
    return &s->seat[place];
}

/* Nothing but the mark: what was known is of an earlier birth. */
static void
begin_birth(struct summary *s)
{
    free(s->metadata);
    s->metadata = NULL;
    s->n = 0;
    s->has_header = s->is_whole = false;
    s->deleted_ms = 0;
    s->version = 0;
    s->epoch[0] = '\0';
}

static void
mark_active(struct seat *seat, int64_t at_ms)
{
    if (seat->first_active_ms == 0 || at_ms < seat->first_active_ms)
        seat->first_active_ms = at_ms;
    if (at_ms > seat->last_active_ms)
        seat->last_active_ms = at_ms;
}

/* Whether a row of this record was touched because its clock ran. */
static bool
is_about_time(enum event_type type)
{
    return type != EVENT_SESSION_CREATED && type != EVENT_PARTICIPANT_ADDED &&
           type != EVENT_PARTICIPANT_ADJUSTED && type != EVENT_PARTICIPANT_REMOVED;
}

/* In per_group the row tells only the group's place; a record may leave the group out. */
static void
take_row(struct seat *seat, const struct session *state, size_t place, int64_t version)
{
    char known[ID_LEN + 1];

    memcpy(known, seat->p.group_id, sizeof(known));
    seat->p = state->p[place];
    seat->version = version;
    if (seat->p.group < 0)
        return;
    if ((size_t)seat->p.group < state->n_groups && state->g[seat->p.group].id[0] != '\0')
        memcpy(seat->p.group_id, state->g[seat->p.group].id, sizeof(seat->p.group_id));
    else
        memcpy(seat->p.group_id, known, sizeof(known));
}

static void
sum_seats(struct summary *s, const struct session *state, const struct event *ev, bool whole)
{
    for (size_t k = 0; k < state->n; k++) {
        struct seat *seat;

        if (state->p[k].id[0] == '\0') /* the record says nothing of this one */
            continue;
        seat = find_seat(s, k);
        if (!seat->has_row || ev->version >= seat->version)
            take_row(seat, state, k, ev->version);
        seat->has_row = true;
        if (seat->seen_ms == 0 || ev->at_ms < seat->seen_ms)
            seat->seen_ms = ev->at_ms;
        if (!whole && is_about_time(ev->type) && state->p[k].time_used_ms > 0)
            mark_active(seat, ev->at_ms);
    }
}

static void
sum_header(struct summary *s, const struct session *state)
{
    s->header = *state;
    s->header.p = NULL;
    s->header.g = NULL;
    s->header.metadata = NULL;
    s->has_header = true;
}

/* `whole`: state has all fields, not only those that have changed. */
static void
sum(struct audit_batch *b, const struct event *ev, bool whole)
{
    const struct session *state = &b->state;
    struct summary *s = find_summary(b, ev);
    bool has_header = state->id[0] != '\0';

    if (s->version != 0 && compare_births(s->epoch, ev->epoch) > 0)
        return; /* of an earlier one */
    if (s->version != 0 && compare_births(s->epoch, ev->epoch) < 0)
        begin_birth(s);
    sum_seats(s, state, ev, whole);
    if (has_header && state->status == STATUS_RUNNING && state->active >= 0)
        mark_active(find_seat(s, (size_t)state->active), ev->at_ms);
    if (state->metadata != NULL && s->metadata == NULL)
        s->metadata = xstrdup(state->metadata);
    s->is_whole = s->is_whole || whole;
    if (ev->type == EVENT_SESSION_DELETED)
        s->deleted_ms = ev->at_ms;
    if (s->version != 0 && compare_marks(s, ev) >= 0)
        return;
    if (has_header)
        sum_header(s, state);
    memcpy(s->epoch, ev->epoch, sizeof(s->epoch));
    memcpy(s->actor, ev->actor, sizeof(s->actor));
    s->version = ev->version;
    s->at_ms = ev->at_ms;
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
    sum(b, &ev, whole);
    return RC_OK;
}

/* --- rows of summaries --- */

const struct buf *
audit_batch_events(const struct audit_batch *b)
{
    return &b->events;
}

static int
by_id(const struct summary *a, const struct summary *b)
{
    return strcmp(a->id, b->id);
}

static void
put_header(struct buf *out, const struct summary *s)
{
    const struct session *h = &s->header;

    put_text(out, s->has_header ? sync_mode_name(h->mode) : "");
    put_text(out, s->has_header ? sync_status_name(h->status) : "");
    put_text(out, s->has_header && sync_status_is_terminal(h->status)
                      ? sync_status_name(h->status)
                      : "");
    put_int(out, s->has_header ? h->time_per_cycle_ms : -1, -1);
    put_int(out, s->has_header ? h->increment_ms : 0, -1);
    put_int(out, s->has_header ? h->max_time_ms : -1, -1);
    put_int(out, s->has_header ? h->created_at : 0, 0);
    put_int(out, s->has_header ? h->session_started_at : 0, 0);
    put_int(out, s->has_header ? h->session_completed_at : 0, 0);
    put_int(out, s->has_header ? h->cycle_number : 0, -1);
    put_text(out, s->has_header ? h->owner : "");
}

const struct buf *
audit_batch_sessions(struct audit_batch *b)
{
    struct buf *out = &b->sessions;

    buf_clear(out);
    HASH_SORT(b->summaries, by_id);
    for (const struct summary *s = b->summaries; s != NULL; s = s->hh.next) {
        put_text(out, s->id);
        put_text(out, s->epoch);
        put_int(out, s->version, -1);
        put_int(out, s->is_whole, -1);
        put_header(out, s);
        put_text(out, s->actor);
        put_int(out, s->at_ms, 0);
        put_int(out, s->deleted_ms, 0);
        put_int(out, (int64_t)s->n, -1);
        put_text(out, s->metadata);
        end_row(out);
    }
    return out;
}

static void
put_seat(struct buf *out, const struct summary *s, size_t place)
{
    const struct seat *seat = &s->seat[place];

    put_text(out, s->id);
    put_int(out, (int64_t)place, -1);
    put_text(out, s->epoch);
    put_int(out, seat->version, -1);
    put_text(out, seat->p.id);
    put_text(out, seat->p.group_id);
    put_int(out, seat->p.allotted_ms, -1);
    put_int(out, seat->p.cycle_count, -1);
    put_int(out, seat->p.time_used_ms, -1);
    put_int(out, seat->seen_ms, 0);
    put_int(out, seat->first_active_ms, 0);
    put_int(out, seat->last_active_ms, 0);
    end_row(out);
}

const struct buf *
audit_batch_participants(struct audit_batch *b)
{
    struct buf *out = &b->participants;

    buf_clear(out);
    HASH_SORT(b->summaries, by_id);
    for (const struct summary *s = b->summaries; s != NULL; s = s->hh.next)
        for (size_t k = 0; k < s->n; k++)
            if (s->seat[k].has_row || s->seat[k].last_active_ms != 0)
                put_seat(out, s, k);
    return out;
}
