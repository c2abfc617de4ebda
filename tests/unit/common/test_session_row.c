#include "common/session_row.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/session.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-00000000000A"
#define BERT "bbbbbbbb-0000-4000-8000-00000000000b"
#define HEADER "i" SID " M1 s1 T120000 c1795362403096 u1795362403096"

static void
note(void *ctx, const char *name, const char *value, size_t len)
{
    struct buf *out = ctx;

    assert_int_equal(strlen(value), len);
    buf_printf(out, "%s=%s;", name, value);
}

static void
fields_are(const struct session *s, bool all, const char *expected)
{
    struct buf out;

    buf_init(&out, 100000);
    session_fields(s, all, note, &out);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static enum rc
take(struct session *s, const char *name, const char *value)
{
    struct fail f = { .rc = RC_OK };
    enum rc rc = session_field_set(s, name, strlen(name), value, strlen(value), &f);

    assert_int_equal(f.rc, rc);
    return rc;
}

static void
create(struct session *s)
{
    struct change c;

    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    s->mode = MODE_PER_PARTICIPANT;
    s->total_time_ms = 120000;
    s->metadata = xstrdup("{\"a\": 1}");
    memcpy(session_add_participant(s)->id, ANNA, sizeof(ANNA));
    memcpy(session_add_participant(s)->id, BERT, sizeof(BERT));
    s->p[0].total_time_ms = 60000;
    s->p[1].total_time_ms = 60000;
    s->p[1].index = 1;
    assert_int_equal(session_create(s, 1795362403096, &c, NULL), RC_OK);
}

#define ROW_A "i" ANNA " t60000 A60000"
#define ROW_B "i" BERT " x1 t60000 A60000"

static void
only_what_changed_is_written(void **state)
{
    struct command cmd = { .type = COMMAND_START };
    struct session s;
    struct change c;

    (void)state;
    create(&s);
    fields_are(&s, false, "h=" HEADER ";m={\"a\": 1};p:0=" ROW_A ";p:1=" ROW_B ";");
    session_clean(&s);
    fields_are(&s, false, "");
    assert_int_equal(session_command(&s, &cmd, 1795362404000, &c, NULL), RC_OK);
    fields_are(&s, false,
               "h=i" SID " M1 s2 T120000 c1795362403096 u1795362404000 b1795362404000 "
               "y1795362404000 n1 a0;");
    session_clean(&s);
    cmd.type = COMMAND_SWITCH;
    assert_int_equal(session_command(&s, &cmd, 1795362404100, &c, NULL), RC_OK);
    session_clean(&s);
    assert_int_equal(session_command(&s, &cmd, 1795362404107, &c, NULL), RC_OK);
    fields_are(&s, false,
               "h=i" SID " M1 s2 T120000 c1795362403096 u1795362404107 b1795362404000 "
               "y1795362404107 n3 a0;p:1=i" BERT " x1 t59993 A60000 u7 c1;");
    session_clean(&s);
    fields_are(&s, true,
               "h=i" SID " M1 s2 T120000 c1795362403096 u1795362404107 b1795362404000 "
               "y1795362404107 n3 a0;m={\"a\": 1};p:0=i" ANNA
               " t59900 A60000 u100 c1;p:1=i" BERT " x1 t59993 A60000 u7 c1;");
    session_fini(&s);
}

/* Each row, given to another session under its name. */
static void
pass_on(void *ctx, const char *name, const char *value, size_t len)
{
    assert_int_equal(session_field_set(ctx, name, strlen(name), value, len, NULL), RC_OK);
}

static void
every_member_comes_back(void **state)
{
    struct session s, back;
    struct buf a, b;

    (void)state;
    create(&s);
    s.status = STATUS_PAUSED;
    s.time_per_cycle_ms = 0;
    s.increment_ms = 3;
    s.max_time_ms = 4;
    s.session_started_at = 6;
    s.session_completed_at = 7;
    s.cycle_started_at = 8;
    s.paused_at = 9;
    s.paused_total_ms = 10;
    s.paused_charged_at = 11;
    s.cycle_number = 12;
    s.turn_used_ms = 13;
    s.cycle_left_ms = 18;
    s.allotted_ms = 19;
    s.time_used_ms = 20;
    s.first = 1;
    s.auto_advance = true;
    s.max_cycles = 21;
    s.handed_over_at = 22;
    s.warned = 31;
    s.last_timeout.applied = TIMEOUT_ELIMINATE;
    s.active = 1;
    s.last_timeout.version = 14;
    s.last_timeout.at = 15;
    s.last_timeout.expired = 0;
    s.result.reason = REASON_CYCLES_DONE;
    s.result.expired = 0;
    s.result.winner = 1;
    memset(s.owner, ' ', sizeof(s.owner) - 1);
    s.p[1].out = OUT_ELIMINATED;
    s.p[1].has_expired = true;
    s.p[1].cycle_count = 16;
    s.p[1].time_used_ms = 17;
    memcpy(s.p[1].group_id, BERT, sizeof(BERT));
    session_init(&back);
    buf_init(&a, 100000);
    buf_init(&b, 100000);
    session_fields(&s, true, note, &a);
    assert_int_equal(take(&back, "p:1", "i" BERT " g" BERT " x1 t60000 A60000 u17 c16 O2 e"),
                     RC_OK);
    assert_int_equal(take(&back, "p:0", ROW_A), RC_OK);
    assert_int_equal(take(&back, "m", "{\"a\": 1}"), RC_OK);
    /* the header as it was written, between "h=" and ";" */
    assert_int_equal(session_field_set(&back, "h", 1, a.data + 2,
                                       (size_t)(strchr(a.data, ';') - a.data) - 2, NULL),
                     RC_OK);
    assert_int_equal(session_fields_done(&back, NULL), RC_OK);
    session_fields(&back, true, note, &b);
    assert_string_equal(buf_cstr(&b), buf_cstr(&a));
    assert_string_equal(back.owner, s.owner);
    assert_int_equal(back.time_per_cycle_ms, 0);
    assert_int_equal(back.last_timeout.expired, 0);
    assert_int_equal(back.result.winner, 1);
    assert_int_equal(back.cycle_left_ms, 18);
    assert_int_equal(back.allotted_ms, 19);
    assert_int_equal(back.time_used_ms, 20);
    assert_int_equal(back.first, 1);
    assert_true(back.auto_advance);
    assert_int_equal(back.max_cycles, 21);
    assert_int_equal(back.handed_over_at, 22);
    assert_int_equal(back.warned, 31);
    assert_int_equal(back.last_timeout.applied, TIMEOUT_ELIMINATE);
    assert_int_equal(back.paused_charged_at, 11);
    assert_false(back.dirty || back.p[0].dirty || back.p[1].dirty);
    buf_fini(&a);
    buf_fini(&b);
    session_fini(&s);
    session_fini(&back);
}

static void
when_to_warn_comes_back(void **state)
{
    static const int64_t lists[][SESSION_WARNINGS_MAX] = {
        { 0 }, { 100 }, { 100, 10000 }, { 10000, 20000 }, { 1, 2, 3, 4, 86400000 }
    };
    struct session s, back;
    struct change c;

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        session_init(&s);
        memcpy(s.id, SID, sizeof(SID));
        s.mode = MODE_COUNT_UP;
        memcpy(s.warn_at_ms, lists[i], sizeof(lists[i]));
        assert_int_equal(session_create(&s, 1795362403096, &c, NULL), RC_OK);
        session_init(&back);
        session_fields(&s, false, pass_on, &back);
        assert_int_equal(session_fields_done(&back, NULL), RC_OK);
        assert_memory_equal(back.warn_at_ms, lists[i], sizeof(lists[i]));
        session_fini(&s);
        session_fini(&back);
    }
}

