/*
 * scrape.h - /metrics on METRICS_HOST:METRICS_PORT, for Prometheus. SO_REUSEPORT: whichever
 * broadcaster of the host is asked answers for all its processes, since they count in shared
 * memory (common/metrics.h). What Redis is asked for (common/metrics_ask.h) is asked once a
 * second beforehand, so a scrape waits for nothing.
 */
#ifndef BROADCASTER_SCRAPE_H
#define BROADCASTER_SCRAPE_H

struct app;
struct scrape; /* opaque */

/* NULL when METRICS_PORT is 0 or ENABLE_METRICS is off. Ends the process when the address
 * cannot be had. */
struct scrape *scrape_new(struct app *app);
/* No answer is given any more. NULL is a no-op. The memory goes with the loop's handles. */
void scrape_close(struct scrape *s);

#endif
