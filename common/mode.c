#include "mode.h"

#include "control.h"

/* --- who is on --- */

bool
mode_is_before(const struct session *s, int32_t a, int32_t b)
{
    if (s->p[a].index != s->p[b].index)
        return s->p[a].index < s->p[b].index;
    return a < b;
}

/* A timed hand-over leaves out those who have no time of their own left. */
static bool
can_be_on(const struct session *s, int32_t k, bool timed)
{
    if (s->p[k].out != OUT_NONE)
        return false;
    return !timed || !mode_ops(s->mode)->burns_banks || mode_ops(s->mode)->left(s, k, 0) > 0;
}

static int32_t
turn_lowest(const struct session *s, bool timed)
{
    int32_t best = -1;

    for (int32_t k = 0; k < (int32_t)s->n; k++)
        if (can_be_on(s, k, timed) && (best < 0 || mode_is_before(s, k, best)))
            best = k;
    return best;
}

static int32_t
turn_first(const struct session *s)
{
    return turn_lowest(s, false);
}

/* The expired keep their place, those that are out do not; the last one goes on alone. */
static int32_t
turn_next(const struct session *s, bool timed)
{
    int32_t best = -1;

    for (int32_t k = 0; k < (int32_t)s->n; k++)
        if (can_be_on(s, k, timed) && mode_is_before(s, s->active, k) &&
            (best < 0 || mode_is_before(s, k, best)))
            best = k;
    return best >= 0 ? best : turn_lowest(s, timed);
}

int64_t
mode_left_of(int64_t bank, int64_t elapsed)
{
    return elapsed < bank ? bank - elapsed : 0;
}

static void
active_put_out(struct session *s)
{
    s->p[s->active].out = OUT_ELIMINATED; /* dirty since the charge */
}

static size_t
everybody(const struct session *s, int32_t *last)
{
    size_t n = 0;

    *last = -1;
    for (size_t k = 0; k < s->n; k++) {
        if (s->p[k].out != OUT_NONE)
            continue;
        *last = n++ == 0 ? (int32_t)k : -1;
    }
    return n;
}

/* A turn that costs nobody anything has ended. */
static int32_t
turn_count(struct session *s)
{
    if (s->active >= 0)
        s->p[s->active].cycle_count++; /* dirty since the charge */
    return -1;
}

static int64_t
no_session_clock(const struct session *s, int64_t open)
{
    (void)s;
    (void)open;
    return -1;
}

/* --- per_participant: the bank of the active one burns, as the time control says --- */

static void
banks_set_up(struct session *s)
{
    for (size_t k = 0; k < s->n; k++)
        control_set_up(s, &s->p[k]);
}

static int32_t
bank_hand_over(struct session *s)
{
    turn_count(s);
    if (control_left(s, s->active, 0) == 0)
        return s->active;
    control_hand_over(s);
    return -1;
}

static bool
bank_clock(struct session *s, int32_t place, struct mode_clock *out)
{
    struct participant *p = &s->p[place];

    *out =
        (struct mode_clock){ &p->total_time_ms, &p->allotted_ms, &p->has_expired, &p->dirty };
    return true;
}

/* --- per_cycle: every turn has the same time --- */

static void
cycle_set_up(struct session *s)
{
    s->cycle_left_ms = s->time_per_cycle_ms >= 0 ? s->time_per_cycle_ms : s->total_time_ms;
}

static void
cycle_burn(struct session *s, int64_t elapsed)
{
    s->cycle_left_ms = mode_left_of(s->cycle_left_ms, elapsed);
    if (s->cycle_left_ms == 0)
        s->p[s->active].has_expired = true;
}

static int64_t
cycle_clock(const struct session *s, int64_t open)
{
    return mode_left_of(s->cycle_left_ms, open);
}

static int64_t
cycle_left(const struct session *s, int32_t place, int64_t open)
{
    (void)place;
    return cycle_clock(s, open);
}

static int64_t
own_bank(const struct session *s, int32_t place, int64_t open)
{
    (void)open;
    return s->p[place].total_time_ms;
}

static int32_t
cycle_hand_over(struct session *s)
{
    int32_t expired = s->cycle_left_ms == 0 ? s->active : -1;

    turn_count(s);
    s->p[s->active].has_expired = false;
    cycle_set_up(s);
    return expired;
}

/* The running cycle is the active one's. */
static bool
cycle_clock_of(struct session *s, int32_t place, struct mode_clock *out)
{
    struct participant *p = &s->p[place];

    *out = (struct mode_clock){ &s->cycle_left_ms, NULL, &p->has_expired, &p->dirty };
    return place == s->active;
}

/* --- global: one bank for everybody --- */

static void
global_set_up(struct session *s)
{
    if (s->total_time_ms == 0)
        s->total_time_ms = s->time_per_cycle_ms;
    s->allotted_ms = s->total_time_ms;
}

static void
global_burn(struct session *s, int64_t elapsed)
{
    s->time_used_ms += elapsed;
    s->total_time_ms = mode_left_of(s->total_time_ms, elapsed);
}

