/* Idempotency-Key: one change and one answer, however often and from how many sides it is
 * asked.
 */
#include "ask.h"
#include "common/arena.h"
#include "common/keys.h"
#include "common/redis.h"
#include "cut_proxy.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "HTTP_IDEMPOTENCY_KEY"
#define PARTICIPANTS_LONG 17 /* one more than are told again */

static char first[65536]; /* body of the first answer */

static const char *
text_of(void)
{
    return strstr(buf_cstr(&answer), "\r\n\r\n") + 4;
}

static void
keep_answer(void)
{
    assert_true(strlen(text_of()) < sizeof(first));
    snprintf(first, sizeof(first), "%s", text_of());
}

static void
expect_replay(int want)
{
    if (status != want || strcmp(header("Idempotency-Replayed"), "true") != 0 ||
        strcmp(text_of(), first) != 0)
        fail_msg("wanted %d again:\n%s\ngot\n%s", want, first, buf_cstr(&answer));
}

static void
expect_version(int version)
{
    char part[32];

    snprintf(part, sizeof(part), "\"version\":%d,", version);
    ask("GET", ONE, NULL);
    expect(200, part);
}

static void
started(void)
{
    assert_int_equal(ask("POST", "/v1/sessions", BODY), 201);
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
}

/* ---- repetitions ---- */

static void
a_repeated_command_gets_the_first_answer(void **state)
{
    (void)state;
    started();
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    assert_string_equal(header("Idempotency-Replayed"), "");
    keep_answer();
    ask_with("POST", ONE "/switch", NULL, KEY, "k1");
    expect_replay(200);
    assert_int_not_equal(strtoll(header("Server-Time"), NULL, 10), 0);
    /* also when others have gone on, as {}, under an alias and whatever the case of the id */
    assert_int_equal(ask("POST", ONE "/switch", NULL), 200);
    ask_with("POST", "/api/sessions/0E6C81F0-58B2-4F6F-9D39-6F4F4A6D2F01/switch", "{ }", KEY,
             "k1");
    expect_replay(200);
    expect_version(4);
    /* another key, method, path: another request */
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k2"), 200);
    assert_int_equal(ask_with("POST", ONE "/pause", NULL, KEY, "k1"), 200);
    assert_string_equal(header("Idempotency-Replayed"), "");
    expect_version(6);
}

static void
a_repeated_command_costs_one_round_trip(void **state)
{
    int64_t reads;

    (void)state;
    started();
    ask_with("POST", ONE "/switch", NULL, KEY, "k0");
    reads = redis_reads();
    ask_with("POST", ONE "/switch", NULL, KEY, "k1");
    assert_int_equal(redis_reads() - reads, OWN_READS + 2);
    reads = redis_reads();
    ask_with("POST", ONE "/switch", NULL, KEY, "k1");
    assert_int_equal(redis_reads() - reads, OWN_READS + 1);
}

static void
a_key_with_another_body_is_refused(void **state)
{
    (void)state;
    started();
    assert_int_equal(ask_with("POST", ONE "/switch", "{\"expected_version\":2}", KEY, "k1"),
                     200);
    ask_with("POST", ONE "/switch", "{\"expected_version\":3}", KEY, "k1");
    expect(422, "{\"error\":{\"code\":\"IDEMPOTENCY_KEY_REUSED\",");
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 422);
    assert_int_equal(ask_with("POST", ONE "/switch", "{ \"expected_version\" : 2 }", KEY, "k1"),
                     200);
    expect_version(3);
}

/* The key stands before the guards, and behind whether there is such a session. */
static void
a_key_is_judged_in_its_place(void **state)
{
    struct fake_io fake;

    (void)state;
    ask_with("POST", ONE "/switch", NULL, KEY, "k1");
    assert_int_equal(status, 404);
    started();
    assert_int_equal(ask_with("POST", ONE "/switch", "{\"expected_version\":2}", KEY, "k1"),
                     200);
    keep_answer();
    ask_with("POST", ONE "/switch", "{\"expected_version\":2}", KEY, "k1");
    expect_replay(200);
    fake_init(&fake, "POST", ONE "/switch", "{\"expected_version\":2}");
    fake_set(&fake, KEY, "k1");
    fake_set(&fake, "HTTP_IF_MATCH", "\"other\"");
    send_fake(&fake);
    expect_replay(200);
    ask("DELETE", ONE, NULL);
    ask_with("POST", ONE "/switch", "{\"expected_version\":2}", KEY, "k1");
    assert_int_equal(status, 404);
}

