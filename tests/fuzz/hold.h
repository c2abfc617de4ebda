/*
 * hold.h - the invariants of a session (spec sync, section 1), held at every change.
 *
 * What does not hold ends the program with the line of input that broke it. Each change is also
 * stored and loaded again, and its event is applied to a second session, as the broadcaster
 * does; both must stay equal to the first in every stored field.
 */
#ifndef TESTS_FUZZ_HOLD_H
#define TESTS_FUZZ_HOLD_H

#include "common/session.h"

struct buf;

extern long hold_line; /* the line of input that is read */

#define HOLD(cond) ((cond) ? (void)0 : hold_broken(#cond, __FILE__, __LINE__))
void hold_broken(const char *what, const char *file, int line) __attribute__((noreturn));

/* Once at the beginning and at the end of the program. */
void hold_begin(void);
void hold_end(void);

/* `s` before its next change. */
void hold_from(const struct session *s);
/* `s` is as it was then: the command was refused or changed nothing. */
void hold_unchanged(const struct session *s);
/* `s` after change `c`, committed at `now`, its dirty marks still set. The event of the change
 * replaces what is in `record`. */
void hold_change(const struct session *s, const struct change *c, int64_t now,
                 struct buf *record);

#endif
