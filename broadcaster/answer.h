/* answer.h - what a broadcaster answers to a request that becomes no WebSocket. */
#ifndef BROADCASTER_ANSWER_H
#define BROADCASTER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define ANSWER_JSON "application/json; charset=utf-8"

struct answer {
    unsigned status;
    const char *type;   /* Content-Type; NULL: ANSWER_JSON */
    const char *header; /* "Name: value", NULL none */
    const char *body;
    size_t len; /* of the body */
    bool bare;  /* to HEAD: without the body */
};

/*
 * Answer on the non-blocking TCP socket `fd`, and close it: every answer is the last of its
 * connection. What the socket does not take at once goes out as the peer reads; who has not
 * read all of it in ANSWER_WAIT_MS is cut, so nobody holds a socket, or up the end of the loop,
 * for longer. One write, and no allocation but the text's, for what fits
 * the send buffer of a fresh socket.
 */
#define ANSWER_WAIT_MS 5000
void answer_send(uv_loop_t *loop, int fd, const struct answer *a);

/* {"error":{"code":...,"message":...}}, which is what "more" goes into, in `out`: "" or further
 * members, each with a comma before it. */
void answer_error(struct answer *a, char *out, size_t size, const char *code,
                  const char *message, const char *more);

#endif
