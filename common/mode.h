/*
 * mode.h - what a sync mode does, as a row of functions (spec sync, section 3).
 *
 * session.c knows the commands, the guards and the life of a session; everything that depends
 * on the mode is asked here. All instants are epoch ms, all places refer to p[].
 */
#ifndef COMMON_MODE_H
#define COMMON_MODE_H

#include "session.h"

struct mode_ops {
    /* Book the running time from cycle_started_at up to `at` (not before it). */
    void (*charge)(struct session *s, int64_t at);
    /* When the running clock reaches zero, 0: none does. Asked while running only. */
    int64_t (*deadline)(const struct session *s);
    /* What is left to the one at `place` at `now`, charged or not. */
    int64_t (*remaining)(const struct session *s, size_t place, int64_t now);
    /* Whose turn is the first, and who follows the open turn in rotation. */
    int32_t (*first)(const struct session *s);
    int32_t (*next)(const struct session *s);
    /* The charged turn of s->active ends by a hand-over. Returns who was found at zero, -1. */
    int32_t (*hand_over)(struct session *s);
    /* The charged clock stands at zero: mark it, fill what c says beyond type and instant. */
    void (*timeout)(struct session *s, struct change *c);
};

/* The functions of a mode; NULL when it is not built. */
const struct mode_ops *mode_ops(enum sync_mode mode);

#endif
