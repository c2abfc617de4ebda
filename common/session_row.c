#include "session_row.h"

#include "arena.h"
#include "buf.h"
#include "row.h"
#include "session.h"

/* A row with the longest texts, every byte escaped, stays below this. */
#define FIELD_VALUE_MAX 32768

#define H(member) offsetof(struct session, member)
#define P(member) offsetof(struct participant, member)
#define G(member) offsetof(struct group, member)

/* clang-format off */
static const struct row_field header_fields[] = {
    { 'i', ROW_ID,   H(id),                   0,                0,  0, 0 },
    { 'M', ROW_ENUM, H(mode),                 MODE__MAX,        0,  0, 0 },
    { 's', ROW_ENUM, H(status),               STATUS__MAX,      0,  0, 0 },
    { 'T', ROW_I64,  H(total_time_ms),        0,                0,  0, ROW_SPAN_MAX },
    { 'Y', ROW_I64,  H(time_per_cycle_ms),    0,                -1, 0, ROW_SPAN_MAX },
    { 'r', ROW_I64,  H(increment_ms),         0,                0,  0, ROW_SPAN_MAX },
    { 'X', ROW_I64,  H(max_time_ms),          0,                -1, 0, ROW_SPAN_MAX },
    { 'c', ROW_I64,  H(created_at),           0,                0,  0, ROW_INSTANT_MAX },
    { 'u', ROW_I64,  H(updated_at),           0,                0,  0, ROW_INSTANT_MAX },
    { 'b', ROW_I64,  H(session_started_at),   0,                0,  0, ROW_INSTANT_MAX },
    { 'f', ROW_I64,  H(session_completed_at), 0,                0,  0, ROW_INSTANT_MAX },
    { 'y', ROW_I64,  H(cycle_started_at),     0,                0,  0, ROW_INSTANT_MAX },
    { 'p', ROW_I64,  H(paused_at),            0,                0,  0, ROW_INSTANT_MAX },
    { 'q', ROW_I64,  H(paused_total_ms),      0,                0,  0, ROW_SPAN_MAX },
    { 'g', ROW_I64,  H(paused_charged_at),    0,                0,  0, ROW_INSTANT_MAX },
    { 'n', ROW_I64,  H(cycle_number),         0,                0,  0, ROW_COUNT_MAX },
    { 'w', ROW_I64,  H(turn_used_ms),         0,                0,  0, ROW_SPAN_MAX },
    { 'z', ROW_I64,  H(cycle_left_ms),        0,                0,  0, ROW_SPAN_MAX },
    { 'A', ROW_I64,  H(allotted_ms),          0,                0,  0, ROW_SPAN_MAX },
    { 'U', ROW_I64,  H(time_used_ms),         0,                0,  0, ROW_SPAN_MAX },
    { 'a', ROW_I32,  H(active),               0,                -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'F', ROW_I32,  H(first),                0,                -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'd', ROW_BOOL, H(auto_advance),         0,                0,  0, 0 },
    { 'x', ROW_BOOL, H(emptied),              0,                0,  0, 0 },
    { 'C', ROW_I64,  H(max_cycles),           0,                0,  0, ROW_COUNT_MAX },
    { 'G', ROW_I64,  H(handed_over_at),       0,                0,  0, ROW_INSTANT_MAX },
    { 'B', ROW_I64,  H(warned),               0,                0,  0, (1 << SESSION_WARNINGS_MAX) - 1 },
    { 'v', ROW_I64,  H(last_timeout.version), 0,                0,  0, ROW_COUNT_MAX },
    { 't', ROW_I64,  H(last_timeout.at),      0,                0,  0, ROW_INSTANT_MAX },
    { 'e', ROW_I32,  H(last_timeout.expired), 0,                -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'L', ROW_ENUM, H(last_timeout.applied), TIMEOUT__MAX,     0,  0, 0 },
    { 'R', ROW_ENUM, H(result.reason),        REASON__MAX,      0,  0, 0 },
    { 'E', ROW_I32,  H(result.expired),       0,                -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'W', ROW_I32,  H(result.winner),        0,                -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'o', ROW_TEXT, H(owner),                SESSION_OWNER_MAX, 0, 0, 0 },
    { 0,   ROW_END,  0,                       0,                0,  0, 0 },
};

