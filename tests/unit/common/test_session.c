#include "common/session.h"

#include "common/arena.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T0 1795362403096LL /* 2026-11-22T15:46:43.096Z */
#define TTL 3600000LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-00000000000A"
#define BERT "bbbbbbbb-0000-4000-8000-00000000000b"
#define CARL "cccccccc-0000-4000-8000-00000000000c"
#define DORA "dddddddd-0000-4000-8000-00000000000d"

static const char *const people[] = { ANNA, BERT, CARL, DORA };

static void
draft(struct session *s, size_t n, int64_t bank, int64_t increment)
{
    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    memcpy(s->epoch, "0abcdefghij-wxyz.000000001", 27);
    s->mode = MODE_PER_PARTICIPANT;
    s->total_time_ms = bank * (int64_t)n;
    s->increment_ms = increment;
    for (size_t k = 0; k < n; k++) {
        struct participant *p = session_add_participant(s);

        memcpy(p->id, people[k], ID_LEN + 1);
        p->index = (int64_t)k;
        p->total_time_ms = bank;
    }
}

static void
create(struct session *s, size_t n, int64_t bank, int64_t increment)
{
    struct change c;

    draft(s, n, bank, increment);
    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
    assert_int_equal(c.type, EVENT_SESSION_CREATED);
    assert_int_equal(c.version, 1);
    assert_int_equal(c.at_ms, T0);
    assert_int_equal(c.participant, -1);
    session_clean(s);
}

static struct change
run(struct session *s, enum command_type type, int64_t now)
{
    struct command cmd = { .type = type };
    struct change c;

    assert_int_equal(session_command(s, &cmd, now, &c, NULL), RC_OK);
    return c;
}

static void
assert_telescopes(const struct session *s)
{
    int64_t sum = s->paused_total_ms;

    for (size_t k = 0; k < s->n; k++)
        sum += s->p[k].time_used_ms;
    assert_int_equal(sum, s->updated_at - s->session_started_at);
}

/* --- creation --- */

static void
creation_completes_the_draft(void **state)
{
    struct session s;

    (void)state;
    create(&s, 2, 60000, 500);
    assert_int_equal(s.version, 1);
    assert_int_equal(s.status, STATUS_PENDING);
    assert_int_equal(s.created_at, T0);
    assert_int_equal(s.updated_at, T0);
    assert_int_equal(s.active, -1);
    assert_int_equal(s.cycle_number, 0);
    assert_int_equal(s.p[1].allotted_ms, 60000);
    assert_int_equal(session_deadline(&s), 0);
    assert_string_equal(s.id, SID);
    session_fini(&s);
}

static void
every_mode_can_be_created(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    for (int m = MODE_UNSET + 1; m < MODE__MAX; m++) {
        draft(&s, 2, 60000, 0);
        s.mode = (enum sync_mode)m;
        assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
        session_fini(&s);
    }
}

static void
creation_refuses_a_second_of_the_same_id(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    draft(&s, 4, 60000, 0);
    memcpy(s.p[3].id, s.p[1].id, sizeof(s.p[3].id));
    memcpy(s.p[2].id, s.p[0].id, sizeof(s.p[2].id));
    s.p[2].id[0] = 'A';
    assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
    assert_non_null(strstr(f.details, "\"field\":\"participants.2.participant_id\""));
    assert_non_null(strstr(f.details, "\"code\":\"duplicate\"}]"));
    session_fini(&s);
}

static void
creation_takes_a_thousand(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    draft(&s, 0, 1000, 0);
    assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
    for (int k = 0; k < SESSION_PARTICIPANTS_MAX; k++)
        snprintf(session_add_participant(&s)->id, ID_LEN + 1, "00000000-0000-4000-8000-%012d",
                 k * 7919 % 1000);
    assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
    memcpy(s.p[999].id, s.p[5].id, sizeof(s.p[5].id));
    fail_reset(&f);
    assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
    assert_non_null(strstr(f.details, "participants.999.participant_id"));
    session_fini(&s);
}

static void
creation_keeps_metadata_on_one_line(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    draft(&s, 2, 60000, 0);
    s.metadata = xstrdup("{\n\t\"a\":\r\n\"b\\n\"}");
    assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
    assert_string_equal(s.metadata, "{  \"a\":  \"b\\n\"}");
    free(s.metadata);
    s.metadata = xalloc(SESSION_METADATA_MAX + 2);
    memset(s.metadata, 'x', SESSION_METADATA_MAX);
    assert_int_equal(session_create(&s, T0, &c, NULL), RC_OK);
    s.metadata[SESSION_METADATA_MAX] = 'x';
    assert_int_equal(session_create(&s, T0, &c, &f), RC_VALIDATION);
    assert_non_null(strstr(f.details, "\"metadata\""));
    session_fini(&s);
}

