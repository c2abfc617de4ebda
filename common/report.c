/*
 * Slots are numbered through; number n stands in slot n % REPORTS_KEPT. A slot's `done` is n +
 * 1 when its report is whole. Whoever reads looks at `done` before and after, so a report that
 * is being overwritten is not taken for another.
 */
#include "report.h"

#include "clock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS 60000

struct slot {
    _Atomic int64_t done;
    struct report report;
};

struct ring {
    _Atomic int64_t added, taken;
    _Atomic int64_t minute; /* number of the minute * 1000 + reports given in it */
    struct slot slot[REPORTS_KEPT];
};

static struct ring *ring;
static struct report crash;

size_t
report_size(void)
{
    return sizeof(struct ring);
}

void
report_attach(void *area)
{
    ring = area;
}

void
report_add(const struct report *r)
{
    struct slot *s;
    int64_t n;

    if (ring == NULL)
        return;
    n = atomic_fetch_add(&ring->added, 1);
    s = &ring->slot[n % REPORTS_KEPT];
    atomic_store(&s->done, 0);
    s->report = *r;
    atomic_store(&s->done, n + 1);
}

/* Whether one more may be given in this minute; then it is counted. */
static bool
may_give(int64_t now_ms)
{
    int64_t now = now_ms / MINUTE_MS * 1000, was = atomic_load(&ring->minute), next;

    do {
        next = was >= now && was < now + 1000 ? was + 1 : now + 1;
        if (next - now > REPORTS_PER_MINUTE)
            return false;
    } while (!atomic_compare_exchange_weak(&ring->minute, &was, next));
    return true;
}

/* Number n as it is now; false when it is not whole, or overwritten. */
static bool
copy(int64_t n, struct report *out)
{
    struct slot *s = &ring->slot[n % REPORTS_KEPT];

    if (atomic_load(&s->done) != n + 1)
        return false;
    *out = s->report;
    return atomic_load(&s->done) == n + 1;
}

bool
report_take(struct report *out, int64_t now_ms)
{
    int64_t n, added;

    if (ring == NULL)
        return false;
    for (;;) {
        n = atomic_load(&ring->taken);
        added = atomic_load(&ring->added);
        if (n >= added)
            return false;
        if (added - n > REPORTS_KEPT) {
            atomic_compare_exchange_strong(&ring->taken, &n, added - REPORTS_KEPT);
            continue;
        }
        if (copy(n, out))
            break;
        if (added - n <= 1) /* it is being written */
            return false;
        atomic_compare_exchange_strong(&ring->taken, &n, n + 1);
    }
    if (!may_give(now_ms))
        return false;
    /* when another process has just taken it, it is given to that one */
    return atomic_compare_exchange_strong(&ring->taken, &n, n + 1);
}

static const char *
signal_name(int number)
{
    return number == SIGSEGV   ? "SIGSEGV"
           : number == SIGABRT ? "SIGABRT"
           : number == SIGBUS  ? "SIGBUS"
           : number == SIGFPE  ? "SIGFPE"
                               : "SIGILL";
}

/* SA_RESETHAND: raised again, the signal ends the process as ever. */
static void
on_crash(int number)
{
    const char *name = signal_name(number);

    crash.at_ms = clock_wall_ms();
    memcpy(crash.code, name, strlen(name) + 1);
    report_add(&crash);
    raise(number);
}

void
report_crashes(const char *program)
{
    static const int numbers[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL };
    static const char text[] = "The process crashed";
    struct sigaction on = { .sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER };

    crash.fatal = true;
    snprintf(crash.program, sizeof(crash.program), "%s", program);
    memcpy(crash.text, text, sizeof(text));
    sigemptyset(&on.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        struct sigaction was;

        /* a sanitizer has its own way to report */
        if (sigaction(numbers[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
            sigaction(numbers[i], &on, NULL);
    }
}
