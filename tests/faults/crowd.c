/* crowd.c - options, the loop, and what players and watchers share; see crowd.h */
#include "crowd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS_MAX = 1000, PLAYERS_MAX = 2000, WATCHERS_MAX = 20000, MEASURE_US = 1000000 };

struct crowd crowd;

static struct session sessions[SESSIONS_MAX];
static struct player *players[PLAYERS_MAX];
static struct watcher *watchers[WATCHERS_MAX];
static int n_sessions, n_players, n_watchers;

int64_t
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

unsigned
draw(unsigned n)
{
    return (unsigned)rand_r(&crowd.seed) % n;
}

int
dial(struct source *who)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)crowd.port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = who };
    epoll_ctl(crowd.ep, EPOLL_CTL_ADD, fd, &e);
    return fd;
}

void
send_all(int fd, const void *data, size_t len)
{
    for (const char *p = data; len > 0;) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (n > 0)
            p += n, len -= (size_t)n;
    }
}

/* --- what a text says --- */

static const char *
behind(const char *json, size_t len, const char *key)
{
    const char *p = memmem(json, len, key, strlen(key));
    return p ? p + strlen(key) : NULL;
}

static long
number_of(const char *json, size_t len, const char *key)
{
    const char *p = behind(json, len, key);
    return p ? strtol(p, NULL, 10) : -1;
}

static int
epoch_of(struct session *s, const char *json, size_t len)
{
    static int made;
    const char *p = behind(json, len, "\"epoch\":\""), *end;
    if (!p || !(end = memchr(p, '"', len - (size_t)(p - json))) || end - p >= EPOCH_SIZE)
        return -1;
    size_t n = (size_t)(end - p);
    for (int k = s->epochs; k-- > 0;)
        if (strlen(s->epoch[k]) == n && memcmp(s->epoch[k], p, n) == 0)
            return s->epoch_number[k];
    int k = s->epochs < EPOCHS_MAX ? s->epochs++ : EPOCHS_MAX - 1;
    memcpy(s->epoch[k], p, n);
    s->epoch[k][n] = 0;
    s->epoch_number[k] = made++;
    fprintf(crowd.out, "E %d %d %s\n", s->epoch_number[k], s->number, s->epoch[k]);
    return s->epoch_number[k];
}

struct said
said_of(struct session *s, const char *json, size_t len)
{
    const char *state = behind(json, len, "\"status\":\"");
    struct said said = { .epoch = epoch_of(s, json, len),
                         .version = number_of(json, len, "\"version\":"),
                         .cycle = number_of(json, len, "\"cycle_number\":"),
                         .state = state ? *state : '-' };
    if (state && strncmp(state, "paused", 6) == 0)
        said.state = 'z';
    return said;
}

/* --- the run --- */

static void
turn(int timeout_ms)
{
    struct epoll_event e[256];
    int n = epoll_wait(crowd.ep, e, 256, timeout_ms);
    for (int k = 0; k < n; k++) {
        struct source *who = e[k].data.ptr;
        who->ready(who);
    }
}

static void
tend(int64_t now)
{
    for (int k = 0; k < n_players; k++)
        player_check(players[k], now);
    for (int k = 0; k < n_watchers; k++)
        watcher_go(watchers[k], now);
}

/* Everybody in turn may send, at most `most` commands. Returns how many did. */
static int
let_play(int most)
{
    static int next;
    int sent = 0;
    int64_t now = now_us();
    for (int k = 0; k < n_players && sent < most; k++) {
        sent += player_go(players[next], now);
        next = (next + 1) % n_players;
    }
    return sent;
}

static bool
all_done(void)
{
    int n = 0;
    while (n < n_players && player_done(players[n]))
        n++;
    return n == n_players;
}

static int
watching(void)
{
    int n = 0;
    for (int k = 0; k < n_watchers; k++)
        n += watcher_open(watchers[k]);
    return n;
}

/* Sessions are made and all sockets opened before anything is measured. */
static void
prepare(void)
{
    bool done = false;
    for (int64_t end = now_us() + 60000000; !done && now_us() < end;) {
        let_play(n_players);
        tend(now_us());
        turn(5);
        done = all_done() && watching() == n_watchers;
    }
    if (!done) {
        fprintf(stderr, "crowd: not everybody could begin\n");
        exit(1);
    }
}