/* --- the transition table, one test per cell --- */

struct cell {
    enum sync_status from;
    enum command_type command;
    enum rc rc;
    enum event_type event;
    enum sync_status to;
    const char *refusal;
};

#define REFUSED(from, command, text)                         \
    {                                                        \
        from, command, RC_TRANSITION, EVENT_NONE, from, text \
    }
#define GONE(from)                                                     \
    {                                                                  \
        from, COMMAND_DELETE, RC_OK, EVENT_SESSION_DELETED, from, NULL \
    }
#define UNCHANGED(from)                                       \
    {                                                         \
        from, COMMAND_COMPLETE, RC_OK, EVENT_NONE, from, NULL \
    }
#define ENDED(from)                                                            \
    REFUSED(from, COMMAND_START, "cannot be started"),                         \
        REFUSED(from, COMMAND_SWITCH, "not running"),                          \
        REFUSED(from, COMMAND_PAUSE, "cannot be paused"),                      \
        REFUSED(from, COMMAND_RESUME, "cannot be resumed"),                    \
        REFUSED(from, COMMAND_CANCEL, "cannot be cancelled"),                  \
        REFUSED(from, COMMAND_ADD, NULL), REFUSED(from, COMMAND_ADJUST, NULL), \
        REFUSED(from, COMMAND_REMOVE, NULL), UNCHANGED(from), GONE(from)

/* clang-format off */
static const struct cell cells[] = {
    { STATUS_PENDING, COMMAND_START,    RC_OK, EVENT_SESSION_STARTED,   STATUS_RUNNING,   NULL },
    REFUSED(STATUS_PENDING, COMMAND_SWITCH, "not running"),
    REFUSED(STATUS_PENDING, COMMAND_PAUSE,  "cannot be paused"),
    REFUSED(STATUS_PENDING, COMMAND_RESUME, "cannot be resumed"),
    { STATUS_PENDING, COMMAND_COMPLETE, RC_OK, EVENT_SESSION_COMPLETED, STATUS_COMPLETED, NULL },
    { STATUS_PENDING, COMMAND_REMOVE, RC_OK, EVENT_PARTICIPANT_REMOVED, STATUS_PENDING, NULL },
    { STATUS_PENDING, COMMAND_CANCEL, RC_OK, EVENT_SESSION_CANCELLED, STATUS_CANCELLED, NULL },
    GONE(STATUS_PENDING),
    REFUSED(STATUS_RUNNING, COMMAND_START,  "cannot be started"),
    { STATUS_RUNNING, COMMAND_SWITCH,   RC_OK, EVENT_CYCLE_SWITCHED,    STATUS_RUNNING,   NULL },
    { STATUS_RUNNING, COMMAND_PAUSE,    RC_OK, EVENT_SESSION_PAUSED,    STATUS_PAUSED,    NULL },
    REFUSED(STATUS_RUNNING, COMMAND_RESUME, "cannot be resumed"),
    { STATUS_RUNNING, COMMAND_COMPLETE, RC_OK, EVENT_SESSION_COMPLETED, STATUS_COMPLETED, NULL },
    { STATUS_RUNNING, COMMAND_REMOVE, RC_OK, EVENT_PARTICIPANT_REMOVED, STATUS_RUNNING, NULL },
    { STATUS_RUNNING, COMMAND_CANCEL, RC_OK, EVENT_SESSION_CANCELLED, STATUS_CANCELLED, NULL },
    GONE(STATUS_RUNNING),
    REFUSED(STATUS_PAUSED, COMMAND_START,   "cannot be started"),
    REFUSED(STATUS_PAUSED, COMMAND_SWITCH,  "not running"),
    REFUSED(STATUS_PAUSED, COMMAND_PAUSE,   "cannot be paused"),
    { STATUS_PAUSED,  COMMAND_RESUME,   RC_OK, EVENT_SESSION_RESUMED,   STATUS_RUNNING,   NULL },
    { STATUS_PAUSED,  COMMAND_COMPLETE, RC_OK, EVENT_SESSION_COMPLETED, STATUS_COMPLETED, NULL },
    { STATUS_PAUSED, COMMAND_REMOVE, RC_OK, EVENT_PARTICIPANT_REMOVED, STATUS_PAUSED, NULL },
    { STATUS_PAUSED, COMMAND_CANCEL, RC_OK, EVENT_SESSION_CANCELLED, STATUS_CANCELLED, NULL },
    GONE(STATUS_PAUSED),
    { STATUS_PENDING, COMMAND_ADD, RC_OK, EVENT_PARTICIPANT_ADDED, STATUS_PENDING, NULL },
    { STATUS_PENDING, COMMAND_ADJUST, RC_OK, EVENT_PARTICIPANT_ADJUSTED, STATUS_PENDING, NULL },
    { STATUS_RUNNING, COMMAND_ADD, RC_OK, EVENT_PARTICIPANT_ADDED, STATUS_RUNNING, NULL },
    { STATUS_RUNNING, COMMAND_ADJUST, RC_OK, EVENT_PARTICIPANT_ADJUSTED, STATUS_RUNNING, NULL },
    { STATUS_PAUSED, COMMAND_ADD, RC_OK, EVENT_PARTICIPANT_ADDED, STATUS_PAUSED, NULL },
    { STATUS_PAUSED, COMMAND_ADJUST, RC_OK, EVENT_PARTICIPANT_ADJUSTED, STATUS_PAUSED, NULL },
    ENDED(STATUS_COMPLETED),
    ENDED(STATUS_EXPIRED),
    ENDED(STATUS_CANCELLED),
};
/* clang-format on */

