/*
 * audit_inbox.h - the entries of the audit streams: read for this consumer, and forgotten once
 * they are written.
 *
 * A read asks a quarter of the partitions in one round trip; what it returns borrows from its
 * replies, so nothing is copied before it is a row. A partition is read by one consumer at a
 * time (audit_read.lua), and the quarters let several work side by side. Every few seconds a
 * round is for what others have left instead. Entries are deleted before they are acknowledged:
 * cut in between, they are without content in the list of the pending, and XAUTOCLAIM drops
 * those.
 */
#ifndef BROADCASTER_AUDIT_INBOX_H
#define BROADCASTER_AUDIT_INBOX_H

#include "audit_batch.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct redis;
struct redis_batch;

#define AUDIT_QUARTERS 4

struct audit_entry {
    int partition;
    const char *id;             /* in the stream */
    struct audit_record record; /* without an event when it was deleted meanwhile */
    bool dead;
    char why[128];
};

struct audit_inbox {
    const struct conf *conf;
    struct redis *redis;
    char consumer[17];
    struct redis_batch *read; /* its replies hold the records */
    struct redis_batch *done;
    struct audit_entry *entry;
    size_t n, size, bytes;
    bool groups; /* they are there, as far as is known */
    int count;   /* records to ask of each partition */
    int first;   /* partition of this turn's quarter */
    int64_t claim_ms;
    int claimed; /* quarters, since then */
};

void audit_inbox_init(struct audit_inbox *in, const struct conf *conf);
void audit_inbox_fini(struct audit_inbox *in);

/*
 * Read the next quarter into entry[0..n-1], those of a partition together and in order; they
 * live until the next read. RC_OK or a store code.
 */
enum rc audit_inbox_read(struct audit_inbox *in, struct fail *f) MUSTCHECK;
/* Put the dead ones with their `why` into the dead letters of their partition, then delete and
 * acknowledge all. RC_OK, or a code: then they are read again, by whomever. */
enum rc audit_inbox_forget(struct audit_inbox *in, struct fail *f) MUSTCHECK;

/* Log a failure that is not an outage, which is told elsewhere. */
void audit_inbox_complain(const char *event, const struct fail *f);

#endif