/* As fast as they can, for a second. Returns answered commands a second. */
static double
measure_peak(void)
{
    int64_t start = now_us(), tended = 0;
    long before = players_answered();
    while (now_us() - start < MEASURE_US) {
        let_play(n_players);
        turn(1);
        if (now_us() - tended > 20000)
            tend(tended = now_us());
    }
    return (double)(players_answered() - before) * 1e6 / (double)(now_us() - start);
}

static void
say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* How fast they play: `rate` commands a second from `start` on, of which `sent` have been. */
struct pace {
    double rate, percent;
    int64_t start;
    double sent;
};

static void
keep_pace(struct pace *p, int64_t now)
{
    double due = (double)(now - p->start) * p->rate / 1e6;
    p->sent -= (double)players_refunded();
    if (due - p->sent > p->rate / 10) /* what was missed is not made up for */
        p->sent = due - p->rate / 10;
    if (due - p->sent >= 1)
        p->sent += let_play((int)(due - p->sent));
}

/* What the test wants, if it said so; false when it is to leave. */
static bool
obey(struct pace *p)
{
    static long counted;
    char word;
    ssize_t n = read(STDIN_FILENO, &word, 1);
    if (n < 0)
        return true;
    if (n == 1 && word == 'm') {
        double peak = measure_peak();
        *p = (struct pace){ p->percent > 0 ? peak * p->percent / 100 : p->rate, p->percent,
                            now_us(), 0 };
        counted = players_answered();
        say("%.0f", peak);
    } else if (n == 1 && word == 'l') {
        say("%ld %d", players_answered() - counted, watching());
        counted = players_answered();
    } else if (n == 1 && word == 's') {
        crowd.phase = STOP;
    } else {
        return false;
    }
    return true;
}

static void
run(struct pace pace)
{
    bool said_done = false;
    int64_t tended = 0;
    while (obey(&pace)) {
        int64_t now = now_us();
        keep_pace(&pace, now);
        turn(1);
        if (now - tended > 20000)
            tend(tended = now);
        if (crowd.phase == STOP && !said_done && all_done()) {
            say("done");
            said_done = true;
        }
    }
}

/* "55%" of what they can, or so many a second. */
static struct pace
pace_of(const char *text)
{
    double number = strtod(text, NULL);
    bool share = strchr(text, '%') != NULL;
    return (struct pace){ share ? 0 : number, share ? number : 0, now_us(), 0 };
}

static void
add_sessions(int count, char kind, int players_each)
{
    for (int k = 0; k < count && n_sessions < SESSIONS_MAX; k++) {
        struct session *s = &sessions[n_sessions];
        s->number = n_sessions++;
        s->kind = kind;
        snprintf(s->id, sizeof s->id, "%08x-%04x-4000-8000-%08x%04x", draw(1U << 30),
                 draw(65536), draw(1U << 30), s->number);
        fprintf(crowd.out, "S %d %s %c\n", s->number, s->id, kind);
        for (int j = 0; j < players_each && n_players < PLAYERS_MAX; j++, n_players++)
            players[n_players] = player_new(n_players, s);
    }
}

int
main(int argc, char **argv)
{
    if (argc != 11) {
        fprintf(stderr,
                "usage: crowd PORT SEED HISTORY GUARDED KEYED CHURNING IDLE TICKING WATCHERS "
                "RATE\nRATE: commands a second, or 55%% of the peak; for standard input see "
                "crowd.h\n");
        return 2;
    }
    struct rlimit files = { 65536, 65536 };
    setrlimit(RLIMIT_NOFILE, &files);
    crowd.port = atoi(argv[1]);
    crowd.seed = (unsigned)atoi(argv[2]);
    crowd.ep = epoll_create1(EPOLL_CLOEXEC);
    crowd.out = fopen(argv[3], "we");
    if (!crowd.out) {
        perror(argv[3]);
        return 1;
    }
    setvbuf(crowd.out, NULL, _IOFBF, 1 << 20);
    static const char kinds[] = "gkcit";
    for (int k = 0; kinds[k]; k++)
        add_sessions(atoi(argv[4 + k]), kinds[k], kinds[k] == 'g' ? 2 : 1);
    for (n_watchers = 0; n_watchers < atoi(argv[9]) && n_watchers < WATCHERS_MAX; n_watchers++)
        watchers[n_watchers] = watcher_new(n_watchers, &sessions[n_watchers % n_sessions]);
    prepare();
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    crowd.phase = PLAY;
    say("ready");
    run(pace_of(argv[10]));
    return fclose(crowd.out) == 0 ? 0 : 1;
}
