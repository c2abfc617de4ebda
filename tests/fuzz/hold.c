#include "hold.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/control.h"
#include "common/event.h"

#define TEXT_MAX (4 * 1024 * 1024)

long hold_line;

static const struct session *live;
static struct session before, mirror;
static struct buf wire, text_a, text_b;

void
hold_broken(const char *what, const char *file, int line)
{
    fflush(stdout);
    fprintf(stderr, "line %ld: broken: %s (%s:%d)\n", hold_line, what, file, line);
    exit(1);
}

void
hold_begin(void)
{
    session_init(&before);
    session_init(&mirror);
    buf_init(&wire, TEXT_MAX);
    buf_init(&text_a, TEXT_MAX);
    buf_init(&text_b, TEXT_MAX);
}

void
hold_end(void)
{
    session_fini(&before);
    session_fini(&mirror);
    buf_fini(&wire);
    buf_fini(&text_a);
    buf_fini(&text_b);
}

void
hold_from(const struct session *s)
{
    session_copy(&before, s);
}

static void
hold_equal(const struct session *a, const struct session *b)
{
    buf_clear(&text_a);
    buf_clear(&text_b);
    event_snapshot(&text_a, a);
    event_snapshot(&text_b, b);
    HOLD(!text_a.overflow && text_a.len == text_b.len);
    HOLD(memcmp(text_a.data, text_b.data, text_a.len) == 0);
    HOLD(a->version == b->version && strcmp(a->epoch, b->epoch) == 0);
}

/* Stored and loaded again, it is the same session. */
static void
hold_round_trip(void)
{
    struct session loaded;

    session_init(&loaded);
    buf_clear(&wire);
    event_snapshot(&wire, live);
    HOLD(event_lines_apply(wire.data, wire.len, &loaded, NULL) == RC_OK);
    loaded.version = live->version;
    memcpy(loaded.epoch, live->epoch, sizeof(loaded.epoch));
    hold_equal(live, &loaded);
    session_fini(&loaded);
}

/* The event of the change carries the mirror from the state before to the state after. */
static void
hold_fold(const struct change *c, int64_t now, struct buf *record)
{
    bool whole = c->type == EVENT_SESSION_CREATED && c->at_ms % 2 == 0;
    struct event ev;

    buf_clear(&wire);
    event_encode(&wire, live, c, now, "somebody else", whole);
    HOLD(!wire.overflow);
    buf_clear(record);
    buf_add(record, wire.data, wire.len);
    HOLD(event_decode(wire.data, wire.len, &ev, NULL) == RC_OK);
    HOLD(ev.type == c->type && ev.reason == c->reason && ev.version == c->version);
    HOLD(ev.at_ms == c->at_ms && ev.server_time_ms == now);
    HOLD(ev.remaining_ms == c->remaining_ms && ev.elapsed_ms == c->elapsed_ms);
    HOLD(strcmp(ev.note, c->note == NULL ? "" : c->note) == 0);
    HOLD(event_apply(&ev, &mirror, NULL) == RC_OK);
    hold_equal(live, &mirror);
}

/* What a hand-over may bring at most. */
static int64_t
grant_max(const struct participant *was)
{
    const struct time_control *tc = &live->control;
    int64_t most = 0;

    switch (tc->type) {
    case CONTROL_BRONSTEIN:
        return tc->delay_ms;
    case CONTROL_PER_MOVE:
        return was->allotted_ms > was->total_time_ms ? was->allotted_ms - was->total_time_ms
                                                     : 0;
    case CONTROL_STAGES:
        for (int32_t k = 0; k < tc->n_stages; k++)
            if (tc->stages[k].add_ms + tc->stages[k].increment_ms > most)
                most = tc->stages[k].add_ms + tc->stages[k].increment_ms;
        return most;
    default:
        return live->increment_ms;
    }
}

/* The counters of a time control, within what it says. */
static void
hold_control(const struct participant *was, const struct participant *is)
{
    const struct time_control *tc = &live->control;

    HOLD(is->overtime_ms >= 0 && is->overtime_ms <= tc->period_ms);
    HOLD(is->periods_left >= 0 && is->periods_left <= was->periods_left);
    HOLD((is->periods_left == 0) == (is->overtime_ms == 0) || tc->type == CONTROL_CANADIAN);
    HOLD(is->stage == was->stage || is->stage == was->stage + 1);
    HOLD(tc->type != CONTROL_CANADIAN || (is->moves_left >= 1 && is->moves_left <= tc->moves));
}

/* An hourglass loses no sand while both sides have some. */
static void
hold_hourglass(const struct change *c)
{
    const struct participant *was = before.p, *is = live->p;

    if (live->control.type != CONTROL_HOURGLASS || c->type == EVENT_PARTICIPANT_ADJUSTED ||
        was[0].has_expired || was[1].has_expired)
        return;
    HOLD(is[0].total_time_ms + is[1].total_time_ms ==
         was[0].total_time_ms + was[1].total_time_ms);
}

/* What a mode, an increment, a hand-over or a correction may do to somebody's bank and mark. */
static void
hold_bank(const struct participant *was, const struct participant *is, const struct change *c,
          bool is_about)
{
    bool handed_over = c->type == EVENT_CYCLE_SWITCHED && is_about;
    bool corrected = c->type == EVENT_PARTICIPANT_ADJUSTED && is_about;
    int64_t grant = handed_over && c->expired < 0 ? grant_max(was) : 0;
    size_t place = (size_t)(is - live->p);

    if (live->mode != MODE_PER_PARTICIPANT) {
        HOLD(is->total_time_ms == was->total_time_ms && is->group == was->group);
        HOLD(!is->has_expired || live->mode == MODE_PER_CYCLE);
        HOLD(!is->has_expired || !handed_over || live->status == STATUS_COMPLETED);
        return;
    }
    HOLD(is->total_time_ms >= 0);
    HOLD(corrected || is->total_time_ms <= was->total_time_ms + grant ||
         live->control.type == CONTROL_HOURGLASS);
    hold_control(was, is);
    HOLD(corrected || is->has_expired || !was->has_expired);
    HOLD(is->has_expired == (control_left(live, (int32_t)place, 0) == 0));
}

