#include "common/buf.h"
#include "common/metrics.h"
#include "common/metrics_ask.h"
#include "common/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *area;
static struct buf text;

static int
begin(void **state)
{
    (void)state;
    area =
        mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    buf_init(&text, 8 * 1024 * 1024);
    metrics_attach(area);
    return area == MAP_FAILED ? -1 : 0;
}

static int
end(void **state)
{
    (void)state;
    metrics_attach(NULL);
    buf_fini(&text);
    return munmap(area, metrics_size());
}

static const char *
render(void)
{
    int64_t unknown[METRIC__MAX];

    metrics_ask_nothing(unknown);
    buf_clear(&text);
    metrics_render(&text, unknown);
    assert_false(text.overflow);
    return buf_cstr(&text);
}

/* The value behind "\n<sample> "; -1 when it is not there. */
static int64_t
value_of(const char *sample)
{
    char line[256];
    const char *at;

    snprintf(line, sizeof(line), "\n%s ", sample);
    at = strstr(render(), line);
    return at != NULL ? strtoll(at + strlen(line), NULL, 10) : -1;
}

static void
wait_ok(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- the table --- */

static bool
is_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static bool
ends_in(const char *s, const char *end_)
{
    size_t len = strlen(s), n = strlen(end_);

    return len > n && strcmp(s + len - n, end_) == 0;
}

static void
test_every_row_is_complete(void **state)
{
    (void)state;
    for (int m = 0; m < METRIC__MAX; m++) {
        const struct metric_row *row = &metric_rows[m];
        bool labelled = true;

        assert_non_null(row->name);
        assert_int_equal(strncmp(row->name, "synckairos_", 11), 0);
        assert_true(is_name(row->name));
        assert_true(strlen(row->help) > 10);
        assert_null(strpbrk(row->help, "\n\\"));
        assert_true(isupper((unsigned char)row->help[0]));
        assert_int_not_equal(row->help[strlen(row->help) - 1], '.');
        assert_int_equal(ends_in(row->name, "_total"), row->type == METRIC_COUNTER);
        assert_int_equal(row->buckets_ms[0] != 0, row->type == METRIC_HISTOGRAM);
        if (row->type == METRIC_HISTOGRAM)
            assert_true(ends_in(row->name, "_ms"));
        for (int i = 1; i < METRICS_BUCKETS_MAX && row->buckets_ms[i] != 0; i++)
            assert_true(row->buckets_ms[i] > row->buckets_ms[i - 1]);
        for (int k = 0; k < METRICS_LABELS_MAX; k++) {
            assert_true(row->labels[k] < METRIC_LABEL__MAX);
            assert_true(labelled || row->labels[k] == METRIC_NO_LABEL); /* no gaps */
            labelled = row->labels[k] != METRIC_NO_LABEL;
            if (labelled)
                assert_true(row->type == METRIC_COUNTER || row->type == METRIC_HISTOGRAM);
        }
        for (int other = 0; other < m; other++)
            assert_string_not_equal(row->name, metric_rows[other].name);
    }
}

static void
test_label_values_are_bounded_and_need_no_escape(void **state)
{
    (void)state;
    for (int l = METRIC_NO_LABEL + 1; l < METRIC_LABEL__MAX; l++) {
        const struct metric_label_row *row = &metric_label_rows[l];
        size_t n = metric_label_count((enum metric_label)l);

        assert_true(is_name(row->name));
        assert_in_range(n, 2, 128);
        for (size_t i = 0; row->values != NULL && i < n; i++) {
            assert_null(strpbrk(row->values[i], "\"\\\n"));
            assert_int_equal(metric_label_place((enum metric_label)l, row->values[i]), i);
        }
    }
    assert_int_equal(metric_label_count(METRIC_NO_LABEL), 1);
    assert_int_equal(metric_label_count(METRIC_REASON), WS_END__MAX);
    assert_string_equal(
        metric_label_rows[METRIC_STATUS].values[metric_label_place(METRIC_STATUS, "418")],
        "other");
}

/* --- what is shown --- */

static void
test_every_metric_has_help_and_type(void **state)
{
    const char *all = render();

    (void)state;
    for (int m = 0; m < METRIC__MAX; m++) {
        char line[128];

        snprintf(line, sizeof(line), "# HELP %s ", metric_rows[m].name);
        assert_non_null(strstr(all, line));
        snprintf(line, sizeof(line), "\n# TYPE %s ", metric_rows[m].name);
        assert_non_null(strstr(all, line));
    }
    assert_int_equal(all[text.len - 1], '\n');
    assert_null(strstr(all, "\n\n"));
}

static void
test_counters(void **state)
{
    size_t get = metric_label_place(METRIC_METHOD, "GET");
    size_t ok = metric_label_place(METRIC_STATUS, "200");
    size_t route = metrics_route("/v1/sessions/:id");

    (void)state;
    assert_int_equal(value_of("synckairos_websocket_pushes_total"), 0);
    assert_null(strstr(render(), "http_requests_total{")); /* none by route yet */
    metrics_add(METRIC_WS_PUSHES, 3, 0, 0, 0);
    metrics_add(METRIC_WS_PUSHES, 4, 0, 0, 0);
    metrics_add(METRIC_WS_DISCONNECTS, 1, WS_END_LOST, 0, 0);
    metrics_add(METRIC_HTTP_REQUESTS, 1, get, route, ok);
    metrics_add(METRIC_HTTP_REQUESTS, 1, get, 0, ok);
    assert_int_equal(value_of("synckairos_websocket_pushes_total"), 7);
    assert_int_equal(value_of("synckairos_websocket_disconnects_total{reason=\"lost\"}"), 1);
    assert_int_equal(value_of("synckairos_websocket_disconnects_total{reason=\"client\"}"), 0);
    assert_int_equal(
        value_of("synckairos_http_requests_total{method=\"GET\",route=\"/v1/sessions/"
                 ":id\",status_code=\"200\"}"),
        1);
    assert_int_equal(value_of("synckairos_http_requests_total{method=\"GET\",route=\"other\","
                              "status_code=\"200\"}"),
                     1);
}

static void
test_histograms(void **state)
{
    static const int64_t us[] = { 0, 1000, 1001, 2000, 49999, 50000, 50001, 9999999, -5 };

    (void)state;
    for (size_t i = 0; i < sizeof(us) / sizeof(us[0]); i++)
        metrics_observe_us(METRIC_SWITCH_DURATION, us[i], 0, 0);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"1\"}"), 3);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"2\"}"), 5);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"25\"}"), 5);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"50\"}"), 7);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"+Inf\"}"), 9);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_count"), 9);
    assert_non_null(strstr(render(), "\nsynckairos_switch_cycle_duration_ms_sum 10154.000\n"));
    metrics_observe_us(METRIC_HTTP_DURATION, 5001, 0, metrics_route("/x"));
    assert_int_equal(
        value_of("synckairos_http_request_duration_ms_bucket{method=\"GET\",route=\"/"
                 "x\",le=\"5\"}"),
        0);
    assert_int_equal(
        value_of("synckairos_http_request_duration_ms_bucket{method=\"GET\",route=\"/"
                 "x\",le=\"10\"}"),
        1);
}

