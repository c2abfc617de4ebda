/*
 * reply.h - the answer to one request: built in memory, sent with one write where it fits.
 *
 * A handler starts the body with one of the reply_* functions and prints into the buffer that
 * it returns; status line, CORS, security, X-Request-Id, Server-Time, limit headers and lengths
 * are added by reply_send. Envelopes: {"data": ...} and {"error": {...}} (spec: platform,
 * "Answers").
 */
#ifndef FCGI_REPLY_H
#define FCGI_REPLY_H

#include "common/buf.h"
#include "common/rc.h"
#include <stdbool.h>

struct req;

#define REPLY_JSON_TYPE "application/json; charset=utf-8"
#define REPLY_MAX \
    (32 * 1024 * 1024) /* 1,000 participants are about 300 KB, a batch has 50 times that */
#define REPLY_KEPT (1024 * 1024) /* memory of a longer answer is given back */

struct reply {
    int status;       /* 0: nothing was said yet */
    enum rc rc;       /* of the failure that it tells */
    const char *type; /* Content-Type; NULL: no body */
    bool enveloped;   /* "}" is missing at the end */
    struct buf head;  /* further header lines */
    struct buf body;
};

void reply_init(struct reply *rp);
void reply_fini(struct reply *rp);
/* Forget what was said; the memory is kept. */
void reply_clear(struct reply *rp);

/* Start {"data": and return the buffer for the value; the brace is closed when sent. */
struct buf *reply_data(struct req *rq, int status);
/* Start a body of any type: "{...}" without an envelope, a page. */
struct buf *reply_bare(struct req *rq, int status, const char *type);
/* A status without a body: 204, 304. */
void reply_empty(struct req *rq, int status);
/* The error answer of `f`, instead of whatever was said. `details` (a JSON value) overrides
 * f->details when it is not NULL. */
void reply_fail(struct req *rq, const struct fail *f, const char *details);

/* Only its body. */
void reply_fail_json(struct buf *out, const struct fail *f, const char *details);

/* One more header. Values that hold control characters are left out. */
void reply_header(struct req *rq, const char *name, const char *fmt, ...) PRINTF(3, 4);

/* Append the complete message, "Status: 200 OK" and so on, to `out`: CGI form (RFC 3875). */
void reply_render(struct req *rq, struct buf *out);

#endif
