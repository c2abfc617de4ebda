/*
 * listen.h - every change of every session, or of one, as it is published.
 */
#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include "common/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct conf;
struct event;
struct listen; /* opaque */

/* `id` NULL: all sessions. Connects at the first call of listen_next. */
struct listen *listen_new(const struct conf *conf, const char *id);
void listen_free(struct listen *l);

/*
 * The next change in *ev, borrowed until the next call; *came is false when there was none for
 * `wait_ms`. RC_OK; RC_STORE_UNAVAILABLE: not connected, and what happened meanwhile is not
 * told; the next call tries again. RC_INTERNAL: Redis refuses to tell.
 */
enum rc listen_next(struct listen *l, int64_t wait_ms, struct event *ev, bool *came,
                    struct fail *f) MUSTCHECK;

#endif
