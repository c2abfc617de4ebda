/*
 * subscriber.h - the Pub/Sub link: channels of the sessions that somebody here watches, and the
 * `wake` channels of all partitions, revocations of tokens.
 *
 * Pings every 500 ms, also while subscribed: after three without a sign of life the link is
 * given up, so that a frozen Redis is noticed within 2 s. What was asked for is sent once per
 * turn (subscriber_pump). After a loss nothing is subscribed: the owner asks again on `up`.
 */
#ifndef BROADCASTER_SUBSCRIBER_H
#define BROADCASTER_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct conf;
struct subscriber; /* opaque */

struct subscriber_calls {
    void (*up)(void *ctx);
    void (*lost)(void *ctx);
    void (*event)(void *ctx, const char *id, const char *payload, size_t len);
    void (*subscribed)(void *ctx, const char *id);
    void (*unsubscribed)(void *ctx, const char *id);
    void (*wake)(void *ctx, int partition); /* its earliest wake-up moved */
    void (*life)(void *ctx, int partition); /* a new life: epochs changed without an event */
    void (*revoked)(void *ctx, const char *message, size_t len); /* common/revoke.h */
    void *ctx;
};

struct subscriber *subscriber_new(uv_loop_t *loop, const struct conf *conf,
                                  const struct subscriber_calls *calls);
/* As link_close: the memory goes with the loop's handles. */
void subscriber_close(struct subscriber *s);
bool subscriber_is_up(const struct subscriber *s);

/* Channel of a session; confirmed by `subscribed` / `unsubscribed` in the order asked. */
void subscriber_subscribe(struct subscriber *s, const char *id);
void subscriber_unsubscribe(struct subscriber *s, const char *id);
void subscriber_pump(struct subscriber *s);

#endif
