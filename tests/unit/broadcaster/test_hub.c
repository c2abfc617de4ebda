/* Events and loads in every order; what each client is told. Subscriber and loader are lists.
 */
#include "broadcaster/hub.h"

#include "common/keys.h"
#include "common/token.h"
#include "common/warning.h"
#include "fake_hub.h"

#include <unistd.h>

/* `timestamp` of the first message that waits to be looked at. */
static int64_t
first_timestamp(struct fake *f)
{
    struct got g = { 0 };
    size_t pos = 0;
    const char *at;

    assert_true(fake_frame(f, &pos, &g));
    at = memmem(g.payload, g.len, "\"timestamp\":", 12);
    assert_non_null(at);
    return strtoll(at + 12, NULL, 10);
}

/* --- first state --- */

static void
subscribed_before_it_is_read(void **state)
{
    struct life l;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    assert_int_equal(subscribes, 1);
    hub_pump(hub);
    assert_int_equal(n_loading, 0);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    life_do(&l, COMMAND_START);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    leave(f);
    life_end(&l);
}

static void
events_during_the_first_load_follow_it(void **state)
{
    struct life l;
    struct session snapshot;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    hub_pump(hub);
    feed(&l); /* version 1, in the snapshot already */
    life_do(&l, COMMAND_START);
    feed(&l);
    session_init(&snapshot);
    session_copy(&snapshot, &l.s); /* taken at version 2 */
    life_do(&l, COMMAND_PAUSE);
    feed(&l);
    life_do(&l, COMMAND_RESUME);
    feed(&l);
    assert_string_equal(got(f), "");
    loaded(RC_OK, &snapshot, l.now);
    assert_string_equal(got(f), "STATE_SYNC:2 STATE_UPDATE:3 STATE_UPDATE:4");
    session_fini(&snapshot);
    leave(f);
    life_end(&l);
}

static void
too_many_events_during_the_load_mean_another(void **state)
{
    struct life l;
    struct session early;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    session_init(&early);
    session_copy(&early, &l.s);
    hub_subscribed(hub, SID_LOWER);
    hub_pump(hub);
    life_do(&l, COMMAND_START);
    for (int i = 0; i < 4000; i++) {
        life_do(&l, COMMAND_SWITCH);
        feed(&l);
    }
    loaded(RC_OK, &early, T0);
    assert_string_equal(got(f), "STATE_SYNC:1");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:4002");
    session_fini(&early);
    leave(f);
    life_end(&l);
}

static void
a_missing_session_is_told_and_comes_later(void **state)
{
    struct life l;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(f), "ERROR:SESSION_NOT_FOUND");
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:1");
    life_do(&l, COMMAND_START);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    leave(f);
    life_end(&l);
}

static void
a_later_client_is_answered_from_a_later_read(void **state)
{
    struct life l;
    struct fake *a, *b, *c;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    b = join();
    hub_pump(hub); /* read for b is under way */
    c = join();
    hub_pump(hub);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(b), "STATE_SYNC:1");
    assert_string_equal(got(c), "");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(c), "STATE_SYNC:1");
    assert_string_equal(got(a), "");
    assert_int_equal(subscribes, 1);
    leave(a);
    leave(b);
    leave(c);
    life_end(&l);
}

static void
a_read_ahead_of_the_events_repeats_nothing(void **state)
{
    struct life l;
    struct fake *a, *b;
    struct buf second;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    b = join();
    life_do(&l, COMMAND_START);
    buf_init(&second, 10000);
    buf_add(&second, l.event.data, l.event.len);
    life_do(&l, COMMAND_PAUSE);
    /* b's read sees version 3, the events of 2 and 3 are still on their way */
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(b), "STATE_SYNC:3");
    assert_string_equal(got(a), "");
    hub_event(hub, SID_LOWER, second.data, second.len);
    assert_string_equal(got(a), "STATE_UPDATE:2");
    feed(&l);
    assert_string_equal(got(a), "STATE_UPDATE:3");
    assert_string_equal(got(b), "");
    life_do(&l, COMMAND_RESUME);
    feed(&l);
    assert_string_equal(got(a), "STATE_UPDATE:4");
    assert_string_equal(got(b), "STATE_UPDATE:4");
    buf_fini(&second);
    leave(a);
    leave(b);
    life_end(&l);
}

