#include "control.h"

#include "mode.h"
#include "session_change.h"
#include <inttypes.h>

struct control_ops {
    /* The clock has run for `elapsed`; turn_used_ms is the time of the turn before that. */
    void (*burn)(const struct session *s, struct participant *p, int64_t elapsed);
    /* The running time up to zero, of the one on. */
    int64_t (*span)(const struct session *s, const struct participant *p);
    void (*hand_over)(const struct session *s, struct participant *p);
    void (*set_up)(const struct session *s, struct participant *p);
    void (*count)(const struct session *s, const struct participant *p, int64_t turn_ms,
                  struct control_counters *shown);
    bool feeds_other; /* what burns runs to the other one of two */
};

/* --- what most have in common --- */

static void
bank_burn(const struct session *s, struct participant *p, int64_t elapsed)
{
    (void)s;
    p->total_time_ms = mode_left_of(p->total_time_ms, elapsed);
}

static int64_t
bank_span(const struct session *s, const struct participant *p)
{
    (void)s;
    return p->total_time_ms;
}

static void
no_set_up(const struct session *s, struct participant *p)
{
    (void)s;
    (void)p;
}

static void
no_hand_over(const struct session *s, struct participant *p)
{
    (void)s;
    (void)p;
}

static void
no_count(const struct session *s, const struct participant *p, int64_t turn_ms,
         struct control_counters *shown)
{
    (void)s;
    (void)p;
    (void)turn_ms;
    (void)shown;
}

/* --- fischer --- */

static void
fischer_hand_over(const struct session *s, struct participant *p)
{
    p->total_time_ms += s->increment_ms;
}

/* --- delay, bronstein --- */

static void
delay_burn(const struct session *s, struct participant *p, int64_t elapsed)
{
    bank_burn(s, p, mode_left_of(elapsed, mode_left_of(s->control.delay_ms, s->turn_used_ms)));
}

/* Somebody at zero has no turn that could run out, and no free time of it. */
static int64_t
delay_span(const struct session *s, const struct participant *p)
{
    if (p->total_time_ms == 0)
        return 0;
    return p->total_time_ms + mode_left_of(s->control.delay_ms, s->turn_used_ms);
}

static void
delay_count(const struct session *s, const struct participant *p, int64_t turn_ms,
            struct control_counters *shown)
{
    shown->delay_left_ms =
        p->total_time_ms > 0 ? mode_left_of(s->control.delay_ms, turn_ms) : 0;
}

static void
bronstein_hand_over(const struct session *s, struct participant *p)
{
    int64_t delay = s->control.delay_ms;

    p->total_time_ms += s->turn_used_ms < delay ? s->turn_used_ms : delay;
}

/* --- byoyomi --- */

static void
byoyomi_set_up(const struct session *s, struct participant *p)
{
    p->overtime_ms = s->control.period_ms;
    p->periods_left = s->control.periods;
}

static void
byoyomi_burn(const struct session *s, struct participant *p, int64_t elapsed)
{
    int64_t period = s->control.period_ms, lost;
    int64_t over = mode_left_of(elapsed, p->total_time_ms);

    bank_burn(s, p, elapsed);
    if (over < p->overtime_ms) {
        p->overtime_ms -= over;
        return;
    }
    over -= p->overtime_ms;
    lost = 1 + over / period;
    p->periods_left = mode_left_of(p->periods_left, lost);
    p->overtime_ms = p->periods_left > 0 ? period - over % period : 0;
}

static int64_t
byoyomi_span(const struct session *s, const struct participant *p)
{
    int64_t more = p->periods_left > 1 ? (p->periods_left - 1) * s->control.period_ms : 0;

    return p->total_time_ms + p->overtime_ms + more;
}

static void
byoyomi_hand_over(const struct session *s, struct participant *p)
{
    if (p->periods_left > 0)
        p->overtime_ms = s->control.period_ms;
}

static void
byoyomi_count(const struct session *s, const struct participant *p, int64_t turn_ms,
              struct control_counters *shown)
{
    (void)s;
    (void)turn_ms;
    shown->periods_left = p->periods_left;
}

/* --- canadian --- */

static void
canadian_set_up(const struct session *s, struct participant *p)
{
    p->overtime_ms = s->control.period_ms;
    p->moves_left = s->control.moves;
}

