/*
 * heartbeat.h - when each socket is pinged: a wheel whose slots divide the interval, so that
 * pings are spread evenly and never leave all at once. Not more finely: the pongs of a slot
 * come while its pings are written, and are read in one turn of the loop or two. Arithmetic
 * only; the sockets hang in the slots by their own links (client.h).
 */
#ifndef BROADCASTER_HEARTBEAT_H
#define BROADCASTER_HEARTBEAT_H

#include <stdint.h>

#define HEARTBEAT_SLOTS_MAX 50

struct heartbeat {
    int64_t interval_ms;
    int slots;
    int64_t last_ms; /* up to where slots were served */
    int counts[HEARTBEAT_SLOTS_MAX];
};

/* A slot is at least 25 ms wide; short intervals have fewer slots. */
void heartbeat_init(struct heartbeat *h, int64_t interval_ms, int64_t now_ms);
/* How often heartbeat_due should be asked, in ms. */
int64_t heartbeat_tick_ms(const struct heartbeat *h);
/* A slot for a new socket: the emptiest one that comes up latest. Counts it. */
int heartbeat_join(struct heartbeat *h);
void heartbeat_leave(struct heartbeat *h, int slot);
/*
 * The slots that came up since the last call: *first and how many, each at most once however
 * late the call comes.
 */
int heartbeat_due(struct heartbeat *h, int64_t now_ms, int *first);

#endif