static void
refusals_are_kept_too(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
    } cases[] = {
        { ONE "/resume", NULL, 400 },
        { ONE "/start", "{\"expected_version\":9}", 409 },
        { ONE "/switch", "{\"current_participant_id\":\"" P2 "\"}", 409 },
        { ONE "/switch", "{\"next_participant_id\":\"" ID "\"}", 400 },
    };

    (void)state;
    started();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char key[8];

        snprintf(key, sizeof(key), "r%zu", i);
        ask_with("POST", cases[i].path, cases[i].body, KEY, key);
        assert_int_equal(status, cases[i].status);
        assert_string_equal(header("Idempotency-Replayed"), "");
        keep_answer();
        ask("POST", ONE "/switch", NULL); /* the session goes on, the answer stays */
        ask_with("POST", cases[i].path, cases[i].body, KEY, key);
        expect_replay(cases[i].status);
    }
    ask("POST", ONE "/pause", NULL);
    ask_with("POST", ONE "/resume", NULL, KEY, "r0"); /* it would be possible now */
    assert_int_equal(status, 400);
}

/* 412, 429 and 503 say nothing about the command itself: it may be tried again. */
static void
other_failures_are_not_kept(void **state)
{
    struct fake_io fake;

    (void)state;
    started();
    fake_init(&fake, "POST", ONE "/switch", NULL);
    fake_set(&fake, KEY, "k1");
    fake_set(&fake, "HTTP_IF_MATCH", "\"other\"");
    assert_int_equal(send_fake(&fake), 412);
    conf.rate_limit_switch = (struct limit_rule){ 1, 500, 0 };
    assert_int_equal(ask("POST", ONE "/switch", NULL), 200);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 429);
    conf.rate_limit_switch.count = 10;
    private_redis_ask(&server, "CONFIG SET maxmemory-policy noeviction");
    private_redis_ask(&server, "CONFIG SET maxmemory 1");
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 503);
    assert_int_equal(ask_with("POST", ONE "/resume", NULL, KEY, "k2"), 503);
    private_redis_ask(&server, "CONFIG SET maxmemory 0");
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    assert_string_equal(header("Idempotency-Replayed"), "");
    expect_version(4);
}

/* A repetition neither counts on the switch limit nor is refused by it. */
static void
a_repetition_is_not_limited(void **state)
{
    (void)state;
    started();
    conf.rate_limit_switch = (struct limit_rule){ 1, 60000, 60000 };
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k2"), 429);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    expect_version(3);
}

static void
what_changes_nothing_is_kept(void **state)
{
    (void)state;
    started();
    assert_int_equal(ask("POST", ONE "/complete", NULL), 200);
    assert_int_equal(ask_with("POST", ONE "/complete", NULL, KEY, "k1"), 200);
    keep_answer();
    usleep(3000);
    ask_with("POST", ONE "/complete", NULL, KEY, "k1");
    expect_replay(200); /* its server_time, too, is the first one's */
    assert_int_equal(ask_with("DELETE", ONE, NULL, KEY, "k1"), 204);
    assert_int_equal(ask_with("DELETE", ONE, NULL, KEY, "k1"), 204);
}

static void
keys_are_visible_ascii(void **state)
{
    char longest[257];

    (void)state;
    started();
    memset(longest, '~', 256);
    longest[256] = '\0';
    ask_with("POST", ONE "/switch", NULL, KEY, longest);
    expect(400,
           "\"details\":[{\"field\":\"Idempotency-Key\",\"message\":\"Idempotency-Key must "
           "be 1 to 255 visible ASCII characters\",\"code\":\"invalid_format\"}]");
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, ""), 400);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "a b"), 400);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "\xc3\xa4"), 400);
    assert_int_equal(ask_with("POST", "/v1/sessions", BODY, KEY, ""), 400);
    expect_version(2);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, longest + 1), 200);
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, longest + 1), 200);
    expect_version(3);
}

