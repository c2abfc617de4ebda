/*
 * meter.h - "at most N in a window" for one connection: two counted buckets, the older one
 * weighted by what the window still covers of it. 12 bytes, because every socket has some.
 */
#ifndef BROADCASTER_METER_H
#define BROADCASTER_METER_H

#include <stdbool.h>
#include <stdint.h>

struct meter {
    uint32_t bucket; /* number of the current window, now / window */
    uint16_t now, before;
};

/* Count one and tell whether it is within `limit` per window_ms. Zeroed is a fresh meter. */
bool meter_hit(struct meter *m, int64_t now_ms, int64_t window_ms, int limit);

#endif
