/*
 * control.h - time controls, the clocks that mode per_participant knows (spec sync, section 3).
 *
 * Each is a row of functions over one participant's clock: the bank (total_time_ms), what is
 * left of the running period or block (overtime_ms), and counters. Turns are measured without
 * their pauses. What a hand-over brings is never given to one whose clock stands at zero.
 * time_used_ms counts the wall time of turns, whether it cost bank or not.
 *
 * Worked examples, each with a bank of 60 s; tests/unit/common/test_control.c plays them:
 *
 * fischer, increment_ms 2000: a turn of 10 s leaves 50 s, and handing over makes that 52 s.
 *
 * delay, delay_ms 3000: the first 3 s of every turn are free. A turn of 10 s costs 7 s and
 * leaves 53 s; one of 2 s costs nothing. The clock ends 63 s after the first turn began.
 *
 * bronstein, delay_ms 3000: the bank burns at once, and handing over gives back what the turn
 * took, at most 3 s. A turn of 10 s leaves 50 s, then 53 s; one of 2 s ends where it began.
 *
 * byoyomi, periods 3, period_ms 10000: when the bank is gone, three periods of 10 s follow. A
 * turn of 75 s empties the bank, uses up the first period and 5 s of the second: 5 s are left,
 * periods_left is 2. Handing over makes the running period whole again: 10 s, still 2. From
 * the start the clock ends after 60 + 3 * 10 s.
 *
 * canadian, moves 2, period_ms 30000: when the bank is gone, there are 30 s for two turns
 * together. A turn of 70 s leaves 20 s and, handed over, moves_left 1. A second one of 15 s
 * leaves 5 s; as that was the last move and made in time, a new block of 30 s for two turns
 * begins.
 *
 * hourglass: what burns for one runs to the other, so a turn of 10 s leaves 50 s here and 70 s
 * there. Who stands at zero stays there.
 *
 * per_move: every turn has the whole bank. A turn of 10 s leaves 50 s, and handing over makes
 * that 60 s.
 *
 * stages, first {moves 2, add_ms 30000, increment_ms 1000}, then {increment_ms 2000}: two turns
 * of 10 s leave 50 + 1 = 51 s, then 41 + 1 s and, as the first stage has ended, 30 s more: 72 s
 * in stage 2, whose turns bring 2 s each.
 */
#ifndef COMMON_CONTROL_H
#define COMMON_CONTROL_H

#include "session.h"

struct session_faults; /* session_change.h */

/* What is shown beside the clock; -1: the control has no such counter. */
struct control_counters {
    int64_t delay_left_ms; /* free time that the open turn, or else the next one, has */
    int64_t periods_left;  /* the running one included */
    int64_t moves_left;    /* of the block or stage; the last stage has none */
    int64_t stage;         /* 1 is the first */
};

/* What is wrong with the control of a draft. */
void control_check(const struct session *s, struct session_faults *to);
/* Fill the counters of one who has just joined. */
void control_set_up(const struct session *s, struct participant *p);
/* Book `elapsed` running time of s->active's turn; has_expired is set at zero. */
void control_burn(struct session *s, int64_t elapsed);
/* What the clock of the one at `place` shows, 0 or more, when `open` running time of the turn
 * of s->active has not been booked yet: the bank, and once that is gone the running period. */
int64_t control_left(const struct session *s, int32_t place, int64_t open);
/* For how long s->active's turn can run from the last charge until its clock stands at zero. */
int64_t control_span(const struct session *s);
/* The running time until its clock is seen to fall to `ms`, from above; -1: that is not ahead.
 */
int64_t control_crossing(const struct session *s, int64_t ms);
/* The turn of s->active, charged and not at zero, is handed over. */
void control_hand_over(struct session *s);
void control_count(const struct session *s, int32_t place, int64_t open,
                   struct control_counters *shown);
/* A stored session: whether what its control divides and counts by is there. */
bool control_is_whole(const struct session *s);

#endif
