/* Loading and committing sessions: what is stored, judged, recorded, pushed and limited. */
#include "common/clock.h"
#include "common/event.h"
#include "common/keys.h"
#include "common/session_call.h"
#include "store_fixture.h"
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t
number(const char *text)
{
    return strtoll(text, NULL, 10);
}

static void
a_created_session_is_stored_whole(void **state)
{
    int partition = keys_partition(id_a);
    int64_t ttl;

    (void)state;
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
    assert_true(fx.res.created);
    assert_int_equal(fx.s.version, 1);
    assert_int_equal(fx.s.status, STATUS_PENDING);
    assert_int_equal(fx.s.created_at, fx.res.server_time_ms);
    assert_int_equal(fx.res.change.type, EVENT_SESSION_CREATED);
    assert_string_equal(fixture_field(id_a, "v"), "1");
    assert_string_equal(fixture_field(id_a, "e"), fx.s.epoch);
    assert_int_equal(strlen(fixture_field(id_a, "c")), 16);
    assert_string_equal(fixture_field(id_a, "m"), "{\"name\":\"test\"}");
    assert_true(fixture_field(id_a, "p:1")[0] != '\0');
    assert_int_equal(fixture_audit_length(id_a), 1);
    ttl = number(private_redis_ask(&fx.server, "PTTL %s", keys_session("t:", id_a).s));
    assert_in_range(ttl, SESSION_IDLE_MS + 3590000, SESSION_IDLE_MS + 4500000);
    assert_int_equal(number(private_redis_ask(&fx.server, "ZSCORE %s %s",
                                              keys_wakeups("t:", partition).s, id_a)),
                     fx.s.created_at + SESSION_IDLE_MS);
    assert_int_equal(fixture_get("A1B2C3D4-0000-4000-8000-00000000000A"), RC_OK);
    assert_string_equal(fx.s.id, id_a);
    assert_int_equal(fx.s.n, 2);
    assert_int_equal(fx.s.p[1].allotted_ms, 60000);
    assert_string_equal(fx.s.metadata, "{\"name\":\"test\"}");
    assert_int_equal(fx.res.change.type, EVENT_NONE);
    assert_true(fx.res.server_time_ms >= fx.s.created_at);
}

static int64_t
ttl_of(const char *id)
{
    return number(private_redis_ask(&fx.server, "PTTL %s", keys_session("t:", id).s));
}

/* It is set by what moves the backstop, and by nothing else. */
static void
the_ttl_follows_the_backstop(void **state)
{
    const int64_t ours = 12345678;
    int64_t before, after;

    (void)state;
    fixture_create(id_a, 2, 7200000);
    private_redis_ask(&fx.server, "PEXPIRE %s 12345678", keys_session("t:", id_a).s);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    after = session_backstop(&fx.s, fx.conf.session_cache_ttl_ms);
    assert_in_range(ttl_of(id_a), after - fx.res.server_time_ms - 10000,
                    after - fx.res.server_time_ms);
    for (int i = 0; i < 5; i++) {
        private_redis_ask(&fx.server, "PEXPIRE %s 12345678", keys_session("t:", id_a).s);
        before = after;
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
        after = session_backstop(&fx.s, fx.conf.session_cache_ttl_ms);
        if (after == before) /* nearly always */
            assert_in_range(ttl_of(id_a), ours - 10000, ours);
        else
            assert_true(ttl_of(id_a) > ours);
    }
    assert_int_equal(fixture_command(id_a, COMMAND_COMPLETE), RC_OK);
    after = session_backstop(&fx.s, fx.conf.session_cache_ttl_ms);
    assert_in_range(ttl_of(id_a), after - fx.res.server_time_ms - 10000,
                    after - fx.res.server_time_ms);
}

