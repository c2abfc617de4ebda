/*
 * foyer.h - where an accepted socket waits until the head of its request is there.
 *
 * libwebsockets 4.1.6 refuses a Sec-WebSocket-Protocol of more than 126 bytes, and a browser
 * can bring its token nowhere else. So each head is looked at (not taken) before the library
 * gets the socket, and one that offers "bearer.<token>" is taken and handed over as if the
 * token had come in an Authorization header; one that the library would only drop (vet.h) is
 * refused, in the envelope of all other answers. Costs one system call when the head is there
 * at once.
 */
#ifndef BROADCASTER_FOYER_H
#define BROADCASTER_FOYER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct buf;
struct foyer; /* opaque */

/* Whoever waits longer is answered 408, and when more come, so is who has waited longest. */
#define FOYER_MAX 1024
#define FOYER_WAIT_MS 10000

/* Who takes the sockets; `head` is what was read of it already, len 0: nothing. */
typedef void foyer_pass(void *ctx, int fd, const char *head, size_t len);

struct foyer *foyer_new(uv_loop_t *loop, foyer_pass *pass, void *ctx);
/* Takes the non-blocking TCP socket `fd`; may pass it on before it returns. */
void foyer_enter(struct foyer *f, int fd);
/* How many wait. */
int foyer_count(const struct foyer *f);
/* Closes those who wait; the rest is freed by the loop. NULL is a no-op. */
void foyer_close(struct foyer *f);

/*
 * Append the head s[0..len) to `out`, a subprotocol "bearer.<token>" moved to Authorization, in
 * place of any that is there. False: it offers none, nothing is appended. Pure.
 */
bool foyer_rewrite(struct buf *out, const char *s, size_t len);

#endif
