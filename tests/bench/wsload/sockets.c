/*
 * sockets.c - many WebSockets in one thread: epoll, raw RFC 6455, no more work per message than
 * to find its version.
 */
#include "wsload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
enum { IN_MAX = 4 << 20, HEAD_MAX = 8192, IN_FLIGHT = 256 };

/* One socket. What is left of an unfinished frame is kept; most of the time that is nothing. */
struct conn {
    int fd;
    bool open;
    unsigned char *rest;
    size_t rest_len;
};

static int ep = -1;
static unsigned char in[IN_MAX];
int opened, lost;
uint64_t early;

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

/* --- messages --- */

static long
version_in(const char *s, size_t len)
{
    static char key[64];
    static size_t n;
    if (n == 0)
        n = (size_t)snprintf(key, sizeof key, "\"%.50s\":", opt.key);
    const char *p = memmem(s, len, key, n);
    return p ? strtol(p + n, NULL, 10) : -1;
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
    if (k < measured_from || intended[k] == 0)
        early++;
    else
        latency_add(now_ns() - intended[k], len);
}

static void
on_frame(struct conn *c, int opcode, const char *body, size_t n)
{
    if (opcode == OPCODE_PING)
        send_frame(c->fd, OPCODE_PONG, body, n);
    else if (opcode == OPCODE_CLOSE)
        fprintf(stderr, "wsload: closed by the server: %d\n",
                n >= 2 ? (unsigned char)body[0] << 8 | (unsigned char)body[1] : 0);
    else if (opcode == OPCODE_TEXT)
        on_text(c, body, n);
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
        on_frame(c, s[at] & 15, (const char *)s + at + head, n);
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

/* --- all of them --- */

void
sockets_turn(int timeout_ms)
{
    struct epoll_event e[512];
    int n = epoll_wait(ep, e, 512, timeout_ms);
    for (int k = 0; k < n; k++)
        on_bytes(e[k].data.ptr);
}

double
sockets_open(void)
{
    struct conn *conns = calloc((size_t)opt.clients, sizeof *conns);
    int64_t t = now_ns();
    ep = epoll_create1(EPOLL_CLOEXEC);
    for (int k = 0; k < opt.clients; k++) {
        begin(&conns[k]);
        while (k + 1 - opened - lost >= IN_FLIGHT)
            sockets_turn(1000);
        sockets_turn(0);
    }
    while (opened + lost < opt.clients)
        sockets_turn(1000);
    return opt.clients / ((double)(now_ns() - t) / 1e9);
}

void
sockets_settle(double seconds)
{
    for (int64_t end = now_ns() + (int64_t)(seconds * 1e9); now_ns() < end;)
        sockets_turn(20);
}