static void
the_same_again_is_the_same_session(void **state)
{
    struct session copy;

    (void)state;
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
    session_init(&copy);
    session_copy(&copy, &fx.s);
    usleep(3000);
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
    assert_false(fx.res.created);
    assert_int_equal(fx.s.created_at, copy.created_at);
    assert_string_equal(fx.s.epoch, copy.epoch);
    session_fini(&copy);
    assert_int_equal(fixture_create(id_a, 2, 60001), RC_SESSION_EXISTS);
    assert_int_equal(fixture_create(id_a, 3, 60000), RC_SESSION_EXISTS);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_SESSION_EXISTS);
    assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_OK);
    assert_true(fx.res.created);
    assert_int_equal(fx.s.version, 1);
}

static void
a_bad_draft_touches_nothing(void **state)
{
    struct session s;

    (void)state;
    fixture_draft(&s, id_a, 2, 60000);
    memcpy(s.p[1].id, s.p[0].id, sizeof(s.p[1].id));
    assert_int_equal(session_store_create(fx.store, &s, &nobody, &fx.res, &fx.f),
                     RC_VALIDATION);
    session_fini(&s);
    assert_string_equal(fixture_field(id_a, "v"), "");
}

static void
a_game_from_start_to_deletion(void **state)
{
    static const struct {
        enum command_type type;
        enum rc rc;
        enum sync_status status;
        int64_t version;
    } moves[] = {
        { COMMAND_SWITCH, RC_TRANSITION, STATUS_PENDING, 1 },
        { COMMAND_START, RC_OK, STATUS_RUNNING, 2 },
        { COMMAND_START, RC_TRANSITION, STATUS_RUNNING, 2 },
        { COMMAND_SWITCH, RC_OK, STATUS_RUNNING, 3 },
        { COMMAND_PAUSE, RC_OK, STATUS_PAUSED, 4 },
        { COMMAND_SWITCH, RC_TRANSITION, STATUS_PAUSED, 4 },
        { COMMAND_RESUME, RC_OK, STATUS_RUNNING, 5 },
        { COMMAND_SWITCH, RC_OK, STATUS_RUNNING, 6 },
        { COMMAND_COMPLETE, RC_OK, STATUS_COMPLETED, 7 },
        { COMMAND_COMPLETE, RC_OK, STATUS_COMPLETED, 7 },
    };

    (void)state;
    assert_int_equal(fixture_create(id_b, 2, 60000), RC_OK);
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        assert_int_equal(fixture_command(id_b, moves[i].type), moves[i].rc);
        assert_int_equal(fx.res.tries, moves[i].rc == RC_OK && i < 9 ? 1 : 0);
        assert_int_equal(fixture_get(id_b), RC_OK);
        assert_int_equal(fx.s.status, moves[i].status);
        assert_int_equal(fx.s.version, moves[i].version);
    }
    assert_int_equal(fixture_audit_length(id_b), 7);
    assert_int_equal(fixture_command(id_b, COMMAND_DELETE), RC_OK);
    assert_int_equal(fx.res.change.type, EVENT_SESSION_DELETED);
    assert_int_equal(fx.s.version, 8);
    assert_int_equal(fixture_audit_length(id_b), 8);
    assert_string_equal(fixture_field(id_b, "v"), "");
    assert_string_equal(
        private_redis_ask(&fx.server, "ZCARD %s", keys_wakeups("t:", keys_partition(id_b)).s),
        "0");
}

static void
what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(fixture_get(id_a), RC_SESSION_NOT_FOUND);
    assert_string_equal(fx.f.message, "Session a1b2c3d4-0000-4000-8000-00000000000a not found");
    assert_true(fx.res.server_time_ms > 0);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_SESSION_NOT_FOUND);
    assert_int_equal(fixture_command(id_a, COMMAND_DELETE), RC_OK);
    assert_int_equal(fx.res.change.type, EVENT_NONE);
    assert_int_equal(fixture_audit_length(id_a), 0);
}

/* --- pushes and records --- */

static redisReply *
next_message(redisContext *c)
{
    redisReply *reply = NULL;

    assert_int_equal(redisGetReply(c, (void **)&reply), REDIS_OK);
    assert_string_equal(reply->element[0]->str, "message");
    return reply;
}