/* ---- creation ---- */

static void
a_repeated_creation_gets_the_first_answer(void **state)
{
    (void)state;
    assert_int_equal(ask_with("POST", "/api/v1/sessions", BODY, KEY, "c1"), 201);
    keep_answer();
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    ask_with("POST", "/api/v1/sessions", BODY, KEY, "c1");
    expect_replay(201);
    assert_string_equal(header("Location"), "/api/v1/sessions/" ID);
    ask_with("POST", "/v1/sessions", BODY, KEY, "c2");
    expect(409, "\"SESSION_EXISTS\"");
    keep_answer();
    ask("DELETE", ONE, NULL);
    ask_with("POST", "/v1/sessions", BODY, KEY, "c2");
    expect_replay(409);
    ask_with("POST", "/v1/sessions", BODY, KEY, "c1");
    assert_int_equal(status, 201); /* an echo: the session stays deleted */
    assert_int_equal(ask("GET", ONE, NULL), 404);
}

static void
the_same_again_under_a_key_stays_200(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v1/sessions", BODY), 201);
    assert_int_equal(ask_with("POST", "/v1/sessions", BODY, KEY, "c1"), 200);
    keep_answer();
    assert_int_equal(ask("POST", ONE "/start", NULL), 200);
    ask_with("POST", "/v1/sessions", BODY, KEY, "c1");
    expect_replay(200);
}

#define NAMELESS(ms)                                                                 \
    "{\"sync_mode\":\"per_participant\",\"total_time_ms\":" ms ",\"participants\":[" \
    "{\"participant_id\":\"" P1 "\",\"participant_index\":0,\"total_time_ms\":1000}]}"

static void
an_id_is_made_from_the_key(void **state)
{
    char where[64];

    (void)state;
    conf.rate_limit_create.count = 100;
    assert_int_equal(ask_with("POST", "/v1/sessions", NAMELESS("1000"), KEY, "c1"), 201);
    snprintf(where, sizeof(where), "%s", header("Location"));
    assert_int_equal(where[strlen("/v1/sessions/") + 14], '8'); /* a UUID of version 8 */
    keep_answer();
    ask_with("POST", "/v1/sessions", NAMELESS("1000"), KEY, "c1");
    expect_replay(201);
    assert_string_equal(header("Location"), where);
    assert_int_equal(ask_with("POST", "/v1/sessions", NAMELESS("2000"), KEY, "c1"), 422);
    assert_int_equal(ask_with("POST", "/v1/sessions", NAMELESS("1000"), KEY, "c2"), 201);
    assert_string_not_equal(header("Location"), where);
    assert_int_equal(ask("POST", "/v1/sessions", NAMELESS("1000")), 201);
    assert_string_not_equal(header("Location"), where);
    /* the session_id is part of what a key names */
    assert_int_equal(ask_with("POST", "/v1/sessions", BODY, KEY, "c1"), 201);
}

static void
create_long(void)
{
    struct buf body;

    buf_init(&body, 65536);
    buf_str(&body, "{\"session_id\":\"" ID "\",\"sync_mode\":\"per_participant\","
                   "\"total_time_ms\":1000,\"participants\":[");
    for (int i = 0; i < PARTICIPANTS_LONG; i++)
        buf_printf(&body,
                   "%s{\"participant_id\":\"11111111-1111-4111-8111-%012d\","
                   "\"participant_index\":%d,\"total_time_ms\":60000}",
                   i == 0 ? "" : ",", i, i);
    buf_str(&body, "]}");
    assert_int_equal(ask("POST", "/v1/sessions", buf_cstr(&body)), 201);
    buf_fini(&body);
}

