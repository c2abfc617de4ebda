#include "changes.h"

#include "keys.h"

#include <assert.h>
#include <stdatomic.h>

static _Atomic int64_t *noted;

size_t
changes_size(void)
{
    return KEYS_PARTITIONS * sizeof(*noted);
}

void
changes_attach(void *area)
{
    noted = area;
}

void
changes_note(int partition, int64_t n)
{
    int64_t known;

    assert(partition >= 0 && partition < KEYS_PARTITIONS);
    if (noted == NULL)
        return;
    known = atomic_load_explicit(&noted[partition], memory_order_relaxed);
    while (known < n &&
           !atomic_compare_exchange_weak_explicit(&noted[partition], &known, n,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

int64_t
changes_known(int partition)
{
    return noted == NULL ? 0 : atomic_load_explicit(&noted[partition], memory_order_relaxed);
}
