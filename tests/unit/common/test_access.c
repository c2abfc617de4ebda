#include "common/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
#define C "cccccccc-cccc-4ccc-8ccc-cccccccccccc"

enum { USUAL, PRIVATE, READERS, KINDS };
static const char *const kinds[] = { "usual", "private", "readers" };

/* Three participants: A is on turn, B waits, C is out. */
static void
make_session(struct session *s, int kind)
{
    static const char *const ids[] = { A, B, C };

    session_init(s);
    for (size_t k = 0; k < 3; k++)
        memcpy(session_add_participant(s)->id, ids[k], ID_LEN + 1);
    s->p[2].out = OUT_REMOVED;
    s->active = 0;
    s->status = STATUS_RUNNING;
    snprintf(s->owner, sizeof(s->owner), "owner");
    s->is_private = kind == PRIVATE;
    if (kind == READERS) {
        assert_true(session_add_reader(s, "first reader"));
        assert_true(session_add_reader(s, "reader"));
    }
}

static const char list[][ID_LEN + 1] = { C, "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA" };

/* clang-format off */
static const struct token tokens[] = {
    { .sub = "owner", .role = ROLE_USER },
    { .sub = A, .role = ROLE_USER },
    { .sub = "BBBBBBBB-bbbb-4bbb-8bbb-bbbbbbbbbbbb", .role = ROLE_USER },
    { .sub = C, .role = ROLE_USER },
    { .sub = "team", .role = ROLE_USER, .participants = list, .n = 2 },
    { .sub = "reader", .role = ROLE_USER },
    { .sub = "m", .role = ROLE_MODERATOR },
    { .sub = "s", .role = ROLE_SERVICE },
    { .sub = "root", .role = ROLE_ADMIN },
    { .sub = "stranger", .role = ROLE_USER },
    { .sub = "Owner", .role = ROLE_USER },
    { .sub = "read", .role = ROLE_USER },
};
static const char *const names[] = { "owner", "active", "waiting", "removed", "for the active",
                                     "reader", "moderator", "service", "admin", "stranger",
                                     "nearly owner", "nearly reader" };
#define TOKENS (sizeof(tokens) / sizeof(*tokens))

/*
 * One letter for each caller, in the order above: + may, - may not, . sees no such session.
 */
static const struct {
    enum command_type what;
    const char *name;
    const char *verdicts[KINDS];
} cells[] = {
    { COMMAND_NONE,     "read",     { "++++++++++++", "+++++.+++...", ".....+.++..." } },
    { COMMAND_START,    "start",    { "+------++---", "+----.-++...", ".....-.++..." } },
    { COMMAND_SWITCH,   "switch",   { "++--+--++---", "++--+.-++...", ".....-.++..." } },
    { COMMAND_PAUSE,    "pause",    { "+++-+--++---", "+++-+.-++...", ".....-.++..." } },
    { COMMAND_RESUME,   "resume",   { "+++-+--++---", "+++-+.-++...", ".....-.++..." } },
    { COMMAND_COMPLETE, "complete", { "+------++---", "+----.-++...", ".....-.++..." } },
    { COMMAND_CANCEL,   "cancel",   { "+------++---", "+----.-++...", ".....-.++..." } },
    { COMMAND_ADD,      "add",      { "+------++---", "+----.-++...", ".....-.++..." } },
    { COMMAND_ADJUST,   "adjust",   { "+-----+++---", "+----.+++...", ".....-.++..." } },
    { COMMAND_REMOVE,   "remove",   { "+------++---", "+----.-++...", ".....-.++..." } },
    { COMMAND_DELETE,   "delete",   { "+------++---", "+----.-++...", ".....-.++..." } },
};
/* clang-format on */

static void
test_each_caller_and_each_command(void **state)
{
    static const char letters[] = {
        [ACCESS_MISSING] = '.', [ACCESS_FORBIDDEN] = '-', [ACCESS_ALLOWED] = '+'
    };
    struct session s;

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make_session(&s, kind);
        for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
            for (size_t t = 0; t < TOKENS; t++) {
                const struct caller who = { .token = &tokens[t] };
                char got = letters[access_judge(&who, &s, cells[i].what)];

                if (got != cells[i].verdicts[kind][t])
                    fail_msg("%s, %s, %s: %c", names[t], cells[i].name, kinds[kind], got);
            }
        }
        session_fini(&s);
    }
}

