/*
 * kairosctl check-config - are the settings good, and what do they come to?
 */
#include "common/buf.h"
#include "common/conf.h"
#include "ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#define FAULTS_MAX (64 * 1024)

static void
say_stranger(void *ctx, const char *name, const char *meant)
{
    (void)ctx;
    ctl_say("%s is no setting%s%s", name, *meant != '\0' ? ", did you mean " : "", meant);
}

static void
say_faults(struct buf *faults)
{
    char *rest = faults->data, *line;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line != '\0')
            ctl_say("%s", line);
}

static int
check(void)
{
    struct conf *conf;
    struct buf text;
    int status = EX_CONFIG;

    buf_init(&text, FAULTS_MAX);
    conf_strangers(say_stranger, NULL);
    if (conf_load(&conf, &text) == RC_OK) {
        conf_print(&text, "values", conf);
        fputs(buf_cstr(&text), stdout);
        conf_free(conf);
        status = ctl_done();
    } else {
        say_faults(&text);
    }
    buf_fini(&text);
    return status;
}

static int
run(const struct conf *none, int argc, char **argv)
{
    static const struct option options[] = { { NULL, 0, NULL, 0 } };

    (void)none;
    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return ctl_misused(&ctl_check_config, "unknown option");
    if (optind < argc)
        return ctl_misused(&ctl_check_config, "takes no argument");
    return check();
}

const struct ctl_command ctl_check_config = {
    .name = "check-config",
    .summary = "tell what is wrong with the settings, or print those in force",
    .usage =
        "kairosctl check-config\n"
        "Prints the settings in force, without secrets, as NAME=value lines. Exits 78 with\n"
        "a line for each fault when there is one; nothing is started or connected to.\n",
    .loads_settings = true,
    .run = run,
};
