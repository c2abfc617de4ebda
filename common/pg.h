/*
 * pg.h - statements to PostgreSQL over one connection, each with a deadline.
 *
 * Connects on first use. After a failure it tries again with jittered backoff (100 ms..2 s),
 * answering RC_STORE_UNAVAILABLE at once in between. A deadline that passes closes the
 * connection, so a server that hangs holds nobody up for longer than that (only resolving a
 * host name is not bounded). Values are always parameters; the text of a statement is a
 * constant of the program or a file of migrations/. Not for several threads at once.
 */
#ifndef COMMON_PG_H
#define COMMON_PG_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg;        /* opaque */
struct pg_result; /* libpq's PGresult under another name: libpq-fe.h need not be known here */

#define PG_PARAMS_MAX 16

/* A statement with parameters $1..$nparams, all passed as text. */
struct pg_stmt {
    const char *name; /* for the log */
    const char *sql;
    int nparams;
};

/* `url` is borrowed ("" : there is no database, every call fails); `client_name` is shown in
 * pg_stat_activity. A statement may take `deadline_ms`, connecting 3 s. */
struct pg *pg_new(const char *url, const char *client_name, int64_t deadline_ms);
void pg_free(struct pg *pg);

/* Connect now if there is no connection. RC_OK or RC_STORE_UNAVAILABLE. */
enum rc pg_connect(struct pg *pg, struct fail *f) MUSTCHECK;
/* Grows with every connection made, so that a caller can prepare each; 0 before the first. */
uint64_t pg_connection(const struct pg *pg);
/* Close the connection; the next call makes another one, at once. */
void pg_close(struct pg *pg);

/*
 * Run one statement. `args` are stmt->nparams texts, NULL for SQL's NULL; `out` may be NULL,
 * else *out is to be freed with pg_result_free (NULL on failure).
 * RC_OK; RC_STORE_UNAVAILABLE: no connection, no answer in time, or the server cannot serve now
 * (SQLSTATE classes 08, 53, 55, 57, 58); RC_INTERNAL: refused, pg_state says why.
 */
enum rc pg_run(struct pg *pg, const struct pg_stmt *stmt, const char *const *args,
               struct pg_result **out, struct fail *f) MUSTCHECK;
/* Run several statements without parameters, separated by semicolons. Fails as pg_run. */
enum rc pg_script(struct pg *pg, const char *sql, struct fail *f) MUSTCHECK;
/* Run `COPY ... FROM STDIN` and feed it `len` bytes in COPY's text format. Fails as pg_run. */
enum rc pg_copy(struct pg *pg, const struct pg_stmt *stmt, const char *data, size_t len,
                struct fail *f) MUSTCHECK;
/* SQLSTATE of the last refusal ("23505"), "" when the last call was not refused. */
const char *pg_state(const struct pg *pg);

int pg_rows(const struct pg_result *r);
/* A value as text, "" for NULL. Borrowed from the result. */
const char *pg_text(const struct pg_result *r, int row, int column);
bool pg_is_null(const struct pg_result *r, int row, int column);
int64_t pg_int(const struct pg_result *r, int row, int column);
void pg_result_free(struct pg_result *r);

#endif
