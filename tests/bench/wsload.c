/*
 * wsload - a WebSocket load client: many sockets, one publisher, latency from the intended
 * instant.
 *
 * One thread and epoll, raw RFC 6455: the client must cost much less than the server beside it.
 * It opens --clients sockets, then POSTs --rate messages a second on one HTTP connection, on a
 * fixed timetable. Message k carries `"version":first+k`; a latency is the arrival at a socket
 * minus the instant at which message k *should* have been sent, so a server that stalls is
 * charged for everything that waited. Prints one JSON object. `wsload --help` tells the
 * options.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
enum { IN_MAX = 1 << 18, HEAD_MAX = 4096, IN_FLIGHT = 256, PIDS_MAX = 64 };

static struct {
    const char *host, *path, *publish_path, *body, *header, *greeting;
    int port, publish_port, clients, rate, seconds, warm_up;
    long first;
    bool socket_io;
    int pid[PIDS_MAX];
    int pids;
} opt = { .host = "127.0.0.1", .path = "/", .clients = 100, .seconds = 5, .warm_up = 1 };

/* One socket. What is left of an unfinished frame is kept; most of the time that is nothing. */
struct conn {
    int fd;
    bool open;
    unsigned char *rest;
    size_t rest_len;
};

static struct conn *conns;
static int ep, opened, lost;
static unsigned char in[IN_MAX];

/* --- time and figures
 * --------------------------------------------------------------------------- */

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Logarithmic, 64 steps per power of two: at most 1.6 % off, whatever the range. */
static uint64_t histogram[64 * 64], deliveries, bytes_in, early;
static int64_t largest;

static void
histogram_add(int64_t ns)
{
    uint64_t v = ns < 0 ? 0 : (uint64_t)ns;
    if (ns > largest)
        largest = ns;
    int shift = v < 64 ? 0 : 57 - __builtin_clzll(v); /* v >> shift is 64..127 */
    histogram[(v >> shift) + (uint64_t)shift * 64]++;
}

static double
histogram_ms(double quantile)
{
    uint64_t want = (uint64_t)((double)deliveries * quantile), seen = 0;
    for (unsigned k = 0; k < sizeof histogram / sizeof *histogram; k++) {
        seen += histogram[k];
        if (seen > want)
            return (double)(k < 128 ? k : (k % 64 + 64ULL) << (k / 64 - 1)) / 1e6;
    }
    return (double)largest / 1e6;
}

static void
die(const char *what)
{
    fprintf(stderr, "wsload: %s: %s\n", what, errno ? strerror(errno) : "refused");
    exit(1);
}

