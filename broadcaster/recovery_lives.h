/*
 * recovery_lives.h - what the partitions of this Redis have lived through: since when it
 * answers, what it came with, for how long it was away, and what is lost.
 */
#ifndef BROADCASTER_RECOVERY_LIVES_H
#define BROADCASTER_RECOVERY_LIVES_H

#include "common/keys.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct conf;
struct pg;
struct redis;
struct redis_batch;

/* What the life of a partition began with; 0 unknown. */
struct recovery_life {
    int64_t n, recovered;
    int64_t changes_from, changes_to; /* that this Redis came with, and that were known */
    int64_t seen_from_ms;
    int64_t oldest_ms; /* audit record in Redis */
    bool is_begun;     /* under the Redis that answers */
    bool is_new;       /* begun, and nobody has looked after it: part of the recovery in hand */
};

struct recovery_lives {
    const struct conf *conf;
    struct redis *redis;       /* borrowed, like all of these */
    struct redis_batch *batch; /* free to use between two calls */
    struct pg *pg;
    struct recovery_life life[KEYS_PARTITIONS];
    int64_t now_ms;   /* TIME of the last look */
    int64_t noted_ms; /* monotonic */
};

/*
 * One round trip: oldest_ms and now_ms, and the rest of the lives unless a recovery is in hand,
 * which is about those that it began with. RC_OK or a store code, as all that follow.
 */
enum rc recovery_lives_look(struct recovery_lives *l, bool in_hand, struct fail *f) MUSTCHECK;
/* Whether one of them is new. */
bool recovery_lives_are_new(const struct recovery_lives *l);
/* Whether all of them have begun under the Redis that answers. */
bool recovery_lives_have_begun(const struct recovery_lives *l);
/* Whether the streams of the new ones hold nothing that was added by then. */
bool recovery_lives_are_drained(const struct recovery_lives *l, int64_t until_ms);

/* Tell PostgreSQL, at most once a second, that Redis was seen. Only once each life has begun
 * and was looked after: else it would hide for how long the Redis was away. */
void recovery_lives_note_seen(struct recovery_lives *l);

/* With what PostgreSQL knows of when each Redis was seen: say in the new lives for how long it
 * was away. */
enum rc recovery_lives_set_gaps(struct recovery_lives *l, struct fail *f) MUSTCHECK;

/* Changes of the new lives that were told to somebody here, and are neither in this Redis nor
 * recorded. */
enum rc recovery_lives_count_lost(struct recovery_lives *l, int64_t *lost,
                                  struct fail *f) MUSTCHECK;

#endif
