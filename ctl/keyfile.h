/*
 * keyfile.h - the keys of a Redis in a file, as DUMP gives them: a line that says what it is,
 * then for each key its length, its time to live in ms (0 none) and the length of its value as
 * 64-bit little-endian numbers, the key without KEY_PREFIX, and the value.
 */
#ifndef CTL_KEYFILE_H
#define CTL_KEYFILE_H

#include "common/rc.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf;
struct redis;

/*
 * Write all keys of the installation. What belongs to one partition is of one instant
 * (MULTI), so a session, its wake-up and its audit records fit together. *n keys were written.
 * RC_OK; store codes; RC_INTERNAL: the file cannot be written.
 */
enum rc keyfile_write(const struct conf *conf, struct redis *r, FILE *out, size_t *n,
                      struct fail *f) MUSTCHECK;

/* Put them into Redis; keys that exist are replaced, and every life is over. RC_OK; store
 * codes; RC_INTERNAL: the file is damaged, or a Redis that is older refuses. */
enum rc keyfile_read(const struct conf *conf, struct redis *r, FILE *in, size_t *n,
                     struct fail *f) MUSTCHECK;

/* How many sessions and audit records there are. */
enum rc keyfile_look(const struct conf *conf, struct redis *r, int64_t *sessions,
                     int64_t *records, struct fail *f) MUSTCHECK;
/* Remove all keys but those of running programs (keys_is_passing). */
enum rc keyfile_clear(const struct conf *conf, struct redis *r, struct fail *f) MUSTCHECK;

#endif
