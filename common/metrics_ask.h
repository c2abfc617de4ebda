/*
 * metrics_ask.h - gauges that are not counted but asked of Redis when somebody reads them
 * (METRIC_ASKED in metrics.h): one batch, one round trip, 260 short commands.
 */
#ifndef COMMON_METRICS_ASK_H
#define COMMON_METRICS_ASK_H

#include "metrics.h"
#include <stdint.h>

struct redis_batch;
struct status;

/* All asked gauges become unknown. */
void metrics_ask_nothing(int64_t asked[METRIC__MAX]);
/* Add the commands; the batch holds nothing else. */
void metrics_ask_add(struct redis_batch *b, const char *prefix);
/* Take the replies; what a command did not answer becomes unknown. METRIC_REDIS_UP is 1. */
void metrics_ask_take(const struct redis_batch *b, int64_t asked[METRIC__MAX]);
/* What broadcasters wrote of PostgreSQL; no gauge where there is none. `s` may be NULL. */
void metrics_ask_status(const struct status *s, int64_t now_ms, int64_t asked[METRIC__MAX]);

#endif
