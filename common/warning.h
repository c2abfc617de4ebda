/*
 * warning.h - a running clock has crossed a value of warn_at_ms: the other message, beside
 * event.h, on the channel of a session. It is no change: no version, no record; `version` is
 * the one of the state whose clock it is. Text: '!' and one row (row.h).
 */
#ifndef COMMON_WARNING_H
#define COMMON_WARNING_H

#include "id.h"
#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct session;

struct warning_note {
    char session_id[ID_LEN + 1];
    char epoch[EPOCH_MAX];
    int64_t version;
    int64_t server_time_ms;          /* when it was noticed */
    int64_t threshold_ms;            /* of warn_at_ms */
    int64_t remaining_ms;            /* of the clock at server_time_ms */
    char participant_id[ID_LEN + 1]; /* whose clock it is, "" a group's or the session's */
    char group_id[ID_LEN + 1];       /* "" a participant's or the session's */
};

/* Append the message that the clock of the running session `s` has crossed a value. */
void warning_encode(struct buf *out, const struct session *s, int64_t threshold_ms,
                    int64_t server_time_ms);

/* Whether a message on the channel is a warning (else it is an event). */
bool warning_is(const char *s, size_t len);
/* Parse foreign bytes. RC_OK or RC_STATE_UNREADABLE. */
enum rc warning_decode(const char *s, size_t len, struct warning_note *w,
                       struct fail *f) MUSTCHECK;

#endif
