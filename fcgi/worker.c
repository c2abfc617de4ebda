#include "fcgi/worker.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/redis.h"
#include "common/redis_info.h"
#include "fcgi/io.h"
#include "fcgi/service.h"
#include "fcgi/slot.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

struct worker {
    struct service service;
    const struct conf *conf;
    struct slot_page *page; /* NULL: no master */
    struct slot *slot;      /* never NULL */
    int epoll;
    sigset_t leave;         /* TERM and USR1 */
    sigset_t waiting;       /* the mask while waiting for a connection */
    int64_t requests_left;  /* -1: no limit */
    int64_t drain_until_us; /* 0: not told to leave */
};

static volatile sig_atomic_t told_to_leave;

static void
on_leave(int sig)
{
    (void)sig;
    told_to_leave = 1;
}

/* TERM and USR1 are noted, and only while waiting; INT and HUP of a terminal are the master's.
 */
static void
signals_setup(struct worker *w)
{
    struct sigaction leave = { .sa_handler = on_leave }, ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&leave.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigemptyset(&w->leave);
    sigaddset(&w->leave, SIGTERM);
    sigaddset(&w->leave, SIGUSR1);
    sigprocmask(SIG_BLOCK, &w->leave, NULL);
    sigemptyset(&w->waiting);
    sigaction(SIGTERM, &leave, NULL);
    sigaction(SIGUSR1, &leave, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    if (w->page != NULL) {
        sigaction(SIGINT, &ignore, NULL);
        sigaction(SIGHUP, &ignore, NULL);
    }
}

/*
 * Wait on the socket so that one connection wakes one worker, and accept without blocking: who
 * comes too late goes on waiting.
 */
static void
listen_setup(struct worker *w)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
    int flags = fcntl(STDIN_FILENO, F_GETFL);

    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ev) != 0 ||
        flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) != 0)
        fatal(EX_OSERR, "cannot wait on the socket: %s", strerror(errno));
}

/* Each worker draws its own number, so that they never all leave together. */
static int64_t
draw_requests(int64_t max)
{
    uint32_t random = 0;

    if (max <= 0)
        return -1;
    (void)!getrandom(&random, sizeof(random), 0);
    return max - max / 10 + (int64_t)(random % (uint64_t)(max / 5 + 1));
}

/* Whether what waits in the backlog is ours to serve before leaving. */
static bool
has_to_drain(const struct worker *w)
{
    return w->page == NULL || atomic_load(&w->page->stopping) || getppid() != w->page->master;
}

/* A signal that came during a request. epoll_pwait does not see it while connections wait. */
static void
take_signal(struct worker *w)
{
    static const struct timespec now = { 0 };

    if (!told_to_leave && sigtimedwait(&w->leave, NULL, &now) > 0)
        told_to_leave = 1;
}

/* False: leave now. While draining that is when nobody waits any more, or too long. */
static bool
wait_connection(struct worker *w)
{
    struct epoll_event ev;
    int n;

    take_signal(w);
    for (;;) {
        if (told_to_leave && w->drain_until_us == 0) {
            w->drain_until_us = clock_mono_us() + w->conf->drain_ms * 1000;
            w->service.app.draining = true;
        }
        if (told_to_leave && (!has_to_drain(w) || clock_mono_us() >= w->drain_until_us))
            return false;
        n = epoll_pwait(w->epoll, &ev, 1, told_to_leave ? 0 : -1, &w->waiting);
        if (n > 0)
            return true;
        if (n == 0 && told_to_leave)
            return false;
        if (n < 0 && errno != EINTR)
            fatal(EX_OSERR, "cannot wait on the socket: %s", strerror(errno));
    }
}

static void
take(struct worker *w, struct io_fcgi *io)
{
    if (!io_fcgi_is_whole(io)) {
        log_info("request_cut_off", LOG_INT("error", FCGX_GetError(io->fcgx->in)));
        io->super.finish(&io->super);
        return;
    }
    service_answer(&w->service, &io->super);
    if (w->requests_left > 0)
        w->requests_left--;
}

static void
serve(struct worker *w)
{
    struct FCGX_Request fcgx;
    struct io_fcgi io;

    if (FCGX_InitRequest(&fcgx, STDIN_FILENO, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
        fatal(EX_SOFTWARE, "libfcgi does not initialise");
    io_fcgi_init(&io, &fcgx);
    while (w->requests_left != 0 && wait_connection(w)) {
        /* From here: a peer that connects and then says nothing counts as a long request. */
        atomic_store(&w->slot->busy_since_us, clock_mono_us());
        if (FCGX_Accept_r(&fcgx) == 0)
            take(w, &io);
        atomic_store(&w->slot->busy_since_us, 0);
    }
    FCGX_Free(&fcgx, 1);
}

int
worker_run(const struct conf *conf, struct slot_page *page, int index)
{
    struct slot alone = { 0 };
    struct worker w = {
        .conf = conf,
        .page = page,
        .slot = page != NULL ? &page->slot[index] : &alone,
        .requests_left = draw_requests(conf->fcgi_max_requests),
    };
    struct fail f = { 0 };

    signals_setup(&w);
    if (FCGX_Init() != 0)
        fatal(EX_SOFTWARE, "libfcgi does not initialise");
    service_init(&w.service, conf);
    listen_setup(&w);
    if (redis_connect(w.service.app.redis, &f) != RC_OK)
        log_warn("redis_unreachable", LOG_STR("cause", f.log));
    else if (index <= 0) /* one for all */
        redis_info_log(w.service.app.redis);
    atomic_store(&w.slot->ready, true);
    serve(&w);
    service_fini(&w.service);
    return EX_OK;
}

int
worker_run_cgi(const struct conf *conf)
{
    struct service service;

    signal(SIGPIPE, SIG_IGN);
    service_init(&service, conf);
    service_answer(&service, io_cgi());
    service_fini(&service);
    return EX_OK;
}
