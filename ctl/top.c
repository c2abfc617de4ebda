/*
 * kairosctl top - how much happens, where, and what waits: the changes that Redis publishes,
 * counted by session, and beside them what a broadcaster tells on METRICS_PORT.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/event.h"
#include "ctl.h"
#include "listen.h"
#include "web.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uthash.h>

#define SECONDS 2
#define SECONDS_MAX 3600
#define SHOWN 10 /* sessions */
#define TEXT_MAX (8 << 20)

struct session_count {
    char id[ID_LEN + 1];
    int64_t changes, version;
    UT_hash_handle hh;
};

struct top {
    const struct conf *conf;
    struct listen *listen;
    int64_t span_ms;
    bool once;
    struct session_count *sessions;
    int64_t changes;
    int64_t requests; /* as counted before; -1 unknown */
};

/* What is read of the metrics; unknown ones are -1. */
enum gauge { REQUESTS, SOCKETS, SESSIONS, WAITING, BYTES, AGE, GAUGES };
static const char *const gauges[GAUGES] = {
    [REQUESTS] = "synckairos_http_requests_total",
    [SOCKETS] = "synckairos_websocket_connections",
    [SESSIONS] = "synckairos_active_sessions",
    [WAITING] = "synckairos_db_write_queue_size",
    [BYTES] = "synckairos_audit_backlog_bytes",
    [AGE] = "synckairos_audit_backlog_age_seconds",
};

static volatile sig_atomic_t stopped;

static void
on_signal(int signum)
{
    (void)signum;
    stopped = 1;
}

/* --- counting --- */

static void
count(struct top *t, const struct event *ev)
{
    struct session_count *s;

    HASH_FIND_STR(t->sessions, ev->session_id, s);
    if (s == NULL) {
        s = xalloc(sizeof(*s));
        snprintf(s->id, sizeof(s->id), "%s", ev->session_id);
        HASH_ADD_STR(t->sessions, id, s);
    }
    s->changes++;
    s->version = ev->version;
    t->changes++;
}

static void
forget(struct top *t)
{
    struct session_count *s, *next;

    HASH_ITER(hh, t->sessions, s, next)
    {
        HASH_DEL(t->sessions, s);
        free(s);
    }
    t->changes = 0;
}

/* Count for the span. RC_OK, or why there is nothing to count. */
static enum rc
watch(struct top *t, struct fail *f)
{
    int64_t until = clock_mono_ms() + t->span_ms, left;
    enum rc rc = RC_OK;

    while (!stopped && rc == RC_OK && (left = until - clock_mono_ms()) > 0) {
        struct event ev;
        bool came;

        rc = listen_next(t->listen, left, &ev, &came, f);
        if (rc == RC_OK && came)
            count(t, &ev);
    }
    return rc;
}

/* The sum of a metric over its labels. */
static int64_t
sum(const char *text, const char *name)
{
    size_t len = strlen(name);
    int64_t total = -1;

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        const char *value;

        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || (line[len] != ' ' && line[len] != '{'))
            continue;
        value = line + strcspn(line, " \n"); /* no label has a blank */
        total = (total < 0 ? 0 : total) + strtoll(value, NULL, 10);
    }
    return total;
}

static void
ask_metrics(const struct top *t, int64_t out[GAUGES])
{
    struct web_url url = { 0 };
    struct buf text;
    struct web_answer a = { .text = &text, .body = "" };

    buf_init(&text, TEXT_MAX);
    snprintf(url.host, sizeof(url.host), "%s", t->conf->metrics_host);
    snprintf(url.port, sizeof(url.port), "%d", (int)t->conf->metrics_port);
    if (t->conf->metrics_port > 0)
        web_get(&url, "/metrics", "", &a);
    for (int i = 0; i < GAUGES; i++)
        out[i] = sum(a.status == 200 ? a.body : "", gauges[i]);
    buf_fini(&text);
}

/* --- showing --- */

static int
busiest_first(const struct session_count *a, const struct session_count *b)
{
    if (a->changes != b->changes)
        return a->changes < b->changes ? 1 : -1;
    return strcmp(a->id, b->id);
}

static void
print_gauge(const char *label, int64_t value, const char *unit)
{
    if (value < 0)
        printf("%-18s unknown\n", label);
    else
        printf("%-18s %" PRId64 "%s\n", label, value, unit);
}

static void
print(struct top *t, int64_t now[GAUGES])
{
    double seconds = (double)t->span_ms / 1000;
    struct session_count *s;
    int shown = 0;

    if (!t->once && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    printf("%-18s %.1f /s\n", "changes", (double)t->changes / seconds);
    if (t->requests >= 0 && now[REQUESTS] >= t->requests)
        printf("%-18s %.1f /s\n", "requests", (double)(now[REQUESTS] - t->requests) / seconds);
    else
        print_gauge("requests", -1, "");
    print_gauge("sockets", now[SOCKETS], "");
    print_gauge("sessions", now[SESSIONS], "");
    print_gauge("audit backlog", now[WAITING], " records");
    print_gauge("audit bytes", now[BYTES], "");
    print_gauge("audit age", now[AGE], " s");
    HASH_SORT(t->sessions, busiest_first);
    for (s = t->sessions; s != NULL && shown < SHOWN; s = s->hh.next, shown++)
        printf("%s  %.1f /s  v%" PRId64 "\n", s->id, (double)s->changes / seconds, s->version);
    t->requests = now[REQUESTS];
}

static int
top(struct top *t)
{
    int64_t now[GAUGES];
    int status = 0;

    ask_metrics(t, now);
    t->requests = now[REQUESTS];
    do {
        struct fail f = { 0 };

        forget(t);
        if (watch(t, &f) != RC_OK) {
            status = ctl_failed("top", &f);
        } else if (!stopped) {
            ask_metrics(t, now);
            print(t, now);
            status = ctl_done();
        }
    } while (!t->once && !stopped && status == 0);
    forget(t);
    return status;
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "once", no_argument, NULL, 'o' },
                                             { "seconds", required_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    struct sigaction end = { .sa_handler = on_signal };
    struct top t = { .conf = conf, .span_ms = SECONDS * 1000 };
    int option, status;
    char *rest;
    long n;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_top, "unknown option");
        t.once = t.once || option == 'o';
        if (option != 's')
            continue;
        n = strtol(optarg, &rest, 10);
        if (*rest != '\0' || n < 1 || n > SECONDS_MAX)
            return ctl_misused(&ctl_top, "--seconds is a number from 1 to 3600");
        t.span_ms = n * 1000;
    }
    if (optind < argc)
        return ctl_misused(&ctl_top, "takes no argument");
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    t.listen = listen_new(conf, NULL);
    status = top(&t);
    listen_free(t.listen);
    return status;
}

const struct ctl_command ctl_top = {
    .name = "top",
    .summary = "show rates, the busiest sessions, sockets and what waits",
    .usage =
        "kairosctl top [--once] [--seconds=N]\n"
        "Every N seconds (2): changes and requests a second, open WebSockets, sessions, audit\n"
        "records that wait for PostgreSQL, and the ten sessions with the most changes. What\n"
        "comes from METRICS_PORT is of this host, or unknown. Ctrl-C ends it.\n"
        "  --once   only once\n",
    .run = run,
};