static void
canadian_burn(const struct session *s, struct participant *p, int64_t elapsed)
{
    int64_t over = mode_left_of(elapsed, p->total_time_ms);

    bank_burn(s, p, elapsed);
    p->overtime_ms = mode_left_of(p->overtime_ms, over);
}

static int64_t
canadian_span(const struct session *s, const struct participant *p)
{
    (void)s;
    return p->total_time_ms + p->overtime_ms;
}

/* The turn that emptied the bank is the first one of the block. */
static void
canadian_hand_over(const struct session *s, struct participant *p)
{
    if (p->total_time_ms > 0 || --p->moves_left > 0)
        return;
    canadian_set_up(s, p);
}

static void
moves_count(const struct session *s, const struct participant *p, int64_t turn_ms,
            struct control_counters *shown)
{
    (void)s;
    (void)turn_ms;
    shown->moves_left = p->moves_left;
}

/* --- per_move --- */

static void
per_move_hand_over(const struct session *s, struct participant *p)
{
    (void)s;
    p->total_time_ms = p->allotted_ms;
}

/* --- stages --- */

static void
stages_set_up(const struct session *s, struct participant *p)
{
    p->stage = 1;
    p->moves_left = s->control.stages[0].moves;
}

static void
stages_hand_over(const struct session *s, struct participant *p)
{
    const struct time_stage *stage = &s->control.stages[p->stage - 1];

    p->total_time_ms += stage->increment_ms;
    if (p->stage == s->control.n_stages || --p->moves_left > 0)
        return;
    p->total_time_ms += stage->add_ms;
    p->stage++;
    p->moves_left = stage[1].moves;
}

static void
stages_count(const struct session *s, const struct participant *p, int64_t turn_ms,
             struct control_counters *shown)
{
    (void)turn_ms;
    shown->stage = p->stage;
    if (p->stage < s->control.n_stages)
        shown->moves_left = p->moves_left;
}

/* --- the table --- */

#define FISCHER                                                             \
    {                                                                       \
        bank_burn, bank_span, fischer_hand_over, no_set_up, no_count, false \
    }

/* clang-format off */
static const struct control_ops controls[CONTROL__MAX] = {
    [CONTROL_NONE]      = FISCHER,
    [CONTROL_FISCHER]   = FISCHER,
    [CONTROL_DELAY]     = { delay_burn,    delay_span,    no_hand_over,        no_set_up,       delay_count,   false },
    [CONTROL_BRONSTEIN] = { bank_burn,     bank_span,     bronstein_hand_over, no_set_up,       no_count,      false },
    [CONTROL_BYOYOMI]   = { byoyomi_burn,  byoyomi_span,  byoyomi_hand_over,   byoyomi_set_up,  byoyomi_count, false },
    [CONTROL_CANADIAN]  = { canadian_burn, canadian_span, canadian_hand_over,  canadian_set_up, moves_count,   false },
    [CONTROL_HOURGLASS] = { bank_burn,     bank_span,     no_hand_over,        no_set_up,       no_count,      true },
    [CONTROL_PER_MOVE]  = { bank_burn,     bank_span,     per_move_hand_over,  no_set_up,       no_count,      false },
    [CONTROL_STAGES]    = { bank_burn,     bank_span,     stages_hand_over,    stages_set_up,   stages_count,  false },
};
/* clang-format on */

static const struct control_ops *
ops_of(const struct session *s)
{
    return &controls[s->control.type];
}

/* Who gets what the one on burns; -1 nobody. A clock that stands at zero stays there. */
static int32_t
fed_by(const struct session *s, int32_t active)
{
    if (!ops_of(s)->feeds_other || s->n != 2 || active < 0)
        return -1;
    return s->p[1 - active].total_time_ms > 0 ? 1 - active : -1;
}

/* The one at `place`, once `open` more of the open turn has been booked. */
static struct participant
as_of(const struct session *s, int32_t place, int64_t open)
{
    struct participant p = s->p[place];
    int64_t bank;

    if (place == s->active)
        ops_of(s)->burn(s, &p, open);
    if (fed_by(s, s->active) == place) {
        bank = s->p[s->active].total_time_ms;
        p.total_time_ms += open < bank ? open : bank;
    }
    return p;
}

static int64_t
shown_by(const struct participant *p)
{
    return p->total_time_ms > 0 ? p->total_time_ms : p->overtime_ms;
}

