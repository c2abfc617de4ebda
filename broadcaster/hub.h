/*
 * hub.h - session -> watch -> clients: who is told what, and in which order.
 *
 * The hub keeps the state of every session that somebody here watches, fed by the deltas of
 * its channel, and turns each version into one frame for all of its clients. The channel is
 * subscribed before the state is read, so nothing falls between; consecutive versions are
 * applied, older ones ignored, and any gap, new epoch or lost link means reading again. For one
 * client versions only grow. Whoever asks (a new client, RECONNECT) is answered from a load
 * that was sent after the question; questions that come together share it.
 *
 * No I/O: the subscriber and the loader are reached through struct hub_calls.
 */
#ifndef BROADCASTER_HUB_H
#define BROADCASTER_HUB_H

#include "common/rc.h"
#include "protocol.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct hub; /* opaque */
struct session;
struct watch;

#define HUB_LOAD_MAX 32
/* Sessions that one client may watch. */
#define HUB_SUBS_MAX 100

struct hub_calls {
    void (*subscribe)(void *ctx, const char *id);
    void (*unsubscribe)(void *ctx, const char *id);
    /* Read these (n <= HUB_LOAD_MAX), each answered by hub_loaded. False: not now, the hub
     * offers them again. */
    bool (*load)(void *ctx, struct watch **ws, size_t n);
    int64_t (*now_ms)(void *ctx); /* server clock */
    void *ctx;
};

struct hub *hub_new(const struct hub_calls *calls, int64_t watches_max);
/* All clients have left. Loads under way must have been answered. */
void hub_free(struct hub *h);

/* Whether one more session can be watched (or this one is). */
bool hub_has_room(struct hub *h, const char *id);

/* `c` was opened for this session; CONNECTED has been queued. Its state follows. The client is
 * closed when that session is deleted and it watches no other. `delta`: it wants STATE_DELTA.
 */
void hub_join(struct hub *h, struct client *c, const char *id, bool delta);
/* SUBSCRIBE: SUBSCRIBED is queued, the state follows; a session that is watched already is only
 * shown again. Else why not: FAULT_SUBSCRIPTION_LIMIT, FAULT_SERVER_FULL. */
enum fault hub_subscribe(struct hub *h, struct client *c, const struct message *m);
/* UNSUBSCRIBE: UNSUBSCRIBED is queued, and nothing about that session follows. Or
 * FAULT_NOT_SUBSCRIBED. */
enum fault hub_unsubscribe(struct hub *h, struct client *c, const struct message *m);
/* ERROR about this session (NULL or "": about none). */
void hub_refuse(struct hub *h, struct client *c, enum fault fault, const char *id);
/* The socket is gone. */
void hub_leave(struct hub *h, struct client *c);
/* RECONNECT: the state of that session follows; of all that c watches when it names none. Or
 * FAULT_NOT_SUBSCRIBED. */
enum fault hub_reconnect(struct hub *h, struct client *c, const struct message *m);
/* `c` was behind and takes bytes again. */
void hub_catch_up(struct hub *h, struct client *c);

/* --- from the subscriber --- */
void hub_event(struct hub *h, const char *id, const char *payload, size_t len);
void hub_subscribed(struct hub *h, const char *id);
void hub_unsubscribed(struct hub *h, const char *id);
/* The link is there: everything is subscribed again. / It is gone: nothing known is sure. */
void hub_link_up(struct hub *h);
void hub_link_lost(struct hub *h);
/* A new life of a partition (common/keys.h) has begun: epochs changed without an event. */
void hub_life_began(struct hub *h, int partition);

/* --- from the loader: `s` was read at server time at_ms (rc RC_OK), is taken and left empty
 * --- */
void hub_loaded(struct hub *h, struct watch *w, enum rc rc, struct session *s, int64_t at_ms);
const char *hub_watch_id(const struct watch *w);

/* Send what is ready to be read; at the end of each turn. */
void hub_pump(struct hub *h);
/* Ten times a second: retries, and channels that nobody watches any more. */
void hub_tick(struct hub *h);

struct hub_stats {
    int64_t watches, loads, events, gaps, resyncs;
};
struct hub_stats hub_stats(const struct hub *h);

#endif
