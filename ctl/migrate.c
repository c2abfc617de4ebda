/*
 * kairosctl migrate - bring the schema up to date.
 *
 * The files of migrations/ are built into the program (or read from --dir). Each is applied in
 * a transaction of its own, together with its row in the ledger (schema_migrations: number,
 * name, checksum). A file that has changed since it was applied, or that is in the ledger and
 * not at hand, stops everything: what it once did is not known any more. An advisory lock lets
 * one host work while others wait.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/pg.h"
#include "ctl.h"
#include "migrations.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sysexits.h>

#define DEADLINE_MS (3600 * 1000) /* an index over much data takes its time */
#define NUMBER_LEN 4
#define FILE_MAX (4u << 20)
#define FILES_MAX 1000
#define HASH_TEXT (2 * SHA256_DIGEST_LENGTH + 1)

struct file {
    char *name; /* 0001_create_audit.sql */
    char *sql;
    char hash[HASH_TEXT];
    bool applied;
};

struct files {
    struct file *at;
    size_t n;
};

enum { S_CREATE, S_LOCK, S_LEDGER, S_EXISTS, S_BEGIN, S_NOTE, S_COMMIT, S_ROLLBACK };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_CREATE] = { "create the ledger",
        "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY,"
        " name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())", 0 },
    [S_LOCK] = { "lock", "SELECT pg_advisory_lock(hashtext('synckairos migrate'))", 0 },
    [S_LEDGER] = { "read the ledger", "SELECT version, name, checksum FROM schema_migrations ORDER BY version", 0 },
    [S_EXISTS] = { "look for the ledger", "SELECT to_regclass('schema_migrations')", 0 },
    [S_BEGIN] = { "begin", "BEGIN", 0 },
    [S_NOTE] = { "write the ledger", "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)", 3 },
    [S_COMMIT] = { "commit", "COMMIT", 0 },
    [S_ROLLBACK] = { "roll back", "ROLLBACK", 0 },
};
/* clang-format on */

/* --- the files --- */

static bool
is_migration(const char *name)
{
    size_t len = strlen(name);

    return len > NUMBER_LEN + 5 && strspn(name, "0123456789") == NUMBER_LEN &&
           name[NUMBER_LEN] == '_' && strcmp(name + len - 4, ".sql") == 0;
}

static void
add_file(struct files *files, const char *name, const char *sql)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct file *file;

    files->at = xrealloc(files->at, (files->n + 1) * sizeof(*files->at));
    file = &files->at[files->n++];
    *file = (struct file){ .name = xstrdup(name), .sql = xstrdup(sql) };
    SHA256((const unsigned char *)sql, strlen(sql), hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(file->hash + 2 * i, 3, "%02x", hash[i]);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static bool
read_file(struct files *files, const char *dir, const char *name)
{
    struct buf path, text;
    char piece[8192];
    size_t n;
    FILE *in;
    bool done = false;

    buf_init(&path, 4096);
    buf_init(&text, FILE_MAX);
    buf_printf(&path, "%s/%s", dir, name);
    in = fopen(buf_cstr(&path), "re");
    while (in != NULL && (n = fread(piece, 1, sizeof(piece), in)) > 0)
        buf_add(&text, piece, n);
    if (in == NULL || ferror(in))
        ctl_say("%s: %s", buf_cstr(&path), strerror(errno));
    else if (text.overflow || strlen(buf_cstr(&text)) != text.len)
        ctl_say("%s is no SQL", buf_cstr(&path));
    else
        done = true;
    if (done)
        add_file(files, name, buf_cstr(&text));
    if (in != NULL)
        fclose(in);
    buf_fini(&text);
    buf_fini(&path);
    return done;
}

static bool
read_dir(struct files *files, const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    bool done = d != NULL;

    if (d == NULL)
        ctl_say("%s: %s", dir, strerror(errno));
    while (done && (entry = readdir(d)) != NULL)
        if (is_migration(entry->d_name) && files->n < FILES_MAX)
            done = read_file(files, dir, entry->d_name);
    if (d != NULL)
        closedir(d);
    return done;
}

/* From `dir`, or the ones built in; in order, each number once. */
static bool
collect(struct files *files, const char *dir)
{
    if (dir != NULL && !read_dir(files, dir))
        return false;
    for (size_t i = 0; dir == NULL && migration_name[i] != NULL; i++)
        add_file(files, migration_name[i], migration_text[i]);
    if (files->n > 0)
        qsort(files->at, files->n, sizeof(*files->at), by_name);
    for (size_t i = 1; i < files->n; i++)
        if (strncmp(files->at[i - 1].name, files->at[i].name, NUMBER_LEN) == 0) {
            ctl_say("%s and %s have one number", files->at[i - 1].name, files->at[i].name);
            return false;
        }
    return true;
}

static void
free_files(struct files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->at[i].name);
        free(files->at[i].sql);
    }
    free(files->at);
}

