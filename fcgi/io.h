/*
 * io.h - where a request comes from and its answer goes: FastCGI, plain CGI or a test.
 *
 * Four functions, so that nothing above the worker knows which. An I/O object is embedded as
 * the first member of its kind ("super").
 */
#ifndef FCGI_IO_H
#define FCGI_IO_H

#include <stdbool.h>
#include <stddef.h>

struct io {
    /* A CGI variable, NULL when missing; borrowed until finish. */
    const char *(*param)(struct io *io, const char *name);
    /* Up to n bytes of the body; less than n only at its end or when the peer is gone. */
    size_t (*read)(struct io *io, char *buf, size_t n);
    /* All n bytes; false when the peer is gone. */
    bool (*write)(struct io *io, const char *buf, size_t n);
    /* The answer is complete. */
    void (*finish)(struct io *io);
    /* After a read that came short: whether that was the end of the body, and not of the peer.
     * NULL: a body of unsaid length is not read (plain CGI; by FastCGI it is a chunked one). */
    bool (*at_end)(struct io *io);
};

/* Plain CGI: this process's environment, stdin and stdout. */
struct io *io_cgi(void);

struct FCGX_Request;

/* One FastCGI request at a time, on a request that libfcgi has accepted. */
struct io_fcgi {
    struct io super;
    struct FCGX_Request *fcgx;
};
void io_fcgi_init(struct io_fcgi *io, struct FCGX_Request *fcgx);
/* Whether all variables of the accepted request have come. libfcgi also hands out what a broken
 * connection left of them, and a command without its guards would be another command. */
bool io_fcgi_is_whole(const struct io_fcgi *io);

#endif
