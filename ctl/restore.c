/*
 * kairosctl restore - the way back from a folder of `kairosctl backup`.
 *
 * PostgreSQL in one transaction first, then Redis. The lives that the partitions had are over
 * (keyfile.h), so the programs begin new ones, and running sessions are paused as of the backup
 * when that is longer ago than OUTAGE_PAUSE_S.
 */
#include "backup.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/pg.h"
#include "common/redis.h"
#include "ctl.h"
#include "keyfile.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define DEADLINE_MS (10 * 60 * 1000)
#define MANIFEST_MAX 65536

struct restore {
    const struct conf *conf;
    const char *dir;
    struct redis *redis;
    struct json_object *manifest;
    bool force;
};

/* --- the folder --- */

static bool
read_manifest(struct restore *r)
{
    char path[BACKUP_PATH], text[MANIFEST_MAX];
    struct json_object *format = NULL;
    struct fail f = { 0 };
    size_t len;
    FILE *in;

    if (!backup_path(r->dir, BACKUP_MANIFEST, path))
        return false;
    in = fopen(path, "re");
    if (in == NULL) {
        ctl_say("%s: %s; this is no finished backup", path, strerror(errno));
        return false;
    }
    len = fread(text, 1, sizeof(text), in);
    fclose(in);
    if (json_parse(text, len, &r->manifest, &f) != RC_OK ||
        !json_object_is_type(r->manifest, json_type_object) ||
        !json_object_object_get_ex(r->manifest, "format", &format) ||
        json_object_get_int(format) != BACKUP_FORMAT) {
        ctl_say("%s is no manifest that this program knows", path);
        return false;
    }
    return true;
}

/* Whether the file that a part of the manifest names is as it was written; absent parts are. */
static bool
is_sound(const struct restore *r, const char *part)
{
    struct json_object *about = NULL, *file = NULL, *hash = NULL;
    char path[BACKUP_PATH], hex[BACKUP_HASH];
    int64_t size;

    if (!json_object_object_get_ex(r->manifest, part, &about))
        return true;
    if (!json_object_object_get_ex(about, "file", &file) ||
        !json_object_object_get_ex(about, "sha256", &hash) ||
        !json_object_is_type(hash, json_type_string) ||
        !backup_path(r->dir, strcmp(part, "redis") == 0 ? BACKUP_KEYS : BACKUP_DUMP, path) ||
        !backup_hash(path, &size, hex))
        return false;
    if (strcmp(hex, json_object_get_string(hash)) == 0)
        return true;
    ctl_say("%s is not as it was written: its checksum differs", path);
    return false;
}

static bool
has(const struct restore *r, const char *part)
{
    return json_object_object_get_ex(r->manifest, part, NULL);
}

/* --- the targets --- */

static int
check_redis(struct restore *r)
{
    int64_t sessions, records;
    struct fail f = { 0 };

    if (keyfile_look(r->conf, r->redis, &sessions, &records, &f) != RC_OK)
        return ctl_failed("restore", &f);
    if (r->force || (sessions == 0 && records == 0))
        return 0;
    ctl_say("Redis is not empty (%" PRId64 " sessions, %" PRId64
            " audit records); --force replaces them",
            sessions, records);
    return 1;
}

static int
check_postgres(struct restore *r)
{
    static const struct pg_stmt stmt = {
        "look for tables",
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = current_schema()::regnamespace",
        0
    };
    struct pg_result *result = NULL;
    struct fail f = { 0 };
    struct pg *pg;
    int64_t tables = 0;
    enum rc rc;

    if (!has(r, "postgres"))
        return 0;
    if (r->conf->database_url[0] == '\0') {
        ctl_say("restore: the backup holds PostgreSQL, and DATABASE_URL is not set");
        return EX_CONFIG;
    }
    pg = pg_new(r->conf->database_url, "kairosctl restore", DEADLINE_MS);
    rc = pg_run(pg, &stmt, NULL, &result, &f);
    if (rc == RC_OK)
        tables = pg_int(result, 0, 0);
    pg_result_free(result);
    pg_free(pg);
    if (rc != RC_OK)
        return ctl_failed("restore", &f);
    if (r->force || tables == 0)
        return 0;
    ctl_say("the database is not empty (%" PRId64 " tables); --force replaces them", tables);
    return 1;
}

/* --- the way back --- */

