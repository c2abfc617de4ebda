/*
 * metrics.h - what is counted, in memory that all processes of a host share (status.h), so that
 * counters outlive the short lives of workers.
 *
 * One table (metrics_table.c) gives name, type, labels, buckets and help of every metric; the
 * shared area is laid out from it. A new metric is a row there and a member of enum metric; a
 * new set of label values is a list there. Labels are bounded: their values are lists, but for
 * routes, which the program names at start (metrics_route), METRICS_ROUTES of them at most.
 *
 * As the log, the place to count in belongs to the process: set once at start, before there are
 * threads; before that nothing is counted. Counting is one relaxed atomic addition: no lock, no
 * system call, no allocation. A process that is killed leaves what it has counted; what it
 * *holds* (METRIC_HELD: open sockets) is in a place of its own and stops counting when the
 * process is gone.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define METRICS_ROUTES 128   /* 0 is "other" */
#define METRICS_ROUTE_MAX 88 /* bytes of a name, with its NUL */
#define METRICS_HOLDERS 64   /* living processes that hold something */
#define METRICS_BUCKETS_MAX 12
#define METRICS_LABELS_MAX 3

enum metric {
    METRIC_HTTP_REQUESTS,
    METRIC_HTTP_DURATION,
    METRIC_SWITCH_DURATION,
    METRIC_LIMIT_REJECTIONS,
    METRIC_LIMIT_SILENT,
    METRIC_STORE_ERRORS,
    METRIC_TIMEKEEPER_LATENESS,
    METRIC_WS_CONNECTIONS,
    METRIC_WS_DISCONNECTS,
    METRIC_WS_PUSHES,
    METRIC_WS_EVENTS,
    METRIC_WS_GAPS,
    METRIC_WS_RESYNCS,
    METRIC_WS_SKIPS,
    METRIC_ACTIVE_SESSIONS,
    METRIC_AUDIT_WAITING,
    METRIC_AUDIT_RECORDS,
    METRIC_AUDIT_DEAD,
    METRIC_CHANGES_LOST,
    METRIC_AUDIT_WRITE,
    METRIC_SESSIONS_PUT_BACK,
    METRIC_AUDIT_BYTES,
    METRIC_AUDIT_AGE,
    METRIC_REDIS_UP,
    METRIC_REDIS_MEMORY,
    METRIC_REDIS_MEMORY_MAX,
    METRIC_REDIS_AOF_OK,
    METRIC_REDIS_REPLICAS,
    METRIC_REDIS_LAG,
    METRIC_REDIS_ROUND_TRIP,
    METRIC_POSTGRES_UP,
    METRIC_POSTGRES_ROUND_TRIP,
    METRIC_POSTGRES_CONNECTIONS,
    METRIC_POSTGRES_CONNECTIONS_MAX,
    METRIC_PUSH_DELAY,
    METRIC_CLOCK_ERROR,
    METRIC__MAX
};

enum metric_type {
    METRIC_COUNTER,
    METRIC_HISTOGRAM, /* of durations, counted in microseconds and shown in milliseconds */
    METRIC_HELD,      /* gauge: the sum of what living processes hold; no labels */
    METRIC_ASKED,     /* gauge: found out by whoever renders; no labels */
    METRIC_SET,       /* gauge: as it was set last, by whatever process; no labels */
};

enum metric_label {
    METRIC_NO_LABEL,
    METRIC_METHOD,
    METRIC_ROUTE,
    METRIC_STATUS,
    METRIC_LIMIT,
    METRIC_CODE,
    METRIC_REASON,
    METRIC_LABEL__MAX
};

struct metric_row {
    const char *name;
    enum metric_type type;
    enum metric_label labels[METRICS_LABELS_MAX];
    int buckets_ms[METRICS_BUCKETS_MAX]; /* rising, ended by 0; METRIC_HISTOGRAM only */
    const char *help;                    /* one sentence without a full stop */
};

struct metric_label_row {
    const char *name;
    const char *const *values; /* ended by NULL; NULL: routes */
};

extern const struct metric_row metric_rows[METRIC__MAX];
extern const struct metric_label_row metric_label_rows[METRIC_LABEL__MAX];

/* Why a WebSocket ended; the values of METRIC_REASON in this order. */
enum ws_end {
    WS_END_CLIENT,  /* it went */
    WS_END_LOST,    /* silent for too long, or the line broke */
    WS_END_DELETED, /* its session was deleted */
    WS_END_DRAINING,
    WS_END_POLICY, /* rate limit, invalid messages, bad sessionId */
    WS_END_TOO_BIG,
    WS_END_FULL,
    WS_END_TOKEN, /* it ended, or was revoked */
    WS_END__MAX
};

/* Values a label may have, 1 for none. */
size_t metric_label_count(enum metric_label l);
/* The place of `value` among the label's values, the last one for one that is not listed. Not
 * for routes. */
size_t metric_label_place(enum metric_label l, const char *value);

/* --- the shared area --- */

/* Its size in bytes, and a number that is another one whenever its layout is. */
size_t metrics_size(void);
uint32_t metrics_layout(void);

/* Count in `area`: metrics_size() bytes, aligned for int64_t, zeroed before anyone used them.
 * NULL: count nothing (any more). */
void metrics_attach(void *area);
/* Whether anything is counted here. */
bool metrics_are_on(void);

/* The place of a route among those of the host; 0, "other", when there is no room. The name has
 * to be shorter than METRICS_ROUTE_MAX. Kept in the area, so that it means the same to all
 * processes, also to those of another release. */
size_t metrics_route(const char *name);

/* --- counting --- */

/* Labels in the order of the row; 0 for those that a metric does not have. */
void metrics_add(enum metric m, int64_t n, size_t label0, size_t label1, size_t label2);
void metrics_observe_us(enum metric m, int64_t us, size_t label0, size_t label1);

/* The gauge has this value from now on; negative: it is not known any more. */
void metrics_set(enum metric m, int64_t value);

/* What this process holds from now on. The first call takes a place for the process; when all
 * are taken nothing is counted. Call from one thread. */
void metrics_hold(enum metric m, int64_t n);
/* Give the place back; at the end of a process that held something. */
void metrics_hold_nothing(void);

/* --- reading --- */

/* The living processes that hold something; at most METRICS_HOLDERS. */
size_t metrics_holders(int pids[METRICS_HOLDERS]);

/* All metrics in the text format of Prometheus, 0.0.4. `asked` has the values of METRIC_ASKED
 * metrics, negative for unknown: then there is no sample. */
void metrics_render(struct buf *out, const int64_t asked[METRIC__MAX]);

#endif