#define CELLS (sizeof(cells) / sizeof(*cells))

static const char *const command_words[COMMAND__MAX] = {
    "",       "start", "switch", "pause",  "resume", "complete",
    "cancel", "add",   "adjust", "remove", "delete",
};

/* A session in each status. */
static void
bring_to(struct session *s, enum sync_status status)
{
    create(s, 2, 60000, 0);
    if (status == STATUS_RUNNING || status == STATUS_PAUSED)
        run(s, COMMAND_START, T0 + 10);
    if (status == STATUS_PAUSED)
        run(s, COMMAND_PAUSE, T0 + 20);
    if (sync_status_is_terminal(status))
        run(s, COMMAND_COMPLETE, T0 + 20);
    s->status = status;
    session_clean(s);
}

static void
assert_untouched(const struct session *s, const struct session *before)
{
    assert_int_equal(s->version, before->version);
    assert_int_equal(s->status, before->status);
    assert_int_equal(s->updated_at, before->updated_at);
    assert_int_equal(s->active, before->active);
    assert_int_equal(s->cycle_started_at, before->cycle_started_at);
    assert_int_equal(s->paused_total_ms, before->paused_total_ms);
    assert_int_equal(s->cycle_number, before->cycle_number);
    assert_false(s->dirty);
    assert_memory_equal(s->p, before->p, s->n * sizeof(*s->p));
}

static void
transition(void **state)
{
    const struct cell *cell = *state;
    struct command cmd = { .type = cell->command,
                           .participant_id = cell->command == COMMAND_ADD ? CARL : BERT,
                           .newcomer = { .index = 7, .total_time_ms = 1000 },
                           .correction = { .ms = 5, .note = "a test" } };
    struct fail f = { .rc = RC_OK };
    struct session s, before;
    struct change c;
    char message[160];

    bring_to(&s, cell->from);
    session_init(&before);
    session_copy(&before, &s);
    assert_int_equal(session_command(&s, &cmd, T0 + 50, &c, &f), cell->rc);
    assert_int_equal(c.type, cell->event);
    assert_int_equal(s.status, cell->to);
    if (cell->event == EVENT_NONE)
        assert_untouched(&s, &before);
    else
        assert_int_equal(s.version, before.version + 1);
    if (cell->event != EVENT_NONE) {
        assert_int_equal(c.version, s.version);
        assert_int_equal(c.at_ms, T0 + 50);
    }
    if (cell->refusal != NULL) {
        snprintf(message, sizeof(message), "Session %s %s (current status: %s)", SID,
                 cell->refusal, sync_status_name(cell->from));
        assert_string_equal(f.message, message);
    }
    session_fini(&before);
    session_fini(&s);
}

static void
the_cells_are_the_whole_table(void **state)
{
    bool seen[STATUS__MAX][COMMAND__MAX] = { { false } };

    (void)state;
    for (size_t i = 0; i < CELLS; i++) {
        assert_false(seen[cells[i].from][cells[i].command]);
        seen[cells[i].from][cells[i].command] = true;
    }
    assert_int_equal(CELLS, (STATUS__MAX - 1) * (COMMAND__MAX - 1));
}

/* --- times --- */

static void
sixty_switches_lose_nothing(void **state)
{
    static const int64_t steps[] = { 1, 999, 0, 250, 7, 1003, 1, 0, 13, 42 };
    struct session s;
    int64_t now = T0 + 5;

    (void)state;
    create(&s, 3, 3600000, 0);
    run(&s, COMMAND_START, now);
    for (int i = 0; i < 60; i++) {
        now += steps[i % 10];
        run(&s, COMMAND_SWITCH, now);
        assert_telescopes(&s);
        assert_int_equal(s.version, 3 + i);
        assert_int_equal(s.cycle_number, 2 + i);
        assert_int_equal(s.active, (i + 1) % 3);
        for (size_t k = 0; k < s.n; k++)
            assert_int_equal(s.p[k].total_time_ms + s.p[k].time_used_ms, 3600000);
    }
    assert_int_equal(s.p[0].cycle_count, 20);
    session_fini(&s);
}