/* pg_restore --clean cannot: it stumbles over what partitions inherit. */
static int
clear_postgres(struct restore *r)
{
    static const char sql[] =
        "DO $$ DECLARE what text; BEGIN"
        " FOR what IN SELECT format('DROP TABLE %s CASCADE', oid::regclass) FROM pg_class c"
        "  WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = "
        "  current_schema()::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid"
        "  = c.oid AND deptype = 'e') LOOP EXECUTE what; END LOOP;"
        " FOR what IN SELECT format('DROP ROUTINE %s CASCADE', oid::regprocedure) FROM pg_proc "
        "p"
        "  WHERE pronamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT FROM"
        "  pg_depend d WHERE d.objid = p.oid AND deptype = 'e') LOOP EXECUTE what; END LOOP;"
        " FOR what IN SELECT format('DROP TYPE %s CASCADE', oid::regtype) FROM pg_type t"
        "  WHERE typtype = 'e' AND typnamespace = current_schema()::regnamespace AND NOT EXISTS"
        "  (SELECT FROM pg_depend d WHERE d.objid = t.oid AND deptype = 'e')"
        "  LOOP EXECUTE what; END LOOP; END $$";
    struct pg *pg = pg_new(r->conf->database_url, "kairosctl restore", DEADLINE_MS);
    struct fail f = { 0 };
    int status = pg_script(pg, sql, &f) == RC_OK ? 0 : ctl_failed("restore", &f);

    pg_free(pg);
    return status;
}

static int
restore_postgres(struct restore *r)
{
    char path[BACKUP_PATH];
    const char *argv[] = {
        "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", path, NULL
    };
    int status = 0;

    if (!has(r, "postgres"))
        return 0;
    if (!backup_path(r->dir, BACKUP_DUMP, path))
        return EX_NOINPUT;
    if (r->force)
        status = clear_postgres(r);
    return status != 0 ? status : backup_run(r->conf->database_url, argv);
}

static int
restore_redis(struct restore *r)
{
    char path[BACKUP_PATH];
    struct fail f = { 0 };
    enum rc rc = RC_OK;
    size_t n = 0;
    FILE *in = backup_path(r->dir, BACKUP_KEYS, path) ? fopen(path, "re") : NULL;

    if (in == NULL) {
        ctl_say("%s: %s", path, strerror(errno));
        return EX_NOINPUT;
    }
    if (r->force)
        rc = keyfile_clear(r->conf, r->redis, &f);
    if (rc == RC_OK)
        rc = keyfile_read(r->conf, r->redis, in, &n, &f);
    fclose(in);
    if (rc != RC_OK)
        return ctl_failed("restore", &f);
    printf("restored %zu keys%s\n", n, has(r, "postgres") ? " and the database" : "");
    return ctl_done();
}

static int
restore(struct restore *r)
{
    int status;

    if (!read_manifest(r) || !is_sound(r, "redis") || !is_sound(r, "postgres"))
        return EX_DATAERR;
    r->redis = redis_new(r->conf, "kairosctl");
    status = check_redis(r);
    if (status == 0)
        status = check_postgres(r);
    if (status == 0)
        status = restore_postgres(r);
    if (status == 0)
        status = restore_redis(r);
    redis_free(r->redis);
    return status;
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "force", no_argument, NULL, 'f' },
                                             { NULL, 0, NULL, 0 } };
    struct restore r = { .conf = conf };
    int option, status;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_restore, "unknown option");
        r.force = true;
    }
    if (argc - optind != 1)
        return ctl_misused(&ctl_restore, "takes the folder of a backup");
    r.dir = argv[optind];
    status = restore(&r);
    json_object_put(r.manifest);
    return status;
}

const struct ctl_command ctl_restore = {
    .name = "restore",
    .summary = "bring back what `backup` has copied",
    .usage =
        "kairosctl restore [--force] DIR\n"
        "Puts a backup into the Redis and the database that the settings name, once its\n"
        "checksums are found to be right. Stop the programs before, and start them after.\n"
        "Sessions that ran are paused as of the backup if that is longer ago than\n"
        "OUTAGE_PAUSE_S; under another KEY_PREFIX they get that one.\n"
        "  --force   even if there is something: what is there is replaced\n"
        "Exits 1 when there is something, 65 when the backup is damaged or unfinished.\n",
    .run = run,
};
