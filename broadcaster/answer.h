/* answer.h - what a broadcaster answers to a request that becomes no WebSocket. */
#ifndef BROADCASTER_ANSWER_H
#define BROADCASTER_ANSWER_H

#include <stdbool.h>

struct lws;

struct answer {
    unsigned status;
    const char *header; /* "Name: value", NULL none */
    const char *body;   /* JSON */
    bool bare;          /* to HEAD: without the body */
    bool last;          /* the connection closes */
};

/* Written by us as a whole: before an upgrade the library would say HTTP/1.0. False: the
 * connection is broken. Closing it, where it is the last answer, is the caller's. */
bool answer_send(struct lws *wsi, const struct answer *a);

#endif
