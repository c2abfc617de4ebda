/*
 * foyer.h - where an accepted socket waits until the head of its request is there.
 *
 * The head is read, and nothing behind it, when it is there as a whole; one that is none is
 * answered here. Costs two system calls when the head is there at once. Nobody who waits holds
 * more than its socket and a handle.
 */
#ifndef BROADCASTER_FOYER_H
#define BROADCASTER_FOYER_H

#include <uv.h>

struct foyer; /* opaque */
struct head;

/* Whoever waits longer is answered 408, and when more come, so is who has waited longest. */
#define FOYER_MAX 1024
#define FOYER_WAIT_MS 10000

/* Who takes the socket of a request with this head, which is borrowed. */
typedef void foyer_pass(void *ctx, int fd, const struct head *head);

struct foyer *foyer_new(uv_loop_t *loop, foyer_pass *pass, void *ctx);
/* Takes the non-blocking TCP socket `fd`; may pass it on before it returns. */
void foyer_enter(struct foyer *f, int fd);
/* How many wait. */
int foyer_count(const struct foyer *f);
/* Closes those who wait; the rest is freed by the loop. NULL is a no-op. */
void foyer_close(struct foyer *f);

#endif
