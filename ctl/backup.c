/*
 * kairosctl backup - Redis and PostgreSQL at instants that fit together.
 *
 * Every record of the audit trail is in a stream of Redis until PostgreSQL has it, so a backup
 * is whole when nothing moves from one to the other between the two copies: a lock on
 * sync_events holds the drain up while a snapshot of PostgreSQL is taken and then Redis is
 * read. Nobody else waits for it. pg_dump works on that snapshot afterwards.
 */
#include "backup.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/pg.h"
#include "common/redis.h"
#include "common/redis_info.h"
#include "ctl.h"
#include "keyfile.h"

#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define DEADLINE_MS (10 * 60 * 1000)

struct backup {
    const struct conf *conf;
    const char *dir;
    struct pg *hold, *snapshot; /* NULL without PostgreSQL */
    char snapshot_name[64];
    struct json_object *manifest;
};

enum { S_BEGIN, S_LOCK, S_ROLLBACK, S_READ, S_EXPORT, S_ABOUT };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_BEGIN] = { "begin", "BEGIN", 0 },
    [S_LOCK] = { "hold the drain up", "LOCK TABLE sync_events IN SHARE MODE", 0 },
    [S_ROLLBACK] = { "roll back", "ROLLBACK", 0 },
    [S_READ] = { "begin to read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0 },
    [S_EXPORT] = { "take a snapshot", "SELECT pg_export_snapshot()", 0 },
    [S_ABOUT] = { "what is in it",
        "SELECT current_setting('server_version'), (SELECT count(*) FROM sync_events),"
        " (SELECT max(name) FROM schema_migrations)", 0 },
};
/* clang-format on */

/* --- the manifest --- */

