/*
 * hub_inside.h - what the three files of the hub share: hub_watches.c (which channels and loads
 * are wanted), hub_push.c (what clients are told) and hub.c (events, loaded states, questions).
 * Nobody else includes this.
 */
#ifndef BROADCASTER_HUB_INSIDE_H
#define BROADCASTER_HUB_INSIDE_H

#include "common/buf.h"
#include "delta.h"
#include "hub.h"
#include "protocol.h"
#include "watch.h"

struct warning_note;

struct hub {
    struct hub_calls calls;
    int64_t watches_max;
    uint64_t seed; /* of the hash: clients choose the ids */
    bool linked;
    struct watch *watches; /* by lower-case id */
    struct watch *ready, *later;
    struct watch *idle; /* oldest first */
    struct watch *hot;
    struct buf text;
    struct delta delta; /* scratch */
    struct hub_stats stats;
};

/* --- hub_watches.c --- */

/* In any case of letters; NULL: nobody watches it. */
struct watch *hub_find(struct hub *h, const char *id);
struct watch *hub_find_or_make(struct hub *h, const char *id);
/* Subscribe, unless that is done or the link is away. */
void hub_ask_channel(struct hub *h, struct watch *w);
/* Read it at the end of this turn, or as soon as the channel is there. */
void hub_want_load(struct hub *h, struct watch *w);
void hub_retry_load(struct hub *h, struct watch *w, int64_t in_ms);
/* Nobody watches it any more; after a while it goes. */
void hub_set_idle(struct hub *h, struct watch *w, bool idle);
/* Its newest frame is kept for a tenth of a second. */
void hub_set_hot(struct hub *h, struct watch *w, bool hot);

/* --- hub_push.c --- */

/* The message in h->text as a frame of one reference. */
struct frame *hub_text_frame(struct hub *h);
/*
 * Push the state of `w` to all to whom it is news; to those who want deltas `d`, if that
 * follows what they have, else STATE_SYNC. `d` NULL: it follows nothing.
 */
void hub_push_state(struct hub *h, struct watch *w, enum state_kind kind,
                    const struct delta *d);
/* ACTION, if that is what follows, and TIME_EXPIRED, to those who were just sent their version.
 */
void hub_push_timeout(struct hub *h, struct watch *w, const struct event *ev);
/* To those who were sent the version that it is about, and nothing newer. */
void hub_push_warning(struct hub *h, struct watch *w, const struct warning_note *note);
/* To all who know of the session; their subscription ends. `ev` NULL: it is simply gone. */
void hub_push_deleted(struct hub *h, struct watch *w, const struct event *ev);
/* Queue the message in h->text; it has to come. */
void hub_reply(struct hub *h, struct client *c);
/* Answer all who waited for this load, from what the watch knows now. */
void hub_answer_waiters(struct hub *h, struct watch *w, int64_t at_ms);
/* The client watches this no longer; `sub` is freed. */
void hub_end_sub(struct hub *h, struct sub *sub);

#endif
