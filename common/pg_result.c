#include "pg.h"

#include <libpq-fe.h>
#include <stdlib.h>

static PGresult *
unwrap(const struct pg_result *r)
{
    return (PGresult *)(uintptr_t)r;
}

int
pg_rows(const struct pg_result *r)
{
    return PQntuples(unwrap(r));
}

const char *
pg_text(const struct pg_result *r, int row, int column)
{
    return PQgetvalue(unwrap(r), row, column);
}

bool
pg_is_null(const struct pg_result *r, int row, int column)
{
    return PQgetisnull(unwrap(r), row, column) != 0;
}

int64_t
pg_int(const struct pg_result *r, int row, int column)
{
    return strtoll(pg_text(r, row, column), NULL, 10);
}

void
pg_result_free(struct pg_result *r)
{
    PQclear(unwrap(r));
}
