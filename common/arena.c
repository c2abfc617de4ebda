/*
 * A list of blocks, newest first; memory is cut off the newest one. A request that outgrows its
 * block gets another, at least twice as large. At the reset the largest block that is not
 * extravagant stays, so after a few requests the usual one fits into what is there.
 */
#include "arena.h"
#include "log.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define REDZONE 16 /* poisoned bytes behind each piece, so that a write past it is seen */
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define REDZONE 0
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define BLOCK_FIRST (32 * 1024)
#define BLOCK_KEEP (1024 * 1024)
#define ALIGN alignof(max_align_t)

struct block {
    struct block *next;
    size_t size; /* of data */
    size_t pos;
    alignas(max_align_t) char data[];
};

struct defer {
    struct defer *next;
    void (*fn)(void *);
    void *p;
};

struct arena {
    size_t cap;
    size_t used;
    struct block *blocks;
    struct defer *defers;
};

static void *
check_memory(void *p, size_t n)
{
    if (!p) {
        log_error("out of memory", LOG_INT("bytes", (int64_t)n));
        abort();
    }
    return p;
}

static struct block *
block_new(size_t size)
{
    struct block *b = check_memory(malloc(sizeof(*b) + size), size);

    b->next = NULL;
    b->size = size;
    b->pos = 0;
    POISON(b->data, size);
    return b;
}

static void
block_free(struct block *b)
{
    UNPOISON(b->data, b->size);
    free(b);
}

/* A block with room for `need` bytes becomes the newest. */
static void
arena_grow(struct arena *a, size_t need)
{
    size_t size = a->blocks ? 2 * a->blocks->size : BLOCK_FIRST;
    struct block *b = block_new(size < need ? need : size);

    b->next = a->blocks;
    a->blocks = b;
}

struct arena *
arena_new(size_t cap)
{
    struct arena *a = xalloc(sizeof(*a));

    a->cap = cap;
    return a;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    size_t step;
    void *p;

    if (n > a->cap - a->used) {
        log_error("arena cap reached", LOG_INT("cap", (int64_t)a->cap),
                  LOG_INT("used", (int64_t)a->used), LOG_INT("bytes", (int64_t)n));
        abort();
    }
    a->used += n;
    step = (n + REDZONE + !n + ALIGN - 1) / ALIGN * ALIGN;
    if (!a->blocks || a->blocks->size - a->blocks->pos < step)
        arena_grow(a, step);
    p = a->blocks->data + a->blocks->pos;
    a->blocks->pos += step;
    UNPOISON(p, n);
    memset(p, 0, n);
    return p;
}

char *
arena_dup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *out;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    out = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return out;
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
    struct defer *d = arena_alloc(a, sizeof(*d));

    d->fn = fn;
    d->p = p;
    d->next = a->defers;
    a->defers = d;
}

void
arena_reset(struct arena *a)
{
    struct block *keep = NULL, *b, *next;

    while (a->defers) {
        struct defer *d = a->defers;

        a->defers = d->next; /* first, so that fn may defer again */
        d->fn(d->p);
    }
    for (b = a->blocks; b; b = next) { /* sizes fall along the list: the first fit is largest */
        next = b->next;
        if (!keep && b->size <= BLOCK_KEEP)
            keep = b;
        else
            block_free(b);
    }
    if (keep) {
        keep->next = NULL;
        keep->pos = 0;
        POISON(keep->data, keep->size);
    }
    a->blocks = keep;
    a->used = 0;
}

size_t
arena_used(const struct arena *a)
{
    return a->used;
}

void
arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    if (a->blocks)
        block_free(a->blocks);
    free(a);
}

void *
xalloc(size_t n)
{
    return check_memory(calloc(1, n ? n : 1), n);
}

void *
xrealloc(void *p, size_t n)
{
    return check_memory(realloc(p, n ? n : 1), n);
}

char *
xstrdup(const char *s)
{
    return check_memory(strdup(s), strlen(s) + 1);
}