static void
warnings_out_of_order_are_unreadable(void **state)
{
    static const char *const rows[] = { "b5", "a0 b5", "a5 b5", "a1 b3 c2", "a1 b2 c0 d4" };
    struct session s;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        create(&s);
        assert_int_equal(take(&s, "w", rows[i]), RC_OK);
        assert_int_equal(session_fields_done(&s, NULL), RC_STATE_UNREADABLE);
        session_fini(&s);
    }
}

/* What was asked for at creation goes with the first version only, and comes back whole. */
static void
the_rules_for_the_end_of_time_come_back(void **state)
{
    struct session s, back;
    struct buf a;

    (void)state;
    create(&s);
    s.on_timeout.type = TIMEOUT_SKIP_CYCLE;
    s.on_timeout.winner = 1;
    memset(s.on_timeout.action, '%', sizeof(s.on_timeout.action) - 1);
    memset(s.on_timeout.outcome, ' ', sizeof(s.on_timeout.outcome) - 1);
    memset(s.on_timeout.penalty, '"', sizeof(s.on_timeout.penalty) - 1);
    session_init(&back);
    session_fields(&s, true, pass_on, &back);
    assert_int_equal(session_fields_done(&back, NULL), RC_OK);
    assert_memory_equal(&back.on_timeout, &s.on_timeout, sizeof(s.on_timeout));
    session_fini(&back);
    buf_init(&a, 100000);
    s.dirty = true;
    session_fields(&s, false, note, &a);
    assert_non_null(strstr(buf_cstr(&a), "t=t3"));
    buf_clear(&a);
    s.version = 2;
    session_fields(&s, false, note, &a);
    assert_null(strstr(buf_cstr(&a), "t=t3"));
    buf_fini(&a);
    session_fini(&s);
}