static void
a_read_behind_the_events_shows_the_newer(void **state)
{
    struct life l;
    struct session early;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    session_init(&early);
    session_copy(&early, &l.s);
    b = join();
    hub_pump(hub);
    life_do(&l, COMMAND_START);
    feed(&l);
    loaded(RC_OK, &early, T0);
    clients_flush(&set);
    /* and it is as old as the change at least */
    assert_int_equal(first_timestamp(b), l.now);
    assert_string_equal(got(b), "STATE_SYNC:2");
    assert_string_equal(got(a), "STATE_UPDATE:2");
    session_fini(&early);
    leave(a);
    leave(b);
    life_end(&l);
}

/* --- events --- */

static void
a_read_before_the_creation_is_no_deletion(void **state)
{
    struct life l;
    struct fake *early = join(), *late;

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(early), "ERROR:SESSION_NOT_FOUND");
    late = join();
    hub_pump(hub);
    feed(&l); /* overtakes the answer to that read */
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(early), "STATE_UPDATE:1");
    assert_string_equal(got(late), "");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(late), "STATE_SYNC:1");
    assert_string_equal(got(early), "");
    leave(early);
    leave(late);
    life_end(&l);
}

static void
a_read_before_the_creation_is_none_after_an_outage_either(void **state)
{
    struct life l;
    struct fake *early = join(), *late;

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(early), "ERROR:SESSION_NOT_FOUND");
    late = join();
    hub_pump(hub);
    feed(&l); /* overtakes the answer to that read, then the link goes */
    assert_string_equal(got(early), "STATE_UPDATE:1");
    hub_link_lost(hub);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(early), "");
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(early), "");
    assert_string_equal(got(late), "STATE_SYNC:1");
    leave(early);
    leave(late);
    life_end(&l);
}

static void
a_new_life_is_read_although_nothing_was_committed(void **state)
{
    struct life l;
    struct fake *c;
    int partition = keys_partition(SID_LOWER);

    (void)state;
    life_begin(&l, 1);
    c = join_live(&l);
    hub_life_began(hub, (partition + 1) % KEYS_PARTITIONS);
    hub_pump(hub);
    assert_int_equal(n_loading, 0);
    hub_life_began(hub, partition);
    epoch_raise(l.s.epoch, epoch_life(l.s.epoch) + 1);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(c), "STATE_SYNC:1");
    leave(c);
    life_end(&l);
}

static void
a_read_before_the_deletion_revives_nothing(void **state)
{
    struct life l;
    struct session snapshot;
    struct fake *early, *late;

    (void)state;
    life_begin(&l, 1);
    early = join_live(&l);
    session_init(&snapshot);
    session_copy(&snapshot, &l.s);
    late = join();
    hub_pump(hub);
    life_do(&l, COMMAND_DELETE);
    feed(&l); /* overtakes the answer to that read */
    loaded(RC_OK, &snapshot, l.now);
    assert_string_equal(got(early), "SESSION_DELETED:2 close:1000");
    assert_string_equal(got(late), "");
    loaded(RC_SESSION_NOT_FOUND, NULL, l.now);
    assert_string_equal(got(late), "ERROR:SESSION_NOT_FOUND");
    session_fini(&snapshot);
    leave(early);
    leave(late);
    life_end(&l);
}

static void
older_ones_are_ignored_gaps_are_read_again(void **state)
{
    struct life l;
    struct fake *f;
    struct buf second;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    feed(&l); /* version 1 again */
    life_do(&l, COMMAND_START);
    feed(&l);
    buf_init(&second, 10000);
    buf_add(&second, l.event.data, l.event.len);
    hub_event(hub, SID_LOWER, second.data, second.len);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    life_do(&l, COMMAND_PAUSE); /* lost */
    life_do(&l, COMMAND_RESUME);
    feed(&l);
    assert_string_equal(got(f), "");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:4");
    life_do(&l, COMMAND_PAUSE);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:5");
    buf_fini(&second);
    leave(f);
    life_end(&l);
}

