/*
 * What the ledger (schema_migrations: number, name, checksum) is compared with.
 */
#include "schema.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/pg.h"
#include "ctl.h"
#include "migrations.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>

#define FILE_MAX (4u << 20)
#define FILES_MAX 1000

enum { S_LEDGER, S_EXISTS };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_LEDGER] = { "read the ledger", "SELECT version, name, checksum FROM schema_migrations ORDER BY version", 0 },
    [S_EXISTS] = { "look for the ledger", "SELECT to_regclass('schema_migrations')", 0 },
};
/* clang-format on */

/* --- the files --- */

static bool
is_migration(const char *name)
{
    size_t len = strlen(name);

    return len > SCHEMA_NUMBER + 5 && strspn(name, "0123456789") == SCHEMA_NUMBER &&
           name[SCHEMA_NUMBER] == '_' && strcmp(name + len - 4, ".sql") == 0;
}

static void
add_file(struct schema *files, const char *name, const char *sql)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct schema_file *file;

    files->at = xrealloc(files->at, (files->n + 1) * sizeof(*files->at));
    file = &files->at[files->n++];
    *file = (struct schema_file){ .name = xstrdup(name), .sql = xstrdup(sql) };
    SHA256((const unsigned char *)sql, strlen(sql), hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(file->hash + 2 * i, 3, "%02x", hash[i]);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct schema_file *)a)->name, ((const struct schema_file *)b)->name);
}

static bool
read_file(struct schema *files, const char *dir, const char *name)
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
read_dir(struct schema *files, const char *dir)
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

bool
schema_collect(struct schema *files, const char *dir)
{
    if (dir != NULL && !read_dir(files, dir))
        return false;
    for (size_t i = 0; dir == NULL && migration_name[i] != NULL; i++)
        add_file(files, migration_name[i], migration_text[i]);
    if (files->n > 0)
        qsort(files->at, files->n, sizeof(*files->at), by_name);
    for (size_t i = 1; i < files->n; i++)
        if (strncmp(files->at[i - 1].name, files->at[i].name, SCHEMA_NUMBER) == 0) {
            ctl_say("%s and %s have one number", files->at[i - 1].name, files->at[i].name);
            return false;
        }
    return true;
}

void
schema_free(struct schema *files)
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
compare(const struct schema *files, const struct pg_result *ledger)
{
    int wrong = 0;

    for (int row = 0; row < pg_rows(ledger); row++) {
        struct schema_file *found = NULL;

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
check_order(const struct schema *files)
{
    for (size_t i = 1; i < files->n; i++)
        if (files->at[i].applied && !files->at[i - 1].applied) {
            ctl_say("%s is new, but %s was applied already", files->at[i - 1].name,
                    files->at[i].name);
            return 1;
        }
    return 0;
}

int
schema_compare(struct pg *pg, const struct schema *files)
{
    struct pg_result *ledger = NULL;
    struct fail f = { 0 };
    int status;

    if (pg_run(pg, &stmts[S_LEDGER], NULL, &ledger, &f) != RC_OK)
        return ctl_failed("the ledger", &f);
    status = compare(files, ledger);
    pg_result_free(ledger);
    return status != 0 ? status : check_order(files);
}

bool
schema_has_ledger(struct pg *pg, bool *exists, struct fail *f)
{
    struct pg_result *ledger = NULL;

    if (pg_run(pg, &stmts[S_EXISTS], NULL, &ledger, f) != RC_OK)
        return false;
    *exists = !pg_is_null(ledger, 0, 0);
    pg_result_free(ledger);
    return true;
}

enum schema_state
schema_state(struct pg *pg, size_t *missing, struct fail *f)
{
    struct schema files = { 0 };
    bool exists = false;
    int status = 0;

    *missing = 0;
    if (!schema_has_ledger(pg, &exists, f) || !schema_collect(&files, NULL))
        return SCHEMA_UNKNOWN;
    if (exists)
        status = schema_compare(pg, &files);
    for (size_t i = 0; i < files.n; i++)
        *missing += !files.at[i].applied;
    schema_free(&files);
    if (status > 1)
        return SCHEMA_UNKNOWN;
    if (status == 1)
        return SCHEMA_OTHER;
    return *missing > 0 ? SCHEMA_BEHIND : SCHEMA_CURRENT;
}
