/*
 * web.h - a small client of HTTP and WebSocket (RFC 6455), blocking, with a deadline for every
 * step: for trying out what a web server does with our requests.
 *
 * libwebsockets is not used here: it is an event loop that answers pings, retries and follows
 * by itself, and hides the very answers (a 400 of a proxy, a missing header) that are to be
 * seen. OpenSSL's BIO carries the bytes, with TLS and without.
 */
#ifndef CTL_WEB_H
#define CTL_WEB_H

#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct web_socket; /* opaque */

#define WEB_MS 5000 /* for connecting, and for an answer */

struct web_url {
    bool tls;
    char host[256];
    char port[6];
};

/* http[s]://host[:port][/]; an IPv6 host stands in brackets. False when it is none. */
bool web_url_parse(const char *url, struct web_url *out);

struct web_answer {
    int status;       /* 0: there was no answer */
    struct buf *text; /* the caller's: head and body */
    const char *body; /* in it; "" none */
    char error[128];  /* why there was none */
};

/* A header of the answer; "" when it is not there. Borrowed until the next call. */
const char *web_header(const struct web_answer *a, const char *name);

/* GET `path`; `headers` are whole lines or "". True when there was an answer. */
bool web_get(const struct web_url *url, const char *path, const char *headers,
             struct web_answer *a);

/* Upgrade; NULL when the answer is not 101 (a->status) or its proof is wrong (a->error). */
struct web_socket *web_socket_open(const struct web_url *url, const char *path,
                                   const char *headers, struct web_answer *a);
void web_socket_close(struct web_socket *ws); /* NULL is a no-op */

enum web_frame {
    WEB_CLOSED = -1,
    WEB_SILENCE,
    WEB_TEXT = 1,
    WEB_CLOSE = 8,
    WEB_PING,
    WEB_PONG
};

bool web_socket_send(struct web_socket *ws, enum web_frame type, const char *s, size_t len);
/* The next frame, its payload in `out`; pings are answered, and told. WEB_SILENCE: none came
 * for `wait_ms`; WEB_CLOSED: the line is gone. */
enum web_frame web_socket_next(struct web_socket *ws, int64_t wait_ms, struct buf *out);

#endif
