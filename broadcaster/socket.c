#include "socket.h"

#include "common/arena.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

struct socket {
    struct client client;
    uv_poll_t poll;
    const struct socket_calls *calls;
    char *rest; /* what the kernel did not take; owned, NULL: nothing */
    size_t rest_at, rest_len;
    int fd;
};

static void on_event(uv_poll_t *poll, int status, int events);

static void
on_closed(uv_handle_t *handle)
{
    struct socket *s = handle->data;

    if (s->client.is_open)
        s->calls->gone(s->calls->ctx, &s->client);
    close(s->fd);
    free(s->rest);
    free(s);
}

/* The peer is gone. */
static void
end(struct socket *s)
{
    s->calls->gone(s->calls->ctx, &s->client);
    uv_close((uv_handle_t *)&s->poll, on_closed);
}

/* How much the kernel takes; negative: the peer is gone. */
static ssize_t
give(const struct socket *s, const void *p, size_t len)
{
    ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);

    return n < 0 && errno == EAGAIN ? 0 : n;
}

/* --- how clients reach it (client.h) --- */

static void
io_want_write(struct client *c)
{
    struct socket *s = c->socket;

    uv_poll_start(&s->poll, UV_READABLE | UV_WRITABLE, on_event);
}

static bool
io_write(struct client *c, const void *p, size_t len)
{
    struct socket *s = c->socket;
    ssize_t n = give(s, p, len);

    assert(s->rest == NULL);
    if (n < 0 || (size_t)n == len)
        return n >= 0;
    s->rest_at = 0;
    s->rest_len = len - (size_t)n;
    s->rest = xrealloc(NULL, s->rest_len); /* not zeroed for nothing */
    memcpy(s->rest, (const char *)p + n, s->rest_len);
    io_want_write(c);
    return true;
}

static bool
io_is_stuck(struct client *c)
{
    const struct socket *s = c->socket;

    return s->rest != NULL;
}

/* Whoever cuts may be walking along a list of clients: it goes at the end of the turn. */
static void
io_cut(struct client *c)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    struct socket *s = c->socket;

    /* what the peer did not take is given up */
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    uv_close((uv_handle_t *)&s->poll, on_closed);
}

const struct client_io socket_io = {
    .write = io_write, .is_stuck = io_is_stuck, .want_write = io_want_write, .cut = io_cut
};

/* --- what the loop says --- */

static void
on_readable(struct socket *s)
{
    char data[SOCKET_READ_MAX];
    ssize_t n = recv(s->fd, data, sizeof(data), 0);

    if (n > 0)
        s->calls->received(s->calls->ctx, &s->client, data, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        end(s);
}

static void
on_writable(struct socket *s)
{
    ssize_t n = s->rest != NULL ? give(s, s->rest + s->rest_at, s->rest_len - s->rest_at) : 0;

    if (n < 0) {
        end(s);
        return;
    }
    s->rest_at += (size_t)n;
    if (s->rest != NULL && s->rest_at < s->rest_len)
        return;
    free(s->rest);
    s->rest = NULL;
    uv_poll_start(&s->poll, UV_READABLE, on_event);
    s->calls->writable(s->calls->ctx, &s->client);
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
    struct socket *s = poll->data;

    if (status != 0) {
        end(s);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        on_writable(s);
    if ((events & UV_READABLE) != 0 && !uv_is_closing((uv_handle_t *)poll))
        on_readable(s);
}

struct client *
socket_open(uv_loop_t *loop, int fd, const struct socket_calls *calls)
{
    struct socket *s = xalloc(sizeof(*s));

    s->fd = fd;
    s->calls = calls;
    s->client.socket = s->poll.data = s;
    if (uv_poll_init(loop, &s->poll, fd) != 0) {
        close(fd);
        free(s);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &calls->patience_ms, sizeof(unsigned));
    uv_poll_start(&s->poll, UV_READABLE, on_event);
    return &s->client;
}

void
socket_end(struct client *c)
{
    const struct socket *s = c->socket;

    shutdown(s->fd, SHUT_WR);
}
