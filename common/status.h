/*
 * status.h - what the processes of one host tell each other, in one small mmapped file
 * (conf status_file): when the service came up, whether PostgreSQL answers, the metrics
 * (metrics.h) and how many changes Redis has told of (changes.h). The broadcaster writes the
 * first two every 2 s, workers read them for /health. Reading costs no syscall.
 */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

#include "rc.h"
#include <stdint.h>

enum database_state { DATABASE_OFF, DATABASE_DOWN, DATABASE_CONNECTED };

struct status; /* opaque */

/* Open or create the file, and beat once. RC_OK, or RC_INTERNAL when it cannot be mapped or is
 * not ours; then *out is a private page, so that everything works but for the sharing. */
enum rc status_open(const char *path, struct status **out, struct fail *f) MUSTCHECK;
/* Look at the file of others, changing nothing; only reading calls may follow. RC_OK, or
 * RC_INTERNAL: there is none, or of another release. */
enum rc status_view(const char *path, struct status **out, struct fail *f) MUSTCHECK;
void status_close(struct status *s);

/* Where the processes of the host count, for metrics_attach: until status_close. */
void *status_metrics(struct status *s);
/* Where they leave what an operator wants to be told of, for report_attach: the same. */
void *status_reports(struct status *s);
/* Where they count what is limited per host (tally.h). */
void *status_tally(struct status *s);
/* The same for changes_attach. */
void *status_changes(struct status *s);

/* When the service came up, epoch ms, never 0 (written once by whoever comes first after a
 * pause of 10 s). */
int64_t status_started_at(const struct status *s);
/* Called by master and broadcaster every 2 s: keeps started_at alive. */
void status_beat(struct status *s, int64_t now_ms);
void status_set_database(struct status *s, enum database_state db, int64_t now_ms);
/* DATABASE_DOWN when the last word is older than 10 s and was "connected". */
enum database_state status_database(const struct status *s, int64_t now_ms);

#endif
