/*
 * listener.h - the socket that the web server connects to.
 */
#ifndef FCGI_LISTENER_H
#define FCGI_LISTENER_H

#include "common/rc.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct listener {
    int fd;
    char path[128]; /* of a unix socket that we made, else "" */
    dev_t dev;
    ino_t ino;
};

/* Whether `fd` is a listening socket. */
bool listener_is(int fd);

/*
 * Bind and listen on "unix:/path" or "host:port" ("127.0.0.1:9000", "[::1]:9000", ":9000"). A
 * unix socket gets `mode` and replaces one that is there in one step, so that a new master
 * takes over from an old one without a gap. RC_OK or RC_VALIDATION with the cause in
 * f->message.
 */
enum rc listener_open(const char *where, int64_t mode, struct listener *out,
                      struct fail *f) MUSTCHECK;

/* Remove the unix socket from the file system if it is still ours: no new connections. */
void listener_unlink(struct listener *l);

#endif
