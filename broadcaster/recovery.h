/*
 * recovery.h - the thread that gives a Redis back what it has lost, from PostgreSQL.
 *
 * When a partition has begun a new life (a restart, a failover, an emptied Redis), one
 * broadcaster, under a lease, compares what PostgreSQL has recorded with what is there:
 * sessions that are live and gone, and those whose recorded state is newer, are put back as
 * recorded, by compare-and-set. First the drain has to have taken in what this Redis still had
 * to tell, so that nothing is put back that was deleted or changed since. Timekeepers leave a
 * new life alone meanwhile, for at most 2 s; a command that comes before the session was put
 * back goes on from what it finds, and what it replaces is counted as lost (audit_writer.c),
 * like the changes that neither store has. It also notes once a second in PostgreSQL when Redis
 * was seen, so that the length of an outage is known even to an empty one.
 */
#ifndef BROADCASTER_RECOVERY_H
#define BROADCASTER_RECOVERY_H

struct conf;
struct recovery; /* opaque */

/* Starts the thread; ends the process when that is impossible. NULL without a DATABASE_URL.
 * `conf` must outlive it. */
struct recovery *recovery_start(const struct conf *conf);
/* End the thread (at most 15 s, when PostgreSQL hangs) and free. NULL is a no-op. */
void recovery_stop(struct recovery *r);

#endif