static void
note(struct json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void
note_time(struct json_object *object, const char *name)
{
    struct buf text;

    buf_init(&text, 64);
    buf_time(&text, clock_wall_ms());
    json_object_object_add(object, name,
                           json_object_new_string_len(buf_cstr(&text) + 1, (int)text.len - 2));
    buf_fini(&text);
}

static bool
note_file(struct json_object *object, const char *path, const char *name)
{
    char hex[BACKUP_HASH];
    int64_t size;

    if (!backup_hash(path, &size, hex))
        return false;
    note(object, "file", name);
    note(object, "sha256", hex);
    json_object_object_add(object, "bytes", json_object_new_int64(size));
    return true;
}

static int
write_manifest(struct backup *b)
{
    char path[BACKUP_PATH], partial[BACKUP_PATH];
    FILE *out;
    bool done;

    if (!backup_path(b->dir, BACKUP_MANIFEST, path) ||
        !backup_path(b->dir, BACKUP_MANIFEST ".new", partial))
        return EX_CANTCREAT;
    out = fopen(partial, "we");
    done =
        out != NULL &&
        fputs(json_object_to_json_string_ext(b->manifest, JSON_C_TO_STRING_PRETTY), out) >= 0 &&
        fputc('\n', out) != EOF && fflush(out) == 0 && fsync(fileno(out)) == 0;
    if (out != NULL)
        done = fclose(out) == 0 && done;
    if (done && rename(partial, path) == 0)
        return 0;
    ctl_say("%s: %s", path, strerror(errno));
    return EX_CANTCREAT;
}

/* --- PostgreSQL --- */

static enum rc
hold_drain(struct backup *b, struct fail *f)
{
    struct pg_result *result = NULL;
    enum rc rc = pg_run(b->hold, &stmts[S_BEGIN], NULL, NULL, f);

    if (rc == RC_OK)
        rc = pg_run(b->hold, &stmts[S_LOCK], NULL, NULL, f);
    if (rc == RC_OK)
        rc = pg_run(b->snapshot, &stmts[S_READ], NULL, NULL, f);
    if (rc == RC_OK)
        rc = pg_run(b->snapshot, &stmts[S_EXPORT], NULL, &result, f);
    if (rc == RC_OK)
        snprintf(b->snapshot_name, sizeof(b->snapshot_name), "%s", pg_text(result, 0, 0));
    pg_result_free(result);
    return rc;
}

static enum rc
describe_postgres(struct backup *b, struct json_object *about, struct fail *f)
{
    struct pg_result *result = NULL;
    enum rc rc = pg_run(b->snapshot, &stmts[S_ABOUT], NULL, &result, f);

    if (rc == RC_OK) {
        note(about, "version", pg_text(result, 0, 0));
        json_object_object_add(about, "events", json_object_new_int64(pg_int(result, 0, 1)));
        note(about, "last_migration", pg_text(result, 0, 2));
    }
    pg_result_free(result);
    return rc;
}

static int
dump_postgres(struct backup *b)
{
    struct json_object *about = json_object_new_object();
    char path[BACKUP_PATH], file[BACKUP_PATH + 8], snapshot[96];
    const char *argv[] = { "pg_dump", "--format=custom", "--no-owner", snapshot, file, NULL };
    struct fail f = { 0 };
    int status;

    json_object_object_add(b->manifest, "postgres", about);
    if (describe_postgres(b, about, &f) != RC_OK)
        return ctl_failed("backup", &f);
    if (!backup_path(b->dir, BACKUP_DUMP, path))
        return EX_CANTCREAT;
    snprintf(file, sizeof(file), "--file=%s", path);
    snprintf(snapshot, sizeof(snapshot), "--snapshot=%s", b->snapshot_name);
    status = backup_run(b->conf->database_url, argv);
    note_time(about, "finished_at");
    if (status == 0 && !note_file(about, path, BACKUP_DUMP))
        status = EX_IOERR;
    return status;
}

/* --- Redis --- */

static void
describe_redis(struct redis *r, struct json_object *about)
{
    struct redis_batch *batch = redis_batch_new();
    char version[REDIS_INFO_VALUE_MAX];
    const char *info = NULL;

    redis_batch_add(batch, "INFO server");
    if (redis_run(r, batch, NULL) == RC_OK)
        info = redis_info_text(redis_batch_reply(batch, 0));
    if (info != NULL) {
        redis_info_value(info, "redis_version", version);
        note(about, "version", version);
        note(about, "run_id", redis_run_id(r));
    }
    redis_batch_free(batch);
}

static int
dump_redis(struct backup *b)
{
    struct json_object *about = json_object_new_object();
    struct redis *r = redis_new(b->conf, "kairosctl");
    char path[BACKUP_PATH];
    struct fail f = { 0 };
    FILE *out = backup_path(b->dir, BACKUP_KEYS, path) ? fopen(path, "we") : NULL;
    enum rc rc = RC_OK;
    size_t n = 0;
    bool done = out != NULL;

    json_object_object_add(b->manifest, "redis", about);
    note_time(about, "began_at");
    if (done) {
        rc = keyfile_write(b->conf, r, out, &n, &f);
        done = fflush(out) == 0 && fsync(fileno(out)) == 0;
        done = fclose(out) == 0 && done;
    }
    note_time(about, "finished_at");
    json_object_object_add(about, "keys", json_object_new_int64((int64_t)n));
    if (rc == RC_OK && done)
        describe_redis(r, about);
    redis_free(r);
    if (rc != RC_OK)
        return ctl_failed("backup", &f);
    if (!done || !note_file(about, path, BACKUP_KEYS)) {
        ctl_say("%s: %s", path, strerror(errno));
        return EX_CANTCREAT;
    }
    return 0;
}

/* --- the whole --- */

static int
copy(struct backup *b)
{
    struct fail f = { 0 };
    int status;

    if (b->hold != NULL && hold_drain(b, &f) != RC_OK)
        return ctl_failed("backup", &f);
    status = dump_redis(b);
    if (b->hold == NULL)
        return status;
    if (pg_run(b->hold, &stmts[S_ROLLBACK], NULL, NULL, NULL) != RC_OK)
        pg_close(b->hold);
    return status == 0 ? dump_postgres(b) : status;
}

static int
backup(struct backup *b)
{
    const char *url = b->conf->database_url;
    int status;

    b->manifest = json_object_new_object();
    json_object_object_add(b->manifest, "format", json_object_new_int(BACKUP_FORMAT));
    note_time(b->manifest, "began_at");
    if (*url != '\0') {
        b->hold = pg_new(url, "kairosctl backup", DEADLINE_MS);
        b->snapshot = pg_new(url, "kairosctl backup", DEADLINE_MS);
    }
    status = copy(b);
    if (status == 0)
        status = write_manifest(b);
    if (status == 0)
        printf("%s\n", b->dir);
    pg_free(b->hold);
    pg_free(b->snapshot);
    json_object_put(b->manifest);
    return status == 0 ? ctl_done() : status;
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { NULL, 0, NULL, 0 } };
    struct backup b = { .conf = conf };

    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return ctl_misused(&ctl_backup, "unknown option");
    if (argc - optind != 1)
        return ctl_misused(&ctl_backup, "takes the name of a new folder");
    b.dir = argv[optind];
    umask(077);
    if (mkdir(b.dir, 0700) != 0 &&
        (errno != EEXIST || rmdir(b.dir) != 0 || mkdir(b.dir, 0700))) {
        ctl_say("%s: %s", b.dir, strerror(errno));
        return EX_CANTCREAT;
    }
    return backup(&b);
}

const struct ctl_command ctl_backup = {
    .name = "backup",
    .summary = "copy Redis and PostgreSQL into a folder",
    .usage =
        "kairosctl backup DIR\n"
        "Writes the keys of Redis (below KEY_PREFIX), a dump of PostgreSQL (pg_dump) and a\n"
        "manifest with versions, instants and checksums into DIR, which is made, or empty.\n"
        "The service goes on; only the writing of the audit trail waits while Redis is read.\n"
        "Session and trail fit together. DIR holds everything there is to know: guard it.\n",
    .run = run,
};
