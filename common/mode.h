/*
 * mode.h - what a sync mode does, as a row of functions (spec sync, section 3).
 *
 * session.c knows the commands, the guards and the life of a session; everything that depends
 * on the mode is asked here. All instants are epoch ms, all places refer to p[].
 */
#ifndef COMMON_MODE_H
#define COMMON_MODE_H

#include "session.h"

/* A clock that can be corrected; what it has not is NULL. */
struct mode_clock {
    int64_t *bank, *allotted;
    bool *has_expired, *dirty;
};

struct mode_ops {
    bool has_turns; /* needs participants; the end of its clock is theirs, not the session's */
    bool burns_banks; /* of the participants, so that somebody may have no time */
    /* Complete a new session: what burns is filled. */
    void (*set_up)(struct session *s);
    /* Book running time that has passed since the last charge. */
    void (*burn)(struct session *s, int64_t elapsed);
    /*
     * What is left, 0 or more, when `open` running time has not been charged yet; -1: there is
     * no such clock. `left`: of the clock that burns while the one at `place` is on (place -1:
     * nobody is, in modes without turns); the others: what is shown as time_remaining_ms.
     */
    int64_t (*left)(const struct session *s, int32_t place, int64_t open);
    /* The running time from the last charge until the clock of who is on stands at zero; 0 or
     * less: it never does. */
    int64_t (*span)(const struct session *s);
    /* The running time until that clock is seen to fall to `ms`, from above; -1: that is not
     * ahead. Asked only where it will stand at zero. */
    int64_t (*crossing)(const struct session *s, int64_t ms);
    int64_t (*of_session)(const struct session *s, int64_t open);
    int64_t (*of_participant)(const struct session *s, int32_t place, int64_t open);
    /* Whose turn is the first, and who follows the open turn in rotation; -1: nobody is there.
     */
    int32_t (*first)(const struct session *s);
    int32_t (*next)(const struct session *s, bool timed); /* timed: of those who have time */
    /* The charged turn of s->active ends by a hand-over. Returns who was found at zero, -1. */
    int32_t (*hand_over)(struct session *s);
    /* The clock that goes with somebody, as of the last charge; false when there is none. */
    bool (*clock_of)(struct session *s, int32_t place, struct mode_clock *out);
    /* Whoever loses by the end of the open turn is out for good. */
    void (*put_out)(struct session *s);
    /* How many sides can still win; *last: somebody who is in, when that one alone is, else -1.
     */
    size_t (*sides)(const struct session *s, int32_t *last);
};

extern const struct mode_ops mode_per_group; /* mode_group.c */

/* The functions of a mode; NULL of MODE_UNSET. */
const struct mode_ops *mode_ops(enum sync_mode mode);

/* Order of turns: participant_index, then the place in the list. */
bool mode_is_before(const struct session *s, int32_t a, int32_t b);
/* What is left of a bank, 0 or more. */
int64_t mode_left_of(int64_t bank, int64_t elapsed);
/* The span of a mode where nothing but the clock that is shown runs out. */
int64_t mode_span_of_left(const struct session *s);
/* And its crossing. */
int64_t mode_crossing_of_left(const struct session *s, int64_t ms);
/* The turn of s->active has ended, and no other follows. */
void mode_turn_count(struct session *s);
/* Book the running time from cycle_started_at up to `at` (not before it). */
void mode_charge(struct session *s, int64_t at);
/* When the clock of a running session reaches zero, 0: none does. */
int64_t mode_deadline(const struct session *s);
/* Running time at `now` that has not been charged yet; 0 while nothing runs. */
int64_t mode_open(const struct session *s, int64_t now);

#endif
