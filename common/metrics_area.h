/*
 * metrics_area.h - what stands where in the shared area, for metrics*.c alone.
 */
#ifndef COMMON_METRICS_AREA_H
#define COMMON_METRICS_AREA_H

#include "metrics.h"
#include <stdatomic.h>

typedef _Atomic int64_t metric_word;

/* Where the cells of one metric are: in order of their labels, the last one running fastest. */
struct metric_place {
    size_t at;    /* word of the first */
    size_t cells; /* combinations of labels */
    size_t width; /* words of a cell: the count; or buckets, +Inf and the sum in microseconds */
    size_t step[METRICS_LABELS_MAX], count[METRICS_LABELS_MAX]; /* of each label */
};

const struct metric_place *metrics_place(enum metric m);
size_t metrics_bucket_count(const struct metric_row *row);
/* The words from `at` on; there is an area. */
const metric_word *metrics_words(size_t at);
/* The name of route `i` > 0; false: not written yet. */
bool metrics_route_name(size_t i, char name[METRICS_ROUTE_MAX]);
/* The place of a holder, owner first, then a word for each metric; NULL without an area. */
metric_word *metrics_holder_words(size_t i);
/* Another area: nothing of it is held. */
void metrics_hold_begin(void);
/* What all living processes hold. */
int64_t metrics_held(enum metric m);

#endif
