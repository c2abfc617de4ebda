/*
 * schema.h - the migrations: those at hand (built in, or of a folder) and those that a database
 * has had, by its ledger.
 */
#ifndef CTL_SCHEMA_H
#define CTL_SCHEMA_H

#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>

struct pg;

#define SCHEMA_NUMBER 4 /* digits at the beginning of a name */
#define SCHEMA_HASH 65  /* SHA-256 in hex, with the NUL */

struct schema_file {
    char *name; /* 0001_create_audit.sql */
    char *sql;
    char hash[SCHEMA_HASH];
    bool applied;
};

struct schema {
    struct schema_file *at;
    size_t n;
};

/* Fill a zeroed *files from `dir`, or with those built in (NULL); in order. False, and said
 * why, when that cannot be or a number stands there twice. */
bool schema_collect(struct schema *files, const char *dir) MUSTCHECK;
void schema_free(struct schema *files);

/* Whether there is a ledger; false with f set when that cannot be found out. */
bool schema_has_ledger(struct pg *pg, bool *exists, struct fail *f) MUSTCHECK;
/* Mark those that were applied. 0; 1, and said why, when the ledger does not fit; else a status
 * of ctl_failed. There is a ledger. */
int schema_compare(struct pg *pg, const struct schema *files) MUSTCHECK;

enum schema_state {
    SCHEMA_CURRENT,
    SCHEMA_BEHIND, /* *missing are to be applied */
    SCHEMA_OTHER,  /* it knows what we do not, or otherwise */
    SCHEMA_UNKNOWN,
};
/* How a database stands to the migrations built in. */
enum schema_state schema_state(struct pg *pg, size_t *missing, struct fail *f);

#endif