/* Every stage but the last ends after some moves. */
static void
stages_check(const struct session *s, struct session_faults *to)
{
    char field[48];

    for (int32_t k = 0; k < s->control.n_stages; k++) {
        bool is_last = k == s->control.n_stages - 1;

        if (is_last == (s->control.stages[k].moves == 0))
            continue;
        snprintf(field, sizeof(field), "time_control.stages.%" PRId32 ".moves", k);
        session_fault_add(to, field,
                          is_last ? "The last stage has no moves"
                                  : "Every stage but the last needs moves",
                          "invalid_value");
    }
}

void
control_check(const struct session *s, struct session_faults *to)
{
    const struct time_control *control = &s->control;

    if (control->type != CONTROL_NONE && s->mode != MODE_PER_PARTICIPANT)
        session_fault_add(to, "time_control", "time_control needs mode per_participant",
                          "invalid_value");
    if (control->type > CONTROL_FISCHER && s->increment_ms >= 0)
        session_fault_add(to, "increment_ms",
                          "increment_ms belongs to the time control fischer", "invalid_value");
    if (control->type == CONTROL_FISCHER && s->increment_ms >= 0 &&
        s->increment_ms != control->increment_ms)
        session_fault_add(to, "increment_ms",
                          "increment_ms contradicts time_control.increment_ms",
                          "invalid_value");
    if (control->type == CONTROL_HOURGLASS && s->n > 0 && s->n != 2)
        session_fault_add(to, "participants", "An hourglass needs exactly 2 participants",
                          "invalid_value");
    stages_check(s, to);
}

void
control_set_up(const struct session *s, struct participant *p)
{
    ops_of(s)->set_up(s, p);
}

void
control_burn(struct session *s, int64_t elapsed)
{
    struct participant *p = &s->p[s->active];
    int32_t fed = fed_by(s, s->active);
    int64_t bank = p->total_time_ms;

    ops_of(s)->burn(s, p, elapsed);
    if (shown_by(p) == 0)
        p->has_expired = true;
    if (fed < 0 || bank == p->total_time_ms)
        return;
    s->p[fed].total_time_ms += bank - p->total_time_ms;
    s->p[fed].dirty = true;
}

int64_t
control_left(const struct session *s, int32_t place, int64_t open)
{
    struct participant p = as_of(s, place, open);

    return shown_by(&p);
}

int64_t
control_span(const struct session *s)
{
    return ops_of(s)->span(s, &s->p[s->active]);
}

/* What is seen falls three times at most before it repeats itself: the bank, the running period
 * and a whole one. */
int64_t
control_crossing(const struct session *s, int64_t ms)
{
    const struct participant *p = &s->p[s->active];
    int64_t behind = p->periods_left > 1 ? p->periods_left - 1 : 0;
    const int64_t falls[] = { p->total_time_ms, p->overtime_ms,
                              behind > 0 ? s->control.period_ms : 0 };
    /* the free time of a delay comes first */
    int64_t end = control_span(s) - falls[0] - falls[1] - behind * s->control.period_ms;

    for (size_t i = 0; i < sizeof(falls) / sizeof(falls[0]); i++) {
        end += falls[i];
        if (falls[i] > ms)
            return end - ms;
    }
    return -1;
}

void
control_hand_over(struct session *s)
{
    ops_of(s)->hand_over(s, &s->p[s->active]);
}

void
control_count(const struct session *s, int32_t place, int64_t open,
              struct control_counters *shown)
{
    struct participant p = as_of(s, place, open);
    int64_t turn_ms = place == s->active ? s->turn_used_ms + open : 0;

    *shown = (struct control_counters){ -1, -1, -1, -1 };
    ops_of(s)->count(s, &p, turn_ms, shown);
}

static bool
stages_are_whole(const struct session *s)
{
    if (s->control.n_stages < 1)
        return false;
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].stage < 1 || s->p[k].stage > s->control.n_stages)
            return false;
    return true;
}

bool
control_is_whole(const struct session *s)
{
    switch (s->control.type) {
    case CONTROL_BYOYOMI:
    case CONTROL_CANADIAN:
        return s->control.period_ms > 0;
    case CONTROL_STAGES:
        return stages_are_whole(s);
    default:
        return true;
    }
}
