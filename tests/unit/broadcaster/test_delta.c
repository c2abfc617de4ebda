/* STATE_DELTA: whoever folds it has exactly the state that others are pushed. */
#include "broadcaster/delta.h"

#include "broadcaster/protocol.h"
#include "common/event.h"
#include "fake_hub.h"

static void
patch_is(const char *before, const char *after, const char *expected)
{
    struct buf out;

    buf_init(&out, 1000);
    delta_patch(&out, before, after);
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void
a_patch_holds_what_is_different(void **state)
{
    (void)state;
    patch_is("{}", "{}", "{}");
    patch_is("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "{\"b\":3}");
    patch_is("{\"a\":1}", "{\"a\":1,\"b\":\"x,}\\\"\"}", "{\"b\":\"x,}\\\"\"}");
    patch_is("{\"a\":1,\"b\":[1,{\"c\":2}]}", "{\"a\":1}", "{\"b\":null}");
    patch_is("{\"b\":[1,2]}", "{\"b\":[1,2,3]}", "{\"b\":[1,2,3]}");
    patch_is("{\"a\":{\"x\":1,\"y\":2},\"b\":0}", "{\"a\":{\"x\":1,\"z\":{}},\"b\":0}",
             "{\"a\":{\"z\":{},\"y\":null}}");
    patch_is("{\"a\":{\"x\":1},\"b\":{ \"k\" : [ 1 ] }}",
             "{\"a\":{\"x\":1},\"b\":{ \"k\" : [ 1 ] }}", "{}");
    patch_is("{\"a\":null}", "{\"a\":{\"x\":1}}", "{\"a\":{\"x\":1}}");
    patch_is("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}", "{}"); /* whatever the order */
}

static void
what_runs_by_itself_is_always_in_it(void **state)
{
    (void)state;
    patch_is("{\"time_remaining_ms\":1,\"time_elapsed_ms\":2,\"x\":3}",
             "{\"time_remaining_ms\":1,\"time_elapsed_ms\":2,\"x\":3}",
             "{\"time_remaining_ms\":1,\"time_elapsed_ms\":2}");
}

/* --- folding, by the book --- */

static bool
may_be_null(const char *name)
{
    static const char *const names[] = {
        "active_participant_id",
        "active_group_id",
        "time_per_cycle_ms",
        "cycle_started_at",
        "session_started_at",
        "session_completed_at",
        "paused_at",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void
merge(struct json_object *to, struct json_object *patch)
{
    json_object_object_foreach(patch, name, value)
    {
        struct json_object *old = NULL;

        if (value == NULL && !may_be_null(name)) {
            json_object_object_del(to, name);
        } else if (json_object_is_type(value, json_type_object) &&
                   json_object_object_get_ex(to, name, &old) &&
                   json_object_is_type(old, json_type_object)) {
            merge(old, value);
        } else {
            json_object_object_add(to, name, json_object_get(value));
        }
    }
}

/* The changed ones take the place of those with the same id; new ones come last. */
static void
replace(struct json_object *list, struct json_object *changed, const char *id)
{
    for (size_t i = 0; i < json_object_array_length(changed); i++) {
        struct json_object *one = json_object_array_get_idx(changed, i), *key, *other;
        size_t k = 0;

        assert_true(json_object_object_get_ex(one, id, &key));
        for (; k < json_object_array_length(list); k++) {
            json_object_object_get_ex(json_object_array_get_idx(list, k), id, &other);
            if (json_object_equal(key, other))
                break;
        }
        json_object_array_put_idx(list, k, json_object_get(one));
    }
}

static struct json_object *
member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, name, &value))
        fail_msg("no %s", name);
    return value;
}

static void
fold(struct json_object *to, struct json_object *delta)
{
    assert_int_equal(json_object_get_int64(member(delta, "previous_version")),
                     json_object_get_int64(member(to, "version")));
    merge(to, member(delta, "changed"));
    replace(member(to, "participants"), member(delta, "participants"), "participant_id");
    if (json_object_array_length(member(delta, "groups")) > 0)
        replace(member(to, "groups"), member(delta, "groups"), "group_id");
    assert_true(json_object_equal(member(delta, "version"), member(to, "version")));
    assert_true(json_object_equal(member(delta, "server_time"), member(to, "server_time")));
}

static struct json_object *
shown(const struct session *s, int64_t at_ms)
{
    struct json_object *json;
    struct buf out;

    buf_init(&out, 1024 * 1024);
    session_json(&out, s, at_ms);
    json = json_tokener_parse(buf_cstr(&out));
    assert_non_null(json);
    buf_fini(&out);
    return json;
}

/* --- random lives --- */

static unsigned seed;

static unsigned
draw(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) % n;
}