static void
pauses_are_not_anybodys_time(void **state)
{
    struct session s;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    run(&s, COMMAND_PAUSE, T0 + 1500);
    assert_int_equal(s.p[0].total_time_ms, 58500);
    assert_int_equal(s.cycle_started_at, 0);
    assert_int_equal(s.paused_at, T0 + 1500);
    assert_int_equal(s.active, 0);
    assert_telescopes(&s);
    assert_int_equal(session_remaining(&s, 0, T0 + 9999), 58500);
    run(&s, COMMAND_RESUME, T0 + 4000);
    assert_int_equal(s.paused_total_ms, 2500);
    assert_int_equal(s.paused_at, 0);
    assert_int_equal(s.cycle_started_at, T0 + 4000);
    assert_int_equal(s.turn_used_ms, 1500);
    assert_telescopes(&s);
    run(&s, COMMAND_PAUSE, T0 + 4001);
    run(&s, COMMAND_COMPLETE, T0 + 5001);
    assert_int_equal(s.paused_total_ms, 3500);
    assert_int_equal(s.paused_at, 0);
    assert_int_equal(s.p[0].time_used_ms, 1501);
    assert_telescopes(&s);
    session_fini(&s);
}

static void
complete_charges_the_open_turn(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    c = run(&s, COMMAND_COMPLETE, T0 + 500);
    assert_int_equal(c.reason, REASON_COMPLETED);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.elapsed_ms, 500);
    assert_int_equal(c.remaining_ms, 59500);
    assert_int_equal(s.p[0].time_used_ms, 500);
    assert_int_equal(s.p[0].cycle_count, 0);
    assert_int_equal(s.active, -1);
    assert_int_equal(s.cycle_started_at, 0);
    assert_int_equal(s.session_completed_at, T0 + 500);
    assert_int_equal(s.result.reason, REASON_COMPLETED);
    assert_telescopes(&s);
    session_fini(&s);
}

static void
time_never_runs_backwards(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0 + 1000);
    c = run(&s, COMMAND_SWITCH, T0 + 900);
    assert_int_equal(c.at_ms, T0 + 1000);
    assert_int_equal(s.p[0].total_time_ms, 60000);
    assert_int_equal(s.p[0].time_used_ms, 0);
    assert_int_equal(session_remaining(&s, 1, T0), 60000);
    session_fini(&s);
}

/* --- turns --- */

static void
increment_is_granted_at_hand_over(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 500);
    run(&s, COMMAND_START, T0);
    c = run(&s, COMMAND_SWITCH, T0 + 100);
    assert_int_equal(s.p[0].total_time_ms, 60400);
    assert_int_equal(s.p[0].allotted_ms, 60000);
    assert_int_equal(s.p[0].time_used_ms, 100);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.remaining_ms, 60400);
    assert_int_equal(c.elapsed_ms, 100);
    assert_int_equal(c.expired, -1);
    session_fini(&s);
}

static void
rotation_follows_the_index(void **state)
{
    /* places by index: 2 (1), 0 (5), 3 (5), 1 (9) */
    static const int32_t order[] = { 2, 0, 3, 1, 2, 0 };
    struct session s;

    (void)state;
    create(&s, 4, 60000, 0);
    s.p[0].index = 5;
    s.p[1].index = 9;
    s.p[2].index = 1;
    s.p[3].index = 5;
    run(&s, COMMAND_START, T0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(s.active, order[i]);
        run(&s, COMMAND_SWITCH, T0 + (int64_t)i);
    }
    session_fini(&s);
}

static void
rotation_skips_the_out_but_not_the_expired(void **state)
{
    struct session s;

    (void)state;
    create(&s, 4, 60000, 0);
    s.p[0].out = OUT_REMOVED;
    s.p[2].out = OUT_ELIMINATED;
    s.p[3].has_expired = true;
    s.p[3].total_time_ms = 0;
    run(&s, COMMAND_START, T0);
    assert_int_equal(s.active, 1);
    run(&s, COMMAND_SWITCH, T0 + 1);
    assert_int_equal(s.active, 3);
    assert_int_equal(session_deadline(&s), 0);
    run(&s, COMMAND_SWITCH, T0 + 2);
    assert_int_equal(s.active, 1);
    s.p[3].out = OUT_REMOVED;
    run(&s, COMMAND_SWITCH, T0 + 3);
    assert_int_equal(s.active, 1);
    session_fini(&s);
}

static void
one_alone_stays_on(void **state)
{
    struct session s;

    (void)state;
    create(&s, 1, 60000, 0);
    run(&s, COMMAND_START, T0);
    run(&s, COMMAND_SWITCH, T0 + 700);
    assert_int_equal(s.active, 0);
    assert_int_equal(s.p[0].cycle_count, 1);
    assert_int_equal(s.turn_used_ms, 0);
    assert_int_equal(s.cycle_number, 2);
    session_fini(&s);
}

