#include "fcgi/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* The CGI variables are the environment; these are no settings (conf.h). */
static const char *
cgi_param(struct io *io, const char *name)
{
    size_t len = strlen(name);

    (void)io;
    for (char **e = environ; *e != NULL; e++) {
        if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
            return *e + len + 1;
    }
    return NULL;
}

static size_t
cgi_read(struct io *io, char *buf, size_t n)
{
    size_t got = 0;

    (void)io;
    while (got < n) {
        ssize_t r = read(STDIN_FILENO, buf + got, n - got);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    return got;
}

static bool
cgi_write(struct io *io, const char *buf, size_t n)
{
    (void)io;
    while (n > 0) {
        ssize_t w = write(STDOUT_FILENO, buf, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return false;
        buf += w;
        n -= (size_t)w;
    }
    return true;
}

static void
cgi_finish(struct io *io)
{
    (void)io;
    close(STDOUT_FILENO);
}

struct io *
io_cgi(void)
{
    static struct io cgi = {
        .param = cgi_param,
        .read = cgi_read,
        .write = cgi_write,
        .finish = cgi_finish,
        .at_end = NULL, /* RFC 3875, 4.2: never past CONTENT_LENGTH */
    };

    return &cgi;
}
