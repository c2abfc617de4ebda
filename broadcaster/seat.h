/*
 * seat.h - how many sockets a user holds open, on all hosts together: the commands for it. The
 * user counts, or the address where there is none.
 *
 * Redis keys: keys_seats() (hash process -> sockets, TTL 7 days), keys_seat_owners() (zset
 * process -> until when it lives). Scripts: lua/ws_seat.lua, lua/ws_beat.lua. Counts die with
 * their process, SEAT_LEASE_S after its last beat.
 */
#ifndef BROADCASTER_SEAT_H
#define BROADCASTER_SEAT_H

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct redis_batch;

#define SEAT_LEASE_S "10"
#define SEAT_BEAT_MS 2000
#define SEAT_OWNER_MAX 17

struct seats {
    const struct conf *conf;
    char owner[SEAT_OWNER_MAX]; /* this process */
};

void seats_init(struct seats *s, const struct conf *conf);
/* Whether sockets are counted at all. */
bool seats_are_on(const struct seats *s);

/* Count from nothing: what was counted before ends with its lease. */
void seats_renew(struct seats *s);

/* Add "one more of `who`", "one less", "this process lives" to a batch; the place. The last one
 * also loads the scripts, so it comes first of all. `anyway`: it
 * is open already, however many there are. */
int seat_open(const struct seats *s, struct redis_batch *b, const char *who, bool anyway);
int seat_close(const struct seats *s, struct redis_batch *b, const char *who);
int seat_beat(const struct seats *s, struct redis_batch *b);

enum seat_verdict { SEAT_SILENT, SEAT_TAKEN, SEAT_REFUSED };
/* What came of seat_open; SEAT_SILENT: Redis did not say, let pass. */
enum seat_verdict seat_verdict(const struct redis_batch *b, int place);

#endif