static void
a_gap_during_a_read_is_not_forgotten(void **state)
{
    struct life l;
    struct session early;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    session_init(&early);
    session_copy(&early, &l.s);
    b = join();
    hub_pump(hub); /* sees version 1 */
    life_do(&l, COMMAND_START);
    life_do(&l, COMMAND_PAUSE);
    feed(&l); /* a gap: 2 never came */
    loaded(RC_OK, &early, T0);
    assert_string_equal(got(b), "STATE_SYNC:1");
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(a), "STATE_SYNC:3");
    assert_string_equal(got(b), "STATE_SYNC:3");
    session_fini(&early);
    leave(a);
    leave(b);
    life_end(&l);
}

static void
an_expiry_is_a_state_then_time_expired(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    life_expire(&l);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3");
    feed(&l);
    assert_string_equal(got(f), "");
    leave(f);
    life_end(&l);
}

static void
an_action_comes_between_the_state_and_time_expired(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    l.s.on_timeout.type = TIMEOUT_AUTO_ACTION;
    f = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    life_expire(&l);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2 STATE_UPDATE:3 ACTION:3 TIME_EXPIRED:3");
    leave(f);
    life_end(&l);
}

static void
warn(const struct session *s)
{
    struct buf out;

    buf_init(&out, 512);
    warning_encode(&out, s, 5000, s->updated_at + 100);
    hub_event(hub, SID_LOWER, out.data, out.len);
    buf_fini(&out);
}

static void
a_warning_goes_to_those_who_have_its_version(void **state)
{
    struct life l;
    struct session before;
    struct fake *f, *late;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    warn(&l.s);
    assert_string_equal(got(f), "STATE_UPDATE:2 TIME_WARNING:2");
    late = join(); /* not yet given its state */
    warn(&l.s);
    assert_string_equal(got(f), "TIME_WARNING:2");
    assert_string_equal(got(late), "");
    loaded(RC_OK, &l.s, l.now);
    session_init(&before);
    session_copy(&before, &l.s);
    life_do(&l, COMMAND_SWITCH);
    feed(&l);
    warn(&before); /* of the turn that is over */
    before.version += 2;
    warn(&before); /* of one that is not known here */
    assert_string_equal(got(f), "STATE_UPDATE:3");
    assert_string_equal(got(late), "STATE_SYNC:2 STATE_UPDATE:3");
    hub_event(hub, SID_LOWER, "!nonsense", 9);
    assert_string_equal(got(f), "");
    session_fini(&before);
    leave(f);
    leave(late);
    life_end(&l);
}

static void
who_is_past_an_expiry_is_not_told_of_it(void **state)
{
    struct life l;
    struct buf expiry;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    life_expire(&l);
    buf_init(&expiry, 10000);
    buf_add(&expiry, l.event.data, l.event.len);
    life_do(&l, COMMAND_PAUSE);
    b = join();
    loaded(RC_OK, &l.s, l.now); /* version 4 */
    hub_event(hub, SID_LOWER, expiry.data, expiry.len);
    feed(&l);
    assert_string_equal(got(a), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3 STATE_UPDATE:4");
    assert_string_equal(got(b), "STATE_SYNC:4");
    buf_fini(&expiry);
    leave(a);
    leave(b);
    life_end(&l);
}

static void
rubbish_is_read_again(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    hub_event(hub, SID_LOWER, "rubbish", 7);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "");
    life_do(&l, COMMAND_START);
    feed(&l);
    assert_string_equal(got(f), "STATE_UPDATE:2");
    leave(f);
    life_end(&l);
}

/* --- lives and deaths --- */

static void
a_deletion_closes(void **state)
{
    struct life l;
    struct fake *a, *b;

    (void)state;
    life_begin(&l, 1);
    a = join_live(&l);
    b = join(); /* has no state yet */
    life_do(&l, COMMAND_DELETE);
    feed(&l);
    assert_string_equal(got(a), "SESSION_DELETED:2 close:1000");
    assert_string_equal(got(b), "");
    loaded(RC_SESSION_NOT_FOUND, NULL, l.now);
    assert_string_equal(got(b), "ERROR:SESSION_NOT_FOUND");
    leave(a);
    leave(b);
    life_end(&l);
}

