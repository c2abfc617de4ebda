/*
 * session_call.h - one call of the session store while it runs: load, apply what is due and the
 * command, commit, and again when the race was lost. For the files of session_store.h.
 */
#ifndef COMMON_SESSION_CALL_H
#define COMMON_SESSION_CALL_H

#include "due_log.h"
#include "session_commit.h"
#include "session_load.h"
#include "session_store.h"

#define SESSION_DUE_MAX 64 /* overdue changes that one commit carries */

struct session_store {
    const struct conf *conf;
    struct redis *redis;
    struct redis_batch *load;   /* what was read last */
    struct redis_batch *commit; /* what was sent last */
    struct session_commit pending;
    struct due_log due; /* what the calls in hand have found due */
    struct buf found;   /* the verdict that the load has read, "" for none */
    struct buf verdict; /* the one to store */
};

struct session_call {
    struct session_store *st;
    const char *id;
    const struct command *cmd;       /* NULL: only what is due */
    const struct store_terms *terms; /* never NULL */
    const char *owner;               /* who is to be named as the creator, NULL: nobody */
    bool is_named, was_named;        /* he is by now; and was before this call */
    bool takes_slice;                /* the next load may be one (session_slice.h) */
    const struct caller *caller;     /* whose rights count, NULL: none are asked for */
    struct session *s;
    struct session_loaded ld;
    struct store_result *res;
    struct fail *f;
    char commit_id[COMMIT_ID_MAX]; /* of the commit that carries the command */
    bool was_valid;                /* some state that was read accepted the command */
    bool judged;                   /* the answer is one that an Idempotency-Key keeps */
    bool keeps;                    /* the next commit stores st->verdict */
    bool is_behind;          /* more is due than what is pending: commit that, load, go on */
    size_t due_first, due_n; /* of what is pending, in st->due */
};

/* The id of commits that carry no command: they are nobody's answer. */
extern const char session_due_commit_id[];

/* Records that each audit stream keeps where nobody takes them out (and no broadcaster cuts
 * them to AUDIT_BACKLOG_MAX, which is less); NULL where the audit drain does. */
const char *session_audit_keep(const struct conf *conf);

void session_call_begin(struct session_call *c, struct session_store *st, const char *id);

/* Make sure that these partitions live under the Redis that answers, in one round trip. RC_OK
 * or a store code. */
enum rc session_lives_begin(struct session_store *st, const int *partition, size_t n,
                            struct fail *f) MUSTCHECK;

/* Read the session (c->ld.exists) under the life of its partition. RC_OK, RC_STATE_UNREADABLE,
 * store codes, the rider's code. */
enum rc session_call_load(struct session_call *c, const struct store_rider *rider) MUSTCHECK;

/* Apply recovery and expiries that are due at the TIME of the load; into c->st->pending,
 * c->is_behind and c->st->due. */
void session_call_due(struct session_call *c);

/* Bring the loaded state up to date and apply the command, into c->st->pending: the answer,
 * once that is committed. With c->is_behind the command's turn has not come yet. */
enum rc session_call_apply(struct session_call *c) MUSTCHECK;
/* The answer to a command that others have come before. */
enum rc session_call_race(struct session_call *c);

/* Apply what is due and the command to what was loaded, commit, and so on: the answer of
 * session_store_command. */
enum rc session_call_settle(struct session_call *c) MUSTCHECK;

/* Whether the load has found the Idempotency-Key answered: then *rc is the answer of the call.
 */
bool session_call_replays(struct session_call *c, enum rc *rc);

/* Make the next commit store the verdict `answer` on `s`, if the call has a key and was judged.
 */
bool session_call_keep(struct session_call *c, const struct session *s, enum rc answer);

/*
 * Send c->st->pending. RC_OK and a verdict; otherwise RC_OUTCOME_UNKNOWN, RC_STORE_UNAVAILABLE
 * with verdict COMMIT_OTHER_LIFE when nothing was sent (load and try again), or with
 * COMMIT_ERROR the code of what Redis refused.
 */
enum rc session_call_send(struct session_call *c, const char *commit_id,
                          const struct session *after, enum commit_verdict *verdict,
                          struct fail *f) MUSTCHECK;

#endif
