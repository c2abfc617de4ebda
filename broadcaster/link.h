/*
 * link.h - a connection to Redis on the event loop, kept up for ever.
 *
 * Plain hiredis (reader and buffers) on a socket watched by libuv; hiredis's own async API is
 * not used, because it aborts on some pushes and swallows PING while subscribed. Connecting has
 * a deadline of 1 s, a reply of 2 s; after a failure the next try comes after a jittered
 * pause of at most 500 ms. A link either answers batches in order (link_send), or hands over
 * every reply as it comes (a subscriber: link_push). Names are resolved by libuv, off the loop.
 */
#ifndef BROADCASTER_LINK_H
#define BROADCASTER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct conf;
struct link; /* opaque */
struct redisReply;
struct redis_batch;

struct link_calls {
    void (*up)(void *ctx);
    void (*lost)(void *ctx); /* after up only; batches under way have been answered */
    /* A reply that belongs to no batch, borrowed. NULL: then it is a failure of the link. */
    void (*push)(void *ctx, const struct redisReply *reply);
    void *ctx;
};

/* Begins to connect at once. `name` is for the log and for CLIENT SETNAME. */
struct link *link_new(uv_loop_t *loop, const struct conf *conf, const char *name,
                      const struct link_calls *calls);
/* No call is made any more; the memory goes when the loop has closed the handles. Batches under
 * way are answered as lost. */
void link_close(struct link *l);

bool link_is_up(const struct link *l);
/* Batches under way. */
int link_pending(const struct link *l);

typedef void link_done(void *ctx, struct redis_batch *b, bool complete);
/*
 * Send a batch, which stays the caller's; done(ctx, b, true) when all its replies are there,
 * false when the link was lost before. False, and no call: the link is down.
 */
bool link_send(struct link *l, struct redis_batch *b, link_done *done, void *ctx);

/* Send RESP bytes whose replies go to `push`. Ignored while the link is down. */
void link_push(struct link *l, const char *bytes, size_t len);
/* Microseconds (monotonic) of the last byte received. */
int64_t link_heard_us(const struct link *l);
/* Give the connection up and connect anew. */
void link_fail(struct link *l, const char *why);

#endif
