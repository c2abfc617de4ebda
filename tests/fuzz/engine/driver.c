/*
 * driver.c - the engine on a line of commands, for tests/fuzz/engine/props.py.
 *
 * Reads "now command [key=value ...]" from stdin, applies what is due and then the command, as
 * a worker does, and prints one JSON object for each line: the changes, the error, the state.
 * After each change it holds the invariants of a session itself, and feeds the event to a
 * second session, as the broadcaster does; that must stay equal in every stored field. A broken
 * invariant ends the program with the line that broke it.
 *
 *   create id= epoch= mode= total= inc= [tpc= max= owner= meta=] p=id,index,bank,group|-,out
 * ... [g=id,bank ... gm=group,item,id ...] [first=id adv=1 cycles= act= action= outcome=
 * penalty= winner=id] [tc=type delay= periods= period= moves= stage=moves,add,increment ...]
 * start, switch, pause, resume, complete, cancel, remove, delete  [v= cur= next=] read;
 * adjust next= set=|add= add id= bank= [index= group=] recover from=
 *
 * Each change brings its audit record, some with a snapshot of the state after it, and "stored"
 * prints the fields as they are stored: what the records have to fold to.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/control.h"
#include "common/event.h"
#include "common/session.h"
#include "common/session_json.h"
#include <inttypes.h>

#define ENDED_TTL_MS 3600000LL
#define GRACE_MS 300
#define TEXT_MAX (4 * 1024 * 1024)

static long line_number;
static struct session live, before, mirror;
static bool is_there;
static struct buf out, wire, record, text_a, text_b, faults;

#define MEMBERSHIPS_MAX 64
static struct membership memberships[MEMBERSHIPS_MAX];
static size_t n_memberships;

#define HOLD(cond)                                                                      \
    do {                                                                                \
        if (!(cond)) {                                                                  \
            fflush(stdout);                                                             \
            fprintf(stderr, "line %ld: broken: %s (driver.c:%d)\n", line_number, #cond, \
                    __LINE__);                                                          \
            exit(1);                                                                    \
        }                                                                               \
    } while (0)

/* --- invariants --- */

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
    event_snapshot(&wire, &live);
    HOLD(event_lines_apply(wire.data, wire.len, &loaded, NULL) == RC_OK);
    loaded.version = live.version;
    memcpy(loaded.epoch, live.epoch, sizeof(loaded.epoch));
    hold_equal(&live, &loaded);
    session_fini(&loaded);
}

/* The event of the change carries the mirror from the state before to the state after. */
static void
hold_fold(const struct change *c, int64_t now)
{
    bool whole = c->type == EVENT_SESSION_CREATED && c->at_ms % 2 == 0;
    struct event ev;

    buf_clear(&wire);
    event_encode(&wire, &live, c, now, "somebody else", whole);
    HOLD(!wire.overflow);
    buf_clear(&record);
    buf_add(&record, wire.data, wire.len);
    HOLD(event_decode(wire.data, wire.len, &ev, NULL) == RC_OK);
    HOLD(ev.type == c->type && ev.reason == c->reason && ev.version == c->version);
    HOLD(ev.at_ms == c->at_ms && ev.server_time_ms == now);
    HOLD(ev.remaining_ms == c->remaining_ms && ev.elapsed_ms == c->elapsed_ms);
    HOLD(strcmp(ev.note, c->note == NULL ? "" : c->note) == 0);
    HOLD(event_apply(&ev, &mirror, NULL) == RC_OK);
    hold_equal(&live, &mirror);
}

/* What a hand-over may bring at most. */
static int64_t
grant_max(const struct participant *was)
{
    const struct time_control *tc = &live.control;
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
        return live.increment_ms;
    }
}

