/*
 * kairosctl seed - sessions to look at: one of every mode, running. They go the way of any
 * session, so their records reach PostgreSQL too.
 */
#include "common/conf.h"
#include "common/mode.h"
#include "common/redis.h"
#include "common/session_store.h"
#include "ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#define BANK_MS 600000
#define CYCLE_MS 60000
#define PLAYERS 3

/* 00000000-0000-4000-8000-0000000000<kind><place>: the same ones at every run. */
static void
known_id(char out[ID_LEN + 1], int kind, int place)
{
    snprintf(out, ID_LEN + 1, "00000000-0000-4000-8000-00000000%02x%02x", kind & 0xff,
             place & 0xff);
}

static void
draft(struct session *s, enum sync_mode mode)
{
    session_init(s);
    known_id(s->id, (int)mode, 0);
    s->mode = mode;
    s->total_time_ms = BANK_MS;
    s->time_per_cycle_ms = mode == MODE_PER_CYCLE ? CYCLE_MS : -1;
    s->metadata = NULL;
    for (int k = 0; k < PLAYERS; k++) {
        struct participant *p = session_add_participant(s);

        known_id(p->id, 0xff, k + 1);
        p->index = k;
        p->total_time_ms = BANK_MS;
    }
}

static enum rc
seed_one(struct session_store *st, enum sync_mode mode, struct fail *f)
{
    static const struct store_terms terms = { .actor = "kairosctl seed" };
    const struct command start = { .type = COMMAND_START };
    struct store_result res = { 0 };
    struct session s;
    enum rc rc;

    draft(&s, mode);
    rc = session_store_create(st, &s, &terms, &res, f);
    if (rc == RC_OK && s.status == STATUS_PENDING)
        rc = session_store_command(st, s.id, &start, &terms, &s, &res, f);
    if (rc == RC_SESSION_EXISTS) { /* from an earlier run, and used since */
        fail_reset(f);
        rc = session_store_get(st, s.id, &terms, &s, &res, f);
    }
    if (rc == RC_OK)
        printf("%s %s %s\n", s.id, sync_mode_name(s.mode), sync_status_name(s.status));
    session_fini(&s);
    return rc;
}

static int
seed(const struct conf *conf)
{
    struct redis *redis = redis_new(conf, "kairosctl");
    struct session_store *st = session_store_new(conf, redis);
    struct fail f = { 0 };
    int status = 0;

    for (int m = MODE_UNSET + 1; m < MODE__MAX && status == 0; m++)
        if (mode_ops((enum sync_mode)m) != NULL && seed_one(st, (enum sync_mode)m, &f) != RC_OK)
            status = ctl_failed("seed", &f);
    session_store_free(st);
    redis_free(redis);
    return status != 0 ? status : ctl_done();
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "force", no_argument, NULL, 'f' },
                                             { NULL, 0, NULL, 0 } };
    bool force = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_seed, "unknown option");
        force = true;
    }
    if (optind < argc)
        return ctl_misused(&ctl_seed, "takes no argument");
    if (conf->app_env == ENV_PRODUCTION && !force) {
        ctl_say("seed: this is a production installation; --force if you mean it");
        return 1;
    }
    return seed(conf);
}

const struct ctl_command ctl_seed = {
    .name = "seed",
    .summary = "create sessions to look at, one of every mode",
    .usage =
        "kairosctl seed [--force]\n"
        "Creates and starts one session of every mode, always with the same ids, and prints\n"
        "id, mode and status. Sessions that are there already are left as they are.\n"
        "  --force   also where APP_ENV is production\n",
    .run = run,
};
