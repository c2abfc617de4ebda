#include "session_slice.h"
#include "arena.h"
#include "buf.h"
#include "mode.h"
#include "session.h"
#include "session_row.h"

/* --- who takes turns --- */

/* One who is in: sorted as turns go. */
struct turn {
    int32_t group, place;
    int64_t index;
};

static int
turn_compare(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->group != y->group)
        return x->group - y->group;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return x->place - y->place;
}

static void
turn_add(struct buf *out, const struct turn *turn, bool begins)
{
    if (begins) {
        buf_char(out, ';');
        if (turn->group >= 0)
            buf_i64(out, turn->group);
        buf_str(out, ": ");
    }
    buf_i64(out, turn->place);
    buf_char(out, ' ');
}

void
session_turns_field(const struct session *s, struct buf *out)
{
    struct turn *turns;
    size_t n = 0;

    if (s->n <= SESSION_LARGE)
        return;
    turns = xalloc(s->n * sizeof(*turns));
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].out == OUT_NONE)
            turns[n++] = (struct turn){ s->p[k].group, (int32_t)k, s->p[k].index };
    qsort(turns, n, sizeof(*turns), turn_compare);
    for (size_t i = 0; i < n; i++)
        turn_add(out, &turns[i], i == 0 || turns[i].group != turns[i - 1].group);
    free(turns);
}

bool
session_turns_moved(const struct session *s, const struct change *c)
{
    if (s->n <= SESSION_LARGE || s->is_slice)
        return false;
    if (c->type == EVENT_SESSION_CREATED || c->type == EVENT_PARTICIPANT_ADDED)
        return true;
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].dirty && s->p[k].out != OUT_NONE)
            return true;
    return false;
}

/* --- reading --- */

/* Where the row of that place stands in p[], or in g[]; -1: it is not in the slice. */
static int32_t
find_participant(const struct session *s, int32_t place)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i].place == place)
            return (int32_t)i;
    return -1;
}

static int32_t
find_group(const struct session *s, int32_t place)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (s->g[i].place == place)
            return (int32_t)i;
    return -1;
}

static int
place_compare(const void *a, const void *b)
{
    return ((const struct participant *)a)->place - ((const struct participant *)b)->place;
}

static int
group_compare(const void *a, const void *b)
{
    return ((const struct group *)a)->place - ((const struct group *)b)->place;
}

/* The newest of the group that is on is who is on, whatever its row says. */
enum rc
session_slice_done(struct session *s, struct fail *f)
{
    if (s->n > 1)
        qsort(s->p, s->n, sizeof(*s->p), place_compare);
    if (s->n_groups > 1)
        qsort(s->g, s->n_groups, sizeof(*s->g), group_compare);
    s->active = find_participant(s, s->active);
    if (s->active < 0 || s->status != STATUS_RUNNING)
        return fail_log(f, RC_STATE_UNREADABLE, "slice without anybody who is on");
    for (size_t k = 0; k < s->n; k++) {
        if (s->p[k].out != OUT_NONE)
            return fail_log(f, RC_STATE_UNREADABLE, "slice with somebody who is out");
        if (s->mode == MODE_PER_GROUP)
            s->p[k].group = find_group(s, s->p[k].group);
    }
    for (size_t k = 0; k < s->n_groups; k++)
        s->g[k].last = find_participant(s, s->g[k].last);
    return session_fields_done(s, f);
}
