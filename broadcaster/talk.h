/*
 * talk.h - the conversation with one client: greeting, its messages, their limits and answers
 * (spec sync, section 7). Works on bytes and structs, no socket.
 */
#ifndef BROADCASTER_TALK_H
#define BROADCASTER_TALK_H

#include "common/buf.h"
#include "common/limit.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct clients;
struct frame;
struct hub;
struct passes;
struct server_clock;

#define TALK_MESSAGE_MAX (10 * 1024)
#define TALK_FAULTS_PER_MINUTE 10

struct talk {
    struct hub *hub;
    const struct server_clock *clock;
    struct passes *passes;      /* the owner sets it */
    struct limit_rule messages; /* count 0: any number */
    /* The owner keeps it: changes do not come through at the moment. A PONG says so. */
    bool store_is_away;
    struct buf text; /* scratch */
};

/* `messages` NULL: as many as a client likes. */
void talk_init(struct talk *t, struct hub *hub, const struct server_clock *clock,
               const struct limit_rule *messages);
void talk_fini(struct talk *t);

/* Epoch ms of the server clock. */
int64_t talk_now_ms(const struct talk *t);

/* Greet an open client that watches `id` (NULL: no session); `delta`: by STATE_DELTA. */
void talk_hello(struct talk *t, struct client *c, const char *id, bool delta);

/*
 * What the client has sent, frames and parts of them: messages are answered, so are pings and a
 * Close, and a frame that nobody may send is closed with 1002. False: nothing more of it
 * counts, and all that was queued for it has been written as far as the socket took it.
 */
bool talk_read(struct talk *t, struct client *c, const void *data, size_t len);

#endif
