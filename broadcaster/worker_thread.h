/*
 * worker_thread.h - a thread that does something again and again until it is told to end.
 * Signals stay the loop's.
 */
#ifndef BROADCASTER_WORKER_THREAD_H
#define BROADCASTER_WORKER_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct worker_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* of poked and stopping */
    pthread_cond_t cond;
    bool poked, stopping;
    int64_t (*turn)(void *ctx); /* returns after how many ms to come again */
    void *ctx;
};

/* Call `turn` from a new thread, at once; ends the process, naming `what`, when there is none.
 */
void worker_thread_start(struct worker_thread *t, const char *what, int64_t (*turn)(void *ctx),
                         void *ctx);
/* Come at once, or once more if a turn is in hand; from any thread. */
void worker_thread_poke(struct worker_thread *t);
/* Let the turn in hand end, and the thread with it. */
void worker_thread_stop(struct worker_thread *t);

#endif
