/*
 * audit_drain.h - the thread that moves audit records from the streams in Redis into
 * PostgreSQL.
 *
 * It reads with a consumer group ("audit"), so that any number of broadcasters share the work,
 * one at a time in each partition, writes a batch in one transaction, and only then
 * acknowledges and deletes; what a dead broadcaster had read is taken over after 10 s, what
 * this one had read and could not take or acknowledge is read again at once. A record may so be
 * written twice, and the second time changes nothing (audit_writer.h). While
 * PostgreSQL is away it holds one batch and waits; the streams grow (audit_backlog.h). A record
 * that PostgreSQL refuses for good, or that is none, goes to the partition's stream of dead
 * letters and holds nothing up.
 */
#ifndef BROADCASTER_AUDIT_DRAIN_H
#define BROADCASTER_AUDIT_DRAIN_H

struct audit_drain; /* opaque */
struct conf;

/* Starts the thread; ends the process when that is impossible. NULL without a DATABASE_URL.
 * `conf` must outlive it. */
struct audit_drain *audit_drain_start(const struct conf *conf);
/* Write what has been read, end the thread and free; at most about 20 s, when PostgreSQL hangs.
 * NULL is a no-op. */
void audit_drain_stop(struct audit_drain *d);

#endif