static void
next_can_be_named(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    create(&s, 4, 60000, 0);
    run(&s, COMMAND_START, T0);
    cmd.next_participant_id = "CCCCCCCC-0000-4000-8000-00000000000C";
    assert_int_equal(session_command(&s, &cmd, T0 + 1, &c, NULL), RC_OK);
    assert_int_equal(s.active, 2);
    assert_int_equal(session_command(&s, &cmd, T0 + 2, &c, NULL), RC_OK);
    assert_int_equal(s.active, 2);
    assert_int_equal(s.p[2].cycle_count, 1);
    cmd.next_participant_id = "eeeeeeee-0000-4000-8000-00000000000E";
    assert_int_equal(session_command(&s, &cmd, T0 + 3, &c, &f), RC_VALIDATION);
    assert_string_equal(
        f.message, "Participant eeeeeeee-0000-4000-8000-00000000000E not found in session");
    assert_string_equal(f.details, "");
    fail_reset(&f);
    s.p[3].out = OUT_REMOVED;
    cmd.next_participant_id = DORA;
    assert_int_equal(session_command(&s, &cmd, T0 + 3, &c, &f), RC_VALIDATION);
    assert_int_equal(s.version, 4);
    assert_int_equal(s.updated_at, T0 + 2);
    session_fini(&s);
}

/* --- guards --- */

static void
guards_come_before_the_table(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH,
                           .expected_version = 7,
                           .current_participant_id = BERT };
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    assert_int_equal(session_command(&s, &cmd, T0, &c, &f), RC_CONFLICT);
    assert_string_equal(f.message, "Concurrent modification detected, please retry");
    assert_string_equal(f.details, "{\"expected_version\":7,\"actual_version\":1}");
    fail_reset(&f);
    cmd.expected_version = 1;
    assert_int_equal(session_command(&s, &cmd, T0, &c, &f), RC_CONFLICT);
    assert_string_equal(f.details, "{\"current_participant_id\":\"" BERT
                                   "\",\"active_participant_id\":null}");
    fail_reset(&f);
    run(&s, COMMAND_START, T0);
    cmd.expected_version = 2;
    assert_int_equal(session_command(&s, &cmd, T0, &c, &f), RC_CONFLICT);
    assert_string_equal(f.details, "{\"current_participant_id\":\"" BERT
                                   "\",\"active_participant_id\":\"" ANNA "\"}");
    cmd.current_participant_id = "AAAAAAAA-0000-4000-8000-00000000000a";
    assert_int_equal(session_command(&s, &cmd, T0, &c, NULL), RC_OK);
    cmd = (struct command){ .type = COMMAND_PAUSE, .current_participant_id = ANNA };
    assert_int_equal(session_command(&s, &cmd, T0, &c, NULL), RC_OK);
    cmd = (struct command){ .type = COMMAND_DELETE, .expected_version = 3 };
    assert_int_equal(session_command(&s, &cmd, T0, &c, NULL), RC_CONFLICT);
    session_fini(&s);
}

static void
deletion_moves_only_the_version(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    session_clean(&s);
    c = run(&s, COMMAND_DELETE, T0 + 777);
    assert_int_equal(c.version, 3);
    assert_int_equal(c.at_ms, T0 + 777);
    assert_int_equal(c.reason, REASON_NONE);
    assert_int_equal(s.version, 3);
    assert_int_equal(s.updated_at, T0);
    assert_int_equal(s.status, STATUS_RUNNING);
    assert_false(s.dirty || s.p[0].dirty);
    session_fini(&s);
}

/* --- zero --- */

static void
expiry_is_applied_once_at_its_deadline(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 1000, 500);
    run(&s, COMMAND_START, T0);
    session_clean(&s);
    assert_int_equal(session_deadline(&s), T0 + 1000);
    assert_false(session_expire(&s, T0 + 999, TTL, &c));
    assert_int_equal(c.type, EVENT_NONE);
    assert_int_equal(session_remaining(&s, 0, T0 + 999), 1);
    assert_int_equal(session_remaining(&s, 0, T0 + 5000), 0);
    assert_true(session_expire(&s, T0 + 1300, TTL, &c));
    assert_int_equal(c.type, EVENT_PARTICIPANT_EXPIRED);
    assert_int_equal(c.reason, REASON_TIMEOUT);
    assert_int_equal(c.at_ms, T0 + 1000);
    assert_int_equal(c.version, 3);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.expired, 0);
    assert_int_equal(c.remaining_ms, 0);
    assert_int_equal(c.elapsed_ms, 1000);
    assert_int_equal(s.status, STATUS_RUNNING);
    assert_true(s.p[0].has_expired && s.p[0].dirty && s.dirty);
    assert_false(s.p[1].dirty);
    assert_int_equal(s.updated_at, T0 + 1000);
    assert_int_equal(s.last_timeout.version, 3);
    assert_int_equal(s.last_timeout.at, T0 + 1000);
    assert_int_equal(s.last_timeout.expired, 0);
    assert_telescopes(&s);
    assert_int_equal(session_deadline(&s), 0);
    assert_false(session_expire(&s, T0 + 1300, TTL, &c));
    session_fini(&s);
}