static const struct row_field timeout_fields[] = {
    { 't', ROW_ENUM, H(on_timeout.type),    TIMEOUT__MAX,            0,  0, 0 },
    { 'a', ROW_TEXT, H(on_timeout.action),  SESSION_TEXT_MAX,        0,  0, 0 },
    { 'o', ROW_TEXT, H(on_timeout.outcome), SESSION_TEXT_MAX,        0,  0, 0 },
    { 'p', ROW_TEXT, H(on_timeout.penalty), SESSION_PENALTY_MAX + 1, 0,  0, 0 },
    { 'w', ROW_I32,  H(on_timeout.winner),  0,                       -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 0,   ROW_END,  0,                     0,                       0,  0, 0 },
};

#define STAGE(k, tag_moves, tag_add, tag_increment)                                           \
    { tag_moves,     ROW_I64, H(control.stages[k].moves),        0, 0, 0, SESSION_MOVES_MAX },\
    { tag_add,       ROW_I64, H(control.stages[k].add_ms),       0, 0, 0, ROW_SPAN_MAX },     \
    { tag_increment, ROW_I64, H(control.stages[k].increment_ms), 0, 0, 0, ROW_SPAN_MAX }

static const struct row_field control_fields[] = {
    { 't', ROW_ENUM, H(control.type),      CONTROL__MAX, 0, 0, 0 },
    { 'i', ROW_I64,  H(control.increment_ms), 0,         0, 0, ROW_SPAN_MAX },
    { 'd', ROW_I64,  H(control.delay_ms),  0,            0, 0, ROW_SPAN_MAX },
    { 'n', ROW_I64,  H(control.periods),   0,            0, 0, SESSION_PERIODS_MAX },
    { 'p', ROW_I64,  H(control.period_ms), 0,            0, 0, SESSION_PERIOD_MAX_MS },
    { 'm', ROW_I64,  H(control.moves),     0,            0, 0, SESSION_MOVES_MAX },
    { 's', ROW_I32,  H(control.n_stages),  0,            0, 0, SESSION_STAGES_MAX },
    STAGE(0, 'A', 'B', 'C'),
    STAGE(1, 'D', 'E', 'F'),
    STAGE(2, 'G', 'H', 'I'),
    STAGE(3, 'J', 'K', 'L'),
    STAGE(4, 'M', 'N', 'O'),
    { 0,   ROW_END,  0,                    0,            0, 0, 0 },
};

static const struct row_field warning_fields[] = {
    { 'a', ROW_I64, H(warn_at_ms[0]), 0, SESSION_WARNING_MS, 0, ROW_SPAN_MAX },
    { 'b', ROW_I64, H(warn_at_ms[1]), 0, 0, 0, ROW_SPAN_MAX },
    { 'c', ROW_I64, H(warn_at_ms[2]), 0, 0, 0, ROW_SPAN_MAX },
    { 'd', ROW_I64, H(warn_at_ms[3]), 0, 0, 0, ROW_SPAN_MAX },
    { 'e', ROW_I64, H(warn_at_ms[4]), 0, 0, 0, ROW_SPAN_MAX },
    { 0,   ROW_END, 0,                0, 0, 0, 0 },
};

static const struct row_field participant_fields[] = {
    { 'i', ROW_ID,   P(id),            0,          0, 0, 0 },
    { 'g', ROW_ID,   P(group_id),      0,          0, 0, 0 },
    { 'G', ROW_I32,  P(group),         0,          -1, 0, SESSION_GROUPS_MAX - 1 },
    { 'x', ROW_I64,  P(index),         0,          0, 0, INT64_MAX },
    { 't', ROW_I64,  P(total_time_ms), 0,          0, 0, ROW_SPAN_MAX },
    { 'A', ROW_I64,  P(allotted_ms),   0,          0, 0, ROW_SPAN_MAX },
    { 'u', ROW_I64,  P(time_used_ms),  0,          0, 0, ROW_SPAN_MAX },
    { 'c', ROW_I64,  P(cycle_count),   0,          0, 0, ROW_COUNT_MAX },
    { 'v', ROW_I64,  P(overtime_ms),   0,          0, 0, ROW_SPAN_MAX },
    { 'p', ROW_I64,  P(periods_left),  0,          0, 0, SESSION_PERIODS_MAX },
    { 'm', ROW_I64,  P(moves_left),    0,          0, 0, SESSION_MOVES_MAX },
    { 's', ROW_I64,  P(stage),         0,          0, 0, SESSION_STAGES_MAX },
    { 'O', ROW_ENUM, P(out),           OUT__MAX,   0, 0, 0 },
    { 'e', ROW_BOOL, P(has_expired),   0,          0, 0, 0 },
    { 0,   ROW_END,  0,                0,          0, 0, 0 },
};

