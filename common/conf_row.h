/*
 * conf_row.h - the table of settings and one value of it; only conf*.c and their tests use it.
 */
#ifndef COMMON_CONF_ROW_H
#define COMMON_CONF_ROW_H

#include "conf.h"
#include <stddef.h>

struct buf;

enum conf_type {
    CONF_STR,     /* min..max: its length */
    CONF_SECRET,  /* the same, never shown; NAME_FILE is read */
    CONF_URL,     /* the same, shown only when it holds no credentials; NAME_FILE is read */
    CONF_BOOL,    /* true or false */
    CONF_ENUM,    /* one of `names`, stored as its place */
    CONF_INT,     /* min..max */
    CONF_OCTAL,   /* min..max */
    CONF_MS,      /* a duration, min..max in ms; a bare number is ms */
    CONF_SECONDS, /* the same; a bare number is seconds */
    CONF_RULE,    /* struct limit_rule; min: window in ms of a bare number */
    CONF_FOREIGN, /* known, and read by others */
};

struct conf_row {
    const char *env;
    const char *alias; /* NULL, or an older name that is read when env is not set */
    enum conf_type type;
    size_t at; /* offset in struct conf */
    const char *def;
    int64_t min, max;
    const char *names;                  /* CONF_ENUM: "a|b|c" */
    bool (*is_valid)(const char *text); /* strings only; NULL: anything */
    const char *expects;                /* what is_valid wants, for the fault */
    const char *doc;                    /* one sentence */
};

extern const struct conf_row conf_rows[]; /* sorted by env */
extern const size_t conf_row_count;

/* The row of a name or an alias; NULL when there is none. */
const struct conf_row *conf_row_find(const char *name, size_t len);
/* The row for which `name` may have been meant; NULL when none is near. */
const struct conf_row *conf_row_near(const char *name, size_t len);
/* Whether NAME_FILE is read for it. */
bool conf_row_is_secret(const struct conf_row *row);

/*
 * Read `text` into the row's field of c (strings are copied, the old value is freed). RC_OK, or
 * RC_VALIDATION with one line in f->message that does not tell a secret.
 */
enum rc conf_value_parse(const struct conf_row *row, const char *text, struct conf *c,
                         struct fail *f) MUSTCHECK;
/* Free what conf_value_parse allocated. */
void conf_value_free(const struct conf_row *row, struct conf *c);
/* Append the value in the form that conf_value_parse reads; of a secret only that it is set. */
void conf_value_show(const struct conf_row *row, const struct conf *c, struct buf *out);
/* Append what values the row takes, for people: "1..65535", "true or false". */
void conf_value_range(const struct conf_row *row, struct buf *out);

#endif