static void
created_again_is_a_new_life(void **state)
{
    struct life l, l2;
    struct fake *b;

    (void)state;
    life_begin(&l, 1);
    life_begin(&l2, 500);
    life_do(&l, COMMAND_START);
    b = join_live(&l);
    leave(b);
    b = join();
    loaded(RC_OK, &l.s, l.now);
    got(b);
    /* the deletion is lost with the link's buffer; version 1 of a later epoch is news */
    feed(&l2);
    assert_string_equal(got(b), "STATE_UPDATE:1");
    feed(&l);
    assert_string_equal(got(b), "");
    leave(b);
    life_end(&l);
    life_end(&l2);
}

static void
a_session_that_vanished_is_deleted(void **state)
{
    struct life l;
    struct fake *f;
    struct message m = { .type = MESSAGE_RECONNECT, .last_known_version = -1 };

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    assert_int_equal(hub_reconnect(hub, &f->c, &m), FAULT_NONE);
    loaded(RC_SESSION_NOT_FOUND, NULL, l.now);
    assert_string_equal(got(f), "SESSION_DELETED:2 close:1000");
    leave(f);
    life_end(&l);
}

/* --- RECONNECT --- */

static void
reconnect_reads_and_says_unchanged(void **state)
{
    struct life l;
    struct fake *f;
    struct message m = { .type = MESSAGE_RECONNECT, .last_known_version = -1 };

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    assert_int_equal(hub_reconnect(hub, &f->c, &m), FAULT_NONE);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    m.last_known_version = 1;
    hub_reconnect(hub, &f->c, &m);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1"); /* no epoch given */
    memcpy(m.epoch, l.s.epoch, sizeof(m.epoch));
    memcpy(m.session_id, SID, sizeof(SID));
    hub_reconnect(hub, &f->c, &m);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1:unchanged");
    m.last_known_version = 7;
    hub_reconnect(hub, &f->c, &m);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    memcpy(m.session_id, ANNA, sizeof(ANNA));
    assert_int_equal(hub_reconnect(hub, &f->c, &m), FAULT_NOT_SUBSCRIBED);
    leave(f);
    life_end(&l);
}

static void
reconnect_to_a_missing_session(void **state)
{
    struct fake *f = join();
    struct message m = { .type = MESSAGE_RECONNECT, .last_known_version = -1 };

    (void)state;
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    hub_reconnect(hub, &f->c, &m);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(f), "ERROR:SESSION_NOT_FOUND ERROR:SESSION_NOT_FOUND");
    leave(f);
}

/* --- outages --- */

static void
after_an_outage_only_news_is_pushed(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    hub_link_lost(hub);
    hub_link_up(hub);
    assert_int_equal(subscribes, 2);
    hub_pump(hub);
    assert_int_equal(n_loading, 0); /* not before it is subscribed */
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "");
    hub_link_lost(hub);
    life_do(&l, COMMAND_START);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:2");
    /* the same version under a new life */
    hub_link_lost(hub);
    assert_true(epoch_raise(l.s.epoch, 5));
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:2");
    leave(f);
    life_end(&l);
}

static void
created_during_an_outage_is_an_update(void **state)
{
    struct life l;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(f), "ERROR:SESSION_NOT_FOUND");
    hub_link_lost(hub);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_UPDATE:1");
    leave(f);
    life_end(&l);
}

static void
a_read_answered_while_the_link_is_down_proves_nothing(void **state)
{
    struct message m = { .type = MESSAGE_RECONNECT, .last_known_version = -1 };
    struct life l;
    struct fake *f, *g;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    g = join();
    loaded(RC_OK, &l.s, l.now);
    got(g);
    hub_reconnect(hub, &f->c, &m);
    hub_pump(hub);
    hub_link_lost(hub);
    loaded(RC_OK, &l.s, l.now);
    life_do(&l, COMMAND_START); /* nobody hears it */
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:2 STATE_SYNC:2");
    assert_string_equal(got(g), "STATE_SYNC:2");
    leave(f);
    leave(g);
    life_end(&l);
}

static void
a_read_that_spans_the_outage_does_not_count(void **state)
{
    struct life l;
    struct session early;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    session_init(&early);
    session_copy(&early, &l.s);
    hub_link_lost(hub);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    hub_pump(hub);
    assert_int_equal(n_loading, 1);
    hub_link_lost(hub); /* again, with the read under way */
    life_do(&l, COMMAND_START);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &early, T0);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:2");
    session_fini(&early);
    leave(f);
    life_end(&l);
}

