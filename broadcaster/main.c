/*
 * synckairos-broadcaster - pushes the changes of sessions to WebSocket clients, and records
 * clocks that reach zero.
 */
#include "common/conf.h"
#include "common/log.h"
#include "loop.h"

#include <sysexits.h>

static const char usage[] =
    "synckairos-broadcaster serves the WebSockets of SyncKairos on WS_HOST:WS_PORT and keeps\n"
    "time. Several may run beside each other and share the port, one for each core.\n";

int
main(int argc, char **argv)
{
    struct conf *conf = conf_start(argc, argv, "broadcaster", usage);
    int status;

    if (argc > 1)
        fatal(EX_USAGE, "unknown argument %s; see --help", argv[1]);
    status = loop_run(conf);
    conf_free(conf);
    return status;
}
