/*
 * service.h - what answers requests, whatever they come by: connections and one reusable
 * request.
 */
#ifndef FCGI_SERVICE_H
#define FCGI_SERVICE_H

#include "common/buf.h"
#include "fcgi/request.h"

struct io;

struct service {
    struct app app;
    struct req rq;
    struct buf out; /* the rendered answer */
};

/* Make the connections (Redis is not asked yet). Ends the process for a bad TRUSTED_PROXIES. */
void service_init(struct service *s, const struct conf *conf);
void service_fini(struct service *s);

/* Read one request, answer it, finish it, write its access line. */
void service_answer(struct service *s, struct io *io);

#endif
