/*
 * recovery_put.h - one recorded session compared with the one in Redis, and put back.
 */
#ifndef BROADCASTER_RECOVERY_PUT_H
#define BROADCASTER_RECOVERY_PUT_H

#include "recovery_list.h"

struct conf;
struct pg;
struct redis;
struct redis_batch;

struct recovery_putter {
    const struct conf *conf;
    struct redis *redis; /* borrowed */
    struct redis_batch *batch, *names, *names_again, *send;
    struct pg *pg; /* borrowed */
};

struct recovery_putter *recovery_putter_new(const struct conf *conf, struct redis *redis,
                                            struct pg *pg);
void recovery_putter_free(struct recovery_putter *p);

/* What is known of a session on one side. */
struct recovery_mark {
    char epoch[EPOCH_MAX]; /* "" there is none */
    int64_t version;
};

/* Ask Redis for the marks of the sessions that were added to p->batch with recovery_mark_ask.
 */
void recovery_mark_ask(struct recovery_putter *p, const char *id);
/* The answer at `place` of that batch, after a run. */
void recovery_mark_take(const struct redis_batch *b, int place, struct recovery_mark *mark);
/* Whether a is an earlier state than b. */
bool recovery_mark_is_before(const struct recovery_mark *a, const struct recovery_mark *b);

/*
 * Put up to 64 sessions back as they are recorded by now, where Redis still has less; one whose
 * newest record is its deletion is removed. `lives` has the life of each partition. *done
 * counts those that were. RC_OK, also when some records cannot be read (they are logged); a
 * store code.
 */
enum rc recovery_put(struct recovery_putter *p, const struct recovery_id *id, size_t n,
                     const int64_t lives[KEYS_PARTITIONS], size_t *done,
                     struct fail *f) MUSTCHECK;

#endif
