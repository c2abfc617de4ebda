/*
 * drain.h - shutting down without a stampede: every client is told when to come back
 * (SERVER_DRAINING, its own jittered delay), then closed 1001, evenly over the time that a
 * reasonable rate needs, at most DRAIN_SECONDS.
 */
#ifndef BROADCASTER_DRAIN_H
#define BROADCASTER_DRAIN_H

#include <stdint.h>

struct app;
struct drain; /* opaque */

/* Time that closing n clients takes. */
int64_t drain_spread_ms(int n, int64_t max_ms);
/* How many of them are to be closed after elapsed_ms. */
int drain_due(int n, int64_t elapsed_ms, int64_t spread_ms);

/* Begin; app->draining is set. Calls done(app) when the last socket has gone. */
struct drain *drain_begin(struct app *app, void (*done)(struct app *app));
/* The memory goes with the loop's handles. NULL is a no-op. */
void drain_close(struct drain *d);

#endif