static redisContext *
subscribe(const char *channel)
{
    redisContext *c = redisConnectUnix(fx.server.socket);
    redisReply *reply = redisCommand(c, "SUBSCRIBE %s", channel);

    assert_non_null(reply);
    freeReplyObject(reply);
    redisSetTimeout(c, (struct timeval){ .tv_sec = 2 });
    return c;
}

/* Whoever applies the pushed deltas holds the stored state; the audit record is the same text.
 */
static void
every_change_is_pushed_and_recorded(void **state)
{
    static const enum command_type moves[] = { COMMAND_START, COMMAND_SWITCH, COMMAND_PAUSE,
                                               COMMAND_DELETE };
    redisContext *c = subscribe(keys_channel("t:", id_a).s);
    struct session follower;
    struct event ev;
    redisReply *m;

    (void)state;
    session_init(&follower);
    fixture_create(id_a, 3, 60000);
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            assert_int_equal(fixture_command(id_a, moves[i - 1]), RC_OK);
        m = next_message(c);
        assert_int_equal(event_decode(m->element[2]->str, m->element[2]->len, &ev, NULL),
                         RC_OK);
        assert_int_equal(ev.version, i + 1);
        assert_int_equal(ev.type, fx.res.change.type);
        assert_int_equal(ev.server_time_ms, fx.res.server_time_ms);
        assert_string_equal(ev.actor, i ? "somebody" : "");
        assert_int_equal(event_apply(&ev, &follower, NULL), RC_OK);
        assert_int_equal(follower.version, fx.s.version);
        assert_string_equal(follower.epoch, fx.s.epoch);
        assert_int_equal(follower.status, fx.s.status);
        assert_int_equal(follower.p[0].time_used_ms, fx.s.p[0].time_used_ms);
        assert_non_null(strstr(private_redis_ask(&fx.server, "XREVRANGE %s + - COUNT 1",
                                                 keys_audit("t:", keys_partition(id_a)).s),
                               m->element[2]->str));
        freeReplyObject(m);
    }
    session_fini(&follower);
    redisFree(c);
}

/* Snapshots: creation, start, version 64, 128; a switch alone has none. */
static void
snapshots_stand_at_status_changes_and_every_64_versions(void **state)
{
    redisContext *c = redisConnectUnix(fx.server.socket);
    redisReply *reply;

    (void)state;
    fixture_create(id_a, 2, 6000000);
    fixture_command(id_a, COMMAND_START);
    for (int i = 0; i < 130; i++)
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    reply = redisCommand(c, "XRANGE %s - +", keys_audit("t:", keys_partition(id_a)).s);
    assert_int_equal(reply->elements, 132);
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *fields = reply->element[i]->element[1];
        struct session s;
        bool wanted = i < 2 || i == 63 || i == 127;

        assert_int_equal(fields->elements, wanted ? 6 : 4);
        assert_string_equal(fields->element[0]->str, "n");
        assert_int_equal(strtol(fields->element[1]->str, NULL, 10), i + 1);
        if (!wanted)
            continue;
        session_init(&s);
        assert_string_equal(fields->element[4]->str, "s");
        assert_int_equal(
            event_lines_apply(fields->element[5]->str, fields->element[5]->len, &s, NULL),
            RC_OK);
        assert_int_equal(s.status, i ? STATUS_RUNNING : STATUS_PENDING);
        session_fini(&s);
    }
    freeReplyObject(reply);
    redisFree(c);
}

static void
an_earlier_wake_up_that_is_soon_is_announced(void **state)
{
    redisContext *c = subscribe(keys_wake("t:", keys_partition(id_a)).s);
    redisReply *m;

    (void)state;
    fixture_create(id_a, 2, 1500);
    m = next_message(c); /* the first touch of a partition begins its life */
    assert_string_equal(m->element[2]->str, "life");
    freeReplyObject(m);
    fixture_command(id_a, COMMAND_START); /* nothing was said of the end in a day */
    m = next_message(c);
    assert_int_equal(number(m->element[2]->str), fx.s.cycle_started_at + 1500);
    freeReplyObject(m);
    usleep(2000);
    fixture_command(id_a, COMMAND_SWITCH); /* later than the one before: nothing to say */
    fixture_command(id_a, COMMAND_PAUSE);
    fixture_command(id_a, COMMAND_RESUME); /* earlier than a day of idleness */
    m = next_message(c);
    assert_int_equal(number(m->element[2]->str), session_wakeup(&fx.s, 0, 0));
    freeReplyObject(m);
    redisFree(c);
}

