/*
 * publish.c - sends messages on the timetable, each publisher on a connection and thread of its
 * own, so that the many sockets that are read meanwhile do not hold it up.
 */
#include "wsload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MAX = 1 << 13, IN_MAX = 1 << 16, ANSWER_S = 10, LATE_S = 2 };

static atomic_long done, failed, bytes;
static atomic_int busy;

struct publisher {
    int fd;
    char in[IN_MAX + 1];
    size_t len; /* of `in`, only while the head is not complete */
};

static int
dial_redis(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", opt.publish_redis);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die(opt.publish_redis);
    return fd;
}

/* A header line that was asked for, or nothing. */
static int
line(char *out, size_t size, const char *header)
{
    return header ? snprintf(out, size, "%s\r\n", header) : 0;
}

static int
http_request(char *out, size_t size, const char *body, int n)
{
    int len = snprintf(out, size,
                       "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: "
                       "application/json\r\nContent-Length: %d\r\n",
                       opt.publish_path, opt.host, opt.publish_port, n);
    len += line(out + len, size - (size_t)len, opt.header);
    len += line(out + len, size - (size_t)len, opt.publish_header);
    return len + snprintf(out + len, size - (size_t)len, "\r\n%.*s", n, body);
}

static int
redis_request(char *out, size_t size, const char *body, int n)
{
    return snprintf(out, size, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%d\r\n%.*s\r\n",
                    strlen(opt.publish_path), opt.publish_path, n, n, body);
}

static void
post(struct publisher *p, long k)
{
    char body[BODY_MAX], request[2 * BODY_MAX];
    int n = 0;
    for (const char *s = opt.body; *s && n < BODY_MAX - 32; s++) {
        if (s[0] == '@' && s[1] == 'v')
            n += snprintf(body + n, 32, "%ld", opt.first + k), s++;
        else
            body[n++] = *s;
    }
    int len =
        (opt.publish_redis ? redis_request : http_request)(request, sizeof request, body, n);
    send_all(p->fd, request, (size_t)len);
}

static size_t
more(struct publisher *p, size_t have)
{
    ssize_t n = recv(p->fd, p->in + have, IN_MAX - have, 0);
    if (n <= 0)
        die("no answer to a publisher");
    p->in[have + (size_t)n] = 0;
    return (size_t)n;
}

/* Reads one whole answer, and counts it when its status is none of success. */
static void
answer(struct publisher *p)
{
    size_t len = 0;
    char *end = NULL, *line;
    if (opt.publish_redis) {
        while (len == 0 || p->in[len - 1] != '\n')
            len += more(p, len);
        if (p->in[0] != ':')
            die(p->in);
        return;
    }
    while (!end) {
        len += more(p, len);
        end = strstr(p->in, "\r\n\r\n");
    }
    if (p->in[9] != '2' && atomic_fetch_add(&failed, 1) == 0)
        fprintf(stderr, "wsload: publish: %.300s\n", p->in);
    size_t body = len - (size_t)(end + 4 - p->in);
    if ((line = strcasestr(p->in, "\r\ncontent-length:")) && line < end) {
        size_t length = strtoul(line + 17, NULL, 10);
        while (body < length)
            body += more(p, 0);
    } else { /* chunked: until its end */
        while (len < 5 || memcmp(p->in + len - 5, "0\r\n\r\n", 5) != 0)
            body += len = more(p, 0);
    }
    atomic_fetch_add(&bytes, (long)body);
}

static void *
publish(void *arg)
{
    long k = *(int *)arg;
    struct publisher *p = calloc(1, sizeof *p);
    struct timeval patience = { .tv_sec = ANSWER_S };
    p->fd = opt.publish_redis ? dial_redis() : dial(opt.publish_port);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (; k < planned; k += opt.publishers) {
        struct timespec at = { intended[k] / 1000000000, intended[k] % 1000000000 };
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {
        }
        /* Whoever is this late has been measured; the rest would only take time. */
        if (now_ns() - intended[k] > LATE_S * 1000000000LL)
            break;
        post(p, k);
        answer(p);
        atomic_fetch_add(&done, 1);
    }
    close(p->fd);
    free(p);
    free(arg);
    atomic_fetch_sub(&busy, 1);
    return NULL;
}

void
publish_start(void)
{
    atomic_store(&busy, opt.publishers);
    for (int k = 0; k < opt.publishers; k++) {
        pthread_t t;
        int *first = malloc(sizeof *first);
        *first = k;
        if (pthread_create(&t, NULL, publish, first) != 0)
            die("thread");
        pthread_detach(t);
    }
}

bool
publish_busy(void)
{
    return atomic_load(&busy) > 0;
}

long
publish_done(void)
{
    return atomic_load(&done);
}

long
publish_failed(void)
{
    return atomic_load(&failed);
}

long
publish_bytes(void)
{
    return atomic_load(&bytes);
}