/* The counters of a time control, within what it says. */
static void
hold_control(const struct participant *was, const struct participant *is)
{
    const struct time_control *tc = &live.control;

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
    const struct participant *was = before.p, *is = live.p;

    if (live.control.type != CONTROL_HOURGLASS || c->type == EVENT_PARTICIPANT_ADJUSTED ||
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
    size_t place = (size_t)(is - live.p);

    if (live.mode != MODE_PER_PARTICIPANT) {
        HOLD(is->total_time_ms == was->total_time_ms && is->group == was->group);
        HOLD(!is->has_expired || live.mode == MODE_PER_CYCLE);
        HOLD(!is->has_expired || !handed_over || live.status == STATUS_COMPLETED);
        return;
    }
    HOLD(is->total_time_ms >= 0);
    HOLD(corrected || is->total_time_ms <= was->total_time_ms + grant ||
         live.control.type == CONTROL_HOURGLASS);
    hold_control(was, is);
    HOLD(corrected || is->has_expired || !was->has_expired);
    HOLD(is->has_expired == (control_left(&live, (int32_t)place, 0) == 0));
}

/* Whether k loses what `expired` loses: they are the same, or in one group. */
static bool
is_of(int32_t expired, size_t k)
{
    if (expired < 0 || live.mode != MODE_PER_GROUP)
        return expired == (int32_t)k;
    return live.p[expired].group == live.p[k].group;
}

static void
hold_group(size_t k, const struct change *c)
{
    const struct group *was = &before.g[k], *is = &live.g[k];
    bool corrected =
        c->type == EVENT_PARTICIPANT_ADJUSTED && live.p[c->participant].group == (int32_t)k;
    int64_t used = 0;

    for (size_t i = 0; i < live.n; i++)
        used += live.p[i].group == (int32_t)k ? live.p[i].time_used_ms : 0;
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
    const struct participant *was = &before.p[k], *is = &live.p[k];
    bool is_about = c->participant == (int32_t)k;
    bool handed_over = c->type == EVENT_CYCLE_SWITCHED && is_about;
    bool ended_turn = handed_over || (c->type == EVENT_SESSION_COMPLETED && is_about &&
                                      live.result.reason != REASON_COMPLETED);

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
    bool is_whole = live.mode == MODE_GLOBAL || live.mode == MODE_COUNT_UP;
    int64_t sum = 0;

    for (size_t k = 0; k < live.n; k++)
        sum += live.p[k].time_used_ms;
    HOLD(live.time_used_ms == (!is_whole ? 0 : live.n > 0 ? sum : live.time_used_ms));
    if (live.n == 0)
        sum = live.time_used_ms;
    sum += live.paused_total_ms;
    if (live.session_started_at == 0)
        HOLD(sum == 0);
    else
        HOLD(sum == live.updated_at - live.session_started_at);
}

static void
hold_turn(void)
{
    bool on = live.status == STATUS_RUNNING || live.status == STATUS_PAUSED;

    HOLD((live.active >= 0) == (on && live.n > 0));
    HOLD(live.active < (int32_t)live.n);
    HOLD(live.active < 0 || live.p[live.active].out == OUT_NONE);
    HOLD((live.cycle_started_at > 0) == (live.status == STATUS_RUNNING));
    HOLD((live.paused_at > 0) == (live.status == STATUS_PAUSED));
    HOLD(live.paused_at <= live.paused_charged_at);
    HOLD(on || live.turn_used_ms == 0);
    HOLD(sync_status_is_terminal(live.status) == (live.session_completed_at > 0));
    HOLD(sync_status_is_terminal(live.status) == (live.result.reason != REASON_NONE));
}

static void
hold_change(const struct change *c, int64_t now)
{
    HOLD(c->version == live.version);
    if (c->type == EVENT_SESSION_CREATED) {
        HOLD(live.version == 1);
    } else {
        HOLD(live.version == before.version + 1);
        HOLD(live.n == before.n + (c->type == EVENT_PARTICIPANT_ADDED ? 1 : 0));
        HOLD(c->at_ms >= before.updated_at);
        HOLD(live.updated_at ==
             (c->type == EVENT_SESSION_DELETED ? before.updated_at : c->at_ms));
        HOLD(!sync_status_is_terminal(before.status) || c->type == EVENT_SESSION_DELETED);
        HOLD(live.cycle_number >= before.cycle_number);
        for (size_t k = 0; k < before.n; k++)
            hold_participant(k, c);
        HOLD(live.n_groups == before.n_groups ||
             (live.n > before.n && live.n_groups == before.n_groups + 1));
        for (size_t k = 0; k < before.n_groups; k++)
            hold_group(k, c);
        hold_hourglass(c);
    }
    hold_times();
    hold_turn();
    hold_round_trip();
    hold_fold(c, now);
    session_clean(&live);
}

/* --- printing --- */

static void
print_id(const char *name, int32_t place)
{
    if (place < 0)
        buf_printf(&out, ",\"%s\":null", name);
    else
        buf_printf(&out, ",\"%s\":\"%s\"", name, live.p[place].id);
}

static void
print_text(const char *name, const struct buf *text)
{
    HOLD(!text->overflow);
    buf_str(&out, name);
    buf_json(&out, text->data, text->len);
}

static void
print_stored(const char *name)
{
    buf_clear(&text_a);
    event_snapshot(&text_a, &live);
    print_text(name, &text_a);
}

static void
change_done(const struct change *c, int64_t now)
{
    hold_change(c, now);
    if (out.data[out.len - 1] != '[')
        buf_char(&out, ',');
    buf_printf(&out, "{\"type\":\"%s\",\"reason\":\"%s\"", event_type_name(c->type),
               change_reason_name(c->reason));
    buf_printf(&out, ",\"version\":%" PRId64 ",\"at\":%" PRId64, c->version, c->at_ms);
    print_id("participant", c->participant);
    print_id("expired", c->expired);
    buf_printf(&out, ",\"remaining_ms\":%" PRId64 ",\"elapsed_ms\":%" PRId64, c->remaining_ms,
               c->elapsed_ms);
    print_text(",\"record\":", &record);
    if (c->at_ms % 8 == 0)
        print_stored(",\"snapshot\":");
    buf_char(&out, '}');
    if (c->type == EVENT_SESSION_DELETED)
        is_there = false;
}

/* What the running clock will cross. */
static void
print_warnings(void)
{
    struct warning due[SESSION_WARNINGS_MAX];
    size_t n = is_there ? session_warnings(&live, due) : 0;

    buf_str(&out, ",\"warnings\":[");
    for (size_t k = 0; k < n; k++) {
        HOLD(due[k].at_ms >= live.updated_at && due[k].at_ms < session_deadline(&live));
        buf_printf(&out, "%s[%" PRId64 ",%" PRId64 "]", k > 0 ? "," : "", due[k].at_ms,
                   due[k].threshold_ms);
    }
    buf_char(&out, ']');
}

static void
print_end(const struct fail *f, bool switched, int32_t expired, int64_t now)
{
    buf_str(&out, "],\"error\":");
    if (f->rc == RC_OK) {
        buf_str(&out, "null");
    } else {
        buf_printf(&out, "{\"code\":\"%s\",\"message\":", rc_code(f->rc));
        buf_json(&out, f->message, strlen(f->message));
        buf_printf(&out, ",\"details\":%s}",
                   faults.len > 0          ? buf_cstr(&faults)
                   : f->details[0] == '\0' ? "null"
                                           : f->details);
    }
    buf_str(&out, ",\"switch\":");
    if (switched)
        session_switch_json(&out, &live, expired, now);
    else
        buf_str(&out, "null");
    print_warnings();
    if (is_there) {
        buf_printf(&out,
                   ",\"wakeup\":%" PRId64 ",\"state\":", session_due_at(&live, ENDED_TTL_MS));
        session_json(&out, &live, now);
    } else {
        buf_str(&out, ",\"wakeup\":0,\"state\":null");
    }
    buf_str(&out, "}\n");
    HOLD(!out.overflow);
    fwrite(out.data, 1, out.len, stdout);
}

/* --- reading --- */

/* The next word of the line, NUL-terminated in place; NULL at the end. */
static char *
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

static void
text_take(char *to, size_t size, const char *from)
{
    HOLD(strlen(from) < size);
    memcpy(to, from, strlen(from) + 1);
}

static void
participant_take(char *spec)
{
    struct participant *p = session_add_participant(&live);
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
    struct group *g = session_add_group(&live);
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
    int32_t place = session_find(&live, id);

    return place < 0 ? SESSION_PARTICIPANTS_MAX : place;
}

/* fischer has its increment from inc=, which is not there for the others. */
static void
control_type_take(const char *word)
{
    live.control.type = control_type_parse(word);
    if (live.control.type == CONTROL_FISCHER)
        live.control.increment_ms = live.increment_ms;
    else if (live.increment_ms == 0)
        live.increment_ms = -1;
}

static void
stage_take(char *spec)
{
    struct time_stage *stage = &live.control.stages[live.control.n_stages++];

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
    struct time_control *tc = &live.control;

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
    live.warn_at_ms[0] = 0;
    for (int k = 0; *at != '\0'; k++) {
        HOLD(k < SESSION_WARNINGS_MAX);
        live.warn_at_ms[k] = strtoll(at, &at, 10);
        at += *at == ',';
    }
}

static void
draft_take(const char *key, char *value)
{
    if (strcmp(key, "id") == 0)
        text_take(live.id, sizeof(live.id), value);
    else if (strcmp(key, "epoch") == 0)
        text_take(live.epoch, sizeof(live.epoch), value);
    else if (strcmp(key, "mode") == 0)
        live.mode = sync_mode_parse(value);
    else if (strcmp(key, "total") == 0)
        live.total_time_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "inc") == 0)
        live.increment_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "tpc") == 0)
        live.time_per_cycle_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "max") == 0)
        live.max_time_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "owner") == 0)
        text_take(live.owner, sizeof(live.owner), value);
    else if (strcmp(key, "meta") == 0)
        live.metadata = xstrdup(value);
    else if (strcmp(key, "p") == 0)
        participant_take(value);
    else if (strcmp(key, "g") == 0)
        group_take(value);
    else if (strcmp(key, "gm") == 0)
        membership_take(value);
    else if (strcmp(key, "first") == 0)
        live.first = place_take(value);
    else if (strcmp(key, "warn") == 0)
        warnings_take(value);
    else if (strcmp(key, "adv") == 0)
        live.auto_advance = *value == '1';
    else if (strcmp(key, "cycles") == 0)
        live.max_cycles = strtoll(value, NULL, 10);
    else if (strcmp(key, "act") == 0)
        live.on_timeout.type = timeout_action_parse(value);
    else if (strcmp(key, "action") == 0)
        text_take(live.on_timeout.action, sizeof(live.on_timeout.action), value);
    else if (strcmp(key, "outcome") == 0)
        text_take(live.on_timeout.outcome, sizeof(live.on_timeout.outcome), value);
    else if (strcmp(key, "penalty") == 0)
        text_take(live.on_timeout.penalty, sizeof(live.on_timeout.penalty), value);
    else if (strcmp(key, "winner") == 0)
        live.on_timeout.winner = place_take(value);
    else
        HOLD(control_take(key, value));
}

