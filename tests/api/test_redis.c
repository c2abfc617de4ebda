/* The connection and its batches against a real server: order, scripts, restarts, deadlines. */
#include "common/clock.h"
#include "common/limit.h"
#include "common/redis.h"
#include "lua_scripts.h"
#include "private_redis.h"
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static struct private_redis server;

static struct redis *
connection(void)
{
    struct conf conf = private_redis_conf(&server);

    return redis_new(&conf, "test");
}

static int64_t
integer(const struct redis_batch *b, int place)
{
    const redisReply *reply = redis_batch_reply(b, place);

    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    return reply->integer;
}

static void
run_ok(struct redis *r, struct redis_batch *b)
{
    struct fail f = { 0 };

    if (redis_run(r, b, &f) != RC_OK)
        fail_msg("%s", f.log);
}

static void
replies_stand_where_their_commands_do(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    const char *argv[] = { "SET", "k", "a\0b" };
    const size_t lens[] = { 3, 1, 3 };
    struct fail f = { 0 };

    (void)state;
    assert_string_equal(redis_run_id(r), "");
    redis_batch_add(b, "DEL %s", "n");
    int incr = redis_batch_add(b, "INCRBY %s %lld", "n", 41LL);
    int wrong = redis_batch_add(b, "LPUSH n x");
    int set = redis_batch_addv(b, 3, argv, lens);
    int get = redis_batch_add(b, "GET %b", "k", (size_t)1);
    int time = redis_batch_add(b, "TIME");
    assert_null(redis_batch_reply(b, get));
    run_ok(r, b);
    assert_int_equal(redis_batch_count(b), 6);
    assert_int_equal(integer(b, incr), 41);
    assert_int_equal(redis_batch_check(b, set, &f), RC_OK);
    assert_int_equal(redis_batch_reply(b, get)->len, 3);
    assert_memory_equal(redis_batch_reply(b, get)->str, "a\0b", 3);
    assert_in_range(redis_time_us(redis_batch_reply(b, time)) / 1000,
                    (uintmax_t)clock_wall_ms() - 1000, (uintmax_t)clock_wall_ms() + 1000);
    assert_int_equal(redis_batch_check(b, wrong, &f), RC_INTERNAL);
    assert_int_equal(strlen(redis_run_id(r)), 40);
    redis_batch_clear(b);
    assert_int_equal(redis_batch_count(b), 0);
    assert_null(redis_batch_reply(b, 0));
    redis_batch_free(b);
    redis_free(r);
}

static void
replies_larger_than_the_read_buffer_come_whole(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    size_t len = 3u << 20;
    char *big = malloc(len);

    (void)state;
    memset(big, 'x', len);
    redis_batch_add(b, "SET big %b", big, len);
    int get = redis_batch_add(b, "GET big");
    run_ok(r, b);
    assert_int_equal(redis_batch_reply(b, get)->len, len);
    assert_memory_equal(redis_batch_reply(b, get)->str, big, len);
    free(big);
    redis_batch_free(b);
    redis_free(r);
}

static void
a_batch_has_a_maximum(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    size_t len = 33u << 20;
    char *big = malloc(len);
    struct fail f = { 0 };

    (void)state;
    memset(big, 'x', len);
    redis_batch_add(b, "SET big %b", big, len);
    redis_batch_add(b, "SET big %b", big, len);
    assert_int_equal(redis_run(r, b, &f), RC_INTERNAL);
    assert_int_equal(redis_fd(r), -1);
    redis_batch_clear(b);
    redis_batch_add(b, "PING");
    run_ok(r, b);
    free(big);
    redis_batch_free(b);
    redis_free(r);
}

/* Only the refused script is sent again, the commands around it run once. */
static void
scripts_are_loaded_when_the_server_has_none(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    struct limit_rule rule = { .count = 5, .window_ms = 60000 };

    (void)state;
    private_redis_ask(&server, "SCRIPT FLUSH");
    private_redis_ask(&server, "DEL n l1 l2");
    int before = redis_batch_add(b, "INCR n");
    int one = limit_add(b, &rule, "l1");
    int two = limit_add(b, &rule, "l2");
    int again = limit_add(b, &rule, "l1");
    int after = redis_batch_add(b, "INCR n");
    run_ok(r, b);
    assert_int_equal(integer(b, before), 1);
    assert_int_equal(integer(b, after), 2);
    assert_int_equal(limit_result(b, one, &rule).remaining, 4);
    assert_int_equal(limit_result(b, two, &rule).remaining, 4);
    assert_int_equal(limit_result(b, again, &rule).remaining, 3);
    redis_batch_free(b);
    redis_free(r);
}