/* --- what is due --- */

static void
a_read_commits_what_is_due_once(void **state)
{
    (void)state;
    fixture_create(id_a, 2, 30);
    fixture_command(id_a, COMMAND_START);
    usleep(40000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_get(id_a), RC_OK);
        assert_int_equal(fx.res.tries, i == 0);
        assert_int_equal(fx.s.version, 3);
        assert_true(fx.s.p[0].has_expired);
        assert_int_equal(fx.s.last_timeout.version, 3);
        assert_int_equal(fx.s.last_timeout.at, fx.s.session_started_at + 30);
    }
    assert_int_equal(fixture_audit_length(id_a), 3);
}

static void
a_command_is_judged_after_what_is_due_in_one_commit(void **state)
{
    (void)state;
    fixture_create(id_a, 2, 30);
    fixture_command(id_a, COMMAND_START);
    usleep(40000);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(fx.res.tries, 1);
    assert_int_equal(fx.s.version, 4);
    assert_int_equal(fx.res.change.type, EVENT_CYCLE_SWITCHED);
    assert_int_equal(fx.res.change.version, 4);
    assert_int_equal(fx.res.change.expired, 0);
    assert_int_equal(fixture_audit_length(id_a), 4);
}

static void
a_refused_command_still_commits_what_is_due(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH, .expected_version = 2 };

    (void)state;
    fixture_create(id_a, 2, 30);
    fixture_command(id_a, COMMAND_START);
    usleep(40000);
    assert_int_equal(
        session_store_command(fx.store, id_a, &cmd, &nobody, &fx.s, &fx.res, &fx.f),
        RC_CONFLICT);
    assert_string_equal(fx.f.details, "{\"expected_version\":2,\"actual_version\":3}");
    assert_string_equal(fixture_field(id_a, "v"), "3");
    assert_int_equal(fixture_command(id_a, COMMAND_RESUME), RC_TRANSITION);
    assert_int_equal(fx.res.tries, 0);
}

static void
a_session_that_is_over_ends_by_a_commit(void **state)
{
    (void)state;
    fx.conf.session_cache_ttl_ms = 20;
    for (int i = 0; i < 2; i++) {
        fixture_create(id_a, 2, 60000);
        assert_true(fx.res.created); /* the second time too: the first one is over */
        assert_int_equal(fx.s.version, 1);
        fixture_command(id_a, COMMAND_COMPLETE);
        usleep(30000);
    }
    assert_int_equal(fixture_get(id_a), RC_SESSION_NOT_FOUND);
    assert_int_equal(fx.res.tries, 1);
    assert_int_equal(fixture_get(id_a), RC_SESSION_NOT_FOUND);
    assert_int_equal(fx.res.tries, 0);
    assert_int_equal(fixture_audit_length(id_a), 6);
}

/* --- races --- */

enum { THREADS = 8, SWITCHES = 60 };

struct racer {
    pthread_t thread;
    bool guarded;
    int won, lost, other, tries_max;
};

static void *
race(void *arg)
{
    struct racer *me = arg;
    struct redis *r = redis_new(&fx.conf, "racer");
    struct session_store *st = session_store_new(&fx.conf, r);
    struct command cmd = { .type = COMMAND_SWITCH };
    struct store_result res;
    struct session s;

    session_init(&s);
    for (int i = 0; i < SWITCHES; i++) {
        struct fail f = { 0 };
        enum rc rc;

        cmd.current_participant_id = me->guarded ? fixture_participant(0) : NULL;
        rc = session_store_command(st, id_a, &cmd, &nobody, &s, &res, &f);
        me->won += rc == RC_OK;
        me->lost += rc == RC_CONFLICT;
        me->other += rc != RC_OK && rc != RC_CONFLICT;
        me->tries_max = res.tries > me->tries_max ? res.tries : me->tries_max;
    }
    session_fini(&s);
    session_store_free(st);
    redis_free(r);
    return NULL;
}

