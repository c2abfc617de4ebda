/*
 * timekeeper.h - the thread that lets clocks reach zero, whoever is connected.
 *
 * For each of the 64 partitions it claims a short lease, commits what is due through the same
 * engine and script as any worker, and sleeps until the earliest wake-up it knows; partitions
 * whose turn has come go together, three round trips for 128 sessions. It looks again when a
 * commit says that there is an earlier one (timekeeper_wake), and every 500 ms anyway. Any
 * number of broadcasters may run one: who holds the lease works, and who lost a race finds it
 * done. Outages of Redis are waited out.
 */
#ifndef BROADCASTER_TIMEKEEPER_H
#define BROADCASTER_TIMEKEEPER_H

#include <stdbool.h>

struct conf;
struct timekeeper; /* opaque */

/* Starts the thread; ends the process when that is impossible. `conf` must outlive it. */
struct timekeeper *timekeeper_start(const struct conf *conf);
/* The earliest wake-up of a partition has moved; from any thread. */
void timekeeper_wake(struct timekeeper *t, int partition);
/* Whether it reached Redis within the last 5 s; from any thread. */
bool timekeeper_is_well(const struct timekeeper *t);
/* End the thread (at most 3 s, when Redis hangs) and free. NULL is a no-op. */
void timekeeper_stop(struct timekeeper *t);

#endif
