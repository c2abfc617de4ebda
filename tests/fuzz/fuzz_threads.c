/*
 * What Redis and PostgreSQL tell the threads of a broadcaster: the first line names the drain,
 * the backlog or the recovery, and how many turns it does; the rest is what the servers say
 * (servers.h). The threads are none here, their turns are called one by one.
 */
#include "broadcaster/audit_backlog.h"
#include "broadcaster/audit_drain.h"
#include "broadcaster/recovery.h"
#include "broadcaster/worker_thread.h"
#include "fuzz.h"
#include "servers.h"

#include <string.h>

static struct worker_thread *thread;

/* --- instead of broadcaster/worker_thread.c --- */

void
worker_thread_start(struct worker_thread *t, const char *what, int64_t (*turn)(void *ctx),
                    void *ctx)
{
    (void)what;
    t->turn = turn;
    t->ctx = ctx;
    thread = t;
}

void
worker_thread_poke(struct worker_thread *t)
{
    (void)t;
}

void
worker_thread_stop(struct worker_thread *t)
{
    (void)t;
}

/* --- what is driven --- */

static struct conf conf;

static void *
drain_start(void)
{
    return audit_drain_start(&conf);
}

static void
drain_stop(void *part)
{
    audit_drain_stop(part);
}

static void *
backlog_start(void)
{
    return audit_backlog_start(&conf);
}

/* Without PostgreSQL it cuts instead of saying no. */
static void *
cutter_start(void)
{
    conf.database_url = "";
    return audit_backlog_start(&conf);
}

static void
backlog_stop(void *part)
{
    audit_backlog_stop(part);
}

static void *
recovery_begin(void)
{
    return recovery_start(&conf);
}

static void
recovery_end(void *part)
{
    recovery_stop(part);
}

static const struct part {
    const char *name;
    void *(*start)(void);
    void (*stop)(void *part);
} parts[] = {
    { "drain", drain_start, drain_stop },
    { "backlog", backlog_start, backlog_stop },
    { "cutter", cutter_start, backlog_stop },
    { "recovery", recovery_begin, recovery_end },
};

/* "recovery 5" */
static const struct part *
part_of(const char *s, size_t len, int *turns)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        size_t n = strlen(parts[i].name);

        if (len < n + 2 || memcmp(s, parts[i].name, n) != 0 || s[n] != ' ')
            continue;
        *turns = s[n + 1] >= '1' && s[n + 1] <= '9' ? s[n + 1] - '0' : 1;
        return &parts[i];
    }
    return NULL;
}

bool
fuzz_take(const char *s, size_t len)
{
    int turns;
    const struct part *part = part_of(s, servers_begin(s, len, false), &turns);
    void *running;

    if (part == NULL)
        return false;
    conf = servers_conf();
    running = part->start();
    while (turns-- > 0)
        HOLD(thread->turn(thread->ctx) >= 0);
    part->stop(running);
    servers_end();
    return true;
}
