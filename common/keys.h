/*
 * keys.h - the names of every Redis key and channel of the sync side.
 *
 * A session id falls into one of 64 partitions, NN = crc16(lower-case id) mod 64, and
 * every key and channel of the partition carries the hash tag {sNN}: one
 * script finds all its keys in one slot of a Cluster. No other file builds a
 * key (design: architecture, "Redis").
 */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include "id.h"
#include <stdbool.h>
#include <stddef.h>

#define KEYS_PARTITIONS 64
#define KEY_MAX 160 /* with the NUL; the prefix may have 64 */

struct key {
    char s[KEY_MAX];
    size_t len;
};

/* The partition of a session, 0..63; case of `id` does not matter. */
int keys_partition(const char *id);

/* Keys of one session; `id` is a 36-character UUID of any case. */
struct key keys_session(const char *prefix, const char *id); /* hash v e c h m p:<k> g:<k> */
struct key keys_channel(const char *prefix, const char *id); /* channel: deltas, event.h */
struct key keys_switch_limit(const char *prefix, const char *id);
/* hash of Idempotency-Keys: hash of the key -> verdict (session_idem.h), n how many there were,
 * 0..63 the keys of the newest 64, renewed when its TTL was set, ms */
struct key keys_idem(const char *prefix, const char *id);

/* Keys of one partition, 0..63. */
struct key keys_wakeups(const char *prefix,
                        int partition); /* zset id -> next instant, epoch ms */
struct key keys_wake(const char *prefix,
                     int partition); /* channel: an earlier ms that is soon, or "life" */
struct key keys_audit(const char *prefix,
                      int partition); /* stream: n number, d event, s snapshot */
/* stream of records that PostgreSQL refused for good: d, s, and error */
struct key keys_audit_dead(const char *prefix, int partition);
struct key keys_life(const char *prefix,
                     int partition); /* hash, life_begin.lua; backlog, audit_verdict.lua */
struct key keys_lease(const char *prefix, int partition); /* string: the timekeeper at work */

/* Limit of one caller: kind "get", "create", "general", "time"; who: an address, or any text
 * that names a user, who is never taken for an address. */
struct key keys_limit(const char *prefix, const char *kind, const char *who, bool is_user);
/* string, epoch ms: tokens up to then are over (revoke.h). kind "sub", "sid", "jti". */
struct key keys_revoked(const char *prefix, const char *kind, const char *value);
struct key keys_revoked_channel(const char *prefix);
/* hash process -> open sockets of a user or an address (ws_seat.lua), zset of the processes */
struct key keys_seats(const char *prefix, const char *who);
struct key keys_seat_owners(const char *prefix);
/* zset id -> when it was created: the sessions of one owner (session_mine.h) */
struct key keys_owned(const char *prefix, const char *sub);
/* string with a TTL: who puts lost sessions back (broadcaster/recovery.h) */
struct key keys_recovery(const char *prefix);
/* string with a TTL: some timekeeper is alive. */
struct key keys_timekeeper(const char *prefix);

/* The session id at the end of a channel name; false when it is no session channel. */
bool keys_channel_id(const char *channel, size_t len, char id[ID_LEN + 1]);

/* --- for those who look at everything --- */

/* Patterns, as PSUBSCRIBE and SCAN take them: the channels of all sessions, and all our keys.
 */
struct key keys_every_channel(const char *prefix);
struct key keys_every_key(const char *prefix);
/* The partition of a key that begins with the prefix; -1 when it is of none. */
int keys_partition_of(const char *prefix, const char *key, size_t len);
/* Whether it belongs to programs that run and not to sessions: a lease, a sign of life. */
bool keys_is_passing(const char *prefix, const char *key, size_t len);

#endif
