/*
 * life.h - what a session that came from foreign bytes must stand: the whole engine runs on it,
 * and it is stored and read again as the same. Ends the program when something does not hold.
 */
#ifndef TESTS_FUZZ_LIFE_H
#define TESTS_FUZZ_LIFE_H

#include "common/session.h"

/* Below `below`; *seed must not be 0. */
uint64_t life_draw(uint64_t *seed, uint64_t below);

void life_same_again(const struct session *s);
/* One command at `now`, about anybody; c->type is EVENT_NONE when it is refused. */
void life_apply(struct session *s, enum command_type type, int64_t now, uint64_t *seed,
                struct change *c);
/* Some time from `now` on: reads, commands, expiries and outages, as *seed says. */
void life_run(struct session *s, int64_t now, uint64_t *seed);

#endif
