/*
 * audit_writer.h - puts audit records into PostgreSQL, each once, however often it is handed
 * over.
 *
 * One transaction: COPY into temporary tables, then INSERT ... ON CONFLICT, so that a record
 * that is there already changes nothing, and a summary never goes back to an older (epoch,
 * version). Tables: migrations/0001_create_audit.sql.
 */
#ifndef BROADCASTER_AUDIT_WRITER_H
#define BROADCASTER_AUDIT_WRITER_H

#include "audit_batch.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_writer; /* opaque: the connection and the buffers */

/* `url` is borrowed; records are kept for `retention_days` (0: for ever). */
struct audit_writer *audit_writer_new(const char *url, int64_t retention_days);
void audit_writer_free(struct audit_writer *w);

/*
 * Write records; they are durable when this returns RC_OK. RC_STORE_UNAVAILABLE: not now.
 * RC_INTERNAL: PostgreSQL refuses, and audit_writer_refuses_data says whether these records are
 * to blame (then one of them is refused for good) or the schema is (then later).
 * RC_STATE_UNREADABLE: record *bad is no record. On failure nothing is written.
 */
enum rc audit_writer_write(struct audit_writer *w, const struct audit_record *records, size_t n,
                           size_t *bad, struct fail *f) MUSTCHECK;
bool audit_writer_refuses_data(const struct audit_writer *w);

/* Once an hour: make partitions three months ahead, drop what is older than the retention. */
void audit_writer_tend(struct audit_writer *w);

#endif