static void
long_answers_are_told_again_without_participants(void **state)
{
    (void)state;
    create_long();
    ask_with("POST", ONE "/start", NULL, KEY, "k1");
    expect(200, "\"participants\":[");
    ask_with("POST", ONE "/start", NULL, KEY, "k1");
    expect(200, "\"status\":\"running\",\"version\":2,");
    assert_false(has("\"participants\""));
    assert_string_equal(header("Preference-Applied"), "return=minimal");
    assert_string_equal(header("Idempotency-Replayed"), "true");
}

/* ---- what is stored ---- */

static int64_t
fields_of(const char *id)
{
    return strtoll(private_redis_ask(&server, "HLEN %s", keys_idem("t:", id).s), NULL, 10);
}

static void
the_newest_64_are_kept(void **state)
{
    char key[16];

    (void)state;
    conf.rate_limit_general.count = 0;
    conf.rate_limit_switch.count = 0;
    started();
    for (int i = 0; i < 70; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, key), 200);
    }
    assert_int_equal(fields_of(ID), 64 + 64 + 2); /* verdicts, places, n, renewed */
    for (int i = 69; i >= 6; i--) {
        snprintf(key, sizeof(key), "k%d", i);
        ask_with("POST", ONE "/switch", NULL, KEY, key);
        assert_string_equal(header("Idempotency-Replayed"), "true");
    }
    expect_version(72);
    ask_with("POST", ONE "/switch", NULL, KEY, "k5");
    assert_string_equal(header("Idempotency-Replayed"), "");
    expect_version(73);
}

/* The name of the only verdict's field, and its text. */
static void
only_verdict(char name[80], char text[8192])
{
    const char *all = private_redis_ask(&server, "HGET %s 1", keys_idem("t:", ID).s);

    snprintf(name, 80, "%s", all);
    assert_int_equal(strlen(name), 64);
    snprintf(text, 8192, "%s",
             private_redis_ask(&server, "HGET %s %s", keys_idem("t:", ID).s, name));
}

static void
after_a_day_a_key_is_new(void **state)
{
    char name[80], text[8192];
    long long at_ms, ttl_ms;

    (void)state;
    started();
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    ttl_ms = strtoll(private_redis_ask(&server, "PTTL %s", keys_idem("t:", ID).s), NULL, 10);
    assert_in_range(ttl_ms, 90000000 - 10000, 90000000);
    only_verdict(name, text);
    at_ms = strtoll(text, NULL, 10);
    /* a minute before it is over, and just over */
    private_redis_ask(&server, "HSET %s %s %lld%s", keys_idem("t:", ID).s, name,
                      at_ms - 86400000 + 60000, strchr(text, ' '));
    assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, "k1"), 200);
    expect_version(3);
    private_redis_ask(&server, "HSET %s %s %lld%s", keys_idem("t:", ID).s, name,
                      at_ms - 86400000, strchr(text, ' '));
    assert_int_equal(ask_with("POST", ONE "/switch", "{}", KEY, "k1"), 200);
    expect_version(4);
    assert_int_equal(ask_with("POST", ONE "/switch", "{}", KEY, "k1"), 200);
    expect_version(4);
}

/* ---- races and deaths ---- */

#define ASKERS 10

/* A worker of its own, which asks once `go` is closed, and writes down what it got. */
static pid_t
ask_apart(const char *key, const int go[2], int out)
{
    pid_t pid = fork();
    struct service own;
    struct fake_io fake;
    char byte;

    if (pid != 0)
        return pid;
    close(go[1]);
    service_init(&own, &conf);
    fake_init(&fake, "POST", ONE "/switch", NULL);
    fake_set(&fake, KEY, key);
    if (read(go[0], &byte, 1) != 0)
        _exit(1);
    service_answer(&own, &fake.super);
    _exit(write(out, fake.out.data, fake.out.len) != (ssize_t)fake.out.len);
}

