/* watchers.c - those who hold a WebSocket; see crowd.h */
#include "crowd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TEXT = 1,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    AGAIN_US = 100000,
    OPEN_AT_MOST_US = 10000000
};

struct watcher {
    struct source source;
    int number, fd;
    struct session *s;
    bool open; /* the handshake was answered */
    int64_t began, not_before;
    unsigned char *rest; /* of an unfinished frame */
    size_t rest_len;
};

static unsigned char in[IN_MAX];

static void on_bytes(struct source *source);

struct watcher *
watcher_new(int number, struct session *s)
{
    struct watcher *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    *w = (struct watcher){ .source.ready = on_bytes, .number = number, .fd = -1, .s = s };
    return w;
}

bool
watcher_open(const struct watcher *w)
{
    return w->open;
}

static void
gone(struct watcher *w)
{
    if (w->open)
        fprintf(crowd.out, "X %lld %d\n", (long long)now_us(), w->number);
    if (w->fd >= 0)
        close(w->fd);
    free(w->rest);
    w->rest = NULL;
    w->rest_len = 0;
    w->fd = -1;
    w->open = false;
    w->not_before = now_us() + AGAIN_US + draw(AGAIN_US);
}

void
watcher_go(struct watcher *w, int64_t now)
{
    if (w->fd >= 0 && !w->open && now - w->began > OPEN_AT_MOST_US)
        gone(w);
    if (w->fd >= 0 || now < w->not_before)
        return;
    w->fd = dial(&w->source);
    if (w->fd < 0) {
        w->not_before = now + AGAIN_US;
        return;
    }
    w->began = now;
    char head[512];
    int n =
        snprintf(head, sizeof head,
                 "GET /ws?sessionId=%s%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 w->s->id, w->number % 3 == 0 ? "&delta=1" : "");
    send_all(w->fd, head, (size_t)n);
}

static void
on_text(struct watcher *w, const char *text, size_t len)
{
    static const struct {
        const char *type;
        char kind;
    } types[] = { { "\"STATE_UPDATE\"", 'u' }, { "\"STATE_DELTA\"", 'd' },
                  { "\"STATE_SYNC\"", 's' },   { "\"SESSION_DELETED\"", 'x' },
                  { "\"TIME_EXPIRED\"", 'l' }, { "\"ERROR\"", 'n' } };
    for (unsigned k = 0; k < sizeof types / sizeof *types; k++) {
        if (!memmem(text, len < 40 ? len : 40, types[k].type, strlen(types[k].type)))
            continue;
        struct said said = said_of(w->s, text, len);
        fprintf(crowd.out, "W %lld %d %c %d %ld %c %ld\n", (long long)now_us(), w->number,
                types[k].kind, said.epoch, said.version, said.state, said.cycle);
        return;
    }
}

static void
pong(struct watcher *w, const char *body, size_t n)
{
    unsigned char f[131] = { 0x80 | PONG, (unsigned char)(0x80 | n) };
    if (n > 125)
        return;
    memcpy(f + 6, body, n); /* a mask of zeros is a mask, too */
    send_all(w->fd, f, 6 + n);
}

/* Whole frames of `s`; returns how many bytes they were. */
static size_t
frames(struct watcher *w, const unsigned char *s, size_t len)
{
    size_t at = 0;
    while (len - at >= 2) {
        size_t n = s[at + 1] & 127, head = n == 126 ? 4 : n == 127 ? 10 : 2;
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
        if ((s[at] & 15) == CLOSE) {
            gone(w);
            return len;
        }
        if ((s[at] & 15) == PING)
            pong(w, body, n);
        else if ((s[at] & 15) == TEXT)
            on_text(w, body, n);
        at += head + n;
    }
    return at;
}

/* The answer to the handshake; what follows it is frames. */
static size_t
handshake(struct watcher *w, const unsigned char *s, size_t len)
{
    const char *end = memmem(s, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(s + 9, "101", 3) != 0) {
        bool retry = memmem(s, (size_t)(end - (const char *)s), "\nRetry-After:", 13) != NULL;
        fprintf(crowd.out, "H %lld %d %d %d\n", (long long)now_us(), w->number,
                atoi((const char *)s + 9), retry);
        gone(w);
        return len;
    }
    w->open = true;
    fprintf(crowd.out, "O %lld %d %d\n", (long long)now_us(), w->number, w->s->number);
    return (size_t)(end + 4 - (const char *)s);
}

static void
on_bytes(struct source *source)
{
    struct watcher *w = (struct watcher *)source;
    if (w->fd < 0)
        return;
    size_t len = w->rest_len, used = 0;
    if (len)
        memcpy(in, w->rest, len);
    ssize_t n = recv(w->fd, in + len, sizeof in - len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gone(w);
        return;
    }
    len += (size_t)n;
    if (!w->open)
        used = handshake(w, in, len);
    if (w->open)
        used += frames(w, in + used, len - used);
    w->rest_len = w->fd < 0 ? 0 : len - used;
    if (w->rest_len) {
        unsigned char *rest = realloc(w->rest, w->rest_len);
        if (!rest)
            abort();
        memcpy(rest, in + used, w->rest_len);
        w->rest = rest;
    }
}