/* Whether k loses what `expired` loses: they are the same, or in one group. */
static bool
is_of(int32_t expired, size_t k)
{
    if (expired < 0 || live->mode != MODE_PER_GROUP)
        return expired == (int32_t)k;
    return live->p[expired].group == live->p[k].group;
}

static void
hold_group(size_t k, const struct change *c)
{
    const struct group *was = &before.g[k], *is = &live->g[k];
    bool corrected =
        c->type == EVENT_PARTICIPANT_ADJUSTED && live->p[c->participant].group == (int32_t)k;
    int64_t used = 0;

    for (size_t i = 0; i < live->n; i++)
        used += live->p[i].group == (int32_t)k ? live->p[i].time_used_ms : 0;
    HOLD(is->time_used_ms == used);
    HOLD(is->total_time_ms >= 0 && (corrected || is->total_time_ms <= was->total_time_ms));
    HOLD(is->has_expired == (is->total_time_ms == 0));
    HOLD(corrected || is->allotted_ms == was->allotted_ms);
    HOLD(strcmp(is->id, was->id) == 0);
    HOLD(is->dirty || memcmp(is, was, sizeof(*is)) == 0);
}

static void
hold_participant(size_t k, const struct change *c)
{
    const struct participant *was = &before.p[k], *is = &live->p[k];
    bool is_about = c->participant == (int32_t)k;
    bool handed_over = c->type == EVENT_CYCLE_SWITCHED && is_about;
    bool ended_turn = handed_over || (c->type == EVENT_SESSION_COMPLETED && is_about &&
                                      live->result.reason != REASON_COMPLETED);

    hold_bank(was, is, c, is_about);
    HOLD(is->time_used_ms >= was->time_used_ms);
    HOLD(is->cycle_count == was->cycle_count + (ended_turn ? 1 : 0));
    HOLD(is->out == was->out || (c->type == EVENT_PARTICIPANT_REMOVED && is_about) ||
         (is->out == OUT_ELIMINATED && is_of(c->expired, k)));
    HOLD(is->allotted_ms == was->allotted_ms ||
         (c->type == EVENT_PARTICIPANT_ADJUSTED && is_about));
    HOLD(is->index == was->index);
    HOLD(strcmp(is->id, was->id) == 0);
    HOLD(is->dirty || memcmp(is, was, sizeof(*is)) == 0);
}

static void
hold_times(void)
{
    bool is_whole = live->mode == MODE_GLOBAL || live->mode == MODE_COUNT_UP;
    int64_t sum = 0;

    for (size_t k = 0; k < live->n; k++)
        sum += live->p[k].time_used_ms;
    HOLD(live->time_used_ms == (!is_whole ? 0 : live->n > 0 ? sum : live->time_used_ms));
    if (live->n == 0)
        sum = live->time_used_ms;
    sum += live->paused_total_ms;
    if (live->session_started_at == 0)
        HOLD(sum == 0);
    else
        HOLD(sum == live->updated_at - live->session_started_at);
}

static void
hold_turn(void)
{
    bool on = live->status == STATUS_RUNNING || live->status == STATUS_PAUSED;

    HOLD((live->active >= 0) == (on && live->n > 0));
    HOLD(live->active < (int32_t)live->n);
    HOLD(live->active < 0 || live->p[live->active].out == OUT_NONE);
    HOLD((live->cycle_started_at > 0) == (live->status == STATUS_RUNNING));
    HOLD((live->paused_at > 0) == (live->status == STATUS_PAUSED));
    HOLD(live->paused_at <= live->paused_charged_at);
    HOLD(on || live->turn_used_ms == 0);
    HOLD(sync_status_is_terminal(live->status) == (live->session_completed_at > 0));
    HOLD(sync_status_is_terminal(live->status) == (live->result.reason != REASON_NONE));
}

void
hold_change(const struct session *s, const struct change *c, int64_t now, struct buf *record)
{
    live = s;
    HOLD(c->version == live->version);
    if (c->type == EVENT_SESSION_CREATED) {
        HOLD(live->version == 1);
    } else {
        HOLD(live->version == before.version + 1);
        HOLD(live->n == before.n + (c->type == EVENT_PARTICIPANT_ADDED ? 1 : 0));
        HOLD(c->at_ms >= before.updated_at);
        HOLD(live->updated_at ==
             (c->type == EVENT_SESSION_DELETED ? before.updated_at : c->at_ms));
        HOLD(!sync_status_is_terminal(before.status) || c->type == EVENT_SESSION_DELETED);
        HOLD(live->cycle_number >= before.cycle_number);
        for (size_t k = 0; k < before.n; k++)
            hold_participant(k, c);
        HOLD(live->n_groups == before.n_groups ||
             (live->n > before.n && live->n_groups == before.n_groups + 1));
        for (size_t k = 0; k < before.n_groups; k++)
            hold_group(k, c);
        hold_hourglass(c);
    }
    hold_times();
    hold_turn();
    hold_round_trip();
    hold_fold(c, now, record);
}

void
hold_unchanged(const struct session *s)
{
    hold_equal(&before, s);
}
