/*
 * delta.h - what one change did to a session, as clients see it: the contents of a STATE_DELTA
 * (spec sync, section 7).
 *
 * Whoever puts the delta of a version on the state of the version before, however much later
 * than its push that was read, has the pushed state of that version to the byte of every value.
 * So what runs by itself (a remaining time) is always in it, together with who is on.
 */
#ifndef BROADCASTER_DELTA_H
#define BROADCASTER_DELTA_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/session_json.h"
#include <stdbool.h>
#include <stdint.h>

struct event;
struct session;

struct delta {
    int64_t version;
    struct buf before, after; /* without participants and groups */
    int32_t active;
    bool runs;
    bool timed_out; /* it had a last_timeout */
    int64_t clock_ms;
    struct session_part part; /* what has changed */
};

void delta_init(struct delta *d);
void delta_fini(struct delta *d);
/* The state before the change, as it was pushed with server time at_ms. */
void delta_begin(struct delta *d, const struct session *s, int64_t at_ms);
/* The change `ev` has made `s` of it. Then d->version (the one before), d->part and
 * delta_patch say what is different. False: a merge patch has no words for that. */
bool delta_end(struct delta *d, const struct event *ev, const struct session *s) MUSTCHECK;
/* Append the RFC 7396 merge patch between two objects as JSON text without blanks: null for
 * members that are gone, objects member by member. Members that run by themselves are always
 * in it. */
void delta_patch(struct buf *out, const char *before, const char *after);

#endif
