#include "cut_proxy.h"
#include "common/arena.h"
#include "common/redis_batch.h"
#include "lua_scripts.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

struct cut_proxy {
    char path[96], url[112], server[96];
    int listener, stop[2];
    pthread_t thread;
    atomic_int arm, requests;
    char buf[CHUNK];
    char held[CHUNK]; /* a commit that comes late */
    size_t held_len;
};

static int
unix_socket(const char *path, bool listening)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (fd >= 0 && listening) {
        unlink(path);
        if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 16) != 0)
            abort();
    } else if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool
put(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, s, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        s += n;
        len -= (size_t)n;
    }
    return true;
}

static void
deliver_held(struct cut_proxy *p)
{
    char reply[4096];
    int fd = unix_socket(p->server, false);

    if (fd >= 0 && put(fd, p->held, p->held_len) && recv(fd, reply, sizeof(reply), 0) > 0)
        p->held_len = 0;
    if (fd >= 0)
        close(fd);
}

/* A chunk from the client; false: hang up. */
static bool
pass_request(struct cut_proxy *p, int server, size_t len)
{
    bool commit = memmem(p->buf, len, redis_script_sha(LUA_COMMIT), 40) != NULL;
    enum cut how = commit ? (enum cut)atomic_exchange(&p->arm, CUT_NONE) : CUT_NONE;

    atomic_fetch_add(&p->requests, 1);
    if (commit && p->held_len > 0)
        deliver_held(p);
    if (how == CUT_BEFORE)
        return false;
    if (how == CUT_LATE) {
        memcpy(p->held, p->buf, len);
        p->held_len = len;
        return false;
    }
    if (how == CUT_SLOW)
        usleep(1200000);
    if (!put(server, p->buf, len))
        return false;
    return how != CUT_AFTER || recv(server, p->buf, CHUNK, 0) < 0;
}

static void
serve(struct cut_proxy *p, int client, int server)
{
    struct pollfd fd[] = { { .fd = client, .events = POLLIN },
                           { .fd = server, .events = POLLIN },
                           { .fd = p->stop[0], .events = POLLIN } };

    while (poll(fd, 3, -1) > 0 && !fd[2].revents) {
        for (int i = 0; i < 2; i++) {
            ssize_t n = fd[i].revents ? recv(fd[i].fd, p->buf, CHUNK, 0) : -1;

            if (!fd[i].revents)
                continue;
            if (n <= 0 ||
                !(i ? put(client, p->buf, (size_t)n) : pass_request(p, server, (size_t)n)))
                return;
        }
    }
}

/* One client at a time, which is what a store is. */
static void *
run(void *arg)
{
    struct cut_proxy *p = arg;
    struct pollfd fd[] = { { .fd = p->listener, .events = POLLIN },
                           { .fd = p->stop[0], .events = POLLIN } };

    while (poll(fd, 2, -1) > 0 && !fd[1].revents) {
        int client = accept(p->listener, NULL, NULL);
        int server = unix_socket(p->server, false);

        if (client >= 0 && server >= 0)
            serve(p, client, server);
        if (client >= 0)
            close(client);
        if (server >= 0)
            close(server);
    }
    return NULL;
}

struct cut_proxy *
cut_proxy_new(const struct private_redis *redis)
{
    struct cut_proxy *p = xalloc(sizeof(*p));

    snprintf(p->path, sizeof(p->path), "%s/proxy", redis->dir);
    snprintf(p->url, sizeof(p->url), "unix://%s", p->path);
    snprintf(p->server, sizeof(p->server), "%s", redis->socket);
    p->listener = unix_socket(p->path, true);
    if (pipe(p->stop) != 0 || pthread_create(&p->thread, NULL, run, p) != 0)
        abort();
    return p;
}

void
cut_proxy_free(struct cut_proxy *p)
{
    if (write(p->stop[1], "x", 1) != 1)
        abort();
    pthread_join(p->thread, NULL);
    close(p->listener);
    close(p->stop[0]);
    close(p->stop[1]);
    free(p);
}

const char *
cut_proxy_url(const struct cut_proxy *p)
{
    return p->url;
}

void
cut_proxy_arm(struct cut_proxy *p, enum cut how)
{
    atomic_store(&p->arm, how);
}

int
cut_proxy_requests(struct cut_proxy *p)
{
    return atomic_exchange(&p->requests, 0);
}