/* What was asked for and is not known has no sample: no number is made up. */
static void
test_asked_gauges(void **state)
{
    int64_t asked[METRIC__MAX] = { 0 };

    (void)state;
    assert_int_equal(value_of("synckairos_active_sessions"), -1);
    asked[METRIC_ACTIVE_SESSIONS] = 42;
    asked[METRIC_AUDIT_WAITING] = -1;
    asked[METRIC_REDIS_UP] = 1;
    buf_clear(&text);
    metrics_render(&text, asked);
    assert_non_null(strstr(buf_cstr(&text), "\nsynckairos_active_sessions 42\n"));
    assert_non_null(strstr(buf_cstr(&text), "\nsynckairos_redis_up 1\n"));
    assert_null(strstr(buf_cstr(&text), "\nsynckairos_db_write_queue_size "));
}

static void
test_set_gauges(void **state)
{
    (void)state;
    assert_int_equal(value_of("synckairos_clock_error_us"), -1);
    metrics_set(METRIC_CLOCK_ERROR, 0);
    assert_int_equal(value_of("synckairos_clock_error_us"), 0);
    metrics_set(METRIC_CLOCK_ERROR, 120);
    assert_int_equal(value_of("synckairos_clock_error_us"), 120);
    metrics_set(METRIC_CLOCK_ERROR, -1);
    assert_int_equal(value_of("synckairos_clock_error_us"), -1);
}

