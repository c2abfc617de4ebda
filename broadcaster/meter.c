#include "meter.h"

bool
meter_hit(struct meter *m, int64_t now_ms, int64_t window_ms, int limit)
{
    uint32_t bucket = (uint32_t)(now_ms / window_ms);
    int64_t into = now_ms % window_ms;
    int64_t weighted;

    if (bucket != m->bucket) {
        m->before = bucket == m->bucket + 1 ? m->now : 0;
        m->now = 0;
        m->bucket = bucket;
    }
    if (m->now < UINT16_MAX)
        m->now++;
    /* rounded down: one more at the edge is better than one less than promised */
    weighted = m->now + (int64_t)m->before * (window_ms - into) / window_ms;
    return weighted <= limit;
}
