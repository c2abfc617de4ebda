/*
 * session_store.h - load and commit: the only place that touches session keys.
 *
 * Load (one round trip): HGETALL of the hash, life of the partition, TIME.
 * Commit (one round trip): lua/commit.lua compares version and epoch as they were read,
 * checks the life (fencing) and that `now` is not more than 1 s old, writes the changed fields,
 * TTL and wake-up, appends one audit record per change and publishes each delta, or does
 * nothing. A lost race returns the winner's state in the same reply; the command is applied to
 * that, at most 32 times. So a command is two round trips, a read one (spec sync, section 1;
 * design architecture, "Redis").
 *
 * What a call costs beside the engine: a read one batch, a command two; a batch is two system
 * calls (send, recv). Requests are built in buffers that are kept, replies are read into an
 * arena that is, so what is allocated are the participants of the state. A load of a thousand
 * of them costs 1.6 million instructions, more than half of it for their rows.
 *
 * Files: session_load.c (replies to state), session_apply.c (what is due and commanded),
 * session_commit.c (changes to one script call), session_call.c (races, lost answers),
 * session_life.c (lives of partitions), session_claim.c and session_due.c (the timekeeper's
 * calls), session_many.c (several at once).
 */
#ifndef COMMON_SESSION_STORE_H
#define COMMON_SESSION_STORE_H

#include "access.h"
#include "limit.h"
#include "rc.h"
#include "session.h"
#include <stdint.h>

struct buf;
struct conf;
struct redis;
struct redis_batch;
struct session_store; /* opaque: buffers that live as long as the process */

/*
 * Commands that ride in the round trip of the load (limits, revocation). `append` adds them to
 * the batch, `judge` reads their replies; what it fails with is the answer of the call.
 */
struct store_rider {
    void (*append)(void *ctx, struct redis_batch *b);
    enum rc (*judge)(void *ctx, const struct redis_batch *b, struct fail *f);
    void *ctx;
};

struct store_result;

#define STORE_HASH_MAX 65 /* SHA-256 in hex, with the NUL */

/*
 * An Idempotency-Key. What the call comes to is stored in the step of its change, or by itself
 * when there is none: a 2xx, and the engine's refusals. A call that finds its key answered
 * changes nothing and hands that out (store_result.replay). Where there is no session, nothing
 * is stored.
 */
struct store_idem {
    char key[STORE_HASH_MAX];  /* of who asks for what under which key */
    char body[STORE_HASH_MAX]; /* of what came with it */
    /* Print what a repetition gets: the state, or the refusal when f is not NULL. Returns the
     * HTTP status. */
    int (*print)(void *ctx, struct buf *out, const struct session *s,
                 const struct store_result *res, const struct fail *f);
    void *ctx;
};

/* Who asks, and on which terms. Zeroed: nobody, on none. */
struct store_terms {
    const char *actor; /* sub of the caller, NULL anonymous: goes into the audit record */
    const struct caller *caller; /* NULL: everything is allowed, and the switch limit counts */
    const struct store_rider *rider; /* NULL: none */
    const char *if_match;            /* a valid list (etag.h) of states to act on; NULL: any */
    const struct store_idem *idem;   /* NULL: no key */
    bool is_brief; /* the answer shows no participants: a switch in a large session then leaves
                      a slice of it (session_slice.h), good for session_switch_json_minimal */
};

/* What a call found out; the state itself is in the caller's struct session. */
struct store_result {
    int64_t server_time_ms; /* TIME of the load that was used: `now` of the change */
    struct change change;   /* the command's own change; EVENT_NONE for a read or no change */
    bool created; /* session_store_create: false when the same session stood there already */
    struct limit_state switch_limit; /* known only after a switch that reached the limit */
    int tries;                       /* commits sent */
    struct {
        int status;       /* 0: this is no repetition */
        const char *text; /* as printed; borrowed until the next call */
    } replay;
};

struct session_store *session_store_new(const struct conf *conf, struct redis *r);
void session_store_free(struct session_store *st);

/*
 * Read one session into `s` (initialised); `terms` NULL: on none. What is due is committed
 * first. RC_OK; RC_SESSION_NOT_FOUND "Session <id> not found", also when terms->caller may not
 * see it (then `s` is not to be shown); RC_STATE_UNREADABLE; RC_STORE_UNAVAILABLE; the rider's
 * code.
 */
enum rc session_store_get(struct session_store *st, const char *id,
                          const struct store_terms *terms, struct session *s,
                          struct store_result *res, struct fail *f) MUSTCHECK;