static void
a_failed_read_is_repeated(void **state)
{
    struct life l;
    struct fake *f = join();

    (void)state;
    life_begin(&l, 1);
    hub_subscribed(hub, SID_LOWER);
    reader_down = true;
    hub_pump(hub);
    reader_down = false;
    loaded(RC_STORE_UNAVAILABLE, NULL, 0);
    assert_string_equal(got(f), "");
    hub_pump(hub);
    assert_int_equal(n_loading, 0);
    usleep(110 * 1000);
    hub_tick(hub);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    leave(f);
    life_end(&l);
}

static void
an_unreadable_session_is_told_once(void **state)
{
    struct fake *f = join();

    (void)state;
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_STATE_UNREADABLE, NULL, 0);
    assert_string_equal(got(f), "ERROR:STATE_DESERIALIZATION_ERROR");
    leave(f);
}

static void
a_redis_that_went_back_is_asked_again(void **state)
{
    struct life l;
    struct session early;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    session_init(&early);
    session_copy(&early, &l.s);
    life_do(&l, COMMAND_START);
    f = join_live(&l);
    hub_link_lost(hub);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &early, l.now); /* version 1, life not raised yet */
    assert_string_equal(got(f), "");
    usleep(110 * 1000);
    hub_tick(hub);
    assert_true(epoch_raise(early.epoch, 9));
    loaded(RC_OK, &early, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    session_fini(&early);
    leave(f);
    life_end(&l);
}

/* --- slow clients --- */

static void
the_slow_skip_to_the_newest(void **state)
{
    struct life l;
    struct fake *slow, *quick;
    int64_t last;

    (void)state;
    life_begin(&l, 1);
    slow = join_live(&l);
    quick = join();
    loaded(RC_OK, &l.s, l.now);
    got(quick);
    life_do(&l, COMMAND_START);
    feed(&l);
    got(slow);
    got(quick);
    slow->stuck = true;
    for (int i = 0; i < 2 * CLIENT_FRAMES_MAX; i++) {
        life_do(&l, COMMAND_SWITCH);
        feed(&l);
        assert_int_not_equal(strlen(got(quick)), 0);
    }
    last = l.s.version;
    assert_true(slow->c.is_behind);
    assert_string_equal(got(slow), "");
    slow->stuck = false;
    assert_true(client_writable(&slow->c));
    hub_catch_up(hub, &slow->c);
    {
        char expected[64];

        snprintf(expected, sizeof(expected), "STATE_UPDATE:%lld", (long long)last);
        assert_string_equal(got(slow), expected);
    }
    /* and nothing twice */
    hub_catch_up(hub, &slow->c);
    assert_string_equal(got(slow), "");
    life_do(&l, COMMAND_PAUSE);
    feed(&l);
    assert_memory_equal(got(slow), "STATE_UPDATE:", 13);
    leave(slow);
    leave(quick);
    life_end(&l);
}

static void
skipping_loses_no_other_session(void **state)
{
    static const char other[] = "99999999-2345-4789-8abc-def012345678";
    struct life l, busy;
    struct fake *f = join();
    char expected[80];

    (void)state;
    life_begin(&l, 1);
    life_begin(&busy, 2);
    memcpy(busy.s.id, other, sizeof(other));
    hub_join(hub, &f->c, other, false);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    hub_subscribed(hub, other);
    loaded(RC_OK, &busy.s, busy.now);
    assert_string_equal(got(f), "STATE_SYNC:1 STATE_SYNC:1");
    f->stuck = true;
    life_do(&l, COMMAND_START);
    feed(&l); /* queued, and given up below */
    life_do(&busy, COMMAND_START);
    hub_event(hub, other, busy.event.data, busy.event.len);
    while (!f->c.is_behind) {
        life_do(&busy, COMMAND_SWITCH);
        hub_event(hub, other, busy.event.data, busy.event.len);
    }
    f->stuck = false;
    assert_true(client_writable(&f->c));
    hub_catch_up(hub, &f->c);
    snprintf(expected, sizeof(expected), "STATE_UPDATE:%lld STATE_UPDATE:2",
             (long long)busy.s.version);
    assert_string_equal(got(f), expected);
    leave(f);
    life_end(&l);
    life_end(&busy);
}

