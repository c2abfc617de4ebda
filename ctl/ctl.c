#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

void
ctl_say(const char *fmt, ...)
{
    va_list args;

    fputs("kairosctl: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

int
ctl_failed(const char *what, const struct fail *f)
{
    const char *why = f->log[0] != '\0' ? f->log : f->message;

    ctl_say("%s: %s", what, why);
    return rc_status(f->rc) == 503 ? EX_UNAVAILABLE : EX_SOFTWARE;
}

int
ctl_misused(const struct ctl_command *command, const char *what)
{
    ctl_say("%s: %s", command->name, what);
    fputs(command->usage, stderr);
    return EX_USAGE;
}

int
ctl_done(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : EX_IOERR;
}
