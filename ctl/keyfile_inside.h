/* keyfile_inside.h - what keyfile.c, which writes and clears, and keyfile_read.c share. */
#ifndef CTL_KEYFILE_INSIDE_H
#define CTL_KEYFILE_INSIDE_H

#include "keyfile.h"

struct redis_batch;

#define KEYFILE_MAGIC "SyncKairos keys 1\n"
#define KEYFILE_BATCH 500 /* keys in one round trip */

/* Run the batch, of which nothing may be refused, and clear it; *n grows by its commands.
 * RC_OK; store codes; RC_INTERNAL: refused. */
enum rc keyfile_flush(struct redis *r, struct redis_batch *b, size_t *n,
                      struct fail *f) MUSTCHECK;

#endif