static void
names_are_exact(void **state)
{
    static const char *const bad[] = { "p:", "p:01", "p:1000", "p:-1", "p:x", "p:1 ", "p:00" };
    static const char *const foreign[] = { "v", "e", "c", "x:0", "p", "hh", "", "mm", "P:0" };
    struct session s;

    (void)state;
    session_init(&s);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(take(&s, bad[i], ROW_A), RC_STATE_UNREADABLE);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
        assert_int_equal(take(&s, foreign[i], "\x01 not ours"), RC_OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(take(&s, "p:999", ROW_A), RC_OK);
    assert_int_equal(s.n, 1000);
    session_fini(&s);
}

static void
a_thousand_keep_their_places(void **state)
{
    struct session s, back;
    struct change c;

    (void)state;
    create(&s);
    for (int k = 2; k < SESSION_PARTICIPANTS_MAX; k++)
        snprintf(session_add_participant(&s)->id, ID_LEN + 1, "00000000-0000-4000-8000-%012d",
                 k);
    assert_int_equal(session_create(&s, 1795362403096, &c, NULL), RC_OK);
    session_init(&back);
    session_fields(&s, true, pass_on, &back);
    assert_int_equal(session_fields_done(&back, NULL), RC_OK);
    assert_int_equal(back.n, s.n);
    for (size_t k = 0; k < s.n; k++)
        assert_string_equal(back.p[k].id, s.p[k].id);
    session_fini(&s);
    session_fini(&back);
}

static void
values_are_strict(void **state)
{
    static const char *const bad[][2] = {
        { "h", "" },
        { "h", "M1 s1" },
        { "h", "iAbCdEf01-2345-4789-8abc-def01234567 M1" },
        { "h", "iAbCdEf01-2345-4789-8abc-def01234567%22 M1" },
        { "h", "i" SID " M6" },
        { "h", "i" SID " s7" },
        { "h", "i" SID " a1000" },
        { "h", "i" SID " T-1" },
        { "h", "i" SID " u100000000000001" },
        { "p:0", "" },
        { "p:0", "x1" },
        { "p:0", "i" ANNA " t-1" },
        { "p:0", "i" ANNA " x-1" },
        { "p:0", "i" ANNA " O3" },
        { "p:0", "i" ANNA " gx" },
        { "p:0", "i" ANNA " e1" },
        { "m", "" },
        { "m", "{" },
        { "m", "[]" },
        { "m", "{\n}" },
    };
    struct session s;

    (void)state;
    session_init(&s);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (take(&s, bad[i][0], bad[i][1]) != RC_STATE_UNREADABLE)
            fail_msg("accepted %s: %s", bad[i][0], bad[i][1]);
    session_fini(&s);
}

/* Somebody has to be in as long as there can be a turn: the rotation would find nobody. */
static void
a_session_of_nobody_is_refused(void **state)
{
    static const struct {
        const char *header;
        enum rc rc;
    } cases[] = {
        { "i" SID " M1 s1 u5", RC_STATE_UNREADABLE },
        { "i" SID " M1 s2 u5 b5 y5 a0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s3 u5 b5 p5 g5 a0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s4 u5 f5", RC_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session s;

        session_init(&s);
        assert_int_equal(take(&s, "h", cases[i].header), RC_OK);
        assert_int_equal(take(&s, "p:0", ROW_A " O1"), RC_OK);
        assert_int_equal(session_fields_done(&s, NULL), cases[i].rc);
        session_fini(&s);
    }
}

static void
metadata_has_a_limit(void **state)
{
    struct session s;
    char *m = xalloc(SESSION_METADATA_MAX + 1);

    (void)state;
    session_init(&s);
    memset(m, ' ', SESSION_METADATA_MAX + 1);
    m[0] = '{';
    m[SESSION_METADATA_MAX] = '}';
    assert_int_equal(session_field_set(&s, "m", 1, m, SESSION_METADATA_MAX + 1, NULL),
                     RC_STATE_UNREADABLE);
    m[SESSION_METADATA_MAX - 1] = '}';
    assert_int_equal(session_field_set(&s, "m", 1, m, SESSION_METADATA_MAX, NULL), RC_OK);
    assert_int_equal(strlen(s.metadata), SESSION_METADATA_MAX);
    free(m);
    session_fini(&s);
}

/* A header and one participant that are read, and whether they make a whole. */
struct whole {
    const char *header;
    const char *place;
    enum rc rc;
};

static void
the_whole_is_checked(void **state)
{
    static const struct whole cases[] = {
        { "i" SID " M1 s1 u5", "p:0", RC_OK },
        { "i" SID " M1 s1 u5", "p:1", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5", "v", RC_STATE_UNREADABLE },
        { "i" SID " M3 s1 u5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M2 s1 u5", "v", RC_STATE_UNREADABLE },
        { "i" SID " M4 s1 u5", "v", RC_OK },
        { "i" SID " M5 s2 u5 b5 y5", "v", RC_OK },
        { "i" SID " M5 s3 u5 b5 p5 g5", "v", RC_OK },
        { "i" SID " M5 s2 u5 b5 y5 a0", "v", RC_STATE_UNREADABLE },
        { "i" SID " M5 s2 u5 b5 y5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " s1 u5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 u5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 a1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 e1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 E1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 W1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s1 u5 F1", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s2 u5 b5 y5 a0", "p:0", RC_OK },
        { "i" SID " M1 s2 u5 b5 y6 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s2 u5 b5 y5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s2 u5 b5 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s2 u5 y5 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s3 u5 b5 p5 g5 a0", "p:0", RC_OK },
        { "i" SID " M1 s3 u5 b5 p5 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s3 u5 b5 p5 g6 a0", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s3 u5 b5 p5 g5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s4 u5 f5", "p:0", RC_OK },
        { "i" SID " M1 s5 u5 f5", "p:0", RC_OK },
        { "i" SID " M1 s6 u5 f5", "p:0", RC_OK },
        { "i" SID " M1 s4 u5", "p:0", RC_STATE_UNREADABLE },
        { "i" SID " M1 s4 u5 f5 a0", "p:0", RC_STATE_UNREADABLE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fail f = { .rc = RC_OK };
        struct session s;

        session_init(&s);
        assert_int_equal(take(&s, "h", cases[i].header), RC_OK);
        assert_int_equal(take(&s, cases[i].place, ROW_A), RC_OK);
        if (session_fields_done(&s, &f) != cases[i].rc)
            fail_msg("%s with %s", cases[i].header, cases[i].place);
        assert_int_equal(f.rc, cases[i].rc);
        session_fini(&s);
    }
}

/* Everybody is in a group that is there, in per_group and nowhere else. */
static void
groups_are_checked(void **state)
{
    static const struct {
        const char *header, *person, *group;
        enum rc rc;
    } cases[] = {
        { "M3 s1 u5", "i" ANNA " G0", "i" BERT " t5 l0", RC_OK },
        { "M3 s1 u5", "i" ANNA " G0", "i" BERT " t5 l1", RC_STATE_UNREADABLE },
        { "M3 s1 u5", "i" ANNA " G1", "i" BERT, RC_STATE_UNREADABLE },
        { "M3 s1 u5", "i" ANNA, "i" BERT, RC_STATE_UNREADABLE },
        { "M1 s1 u5", "i" ANNA, "i" BERT, RC_STATE_UNREADABLE },
        { "M1 s1 u5", "i" ANNA " G0", "i" BERT, RC_STATE_UNREADABLE },
    };
    struct session s;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char header[100];

        snprintf(header, sizeof(header), "i" SID " %s", cases[i].header);
        session_init(&s);
        assert_int_equal(take(&s, "h", header), RC_OK);
        assert_int_equal(take(&s, "p:0", cases[i].person), RC_OK);
        assert_int_equal(take(&s, "g:0", cases[i].group), RC_OK);
        assert_int_equal(session_fields_done(&s, NULL), cases[i].rc);
        session_fini(&s);
    }
    session_init(&s);
    assert_int_equal(take(&s, "g:0", "t5"), RC_STATE_UNREADABLE);
    assert_int_equal(take(&s, "g:1000", "i" BERT), RC_STATE_UNREADABLE);
    assert_int_equal(take(&s, "h", "i" SID " M3 s1 u5"), RC_OK);
    assert_int_equal(take(&s, "p:0", "i" ANNA " G1"), RC_OK);
    assert_int_equal(take(&s, "g:1", "i" BERT), RC_OK);
    assert_int_equal(session_fields_done(&s, NULL), RC_STATE_UNREADABLE); /* g:0 is missing */
    session_fini(&s);
}

/* What a row leaves out is as it was at the beginning, not as it was before. */
static void
a_row_takes_the_place_of_the_one_before(void **state)
{
    struct session s;

    (void)state;
    session_init(&s);
    assert_int_equal(take(&s, "h", "i" SID " M3 s1 u5"), RC_OK);
    assert_int_equal(take(&s, "p:0", "i" ANNA " g" BERT " G0 x3 t7 A8 u9 c2 v1 p1 m1 s1 O2 e"),
                     RC_OK);
    assert_int_equal(take(&s, "g:0", "i" BERT " t7 A8 u9 l0 e"), RC_OK);
    assert_int_equal(take(&s, "p:0", "i" BERT " G0"), RC_OK);
    assert_int_equal(take(&s, "g:0", "i" ANNA), RC_OK);
    fields_are(&s, true, "h=i" SID " M3 s1 u5;p:0=i" BERT " G0;g:0=i" ANNA ";");
    assert_int_equal(s.p[0].group, 0);
    assert_int_equal(s.g[0].last, -1);
    assert_int_equal(take(&s, "p:0", "x3"), RC_STATE_UNREADABLE);
    session_fini(&s);
}

static void
no_header_is_no_session(void **state)
{
    struct session s;

    (void)state;
    session_init(&s);
    assert_int_equal(take(&s, "p:0", ROW_A), RC_OK);
    assert_int_equal(session_fields_done(&s, NULL), RC_STATE_UNREADABLE);
    session_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed_is_written),
        cmocka_unit_test(every_member_comes_back),
        cmocka_unit_test(the_rules_for_the_end_of_time_come_back),
        cmocka_unit_test(when_to_warn_comes_back),
        cmocka_unit_test(warnings_out_of_order_are_unreadable),
        cmocka_unit_test(names_are_exact),
        cmocka_unit_test(a_thousand_keep_their_places),
        cmocka_unit_test(values_are_strict),
        cmocka_unit_test(a_session_of_nobody_is_refused),
        cmocka_unit_test(metadata_has_a_limit),
        cmocka_unit_test(the_whole_is_checked),
        cmocka_unit_test(groups_are_checked),
        cmocka_unit_test(a_row_takes_the_place_of_the_one_before),
        cmocka_unit_test(no_header_is_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
