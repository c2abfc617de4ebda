/*
 * What processes hold: a place for each, whose first word is its process id and start time.
 * Taking it is one swap, and what a dead process left is told from the living by /proc.
 */
#include "metrics_area.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A holder: being taken (the sign), process id, start in clock ticks. */
#define PID_SHIFT 41
#define START_MASK ((INT64_C(1) << PID_SHIFT) - 1)
#define TAKING INT64_MIN

static metric_word *held; /* this process's place; NULL: it holds nothing */

void
metrics_hold_begin(void)
{
    held = NULL;
}

/* When `pid` started; 0 for a zombie or nothing; -1 when that cannot be read. */
static int64_t
start_of(pid_t pid)
{
    char path[32], text[1024], *p;
    long long start;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) /* hidden from us, perhaps */
        return kill(pid, 0) != 0 && errno == ESRCH ? 0 : -1;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    p = strrchr(text, ')'); /* the name before it may hold anything */
    if (p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    if (sscanf(p + 2,
               "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
               "%*d %lld",
               &start) != 1)
        return -1;
    return start & START_MASK;
}

/* Where starts cannot be read, the process id has to do. */
static bool
is_alive(int64_t owner)
{
    int64_t start = start_of((pid_t)((owner & INT64_MAX) >> PID_SHIFT));
    int64_t was = owner & START_MASK;

    return start == -1 || (start != 0 && (was == 0 || was == start));
}

static void
take_place(void)
{
    pid_t pid = getpid();
    int64_t start = start_of(pid), self;

    self = (int64_t)pid << PID_SHIFT | (start > 0 ? start : 0);
    for (size_t i = 0; i < METRICS_HOLDERS; i++) {
        metric_word *w = metrics_holder_words(i);
        int64_t owner = atomic_load(&w[0]);

        if (owner != 0 && is_alive(owner))
            continue;
        if (!atomic_compare_exchange_strong(&w[0], &owner, self | TAKING))
            continue;
        for (int m = 0; m < METRIC__MAX; m++)
            atomic_store(&w[1 + m], 0);
        atomic_store(&w[0], self);
        held = w;
        return;
    }
}

void
metrics_hold(enum metric m, int64_t n)
{
    assert(metric_rows[m].type == METRIC_HELD);
    if (metrics_are_on() && held == NULL)
        take_place();
    if (held != NULL)
        atomic_store_explicit(&held[1 + m], n, memory_order_relaxed);
}

void
metrics_hold_nothing(void)
{
    if (held != NULL)
        atomic_store(&held[0], 0);
    held = NULL;
}

int64_t
metrics_held(enum metric m)
{
    int64_t sum = 0;

    for (size_t i = 0; i < METRICS_HOLDERS; i++) {
        metric_word *w = metrics_holder_words(i);
        int64_t owner = atomic_load(&w[0]);

        if (owner > 0 && is_alive(owner))
            sum += atomic_load_explicit(&w[1 + m], memory_order_relaxed);
    }
    return sum;
}

size_t
metrics_holders(int pids[METRICS_HOLDERS])
{
    size_t n = 0;

    for (size_t i = 0; metrics_are_on() && i < METRICS_HOLDERS; i++) {
        int64_t owner = atomic_load(&metrics_holder_words(i)[0]);

        if (owner > 0 && is_alive(owner))
            pids[n++] = (int)(owner >> PID_SHIFT);
    }
    return n;
}
