#include "draft.h"

#include "common/arena.h"
#include "common/buf.h"
#include "hold.h"

#define MEMBERSHIPS_MAX 64

static struct session *live;
static struct membership memberships[MEMBERSHIPS_MAX];
static size_t n_memberships;

char *
word_next(char **line)
{
    char *word = *line, *end;

    if (word == NULL || *word == '\0')
        return NULL;
    end = strchr(word, ' ');
    if (end != NULL)
        *end = '\0';
    *line = end == NULL ? NULL : end + 1;
    return word;
}

char *
word_value(char *word)
{
    char *eq = strchr(word, '=');

    HOLD(eq != NULL);
    *eq = '\0';
    return eq + 1;
}

static void
text_take(char *to, size_t size, const char *from)
{
    HOLD(strlen(from) < size);
    memcpy(to, from, strlen(from) + 1);
}

static void
participant_take(char *spec)
{
    struct participant *p = session_add_participant(live);
    char *field[5], *at = spec;

    for (int i = 0; i < 5; i++) {
        field[i] = at;
        at = strchr(at, ',');
        HOLD((at == NULL) == (i == 4));
        if (at != NULL)
            *at++ = '\0';
    }
    text_take(p->id, sizeof(p->id), field[0]);
    p->index = strtoll(field[1], NULL, 10);
    p->total_time_ms = strtoll(field[2], NULL, 10);
    if (strcmp(field[3], "-") != 0)
        text_take(p->group_id, sizeof(p->group_id), field[3]);
    p->out = (enum participant_out)strtol(field[4], NULL, 10);
}

static void
group_take(char *spec)
{
    struct group *g = session_add_group(live);
    char *bank = strchr(spec, ',');

    HOLD(bank != NULL);
    *bank++ = '\0';
    text_take(g->id, sizeof(g->id), spec);
    g->total_time_ms = strtoll(bank, NULL, 10);
}

static void
membership_take(char *spec)
{
    char *end;
    struct membership *m = &memberships[n_memberships++];

    HOLD(n_memberships < MEMBERSHIPS_MAX);
    m->group = (int32_t)strtol(spec, &end, 10);
    m->item = (int32_t)strtol(end + 1, &end, 10);
    m->participant_id = end + 1;
}

static int32_t
place_take(const char *id)
{
    int32_t place = session_find(live, id);

    return place < 0 ? SESSION_PARTICIPANTS_MAX : place;
}

/* fischer has its increment from inc=, which is not there for the others. */
static void
control_type_take(const char *word)
{
    live->control.type = control_type_parse(word);
    if (live->control.type == CONTROL_FISCHER)
        live->control.increment_ms = live->increment_ms;
    else if (live->increment_ms == 0)
        live->increment_ms = -1;
}

static void
stage_take(char *spec)
{
    struct time_stage *stage = &live->control.stages[live->control.n_stages++];

    stage->moves = strtoll(spec, &spec, 10);
    HOLD(*spec == ',');
    stage->add_ms = strtoll(spec + 1, &spec, 10);
    HOLD(*spec == ',');
    stage->increment_ms = strtoll(spec + 1, &spec, 10);
}

/* False: it is none of a time control. */
static bool
control_take(const char *key, char *value)
{
    struct time_control *tc = &live->control;

    if (strcmp(key, "tc") == 0)
        control_type_take(value);
    else if (strcmp(key, "stage") == 0)
        stage_take(value);
    else if (strcmp(key, "delay") == 0)
        tc->delay_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "periods") == 0)
        tc->periods = strtoll(value, NULL, 10);
    else if (strcmp(key, "period") == 0)
        tc->period_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "moves") == 0)
        tc->moves = strtoll(value, NULL, 10);
    else
        return false;
    return true;
}

/* "5000,300", in any order, or nothing. */
static void
warnings_take(char *at)
{
    live->warn_at_ms[0] = 0;
    for (int k = 0; *at != '\0'; k++) {
        HOLD(k < SESSION_WARNINGS_MAX);
        live->warn_at_ms[k] = strtoll(at, &at, 10);
        at += *at == ',';
    }
}

static void
draft_take(const char *key, char *value)
{
    if (strcmp(key, "id") == 0)
        text_take(live->id, sizeof(live->id), value);
    else if (strcmp(key, "epoch") == 0)
        text_take(live->epoch, sizeof(live->epoch), value);
    else if (strcmp(key, "mode") == 0)
        live->mode = sync_mode_parse(value);
    else if (strcmp(key, "total") == 0)
        live->total_time_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "inc") == 0)
        live->increment_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "tpc") == 0)
        live->time_per_cycle_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "max") == 0)
        live->max_time_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "owner") == 0)
        text_take(live->owner, sizeof(live->owner), value);
    else if (strcmp(key, "meta") == 0)
        live->metadata = xstrdup(value);
    else if (strcmp(key, "p") == 0)
        participant_take(value);
    else if (strcmp(key, "g") == 0)
        group_take(value);
    else if (strcmp(key, "gm") == 0)
        membership_take(value);
    else if (strcmp(key, "first") == 0)
        live->first = place_take(value);
    else if (strcmp(key, "warn") == 0)
        warnings_take(value);
    else if (strcmp(key, "adv") == 0)
        live->auto_advance = *value == '1';
    else if (strcmp(key, "cycles") == 0)
        live->max_cycles = strtoll(value, NULL, 10);
    else if (strcmp(key, "act") == 0)
        live->on_timeout.type = timeout_action_parse(value);
    else if (strcmp(key, "action") == 0)
        text_take(live->on_timeout.action, sizeof(live->on_timeout.action), value);
    else if (strcmp(key, "outcome") == 0)
        text_take(live->on_timeout.outcome, sizeof(live->on_timeout.outcome), value);
    else if (strcmp(key, "penalty") == 0)
        text_take(live->on_timeout.penalty, sizeof(live->on_timeout.penalty), value);
    else if (strcmp(key, "winner") == 0)
        live->on_timeout.winner = place_take(value);
    else
        HOLD(control_take(key, value));
}

void
draft_read(struct session *s, char *args)
{
    live = s;
    n_memberships = 0;
    for (char *word = word_next(&args); word != NULL; word = word_next(&args)) {
        char *value = word_value(word);

        draft_take(word, value);
    }
}

static void
fault_add(void *ctx, const char *field, const char *message, const char *code)
{
    struct buf *faults = ctx;

    buf_printf(faults, "%s{\"field\":\"%s\",\"message\":\"%s\",\"code\":\"%s\"}",
               faults->len == 0 ? "[" : ",", field, message, code);
}

bool
draft_is_good(struct session *s, struct buf *faults, struct fail *f)
{
    size_t n = session_draft_check(s, fault_add, faults);

    n += session_draft_groups(s, memberships, n_memberships, fault_add, faults);
    if (n == 0)
        return true;
    buf_char(faults, ']');
    fail_set(f, RC_VALIDATION, "Request validation failed");
    return false;
}
