#include "audit_summary.h"

#include "audit_copy.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"

#define uthash_fatal(text) abort()
#include <uthash.h>

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

struct audit_summaries {
    struct summary *first;
};

struct audit_summaries *
audit_summaries_new(void)
{
    return xalloc(sizeof(struct audit_summaries));
}

void
audit_summaries_clear(struct audit_summaries *all)
{
    struct summary *s = all->first, *next;

    HASH_CLEAR(hh, all->first); /* frees its own memory; the list stays in ours */
    for (; s != NULL; s = next) {
        next = s->hh.next;
        free(s->metadata);
        free(s->seat);
        free(s);
    }
}

void
audit_summaries_free(struct audit_summaries *all)
{
    if (all == NULL)
        return;
    audit_summaries_clear(all);
    free(all);
}

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
find_summary(struct audit_summaries *all, const struct event *ev)
{
    char id[ID_LEN + 1];
    struct summary *s;

    id_lower(ev->session_id, id);
    HASH_FIND(hh, all->first, id, ID_LEN, s);
    if (s == NULL) {
        s = xalloc(sizeof(*s));
        memcpy(s->id, id, sizeof(id));
        HASH_ADD(hh, all->first, id, ID_LEN, s);
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

void
audit_summaries_take(struct audit_summaries *all, const struct session *state,
                     const struct event *ev, bool whole)
{
    struct summary *s = find_summary(all, ev);
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

/* --- rows --- */

static int
by_id(const struct summary *a, const struct summary *b)
{
    return strcmp(a->id, b->id);
}

static void
put_header(struct buf *out, const struct summary *s)
{
    const struct session *h = &s->header;

    copy_text(out, s->has_header ? sync_mode_name(h->mode) : "");
    copy_text(out, s->has_header ? sync_status_name(h->status) : "");
    copy_text(out, s->has_header && sync_status_is_terminal(h->status)
                       ? sync_status_name(h->status)
                       : "");
    copy_int(out, s->has_header ? h->time_per_cycle_ms : -1, -1);
    copy_int(out, s->has_header ? h->increment_ms : 0, -1);
    copy_int(out, s->has_header ? h->max_time_ms : -1, -1);
    copy_int(out, s->has_header ? h->created_at : 0, 0);
    copy_int(out, s->has_header ? h->session_started_at : 0, 0);
    copy_int(out, s->has_header ? h->session_completed_at : 0, 0);
    copy_int(out, s->has_header ? h->cycle_number : 0, -1);
    copy_text(out, s->has_header ? h->owner : "");
}

void
audit_summaries_print_sessions(struct audit_summaries *all, struct buf *out)
{
    HASH_SORT(all->first, by_id);
    for (const struct summary *s = all->first; s != NULL; s = s->hh.next) {
        copy_text(out, s->id);
        copy_text(out, s->epoch);
        copy_int(out, s->version, -1);
        copy_int(out, s->is_whole, -1);
        put_header(out, s);
        copy_text(out, s->actor);
        copy_int(out, s->at_ms, 0);
        copy_int(out, s->deleted_ms, 0);
        copy_int(out, (int64_t)s->n, -1);
        copy_text(out, s->metadata);
        copy_end_row(out);
    }
}

static void
put_seat(struct buf *out, const struct summary *s, size_t place)
{
    const struct seat *seat = &s->seat[place];

    copy_text(out, s->id);
    copy_int(out, (int64_t)place, -1);
    copy_text(out, s->epoch);
    copy_int(out, seat->version, -1);
    copy_text(out, seat->p.id);
    copy_text(out, seat->p.group_id);
    copy_int(out, seat->p.allotted_ms, -1);
    copy_int(out, seat->p.cycle_count, -1);
    copy_int(out, seat->p.time_used_ms, -1);
    copy_int(out, seat->seen_ms, 0);
    copy_int(out, seat->first_active_ms, 0);
    copy_int(out, seat->last_active_ms, 0);
    copy_end_row(out);
}

void
audit_summaries_print_participants(struct audit_summaries *all, struct buf *out)
{
    HASH_SORT(all->first, by_id);
    for (const struct summary *s = all->first; s != NULL; s = s->hh.next)
        for (size_t k = 0; k < s->n; k++)
            if (s->seat[k].has_row || s->seat[k].last_active_ms != 0)
                put_seat(out, s, k);
}