static char *
value_split(char *word)
{
    char *eq = strchr(word, '=');

    HOLD(eq != NULL);
    *eq = '\0';
    return eq + 1;
}

static void
fault_add(void *ctx, const char *field, const char *message, const char *code)
{
    (void)ctx;
    buf_printf(&faults, "%s{\"field\":\"%s\",\"message\":\"%s\",\"code\":\"%s\"}",
               faults.len == 0 ? "[" : ",", field, message, code);
}

/* All faults of the draft, as a worker collects them; a draft with one is no session. */
static bool
draft_is_good(struct fail *f)
{
    size_t n = session_draft_check(&live, fault_add, NULL);

    n += session_draft_groups(&live, memberships, n_memberships, fault_add, NULL);
    if (n == 0)
        return true;
    buf_char(&faults, ']');
    fail_set(f, RC_VALIDATION, "Request validation failed");
    return false;
}

static void
run_create(char *args, int64_t now, struct fail *f)
{
    struct change c;
    char *word;

    session_fini(&live);
    session_init(&live);
    n_memberships = 0;
    for (word = word_next(&args); word != NULL; word = word_next(&args)) {
        char *value = value_split(word);

        draft_take(word, value);
    }
    is_there = draft_is_good(f);
    if (is_there)
        HOLD(session_create(&live, now, &c, f) == RC_OK);
    if (is_there)
        change_done(&c, now);
}