static void
a_late_switch_names_the_expired_and_grants_nothing(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 1000, 500);
    run(&s, COMMAND_START, T0);
    assert_true(session_expire(&s, T0 + 1200, TTL, &c));
    c = run(&s, COMMAND_SWITCH, T0 + 1200);
    assert_int_equal(c.expired, 0);
    assert_int_equal(c.version, 4);
    assert_int_equal(s.p[0].total_time_ms, 0);
    assert_int_equal(s.p[0].time_used_ms, 1200);
    assert_int_equal(s.p[0].cycle_count, 1);
    assert_int_equal(s.active, 1);
    assert_telescopes(&s);
    /* and again, every time */
    c = run(&s, COMMAND_SWITCH, T0 + 1300);
    assert_int_equal(c.expired, -1);
    assert_int_equal(s.p[1].total_time_ms, 1400);
    c = run(&s, COMMAND_SWITCH, T0 + 1350);
    assert_int_equal(c.expired, 0);
    assert_int_equal(s.last_timeout.version, 3);
    session_fini(&s);
}

static void
an_empty_bank_is_marked_wherever_it_is_found(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 1000, 500);
    run(&s, COMMAND_START, T0);
    c = run(&s, COMMAND_SWITCH, T0 + 1000);
    assert_int_equal(c.expired, 0);
    assert_int_equal(s.p[0].total_time_ms, 0);
    assert_true(s.p[0].has_expired);
    run(&s, COMMAND_PAUSE, T0 + 2000);
    assert_true(s.p[1].has_expired);
    run(&s, COMMAND_RESUME, T0 + 3000);
    assert_int_equal(session_deadline(&s), 0);
    session_fini(&s);
}

/* --- the end of the untouched --- */

static void
the_untouched_are_deleted_after_a_day(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    assert_int_equal(session_last_resort(&s, TTL), T0 + SESSION_IDLE_MS);
    assert_int_equal(session_due_at(&s, TTL), T0 + SESSION_IDLE_MS);
    assert_false(session_expire(&s, T0 + SESSION_IDLE_MS - 1, TTL, &c));
    assert_true(session_expire(&s, T0 + SESSION_IDLE_MS + 50, TTL, &c));
    assert_int_equal(c.type, EVENT_SESSION_DELETED);
    assert_int_equal(c.reason, REASON_IDLE);
    assert_int_equal(c.at_ms, T0 + SESSION_IDLE_MS);
    assert_int_equal(c.version, 2);
    assert_int_equal(s.version, 2);
    assert_int_equal(s.status, STATUS_PENDING);
    assert_int_equal(s.updated_at, T0);
    session_fini(&s);
}

static void
the_running_are_deleted_a_day_after_their_deadline(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0 + 1);
    assert_int_equal(session_last_resort(&s, TTL), T0 + 60001 + SESSION_IDLE_MS);
    assert_int_equal(session_due_at(&s, TTL), T0 + 60001);
    assert_true(session_expire(&s, T0 + 3 * SESSION_IDLE_MS, TTL, &c));
    assert_int_equal(c.type, EVENT_PARTICIPANT_EXPIRED);
    assert_int_equal(session_due_at(&s, TTL), T0 + 60001 + SESSION_IDLE_MS);
    assert_true(session_expire(&s, T0 + 3 * SESSION_IDLE_MS, TTL, &c));
    assert_int_equal(c.type, EVENT_SESSION_DELETED);
    assert_int_equal(c.at_ms, T0 + 60001 + SESSION_IDLE_MS);
    assert_int_equal(c.version, 4);
    session_fini(&s);
}

static void
the_paused_and_the_ended_have_their_own_last_day(void **state)
{
    struct session s;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    run(&s, COMMAND_PAUSE, T0 + 70);
    assert_int_equal(session_last_resort(&s, TTL), T0 + 70 + SESSION_IDLE_MS);
    run(&s, COMMAND_COMPLETE, T0 + 90);
    assert_int_equal(session_last_resort(&s, TTL), T0 + 90 + TTL);
    assert_int_equal(session_due_at(&s, TTL), T0 + 90 + TTL);
    session_fini(&s);
}

