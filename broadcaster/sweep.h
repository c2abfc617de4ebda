/*
 * sweep.h - when what is queued for the sockets is written. At the end of each turn of the
 * loop, but after a sweep over many sockets not before as long again has passed as that one
 * took: what comes meanwhile leaves together, in one write for each socket, so that a fast
 * stream of messages costs a bounded share of a core, and a single one never waits.
 */
#ifndef BROADCASTER_SWEEP_H
#define BROADCASTER_SWEEP_H

#include <stdint.h>
#include <uv.h>

struct clients;

struct sweep {
    struct clients *clients;
    uv_timer_t timer; /* wakes the loop when it has rested */
    int64_t rests_until_us;
};

void sweep_init(struct sweep *s, uv_loop_t *loop, struct clients *clients);
/* Write, or see to it that a later turn does. */
void sweep_turn(struct sweep *s);
void sweep_close(struct sweep *s);

/* How long a sweep is followed by none, in us: as long as it took, when that is worth it. */
int64_t sweep_rest_us(int64_t took_us);

#endif
