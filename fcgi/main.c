/*
 * synckairos.fcgi - answers HTTP requests for a web server.
 */
#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "fcgi/io.h"
#include "fcgi/listener.h"
#include "fcgi/master.h"
#include "fcgi/route.h"
#include "fcgi/slot.h"
#include "fcgi/worker.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "synckairos.fcgi answers the HTTP requests of SyncKairos for a web server.\n"
    "Without arguments it is the master: it listens on FCGI_LISTEN (or on the socket that is\n"
    "its standard input) and keeps FCGI_WORKERS workers. Run by a web server as a CGI program\n"
    "it answers one request.\n"
    "  --worker         one worker for the listening socket that is its standard input\n";

static bool
is_cgi(void)
{
    return io_cgi()->param(io_cgi(), "GATEWAY_INTERFACE") != NULL;
}

static int
run_worker(const struct conf *conf, const char *slot)
{
    struct slot_page *page = NULL;
    int fd = -1, index = -1;

    if (!listener_is(STDIN_FILENO))
        fatal(EX_USAGE, "--worker needs a listening socket on fd 0");
    if (slot != NULL) {
        if (sscanf(slot, "--slot=%d,%d", &fd, &index) != 2 || index < 0 || index >= SLOTS_MAX ||
            (page = slot_page_attach(fd)) == NULL)
            fatal(EX_USAGE, "%s is no slot of a master", slot);
        close(fd);
    }
    return worker_run(conf, page, index);
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    /* first: the arguments of a CGI program are a query (RFC 3875, 4.4) */
    if (!listener_is(STDIN_FILENO) && is_cgi())
        return worker_run_cgi(conf);
    if (argc > 1 && strcmp(argv[1], "--worker") == 0)
        return run_worker(conf, argc > 2 ? argv[2] : NULL);
    if (argc > 1)
        fatal(EX_USAGE, "unknown argument %s; see --help", argv[1]);
    return master_run(conf);
}

int
main(int argc, char **argv)
{
    struct conf *conf = conf_start(argc, argv, "fcgi", usage);
    struct buf errors;
    int status;

    buf_init(&errors, 64 * 1024);
    if (!routes_check(&errors))
        fatal(EX_SOFTWARE, "%s", buf_cstr(&errors));
    buf_fini(&errors);
    status = run(conf, argc, argv);
    conf_free(conf);
    return status;
}
