/*
 * kairosctl tail - the changes as they happen, one line each.
 */
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/event.h"
#include "ctl.h"
#include "listen.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#define WAIT_MS 500
#define AGAIN_MS 200

static volatile sig_atomic_t stopped;

static void
on_signal(int signum)
{
    (void)signum;
    stopped = 1;
}

static void
print_event(const struct event *ev)
{
    struct buf at;

    buf_init(&at, 64);
    buf_time(&at, ev->at_ms);
    printf("%.24s  %s  v%" PRId64 "  %s", buf_cstr(&at) + 1, ev->session_id, ev->version,
           event_type_name(ev->type));
    buf_fini(&at);
    if (ev->reason != REASON_NONE)
        printf("  reason=%s", change_reason_name(ev->reason));
    if (ev->participant_id[0] != '\0')
        printf("  participant=%s", ev->participant_id);
    if (ev->expired_id[0] != '\0')
        printf("  expired=%s", ev->expired_id);
    if (ev->remaining_ms >= 0)
        printf("  remaining_ms=%" PRId64, ev->remaining_ms);
    if (ev->cycle_number > 0)
        printf("  cycle=%" PRId64, ev->cycle_number);
    if (ev->actor[0] != '\0')
        printf("  actor=%s", ev->actor);
    putchar('\n');
}

static int
follow(const struct conf *conf, const char *id, int64_t count)
{
    struct listen *l = listen_new(conf, id);
    bool was_there = false, first = true;
    int status = 0;

    while (!stopped && count != 0 && status == 0) {
        struct fail f = { 0 };
        struct event ev;
        bool came;
        enum rc rc = listen_next(l, WAIT_MS, &ev, &came, &f);

        if (rc == RC_INTERNAL || (rc != RC_OK && first))
            status = ctl_failed("tail", &f);
        else if (rc != RC_OK)
            clock_sleep_until_us(clock_mono_us() + AGAIN_MS * 1000);
        if (rc != RC_OK && was_there)
            ctl_say("Redis is away; what happens until it is back is not shown");
        was_there = rc == RC_OK;
        first = false;
        if (!came)
            continue;
        print_event(&ev);
        count--;
        if (ctl_done() != 0)
            status = EX_IOERR;
    }
    listen_free(l);
    return status;
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "count", required_argument, NULL, 'n' },
                                             { NULL, 0, NULL, 0 } };
    struct sigaction end = { .sa_handler = on_signal };
    int64_t count = -1;
    char *rest;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return ctl_misused(&ctl_tail, "unknown option");
        count = strtoll(optarg, &rest, 10);
        if (*rest != '\0' || count < 1)
            return ctl_misused(&ctl_tail, "--count is a number from 1 on");
    }
    if (argc - optind > 1 ||
        (optind < argc && !id_is_uuid_shape(argv[optind], strlen(argv[optind]))))
        return ctl_misused(&ctl_tail, "takes one id, a UUID");
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    return follow(conf, optind < argc ? argv[optind] : NULL, count);
}

const struct ctl_command ctl_tail = {
    .name = "tail",
    .summary = "show changes of sessions as they happen",
    .usage = "kairosctl tail [--count=N] [ID]\n"
             "Prints a line for each change from now on, of all sessions or of one: its "
             "instant, the\n"
             "session, its version then, what happened, why, about whom, who did it. Ctrl-C "
             "ends it,\n"
             "and so do N changes. What was before is told by GET /v1/sessions/{id}/events.\n",
    .run = run,
};