static void
begin_life(struct life *l, enum sync_mode mode, enum control_type control)
{
    memset(l, 0, sizeof(*l));
    l->now = T0;
    buf_init(&l->event, 1024 * 1024);
    session_init(&l->s);
    memcpy(l->s.id, SID, sizeof(SID));
    epoch_make(l->s.epoch, l->now * 1000, 1);
    l->s.mode = mode;
    l->s.total_time_ms = 60000;
    l->s.metadata = xstrdup("{ \"a\" : [ \"}\\\"\" ] }");
    l->s.on_timeout.type = (enum timeout_action)draw(
        mode == MODE_GLOBAL || mode == MODE_COUNT_UP ? TIMEOUT_SKIP_CYCLE : TIMEOUT__MAX);
    memcpy(l->s.on_timeout.penalty, "{\"p\":-5}", 9);
    l->s.control = (struct time_control){ .type = control,
                                          .delay_ms = 500,
                                          .periods = 3,
                                          .period_ms = 2000,
                                          .moves = 2,
                                          .n_stages = 1 };
    for (size_t k = 0; k < (control == CONTROL_HOURGLASS ? 2 : 5); k++) {
        struct participant *p = session_add_participant(&l->s);

        snprintf(p->id, sizeof(p->id), "aaaaaaaa-0000-4000-8000-%012zu", k);
        p->index = (int64_t)k;
        p->total_time_ms = 3000 + draw(9000);
        if (mode == MODE_PER_GROUP)
            snprintf(p->group_id, sizeof(p->group_id), "bbbbbbbb-0000-4000-8000-%012zu", k / 2);
    }
    assert_int_equal(session_draft_groups(&l->s, NULL, 0, NULL, NULL), 0);
    assert_int_equal(session_create(&l->s, l->now, &l->c, NULL), RC_OK);
    session_clean(&l->s);
}

/* One change, whatever is possible; false: none was. */
static bool
change(struct life *l)
{
    static const enum command_type types[] = { COMMAND_START,  COMMAND_SWITCH, COMMAND_SWITCH,
                                               COMMAND_SWITCH, COMMAND_PAUSE,  COMMAND_RESUME,
                                               COMMAND_REMOVE };
    struct command cmd = { .type = types[draw(7)] };

    if (draw(200) == 0)
        cmd.type = draw(2) ? COMMAND_COMPLETE : COMMAND_CANCEL;
    cmd.participant_id = l->s.p[draw((unsigned)l->s.n)].id;
    l->now += draw(4) ? draw(1500) : draw(2);
    if (session_expire(&l->s, l->now, 3600000, &l->c))
        return true;
    return session_command(&l->s, &cmd, l->now, &l->c, NULL) == RC_OK &&
           l->c.type != EVENT_NONE;
}

static void
one_step(struct delta *d, struct life *l, struct json_object **held, int64_t *at_ms)
{
    struct session before;
    struct json_object *delta, *now;
    struct event ev;
    struct buf out;

    session_init(&before);
    session_copy(&before, &l->s);
    if (change(l)) {
        /* it was read later than it was pushed */
        int64_t read_ms = *at_ms + draw((unsigned)(l->now - *at_ms) + 1);

        json_object_put(*held);
        *held = shown(&before, draw(2) ? *at_ms : read_ms);
        life_encode(l, false);
        assert_int_equal(event_decode(l->event.data, l->event.len, &ev, NULL), RC_OK);
        delta_begin(d, &before, *at_ms);
        assert_true(delta_end(d, &ev, &l->s));
        buf_init(&out, 1024 * 1024);
        protocol_delta(&out, &l->s, d, l->now);
        delta = json_tokener_parse(buf_cstr(&out));
        assert_non_null(delta);
        fold(*held, delta);
        now = shown(&l->s, l->now);
        if (!json_object_equal(*held, now))
            fail_msg("folded:\n%s\npushed:\n%s\nby\n%s", json_object_to_json_string(*held),
                     json_object_to_json_string(now), buf_cstr(&out));
        *at_ms = l->now;
        json_object_put(delta);
        json_object_put(now);
        buf_fini(&out);
    }
    session_fini(&before);
}

static void
folded_deltas_are_the_pushed_state(void **state)
{
    int64_t changes = 0;
    struct delta d;

    (void)state;
    delta_init(&d);
    for (seed = 1; seed < 100; seed++) {
        unsigned this = seed;
        enum sync_mode mode = (enum sync_mode)(MODE_PER_PARTICIPANT + this % 5);
        bool has_control = mode == MODE_PER_PARTICIPANT;
        struct json_object *held;
        int64_t at_ms = T0;
        struct life l;

        begin_life(&l, mode, has_control ? (enum control_type)(this / 5 % CONTROL__MAX) : 0);
        held = shown(&l.s, T0);
        for (int i = 0; i < 120; i++)
            one_step(&d, &l, &held, &at_ms);
        changes += l.s.version;
        json_object_put(held);
        life_end(&l);
        seed = this;
    }
    assert_true(changes > 1000);
    delta_fini(&d);
}

