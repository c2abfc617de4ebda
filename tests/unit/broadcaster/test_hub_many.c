/* One socket that watches many sessions: SUBSCRIBE, UNSUBSCRIBE, and what a deletion ends. */
#include "broadcaster/hub.h"

#include "fake_hub.h"

/* The id of session `k`. */
static const char *
sid(int k)
{
    static char id[ID_LEN + 1];

    snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", k);
    return id;
}

static struct message
about(const char *id)
{
    struct message m = { .last_known_version = -1 };

    snprintf(m.session_id, sizeof(m.session_id), "%s", id);
    return m;
}

static enum fault
subscribe(struct fake *f, const char *id)
{
    const struct message m = about(id);

    return hub_subscribe(hub, &f->c, &m);
}

static enum fault
unsubscribe(struct fake *f, const char *id)
{
    const struct message m = about(id);

    return hub_unsubscribe(hub, &f->c, &m);
}

static struct life
begin_life(int k)
{
    struct life l;

    life_begin(&l, k);
    memcpy(l.s.id, sid(k), ID_LEN + 1);
    return l;
}

static void
tell(const struct life *l)
{
    hub_event(hub, l->s.id, l->event.data, l->event.len);
}

/* `f` subscribes to the session of `l` and has its state. */
static void
subscribe_live(struct fake *f, const struct life *l)
{
    assert_int_equal(subscribe(f, l->s.id), FAULT_NONE);
    hub_subscribed(hub, l->s.id);
    loaded(RC_OK, &l->s, l->now);
    got(f);
}

/* --- SUBSCRIBE and UNSUBSCRIBE --- */

static void
subscribe_says_subscribed_then_state_sync(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    assert_int_equal(subscribe(f, sid(1)), FAULT_NONE);
    assert_string_equal(got(f), "SUBSCRIBED");
    hub_subscribed(hub, sid(1));
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    life_do(&l, COMMAND_START);
    tell(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    leave(f);
    life_end(&l);
}

static void
subscribe_to_a_watched_session_shows_it_again(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    subscribe_live(f, &l);
    assert_int_equal(subscribe(f, sid(1)), FAULT_NONE);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "SUBSCRIBED STATE_SYNC:1");
    life_do(&l, COMMAND_START);
    tell(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2"); /* once */
    assert_null(f->c.subs->more);
    leave(f);
    life_end(&l);
}

static void
subscribe_before_creation(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    subscribe(f, sid(1));
    hub_subscribed(hub, sid(1));
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(f), "SUBSCRIBED ERROR:SESSION_NOT_FOUND");
    tell(&l);
    assert_string_equal(got(f), "STATE_UPDATE:1");
    leave(f);
    life_end(&l);
}

static void
unsubscribe_ends_it(void **state)
{
    struct life one = begin_life(1), two = begin_life(2);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    subscribe_live(f, &one);
    subscribe_live(f, &two);
    assert_int_equal(unsubscribe(f, sid(1)), FAULT_NONE);
    assert_string_equal(got(f), "UNSUBSCRIBED");
    life_do(&one, COMMAND_START);
    life_do(&two, COMMAND_START);
    tell(&one);
    assert_string_equal(got(f), "");
    tell(&two);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    assert_int_equal(unsubscribe(f, sid(1)), FAULT_NOT_SUBSCRIBED);
    leave(f);
    life_end(&one);
    life_end(&two);
}

static void
unsubscribe_before_the_state_has_come(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    subscribe(f, sid(1));
    hub_subscribed(hub, sid(1));
    hub_pump(hub);
    unsubscribe(f, sid(1));
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "SUBSCRIBED UNSUBSCRIBED");
    leave(f);
    life_end(&l);
}

static void
at_most_100_sessions_per_socket(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    hub_link_lost(hub);
    hub_join(hub, &f->c, sid(0), false);
    for (int k = 1; k < HUB_SUBS_MAX; k++)
        assert_int_equal(subscribe(f, sid(k)), FAULT_NONE);
    assert_int_equal(subscribe(f, SID), FAULT_SUBSCRIPTION_LIMIT);
    assert_int_equal(subscribe(f, sid(7)), FAULT_NONE); /* watched already */
    assert_int_equal(unsubscribe(f, sid(7)), FAULT_NONE);
    hub_tick(hub); /* all that hub_new lets in: the idle go at once */
    assert_int_equal(subscribe(f, SID), FAULT_NONE);
    leave(f);
}

