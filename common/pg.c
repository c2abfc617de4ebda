/*
 * libpq without its blocking calls: those wait for ever on a server that is there and silent.
 * Every wait is a poll(2) against the deadline of the call.
 */
#include "pg.h"
#include "arena.h"
#include "clock.h"
#include "log.h"
#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/random.h>

#define CONNECT_MS 3000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define COPY_PIECE (256 * 1024)
#define STATE_LEN 5

struct pg {
    const char *url;
    char name[64];
    int64_t deadline_ms;
    PGconn *conn; /* NULL: not connected */
    uint64_t connections;
    int64_t next_try_ms; /* monotonic */
    int64_t backoff_ms;
    bool down; /* said so in the log */
    char state[STATE_LEN + 1];
};

struct pg *
pg_new(const char *url, const char *client_name, int64_t deadline_ms)
{
    struct pg *pg = xalloc(sizeof(*pg));

    pg->url = url;
    pg->deadline_ms = deadline_ms;
    snprintf(pg->name, sizeof(pg->name), "%s", client_name);
    return pg;
}

void
pg_close(struct pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}

void
pg_free(struct pg *pg)
{
    if (pg == NULL)
        return;
    pg_close(pg);
    free(pg);
}

uint64_t
pg_connection(const struct pg *pg)
{
    return pg->connections;
}

const char *
pg_state(const struct pg *pg)
{
    return pg->state;
}

/* What the server said first, on one line. */
static void
first_line(char out[128], const char *text)
{
    snprintf(out, 128, "%.*s", (int)strcspn(text, "\n"), text);
}

/* --- waiting --- */

/* False when the deadline has passed. */
static bool
wait_for(const struct pg *pg, short events, int64_t until_ms)
{
    struct pollfd p = { .fd = PQsocket(pg->conn), .events = events };

    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int n = left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);

        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

/* --- connecting --- */

/* The next try waits for 1/2..1 of the backoff. */
static void
back_off(struct pg *pg)
{
    uint16_t noise = 0;

    if (getrandom(&noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        noise = (uint16_t)clock_mono_us();
    pg->backoff_ms = pg->backoff_ms == 0 ? BACKOFF_MIN_MS : pg->backoff_ms * 2;
    if (pg->backoff_ms > BACKOFF_MAX_MS)
        pg->backoff_ms = BACKOFF_MAX_MS;
    pg->next_try_ms =
        clock_mono_ms() + pg->backoff_ms / 2 + pg->backoff_ms / 2 * noise / UINT16_MAX;
}

/* The connection is of no use any more. */
static enum rc
lost(struct pg *pg, const char *what, struct fail *f)
{
    char why[128];

    first_line(why, pg->conn == NULL ? "" : PQerrorMessage(pg->conn));
    if (!pg->down)
        log_warn("database is away", LOG_STR("doing", what), LOG_STR("error", why));
    pg->down = true;
    pg_close(pg);
    back_off(pg);
    return fail_log(f, RC_STORE_UNAVAILABLE, "database: %s: %s", what, why);
}

static bool
finish_connecting(const struct pg *pg, int64_t until_ms)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    while (next == PGRES_POLLING_WRITING || next == PGRES_POLLING_READING) {
        if (!wait_for(pg, next == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, until_ms))
            return false;
        next = PQconnectPoll(pg->conn);
    }
    return next == PGRES_POLLING_OK;
}

/* Notices ("relation exists, skipping") are of no interest to anybody. */
static void
on_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

enum rc
pg_connect(struct pg *pg, struct fail *f)
{
    const char *const keys[] = { "dbname", "fallback_application_name", "client_encoding",
                                 NULL };
    const char *const values[] = { pg->url, pg->name, "UTF8", NULL };

    pg->state[0] = '\0';
    if (pg->url[0] == '\0')
        return fail_log(f, RC_STORE_UNAVAILABLE, "database: DATABASE_URL is not set");
    if (pg->conn != NULL && PQstatus(pg->conn) == CONNECTION_OK)
        return RC_OK;
    if (clock_mono_ms() < pg->next_try_ms)
        return fail_log(f, RC_STORE_UNAVAILABLE, "database: away");
    pg_close(pg);
    pg->conn = PQconnectStartParams(keys, values, 1);
    if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD ||
        !finish_connecting(pg, clock_mono_ms() + CONNECT_MS) ||
        PQsetnonblocking(pg->conn, 1) != 0)
        return lost(pg, "connect", f);
    PQsetNoticeProcessor(pg->conn, on_notice, NULL);
    if (pg->down)
        log_info("database is back", LOG_END);
    pg->down = false;
    pg->backoff_ms = pg->next_try_ms = 0;
    pg->connections++;
    return RC_OK;
}

/* --- one exchange --- */

/* Get what libpq holds onto the wire; reads meanwhile, so that neither side is stuck. */
static bool
flush(const struct pg *pg, int64_t until_ms)
{
    int left;

    while ((left = PQflush(pg->conn)) > 0)
        if (!wait_for(pg, POLLIN | POLLOUT, until_ms) || !PQconsumeInput(pg->conn))
            return false;
    return left == 0;
}

/* The next result, or NULL at the end; false: the connection is lost, or time is up. */
static bool
next_result(const struct pg *pg, int64_t until_ms, PGresult **out)
{
    while (PQisBusy(pg->conn))
        if (!wait_for(pg, POLLIN, until_ms) || !PQconsumeInput(pg->conn))
            return false;
    *out = PQgetResult(pg->conn);
    return true;
}

