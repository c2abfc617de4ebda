/*
 * slot.h - the page of memory that the master shares with its workers: one slot each.
 *
 * It is anonymous memory behind a descriptor, which survives the exec that makes a worker out
 * of the master's child. A worker writes only its own slot; nobody waits for anybody.
 */
#ifndef FCGI_SLOT_H
#define FCGI_SLOT_H

#include "common/rc.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SLOTS_MAX 1024

struct slot {
    _Atomic int64_t busy_since_us; /* monotonic start of the request in hand, 0: idle */
    _Atomic bool ready;            /* it accepts requests */
};

struct slot_page {
    pid_t master;
    _Atomic bool stopping; /* the service ends: what waits in the backlog is still served */
    struct slot slot[SLOTS_MAX];
};

/* A new page; *fd is inherited by children. NULL when the system refuses. */
struct slot_page *slot_page_new(int *fd);
/* The page behind an inherited descriptor; NULL when it is none. */
struct slot_page *slot_page_attach(int fd);

#endif