static void
errors_of_a_server_in_trouble_are_store_unavailable(void **state)
{
    static const struct {
        const char *text;
        enum rc rc;
    } table[] = {
        { "OOM command not allowed when used memory > 'maxmemory'.", RC_STORE_UNAVAILABLE },
        { "MISCONF Redis is configured to save RDB snapshots", RC_STORE_UNAVAILABLE },
        { "READONLY You can't write against a read only replica.", RC_STORE_UNAVAILABLE },
        { "LOADING Redis is loading the dataset in memory", RC_STORE_UNAVAILABLE },
        { "BUSY Redis is busy running a script.", RC_STORE_UNAVAILABLE },
        { "CLUSTERDOWN The cluster is down", RC_STORE_UNAVAILABLE },
        { "TRYAGAIN Multiple keys request during rehashing of slot", RC_STORE_UNAVAILABLE },
        { "NOREPLICAS Not enough good replicas to write.", RC_STORE_UNAVAILABLE },
        { "MASTERDOWN Link with MASTER is down", RC_STORE_UNAVAILABLE },
        { "ERR Error running script (call to f_6b1b): @user_script:3: @user_script: 3: -OOM "
          "command not allowed",
          RC_STORE_UNAVAILABLE },
        { "BUSYKEY Target key name already exists.", RC_INTERNAL },
        { "WRONGTYPE Operation against a key", RC_INTERNAL },
        { "ERR unknown command 'OOM '", RC_INTERNAL },
    };
    struct redis *r = connection();

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct redis_batch *b = redis_batch_new();
        struct fail f = { 0 };
        char script[256];

        snprintf(script, sizeof(script), "return redis.error_reply([[%s]])", table[i].text);
        redis_batch_add(b, "EVAL %s 0", script);
        run_ok(r, b);
        if (redis_batch_check(b, 0, &f) != table[i].rc)
            fail_msg("%s", table[i].text);
        redis_batch_free(b);
    }
    redis_free(r);
}

/* An idle connection that the server closed: a read goes on; what may name the server it is for
 * is not sent to another connection by itself. */
static void
a_closed_idle_connection_is_replaced(void **state)
{
    static const struct {
        const char *argv[2];
        int argc;
        enum rc rc;
    } table[] = { { { "GET", "n" }, 2, RC_OK },
                  { { "INCR", "n" }, 2, RC_STORE_UNAVAILABLE },
                  { { "INCR", "n" }, 2, RC_OK },
                  { { "TIME", NULL }, 1, RC_OK } };
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();

    (void)state;
    private_redis_ask(&server, "DEL n");
    redis_batch_add(b, "PING");
    run_ok(r, b);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *argv[] = { table[i].argv[0], table[i].argv[1] };

        redis_batch_clear(b);
        redis_batch_addv(b, table[i].argc, argv, NULL);
        if (redis_fd(r) >= 0)
            private_redis_ask(&server, "CLIENT KILL TYPE normal SKIPME yes");
        assert_int_equal(redis_run(r, b, NULL), table[i].rc);
    }
    assert_string_equal(private_redis_ask(&server, "GET n"), "1");
    redis_batch_free(b);
    redis_free(r);
}

static void
a_restarted_server_has_another_run_id(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    char run_id[64];

    (void)state;
    redis_batch_add(b, "SET kept 1");
    run_ok(r, b);
    snprintf(run_id, sizeof(run_id), "%s", redis_run_id(r));
    private_redis_restart(&server);
    redis_batch_clear(b);
    redis_batch_add(b, "GET kept");
    run_ok(r, b);
    assert_string_equal(redis_batch_reply(b, 0)->str, "1");
    assert_string_not_equal(run_id, redis_run_id(r));
    redis_batch_free(b);
    redis_free(r);
}

/* Down: an answer at once, not a try per request; back within the longest back-off. */
static void
a_server_that_is_away_answers_at_once_and_comes_back(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    struct fail f = { 0 };
    int64_t start;

    (void)state;
    redis_batch_add(b, "PING");
    private_redis_kill(&server);
    start = clock_mono_ms();
    for (int i = 0; i < 1000; i++) {
        fail_reset(&f);
        assert_int_equal(redis_run(r, b, &f), RC_STORE_UNAVAILABLE);
        assert_int_equal(f.retry_after_ms, 1000);
    }
    assert_true(clock_mono_ms() - start < patient_ms(500));
    private_redis_restart(&server);
    start = clock_mono_ms();
    while (redis_run(r, b, NULL) != RC_OK) {
        assert_true(clock_mono_ms() - start < patient_ms(1000));
        usleep(1000);
    }
    redis_batch_free(b);
    redis_free(r);
}

static void
on_alarm(int sig)
{
    (void)sig;
}

/* A server that does not answer: 2 s, signals or not, and the outcome tells reads from writes.
 */