/* As many versions as successes, each once, whoever raced. */
static void
no_switch_is_lost_or_done_twice(void **state)
{
    struct racer racer[THREADS] = { 0 };
    int won = 0, other = 0;

    (void)state;
    fixture_create(id_a, 2, 60000000);
    fixture_command(id_a, COMMAND_START);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(racer[i].thread, NULL);
        won += racer[i].won;
        other += racer[i].other;
        assert_in_range(racer[i].tries_max, 1, 32);
    }
    assert_int_equal(other, 0);
    assert_true(won >= THREADS * SWITCHES * 9 / 10); /* 32 tries are enough for nearly all */
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 2 + won);
    assert_int_equal(fx.s.cycle_number, 1 + won);
    assert_int_equal(fixture_audit_length(id_a), 2 + won);
}

static void
of_racing_guarded_switches_one_wins(void **state)
{
    struct racer racer[THREADS] = { 0 };
    int won = 0;

    (void)state;
    fixture_create(id_a, 2, 60000000);
    fixture_command(id_a, COMMAND_START);
    for (int i = 0; i < THREADS; i++) {
        racer[i].guarded = true;
        assert_int_equal(pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(racer[i].thread, NULL);
        won += racer[i].won;
        assert_int_equal(racer[i].won + racer[i].lost, SWITCHES);
    }
    assert_int_equal(won, 1);
    assert_int_equal(fixture_get(id_a), RC_OK);
    assert_int_equal(fx.s.version, 3);
}

/* --- commits by hand: what happens between a load and its commit --- */

static void
load_by_hand(struct session_call *c, struct command *cmd)
{
    session_call_begin(c, fx.store, id_a);
    fail_reset(&fx.f);
    fx.res = (struct store_result){ 0 };
    c->cmd = cmd;
    c->s = &fx.s;
    c->res = &fx.res;
    c->f = &fx.f;
    assert_int_equal(session_call_load(c, NULL), RC_OK);
}

/* Change the session through a connection of its own. */
static void
meanwhile(enum command_type type)
{
    struct redis *r = redis_new(&fx.conf, "meanwhile");
    struct session_store *st = session_store_new(&fx.conf, r);
    struct command cmd = { .type = type };
    struct store_result res;
    struct session s;

    session_init(&s);
    assert_int_equal(session_store_command(st, id_a, &cmd, &nobody, &s, &res, NULL), RC_OK);
    session_fini(&s);
    session_store_free(st);
    redis_free(r);
}

static void
a_lost_race_is_played_again_on_the_winners_state(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct session_call c;

    (void)state;
    fixture_create(id_a, 2, 60000);
    fixture_command(id_a, COMMAND_START);
    load_by_hand(&c, &cmd);
    meanwhile(COMMAND_SWITCH);
    assert_int_equal(session_call_settle(&c), RC_OK);
    assert_int_equal(fx.res.tries, 2);
    assert_int_equal(fx.s.version, 4);
    assert_int_equal(fx.res.server_time_ms, fx.s.updated_at);
}

static void
valid_at_first_and_not_on_the_winners_state_is_a_conflict(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct session_call c;

    (void)state;
    fixture_create(id_a, 2, 60000);
    fixture_command(id_a, COMMAND_START);
    load_by_hand(&c, &cmd);
    meanwhile(COMMAND_PAUSE);
    assert_int_equal(session_call_settle(&c), RC_CONFLICT);
    assert_string_equal(fx.f.message, "Concurrent modification detected, please retry");
    assert_string_equal(fixture_field(id_a, "v"), "3");
}

static void
a_stale_commit_does_not_bring_a_deleted_session_back(void **state)
{
    struct command cmd = { .type = COMMAND_SWITCH };
    struct session_call c;

    (void)state;
    fixture_create(id_a, 2, 60000);
    fixture_command(id_a, COMMAND_START);
    load_by_hand(&c, &cmd);
    meanwhile(COMMAND_DELETE);
    assert_int_equal(session_call_settle(&c), RC_SESSION_NOT_FOUND);
    assert_string_equal(private_redis_ask(&fx.server, "EXISTS %s", keys_session("t:", id_a).s),
                        "0");
}

/* The same version number in another life of the session is another session. */
static void
a_stale_commit_does_not_hit_a_successor(void **state)
{
    struct command cmd = { .type = COMMAND_START };
    struct session_call c;
    char epoch[EPOCH_MAX];

    (void)state;
    fixture_create(id_a, 2, 60000);
    load_by_hand(&c, &cmd);
    meanwhile(COMMAND_DELETE);
    private_redis_ask(&fx.server, "HSET %s v 1 e %s", keys_session("t:", id_a).s,
                      "00000000001-abcd.000000001");
    assert_int_equal(session_call_settle(&c), RC_STATE_UNREADABLE);
    memcpy(epoch, fixture_field(id_a, "e"), 27);
    assert_memory_equal(epoch, "00000000001-abcd.000000001", 26);
}

static void
a_now_of_more_than_a_second_ago_is_refused(void **state)
{
    struct command cmd = { .type = COMMAND_START };
    struct session_call c;
    int64_t loaded_ms;

    (void)state;
    fixture_create(id_a, 2, 60000);
    load_by_hand(&c, &cmd);
    loaded_ms = fx.res.server_time_ms;
    usleep(1100000);
    assert_int_equal(session_call_settle(&c), RC_OK);
    assert_int_equal(fx.res.tries, 2);
    assert_in_range(fx.s.session_started_at, loaded_ms + 1100,
                    loaded_ms + 1100 + patient_ms(500));
}

/* --- limits and riders --- */

static void
the_switch_limit_counts_switches_that_happen(void **state)
{
    struct command wrong = { .type = COMMAND_SWITCH, .expected_version = 1 };

    (void)state;
    fx.conf.rate_limit_switch =
        (struct limit_rule){ .count = 10, .window_ms = 3600000, .cooldown_ms = 10000 };
    fixture_create(id_a, 2, 60000000);
    fixture_command(id_a, COMMAND_SWITCH); /* refused: not running */
    fixture_command(id_a, COMMAND_START);
    assert_false(fx.res.switch_limit.known);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            session_store_command(fx.store, id_a, &wrong, &nobody, &fx.s, &fx.res, NULL),
            RC_CONFLICT);
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
        assert_true(fx.res.switch_limit.known);
        assert_int_equal(fx.res.switch_limit.remaining, 9 - i);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_LIMITED);
        assert_string_equal(fx.f.message,
                            "Too many cycle switches for this session, please slow down");
        assert_in_range(fx.f.retry_after_ms, 9000, 10000);
        assert_int_equal(fx.res.switch_limit.limit, 10);
        assert_int_equal(fx.res.switch_limit.remaining, 0);
    }
    assert_string_equal(fixture_field(id_a, "v"), "12");
    assert_int_equal(fixture_audit_length(id_a), 12);
    assert_int_equal(fixture_command(id_a, COMMAND_PAUSE), RC_OK);

    fx.conf.rate_limit_enabled = false;
    fixture_command(id_a, COMMAND_RESUME);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(fx.res.switch_limit.remaining, 10);
}