/* Who has not changed is not in it. */
static void
only_the_changed_are_in_it(void **state)
{
    struct delta d;
    struct life l;
    struct session before;
    struct event ev;
    struct buf out;
    struct json_object *json;

    (void)state;
    delta_init(&d);
    session_init(&before);
    begin_life(&l, MODE_PER_PARTICIPANT, CONTROL_NONE);
    life_do(&l, COMMAND_START);
    session_copy(&before, &l.s);
    delta_begin(&d, &before, l.now);
    life_do(&l, COMMAND_SWITCH);
    assert_int_equal(event_decode(l.event.data, l.event.len, &ev, NULL), RC_OK);
    assert_true(delta_end(&d, &ev, &l.s));
    buf_init(&out, 100000);
    protocol_delta(&out, &l.s, &d, l.now);
    json = json_tokener_parse(buf_cstr(&out));
    assert_int_equal(json_object_array_length(member(json, "participants")), 2);
    assert_int_equal(json_object_array_length(member(json, "groups")), 0);
    assert_false(json_object_object_get_ex(member(json, "changed"), "metadata", NULL));
    assert_int_equal(json_object_object_length(member(json, "changed")), 7);
    json_object_put(json);
    buf_fini(&out);
    session_fini(&before);
    life_end(&l);
    delta_fini(&d);
}

/* --- who gets it --- */

static struct fake *
join_delta(const struct life *l)
{
    struct fake *f = fake_open(&set, 0);

    hub_join(hub, &f->c, SID, true);
    if (subscribes == 1)
        hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l->s, l->now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    return f;
}

static void
deltas_go_to_those_who_asked(void **state)
{
    struct life l;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    a = join_delta(&l);
    b = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    feed(&l);
    life_expire(&l);
    feed(&l);
    assert_string_equal(got(a), "STATE_DELTA:2 STATE_DELTA:3 TIME_EXPIRED:3");
    assert_string_equal(got(b), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3");
    leave(a);
    life_do(&l, COMMAND_PAUSE);
    feed(&l);
    assert_string_equal(got(b), "STATE_UPDATE:4");
    leave(b);
    life_end(&l);
}

/* A gap, another life, a creation, a client that was too slow: the whole state. */
static void
when_versions_do_not_follow_it_is_state_sync(void **state)
{
    struct life l, other;
    struct fake *a;

    (void)state;
    life_begin(&l, 1);
    a = join_delta(&l);
    life_do(&l, COMMAND_START); /* lost */
    life_do(&l, COMMAND_PAUSE);
    feed(&l);
    assert_string_equal(got(a), "");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(a), "STATE_SYNC:3");
    life_do(&l, COMMAND_RESUME);
    feed(&l);
    assert_string_equal(got(a), "STATE_DELTA:4");
    life_begin(&other, 2);
    feed(&other); /* created again */
    assert_string_equal(got(a), "STATE_SYNC:1");
    leave(a);
    life_end(&l);
    life_end(&other);
}

/* A merge patch would take the null for a member that goes. */
static void
what_a_patch_cannot_say_is_state_sync(void **state)
{
    struct life l;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    l.s.on_timeout.type = TIMEOUT_NOTIFY;
    memcpy(l.s.on_timeout.penalty, "{\"p\":null}", sizeof("{\"p\":null}"));
    a = join_delta(&l);
    b = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    life_expire(&l);
    feed(&l);
    assert_string_equal(got(a), "STATE_DELTA:2 STATE_SYNC:3 TIME_EXPIRED:3");
    assert_string_equal(got(b), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3");
    life_do(&l, COMMAND_SWITCH);
    feed(&l);
    life_expire(&l);
    feed(&l); /* the same penalty again is not in it */
    assert_string_equal(got(a), "STATE_DELTA:4 STATE_DELTA:5 TIME_EXPIRED:5");
    leave(a);
    leave(b);
    life_end(&l);
}

static void
a_slow_one_gets_state_sync(void **state)
{
    struct life l;
    struct fake *slow;

    (void)state;
    life_begin(&l, 1);
    slow = join_delta(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    slow->stuck = true;
    while (!slow->c.is_behind) {
        life_do(&l, COMMAND_SWITCH);
        feed(&l);
        clients_flush(&set);
    }
    got(slow);
    slow->stuck = false;
    assert_true(client_writable(&slow->c));
    hub_catch_up(hub, &slow->c);
    assert_non_null(strstr(got(slow), "STATE_SYNC:"));
    life_do(&l, COMMAND_SWITCH);
    feed(&l);
    assert_non_null(strstr(got(slow), "STATE_DELTA:"));
    leave(slow);
    life_end(&l);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_patch_holds_what_is_different),
        cmocka_unit_test(what_runs_by_itself_is_always_in_it),
        cmocka_unit_test(folded_deltas_are_the_pushed_state),
        cmocka_unit_test(only_the_changed_are_in_it),
        TEST(deltas_go_to_those_who_asked),
        TEST(when_versions_do_not_follow_it_is_state_sync),
        TEST(what_a_patch_cannot_say_is_state_sync),
        TEST(a_slow_one_gets_state_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