/* A new command without a row would be nobody's. */
static void
test_every_command_is_in_the_table(void **state)
{
    const struct caller service = { .token = &tokens[7] };
    struct session s;

    (void)state;
    assert_int_equal(sizeof(cells) / sizeof(*cells), COMMAND__MAX);
    make_session(&s, READERS);
    for (int what = 0; what < COMMAND__MAX; what++) {
        assert_int_equal(cells[what].what, what);
        assert_int_equal(access_judge(&service, &s, (enum command_type)what), ACCESS_ALLOWED);
    }
    session_fini(&s);
}

static void
test_nobody_sees_nothing_unless_all_are_free(void **state)
{
    const struct caller nobody = { 0 }, anybody = { .is_free = true };
    struct session s;

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make_session(&s, kind);
        for (int what = 0; what < COMMAND__MAX; what++) {
            assert_int_equal(access_judge(&nobody, &s, (enum command_type)what),
                             ACCESS_MISSING);
            assert_int_equal(access_judge(&anybody, &s, (enum command_type)what),
                             ACCESS_ALLOWED);
        }
        session_fini(&s);
    }
}

/* A session of nobody belongs to nobody, not to one without a name. */
static void
test_session_without_an_owner(void **state)
{
    const struct token t = { .sub = "", .role = ROLE_USER };
    const struct caller who = { .token = &t };
    struct session s;

    (void)state;
    make_session(&s, USUAL);
    s.owner[0] = '\0';
    assert_int_equal(access_judge(&who, &s, COMMAND_DELETE), ACCESS_FORBIDDEN);
    session_fini(&s);
}

/* Between two switches nobody is on turn, or somebody else. */
static void
test_active_is_who_is_on_turn_now(void **state)
{
    const struct caller first = { .token = &tokens[1] }, second = { .token = &tokens[2] };
    struct session s;

    (void)state;
    make_session(&s, USUAL);
    s.active = 1;
    assert_int_equal(access_judge(&first, &s, COMMAND_SWITCH), ACCESS_FORBIDDEN);
    assert_int_equal(access_judge(&second, &s, COMMAND_SWITCH), ACCESS_ALLOWED);
    s.active = -1;
    assert_int_equal(access_judge(&second, &s, COMMAND_SWITCH), ACCESS_FORBIDDEN);
    session_fini(&s);
}

static void
test_readers(void **state)
{
    char name[SESSION_OWNER_MAX + 1];
    struct session s;

    (void)state;
    session_init(&s);
    assert_false(session_has_reader(&s, "a"));
    assert_false(session_add_reader(&s, ""));
    assert_false(session_add_reader(&s, "a\tb"));
    memset(name, 'x', sizeof(name));
    name[SESSION_OWNER_MAX] = '\0';
    assert_false(session_add_reader(&s, name));
    name[SESSION_OWNER_MAX - 1] = '\0';
    for (int i = 0; i < SESSION_READERS_MAX; i++) {
        name[0] = (char)('0' + i / 10);
        name[1] = (char)('0' + i % 10);
        assert_true(session_add_reader(&s, name));
    }
    for (int i = 0; i < SESSION_READERS_MAX; i++) {
        name[0] = (char)('0' + i / 10);
        name[1] = (char)('0' + i % 10);
        assert_true(session_has_reader(&s, name));
    }
    assert_false(session_has_reader(&s, name + 1));
    assert_false(session_has_reader(&s, ""));
    assert_false(session_has_reader(&s, "\t"));
    session_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_caller_and_each_command),
        cmocka_unit_test(test_every_command_is_in_the_table),
        cmocka_unit_test(test_nobody_sees_nothing_unless_all_are_free),
        cmocka_unit_test(test_session_without_an_owner),
        cmocka_unit_test(test_active_is_who_is_on_turn_now),
        cmocka_unit_test(test_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