/* Ten at once under `key`; the bodies must be the same. Returns how many were repetitions. */
static int
ask_at_once(const char *key)
{
    static char got[ASKERS][8192];
    int go[2], out[ASKERS][2], ended, replayed = 0;
    pid_t pid[ASKERS];

    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pipe(out[i]), 0);
        pid[i] = ask_apart(key, go, out[i][1]);
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(waitpid(pid[i], &ended, 0), pid[i]);
        assert_int_equal(ended, 0);
        memset(got[i], 0, sizeof(got[i]));
        assert_true(read(out[i][0], got[i], sizeof(got[i]) - 1) > 0);
        close(out[i][0]);
        close(out[i][1]);
        assert_int_equal(strncmp(got[i], "Status: 200 ", 12), 0);
        assert_string_equal(strstr(got[i], "\r\n\r\n"), strstr(got[0], "\r\n\r\n"));
        replayed += strstr(got[i], "\r\nIdempotency-Replayed: true") != NULL;
    }
    return replayed;
}

static void
equal_requests_at_once_make_one_change(void **state)
{
    (void)state;
    conf.rate_limit_enabled = false;
    started();
    for (int round = 0; round < 10; round++) {
        char key[16];

        snprintf(key, sizeof(key), "at-once-%d", round);
        assert_int_equal(ask_at_once(key), ASKERS - 1);
        expect_version(3 + round);
    }
}

static const enum cut cuts[] = { CUT_BEFORE, CUT_AFTER, CUT_LATE };

/* Whatever is lost between the worker and Redis. */
static void
a_lost_answer_under_a_key_is_found_out(void **state)
{
    struct cut_proxy *proxy = cut_proxy_new(&server);
    const struct conf usual = conf;
    char key[8];

    (void)state;
    started();
    service_fini(&service);
    conf.redis_url = cut_proxy_url(proxy);
    service_init(&service, &conf);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, key), 200);
        assert_int_equal(ask_with("POST", ONE "/switch", NULL, KEY, key), 200);
        assert_string_equal(header("Idempotency-Replayed"), "true");
        expect_version(3 + i);
        /* and a refusal, which is a commit, too */
        snprintf(key, sizeof(key), "r%d", i);
        cut_proxy_arm(proxy, cuts[i]);
        assert_int_equal(ask_with("POST", ONE "/resume", NULL, KEY, key), 400);
        assert_int_equal(ask_with("POST", ONE "/resume", NULL, KEY, key), 400);
        assert_string_equal(header("Idempotency-Replayed"), "true");
        expect_version(3 + i);
    }
    service_fini(&service);
    conf = usual;
    service_init(&service, &conf);
    cut_proxy_free(proxy);
}

/* A worker that dies between the commit and the answer: the next one knows. */
static void
a_death_before_the_answer_does_not_make_a_second_change(void **state)
{
    int go[2], out[2], ended;
    pid_t pid;

    (void)state;
    started();
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(out), 0);
    pid = ask_apart("k1", go, out[1]); /* nobody reads its answer */
    close(go[0]);
    close(go[1]);
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    close(out[0]);
    close(out[1]);
    expect_version(3);
    ask_with("POST", ONE "/switch", NULL, KEY, "k1");
    expect(200, "\"version\":3,");
    assert_string_equal(header("Idempotency-Replayed"), "true");
    expect_version(3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, ask_setup, ask_teardown)
        T(a_repeated_command_gets_the_first_answer),
        T(a_repeated_command_costs_one_round_trip),
        T(a_key_with_another_body_is_refused),
        T(a_key_is_judged_in_its_place),
        T(refusals_are_kept_too),
        T(other_failures_are_not_kept),
        T(a_repetition_is_not_limited),
        T(what_changes_nothing_is_kept),
        T(keys_are_visible_ascii),
        T(a_repeated_creation_gets_the_first_answer),
        T(the_same_again_under_a_key_stays_200),
        T(an_id_is_made_from_the_key),
        T(long_answers_are_told_again_without_participants),
        T(the_newest_64_are_kept),
        T(after_a_day_a_key_is_new),
        T(equal_requests_at_once_make_one_change),
        T(a_lost_answer_under_a_key_is_found_out),
        T(a_death_before_the_answer_does_not_make_a_second_change),
#undef T
    };
    int failed;

    ask_begin();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ask_end();
    return failed;
}