/* CPU seconds and resident bytes of the server's processes, as the kernel counts them. */
static void
servers(double *cpu, double *rss)
{
    *cpu = *rss = 0;
    for (int k = 0; k < opt.pids; k++) {
        char name[64], line[1024];
        snprintf(name, sizeof name, "/proc/%d/stat", opt.pid[k]);
        FILE *f = fopen(name, "r");
        if (!f)
            continue;
        size_t got = fread(line, 1, sizeof line - 1, f);
        fclose(f);
        line[got] = 0;
        unsigned long user, sys;
        long pages;
        char *after = strrchr(line, ')');
        if (after &&
            sscanf(after + 2,
                   "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
                   "%*d %*d %*u %*u %ld",
                   &user, &sys, &pages) == 3) {
            *cpu += (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
            *rss += (double)pages * (double)sysconf(_SC_PAGESIZE);
        }
    }
}

/* --- sockets
 * ------------------------------------------------------------------------------------ */

static int
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

static void
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
send_frame(int fd, int opcode, const void *data, size_t len)
{
    unsigned char f[131] = { (unsigned char)(0x80 | opcode), (unsigned char)(0x80 | len) };
    if (len > 125)
        return;
    memcpy(f + 6, data, len); /* a mask of zeros is a mask, too */
    send_all(fd, f, 6 + len);
}

static void
begin(struct conn *c)
{
    char head[HEAD_MAX];
    c->fd = dial(opt.port);
    int n = snprintf(
        head, sizeof head,
        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
        opt.path, opt.host, opt.port, opt.header ? opt.header : "", opt.header ? "\r\n" : "");
    send_all(c->fd, head, (size_t)n);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

static void
gone(struct conn *c)
{
    close(c->fd);
    free(c->rest);
    *c = (struct conn){ .fd = -1 };
    lost++;
}

/* --- messages
 * ----------------------------------------------------------------------------------- */

static int64_t *intended; /* by message; 0: before the measured time */
static long planned;
static long measured_from;

static long
version_in(const char *s, size_t len)
{
    static const char key[] = "\"version\":";
    const char *p = memmem(s, len, key, sizeof key - 1);
    return p ? strtol(p + sizeof key - 1, NULL, 10) : -1;
}

static void
on_text(struct conn *c, const char *s, size_t len)
{
    if (opt.socket_io && len == 1 && *s == '2') {
        send_frame(c->fd, OPCODE_TEXT, "3", 1);
        return;
    }
    long k = version_in(s, len) - opt.first;
    if (k < 0 || k >= planned)
        return;
    if (k < measured_from || intended[k] == 0) {
        early++;
        return;
    }
    deliveries++;
    bytes_in += len;
    histogram_add(now_ns() - intended[k]);
}

/* Whole frames of `s`; returns how many bytes they were. */
static size_t
frames(struct conn *c, const unsigned char *s, size_t len)
{
    size_t at = 0;
    while (len - at >= 2) {
        size_t head = 2, n = s[at + 1] & 127;
        if (n == 126)
            head = 4;
        else if (n == 127)
            head = 10;
        if (len - at < head)
            break;
        if (n >= 126) {
            n = 0;
            for (size_t k = 2; k < head; k++)
                n = n << 8 | s[at + k];
        }
        if (len - at - head < n)
            break;
        const char *body = (const char *)s + at + head;
        int opcode = s[at] & 15;
        if (opcode == OPCODE_PING)
            send_frame(c->fd, OPCODE_PONG, body, n);
        else if (opcode == OPCODE_CLOSE)
            fprintf(stderr, "wsload: closed by the server: %d\n",
                    n >= 2 ? (unsigned char)body[0] << 8 | (unsigned char)body[1] : 0);
        else if (opcode == OPCODE_TEXT)
            on_text(c, body, n);
        at += head + n;
    }
    return at;
}

/* The answer to the handshake; what follows it is frames. */
static size_t
handshake(struct conn *c, const unsigned char *s, size_t len)
{
    const char *end = memmem(s, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (len < 12 || memcmp(s + 9, "101", 3) != 0) {
        fprintf(stderr, "wsload: %.*s\n", (int)(end - (const char *)s), (const char *)s);
        errno = 0;
        die("handshake");
    }
    c->open = true;
    opened++;
    if (opt.greeting)
        send_frame(c->fd, OPCODE_TEXT, opt.greeting, strlen(opt.greeting));
    return (size_t)(end + 4 - (const char *)s);
}

static void
on_bytes(struct conn *c)
{
    size_t len = c->rest_len;
    if (len)
        memcpy(in, c->rest, len);
    ssize_t n = recv(c->fd, in + len, sizeof in - len, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        gone(c);
        return;
    }
    if (n < 0)
        return;
    len += (size_t)n;
    size_t used = c->open ? 0 : handshake(c, in, len);
    if (c->open)
        used += frames(c, in + used, len - used);
    c->rest_len = len - used;
    if (c->rest_len) {
        c->rest = realloc(c->rest, c->rest_len);
        memcpy(c->rest, in + used, c->rest_len);
    }
}

/* --- the publisher
 * ------------------------------------------------------------------------------ */

static struct {
    int fd;
    bool waiting;
    char answer[1 << 16];
    size_t len;
    long next, done, failed;
} pub = { .fd = -1 };

static void
publish(void)
{
    static char request[1 << 14], body[1 << 13];
    int n = 0;
    for (const char *p = opt.body; *p && n < (int)sizeof body - 32; p++) {
        if (p[0] == '@' && p[1] == 'v')
            n += snprintf(body + n, 32, "%ld", opt.first + pub.next), p++;
        else
            body[n++] = *p;
    }
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n"
                       "%s%sContent-Length: %d\r\n\r\n%.*s",
                       opt.publish_path, opt.host, opt.publish_port,
                       opt.header ? opt.header : "", opt.header ? "\r\n" : "", n, n, body);
    send_all(pub.fd, request, (size_t)len);
    pub.next++;
    pub.waiting = true;
    pub.len = 0;
}

/* Whether the answer is whole: by its length, by its last chunk. */
static bool
answered(void)
{
    pub.answer[pub.len] = 0;
    char *end = strstr(pub.answer, "\r\n\r\n"), *line;
    if (!end)
        return false;
    if ((line = strcasestr(pub.answer, "\r\ncontent-length:")) && line < end)
        return pub.len >= (size_t)(end + 4 - pub.answer) + strtoul(line + 17, NULL, 10);
    return pub.len >= 5 && memcmp(pub.answer + pub.len - 5, "0\r\n\r\n", 5) == 0;
}

static void
on_answer(void)
{
    ssize_t n = recv(pub.fd, pub.answer + pub.len, sizeof pub.answer - 1 - pub.len, 0);
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        die("the publisher's connection ended");
    }
    pub.len += (size_t)n;
    if (!answered())
        return;
    pub.waiting = false;
    pub.done++;
    if (pub.answer[9] != '2') {
        if (pub.failed++ == 0)
            fprintf(stderr, "wsload: publish: %.200s\n", pub.answer);
    }
}

/* --- the run
 * ------------------------------------------------------------------------------------ */

static void
turn(int timeout_ms)
{
    struct epoll_event e[512];
    int n = epoll_wait(ep, e, 512, timeout_ms);
    for (int k = 0; k < n; k++) {
        if (e[k].data.ptr == &pub)
            on_answer();
        else
            on_bytes(e[k].data.ptr);
    }
}

static double
connect_all(void)
{
    int64_t t = now_ns();
    for (int k = 0; k < opt.clients; k++) {
        begin(&conns[k]);
        while (k + 1 - opened - lost >= IN_FLIGHT)
            turn(1000);
        turn(0);
    }
    while (opened + lost < opt.clients)
        turn(1000);
    return opt.clients / ((double)(now_ns() - t) / 1e9);
}

static void
settle(double seconds)
{
    for (int64_t end = now_ns() + (int64_t)(seconds * 1e9); now_ns() < end;)
        turn(20);
}

/* Publishes on the timetable; returns when everything planned was answered, or far too late. */
static void
publish_all(int64_t start)
{
    int64_t step = 1000000000LL / opt.rate;
    int64_t give_up = start + (opt.warm_up + opt.seconds + 10) * 1000000000LL;
    for (long k = 0; k < planned; k++)
        intended[k] = start + k * step;
    while ((pub.next < planned || pub.waiting) && now_ns() < give_up) {
        int64_t left = pub.next < planned ? intended[pub.next] - now_ns() : 1000000;
        if (!pub.waiting && pub.next < planned && left <= 0)
            publish();
        turn(pub.waiting || left > 1000000 ? 1 : 0);
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
            "  --first N         the version that the first message causes\n"
            "  --header H        one more header line for both kinds of requests\n"
            "  --greeting T      a text message to send once a socket is open\n"
            "  --socket-io       answer the pings of Engine.IO\n"
            "  --pid N           a server process to count CPU time and memory of; many\n");
}

static void
options(int argc, char **argv)
{
    enum {
        HOST,
        PORT,
        PATH,
        CLIENTS,
        RATE,
        SECONDS,
        WARM,
        PPORT,
        PPATH,
        BODY,
        FIRST,
        HEADER,
        GREETING,
        SIO,
        PID,
        HELP
    };
    static const struct option table[] = { { "host", 1, 0, HOST },
                                           { "port", 1, 0, PORT },
                                           { "path", 1, 0, PATH },
                                           { "clients", 1, 0, CLIENTS },
                                           { "rate", 1, 0, RATE },
                                           { "seconds", 1, 0, SECONDS },
                                           { "warm-up", 1, 0, WARM },
                                           { "body", 1, 0, BODY },
                                           { "publish-port", 1, 0, PPORT },
                                           { "publish-path", 1, 0, PPATH },
                                           { "first", 1, 0, FIRST },
                                           { "header", 1, 0, HEADER },
                                           { "greeting", 1, 0, GREETING },
                                           { "socket-io", 0, 0, SIO },
                                           { "pid", 1, 0, PID },
                                           { "help", 0, 0, HELP },
                                           { 0 } };
    const char **text[] = {
        [HOST] = &opt.host, [PATH] = &opt.path,     [PPATH] = &opt.publish_path,
        [BODY] = &opt.body, [HEADER] = &opt.header, [GREETING] = &opt.greeting,
        [HELP] = NULL
    };
    int *number[] = { [PORT] = &opt.port,    [CLIENTS] = &opt.clients,
                      [RATE] = &opt.rate,    [SECONDS] = &opt.seconds,
                      [WARM] = &opt.warm_up, [PPORT] = &opt.publish_port,
                      [HELP] = NULL };
    for (int k; (k = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (k == '?' || k == HELP) {
            usage(k == HELP ? stdout : stderr);
            exit(k == HELP ? 0 : 2);
        }
        if (text[k])
            *text[k] = optarg;
        else if (number[k])
            *number[k] = atoi(optarg);
        else if (k == FIRST)
            opt.first = atol(optarg);
        else if (k == PID && opt.pids < PIDS_MAX)
            opt.pid[opt.pids++] = atoi(optarg);
        else
            opt.socket_io = true;
    }
}

int
main(int argc, char **argv)
{
    options(argc, argv);
    struct rlimit files = { 65536, 65536 };
    setrlimit(RLIMIT_NOFILE, &files);
    ep = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.clients, sizeof *conns);
    planned = (long)opt.rate * (opt.warm_up + opt.seconds);
    measured_from = (long)opt.rate * opt.warm_up;
    intended = calloc((size_t)planned + 1, sizeof *intended);

    double cpu0, cpu1, rss0, rss1, rss_now;
    servers(&cpu0, &rss0);
    double connects = connect_all();
    settle(1);
    servers(&cpu1, &rss1);
    double connect_cpu = cpu1 - cpu0;
    if (opt.rate) {
        pub.fd = dial(opt.publish_port);
        fcntl(pub.fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &pub };
        epoll_ctl(ep, EPOLL_CTL_ADD, pub.fd, &e);
    }
    servers(&cpu0, &rss_now);
    int64_t start = now_ns() + 10000000;
    if (opt.rate)
        publish_all(start);
    double took = (double)(now_ns() - start) / 1e9; /* of warm-up and measure */
    if (!opt.rate) {
        settle(opt.seconds);
        took = opt.seconds;
    }
    servers(&cpu1, &rss_now);
    for (uint64_t before = ~0ULL; before != deliveries;) {
        before = deliveries;
        settle(0.5);
    }
    double wanted = (double)(planned - measured_from) * opt.clients;
    printf("{\"clients\":%d,\"lost\":%d,\"connects_per_s\":%.0f,\"connect_cpu_s\":%.3f,"
           "\"rss_per_socket\":%.0f,\"published\":%ld,\"failed\":%ld,\"seconds\":%.3f,"
           "\"deliveries\":%llu,\"wanted\":%.0f,\"bytes\":%llu,\"server_cpu_s\":%.3f,"
           "\"all_deliveries\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_"
           "ms\":%.3f}\n",
           opt.clients, lost, connects, connect_cpu, (rss1 - rss0) / opt.clients, pub.done,
           pub.failed, took, (unsigned long long)deliveries, wanted,
           (unsigned long long)bytes_in, cpu1 - cpu0, (unsigned long long)(deliveries + early),
           histogram_ms(.5), histogram_ms(.99), histogram_ms(.999), (double)largest / 1e6);
    return 0;
}