/* Classes of SQLSTATE that say "not now". */
static bool
is_passing(const char *state)
{
    static const char *const classes[] = { "08", "53", "55", "57", "58" };

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strncmp(state, classes[i], 2) == 0)
            return true;
    return strncmp(state, "40", 2) == 0; /* deadlock, serialization: again */
}

static enum rc
refused(struct pg *pg, const char *what, const PGresult *r, struct fail *f)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    char why[128];

    snprintf(pg->state, sizeof(pg->state), "%s", state == NULL ? "" : state);
    first_line(why, text == NULL ? "" : text);
    return fail_log(f, is_passing(pg->state) ? RC_STORE_UNAVAILABLE : RC_INTERNAL,
                    "database: %s: %s %s", what, pg->state, why);
}

/* All results of what was sent; the last good one is *out. */
static enum rc
finish(struct pg *pg, const char *what, int64_t until_ms, PGresult **out, struct fail *f)
{
    enum rc rc = RC_OK;
    PGresult *r;

    *out = NULL;
    for (;;) {
        ExecStatusType status;

        if (!next_result(pg, until_ms, &r)) {
            rc = lost(pg, what, f);
            break;
        }
        if (r == NULL)
            break;
        status = PQresultStatus(r);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            PQclear(*out);
            *out = r;
            continue;
        }
        if (rc == RC_OK)
            rc = refused(pg, what, r, f);
        PQclear(r);
        if (status == PGRES_COPY_IN || PQstatus(pg->conn) != CONNECTION_OK) {
            lost(pg, what, NULL);
            break;
        }
    }
    if (rc != RC_OK) {
        PQclear(*out);
        *out = NULL;
    }
    return rc;
}

/* Connected, and until when the call may take. */
static enum rc
begin(struct pg *pg, int64_t *until_ms, struct fail *f)
{
    enum rc rc = pg_connect(pg, f);

    *until_ms = clock_mono_ms() + pg->deadline_ms;
    return rc;
}

enum rc
pg_run(struct pg *pg, const struct pg_stmt *stmt, const char *const *args,
       struct pg_result **out, struct fail *f)
{
    int64_t until_ms;
    PGresult *result;
    enum rc rc = begin(pg, &until_ms, f);

    assert(stmt->nparams <= PG_PARAMS_MAX);
    if (out != NULL)
        *out = NULL;
    if (rc != RC_OK)
        return rc;
    if (!PQsendQueryParams(pg->conn, stmt->sql, stmt->nparams, NULL, args, NULL, NULL, 0) ||
        !flush(pg, until_ms))
        return lost(pg, stmt->name, f);
    rc = finish(pg, stmt->name, until_ms, &result, f);
    if (rc == RC_OK && out != NULL)
        *out = (struct pg_result *)result;
    else
        PQclear(result);
    return rc;
}

enum rc
pg_script(struct pg *pg, const char *sql, struct fail *f)
{
    int64_t until_ms;
    PGresult *result;
    enum rc rc = begin(pg, &until_ms, f);

    if (rc != RC_OK)
        return rc;
    if (!PQsendQuery(pg->conn, sql) || !flush(pg, until_ms))
        return lost(pg, "script", f);
    rc = finish(pg, "script", until_ms, &result, f);
    PQclear(result);
    return rc;
}

/* --- COPY --- */

/* The server waits for data. RC_OK, or how it has refused the statement. */
static enum rc
copy_begin(struct pg *pg, const struct pg_stmt *stmt, int64_t until_ms, struct fail *f)
{
    PGresult *r, *ignored;
    enum rc rc;

    if (!PQsendQuery(pg->conn, stmt->sql) || !flush(pg, until_ms) ||
        !next_result(pg, until_ms, &r))
        return lost(pg, stmt->name, f);
    if (PQresultStatus(r) == PGRES_COPY_IN) {
        PQclear(r);
        return RC_OK;
    }
    rc = refused(pg, stmt->name, r, f);
    PQclear(r);
    if (finish(pg, stmt->name, until_ms, &ignored, NULL) == RC_OK)
        PQclear(ignored);
    return rc;
}

/* Hand over one piece; libpq takes none while its buffer cannot be emptied. */
static bool
copy_piece(const struct pg *pg, const char *data, size_t len, int64_t until_ms)
{
    int taken;

    while ((taken = PQputCopyData(pg->conn, data, (int)len)) == 0)
        if (!flush(pg, until_ms))
            return false;
    return taken == 1 && flush(pg, until_ms);
}

enum rc
pg_copy(struct pg *pg, const struct pg_stmt *stmt, const char *data, size_t len, struct fail *f)
{
    int64_t until_ms;
    PGresult *result;
    enum rc rc = begin(pg, &until_ms, f);

    if (rc == RC_OK)
        rc = copy_begin(pg, stmt, until_ms, f);
    if (rc != RC_OK)
        return rc;
    for (size_t at = 0; at < len; at += COPY_PIECE)
        if (!copy_piece(pg, data + at, len - at < COPY_PIECE ? len - at : COPY_PIECE, until_ms))
            return lost(pg, stmt->name, f);
    if (PQputCopyEnd(pg->conn, NULL) < 0 || !flush(pg, until_ms))
        return lost(pg, stmt->name, f);
    rc = finish(pg, stmt->name, until_ms, &result, f);
    PQclear(result);
    return rc;
}
