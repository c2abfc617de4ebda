/*
 * recovery_list.h - which sessions PostgreSQL knows more of than Redis has.
 */
#ifndef BROADCASTER_RECOVERY_LIST_H
#define BROADCASTER_RECOVERY_LIST_H

#include "common/id.h"
#include "common/keys.h"
#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recovery_putter;

struct recovery_id {
    char s[ID_LEN + 1];
};

/* Zeroed: empty. */
struct recovery_list {
    struct recovery_id *id;
    size_t n, size;
};

/*
 * List anew, of the partitions in question: sessions that are live in PostgreSQL and missing in
 * Redis, and of those live or changed since changed_ms the ones that are older in Redis. A
 * round trip to each store for every 1,000. RC_OK or a store code.
 */
enum rc recovery_list_fill(struct recovery_list *list, struct recovery_putter *p,
                           const bool partitions[KEYS_PARTITIONS], int64_t changed_ms,
                           struct fail *f) MUSTCHECK;
void recovery_list_fini(struct recovery_list *list);

#endif
