/*
 * watch.h - one session that somebody here watches: its materialised state and what one event
 * does to it. Pure; the hub (hub.h) does the rest.
 */
#ifndef BROADCASTER_WATCH_H
#define BROADCASTER_WATCH_H

#include "common/buf.h"
#include "common/event.h"
#include "common/id.h"
#include "common/session.h"
#include "protocol.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

struct client;
struct frame;
struct watch;

/* Channel of the session in Redis. */
enum watch_channel { CHANNEL_OFF, CHANNEL_ASKED, CHANNEL_ON, CHANNEL_LEAVING };

/* What is known about the session. */
enum watch_known { KNOWN_NOTHING, KNOWN_MISSING, KNOWN_PRESENT };

/* Somebody asked for the state and gets it from the next load. */
struct waiter {
    int64_t version;       /* last_known_version of a RECONNECT, -1 none */
    char epoch[EPOCH_MAX]; /* "" none */
    bool served;           /* the load that is under way is for it */
    bool told;             /* that the session cannot be read; the state follows when it can */
};

/* One client watching one session. */
struct sub {
    struct client *client;
    struct watch *watch;
    struct sub *prev, *next; /* of the watch */
    struct sub *more;        /* of the client */
    struct waiter *waiter;   /* owned, usually NULL */
    int64_t version;         /* last sent; 0 none; -1: whatever comes next */
    uint32_t lap;            /* watch->lap of that version */
    bool synced;             /* got its first answer; before that nothing is pushed to it */
    bool delta;              /* wants STATE_DELTA */
};

enum watch_queue { QUEUE_NONE, QUEUE_LOAD, QUEUE_LATER };

struct watch {
    UT_hash_handle hh;
    char id[ID_LEN + 1];       /* lower case */
    char spelling[ID_LEN + 1]; /* as clients know it */
    enum watch_channel channel;
    enum watch_known known;
    bool live;     /* subscribed, loaded since, no event missed since */
    bool loading;  /* a load is under way; the watch stays */
    bool missed;   /* the backlog overflowed: that load will not do */
    bool heard;    /* live, and an event has come since the load under way was sent */
    uint32_t lap;  /* grows when the epoch changes: versions are compared within it */
    int rollbacks; /* loads in a row that were older than what we had */
    int64_t at_ms; /* server time of the state */
    struct session s;
    struct buf backlog; /* events that came during the first load, each behind its length */
    struct frame *newest[STATE_KINDS]; /* of s, while it is hot */
    struct sub *subs;
    int deltas; /* subs that want STATE_DELTA */
    enum watch_queue queue;
    int64_t retry_ms; /* monotonic, in QUEUE_LATER */
    int64_t idle_ms;  /* monotonic, since when nobody watches */
    bool is_idle, is_hot;
    struct watch *queue_prev, *queue_next;
    struct watch *idle_prev, *idle_next;
    struct watch *hot_next;
};

struct watch *watch_new(const char *id);
void watch_free(struct watch *w);
/* Forget the frames of its state. */
void watch_cool(struct watch *w);

/* Order of two states of a session, as strcmp: epoch first, then version. */
int watch_order(const char *epoch_a, int64_t version_a, const char *epoch_b, int64_t version_b);

enum watch_step {
    STEP_IGNORE, /* older than what is known */
    STEP_APPLY,  /* the next version */
    STEP_CREATE, /* a new life, complete in itself */
    STEP_DELETE,
    STEP_RELOAD, /* something was missed */
};
/* What to do with an event about a live watch. */
enum watch_step watch_judge(const struct watch *w, const struct event *ev);
/* STEP_APPLY or STEP_CREATE: put it into w->s. False: it does not fit, reload. */
bool watch_apply(struct watch *w, enum watch_step step, const struct event *ev);
/* Take a loaded state; `s` is left initialised and empty. */
void watch_adopt(struct watch *w, struct session *s, int64_t at_ms);
/* The session is gone. */
void watch_forget(struct watch *w);

/* Keep an event for after the load. False: too many, reload once more. */
bool watch_keep(struct watch *w, const char *payload, size_t len);
/* The next kept event behind *pos; false at the end. */
bool watch_kept(const struct watch *w, size_t *pos, const char **payload, size_t *len);

#endif
