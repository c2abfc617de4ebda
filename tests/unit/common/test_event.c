#include "common/event.h"

#include "common/arena.h"
#include "common/buf.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1795362403096LL
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-00000000000A"
#define BERT "bbbbbbbb-0000-4000-8000-00000000000b"

static char epoch[EPOCH_MAX];

static void
create(struct session *s, struct change *c)
{
    epoch_make(epoch, T0 * 1000, 1);
    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    memcpy(s->epoch, epoch, sizeof(epoch));
    s->mode = MODE_PER_PARTICIPANT;
    s->metadata = xstrdup("{\"a b\":\"\\n\"}");
    memcpy(s->owner, "a user\xc3\xa4", 9);
    memcpy(session_add_participant(s)->id, ANNA, sizeof(ANNA));
    memcpy(session_add_participant(s)->id, BERT, sizeof(BERT));
    s->p[0].total_time_ms = 1000;
    s->p[1].total_time_ms = 60000;
    s->p[1].index = 1;
    assert_int_equal(session_create(s, T0, c, NULL), RC_OK);
}

static void
snapshot_is(const struct session *s, const struct session *other)
{
    struct buf a, b;

    buf_init(&a, 100000);
    buf_init(&b, 100000);
    event_snapshot(&a, s);
    event_snapshot(&b, other);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_int_equal(s->version, other->version);
    assert_string_equal(s->epoch, other->epoch);
    buf_fini(&a);
    buf_fini(&b);
}

/* Send change c of s to the copy. */
static void
send(struct session *s, const struct change *c, struct session *copy, struct event *ev)
{
    static struct buf out;

    buf_init(&out, 100000);
    event_encode(&out, s, c, T0 + 99999, "actor 1", false);
    session_clean(s);
    assert_int_equal(event_decode(out.data, out.len, ev, NULL), RC_OK);
    assert_int_equal(event_apply(ev, copy, NULL), RC_OK);
    ev->fields = NULL;
    snapshot_is(s, copy);
    buf_fini(&out);
}

static void
events_carry_a_session_along(void **state)
{
    struct command cmd = { .type = COMMAND_START };
    struct session s, copy;
    struct change c;
    struct event ev;

    (void)state;
    create(&s, &c);
    session_init(&copy);
    send(&s, &c, &copy, &ev);
    assert_int_equal(ev.type, EVENT_SESSION_CREATED);
    assert_string_equal(ev.session_id, SID);
    assert_string_equal(ev.participant_id, "");
    assert_int_equal(ev.remaining_ms, -1);
    assert_int_equal(ev.elapsed_ms, -1);
    assert_string_equal(ev.actor, "actor 1");
    assert_string_equal(ev.epoch, epoch);
    assert_int_equal(ev.server_time_ms, T0 + 99999);
    assert_string_equal(copy.metadata, s.metadata);
    assert_string_equal(copy.owner, s.owner);
    assert_int_equal(session_command(&s, &cmd, T0 + 10, &c, NULL), RC_OK);
    send(&s, &c, &copy, &ev);
    assert_int_equal(ev.cycle_number, 1);
    assert_string_equal(ev.participant_id, ANNA);
    assert_true(session_expire(&s, T0 + 2000, 1, &c));
    send(&s, &c, &copy, &ev);
    assert_int_equal(ev.type, EVENT_PARTICIPANT_EXPIRED);
    assert_int_equal(ev.reason, REASON_TIMEOUT);
    assert_int_equal(ev.at_ms, T0 + 1010);
    assert_int_equal(ev.remaining_ms, 0);
    assert_int_equal(ev.elapsed_ms, 1000);
    assert_string_equal(ev.expired_id, ANNA);
    cmd.type = COMMAND_SWITCH;
    assert_int_equal(session_command(&s, &cmd, T0 + 2000, &c, NULL), RC_OK);
    send(&s, &c, &copy, &ev);
    assert_string_equal(ev.expired_id, ANNA);
    assert_int_equal(ev.version, 4);
    cmd.type = COMMAND_DELETE;
    assert_int_equal(session_command(&s, &cmd, T0 + 3000, &c, NULL), RC_OK);
    send(&s, &c, &copy, &ev);
    assert_int_equal(copy.version, 5);
    session_fini(&s);
    session_fini(&copy);
}

static void
a_second_creation_begins_from_nothing(void **state)
{
    struct session s, copy;
    struct change c;
    struct event ev;

    (void)state;
    create(&s, &c);
    session_init(&copy);
    send(&s, &c, &copy, &ev);
    session_fini(&s);
    create(&s, &c);
    s.n = 1;
    free(s.metadata);
    s.metadata = NULL;
    send(&s, &c, &copy, &ev);
    assert_int_equal(copy.n, 1);
    assert_null(copy.metadata);
    session_fini(&s);
    session_fini(&copy);
}