static void
the_slow_hear_of_the_deletion(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    life_do(&l, COMMAND_START);
    feed(&l);
    got(f);
    f->stuck = true;
    for (int i = 0; i < 2 * CLIENT_FRAMES_MAX; i++) {
        life_do(&l, COMMAND_SWITCH);
        feed(&l);
    }
    life_do(&l, COMMAND_DELETE);
    feed(&l);
    f->stuck = false;
    assert_false(client_writable(&f->c));
    {
        char expected[64];

        snprintf(expected, sizeof(expected), "SESSION_DELETED:%lld close:1000",
                 (long long)l.s.version);
        assert_string_equal(got(f), expected);
    }
    leave(f);
    life_end(&l);
}

/* --- channels --- */

static void
a_channel_lingers_then_goes(void **state)
{
    struct life l;
    struct fake *f;

    (void)state;
    life_begin(&l, 1);
    f = join_live(&l);
    leave(f);
    hub_tick(hub);
    assert_int_equal(unsubscribes, 0);
    f = join(); /* the page was reloaded */
    assert_int_equal(subscribes, 1);
    loaded(RC_OK, &l.s, l.now);
    leave(f);
    usleep(2100 * 1000);
    hub_tick(hub);
    assert_int_equal(unsubscribes, 1);
    f = join(); /* before Redis has confirmed */
    assert_int_equal(subscribes, 1);
    hub_unsubscribed(hub, SID_LOWER);
    assert_int_equal(subscribes, 2);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(f), "STATE_SYNC:1");
    leave(f);
    usleep(2100 * 1000);
    hub_tick(hub);
    hub_unsubscribed(hub, SID_LOWER);
    assert_int_equal(hub_stats(hub).watches, 0);
    life_end(&l);
}

static void
room_is_bounded(void **state)
{
    char id[] = "00000000-0000-4000-8000-000000000000";
    struct fake *f[100];

    (void)state;
    hub_link_lost(hub);
    for (int i = 0; i < 100; i++) {
        snprintf(id + 30, 7, "%06d", i);
        assert_true(hub_has_room(hub, id));
        f[i] = fake_open(&set, 0);
        hub_join(hub, &f[i]->c, id, false);
    }
    assert_true(hub_has_room(hub, id));
    assert_false(hub_has_room(hub, SID));
    leave(f[0]);
    hub_tick(hub); /* full: the idle go at once */
    assert_true(hub_has_room(hub, SID));
    for (int i = 1; i < 100; i++)
        leave(f[i]);
}

/* --- what not everybody may see --- */

static struct token owner = { .sub = "owner", .role = ROLE_USER, .sid = "", .jti = "" };
static struct token anna = { .sub = ANNA, .role = ROLE_USER, .sid = "", .jti = "" };
static struct token stranger = { .sub = "stranger", .role = ROLE_USER, .sid = "", .jti = "" };

static struct fake *
join_as(struct token *t)
{
    struct fake *f = fake_open(&set, 0);

    f->c.pass.token = t;
    hub_join(hub, &f->c, SID, false);
    return f;
}

static void
private_begin(struct life *l)
{
    life_begin(l, 1);
    l->s.is_private = true;
    snprintf(l->s.owner, sizeof(l->s.owner), "owner");
    l->s.dirty = true;
    life_encode(l, true);
}

static void
a_private_session_looks_missing_to_others(void **state)
{
    struct fake *mine = join_as(&owner), *hers = join_as(&anna), *other = join_as(&stranger);
    struct life l;

    (void)state;
    private_begin(&l);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(mine), "STATE_SYNC:1");
    assert_string_equal(got(hers), "STATE_SYNC:1");
    assert_string_equal(got(other), "ERROR:SESSION_NOT_FOUND");
    life_do(&l, COMMAND_START);
    feed(&l);
    life_expire(&l);
    feed(&l);
    assert_string_equal(got(mine), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3");
    assert_string_equal(got(hers), "STATE_UPDATE:2 STATE_UPDATE:3 TIME_EXPIRED:3");
    hub_link_lost(hub);
    hub_link_up(hub);
    hub_subscribed(hub, SID_LOWER);
    life_do(&l, COMMAND_COMPLETE);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(mine), "STATE_SYNC:4");
    life_do(&l, COMMAND_DELETE);
    feed(&l);
    assert_string_equal(got(mine), "SESSION_DELETED:5 close:1000");
    assert_string_equal(got(other), "");
    leave(mine);
    leave(hers);
    leave(other);
    life_end(&l);
}

