/*
 * audit.h - reading the audit trail of one session from PostgreSQL (migrations/, table
 * sync_events, which the broadcasters' drain fills). One statement each, over the primary key.
 */
#ifndef FCGI_STORE_AUDIT_H
#define FCGI_STORE_AUDIT_H

#include "common/id.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct pg;
struct pg_result;
struct session;

/* A place in the trail: records are ordered by epoch, then version. */
struct audit_mark {
    char epoch[EPOCH_MAX]; /* "" before all */
    int64_t version;
};

/*
 * How far a session is recorded, and the session (initialised) as of its newest snapshot, for
 * judging who may read it. *found: whether there is any record; without a readable snapshot
 * s->id stays "". RC_OK; RC_STORE_UNAVAILABLE when PostgreSQL does not answer or has no tables.
 */
enum rc audit_head(struct pg *pg, const char *id, bool *found, struct audit_mark *recorded,
                   struct session *s, struct fail *f) MUSTCHECK;

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

/* Up to `limit` records after `mark`. *out (pg.h) goes with the arena. Fails as audit_head. */
enum rc audit_page(struct pg *pg, struct arena *mem, const char *id,
                   const struct audit_mark *after, int64_t limit, const struct pg_result **out,
                   struct fail *f) MUSTCHECK;

#endif
