#include "fcgi/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

bool
listener_is(int fd)
{
    int yes = 0;
    socklen_t len = sizeof(yes);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes != 0;
}

/* Bound under a temporary name, made accessible, listening, and only then put in place. */
static enum rc
open_unix(const char *path, int64_t mode, struct listener *out, struct fail *f)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct stat st;
    int n;

    n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.%d", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
        return fail_set(f, RC_VALIDATION, "the path of the socket is too long: %.100s", path);
    snprintf(out->path, sizeof(out->path), "%s", path);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return fail_set(f, RC_VALIDATION, "no socket: %s", strerror(errno));
    unlink(sa.sun_path);
    if (bind(out->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        return fail_set(f, RC_VALIDATION, "cannot bind %.100s: %s", path, strerror(errno));
    if (chmod(sa.sun_path, (mode_t)mode) != 0 || listen(out->fd, BACKLOG) != 0 ||
        stat(sa.sun_path, &st) != 0 || rename(sa.sun_path, path) != 0) {
        (void)fail_set(f, RC_VALIDATION, "cannot listen on %.100s: %s", path, strerror(errno));
        unlink(sa.sun_path);
        return RC_VALIDATION;
    }
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    return RC_OK;
}

static int
bind_tcp(const struct addrinfo *ai)
{
    int one = 1, fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

static enum rc
open_tcp(const char *where, struct listener *out, struct fail *f)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *list;
    const char *colon = strrchr(where, ':');
    char host[128];
    size_t len;
    int err;

    if (colon == NULL)
        return fail_set(f, RC_VALIDATION, "\"%.100s\" is neither unix:/path nor host:port",
                        where);
    len = (size_t)(colon - where);
    if (len >= 2 && where[0] == '[' && where[len - 1] == ']') {
        where++;
        len -= 2;
    }
    snprintf(host, sizeof(host), "%.*s", (int)len, where);
    err = getaddrinfo(*host != '\0' ? host : NULL, colon + 1, &hints, &list);
    if (err != 0)
        return fail_set(f, RC_VALIDATION, "cannot listen on %.100s: %s", where,
                        gai_strerror(err));
    for (const struct addrinfo *ai = list; ai != NULL && out->fd < 0; ai = ai->ai_next)
        out->fd = bind_tcp(ai);
    freeaddrinfo(list);
    if (out->fd < 0)
        return fail_set(f, RC_VALIDATION, "cannot listen on %.100s: %s", where,
                        strerror(errno));
    return RC_OK;
}

enum rc
listener_open(const char *where, int64_t mode, struct listener *out, struct fail *f)
{
    enum rc rc;

    *out = (struct listener){ .fd = -1 };
    rc = strncmp(where, "unix:", 5) == 0 ? open_unix(where + 5, mode, out, f)
                                         : open_tcp(where, out, f);
    if (rc != RC_OK && out->fd >= 0) {
        close(out->fd);
        out->fd = -1;
    }
    return rc;
}

void
listener_unlink(struct listener *l)
{
    struct stat st;

    if (l->path[0] != '\0' && stat(l->path, &st) == 0 && st.st_dev == l->dev &&
        st.st_ino == l->ino)
        unlink(l->path);
    l->path[0] = '\0';
}
