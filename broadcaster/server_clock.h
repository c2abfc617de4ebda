/*
 * server_clock.h - Redis TIME, estimated between its answers (spec sync, section 1).
 *
 * A sample is one TIME with the monotonic instants before and after it. The offset of the
 * sample with the shortest round trip of the last 8 is used; half of that round trip bounds
 * the error. A sample that contradicts it by more than both bounds allow means that Redis's
 * clock was set (or that another Redis answers now): then the older ones are forgotten.
 */
#ifndef BROADCASTER_SERVER_CLOCK_H
#define BROADCASTER_SERVER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define SERVER_CLOCK_SAMPLES 8

struct server_clock {
    struct {
        int64_t offset_us; /* Redis time - monotonic time, at the middle */
        int64_t round_us;
    } samples[SERVER_CLOCK_SAMPLES];
    int n, next;
    int best; /* place of the one in use */
};

void server_clock_init(struct server_clock *c);
/* Take a sample; false when it was useless (time ran backwards between). */
bool server_clock_sample(struct server_clock *c, int64_t sent_us, int64_t received_us,
                         int64_t redis_us);
bool server_clock_is_set(const struct server_clock *c);
/* Redis time in microseconds at the monotonic instant; the host's own time before a sample. */
int64_t server_clock_at(const struct server_clock *c, int64_t mono_us);
/* Bound of the error in microseconds; -1 before a sample. */
int64_t server_clock_error_us(const struct server_clock *c);

#endif
