/*
 * recovery_fold.h - the state of a session out of its records, newest first. No I/O.
 *
 * A life that went back behind an earlier one has replaced its records: of two with one version
 * the later epoch counts, and the earlier life's with later versions do not. So, walking from
 * the newest record back, those count whose version is lower than that of the last one taken.
 */
#ifndef BROADCASTER_RECOVERY_FOLD_H
#define BROADCASTER_RECOVERY_FOLD_H

#include "common/rc.h"
#include "common/session.h"

struct recovery_fold; /* opaque */

/* A record as it stands in PostgreSQL. */
struct recovery_row {
    const char *epoch;
    int64_t version;
    const char *delta;    /* lines */
    const char *snapshot; /* lines, "" none */
};

struct recovery_fold *recovery_fold_new(void);
void recovery_fold_free(struct recovery_fold *fold);

/* The next older record, borrowed until the state was made; true when no older one is needed.
 */
bool recovery_fold_add(struct recovery_fold *fold, const struct recovery_row *row);
/* The newest state, into `s` (initialised), epoch and version as recorded. RC_OK, or
 * RC_STATE_UNREADABLE, also when no snapshot was among the records. */
enum rc recovery_fold_state(const struct recovery_fold *fold, struct session *s,
                            struct fail *f) MUSTCHECK;

#endif
