/*
 * kairosctl migrate - bring the schema up to date.
 *
 * The files of migrations/ are built into the program (or read from --dir). Each is applied in
 * a transaction of its own, together with its row in the ledger (schema_migrations: number,
 * name, checksum). A file that has changed since it was applied, or that is in the ledger and
 * not at hand, stops everything: what it once did is not known any more. An advisory lock lets
 * one host work while others wait.
 */
#include "common/conf.h"
#include "common/pg.h"
#include "ctl.h"
#include "schema.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#define DEADLINE_MS (3600 * 1000) /* an index over much data takes its time */

enum { S_CREATE, S_LOCK, S_BEGIN, S_NOTE, S_COMMIT, S_ROLLBACK };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_CREATE] = { "create the ledger",
        "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY,"
        " name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())", 0 },
    [S_LOCK] = { "lock", "SELECT pg_advisory_lock(hashtext('synckairos migrate'))", 0 },
    [S_BEGIN] = { "begin", "BEGIN", 0 },
    [S_NOTE] = { "write the ledger", "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)", 3 },
    [S_COMMIT] = { "commit", "COMMIT", 0 },
    [S_ROLLBACK] = { "roll back", "ROLLBACK", 0 },
};
/* clang-format on */

/* --- applying --- */

static enum rc
apply(struct pg *pg, const struct schema_file *file, struct fail *f)
{
    char number[SCHEMA_NUMBER + 1];
    const char *args[] = { number, file->name, file->hash };
    enum rc rc = pg_run(pg, &stmts[S_BEGIN], NULL, NULL, f);

    snprintf(number, sizeof(number), "%.*s", SCHEMA_NUMBER, file->name);
    if (rc == RC_OK)
        rc = pg_script(pg, file->sql, f);
    if (rc == RC_OK)
        rc = pg_run(pg, &stmts[S_NOTE], args, NULL, f);
    if (rc == RC_OK)
        return pg_run(pg, &stmts[S_COMMIT], NULL, NULL, f);
    if (pg_run(pg, &stmts[S_ROLLBACK], NULL, NULL, NULL) != RC_OK)
        pg_close(pg);
    return rc;
}

static int
apply_new(struct pg *pg, const struct schema *files, bool dry_run)
{
    size_t n = 0;

    for (size_t i = 0; i < files->n; i++) {
        const struct schema_file *file = &files->at[i];
        struct fail f = { 0 };

        if (file->applied)
            continue;
        if (!dry_run && apply(pg, file, &f) != RC_OK)
            return ctl_failed(file->name, &f);
        printf("%s %s\n", dry_run ? "would apply" : "applied", file->name);
        n++;
    }
    if (n == 0)
        printf("nothing to do, %zu migrations were applied before\n", files->n);
    return ctl_done();
}

/* A dry run changes nothing, so it makes no ledger either. */
static int
dry(struct pg *pg, const struct schema *files)
{
    struct fail f = { 0 };
    bool exists = false;
    int status = 0;

    if (!schema_has_ledger(pg, &exists, &f))
        return ctl_failed("migrate", &f);
    if (exists)
        status = schema_compare(pg, files);
    return status != 0 ? status : apply_new(pg, files, true);
}

static int
migrate(struct pg *pg, const struct schema *files, bool dry_run)
{
    struct fail f = { 0 };
    int status;

    if (dry_run)
        return dry(pg, files);
    if (pg_run(pg, &stmts[S_LOCK], NULL, NULL, &f) != RC_OK ||
        pg_run(pg, &stmts[S_CREATE], NULL, NULL, &f) != RC_OK)
        return ctl_failed("migrate", &f);
    status = schema_compare(pg, files);
    return status != 0 ? status : apply_new(pg, files, false);
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "dry-run", no_argument, NULL, 'n' },
                                             { "dir", required_argument, NULL, 'd' },
                                             { NULL, 0, NULL, 0 } };
    struct schema files = { 0 };
    const char *dir = NULL;
    bool dry_run = false;
    struct pg *pg;
    int option, status;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_migrate, "unknown option");
        dry_run = dry_run || option == 'n';
        dir = option == 'd' ? optarg : dir;
    }
    if (optind < argc)
        return ctl_misused(&ctl_migrate, "takes no argument");
    if (conf->database_url[0] == '\0') {
        ctl_say("migrate: DATABASE_URL is not set");
        return EX_CONFIG;
    }
    pg = pg_new(conf->database_url, "kairosctl migrate", DEADLINE_MS);
    status = schema_collect(&files, dir) ? migrate(pg, &files, dry_run) : EX_NOINPUT;
    schema_free(&files);
    pg_free(pg);
    return status;
}

const struct ctl_command ctl_migrate = {
    .name = "migrate",
    .summary = "bring the schema in PostgreSQL up to date",
    .usage =
        "kairosctl migrate [--dry-run] [--dir=FOLDER]\n"
        "Applies the migrations that DATABASE_URL does not have yet, each in a transaction\n"
        "of its own. May be run at any time and by several hosts at once.\n"
        "  --dry-run      only tell what would be applied\n"
        "  --dir=FOLDER   take the migrations from there, not those built in\n"
        "Exits 1, and applies nothing, when a migration was changed after it was applied.\n",
    .run = run,
};