static void
snapshots_come_back(void **state)
{
    struct session s, copy;
    struct change c;
    struct buf out;

    (void)state;
    create(&s, &c);
    session_clean(&s);
    session_init(&copy);
    buf_init(&out, 100000);
    event_snapshot(&out, &s);
    assert_int_equal(event_lines_apply(out.data, out.len, &copy, NULL), RC_OK);
    copy.version = s.version;
    memcpy(copy.epoch, s.epoch, sizeof(copy.epoch));
    snapshot_is(&s, &copy);
    buf_fini(&out);
    session_fini(&s);
    session_fini(&copy);
}

static void
foreign_events_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "t1",
        "t0 i%s e%s v1 a1 s1\n",
        "i%s e%s v1 a1 s1\n",
        "t14 i%s e%s v1 a1 s1\n",
        "t1 i%s e%s v0 a1 s1\n",
        "t1 i%s e%s a1 s1\n",
        "t1 i%s e%s v1 s1\n",
        "t1 i%s e%s v1 a1\n",
        "t1 i%s e%s v1 a1 s1 r8\n",
        "t1 i%s e%s v1 a1 s1 px\n",
        "t1 i%s e%s v1 a1 s1 xx\n",
        "t1 i%s e%sx v1 a1 s1\n",
        "t1 i%s e%s v1 a1 s1",
        "t1 i%.35s e%s v1 a1 s1\n",
    };
    struct event ev;
    char row[200];

    (void)state;
    epoch_make(epoch, T0 * 1000, 1);
    snprintf(row, sizeof(row), "t1 i%s e%s v1 a1 s1\n", SID, epoch);
    assert_int_equal(event_decode(row, strlen(row), &ev, NULL), RC_OK);
    assert_int_equal(ev.fields_len, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fail f = { .rc = RC_OK };
        const char *p = strchr(rows[i], '%');

        row[0] = '\0';
        if (p == NULL)
            memcpy(row, rows[i], strlen(rows[i]) + 1);
        else
            snprintf(row, sizeof(row), "%.*s%.*s e%s%s", (int)(p - rows[i]), rows[i],
                     p[1] == 's' ? 36 : 35, SID, epoch, strchr(p, 'e') + 3);
        if (event_decode(row, strlen(row), &ev, &f) != RC_STATE_UNREADABLE)
            fail_msg("accepted: %s", row);
        assert_int_equal(f.rc, RC_STATE_UNREADABLE);
    }
}

static void
foreign_lines_are_refused(void **state)
{
    static const char *const bad[] = {
        "h", "\n", "h \n", " h\n", "p:0 i" ANNA "\n", "h i" SID " M1 s1 u5\np:0 i" ANNA
    };
    struct session s;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        session_init(&s);
        if (event_lines_apply(bad[i], strlen(bad[i]), &s, NULL) != RC_STATE_UNREADABLE)
            fail_msg("accepted: %s", bad[i]);
        session_fini(&s);
    }
}

static void
events_of_others_are_refused(void **state)
{
    struct session s, copy;
    struct change c;
    struct event ev;
    struct buf out;

    (void)state;
    create(&s, &c);
    session_init(&copy);
    buf_init(&out, 100000);
    event_encode(&out, &s, &c, T0, NULL, true);
    assert_int_equal(event_decode(out.data, out.len, &ev, NULL), RC_OK);
    assert_string_equal(ev.actor, "");
    ev.session_id[0] = 'f';
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_STATE_UNREADABLE);
    ev.session_id[0] = s.id[0];
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_OK);
    ev.fields_len--;
    assert_int_equal(event_apply(&ev, &copy, NULL), RC_STATE_UNREADABLE);
    buf_fini(&out);
    session_fini(&s);
    session_fini(&copy);
}

static void
a_long_actor_is_cut_between_characters(void **state)
{
    char actor[300];
    struct session s;
    struct change c;
    struct event ev;
    struct buf out;

    (void)state;
    create(&s, &c);
    for (size_t i = 0; i < sizeof(actor) - 1; i += 2)
        memcpy(actor + i, "\xc3\xa4", 2);
    actor[298] = '\0';
    buf_init(&out, 100000);
    event_encode(&out, &s, &c, T0, actor, true);
    assert_int_equal(event_decode(out.data, out.len, &ev, NULL), RC_OK);
    assert_int_equal(strlen(ev.actor), 254);
    buf_fini(&out);
    session_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_carry_a_session_along),
        cmocka_unit_test(a_second_creation_begins_from_nothing),
        cmocka_unit_test(snapshots_come_back),
        cmocka_unit_test(foreign_events_are_refused),
        cmocka_unit_test(foreign_lines_are_refused),
        cmocka_unit_test(events_of_others_are_refused),
        cmocka_unit_test(a_long_actor_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
