#include "doctor.h"

#include "common/conf.h"
#include "common/pg.h"
#include "schema.h"

#define DEADLINE_MS 5000

static void
check_migrations(struct doctor *d, struct pg *pg)
{
    struct fail f = { 0 };
    size_t missing = 0;

    switch (schema_state(pg, &missing, &f)) {
    case SCHEMA_CURRENT:
        doctor_say(d, DOCTOR_OK, "migrations", NULL, "all are applied");
        break;
    case SCHEMA_BEHIND:
        doctor_say(d, DOCTOR_FAIL, "migrations", "run `kairosctl migrate`",
                   "%zu are not applied", missing);
        break;
    case SCHEMA_OTHER:
        doctor_say(d, DOCTOR_FAIL, "migrations",
                   "use the kairosctl of the release that migrated last, or update this one",
                   "the database has migrations that this program does not know, or others");
        break;
    case SCHEMA_UNKNOWN:
        doctor_say(d, DOCTOR_FAIL, "migrations",
                   "give the user of DATABASE_URL the right to read schema_migrations", "%s",
                   f.log);
        break;
    }
}

static void
check_connections(struct doctor *d, struct pg *pg)
{
    static const struct pg_stmt stmt = {
        "count connections",
        "SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity"
        " WHERE backend_type = 'client backend'",
        0
    };
    struct pg_result *result = NULL;
    struct fail f = { 0 };
    int64_t used, most;

    if (pg_run(pg, &stmt, NULL, &result, &f) != RC_OK) {
        doctor_say(d, DOCTOR_FAIL, "postgres connections", "look at PostgreSQL", "%s", f.log);
        return;
    }
    used = pg_int(result, 0, 0);
    most = pg_int(result, 0, 1);
    pg_result_free(result);
    doctor_say_connections(d, "postgres connections",
                           "raise max_connections, or put pgbouncer (session or transaction "
                           "mode) in front",
                           used, most);
}

void
doctor_postgres(struct doctor *d)
{
    struct fail f = { 0 };
    struct pg *pg;

    if (d->conf->database_url[0] == '\0') {
        doctor_say(d, DOCTOR_WARN, "postgres",
                   "set DATABASE_URL and run `kairosctl migrate`, unless this is meant",
                   "DATABASE_URL is not set: the audit trail is cut at AUDIT_BACKLOG_MAX and "
                   "cannot be read");
        return;
    }
    pg = pg_new(d->conf->database_url, "kairosctl doctor", DEADLINE_MS);
    if (pg_connect(pg, &f) != RC_OK) {
        doctor_say(d, DOCTOR_FAIL, "postgres", "start PostgreSQL, or correct DATABASE_URL",
                   "%s", f.log);
    } else {
        doctor_say(d, DOCTOR_OK, "postgres", NULL, "answers");
        check_migrations(d, pg);
        check_connections(d, pg);
    }
    pg_free(pg);
}