static void
test_nothing_is_counted_without_an_area(void **state)
{
    (void)state;
    metrics_attach(NULL);
    assert_false(metrics_are_on());
    metrics_add(METRIC_WS_PUSHES, 1, 0, 0, 0);
    metrics_observe_us(METRIC_SWITCH_DURATION, 1, 0, 0);
    metrics_hold(METRIC_WS_CONNECTIONS, 1);
    metrics_hold_nothing();
    assert_int_equal(metrics_route("/x"), 0);
    assert_string_equal(render(), "");
    metrics_attach(area);
    assert_true(metrics_are_on());
    assert_int_equal(value_of("synckairos_websocket_pushes_total"), 0);
    assert_int_equal(value_of("synckairos_websocket_connections"), 0);
}

/* --- routes --- */

static void
test_more_routes_than_there_is_room(void **state)
{
    bool taken[METRICS_ROUTES] = { false };
    char name[METRICS_ROUTE_MAX];

    (void)state;
    memset(name, 'x', sizeof(name) - 1); /* the longest that may be */
    for (int i = 0; i < METRICS_ROUTES + 10; i++) {
        size_t at;

        snprintf(name + sizeof(name) - 5, 5, "%04d", i);
        at = metrics_route(name);
        assert_in_range(at, 0, METRICS_ROUTES - 1);
        assert_int_equal(metrics_route(name), at);
        assert_int_equal(at == 0, i >= METRICS_ROUTES - 1);
        assert_false(at != 0 && taken[at]);
        taken[at] = true;
    }
    metrics_add(METRIC_HTTP_REQUESTS, 1, 0, metrics_route(name), 0);
    assert_non_null(strstr(render(), "route=\"other\""));
}

/* A name whose writer was killed between taking the place and writing is written by the next.
 */
static void
test_a_half_taken_route(void **state)
{
    size_t at = metrics_route("/v1/time");
    int64_t *words = (int64_t *)area + at * (1 + METRICS_ROUTE_MAX / 8);
    char copy[METRICS_ROUTE_MAX];

    (void)state;
    memcpy(copy, words + 1, sizeof(copy));
    assert_string_equal(copy, "/v1/time");
    memset(words + 1, 0, sizeof(copy));
    assert_int_equal(metrics_route("/v1/time"), at);
    assert_memory_equal(copy, words + 1, sizeof(copy));
}

/* All name the same routes at the same time, in other orders: each gets one place. */
static void
test_processes_agree_on_routes(void **state)
{
    enum { NAMES = 41, PROCESSES = 4 };
    pid_t pids[PROCESSES];
    int lines = 0;

    (void)state;
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            for (int i = 0; i < NAMES; i++) {
                char name[32];

                snprintf(name, sizeof(name), "/r/%d", (i * (2 * p + 1) + p) % NAMES);
                metrics_add(METRIC_HTTP_REQUESTS, 1, 0, metrics_route(name), 0);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++)
        wait_ok(pids[p]);
    render();
    for (const char *s = buf_cstr(&text); (s = strstr(s, "\nsynckairos_http_requests_total{"));
         s++)
        lines++;
    assert_int_equal(lines, NAMES);
    assert_int_equal(value_of("synckairos_http_requests_total{method=\"GET\",route=\"/r/7\","
                              "status_code=\"200\"}"),
                     PROCESSES);
}

/* --- processes --- */

static void
test_processes_count_together(void **state)
{
    enum { EACH = 100000, PROCESSES = 4 };
    pid_t pids[PROCESSES];

    (void)state;
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] == 0) {
            for (int i = 0; i < EACH; i++) {
                metrics_add(METRIC_WS_EVENTS, 1, 0, 0, 0);
                metrics_observe_us(METRIC_SWITCH_DURATION, 1500, 0, 0);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++)
        wait_ok(pids[p]);
    assert_int_equal(value_of("synckairos_websocket_events_total"), EACH * PROCESSES);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"1\"}"), 0);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_bucket{le=\"2\"}"),
                     EACH * PROCESSES);
    assert_int_equal(value_of("synckairos_switch_cycle_duration_ms_sum"),
                     EACH * PROCESSES * 3 / 2);
}