/* Before it is there, and when it comes. */
static void
a_private_creation_is_told_to_those_who_may_see_it(void **state)
{
    struct fake *mine = join_as(&owner), *other = join_as(&stranger);
    struct life l;

    (void)state;
    private_begin(&l);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_SESSION_NOT_FOUND, NULL, T0);
    assert_string_equal(got(mine), "ERROR:SESSION_NOT_FOUND");
    assert_string_equal(got(other), "ERROR:SESSION_NOT_FOUND");
    feed(&l);
    assert_string_equal(got(mine), "STATE_UPDATE:1");
    assert_string_equal(got(other), "");
    leave(mine);
    leave(other);
    life_end(&l);
}

static void
reconnect_and_catching_up_do_not_show_it_either(void **state)
{
    struct fake *other = join_as(&stranger), *mine = join_as(&owner);
    struct message m = { .type = MESSAGE_RECONNECT, .last_known_version = 1 };
    struct life l;

    (void)state;
    private_begin(&l);
    hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(other), "ERROR:SESSION_NOT_FOUND");
    memcpy(m.epoch, l.s.epoch, sizeof(m.epoch));
    assert_int_equal(hub_reconnect(hub, &other->c, &m), FAULT_NONE);
    loaded(RC_OK, &l.s, l.now);
    assert_string_equal(got(other), "ERROR:SESSION_NOT_FOUND");
    hub_catch_up(hub, &other->c);
    assert_string_equal(got(other), "");
    leave(mine);
    leave(other);
    life_end(&l);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(subscribed_before_it_is_read),
        TEST(events_during_the_first_load_follow_it),
        TEST(too_many_events_during_the_load_mean_another),
        TEST(a_missing_session_is_told_and_comes_later),
        TEST(a_later_client_is_answered_from_a_later_read),
        TEST(a_read_ahead_of_the_events_repeats_nothing),
        TEST(a_read_behind_the_events_shows_the_newer),
        TEST(a_read_before_the_creation_is_no_deletion),
        TEST(a_read_before_the_creation_is_none_after_an_outage_either),
        TEST(a_new_life_is_read_although_nothing_was_committed),
        TEST(a_read_before_the_deletion_revives_nothing),
        TEST(older_ones_are_ignored_gaps_are_read_again),
        TEST(a_gap_during_a_read_is_not_forgotten),
        TEST(an_expiry_is_a_state_then_time_expired),
        TEST(an_action_comes_between_the_state_and_time_expired),
        TEST(a_warning_goes_to_those_who_have_its_version),
        TEST(who_is_past_an_expiry_is_not_told_of_it),
        TEST(rubbish_is_read_again),
        TEST(a_deletion_closes),
        TEST(created_again_is_a_new_life),
        TEST(a_session_that_vanished_is_deleted),
        TEST(reconnect_reads_and_says_unchanged),
        TEST(reconnect_to_a_missing_session),
        TEST(after_an_outage_only_news_is_pushed),
        TEST(created_during_an_outage_is_an_update),
        TEST(a_read_answered_while_the_link_is_down_proves_nothing),
        TEST(a_read_that_spans_the_outage_does_not_count),
        TEST(a_failed_read_is_repeated),
        TEST(an_unreadable_session_is_told_once),
        TEST(a_redis_that_went_back_is_asked_again),
        TEST(the_slow_skip_to_the_newest),
        TEST(skipping_loses_no_other_session),
        TEST(the_slow_hear_of_the_deletion),
        TEST(a_channel_lingers_then_goes),
        TEST(room_is_bounded),
        TEST(a_private_session_looks_missing_to_others),
        TEST(a_private_creation_is_told_to_those_who_may_see_it),
        TEST(reconnect_and_catching_up_do_not_show_it_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
