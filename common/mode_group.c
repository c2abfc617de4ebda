/*
 * The mode per_group: the members of a group share a bank, which burns while one of them is on.
 * Turns go round the groups, in the order of g[], and within each of them round its members.
 */
#include "mode.h"

static struct group *
group_of(const struct session *s, int32_t place)
{
    return &s->g[s->p[place].group];
}

/* --- who is on --- */

/* Whose turn in the group was the newest, -1: it had none. */
static int32_t
newest_of(const struct session *s, int32_t group)
{
    if (s->active >= 0 && s->p[s->active].group == group)
        return s->active;
    return s->g[group].last;
}

/*
 * Who of each group is next: the one behind its newest in the order of turns, else its lowest;
 * -1: nobody is in. All at once, so that a thousand groups do not cost a thousand rounds.
 */
static void
next_of_each(const struct session *s, int32_t next[SESSION_GROUPS_MAX])
{
    int32_t lowest[SESSION_GROUPS_MAX];

    for (size_t g = 0; g < s->n_groups; g++)
        lowest[g] = next[g] = -1;
    for (int32_t k = 0; k < (int32_t)s->n; k++) {
        int32_t g = s->p[k].group, newest = newest_of(s, g);

        if (s->p[k].out != OUT_NONE)
            continue;
        if (lowest[g] < 0 || mode_is_before(s, k, lowest[g]))
            lowest[g] = k;
        if (newest >= 0 && mode_is_before(s, newest, k) &&
            (next[g] < 0 || mode_is_before(s, k, next[g])))
            next[g] = k;
    }
    for (size_t g = 0; g < s->n_groups; g++)
        if (next[g] < 0)
            next[g] = lowest[g];
}

static int32_t
group_first(const struct session *s)
{
    int32_t next[SESSION_GROUPS_MAX];

    next_of_each(s, next);
    for (size_t g = 0; g < s->n_groups; g++)
        if (next[g] >= 0)
            return next[g];
    return -1;
}

/* The group that is on comes last: its turn goes to another member, or to the same one. */
static int32_t
group_next(const struct session *s, bool timed)
{
    size_t on = (size_t)s->p[s->active].group;
    int32_t next[SESSION_GROUPS_MAX];

    next_of_each(s, next);
    for (size_t i = 1; i <= s->n_groups; i++) {
        size_t g = (on + i) % s->n_groups;

        if (next[g] >= 0 && !(timed && s->g[g].total_time_ms == 0))
            return next[g];
    }
    return -1;
}

/* --- what burns --- */

static void
group_set_up(struct session *s)
{
    for (size_t g = 0; g < s->n_groups; g++) {
        s->g[g].allotted_ms = s->g[g].total_time_ms;
        s->g[g].dirty = true;
    }
}

static void
group_burn(struct session *s, int64_t elapsed)
{
    struct group *g = group_of(s, s->active);

    g->time_used_ms += elapsed;
    g->total_time_ms = mode_left_of(g->total_time_ms, elapsed);
    if (g->total_time_ms == 0)
        g->has_expired = true;
    g->dirty = true;
}

static int64_t
group_left(const struct session *s, int32_t place, int64_t open)
{
    const struct group *g = group_of(s, place);
    bool is_on = s->active >= 0 && s->p[s->active].group == s->p[place].group;

    return is_on ? mode_left_of(g->total_time_ms, open) : g->total_time_ms;
}

static int64_t
no_session_clock(const struct session *s, int64_t open)
{
    (void)s;
    (void)open;
    return -1;
}

/* --- how turns end --- */

static int32_t
group_hand_over(struct session *s)
{
    struct group *g = group_of(s, s->active); /* dirty since the charge */

    g->last = s->active;
    mode_turn_count(s);
    return g->total_time_ms == 0 ? s->active : -1;
}

static bool
group_clock(struct session *s, int32_t place, struct mode_clock *out)
{
    struct group *g = group_of(s, place);

    *out =
        (struct mode_clock){ &g->total_time_ms, &g->allotted_ms, &g->has_expired, &g->dirty };
    return true;
}

static void
group_put_out(struct session *s)
{
    int32_t group = s->p[s->active].group;

    for (int32_t k = 0; k < (int32_t)s->n; k++) {
        if (s->p[k].group != group || s->p[k].out != OUT_NONE)
            continue;
        s->p[k].out = OUT_ELIMINATED;
        s->p[k].dirty = true;
    }
}

static size_t
group_sides(const struct session *s, int32_t *last)
{
    int32_t next[SESSION_GROUPS_MAX];
    size_t sides = 0, people = 0;

    next_of_each(s, next);
    for (size_t g = 0; g < s->n_groups; g++)
        sides += next[g] >= 0;
    *last = -1;
    for (size_t k = 0; k < s->n; k++) {
        if (s->p[k].out != OUT_NONE)
            continue;
        *last = people++ == 0 ? (int32_t)k : -1;
    }
    return sides;
}

const struct mode_ops mode_per_group = {
    .has_turns = true,
    .burns_banks = true,
    .set_up = group_set_up,
    .burn = group_burn,
    .left = group_left,
    .span = mode_span_of_left,
    .crossing = mode_crossing_of_left,
    .of_session = no_session_clock,
    .of_participant = group_left,
    .first = group_first,
    .next = group_next,
    .hand_over = group_hand_over,
    .clock_of = group_clock,
    .put_out = group_put_out,
    .sides = group_sides,
};
