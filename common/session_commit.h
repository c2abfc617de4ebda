/*
 * session_commit.h - one commit being put together: the fields, events and snapshots of one or
 * more consecutive changes of a session, then the call of lua/commit.lua. For the files of
 * session_store.h; the buffers are kept from commit to commit.
 */
#ifndef COMMON_SESSION_COMMIT_H
#define COMMON_SESSION_COMMIT_H

#include "buf.h"
#include "limit.h"
#include "rc.h"
#include "session.h"
#include <stdbool.h>
#include <stddef.h>

struct redis_batch;
struct session_loaded;

struct commit_part {
    size_t at, len; /* in the text */
};

struct commit_parts {
    struct commit_part *part;
    size_t n, size;
};

struct session_commit {
    struct buf text;
    struct commit_parts warnings; /* instant, message, ... */
    struct commit_parts fields;   /* name, value, ... */
    struct commit_parts records;  /* event, snapshot, ... */
    const char **argv;
    size_t *lens;
    size_t size;
    size_t changes;
    bool deleted;
};

/* Whether the record of that version holds a snapshot, whatever the change is. */
bool session_commit_snaps(int64_t version);

void session_commit_init(struct session_commit *c);
void session_commit_fini(struct session_commit *c);
/* Begin anew. */
void session_commit_clear(struct session_commit *c);

/*
 * What the clock of s has crossed by `now_ms` and is not charged yet; before the first change.
 * Published with the changes, unless that was done before.
 */
void session_commit_warn(struct session_commit *c, const struct session *s, int64_t now_ms);

/*
 * Add the change that was just applied to s: what its dirty marks name (all, at creation), its
 * event, and a snapshot at creation, when the status has changed (`before` is the one it had)
 * and every 64 versions. Clears the marks.
 */
void session_commit_change(struct session_commit *c, struct session *s,
                           const struct change *change, enum sync_status before,
                           int64_t server_time_ms, const char *actor);

struct commit_terms {
    const char *prefix;
    const char *id;
    const struct session_loaded *ld; /* what was read: version, epoch, life, TIME */
    const char *commit_id;
    const struct limit_rule *limit; /* switch limit to count on, NULL: none */
    bool due_only;                  /* no command is in it: also when Redis is full */
    int64_t ended_ttl_ms;
    const char *audit_keep; /* records that the audit stream keeps, about; NULL: all */
    const char *idem_key;   /* hash of the Idempotency-Key that `verdict` answers; NULL: none */
    const struct buf *verdict;
};

/*
 * Add the call to a batch; returns its place. `s` is the state after the changes. Without a
 * change it only stores the verdict; s NULL: there is no such session, its wake-up
 * goes. RC_INTERNAL (place -1) when the texts grew beyond their maximum.
 */
enum rc session_commit_add(struct session_commit *c, struct redis_batch *b,
                           const struct commit_terms *t, const struct session *s, int *place,
                           struct fail *f) MUSTCHECK;

/*
 * A session that was claimed for its wake-up `claimed_ms` and has no change due: add the call
 * that publishes what the clock has crossed since, and sets the next wake-up (lua/tell.lua).
 * *messages: how many. Returns its place; the reply is 1 when it was done.
 */
int session_tell_add(struct redis_batch *b, const struct commit_terms *t,
                     const struct session *s, int64_t claimed_ms, int *messages);

enum commit_verdict {
    COMMIT_DONE,
    COMMIT_LOST_RACE, /* reply->element[1..3]: session_load_take */
    COMMIT_OTHER_LIFE,
    COMMIT_LIMITED,
    COMMIT_ANSWERED, /* the Idempotency-Key has a verdict already */
    COMMIT_ERROR     /* f says what; RC_STORE_FULL: the audit streams are full */
};

enum commit_verdict session_commit_verdict(const struct redis_batch *b, int place,
                                           struct fail *f);

/* Note how many changes the partition of `id` has had (changes.h), after COMMIT_DONE. */
void session_commit_note(const struct redis_batch *b, int place, const char *id);
/* Redis TIME of the commit, after COMMIT_DONE; 0 when it is none. */
int64_t session_commit_done_us(const struct redis_batch *b, int place);
/* What terms->limit said, after COMMIT_DONE or COMMIT_LIMITED. */
struct limit_state session_commit_limit(const struct redis_batch *b, int place,
                                        const struct limit_rule *rule);

#endif