/* An hour behind the last resort, and up to a quarter more. */
static void
the_backstop_stays_where_it_is_for_a_quarter_of_an_hour(void **state)
{
    const int64_t quarter = 900000, hour = 4 * quarter;
    const int64_t whole = T0 / quarter * quarter;
    struct session s;

    (void)state;
    create(&s, 2, 60000, 0);
    s.updated_at = whole - SESSION_IDLE_MS;
    assert_int_equal(session_backstop(&s, TTL), whole + hour);
    s.updated_at++;
    assert_int_equal(session_backstop(&s, TTL), whole + hour + quarter);
    s.updated_at += quarter - 1;
    assert_int_equal(session_backstop(&s, TTL), whole + hour + quarter);
    s.updated_at++;
    assert_int_equal(session_backstop(&s, TTL), whole + hour + 2 * quarter);
    session_fini(&s);
}

/* --- outages --- */

static void
recovery_pauses_as_of_the_gap(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    assert_false(session_recover(&s, T0 + 5000, &c));
    assert_int_equal(c.type, EVENT_NONE);
    run(&s, COMMAND_START, T0);
    assert_true(session_recover(&s, T0 + 5000, &c));
    assert_int_equal(c.type, EVENT_SESSION_PAUSED);
    assert_int_equal(c.reason, REASON_RECOVERY);
    assert_int_equal(c.at_ms, T0 + 5000);
    assert_int_equal(s.p[0].time_used_ms, 5000);
    assert_int_equal(s.paused_at, T0 + 5000);
    assert_telescopes(&s);
    assert_false(session_recover(&s, T0 + 9000, &c));
    run(&s, COMMAND_RESUME, T0 + 8000);
    assert_true(session_recover(&s, T0 + 1, &c));
    assert_int_equal(c.at_ms, T0 + 8000);
    assert_int_equal(s.p[0].time_used_ms, 5000);
    assert_int_equal(s.paused_total_ms, 3000);
    session_fini(&s);
}

/* --- cancel --- */

static void
cancel_charges_the_open_turn(void **state)
{
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    c = run(&s, COMMAND_CANCEL, T0 + 500);
    assert_int_equal(c.reason, REASON_CANCELLED);
    assert_int_equal(c.participant, 0);
    assert_int_equal(c.elapsed_ms, 500);
    assert_int_equal(s.p[0].total_time_ms, 59500);
    assert_int_equal(s.active, -1);
    assert_int_equal(s.cycle_started_at, 0);
    assert_int_equal(s.session_completed_at, T0 + 500);
    assert_int_equal(s.result.reason, REASON_CANCELLED);
    assert_telescopes(&s);
    session_fini(&s);
}

/* --- remove --- */

static void
the_removed_take_no_more_turns(void **state)
{
    struct command cmd = { .type = COMMAND_REMOVE, .participant_id = BERT };
    struct session s;
    struct change c;

    (void)state;
    create(&s, 3, 60000, 0);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_command(&s, &cmd, T0 + 400, &c, NULL), RC_OK);
    assert_int_equal(c.type, EVENT_PARTICIPANT_REMOVED);
    assert_int_equal(c.participant, 1);
    assert_int_equal(s.p[1].out, OUT_REMOVED);
    assert_true(s.p[1].dirty);
    assert_int_equal(s.p[0].time_used_ms, 400);
    assert_telescopes(&s);
    assert_int_equal(session_command(&s, &cmd, T0 + 500, &c, NULL), RC_OK);
    assert_int_equal(c.type, EVENT_NONE);
    assert_int_equal(s.version, 3);
    run(&s, COMMAND_SWITCH, T0 + 600);
    assert_int_equal(s.active, 2);
    session_fini(&s);
}

static void
who_must_stay_is_not_removed(void **state)
{
    struct command cmd = { .type = COMMAND_REMOVE, .participant_id = ANNA };
    struct fail f = { .rc = RC_OK };
    struct session s;
    struct change c;

    (void)state;
    create(&s, 2, 60000, 0);
    run(&s, COMMAND_START, T0);
    assert_int_equal(session_command(&s, &cmd, T0 + 1, &c, &f), RC_CONFLICT);
    assert_string_equal(f.details, "{\"active_participant_id\":\"" ANNA "\"}");
    cmd.participant_id = DORA;
    assert_int_equal(session_command(&s, &cmd, T0 + 1, &c, NULL), RC_NOT_FOUND);
    assert_int_equal(s.version, 2);
    session_fini(&s);
    create(&s, 1, 60000, 0);
    cmd.participant_id = ANNA;
    fail_reset(&f);
    assert_int_equal(session_command(&s, &cmd, T0 + 1, &c, &f), RC_CONFLICT);
    assert_string_equal(f.message, "The last participant cannot be removed");
    session_fini(&s);
}

/* --- memory and words --- */

