#include "heartbeat.h"

#include <assert.h>

#define SLOT_MIN_MS 25

/* The number of the slot that begins at or before `ms`, counted from the beginning of time. */
static int64_t
turn(const struct heartbeat *h, int64_t ms)
{
    int64_t whole = ms / h->interval_ms;
    int64_t rest = ms % h->interval_ms;

    return whole * h->slots + rest * h->slots / h->interval_ms;
}

void
heartbeat_init(struct heartbeat *h, int64_t interval_ms, int64_t now_ms)
{
    int64_t slots = interval_ms / SLOT_MIN_MS;

    assert(interval_ms > 0);
    if (slots < 1)
        slots = 1;
    if (slots > HEARTBEAT_SLOTS_MAX)
        slots = HEARTBEAT_SLOTS_MAX;
    *h = (struct heartbeat){ .interval_ms = interval_ms,
                             .slots = (int)slots,
                             .last_ms = now_ms };
}

int64_t
heartbeat_tick_ms(const struct heartbeat *h)
{
    int64_t ms = h->interval_ms / h->slots;

    return ms > 0 ? ms : 1;
}

int
heartbeat_join(struct heartbeat *h)
{
    int from = (int)(turn(h, h->last_ms) % h->slots);
    int best = from;

    /* backwards from the slot served last: of equals the one with a whole interval before it
     * wins
     */
    for (int i = 1; i < h->slots; i++) {
        int slot = (from - i + h->slots) % h->slots;
        if (h->counts[slot] < h->counts[best])
            best = slot;
    }
    h->counts[best]++;
    return best;
}

void
heartbeat_leave(struct heartbeat *h, int slot)
{
    assert(slot >= 0 && slot < h->slots && h->counts[slot] > 0);
    h->counts[slot]--;
}

int
heartbeat_due(struct heartbeat *h, int64_t now_ms, int *first)
{
    int64_t from = turn(h, h->last_ms);
    int64_t n = turn(h, now_ms) - from;

    if (n <= 0)
        return 0;
    h->last_ms = now_ms;
    *first = (int)((from + 1) % h->slots);
    return n > h->slots ? h->slots : (int)n;
}
