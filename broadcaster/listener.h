/*
 * listener.h - a TCP socket that listens. SO_REUSEPORT: every broadcaster of the host
 * has its own, and the kernel spreads connections over them. Accepted sockets get
 * TCP_NODELAY and a bounded send buffer, so that a stalled reader holds little of the kernel.
 */
#ifndef BROADCASTER_LISTENER_H
#define BROADCASTER_LISTENER_H

#include <stdint.h>
#include <uv.h>

struct listener; /* opaque */

/* Listen; ends the process when the address cannot be had. on_socket(ctx, fd) owns the fd. */
struct listener *listener_new(uv_loop_t *loop, const char *host, int64_t port,
                              void (*on_socket)(void *ctx, int fd), void *ctx);
/* Accept what has arrived, then no more. The memory goes with the loop's handles. */
void listener_close(struct listener *l);

#endif