static void
copies_are_deep(void **state)
{
    struct session a, b;

    (void)state;
    create(&a, 3, 60000, 0);
    a.metadata = xstrdup("{}");
    session_init(&b);
    session_copy(&b, &a);
    assert_memory_equal(b.p, a.p, a.n * sizeof(*a.p));
    assert_ptr_not_equal(b.p, a.p);
    assert_ptr_not_equal(b.metadata, a.metadata);
    for (int i = 0; i < 10; i++)
        session_add_participant(&b)->index = i;
    assert_int_equal(b.n, 13);
    assert_string_equal(b.p[2].id, CARL);
    session_copy(&b, &a);
    assert_int_equal(b.n, 3);
    session_fini(&a);
    session_copy(&b, &a);
    assert_int_equal(b.n, 0);
    assert_null(b.p);
    session_fini(&b);
    memset(&b, 0, sizeof(b));
    session_fini(&b);
}

static void
every_member_has_its_word(void **state)
{
    (void)state;
    for (int i = 1; i < MODE__MAX; i++)
        assert_int_equal(sync_mode_parse(sync_mode_name((enum sync_mode)i)), i);
    assert_int_equal(sync_mode_parse(""), MODE_UNSET);
    assert_int_equal(sync_mode_parse("Global"), MODE_UNSET);
    assert_string_equal(sync_mode_name(MODE_COUNT_UP), "count_up");
    assert_string_equal(sync_mode_name(MODE__MAX), "");
    assert_string_equal(sync_status_name(STATUS_CANCELLED), "cancelled");
    assert_string_equal(sync_status_name(STATUS__MAX), "");
    assert_string_equal(event_type_name(EVENT_SESSION_DELETED), "session_deleted");
    assert_string_equal(event_type_name(EVENT_PARTICIPANT_EXPIRED), "participant_expired");
    assert_string_equal(event_type_name(EVENT__MAX), "");
    assert_string_equal(change_reason_name(REASON_CYCLES_DONE), "cycles_done");
    assert_string_equal(change_reason_name(REASON_RECOVERY), "recovery");
    assert_string_equal(change_reason_name(REASON__MAX), "");
    assert_string_equal(participant_out_name(OUT_ELIMINATED), "eliminated");
    assert_string_equal(participant_out_name(OUT__MAX), "");
}

static const struct CMUnitTest plain_tests[] = {
    cmocka_unit_test(creation_completes_the_draft),
    cmocka_unit_test(every_mode_can_be_created),
    cmocka_unit_test(creation_refuses_a_second_of_the_same_id),
    cmocka_unit_test(creation_takes_a_thousand),
    cmocka_unit_test(creation_keeps_metadata_on_one_line),
    cmocka_unit_test(the_cells_are_the_whole_table),
    cmocka_unit_test(sixty_switches_lose_nothing),
    cmocka_unit_test(pauses_are_not_anybodys_time),
    cmocka_unit_test(complete_charges_the_open_turn),
    cmocka_unit_test(time_never_runs_backwards),
    cmocka_unit_test(increment_is_granted_at_hand_over),
    cmocka_unit_test(rotation_follows_the_index),
    cmocka_unit_test(rotation_skips_the_out_but_not_the_expired),
    cmocka_unit_test(one_alone_stays_on),
    cmocka_unit_test(next_can_be_named),
    cmocka_unit_test(guards_come_before_the_table),
    cmocka_unit_test(deletion_moves_only_the_version),
    cmocka_unit_test(expiry_is_applied_once_at_its_deadline),
    cmocka_unit_test(a_late_switch_names_the_expired_and_grants_nothing),
    cmocka_unit_test(an_empty_bank_is_marked_wherever_it_is_found),
    cmocka_unit_test(the_untouched_are_deleted_after_a_day),
    cmocka_unit_test(the_running_are_deleted_a_day_after_their_deadline),
    cmocka_unit_test(the_paused_and_the_ended_have_their_own_last_day),
    cmocka_unit_test(the_backstop_stays_where_it_is_for_a_quarter_of_an_hour),
    cmocka_unit_test(recovery_pauses_as_of_the_gap),
    cmocka_unit_test(cancel_charges_the_open_turn),
    cmocka_unit_test(the_removed_take_no_more_turns),
    cmocka_unit_test(who_must_stay_is_not_removed),
    cmocka_unit_test(copies_are_deep),
    cmocka_unit_test(every_member_has_its_word),
};

int
main(void)
{
    static struct cell states[CELLS];
    static char names[CELLS][64];
    struct CMUnitTest tests[CELLS];
    int failed;

    for (size_t i = 0; i < CELLS; i++) {
        states[i] = cells[i];
        snprintf(names[i], sizeof(names[i]), "%s + %s: %s", sync_status_name(cells[i].from),
                 command_words[cells[i].command],
                 cells[i].rc != RC_OK ? "refused" : sync_status_name(cells[i].to));
        tests[i] = (struct CMUnitTest){ names[i], transition, NULL, NULL, &states[i] };
    }
    failed = cmocka_run_group_tests_name("session", plain_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("transitions", tests, NULL, NULL);
}
