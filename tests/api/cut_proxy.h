/*
 * cut_proxy.h - a unix-socket proxy in a thread, in front of a private Redis, that can lose the
 * answer of the next commit in several ways and counts what passes.
 */
#ifndef TESTS_API_CUT_PROXY_H
#define TESTS_API_CUT_PROXY_H

#include "private_redis.h"

enum cut {
    CUT_NONE,
    CUT_BEFORE, /* hang up instead of passing the commit on */
    CUT_AFTER,  /* pass it on, await the reply, hang up instead of passing that on */
    CUT_LATE,   /* hang up, and pass it on just before the next commit */
    CUT_SLOW    /* pass it on 1.2 s later */
};

struct cut_proxy; /* opaque */

/* Listens on <dir of redis>/proxy. */
struct cut_proxy *cut_proxy_new(const struct private_redis *redis);
void cut_proxy_free(struct cut_proxy *p);
const char *cut_proxy_url(const struct cut_proxy *p);
/* What to do with the next commit; once. */
void cut_proxy_arm(struct cut_proxy *p, enum cut how);
/* Chunks from the client since the last call: one per batch, while batches are small. */
int cut_proxy_requests(struct cut_proxy *p);

#endif
