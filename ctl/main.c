/*
 * kairosctl - what those who run SyncKairos do by hand or from a timer.
 */
#include "common/conf.h"
#include "common/log.h"
#include "ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

static const struct ctl_command *const commands[] = {
    &ctl_backup, &ctl_check_config, &ctl_cleanup, &ctl_doctor, &ctl_migrate, &ctl_restore,
    &ctl_seed,   &ctl_sessions,     &ctl_tail,    &ctl_token,  &ctl_top,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_usage(FILE *out)
{
    fputs("kairosctl SUBCOMMAND [OPTION...] looks after an installation of SyncKairos.\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-16s %s\n", commands[i]->name, commands[i]->summary);
    fputs("kairosctl SUBCOMMAND --help says more. Settings come from the environment, or from\n"
          "the file that SYNCKAIROS_CONFIG names, as for the other programs.\n",
          out);
}

static bool
is_help(const char *s)
{
    return strcmp(s, "--help") == 0 || strcmp(s, "-h") == 0;
}

static const struct ctl_command *
find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int
run(const struct ctl_command *command, int argc, char **argv)
{
    char *none[] = { argv[0], NULL };
    struct conf *conf;
    int status;

    for (int i = 1; i < argc; i++)
        if (is_help(argv[i])) {
            fputs(command->usage, stdout);
            return ctl_done();
        }
    opterr = 0;
    if (command->loads_settings) {
        log_setup(LOG_ERROR, LOG_TEXT, "kairosctl");
        return command->run(NULL, argc, argv);
    }
    conf = conf_start(1, none, "kairosctl", "");
    log_setup(conf->log_level < LOG_WARN ? conf->log_level : LOG_WARN, LOG_TEXT, "kairosctl");
    status = command->run(conf, argc, argv);
    conf_free(conf);
    return status;
}

int
main(int argc, char **argv)
{
    const struct ctl_command *command;

    if (argc < 2) {
        print_usage(stderr);
        return EX_USAGE;
    }
    if (is_help(argv[1])) {
        print_usage(stdout);
        return ctl_done();
    }
    command = find(argv[1]);
    if (command == NULL) {
        ctl_say("there is no subcommand %s; see --help", argv[1]);
        return EX_USAGE;
    }
    return run(command, argc - 1, argv + 1);
}
