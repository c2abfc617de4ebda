/*
 * report.h - failures that an operator wants to be told of (SENTRY_DSN), on their way from the
 * process where they happened to a broadcaster, which sends them (broadcaster/sentry.h).
 *
 * A ring in the memory that all processes of a host share (status.h): adding is a few atomic
 * operations and a copy, without locks, system calls or allocation, so a request never waits
 * for it and a signal handler may do it. What nobody takes in time is overwritten by newer
 * ones. As with metrics.h the place belongs to the process, set once at start.
 */
#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORTS_KEPT 32
#define REPORTS_PER_MINUTE 10 /* that report_take gives, to all processes together */

struct report {
    int64_t at_ms;  /* wall clock */
    bool fatal;     /* a process crashed */
    int32_t status; /* of the answer, 0: it was no request */
    char program[24];
    char code[32];        /* machine-readable: "STORE_UNAVAILABLE", "SIGSEGV" */
    char route[72];       /* "POST /v1/sessions/{id}/switch", never the path itself; "" none */
    char request_id[132]; /* "" none */
    char text[200];       /* what the log says; no secrets, no bodies */
};

size_t report_size(void);
/* `area`: report_size() bytes, aligned for int64_t, zeroed before anyone used them. NULL:
 * nothing is kept (any more). */
void report_attach(void *area);
void report_add(const struct report *r);
/* The oldest one that nobody has taken; false: there is none, or REPORTS_PER_MINUTE were given
 * in this minute. */
bool report_take(struct report *out, int64_t now_ms);
/* From now on a fatal signal of this process is reported before it takes its usual way. */
void report_crashes(const char *program);

#endif