/* One of several sessions to read. */
struct store_read {
    const char *id;
    struct session *s; /* initialised; filled when it was found */
    bool found;
    int64_t server_time_ms; /* TIME of its read */
    bool due;               /* used while reading */
};

/*
 * Read several sessions in one round trip; those with something due are then committed one by
 * one. Their ids differ. RC_OK, also when none was found; RC_STATE_UNREADABLE for any of them;
 * RC_STORE_UNAVAILABLE; the rider's code.
 */
enum rc session_store_get_many(struct session_store *st, struct store_read *reads, size_t n,
                               const struct store_rider *rider, struct fail *f) MUSTCHECK;

/*
 * Apply one command. RC_OK with the state after the change; the engine's codes;
 * RC_SESSION_NOT_FOUND (COMMAND_DELETE of a missing session: RC_OK, also of one that
 * terms->caller may not see); RC_FORBIDDEN when the caller may not do this (access.h);
 * RC_CONFLICT after 32 lost races, or when the command was valid on the state first read and is
 * not on the winner's; RC_LIMITED (switch); RC_OUTCOME_UNKNOWN when the answer of the commit
 * was lost and another change has followed; RC_STORE_UNAVAILABLE: nothing was done.
 * RC_PRECONDITION: terms->if_match names another state; judged after expected_version and
 * before the other guards. RC_KEY_REUSED: the Idempotency-Key came with another body before.
 */
enum rc session_store_command(struct session_store *st, const char *id,
                              const struct command *cmd, const struct store_terms *terms,
                              struct session *s, struct store_result *res,
                              struct fail *f) MUSTCHECK;

/*
 * Create from a draft (session.h, session_create; the epoch is set here). RC_OK, created or
 * the same body again with nothing happened since; RC_SESSION_EXISTS; RC_VALIDATION; store
 * codes.
 */
enum rc session_store_create(struct session_store *st, struct session *draft,
                             const struct store_terms *terms, struct store_result *res,
                             struct fail *f) MUSTCHECK;

/* --- for callers that do their own I/O (the broadcaster's loop) --- */

/* Add the load of `id` to a batch; returns the place of its first command. */
int session_load_add(struct redis_batch *b, const char *prefix, const char *id);
/*
 * Read its replies: state into s (initialised), TIME into *now_us, s->epoch raised to the life
 * of the partition. RC_OK, RC_SESSION_NOT_FOUND (now_us is set), RC_STATE_UNREADABLE,
 * RC_STORE_UNAVAILABLE.
 */
enum rc session_load_read(const struct redis_batch *b, int place, const char *id,
                          struct session *s, int64_t *now_us, struct fail *f) MUSTCHECK;

/* --- for the timekeeper --- */

struct store_due {
    char id[ID_LEN + 1];
    int64_t wakeup_ms; /* what it was claimed for */
};

#define STORE_DUE_MAX 32 /* of one partition at a time */

struct store_claim {
    int partition;
    int max;         /* ids at most, 1..STORE_DUE_MAX */
    bool held;       /* it is ours */
    int64_t next_ms; /* the earliest wake-up behind those of due[], 0 none; of another's: when
                        that claim ends */
    int64_t now_ms;  /* TIME */
    size_t n;
    struct store_due due[STORE_DUE_MAX]; /* with a wake-up at or before TIME */
};

/*
 * Claim these partitions for `lease_ms` under the name `owner`, renewing our own claims, in one
 * round trip. RC_OK: each claim says what has become of it; else a store code, and none does.
 * Also records `seen` and the life of each, so an idle partition's outage is noticed.
 */
enum rc session_store_claim(struct session_store *st, const char *owner, int64_t lease_ms,
                            struct store_claim *claims, size_t n, struct fail *f) MUSTCHECK;

/*
 * Apply and commit everything due of these sessions, and publish the warnings that are: two
 * round trips for all of them together (a lost race is left to the next claim). *applied counts
 * changes and warnings. RC_OK or a store code;
 * sessions that cannot be read are logged and their wake-up put off by a minute.
 */
enum rc session_store_expire(struct session_store *st, const struct store_due *due, size_t n,
                             size_t *applied, struct fail *f) MUSTCHECK;

/* Give all claims of `owner` back, so that another timekeeper goes on at once. */
enum rc session_store_release(struct session_store *st, const char *owner,
                              struct fail *f) MUSTCHECK;

/* Say that a timekeeper lives (keys_timekeeper, TTL 5 s). */
enum rc session_store_beat(struct session_store *st, struct fail *f) MUSTCHECK;

#endif
