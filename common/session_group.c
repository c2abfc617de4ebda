/*
 * Which groups a per_group draft has, and who is in which: said by groups[].members, by the
 * group_id of a participant, or by neither, and then each is a group of its own.
 */
#include "arena.h"
#include "id.h"
#include "session_change.h"

#define FIELD_MAX 64

/* A group that nobody gave, found among the participants that name it. */
struct derived {
    const char *id; /* of its first member, whose spelling counts */
    int64_t bank;
    int64_t index; /* the lowest, and whose it is: the order of such groups */
    int32_t lowest;
};

struct grouping {
    struct session *s;
    struct session_faults faults;
};

/* --- what the body says of members --- */

static void
members_take(struct grouping *to, const struct membership *m, size_t n)
{
    struct session *s = to->s;
    struct id_ref *people = xalloc((s->n + 1) * sizeof(*people));
    char field[FIELD_MAX];

    for (size_t k = 0; k < s->n; k++)
        people[k] = (struct id_ref){ s->p[k].id, (int32_t)k };
    id_refs_sort(people, s->n);
    for (size_t i = 0; i < n; i++) {
        int32_t place = id_refs_find(people, s->n, m[i].participant_id);

        snprintf(field, sizeof(field), "groups.%d.members.%d", (int)m[i].group, (int)m[i].item);
        if (place < 0)
            session_fault_add(&to->faults, field, "Participant not found in session",
                              "invalid_value");
        else if (s->p[place].group >= 0)
            session_fault_add(&to->faults, field, "A participant can be in one group only",
                              "duplicate");
        else
            s->p[place].group = m[i].group;
    }
    free(people);
}

static void
contradictions_check(struct grouping *to)
{
    const struct session *s = to->s;
    char field[FIELD_MAX];

    for (size_t k = 0; k < s->n; k++) {
        const struct participant *p = &s->p[k];

        if (p->group < 0 || p->group_id[0] == '\0' || id_equal(s->g[p->group].id, p->group_id))
            continue;
        snprintf(field, sizeof(field), "participants.%zu.group_id", k);
        session_fault_add(&to->faults, field, "Another group has this participant as a member",
                          "invalid_value");
    }
}

/* --- groups out of what participants say --- */

static const char *
name_of(const struct participant *p)
{
    return p->group_id[0] != '\0' ? p->group_id : p->id;
}

/* Into the groups that were given; the same of these twice is a fault. */
static void
given_join(struct grouping *to)
{
    struct session *s = to->s;
    struct id_ref *given = xalloc((s->n_groups + 1) * sizeof(*given));
    char field[FIELD_MAX];

    for (size_t k = 0; k < s->n_groups; k++)
        given[k] = (struct id_ref){ s->g[k].id, (int32_t)k };
    id_refs_sort(given, s->n_groups);
    for (size_t k = 0; k < s->n_groups; k++) {
        if (id_refs_find(given, s->n_groups, s->g[k].id) == (int32_t)k)
            continue;
        snprintf(field, sizeof(field), "groups.%zu.group_id", k);
        session_fault_add(&to->faults, field, "Group ID must be unique in the session",
                          "duplicate");
    }
    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].group < 0)
            s->p[k].group = id_refs_find(given, s->n_groups, name_of(&s->p[k]));
    free(given);
}

static int
derived_compare(const void *a, const void *b)
{
    const struct derived *x = a, *y = b;

    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return x->lowest - y->lowest;
}

/* The groups that those name who are in none yet: refs[n], sorted by that name. */
static size_t
derive(const struct session *s, const struct id_ref *refs, size_t n, struct derived *out)
{
    size_t made = 0;

    for (size_t i = 0; i < n; i++) {
        const struct participant *p = &s->p[refs[i].place];
        struct derived *d = made == 0 ? NULL : &out[made - 1];

        if (d == NULL || !id_equal(d->id, refs[i].id)) {
            d = &out[made++];
            *d = (struct derived){ refs[i].id, 0, p->index, refs[i].place };
        }
        if (p->total_time_ms > d->bank)
            d->bank = p->total_time_ms;
        if (p->index < d->index) {
            d->index = p->index;
            d->lowest = refs[i].place;
        }
    }
    qsort(out, made, sizeof(*out), derived_compare);
    return made;
}

static void
derived_join(struct grouping *to)
{
    struct session *s = to->s;
    struct id_ref *refs = xalloc((s->n + 1) * sizeof(*refs));
    struct derived *made = xalloc((s->n + 1) * sizeof(*made));
    size_t n = 0, groups;

    for (size_t k = 0; k < s->n; k++)
        if (s->p[k].group < 0)
            refs[n++] = (struct id_ref){ name_of(&s->p[k]), (int32_t)k };
    id_refs_sort(refs, n);
    groups = derive(s, refs, n, made);
    if (s->n_groups + groups > SESSION_GROUPS_MAX) {
        session_fault_add(&to->faults, "groups",
                          "Cannot exceed 1000 groups, with those of participants", "too_big");
        groups = 0;
    }
    for (size_t i = 0; i < groups; i++) {
        struct group *g = session_add_group(s);

        memcpy(g->id, made[i].id, sizeof(g->id));
        g->total_time_ms = made[i].bank;
    }
    free(made);
    free(refs);
    if (groups > 0)
        given_join(to);
}

/* From here on the group tells its name. */
static void
names_drop(struct session *s)
{
    for (size_t k = 0; k < s->n; k++)
        s->p[k].group_id[0] = '\0';
}

size_t
session_draft_groups(struct session *s, const struct membership *m, size_t n,
                     session_fault_fn *fault, void *ctx)
{
    struct grouping to = { s, { fault, ctx, 0 } };

    if (s->mode != MODE_PER_GROUP)
        return 0;
    members_take(&to, m, n);
    contradictions_check(&to);
    given_join(&to);
    if (to.faults.n == 0)
        derived_join(&to);
    if (to.faults.n == 0)
        names_drop(s);
    return to.faults.n;
}
