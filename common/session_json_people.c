/* Participants and groups, as clients see them. */
#include "control.h"
#include "mode.h"
#include "session_json_inside.h"

static void
group_id_add(struct buf *out, const struct session *s, const struct participant *p)
{
    const char *id = p->group >= 0 ? s->g[p->group].id : p->group_id;

    if (id[0] == '\0')
        return;
    LIT(out, ",\"group_id\":");
    word_add(out, id);
}

static void
counters_add(struct buf *out, const struct session *s, size_t k, int64_t now)
{
    struct control_counters c;

    control_count(s, (int32_t)k, mode_open(s, now), &c);
    ms_add(out, ",\"delay_left_ms\":", c.delay_left_ms);
    ms_add(out, ",\"periods_left\":", c.periods_left);
    ms_add(out, ",\"moves_left\":", c.moves_left);
    ms_add(out, ",\"stage\":", c.stage);
}

static void
participant_add(struct buf *out, const struct session *s, size_t k, int64_t now)
{
    const struct participant *p = &s->p[k];

    LIT(out, "{\"participant_id\":");
    word_add(out, p->id);
    LIT(out, ",\"participant_index\":");
    buf_i64(out, p->index);
    LIT(out, ",\"total_time_ms\":");
    buf_i64(out, p->total_time_ms);
    LIT(out, ",\"time_used_ms\":");
    buf_i64(out, p->time_used_ms);
    ms_add(out, ",\"time_remaining_ms\":", session_remaining(s, k, now));
    LIT(out, ",\"cycle_count\":");
    buf_i64(out, p->cycle_count);
    LIT(out, ",\"is_active\":");
    bool_add(out, (int32_t)k == s->active);
    LIT(out, ",\"has_expired\":");
    bool_add(out, session_has_expired(s, k));
    group_id_add(out, s, p);
    LIT(out, ",\"allotted_ms\":");
    buf_i64(out, p->allotted_ms);
    if (p->out != OUT_NONE) {
        LIT(out, ",\"out\":");
        word_add(out, participant_out_name(p->out));
    }
    if (s->control.type != CONTROL_NONE)
        counters_add(out, s, k, now);
    buf_char(out, '}');
}

void
session_json_participants(struct buf *out, const struct session *s,
                          const struct session_part *only, int64_t now)
{
    bool comma = false;

    LIT(out, ",\"participants\":[");
    for (size_t k = 0; k < s->n; k++) {
        if (only != NULL && !session_part_has(only->p, k))
            continue;
        if (comma)
            buf_char(out, ',');
        comma = true;
        participant_add(out, s, k, now);
    }
    buf_char(out, ']');
}

/* The members of each group as chains of places, each ending in -1. */
struct chains {
    int32_t first[SESSION_GROUPS_MAX], next[SESSION_PARTICIPANTS_MAX];
};

static void
chain(const struct session *s, struct chains *c)
{
    for (size_t g = 0; g < s->n_groups; g++)
        c->first[g] = -1;
    for (size_t k = s->n; k-- > 0;) {
        c->next[k] = c->first[s->p[k].group];
        c->first[s->p[k].group] = (int32_t)k;
    }
}

static void
group_add(struct buf *out, const struct session *s, size_t k, const struct chains *c,
          int64_t now)
{
    const struct group *g = &s->g[k];

    LIT(out, "{\"group_id\":");
    word_add(out, g->id);
    LIT(out, ",\"total_time_ms\":");
    buf_i64(out, g->total_time_ms);
    LIT(out, ",\"allotted_ms\":");
    buf_i64(out, g->allotted_ms);
    LIT(out, ",\"time_used_ms\":");
    buf_i64(out, g->time_used_ms);
    LIT(out, ",\"time_remaining_ms\":");
    buf_i64(out, session_group_remaining(s, k, now));
    LIT(out, ",\"has_expired\":");
    bool_add(out, g->has_expired);
    LIT(out, ",\"members\":[");
    for (int32_t place = c->first[k]; place >= 0; place = c->next[place]) {
        if (place != c->first[k])
            buf_char(out, ',');
        word_add(out, s->p[place].id);
    }
    LIT(out, "]}");
}

void
session_json_groups(struct buf *out, const struct session *s, const struct session_part *only,
                    int64_t now)
{
    bool comma = false;
    struct chains c;

    chain(s, &c);
    LIT(out, ",\"groups\":[");
    for (size_t k = 0; k < s->n_groups; k++) {
        if (only != NULL && !session_part_has(only->g, k))
            continue;
        if (comma)
            buf_char(out, ',');
        comma = true;
        group_add(out, s, k, &c, now);
    }
    buf_char(out, ']');
}
