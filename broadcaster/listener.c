#include "listener.h"

#include "common/arena.h"
#include "common/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER (128 * 1024)
#define BACKLOG 4096
/* Accepted in one go; then those who are connected have their turn. */
#define ACCEPTS_MAX 64
#define NO_FILES_PAUSE_MS 100

struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd;
    int open_handles;
    void (*on_socket)(void *ctx, int fd);
    void *ctx;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void
on_pause_over(uv_timer_t *timer)
{
    struct listener *l = timer->data;

    uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

/* False when there is nothing more to accept now. */
static bool
accept_one(struct listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        l->on_socket(l->ctx, fd);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        log_error("accept", LOG_STR("error", strerror(errno)));
        uv_poll_stop(&l->poll);
        uv_timer_start(&l->pause, on_pause_over, NO_FILES_PAUSE_MS, 0);
        return false;
    }
    /* one that went away before we came is no reason to stop */
    return errno == ECONNABORTED || errno == EINTR;
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && accept_one(l); i++)
        continue;
}

static int
listen_on(const struct addrinfo *a)
{
    int on = 1, size = SEND_BUFFER;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    /* what is accepted has these from here */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

struct listener *
listener_new(uv_loop_t *loop, const char *host, int64_t port,
             void (*on_socket)(void *ctx, int fd), void *ctx)
{
    struct listener *l = xalloc(sizeof(*l));
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *found = NULL;
    char service[8];
    int rc;

    snprintf(service, sizeof(service), "%d", (int)port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        fatal(69, "cannot listen on %s: %s", host, gai_strerror(rc));
    l->fd = listen_on(found);
    freeaddrinfo(found);
    if (l->fd < 0)
        fatal(69, "cannot listen on %s:%s: %s", host, service, strerror(errno));
    l->on_socket = on_socket;
    l->ctx = ctx;
    l->open_handles = 2;
    uv_timer_init(loop, &l->pause);
    uv_poll_init(loop, &l->poll, l->fd);
    l->poll.data = l->pause.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    return l;
}

static void
on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;

    if (--l->open_handles == 0)
        free(l);
}

void
listener_close(struct listener *l)
{
    if (l == NULL)
        return;
    while (accept_one(l))
        continue;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->pause, on_closed);
    close(l->fd);
}
