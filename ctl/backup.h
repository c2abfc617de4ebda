/*
 * backup.h - what `kairosctl backup` leaves in a folder, and `restore` takes from there:
 * redis.keys (keyfile.h), postgres.dump (pg_dump's custom format) and manifest.json, which is
 * written last and has size and checksum of the others.
 */
#ifndef CTL_BACKUP_H
#define CTL_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#define BACKUP_FORMAT 1
#define BACKUP_KEYS "redis.keys"
#define BACKUP_DUMP "postgres.dump"
#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_PATH 1024
#define BACKUP_HASH 65

/* "<dir>/<name>"; false, and said, when that is too long. */
bool backup_path(const char *dir, const char *name, char out[BACKUP_PATH]);
/* Size and SHA-256 of a file; false, and said, when it cannot be read. */
bool backup_hash(const char *path, int64_t *size, char hex[BACKUP_HASH]);

/*
 * Run a program of PostgreSQL's with the connection that `url` names in its environment, so
 * that no password stands in a list of processes; --dbname is added. argv ends with NULL and
 * has at most ten members. 0, or a status of ctl_failed's kind, and said.
 */
int backup_run(const char *url, const char *const *argv);

#endif
