/*
 * kairosctl cleanup - the partitions of the audit trail: made ahead, and dropped when they are
 * older than AUDIT_RETENTION_DAYS. Broadcasters do the same once in a while; this is for those
 * who want to know, or to choose the hour.
 */
#include "common/conf.h"
#include "common/pg.h"
#include "ctl.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#define DEADLINE_MS (3600 * 1000)
#define AHEAD_MONTHS 3
#define STRING_(x) #x
#define STRING(x) STRING_(x)

enum { S_EXTEND, S_RETAIN, S_PARTS, S_STRAYS, S_ENDED };

/* clang-format off */
static const struct pg_stmt stmts[] = {
    [S_EXTEND] = { "extend sync_events", "SELECT sync_events_extend(" STRING(AHEAD_MONTHS) ")", 0 },
    [S_RETAIN] = { "retain sync_events", "SELECT sync_events_retain($1::integer)", 1 },
    /* The same words as in sync_events_retain (migrations). */
    [S_PARTS] = { "old partitions",
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'sync_events'::regclass AND c.relname ~ '^sync_events_\\d{4}_\\d\\d$'"
        " AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC'"
        " <= now() - make_interval(days => $1::integer) ORDER BY 1", 1 },
    [S_STRAYS] = { "old records of the default partition",
        "SELECT count(*) FROM sync_events_default WHERE timestamp < now() - make_interval(days => $1::integer)", 1 },
    [S_ENDED] = { "old summaries",
        "SELECT count(*) FROM sync_sessions WHERE last_updated_at < now() - make_interval(days => $1::integer)"
        " AND (final_status IS NOT NULL OR deleted_at IS NOT NULL)", 1 },
};
/* clang-format on */

/* The number that a statement comes to; *rc tells whether it is one. */
static int64_t
number(struct pg *pg, int stmt, const char *const *args, enum rc *rc, struct fail *f)
{
    struct pg_result *result = NULL;
    int64_t n = 0;

    if (*rc != RC_OK)
        return 0;
    *rc = pg_run(pg, &stmts[stmt], args, &result, f);
    if (*rc == RC_OK)
        n = pg_int(result, 0, 0);
    pg_result_free(result);
    return n;
}

static enum rc
print_parts(struct pg *pg, const char *const *args, bool dry_run, struct fail *f)
{
    struct pg_result *result = NULL;
    enum rc rc = pg_run(pg, &stmts[S_PARTS], args, &result, f);

    for (int i = 0; rc == RC_OK && i < pg_rows(result); i++)
        printf("%s %s\n", dry_run ? "would drop" : "drop", pg_text(result, i, 0));
    pg_result_free(result);
    return rc;
}

static enum rc
retain(struct pg *pg, int64_t days, bool dry_run, struct fail *f)
{
    char text[24];
    const char *args[] = { text };
    int64_t strays, ended;
    enum rc rc;

    snprintf(text, sizeof(text), "%" PRId64, days);
    rc = print_parts(pg, args, dry_run, f);
    strays = number(pg, S_STRAYS, args, &rc, f);
    ended = number(pg, S_ENDED, args, &rc, f);
    if (!dry_run)
        (void)number(pg, S_RETAIN, args, &rc, f);
    if (rc == RC_OK)
        printf("%s %" PRId64 " single records, %" PRId64
               " sessions that ended more than %s days "
               "ago\n",
               dry_run ? "would remove" : "removed", strays, ended, text);
    return rc;
}

static int
cleanup(const struct conf *conf, bool dry_run)
{
    struct pg *pg = pg_new(conf->database_url, "kairosctl cleanup", DEADLINE_MS);
    struct fail f = { 0 };
    enum rc rc = RC_OK;
    int64_t made = 0;

    if (!dry_run)
        made = number(pg, S_EXTEND, NULL, &rc, &f);
    if (rc == RC_OK && !dry_run)
        printf("made %" PRId64 " partitions, they reach %d months ahead\n", made, AHEAD_MONTHS);
    if (rc == RC_OK && conf->audit_retention_days > 0)
        rc = retain(pg, conf->audit_retention_days, dry_run, &f);
    else if (rc == RC_OK)
        puts("AUDIT_RETENTION_DAYS is 0: everything is kept");
    pg_free(pg);
    return rc == RC_OK ? ctl_done() : ctl_failed("cleanup", &f);
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "dry-run", no_argument, NULL, 'n' },
                                             { NULL, 0, NULL, 0 } };
    bool dry_run = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_cleanup, "unknown option");
        dry_run = true;
    }
    if (optind < argc)
        return ctl_misused(&ctl_cleanup, "takes no argument");
    if (conf->database_url[0] == '\0') {
        ctl_say("cleanup: DATABASE_URL is not set");
        return EX_CONFIG;
    }
    return cleanup(conf, dry_run);
}

const struct ctl_command ctl_cleanup = {
    .name = "cleanup",
    .summary = "make partitions of the audit trail ahead, and drop old ones",
    .usage =
        "kairosctl cleanup [--dry-run]\n"
        "Makes the partitions of the next months, drops those that are wholly older than\n"
        "AUDIT_RETENTION_DAYS, and with them the summaries of sessions that ended before.\n"
        "Broadcasters do the same by themselves.\n"
        "  --dry-run   only tell what would be dropped\n",
    .run = run,
};
