/*
 * driver.c - the engine on a line of commands, for tests/fuzz/engine/props.py.
 *
 * Reads "now command [key=value ...]" from stdin, applies what is due and then the command, as
 * a worker does, and prints one JSON object for each line: the changes, the error, the state.
 * After each change it holds the invariants of a session itself (hold.h). A broken one ends the
 * program with the line that broke it.
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
#include "common/buf.h"
#include "common/event.h"
#include "common/session.h"
#include "common/session_json.h"
#include "tests/fuzz/draft.h"
#include "tests/fuzz/hold.h"
#include <inttypes.h>

#define ENDED_TTL_MS 3600000LL
#define GRACE_MS 300
#define TEXT_MAX (4 * 1024 * 1024)

static struct session live;
static bool is_there;
static struct buf out, record, stored, faults;

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
    buf_clear(&stored);
    event_snapshot(&stored, &live);
    print_text(name, &stored);
}

static void
change_done(const struct change *c, int64_t now)
{
    hold_change(&live, c, now, &record);
    session_clean(&live);
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
    HOLD(!out.overflow); /* or what is due never ends */
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

static void
run_create(char *args, int64_t now, struct fail *f)
{
    struct change c;

    session_fini(&live);
    session_init(&live);
    draft_read(&live, args);
    is_there = draft_is_good(&live, &faults, f);
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
        hold_from(&live);
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
        char *value = word_value(word);

        guard_take(&cmd, word, value);
    }
    if (!settle(now))
        return false;
    hold_from(&live);
    if (session_command(&live, &cmd, now, c, f) != RC_OK || c->type == EVENT_NONE) {
        HOLD(c->type == EVENT_NONE && !live.dirty);
        hold_unchanged(&live);
        return false;
    }
    change_done(c, now);
    settle(now > live.updated_at ? now : live.updated_at); /* a correction to zero */
    return type == COMMAND_SWITCH;
}

static void
run_recover(char *args, int64_t now)
{
    int64_t from = strtoll(word_value(args), NULL, 10);
    struct change c;

    if (settle(from)) {
        hold_from(&live);
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
    hold_begin();
    buf_init(&out, TEXT_MAX);
    buf_init(&record, TEXT_MAX);
    buf_init(&stored, TEXT_MAX);
    buf_init(&faults, TEXT_MAX);
    while ((len = getline(&line, &size, stdin)) > 0) {
        hold_line++;
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        run_line(line);
    }
    free(line);
    session_fini(&live);
    hold_end();
    buf_fini(&out);
    buf_fini(&record);
    buf_fini(&stored);
    buf_fini(&faults);
    return 0;
}
