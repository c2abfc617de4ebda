#include "worker_thread.h"

#include "common/clock.h"
#include "common/log.h"

#include <signal.h>

/* False when it is time to go. */
static bool
pause_for(struct worker_thread *t, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec ts = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
    bool stopping;
    int rc = 0;

    pthread_mutex_lock(&t->lock);
    while (!t->stopping && !t->poked && rc == 0 && ms > 0)
        rc = pthread_cond_timedwait(&t->cond, &t->lock, &ts);
    t->poked = false;
    stopping = t->stopping;
    pthread_mutex_unlock(&t->lock);
    return !stopping;
}

static void *
run(void *arg)
{
    struct worker_thread *t = arg;
    int64_t pause_ms = 0;

    while (pause_for(t, pause_ms))
        pause_ms = t->turn(t->ctx);
    return NULL;
}

void
worker_thread_start(struct worker_thread *t, const char *what, int64_t (*turn)(void *ctx),
                    void *ctx)
{
    pthread_condattr_t attr;
    sigset_t all, old;

    t->turn = turn;
    t->ctx = ctx;
    t->poked = t->stopping = false;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->cond, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        fatal(71, "no thread for %s", what);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void
worker_thread_poke(struct worker_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->poked = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
}

void
worker_thread_stop(struct worker_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->cond);
    pthread_mutex_destroy(&t->lock);
}