static void
no_more_sessions_than_the_server_may_watch(void **state)
{
    struct fake *f = fake_open(&set, 0), *g = fake_open(&set, 0);

    (void)state;
    for (int k = 0; k < 100; k++) /* of hub_new */
        subscribe(f, sid(k));
    assert_int_equal(subscribe(g, SID), FAULT_SERVER_FULL);
    assert_int_equal(subscribe(g, sid(7)), FAULT_NONE);
    leave(f);
    leave(g);
}

static void
reconnect_without_a_session_is_about_all(void **state)
{
    struct life one = begin_life(1), two = begin_life(2);
    struct fake *f = fake_open(&set, 0);
    struct message m = { .last_known_version = 1 };

    (void)state;
    assert_int_equal(hub_reconnect(hub, &f->c, &m), FAULT_NOT_SUBSCRIBED);
    subscribe_live(f, &one);
    subscribe_live(f, &two);
    memcpy(m.epoch, one.s.epoch, sizeof(m.epoch));
    assert_int_equal(hub_reconnect(hub, &f->c, &m), FAULT_NONE);
    hub_pump(hub);
    assert_int_equal(n_loading, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct life *l = strcmp(hub_watch_id(loading[i]), sid(1)) == 0 ? &one : &two;
        struct session copy;

        session_init(&copy);
        session_copy(&copy, &l->s);
        hub_loaded(hub, loading[i], RC_OK, &copy, l->now);
        session_fini(&copy);
        assert_string_equal(got(f), l == &one ? "STATE_SYNC:1:unchanged" : "STATE_SYNC:1");
    }
    n_loading = 0;
    leave(f);
    life_end(&one);
    life_end(&two);
}

/* --- deletion --- */

static void
a_deletion_ends_that_subscription_only(void **state)
{
    struct life one = begin_life(1), two = begin_life(2);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    hub_join(hub, &f->c, sid(1), false);
    hub_subscribed(hub, sid(1));
    loaded(RC_OK, &one.s, one.now);
    subscribe_live(f, &two);
    life_do(&one, COMMAND_DELETE);
    tell(&one);
    assert_string_equal(got(f), "SESSION_DELETED:2"); /* it holds another */
    life_do(&two, COMMAND_DELETE);
    tell(&two);
    assert_string_equal(got(f), "SESSION_DELETED:2"); /* not opened for this one */
    assert_int_equal(f->c.close_code, 0);
    leave(f);
    life_end(&one);
    life_end(&two);
}

static void
a_deletion_closes_who_was_opened_for_it_and_holds_no_other(void **state)
{
    struct life one = begin_life(1), two = begin_life(2);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    hub_join(hub, &f->c, sid(1), false);
    hub_subscribed(hub, sid(1));
    loaded(RC_OK, &one.s, one.now);
    subscribe_live(f, &two);
    unsubscribe(f, sid(1));
    subscribe(f, sid(1)); /* not made by the address any more, but it was opened so */
    loaded(RC_OK, &one.s, one.now);
    unsubscribe(f, sid(2));
    got(f);
    life_do(&one, COMMAND_DELETE);
    tell(&one);
    assert_string_equal(got(f), "SESSION_DELETED:2 close:1000");
    leave(f);
    life_end(&one);
    life_end(&two);
}

static void
a_deletion_leaves_a_socket_opened_for_none(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);

    (void)state;
    subscribe_live(f, &l);
    life_do(&l, COMMAND_DELETE);
    tell(&l);
    assert_string_equal(got(f), "SESSION_DELETED:2");
    assert_int_equal(f->c.close_code, 0);
    assert_int_equal(subscribe(f, sid(2)), FAULT_NONE);
    leave(f);
    life_end(&l);
}

/* --- slow ones --- */

/* Switch until `f`, which is stuck, has fallen behind. */
static void
overwhelm(struct fake *f, struct life *busy)
{
    f->stuck = true;
    life_do(busy, COMMAND_START);
    tell(busy);
    while (!f->c.is_behind) {
        life_do(busy, COMMAND_SWITCH);
        tell(busy);
    }
}

static void
what_no_state_makes_up_for_reaches_the_slow(void **state)
{
    struct life busy = begin_life(1), two = begin_life(2);
    struct fake *f = fake_open(&set, 0);
    char expected[200];

    (void)state;
    subscribe_live(f, &busy);
    subscribe_live(f, &two);
    f->stuck = true;
    life_do(&two, COMMAND_DELETE);
    tell(&two); /* waits in the queue that is given up */
    overwhelm(f, &busy);
    subscribe(f, sid(3));
    unsubscribe(f, sid(3));
    hub_refuse(hub, &f->c, FAULT_UNKNOWN_TYPE, NULL);
    f->stuck = false;
    assert_true(client_writable(&f->c));
    hub_catch_up(hub, &f->c);
    snprintf(expected, sizeof(expected),
             "SESSION_DELETED:2 SUBSCRIBED UNSUBSCRIBED ERROR:UNKNOWN_TYPE STATE_UPDATE:%lld",
             (long long)busy.s.version);
    assert_string_equal(got(f), expected);
    leave(f);
    life_end(&busy);
    life_end(&two);
}

