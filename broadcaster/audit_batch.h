/*
 * audit_batch.h - audit records turned into rows for PostgreSQL: COPY's text format, no I/O.
 *
 * Three tables come out of a batch: one row per record, one row per session with what its
 * newest record says, and one row per participant that a record was about. The latter two are
 * summaries: whoever writes them compares (epoch, version).
 */
#ifndef BROADCASTER_AUDIT_BATCH_H
#define BROADCASTER_AUDIT_BATCH_H

#include "common/rc.h"
#include <stddef.h>
#include <stdint.h>

struct audit_batch; /* opaque */
struct buf;

/* One entry of an audit stream: the event, and the snapshot (NULL: none). Borrowed. */
struct audit_record {
    const char *event, *snapshot;
    size_t event_len, snapshot_len;
    int partition;
    int64_t number; /* among the changes of its partition; 0 unknown */
};

struct audit_batch *audit_batch_new(void);
void audit_batch_free(struct audit_batch *b);
/* Begin anew, keep the memory. */
void audit_batch_clear(struct audit_batch *b);

/* RC_OK, or RC_STATE_UNREADABLE (f->log says why) and the batch is as it was. */
enum rc audit_batch_add(struct audit_batch *b, const struct audit_record *r,
                        struct fail *f) MUSTCHECK;

/*
 * The rows, in the columns of audit_writer.c; borrowed until the next call. Sessions are sorted
 * by id, so that two writers lock them in one order.
 */
const struct buf *audit_batch_events(const struct audit_batch *b);
const struct buf *audit_batch_sessions(struct audit_batch *b);
const struct buf *audit_batch_participants(struct audit_batch *b);

#endif