struct rider_state {
    int place, judged;
    enum rc rc;
};

static void
rider_append(void *ctx, struct redis_batch *b)
{
    struct rider_state *r = ctx;

    r->place = redis_batch_add(b, "INCR rider");
}

static enum rc
rider_judge(void *ctx, const struct redis_batch *b, struct fail *f)
{
    struct rider_state *r = ctx;

    r->judged++;
    assert_int_equal(redis_batch_reply(b, r->place)->integer, r->judged);
    return r->rc == RC_OK ? RC_OK : fail_set(f, r->rc, "slow down");
}

static void
a_rider_rides_in_the_load_and_may_refuse(void **state)
{
    struct rider_state rs = { .rc = RC_OK };
    struct store_rider rider = { rider_append, rider_judge, &rs };
    struct command cmd = { .type = COMMAND_START };

    (void)state;
    fixture_create(id_a, 2, 60000);
    assert_int_equal(session_store_command(fx.store, id_a, &cmd,
                                           &(struct store_terms){ .rider = &rider }, &fx.s,
                                           &fx.res, &fx.f),
                     RC_OK);
    assert_int_equal(rs.judged, 1);
    rs.rc = RC_LIMITED;
    cmd.type = COMMAND_PAUSE;
    assert_int_equal(session_store_command(fx.store, id_a, &cmd,
                                           &(struct store_terms){ .rider = &rider }, &fx.s,
                                           &fx.res, &fx.f),
                     RC_LIMITED);
    assert_string_equal(fx.f.message, "slow down");
    assert_true(fx.res.server_time_ms > 0);
    assert_int_equal(session_store_get(fx.store, id_b, &(struct store_terms){ .rider = &rider },
                                       &fx.s, &fx.res, NULL),
                     RC_LIMITED);
    assert_int_equal(rs.judged, 3);
    assert_string_equal(fixture_field(id_a, "v"), "2");
}

