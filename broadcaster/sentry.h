/*
 * sentry.h - failures of all processes of this host, told to SENTRY_DSN as envelopes of the
 * Sentry protocol, at most REPORTS_PER_MINUTE (common/report.h). Sent by libcurl in a thread of
 * libuv's pool, one at a time, each within 5 s; what cannot be sent is logged and forgotten.
 * Source: develop.sentry.dev, "Envelopes" and "Authentication".
 */
#ifndef BROADCASTER_SENTRY_H
#define BROADCASTER_SENTRY_H

#include <uv.h>

struct buf;
struct conf;
struct report;
struct sentry; /* opaque */

/* NULL without SENTRY_DSN (the conf has checked it). */
struct sentry *sentry_new(uv_loop_t *loop, const struct conf *conf);
/* NULL is a no-op; the memory goes with the loop's handles. */
void sentry_close(struct sentry *s);

/* The envelope of one report; `environment` as the conf has it. Pure but for the event's id. */
void sentry_envelope(struct buf *out, const struct report *r, const char *dsn,
                     const char *environment);

#endif
