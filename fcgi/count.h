/*
 * count.h - what a worker counts of the requests that it answers (metrics.h).
 */
#ifndef FCGI_COUNT_H
#define FCGI_COUNT_H

struct app;
struct req;

/* Begin to count in the shared file, under the names of all routes; nothing when the
 * configuration says so. Ends the process for a bad METRICS_ALLOW. */
void count_init(struct app *app);
void count_fini(struct app *app);

/* The reply is rendered and not yet sent: whoever has read an answer finds it counted. */
void count_answer(const struct req *rq);

#endif