static const struct row_field group_fields[] = {
    { 'i', ROW_ID,   G(id),            0,          0,  0, 0 },
    { 't', ROW_I64,  G(total_time_ms), 0,          0,  0, ROW_SPAN_MAX },
    { 'A', ROW_I64,  G(allotted_ms),   0,          0,  0, ROW_SPAN_MAX },
    { 'u', ROW_I64,  G(time_used_ms),  0,          0,  0, ROW_SPAN_MAX },
    { 'l', ROW_I32,  G(last),          0,          -1, 0, SESSION_PARTICIPANTS_MAX - 1 },
    { 'e', ROW_BOOL, G(has_expired),   0,          0,  0, 0 },
    { 0,   ROW_END,  0,                0,          0,  0, 0 },
};
/* clang-format on */

/* --- out --- */

typedef void (*field_fn)(void *ctx, const char *name, const char *value, size_t len);

static void
emit(struct buf *row, field_fn fn, void *ctx, const char *name)
{
    fn(ctx, name, buf_cstr(row), row->len);
    buf_clear(row);
}

/* "p:0".."p:999" */
static void
place_name(char out[SESSION_FIELD_MAX], char kind, size_t k)
{
    size_t n = 0;

    out[n++] = kind;
    out[n++] = ':';
    if (k >= 100)
        out[n++] = (char)('0' + k / 100);
    if (k >= 10)
        out[n++] = (char)('0' + k / 10 % 10);
    out[n++] = (char)('0' + k % 10);
    out[n] = '\0';
}

/* What never changes. */
static void
rules(const struct session *s, struct buf *row, field_fn fn, void *ctx)
{
    if (s->metadata != NULL)
        fn(ctx, "m", s->metadata, strlen(s->metadata));
    session_access_field(s, row);
    if (row->len > 0)
        emit(row, fn, ctx, "x");
    if (s->on_timeout.type != TIMEOUT_NONE) {
        row_encode(row, timeout_fields, s);
        emit(row, fn, ctx, "t");
    }
    if (s->control.type != CONTROL_NONE) {
        row_encode(row, control_fields, s);
        emit(row, fn, ctx, "k");
    }
    row_encode(row, warning_fields, s);
    if (row->len > 0) /* else it warns as sessions do that say nothing */
        emit(row, fn, ctx, "w");
}

/* Of a slice, rows name places of the whole (session_slice.h). */
static void
header_row(const struct session *s, struct buf *row)
{
    struct session whole;

    if (!s->is_slice) {
        row_encode(row, header_fields, s);
        return;
    }
    whole = *s;
    whole.active = s->active < 0 ? -1 : s->p[s->active].place;
    row_encode(row, header_fields, &whole);
}

static void
participant_row(const struct session *s, const struct participant *p, struct buf *row)
{
    struct participant whole;

    if (!s->is_slice || p->group < 0) {
        row_encode(row, participant_fields, p);
        return;
    }
    whole = *p;
    whole.group = s->g[p->group].place;
    row_encode(row, participant_fields, &whole);
}

static void
group_row(const struct session *s, const struct group *g, struct buf *row)
{
    struct group whole;

    if (!s->is_slice || g->last < 0) {
        row_encode(row, group_fields, g);
        return;
    }
    whole = *g;
    whole.last = s->p[g->last].place;
    row_encode(row, group_fields, &whole);
}

void
session_fields(const struct session *s, bool all, field_fn fn, void *ctx)
{
    char name[SESSION_FIELD_MAX];
    struct buf row;

    buf_init(&row, FIELD_VALUE_MAX);
    if (all || s->dirty) {
        header_row(s, &row);
        emit(&row, fn, ctx, "h");
    }
    if (all || (s->dirty && s->version == 1))
        rules(s, &row, fn, ctx);
    for (size_t k = 0; k < s->n; k++) {
        if (!all && !s->p[k].dirty)
            continue;
        participant_row(s, &s->p[k], &row);
        place_name(name, 'p', (size_t)s->p[k].place);
        emit(&row, fn, ctx, name);
    }
    for (size_t k = 0; k < s->n_groups; k++) {
        if (!all && !s->g[k].dirty)
            continue;
        group_row(s, &s->g[k], &row);
        place_name(name, 'g', (size_t)s->g[k].place);
        emit(&row, fn, ctx, name);
    }
    buf_fini(&row);
}

