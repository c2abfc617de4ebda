/*
 * clock.h - the clocks of this host.
 *
 * The time that users see is Redis TIME (spec: sync, section 1), never these.
 * These are for deadlines, time-outs, logs and metrics.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_mono_us(void); /* monotonic, microseconds */
int64_t clock_mono_ms(void);
int64_t clock_wall_us(void); /* epoch microseconds */
int64_t clock_wall_ms(void);

/* Sleep until the monotonic time has been reached; returns early on a signal. */
void clock_sleep_until_us(int64_t mono_us);

#endif
