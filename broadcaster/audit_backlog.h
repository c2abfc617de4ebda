/*
 * audit_backlog.h - the thread that keeps the audit streams within AUDIT_BACKLOG_MAX.
 *
 * Once a second it measures the memory that they take together. With a DATABASE_URL it writes
 * the verdict into each partition's life, where the commit reads it: from the limit on
 * creations are refused with STORE_FULL, from twice the limit on commands too, until the drain
 * has made room; nothing is dropped, and what is due or deleted always goes on. Without one it
 * cuts the oldest records off. Every broadcaster does so: the verdict is the same whoever
 * writes it.
 */
#ifndef BROADCASTER_AUDIT_BACKLOG_H
#define BROADCASTER_AUDIT_BACKLOG_H

struct audit_backlog; /* opaque */
struct conf;

/* Starts the thread; ends the process when that is impossible. `conf` must outlive it. */
struct audit_backlog *audit_backlog_start(const struct conf *conf);
/* End the thread (at most 3 s, when Redis hangs) and free. NULL is a no-op. */
void audit_backlog_stop(struct audit_backlog *a);

#endif
