#include "mode.h"

/* --- who is on --- */

/* Order of turns: participant_index, then the place in the list. */
static bool
is_before(const struct session *s, int32_t a, int32_t b)
{
    if (s->p[a].index != s->p[b].index)
        return s->p[a].index < s->p[b].index;
    return a < b;
}

static int32_t
turn_first(const struct session *s)
{
    int32_t best = -1;

    for (int32_t k = 0; k < (int32_t)s->n; k++)
        if (s->p[k].out == OUT_NONE && (best < 0 || is_before(s, k, best)))
            best = k;
    return best;
}

/* The expired keep their place, those that are out do not; the last one goes on alone. */
static int32_t
turn_next(const struct session *s)
{
    int32_t best = -1;

    for (int32_t k = 0; k < (int32_t)s->n; k++)
        if (s->p[k].out == OUT_NONE && is_before(s, s->active, k) &&
            (best < 0 || is_before(s, k, best)))
            best = k;
    return best >= 0 ? best : turn_first(s);
}

/* --- per_participant: the bank of the active one burns --- */

static int64_t
left_of(int64_t bank, int64_t elapsed)
{
    return elapsed < bank ? bank - elapsed : 0;
}

static void
bank_charge(struct session *s, int64_t at)
{
    struct participant *p = &s->p[s->active];
    int64_t elapsed = at - s->cycle_started_at;

    p->time_used_ms += elapsed;
    p->total_time_ms = left_of(p->total_time_ms, elapsed);
    p->dirty = true;
    if (p->total_time_ms == 0)
        p->has_expired = true;
    s->turn_used_ms += elapsed;
    s->cycle_started_at = at;
}

static int64_t
bank_deadline(const struct session *s)
{
    const struct participant *p = &s->p[s->active];

    if (p->has_expired || p->total_time_ms == 0)
        return 0;
    return s->cycle_started_at + p->total_time_ms;
}

static int64_t
bank_remaining(const struct session *s, size_t place, int64_t now)
{
    int64_t bank = s->p[place].total_time_ms;

    if (s->status != STATUS_RUNNING || (int32_t)place != s->active ||
        now <= s->cycle_started_at)
        return bank;
    return left_of(bank, now - s->cycle_started_at);
}

static int32_t
bank_hand_over(struct session *s)
{
    struct participant *p = &s->p[s->active];

    p->cycle_count++;
    p->dirty = true;
    if (p->total_time_ms == 0)
        return s->active;
    p->total_time_ms += s->increment_ms;
    return -1;
}

/* notify: the bank was marked by the charge, the turn goes on */
static void
bank_timeout(struct session *s, struct change *c)
{
    c->type = EVENT_PARTICIPANT_EXPIRED;
    c->participant = s->active;
    c->expired = s->active;
}

static const struct mode_ops per_participant = {
    .charge = bank_charge,
    .deadline = bank_deadline,
    .remaining = bank_remaining,
    .first = turn_first,
    .next = turn_next,
    .hand_over = bank_hand_over,
    .timeout = bank_timeout,
};

static const struct mode_ops *const modes[MODE__MAX] = {
    [MODE_PER_PARTICIPANT] = &per_participant,
};

const struct mode_ops *
mode_ops(enum sync_mode mode)
{
    return mode < MODE__MAX ? modes[mode] : NULL;
}
