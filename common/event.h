/*
 * event.h - the record of one change: published on the session's channel, and kept in the audit
 * stream. Text lines, each with its newline: first one row (row.h) about the change, then one
 * line "<field> <value>" per changed field of the session hash. No JSON parser is needed to
 * apply it.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include "id.h"
#include "rc.h"
#include "session.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct event {
    enum event_type type;
    enum change_reason reason;
    char session_id[ID_LEN + 1];
    char epoch[EPOCH_MAX];
    int64_t version;
    int64_t at_ms;                    /* the instant the change takes effect */
    int64_t server_time_ms;           /* when it was committed: the `timestamp` of pushes */
    int64_t remaining_ms, elapsed_ms; /* -1 none */
    int64_t cycle_number;
    enum timeout_action applied;       /* reason timeout: what was done about it */
    char participant_id[ID_LEN + 1];   /* "" none */
    char expired_id[ID_LEN + 1];       /* "" none */
    char group_id[ID_LEN + 1];         /* of participant_id, in per_group */
    char expired_group_id[ID_LEN + 1]; /* of expired_id */
    char note[SESSION_NOTE_MAX];       /* why, in the words of who asked; "" none */
    char actor[SESSION_OWNER_MAX];     /* "" anonymous or the timekeeper */
    const char *fields;                /* the lines behind the first, borrowed */
    size_t fields_len;
};

/*
 * Append the event of change `c` of `s` (state after the change); its lines are
 * the dirty fields, or all of them. Does not clean the marks.
 */
void event_encode(struct buf *out, const struct session *s, const struct change *c,
                  int64_t server_time_ms, const char *actor, bool all);

/* Append all fields as lines: the snapshot of an audit record. */
void event_snapshot(struct buf *out, const struct session *s);

/* Parse foreign bytes; ev->fields points into s. RC_OK or RC_STATE_UNREADABLE. */
enum rc event_decode(const char *s, size_t len, struct event *ev, struct fail *f) MUSTCHECK;

/*
 * Put the event's fields, version and epoch into the state it follows (the caller has compared
 * versions); a creation begins from nothing, whatever s was. RC_OK or RC_STATE_UNREADABLE, also
 * for another session's event; s is then only good for session_fini.
 */
enum rc event_apply(const struct event *ev, struct session *s, struct fail *f) MUSTCHECK;

/* Take snapshot lines (event_snapshot) into an initialised session; version and epoch are the
 * caller's. RC_OK or RC_STATE_UNREADABLE as above. */
enum rc event_lines_apply(const char *s, size_t len, struct session *out,
                          struct fail *f) MUSTCHECK;
/* The same for the lines of some fields: what they leave out stays as it is, and whether the
 * whole fits together is not looked at. */
enum rc event_lines_take(const char *s, size_t len, struct session *out,
                         struct fail *f) MUSTCHECK;

#endif