/* A child that holds n sockets and counts without end. */
static pid_t
start_holder(int64_t n)
{
    int up[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe(up), 0);
    pid = fork();
    if (pid == 0) {
        metrics_attach(area);
        metrics_hold(METRIC_WS_CONNECTIONS, n);
        if (write(up[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            metrics_add(METRIC_WS_EVENTS, 1, 0, 0, 0);
    }
    close(up[1]);
    assert_int_equal(read(up[0], &c, 1), 1);
    close(up[0]);
    return pid;
}

static void
test_a_killed_process_keeps_counters_and_holds_nothing(void **state)
{
    pid_t a = start_holder(5), b = start_holder(7);
    int64_t events;
    siginfo_t info;

    (void)state;
    assert_int_equal(value_of("synckairos_websocket_connections"), 12);
    kill(a, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)a, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(value_of("synckairos_websocket_connections"), 7); /* a is a zombie */
    assert_int_equal(waitpid(a, NULL, 0), a);
    assert_int_equal(value_of("synckairos_websocket_connections"), 7);
    kill(b, SIGKILL);
    assert_int_equal(waitpid(b, NULL, 0), b);
    assert_int_equal(value_of("synckairos_websocket_connections"), 0);
    events = value_of("synckairos_websocket_events_total");
    assert_true(events > 0);
    assert_int_equal(value_of("synckairos_websocket_events_total"), events);
}

/* Places of the dead are taken again, with nothing of what they held. */
static void
test_places_of_the_dead(void **state)
{
    (void)state;
    for (int i = 0; i < METRICS_HOLDERS + 5; i++) {
        pid_t pid = start_holder(1000);

        assert_int_equal(value_of("synckairos_websocket_connections"), 1000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    metrics_hold(METRIC_WS_CONNECTIONS, 3);
    assert_int_equal(value_of("synckairos_websocket_connections"), 3);
    metrics_hold(METRIC_WS_CONNECTIONS, 2);
    assert_int_equal(value_of("synckairos_websocket_connections"), 2);
    metrics_hold_nothing();
    assert_int_equal(value_of("synckairos_websocket_connections"), 0);
}

/* The same process id, started at another time, is another process. */
static void
test_a_process_id_that_was_used_again(void **state)
{
    int64_t *words = (int64_t *)area + METRICS_ROUTES * (1 + METRICS_ROUTE_MAX / 8);

    (void)state;
    metrics_hold(METRIC_WS_CONNECTIONS, 9);
    assert_int_equal(value_of("synckairos_websocket_connections"), 9);
    words[0]--;
    assert_int_equal(value_of("synckairos_websocket_connections"), 0);
}

/* --- the file --- */

static void
test_openers_of_the_status_file_count_together(void **state)
{
    char dir[] = "/tmp/test_metrics.XXXXXX", path[64];
    struct status *a, *b;
    pid_t pid;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/status", dir);
    assert_int_equal(status_open(path, &a, NULL), RC_OK);
    metrics_attach(status_metrics(a));
    metrics_add(METRIC_WS_GAPS, 2, 0, 0, 0);
    pid = fork();
    if (pid == 0) {
        if (status_open(path, &b, NULL) != RC_OK)
            _exit(1);
        metrics_attach(status_metrics(b));
        metrics_add(METRIC_WS_GAPS, 40, 0, 0, 0);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(value_of("synckairos_websocket_gaps_total"), 42);
    metrics_attach(NULL);
    status_close(a);
    assert_int_equal(status_open(path, &a, NULL), RC_OK); /* nobody had it open */
    metrics_attach(status_metrics(a));
    assert_int_equal(value_of("synckairos_websocket_gaps_total"), 42);
    metrics_attach(NULL);
    status_close(a);
    unlink(path);
    rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_row_is_complete),
        TEST(test_label_values_are_bounded_and_need_no_escape),
        TEST(test_every_metric_has_help_and_type),
        TEST(test_counters),
        TEST(test_histograms),
        TEST(test_asked_gauges),
        TEST(test_set_gauges),
        TEST(test_nothing_is_counted_without_an_area),
        TEST(test_more_routes_than_there_is_room),
        TEST(test_a_half_taken_route),
        TEST(test_processes_agree_on_routes),
        TEST(test_processes_count_together),
        TEST(test_a_killed_process_keeps_counters_and_holds_nothing),
        TEST(test_places_of_the_dead),
        TEST(test_a_process_id_that_was_used_again),
        TEST(test_openers_of_the_status_file_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