/* --- the ledger --- */

/* Compare with what was applied before; 0 when it fits. */
static int
compare(const struct files *files, const struct pg_result *ledger)
{
    int wrong = 0;

    for (int row = 0; row < pg_rows(ledger); row++) {
        struct file *found = NULL;

        for (size_t i = 0; i < files->n; i++)
            if (strtol(files->at[i].name, NULL, 10) == pg_int(ledger, row, 0))
                found = &files->at[i];
        if (found == NULL) {
            ctl_say("%s was applied, and is not known here", pg_text(ledger, row, 1));
            wrong = 1;
        } else if (strcmp(found->hash, pg_text(ledger, row, 2)) != 0) {
            ctl_say("%s has changed since it was applied", found->name);
            wrong = 1;
        } else {
            found->applied = true;
        }
    }
    return wrong;
}

/* Order counts: nothing is applied before something that was applied already. */
static int
check_order(const struct files *files)
{
    for (size_t i = 1; i < files->n; i++)
        if (files->at[i].applied && !files->at[i - 1].applied) {
            ctl_say("%s is new, but %s was applied already", files->at[i - 1].name,
                    files->at[i].name);
            return 1;
        }
    return 0;
}

static int
read_ledger(struct pg *pg, const struct files *files)
{
    struct pg_result *ledger = NULL;
    struct fail f = { 0 };
    int status;

    if (pg_run(pg, &stmts[S_LEDGER], NULL, &ledger, &f) != RC_OK)
        return ctl_failed("migrate", &f);
    status = compare(files, ledger);
    pg_result_free(ledger);
    return status != 0 ? status : check_order(files);
}

/* --- applying --- */

static enum rc
apply(struct pg *pg, const struct file *file, struct fail *f)
{
    char number[NUMBER_LEN + 1];
    const char *args[] = { number, file->name, file->hash };
    enum rc rc = pg_run(pg, &stmts[S_BEGIN], NULL, NULL, f);

    snprintf(number, sizeof(number), "%.*s", NUMBER_LEN, file->name);
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
apply_new(struct pg *pg, const struct files *files, bool dry_run)
{
    size_t n = 0;

    for (size_t i = 0; i < files->n; i++) {
        const struct file *file = &files->at[i];
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
dry(struct pg *pg, const struct files *files)
{
    struct pg_result *ledger = NULL;
    struct fail f = { 0 };
    bool exists;
    int status = 0;

    if (pg_run(pg, &stmts[S_EXISTS], NULL, &ledger, &f) != RC_OK)
        return ctl_failed("migrate", &f);
    exists = !pg_is_null(ledger, 0, 0);
    pg_result_free(ledger);
    if (exists)
        status = read_ledger(pg, files);
    return status != 0 ? status : apply_new(pg, files, true);
}

static int
migrate(struct pg *pg, const struct files *files, bool dry_run)
{
    struct fail f = { 0 };
    int status;

    if (dry_run)
        return dry(pg, files);
    if (pg_run(pg, &stmts[S_LOCK], NULL, NULL, &f) != RC_OK ||
        pg_run(pg, &stmts[S_CREATE], NULL, NULL, &f) != RC_OK)
        return ctl_failed("migrate", &f);
    status = read_ledger(pg, files);
    return status != 0 ? status : apply_new(pg, files, false);
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "dry-run", no_argument, NULL, 'n' },
                                             { "dir", required_argument, NULL, 'd' },
                                             { NULL, 0, NULL, 0 } };
    struct files files = { 0 };
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
    status = collect(&files, dir) ? migrate(pg, &files, dry_run) : EX_NOINPUT;
    free_files(&files);
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
