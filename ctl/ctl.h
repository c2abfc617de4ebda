/*
 * ctl.h - kairosctl: one file for each subcommand, listed in main.c.
 *
 * A subcommand writes what was asked for to stdout and everything else to stderr, and returns a
 * status of sysexits.h: 0 done, 1 looked and found something wrong, EX_USAGE, EX_UNAVAILABLE
 * (Redis or PostgreSQL does not answer), EX_SOFTWARE (one of them refused), EX_CONFIG.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "common/rc.h"
#include <stdbool.h>

struct conf;

struct ctl_command {
    const char *name;
    const char *summary; /* one line of `kairosctl --help`, without a full stop */
    const char *usage;   /* the text of --help, whole lines */
    bool loads_settings; /* by itself, and says what is wrong with them: run gets no conf */
    /* argv[0] is the name; getopt(3) starts anew. */
    int (*run)(const struct conf *conf, int argc, char **argv);
};

/* New subcommand: its file, a line here and one in main.c. */
extern const struct ctl_command ctl_backup;
extern const struct ctl_command ctl_check_config;
extern const struct ctl_command ctl_cleanup;
extern const struct ctl_command ctl_doctor;
extern const struct ctl_command ctl_migrate;
extern const struct ctl_command ctl_restore;
extern const struct ctl_command ctl_seed;
extern const struct ctl_command ctl_sessions;
extern const struct ctl_command ctl_tail;
extern const struct ctl_command ctl_token;
extern const struct ctl_command ctl_top;

/* "kairosctl: <text>" on stderr. */
void ctl_say(const char *fmt, ...) PRINTF(1, 2);
/* Say what failed, and what to exit with. */
int ctl_failed(const char *what, const struct fail *f);
/* Say that the arguments are wrong, and the usage; returns EX_USAGE. */
int ctl_misused(const struct ctl_command *command, const char *what);
/* Flush stdout: 0, or EX_IOERR. */
int ctl_done(void);

#endif
