/*
 * arena.h - all memory of one request, freed at once.
 *
 * fcgi/ frees nothing by hand: what a request needs comes from its arena, and
 * foreign objects are tied to it with arena_defer. Blocks are kept between requests, so a
 * warm worker makes no malloc for a usual request. ASan builds poison what is
 * not handed out.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "rc.h"
#include <stddef.h>

struct arena; /* opaque */

/* A new arena that may hand out at most `cap` bytes between resets. Never NULL. */
struct arena *arena_new(size_t cap);

/* `n` zeroed bytes, aligned for any type; n = 0 gives a valid pointer. Aborts past the cap: the
 * body limits lie below it, so getting there is a bug. */
void *arena_alloc(struct arena *a, size_t n);

/* A copy of `len` bytes with a NUL behind it. */
char *arena_dup(struct arena *a, const char *s, size_t len);

/* printf into the arena. */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

/* Call fn(p) at the next reset; newest first. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);

/* Run what was deferred and take back all memory; one block is kept. */
void arena_reset(struct arena *a);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *a);

/* arena_reset and free. NULL is a no-op. */
void arena_free(struct arena *a);

/* malloc, calloc-like and realloc that log and abort instead of returning NULL. */
void *xalloc(size_t n); /* zeroed */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);

#endif
