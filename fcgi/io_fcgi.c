#include "fcgi/io.h"

#include <fcgiapp.h>
#include <limits.h>

#define DISCARD_MAX (16 * 1024 * 1024)

static struct FCGX_Request *
fcgx_of(struct io *io)
{
    return ((struct io_fcgi *)io)->fcgx;
}

static const char *
fcgi_param(struct io *io, const char *name)
{
    return FCGX_GetParam(name, fcgx_of(io)->envp);
}

static size_t
fcgi_read(struct io *io, char *buf, size_t n)
{
    int got = FCGX_GetStr(buf, n < INT_MAX ? (int)n : INT_MAX, fcgx_of(io)->in);

    return got > 0 ? (size_t)got : 0;
}

static bool
fcgi_at_end(struct io *io)
{
    return FCGX_GetError(fcgx_of(io)->in) == 0;
}

static bool
fcgi_write(struct io *io, const char *buf, size_t n)
{
    while (n > 0) {
        int piece = n < INT_MAX ? (int)n : INT_MAX;

        if (FCGX_PutStr(buf, piece, fcgx_of(io)->out) != piece)
            return false;
        buf += piece;
        n -= (size_t)piece;
    }
    return true;
}

/*
 * Detached, the connection is closed at once: otherwise libfcgi waits until the web server has
 * closed its side, and this worker would serve nobody meanwhile. What was sent and not wanted
 * (a refused body) is read first, because closing over it would reset the connection and could
 * take the answer with it.
 */
static void
fcgi_finish(struct io *io)
{
    char trash[8192];

    for (size_t n = 0; n < DISCARD_MAX; n += sizeof(trash)) {
        if (fcgi_read(io, trash, sizeof(trash)) < sizeof(trash))
            break;
    }
    FCGX_Detach(fcgx_of(io));
    FCGX_Finish_r(fcgx_of(io));
}

void
io_fcgi_init(struct io_fcgi *io, struct FCGX_Request *fcgx)
{
    io->super = (struct io){
        .param = fcgi_param,
        .read = fcgi_read,
        .write = fcgi_write,
        .finish = fcgi_finish,
        .at_end = fcgi_at_end,
    };
    io->fcgx = fcgx;
}

bool
io_fcgi_is_whole(const struct io_fcgi *io)
{
    return FCGX_GetError(io->fcgx->in) == 0;
}
