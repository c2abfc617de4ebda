/*
 * metric_value.h - what this process would show on /metrics.
 */
#ifndef TESTS_LIB_METRIC_VALUE_H
#define TESTS_LIB_METRIC_VALUE_H

#include "common/buf.h"
#include "common/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind "synckairos_<sample>", cut to an integer; -1 when it is not there. */
static inline int64_t
metric_value(const char *sample)
{
    static const int64_t asked[METRIC__MAX];
    struct buf text;
    char line[256];
    const char *at;
    int64_t value = -1;

    buf_init(&text, 8 * 1024 * 1024);
    metrics_render(&text, asked);
    snprintf(line, sizeof(line), "\nsynckairos_%s ", sample);
    at = strstr(buf_cstr(&text), line);
    if (at != NULL)
        value = strtoll(at + strlen(line), NULL, 10);
    buf_fini(&text);
    return value;
}

#endif