/* --- in --- */

/* "0".."999", as session_fields writes it; -1 otherwise. */
static int
place_parse(const char *s, size_t len)
{
    int k = 0;

    if (len == 0 || len > 3 || (*s == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        k = k * 10 + (s[i] - '0');
    }
    return k;
}

static enum rc
header_set(struct session *s, const char *value, size_t len, struct fail *f)
{
    enum rc rc = row_decode(value, len, header_fields, s, f);

    if (rc == RC_OK && s->id[0] == '\0')
        return fail_log(f, RC_STATE_UNREADABLE, "header without an id");
    return rc;
}

/* The text was scanned when it came in; here it must only stay one line of a bounded size. */
static enum rc
metadata_set(struct session *s, const char *value, size_t len, struct fail *f)
{
    bool is_object = len >= 2 && value[0] == '{' && value[len - 1] == '}';

    if (!is_object || len > SESSION_METADATA_MAX)
        return fail_log(f, RC_STATE_UNREADABLE, "metadata is no object");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ')
            return fail_log(f, RC_STATE_UNREADABLE, "metadata with a control character");
    free(s->metadata);
    s->metadata = xalloc(len + 1);
    memcpy(s->metadata, value, len);
    s->metadata[len] = '\0';
    return RC_OK;
}

/* The row of that place, as one that says nothing. */
static struct participant *
participant_at(struct session *s, int place)
{
    struct participant *p;

    if (s->is_slice) {
        p = session_add_participant(s);
    } else {
        while (s->n <= (size_t)place)
            session_add_participant(s);
        p = &s->p[place];
    }
    *p = (struct participant){ .group = -1, .place = place };
    return p;
}

static enum rc
participant_set(struct session *s, int place, const char *value, size_t len, struct fail *f)
{
    struct participant *p = participant_at(s, place);
    enum rc rc = row_take(value, len, participant_fields, p, f);

    if (rc == RC_OK && p->id[0] == '\0')
        return fail_log(f, RC_STATE_UNREADABLE, "participant %d without an id", place);
    return rc;
}

static struct group *
group_at(struct session *s, int place)
{
    struct group *g;

    if (s->is_slice) {
        g = session_add_group(s);
    } else {
        while (s->n_groups <= (size_t)place)
            session_add_group(s);
        g = &s->g[place];
    }
    *g = (struct group){ .last = -1, .place = place };
    return g;
}

static enum rc
group_set(struct session *s, int place, const char *value, size_t len, struct fail *f)
{
    struct group *g = group_at(s, place);
    enum rc rc = row_take(value, len, group_fields, g, f);

    if (rc == RC_OK && g->id[0] == '\0')
        return fail_log(f, RC_STATE_UNREADABLE, "group %d without an id", place);
    return rc;
}

enum rc
session_field_set(struct session *s, const char *name, size_t name_len, const char *value,
                  size_t len, struct fail *f)
{
    int place;

    if (name_len == 1 && *name == 'h')
        return header_set(s, value, len, f);
    if (name_len == 1 && *name == 't')
        return row_decode(value, len, timeout_fields, s, f);
    if (name_len == 1 && *name == 'k')
        return row_decode(value, len, control_fields, s, f);
    if (name_len == 1 && *name == 'w')
        return row_decode(value, len, warning_fields, s, f);
    if (name_len == 1 && *name == 'x')
        return session_access_set(s, value, len, f);
    if (name_len == 1 && *name == 'm')
        return metadata_set(s, value, len, f);
    if (name_len < 2 || (name[0] != 'p' && name[0] != 'g') || name[1] != ':')
        return RC_OK;
    place = place_parse(name + 2, name_len - 2);
    if (place < 0)
        return fail_log(f, RC_STATE_UNREADABLE, "field of no place");
    return (*name == 'p' ? participant_set : group_set)(s, place, value, len, f);
}