/* What is due at `now`, each as its own change; false when the session is gone. */
static bool
settle(int64_t now)
{
    struct change c;

    while (is_there) {
        session_copy(&before, &live);
        if (!session_expire(&live, now, ENDED_TTL_MS, &c))
            break;
        change_done(&c, now);
    }
    return is_there;
}

static enum command_type
command_named(const char *word)
{
    static const char *const words[COMMAND__MAX] = {
        "",       "start", "switch", "pause",  "resume", "complete",
        "cancel", "add",   "adjust", "remove", "delete",
    };

    for (int i = COMMAND_NONE + 1; i < COMMAND__MAX; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum command_type)i;
    return COMMAND_NONE;
}

static void
guard_take(struct command *cmd, const char *key, char *value)
{
    if (strcmp(key, "v") == 0)
        cmd->expected_version = strtoll(value, NULL, 10);
    else if (strcmp(key, "cur") == 0)
        cmd->current_participant_id = value;
    else if (strcmp(key, "next") == 0)
        cmd->next_participant_id = cmd->participant_id = value;
    else if (strcmp(key, "id") == 0)
        cmd->participant_id = value;
    else if (strcmp(key, "index") == 0)
        cmd->newcomer.index = strtoll(value, NULL, 10);
    else if (strcmp(key, "bank") == 0)
        cmd->newcomer.total_time_ms = strtoll(value, NULL, 10);
    else if (strcmp(key, "group") == 0)
        cmd->newcomer.group_id = value;
    else if (strcmp(key, "set") == 0 || strcmp(key, "add") == 0) {
        cmd->correction.sets = *key == 's';
        cmd->correction.ms = strtoll(value, NULL, 10);
        cmd->correction.note = "a reason, in words \xe2\x82\xac";
    } else
        HOLD(!"a key of a command");
}

