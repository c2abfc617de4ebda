/*
 * wsload - a WebSocket load client: many sockets, few publishers, latency from the intended
 * instant.
 *
 * It opens --clients sockets, then POSTs --rate messages a second on a fixed timetable. Message
 * k carries `"version":first+k`; a latency is the arrival at a socket minus the instant at
 * which message k *should* have been sent, so a server that stalls is charged for everything
 * that waited. The client must cost much less than the server beside it: one thread reads all
 * sockets, and publishers have theirs. Prints one JSON object. `wsload --help` tells the
 * options.
 */
#include "wsload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static const double SETTLE_S = 1, SETTLE_SHORT_S = 0.3, QUIET_S = 0.2;

struct opt opt = { .host = "127.0.0.1",
                   .path = "/",
                   .clients = 100,
                   .seconds = 5,
                   .warm_up = 1,
                   .publishers = 1,
                   .key = "version",
                   .body = "" };
int64_t *intended;
long planned, measured_from;

int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void
die(const char *what)
{
    fprintf(stderr, "wsload: %s: %s\n", what, errno ? strerror(errno) : "refused");
    exit(1);
}

int
dial(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, opt.host, &a.sin_addr) != 1)
        die(opt.host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void
send_all(int fd, const void *data, size_t len)
{
    for (const char *p = data; len > 0;) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return; /* the reader hears of it */
        if (n > 0)
            p += n, len -= (size_t)n;
    }
}

static void
usage(FILE *to)
{
    fprintf(to,
            "usage: wsload --port N --path P [options]\n"
            "  --clients N       sockets to open (100)\n"
            "  --rate N          messages a second; 0: sit idle\n"
            "  --seconds N       measured time (5), after --warm-up N (1)\n"
            "  --publish-port N --publish-path P --body B   what is POSTed; @v is the version\n"
            "  --publish-redis S in place of it: PUBLISH to the channel --publish-path on the "
            "Redis at S\n"
            "  --publishers N    connections that take turns with the messages (1)\n"
            "  --first N         the version that the first message causes\n"
            "  --key K           what the version is called in the messages (version)\n"
            "  --header H        one more header line for both kinds of requests\n"
            "  --publish-header H   and one for what is POSTed\n"
            "  --greeting T      a text message to send once a socket is open\n"
            "  --socket-io       answer the pings of Engine.IO\n"
            "  --pid N           a server process to count CPU time and memory of; many\n");
}

static const struct {
    const char *name;
    const char **text;
    int *number;
    double *real;
} options[] = {
    { "host", &opt.host, NULL, NULL },
    { "path", &opt.path, NULL, NULL },
    { "publish-path", &opt.publish_path, NULL, NULL },
    { "body", &opt.body, NULL, NULL },
    { "header", &opt.header, NULL, NULL },
    { "greeting", &opt.greeting, NULL, NULL },
    { "key", &opt.key, NULL, NULL },
    { "publish-header", &opt.publish_header, NULL, NULL },
    { "publish-redis", &opt.publish_redis, NULL, NULL },
    { "port", NULL, &opt.port, NULL },
    { "clients", NULL, &opt.clients, NULL },
    { "rate", NULL, &opt.rate, NULL },
    { "seconds", NULL, NULL, &opt.seconds },
    { "warm-up", NULL, NULL, &opt.warm_up },
    { "publish-port", NULL, &opt.publish_port, NULL },
    { "publishers", NULL, &opt.publishers, NULL },
};
enum { OPTIONS = sizeof options / sizeof *options, FIRST = OPTIONS, PID, SOCKET_IO, HELP, END };

static void
take(int k)
{
    if (k < OPTIONS && options[k].text)
        *options[k].text = optarg;
    else if (k < OPTIONS && options[k].number)
        *options[k].number = atoi(optarg);
    else if (k < OPTIONS)
        *options[k].real = atof(optarg);
    else if (k == FIRST)
        opt.first = atol(optarg);
    else if (k == PID && opt.pids < PIDS_MAX)
        opt.pid[opt.pids++] = atoi(optarg);
    else if (k == SOCKET_IO)
        opt.socket_io = true;
}

static void
read_options(int argc, char **argv)
{
    struct option table[END + 1] = { [FIRST] = { "first", 1, 0, FIRST },
                                     [PID] = { "pid", 1, 0, PID },
                                     [SOCKET_IO] = { "socket-io", 0, 0, SOCKET_IO },
                                     [HELP] = { "help", 0, 0, HELP } };
    for (int k = 0; k < OPTIONS; k++)
        table[k] = (struct option){ options[k].name, 1, 0, k };
    for (int k; (k = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (k == '?' || k == HELP) {
            usage(k == HELP ? stdout : stderr);
            exit(k == HELP ? 0 : 2);
        }
        take(k);
    }
    if (opt.publishers < 1 || opt.clients < 1) {
        usage(stderr);
        exit(2);
    }
}

/* The timetable from 10 ms on, and all that it causes; returns the seconds that publishing
 * took. */
static double
run_timetable(void)
{
    int64_t start = now_ns() + 10000000, step = 1000000000LL / opt.rate;
    for (long k = 0; k < planned; k++)
        intended[k] = start + k * step;
    publish_start();
    while (publish_busy())
        sockets_turn(1);
    double took = (double)(now_ns() - start) / 1e9;
    for (uint64_t before = ~0ULL; before != deliveries + early;) {
        before = deliveries + early;
        sockets_settle(QUIET_S);
    }
    return took;
}

static void
print_list(const char *name, const double *after, const double *before)
{
    printf(",\"%s\":[", name);
    for (int k = 0; k < opt.pids; k++)
        printf("%s%.6f", k ? "," : "", after[k] - before[k]);
    printf("]");
}

int
main(int argc, char **argv)
{
    static struct servers fresh, connected, before, after;
    read_options(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    planned = (long)(opt.rate * (opt.warm_up + opt.seconds));
    measured_from = (long)(opt.rate * opt.warm_up);
    intended = calloc((size_t)planned + 1, sizeof *intended);

    servers_look(&fresh);
    double connects = sockets_open(), took = opt.seconds;
    sockets_settle(opt.rate ? SETTLE_SHORT_S : SETTLE_S);
    servers_look(&connected);
    before = connected;
    if (opt.rate)
        took = run_timetable();
    else
        sockets_settle(opt.seconds);
    servers_look(&after);

    printf("{\"clients\":%d,\"lost\":%d,\"connects_per_s\":%.0f,\"published\":%ld,"
           "\"failed\":%ld,\"answer_bytes\":%ld,\"seconds\":%.3f,\"deliveries\":%llu,"
           "\"wanted\":%.0f,\"bytes\":%llu,\"all_deliveries\":%llu,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f",
           opt.clients, lost, connects, publish_done(), publish_failed(), publish_bytes(), took,
           (unsigned long long)deliveries, (double)(planned - measured_from) * opt.clients,
           (unsigned long long)bytes_in, (unsigned long long)(deliveries + early),
           latency_ms(.5), latency_ms(.99), latency_ms(.999), latency_ms(1));
    print_list("connect_cpu_s", connected.cpu, fresh.cpu);
    print_list("rss", connected.rss, fresh.rss);
    print_list("cpu_s", after.cpu, before.cpu);
    printf("}\n");
    return 0;
}