/* The queue is full to the brim with states when the answer comes. */
static void
states_that_an_answer_pushed_out_are_made_up_for(void **state)
{
    struct life l = begin_life(1);
    struct fake *f = fake_open(&set, 0);
    char expected[80];

    (void)state;
    subscribe_live(f, &l);
    f->stuck = true;
    life_do(&l, COMMAND_START);
    tell(&l);
    while (f->c.queue_n < CLIENT_FRAMES_MAX) {
        life_do(&l, COMMAND_SWITCH);
        tell(&l);
    }
    assert_false(f->c.is_behind);
    hub_refuse(hub, &f->c, FAULT_UNKNOWN_TYPE, NULL);
    assert_true(f->c.is_behind);
    f->stuck = false;
    assert_true(client_writable(&f->c));
    hub_catch_up(hub, &f->c);
    snprintf(expected, sizeof(expected), "ERROR:UNKNOWN_TYPE STATE_UPDATE:%lld",
             (long long)l.s.version);
    assert_string_equal(got(f), expected);
    leave(f);
    life_end(&l);
}

static void
who_asks_and_never_reads_is_cut(void **state)
{
    struct fake *f = fake_open(&set, 0);

    (void)state;
    f->stuck = true;
    for (int i = 0; i <= CLIENT_FRAMES_MAX && f->cuts == 0; i++)
        hub_refuse(hub, &f->c, FAULT_UNKNOWN_TYPE, NULL);
    assert_int_equal(f->cuts, 1);
    assert_int_equal(f->c.queue_bytes, 0);
    leave(f);
}

/* Each write fills the socket: all the same, everyone has his turn. */
static void
catching_up_goes_on_where_it_stopped(void **state)
{
    struct life l[5];
    struct fake *f = fake_open(&set, 0);
    int shown = 0;

    (void)state;
    for (int k = 0; k < 5; k++) {
        l[k] = begin_life(k);
        subscribe_live(f, &l[k]);
    }
    overwhelm(f, &l[0]);
    for (int k = 1; k < 5; k++) {
        life_do(&l[k], COMMAND_START);
        tell(&l[k]);
    }
    for (int turn = 0; turn < 5; turn++) {
        f->stuck = false;
        f->gulp = 1;
        assert_true(client_writable(&f->c));
        hub_catch_up(hub, &f->c);
        assert_true(f->c.is_behind);
        /* the busy one goes on, and keeps nobody else from being served */
        life_do(&l[0], COMMAND_SWITCH);
        tell(&l[0]);
        if (strcmp(got(f), "STATE_UPDATE:2") == 0)
            shown++;
    }
    assert_int_equal(shown, 4);
    f->stuck = false;
    f->gulp = 0;
    assert_true(client_writable(&f->c));
    hub_catch_up(hub, &f->c);
    assert_false(f->c.is_behind);
    got(f);
    for (int k = 0; k < 5; k++) {
        life_do(&l[k], COMMAND_PAUSE);
        tell(&l[k]);
        assert_memory_equal(got(f), "STATE_UPDATE:", 13);
        life_end(&l[k]);
    }
    leave(f);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(subscribe_says_subscribed_then_state_sync),
        TEST(subscribe_to_a_watched_session_shows_it_again),
        TEST(subscribe_before_creation),
        TEST(unsubscribe_ends_it),
        TEST(unsubscribe_before_the_state_has_come),
        TEST(at_most_100_sessions_per_socket),
        TEST(no_more_sessions_than_the_server_may_watch),
        TEST(reconnect_without_a_session_is_about_all),
        TEST(a_deletion_ends_that_subscription_only),
        TEST(a_deletion_closes_who_was_opened_for_it_and_holds_no_other),
        TEST(a_deletion_leaves_a_socket_opened_for_none),
        TEST(what_no_state_makes_up_for_reaches_the_slow),
        TEST(states_that_an_answer_pushed_out_are_made_up_for),
        TEST(who_asks_and_never_reads_is_cut),
        TEST(catching_up_goes_on_where_it_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