static void
an_answer_is_awaited_two_seconds(void **state)
{
    struct redis *r = connection();
    struct redis_batch *b = redis_batch_new();
    struct itimerval often = { .it_interval = { .tv_usec = 20000 },
                               .it_value = { .tv_usec = 20000 } };
    struct itimerval never = { 0 };
    struct sigaction act = { .sa_handler = on_alarm };

    (void)state;
    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 2; i++) {
        int64_t start = clock_mono_ms();

        redis_batch_clear(b);
        redis_batch_add(b, "PING");
        run_ok(r, b);
        kill(server.pid, SIGSTOP);
        redis_batch_clear(b);
        redis_batch_add(b, i ? "GET n" : "INCR n");
        assert_int_equal(redis_run(r, b, NULL), i ? RC_STORE_UNAVAILABLE : RC_OUTCOME_UNKNOWN);
        kill(server.pid, SIGCONT);
        assert_in_range(clock_mono_ms() - start, 1990, 1990 + (uintmax_t)patient_ms(600));
        assert_int_equal(redis_fd(r), -1);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    redis_batch_free(b);
    redis_free(r);
}

/* A port that nobody has; Redis 6 cannot open one later, then 0. */
static int
open_port(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    if (strcmp(private_redis_ask(&server, "CONFIG SET port %d", ntohs(addr.sin_port)), "OK") !=
        0)
        return 0;
    return ntohs(addr.sin_port);
}

static void
tcp_works_the_same(void **state)
{
    struct conf conf = private_redis_conf(&server);
    struct redis_batch *b = redis_batch_new();
    int port = open_port();
    char url[64];
    struct redis *r;

    (void)state;
    assert_int_not_equal(port, 0);
    snprintf(url, sizeof(url), "redis://localhost:%d/2", port);
    conf.redis_url = url;
    r = redis_new(&conf, "tcp");
    redis_batch_add(b, "INCR counted");
    run_ok(r, b);
    private_redis_ask(&server, "CLIENT KILL TYPE normal SKIPME yes");
    redis_batch_clear(b);
    redis_batch_add(b, "GET counted");
    run_ok(r, b);
    assert_string_equal(redis_batch_reply(b, 0)->str, "1");
    private_redis_ask(&server, "CLIENT KILL TYPE normal SKIPME yes");
    redis_batch_clear(b);
    redis_batch_add(b, "INCR counted");
    /* Whether it was sent before the end was seen, only the kernel knows. */
    assert_int_not_equal(redis_run(r, b, NULL), RC_OK);
    assert_int_equal(redis_fd(r), -1);
    private_redis_restart(&server); /* the port is gone with it */
    assert_int_equal(redis_run(r, b, NULL), RC_STORE_UNAVAILABLE);
    redis_free(r);
    redis_batch_free(b);
}

static void
login_and_database_come_from_the_url(void **state)
{
    struct conf conf = private_redis_conf(&server);
    struct redis_batch *b = redis_batch_new();
    char url[160];
    struct redis *r;

    (void)state;
    snprintf(url, sizeof(url), "unix://%s?db=3", server.socket);
    conf.redis_url = url;
    conf.redis_password = "geheim";
    private_redis_ask(&server, "CONFIG SET requirepass geheim");
    r = redis_new(&conf, "named");
    redis_batch_add(b, "SET where here");
    redis_batch_add(b, "CLIENT GETNAME");
    redis_batch_add(b, "CONFIG SET requirepass %s", "");
    run_ok(r, b);
    assert_string_equal(redis_batch_reply(b, 1)->str, "named");
    assert_string_equal(private_redis_ask(&server, "EXISTS where"), "0");
    redis_free(r);

    private_redis_ask(&server, "CONFIG SET requirepass geheim");
    conf.redis_password = "falsch";
    r = redis_new(&conf, "stranger");
    assert_int_equal(redis_connect(r, NULL), RC_STORE_UNAVAILABLE);
    assert_int_equal(redis_fd(r), -1);
    redis_free(r);
    private_redis_restart(&server);
    redis_batch_free(b);
}

static void
a_wrong_url_says_so(void **state)
{
    struct conf conf = private_redis_conf(&server);
    struct fail f = { 0 };
    struct redis *r;

    (void)state;
    conf.redis_url = "http://localhost";
    r = redis_new(&conf, "test");
    assert_int_equal(redis_connect(r, &f), RC_STORE_UNAVAILABLE);
    assert_non_null(strstr(f.log, "REDIS_URL: must begin with redis:// or unix://"));
    redis_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_stand_where_their_commands_do),
        cmocka_unit_test(replies_larger_than_the_read_buffer_come_whole),
        cmocka_unit_test(a_batch_has_a_maximum),
        cmocka_unit_test(scripts_are_loaded_when_the_server_has_none),
        cmocka_unit_test(errors_of_a_server_in_trouble_are_store_unavailable),
        cmocka_unit_test(a_closed_idle_connection_is_replaced),
        cmocka_unit_test(a_restarted_server_has_another_run_id),
        cmocka_unit_test(a_server_that_is_away_answers_at_once_and_comes_back),
        cmocka_unit_test(an_answer_is_awaited_two_seconds),
        cmocka_unit_test(tcp_works_the_same),
        cmocka_unit_test(login_and_database_come_from_the_url),
        cmocka_unit_test(a_wrong_url_says_so),
    };
    int failed;

    private_redis_start(&server);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    private_redis_stop(&server);
    return failed;
}
