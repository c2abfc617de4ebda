/*
 * socket.h - the socket of a client: read as bytes come, written at once. What the kernel does
 * not take is kept and goes out before anything else; until then the socket is stuck. It is
 * read all the same; so that who talks and never reads does not stay for ever, the kernel ends
 * a socket of which nothing is taken for a time.
 *
 * One system call for each read and each write; no allocation and no copy but of what the
 * kernel did not take.
 */
#ifndef BROADCASTER_SOCKET_H
#define BROADCASTER_SOCKET_H

#include "client.h"
#include <uv.h>

/* Most that is read in one go. */
#define SOCKET_READ_MAX 16384

/* Called by the loop, none from within a function of this or of client.h. */
struct socket_calls {
    void (*received)(void *ctx, struct client *c, const void *data, size_t len);
    /* It is no longer stuck, or somebody wanted to write (client_io). */
    void (*writable)(void *ctx, struct client *c);
    /* It has ended: client_gone is due. The memory goes after this. */
    void (*gone)(void *ctx, struct client *c);
    void *ctx;
    unsigned
        patience_ms; /* whoever takes nothing of what waits for so long is ended; 0: nobody */
};

/* How clients reach their sockets. */
extern const struct client_io socket_io;

/*
 * Take the connected, non-blocking socket `fd`: a zeroed client that is in no set yet
 * (client_open), and lives until its socket is cut or the peer has ended it. `calls` outlives
 * it. NULL: it could not be polled, and is closed.
 */
struct client *socket_open(uv_loop_t *loop, int fd, const struct socket_calls *calls);
/* Nothing more is written; the peer sees the end behind what was, and may go on. */
void socket_end(struct client *c);

#endif