/* True when a switch happened; c tells which. */
static bool
run_command(enum command_type type, char *args, int64_t now, struct change *c, struct fail *f)
{
    struct command cmd = { .type = type, .grace_ms = GRACE_MS, .newcomer.index = -1 };
    char *word;

    for (word = word_next(&args); word != NULL; word = word_next(&args)) {
        char *value = value_split(word);

        guard_take(&cmd, word, value);
    }
    if (!settle(now))
        return false;
    session_copy(&before, &live);
    if (session_command(&live, &cmd, now, c, f) != RC_OK || c->type == EVENT_NONE) {
        HOLD(c->type == EVENT_NONE && !live.dirty);
        hold_equal(&before, &live);
        return false;
    }
    change_done(c, now);
    settle(now > live.updated_at ? now : live.updated_at); /* a correction to zero */
    return type == COMMAND_SWITCH;
}

static void
run_recover(char *args, int64_t now)
{
    int64_t from = strtoll(value_split(args), NULL, 10);
    struct change c;

    if (settle(from)) {
        session_copy(&before, &live);
        if (session_recover(&live, from, &c))
            change_done(&c, now);
    }
    settle(now);
}

static void
run_line(char *line)
{
    struct fail f = { .rc = RC_OK };
    struct change c = { .type = EVENT_NONE, .expired = -1 };
    bool switched = false;
    char *now_word = word_next(&line), *word = word_next(&line);
    int64_t now;

    HOLD(word != NULL);
    now = strtoll(now_word, NULL, 10);
    buf_clear(&out);
    buf_clear(&faults);
    if (strcmp(word, "stored") == 0) {
        print_stored("{\"stored\":");
        buf_str(&out, "}\n");
        fwrite(out.data, 1, out.len, stdout);
        return;
    }
    buf_str(&out, "{\"changes\":[");
    if (strcmp(word, "create") == 0)
        run_create(line, now, &f);
    else if (strcmp(word, "read") == 0)
        settle(now);
    else if (strcmp(word, "recover") == 0)
        run_recover(line, now);
    else if (command_named(word) != COMMAND_NONE)
        switched = run_command(command_named(word), line, now, &c, &f);
    else
        HOLD(!"a command");
    print_end(&f, switched, c.expired, now);
}

int
main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    session_init(&live);
    session_init(&before);
    session_init(&mirror);
    buf_init(&out, TEXT_MAX);
    buf_init(&wire, TEXT_MAX);
    buf_init(&record, TEXT_MAX);
    buf_init(&text_a, TEXT_MAX);
    buf_init(&text_b, TEXT_MAX);
    buf_init(&faults, TEXT_MAX);
    while ((len = getline(&line, &size, stdin)) > 0) {
        line_number++;
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        run_line(line);
    }
    free(line);
    session_fini(&live);
    session_fini(&before);
    session_fini(&mirror);
    buf_fini(&out);
    buf_fini(&wire);
    buf_fini(&record);
    buf_fini(&text_a);
    buf_fini(&text_b);
    buf_fini(&faults);
    return 0;
}