static int64_t
global_clock(const struct session *s, int64_t open)
{
    return mode_left_of(s->total_time_ms, open);
}

static int64_t
global_left(const struct session *s, int32_t place, int64_t open)
{
    (void)place;
    return global_clock(s, open);
}

static bool
global_clock_of(struct session *s, int32_t place, struct mode_clock *out)
{
    (void)place;
    *out = (struct mode_clock){ &s->total_time_ms, &s->allotted_ms, NULL, NULL };
    return true;
}

/* --- count_up: nothing burns, up to a limit that may be none --- */

static void
nothing_set_up(struct session *s)
{
    (void)s;
}

static void
elapsed_burn(struct session *s, int64_t elapsed)
{
    s->time_used_ms += elapsed;
}

static int64_t
limit_clock(const struct session *s, int64_t open)
{
    return s->max_time_ms < 0 ? -1 : mode_left_of(s->max_time_ms, s->time_used_ms + open);
}

static int64_t
limit_left(const struct session *s, int32_t place, int64_t open)
{
    (void)place;
    return limit_clock(s, open);
}

static int64_t
no_bank(const struct session *s, int32_t place, int64_t open)
{
    (void)s;
    (void)place;
    (void)open;
    return -1;
}

static bool
no_clock(struct session *s, int32_t place, struct mode_clock *out)
{
    (void)s;
    (void)place;
    (void)out;
    return false;
}

/* --- the table --- */

static const struct mode_ops modes[MODE__MAX] = {
    [MODE_PER_PARTICIPANT] = {
        .has_turns = true,
        .burns_banks = true,
        .set_up = banks_set_up,
        .burn = control_burn,
        .left = control_left,
        .span = control_span,
        .crossing = control_crossing,
        .of_session = no_session_clock,
        .of_participant = control_left,
        .first = turn_first,
        .next = turn_next,
        .hand_over = bank_hand_over,
        .clock_of = bank_clock,
        .put_out = active_put_out,
        .sides = everybody,
    },
    [MODE_PER_CYCLE] = {
        .has_turns = true,
        .set_up = cycle_set_up,
        .burn = cycle_burn,
        .left = cycle_left,
        .span = mode_span_of_left,
        .crossing = mode_crossing_of_left,
        .of_session = cycle_clock,
        .of_participant = own_bank,
        .first = turn_first,
        .next = turn_next,
        .hand_over = cycle_hand_over,
        .clock_of = cycle_clock_of,
        .put_out = active_put_out,
        .sides = everybody,
    },
    [MODE_GLOBAL] = {
        .set_up = global_set_up,
        .burn = global_burn,
        .left = global_left,
        .span = mode_span_of_left,
        .crossing = mode_crossing_of_left,
        .of_session = global_clock,
        .of_participant = global_left,
        .first = turn_first,
        .next = turn_next,
        .hand_over = turn_count,
        .clock_of = global_clock_of,
        .put_out = active_put_out,
        .sides = everybody,
    },
    [MODE_COUNT_UP] = {
        .set_up = nothing_set_up,
        .burn = elapsed_burn,
        .left = limit_left,
        .span = mode_span_of_left,
        .crossing = mode_crossing_of_left,
        .of_session = limit_clock,
        .of_participant = no_bank,
        .first = turn_first,
        .next = turn_next,
        .hand_over = turn_count,
        .clock_of = no_clock,
        .put_out = active_put_out,
        .sides = everybody,
    },
};

const struct mode_ops *
mode_ops(enum sync_mode mode)
{
    if (mode == MODE_PER_GROUP)
        return &mode_per_group;
    return mode > MODE_UNSET && mode < MODE__MAX ? &modes[mode] : NULL;
}

/* --- what all modes have in common --- */

void
mode_turn_count(struct session *s)
{
    turn_count(s);
}

void
mode_charge(struct session *s, int64_t at)
{
    int64_t elapsed = at - s->cycle_started_at;

    if (s->active >= 0) {
        s->p[s->active].time_used_ms += elapsed;
        s->p[s->active].dirty = true;
    }
    mode_ops(s->mode)->burn(s, elapsed);
    s->turn_used_ms += elapsed;
    s->cycle_started_at = at;
}

int64_t
mode_span_of_left(const struct session *s)
{
    return mode_ops(s->mode)->left(s, s->active, 0);
}

int64_t
mode_crossing_of_left(const struct session *s, int64_t ms)
{
    int64_t left = mode_ops(s->mode)->left(s, s->active, 0);

    return left > ms ? left - ms : -1;
}

int64_t
mode_deadline(const struct session *s)
{
    int64_t span = mode_ops(s->mode)->span(s);
    bool ends = span > 0 || (span == 0 && (s->emptied || !mode_ops(s->mode)->has_turns));

    return ends ? s->cycle_started_at + span : 0;
}

int64_t
mode_open(const struct session *s, int64_t now)
{
    if (s->status != STATUS_RUNNING || now <= s->cycle_started_at)
        return 0;
    return now - s->cycle_started_at;
}
