/*
 * audit.h - reading the audit trail of one session from PostgreSQL (migrations/, table
 * sync_events, which the broadcasters' drain fills). One statement each, over the primary key.
 */
#ifndef FCGI_STORE_AUDIT_H
#define FCGI_STORE_AUDIT_H

#include "common/id.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct caller;
struct pg;
struct pg_result;

#define AUDIT_LIVES_MAX 16 /* older ones are not shown any more */
#define AUDIT_BIRTH_LEN 17 /* of an epoch: its instant, four letters, and the dot (id.c) */

/* A place in the trail: records are ordered by epoch, then version. */
struct audit_mark {
    char epoch[EPOCH_MAX]; /* "" before all */
    int64_t version;
};

/* An id may have been used several times, each time for another session, which may have had
 * other readers. */
struct audit_life {
    struct audit_mark newest; /* how far it is recorded; epochs of one life begin alike */
    char birth[AUDIT_BIRTH_LEN + 1]; /* that beginning, the same before all of them */
    bool shown;                      /* whether the caller may read it */
};
struct audit_lives {
    struct audit_life life[AUDIT_LIVES_MAX]; /* newest first */
    size_t n;
};

/*
 * The sessions that had this id, each judged as of its newest snapshot; not shown when there is
 * none that can be decoded. RC_OK, also when there is no record; RC_STORE_UNAVAILABLE when
 * PostgreSQL does not answer or has no tables.
 */
enum rc audit_lives(struct pg *pg, const char *id, const struct caller *who,
                    struct audit_lives *out, struct fail *f) MUSTCHECK;

/* A row of audit_page; columns of the result in this order. */
enum audit_column {
    AUDIT_VERSION,
    AUDIT_EPOCH,
    AUDIT_TYPE,
    AUDIT_AT_MS,
    AUDIT_PARTICIPANT,
    AUDIT_GROUP,
    AUDIT_REMAINING,
    AUDIT_ELAPSED,
    AUDIT_CYCLE,
    AUDIT_ACTOR,
    AUDIT_REASON
};

struct audit_query {
    const char *id;
    const struct audit_lives *lives; /* records of those that are shown */
    struct audit_mark after;
    int64_t limit;
};

/* One page. *out (pg.h) goes with the arena. Fails as audit_lives. */
enum rc audit_page(struct pg *pg, struct arena *mem, const struct audit_query *q,
                   const struct pg_result **out, struct fail *f) MUSTCHECK;

#endif
