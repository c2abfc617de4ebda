/*
 * changes.h - how many changes each partition has had, as far as this host was told: in memory
 * that its processes share (status.h), so that it outlives the Redis that has counted them.
 *
 * The script of the commit counts (`changes` in the life of the partition) and tells the number
 * with its answer. A Redis that comes back with less has lost the difference; what of it is not
 * in PostgreSQL either is gone (broadcaster/recovery.h). As with metrics.h, the place belongs
 * to the process, is set once at start, and without it nothing is noted.
 */
#ifndef COMMON_CHANGES_H
#define COMMON_CHANGES_H

#include <stddef.h>
#include <stdint.h>

size_t changes_size(void);
/* Note in `area`: changes_size() bytes, aligned for int64_t, zeroed before anyone used them.
 * NULL: note nothing (any more). */
void changes_attach(void *area);

/* The partition (0..63) has had `n` changes; less than is known already says nothing. */
void changes_note(int partition, int64_t n);
/* The most that was noted; 0 for nothing. */
int64_t changes_known(int partition);

#endif