/* --- size --- */

static void
a_change_of_a_thousand_costs_what_changed(void **state)
{
    const char *record;
    int lines = 0;

    (void)state;
    assert_int_equal(fixture_create(id_a, 1000, 60000), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_START), RC_OK);
    assert_int_equal(fixture_command(id_a, COMMAND_SWITCH), RC_OK);
    assert_int_equal(fx.s.n, 1000);
    record = private_redis_ask(&fx.server, "XREVRANGE %s + - COUNT 1",
                               keys_audit("t:", keys_partition(id_a)).s);
    for (const char *p = record; *p; p++)
        lines += *p == '\n';
    assert_in_range(lines, 2, 4); /* the change, the header, one or two rows */
    assert_true(strlen(record) < 1024);
}

static void
an_unreadable_session_says_so(void **state)
{
    (void)state;
    private_redis_ask(&fx.server, "HSET %s v 3 e x h y", keys_session("t:", id_a).s);
    assert_int_equal(fixture_get(id_a), RC_STATE_UNREADABLE);
    private_redis_ask(&fx.server, "DEL %s", keys_session("t:", id_a).s);
    private_redis_ask(&fx.server, "SET %s text", keys_session("t:", id_a).s);
    assert_int_equal(fixture_get(id_a), RC_STATE_UNREADABLE);
    assert_int_equal(fixture_create(id_a, 2, 60000), RC_STATE_UNREADABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_created_session_is_stored_whole),
        TEST(the_ttl_follows_the_backstop),
        TEST(the_same_again_is_the_same_session),
        TEST(a_bad_draft_touches_nothing),
        TEST(a_game_from_start_to_deletion),
        TEST(what_is_missing),
        TEST(every_change_is_pushed_and_recorded),
        TEST(snapshots_stand_at_status_changes_and_every_64_versions),
        TEST(an_earlier_wake_up_that_is_soon_is_announced),
        TEST(a_read_commits_what_is_due_once),
        TEST(a_command_is_judged_after_what_is_due_in_one_commit),
        TEST(a_refused_command_still_commits_what_is_due),
        TEST(a_session_that_is_over_ends_by_a_commit),
        TEST(no_switch_is_lost_or_done_twice),
        TEST(of_racing_guarded_switches_one_wins),
        TEST(a_lost_race_is_played_again_on_the_winners_state),
        TEST(valid_at_first_and_not_on_the_winners_state_is_a_conflict),
        TEST(a_stale_commit_does_not_bring_a_deleted_session_back),
        TEST(a_stale_commit_does_not_hit_a_successor),
        TEST(a_now_of_more_than_a_second_ago_is_refused),
        TEST(the_switch_limit_counts_switches_that_happen),
        TEST(a_rider_rides_in_the_load_and_may_refuse),
        TEST(a_change_of_a_thousand_costs_what_changed),
        TEST(an_unreadable_session_says_so),
    };
    int failed;

    fixture_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_end();
    return failed;
}
