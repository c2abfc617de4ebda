#include "fcgi/master.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/status.h"
#include "fcgi/listener.h"
#include "fcgi/slot.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define TURN_MS 100           /* between two looks at the workers */
#define BEAT_US 2000000       /* status.h */
#define NOTICE_US 3600000000L /* anonymous access is said every hour */
#define QUICK_US 1000000      /* a failure sooner than this after the start is "quick" */
#define BACKOFF_MIN_US 50000
#define BACKOFF_MAX_US 5000000
#define READY_US 10000000 /* a newcomer that takes longer ends a rolling restart */

enum place_state {
    PLACE_EMPTY,
    PLACE_RUNNING,
    PLACE_LEAVING, /* told to, or killed */
};

/* Where one worker can be; the index is that of its slot. */
struct place {
    enum place_state state;
    pid_t pid;
    int64_t started_us;
    bool old; /* to be replaced by the rolling restart */
};

struct master {
    const struct conf *conf;
    struct listener listener;
    struct status *status;
    struct slot_page *page;
    int page_fd;
    char program[4096];
    struct place *places; /* one more than workers, for the rolling restart */
    int workers;
    int newcomer; /* place of the successor that is not ready yet, -1 none */
    bool stopping;
    int quick_failures; /* in a row */
    int64_t not_before_us;
    int64_t next_beat_us, next_notice_us;
    sigset_t signals;
};

static struct place all_places[SLOTS_MAX];

/* ---- workers ---- */

/* In the child: become a worker. The path, not /proc/self/exe, so that a new file counts. */
static _Noreturn void
become_worker(const struct master *m, int index)
{
    char slot[48];
    sigset_t none;

    snprintf(slot, sizeof(slot), "--slot=%d,%d", m->page_fd, index);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != m->page->master)
        _exit(EX_TEMPFAIL); /* the master was gone before it could be asked for */
    if (dup2(m->listener.fd, STDIN_FILENO) != STDIN_FILENO)
        _exit(EX_OSERR);
    execl(m->program, m->program, "--worker", slot, (char *)NULL);
    log_error("worker_not_started", LOG_STR("program", m->program),
              LOG_STR("cause", strerror(errno)));
    _exit(EX_UNAVAILABLE);
}

static int
count(const struct master *m, enum place_state state)
{
    int n = 0;

    for (int i = 0; i <= m->workers; i++)
        n += m->places[i].state == state;
    return n;
}

/* Start a worker in a free place; its index, or -1. */
static int
start_worker(struct master *m)
{
    for (int i = 0; i <= m->workers; i++) {
        struct place *p = &m->places[i];

        if (p->state != PLACE_EMPTY)
            continue;
        atomic_store(&m->page->slot[i].busy_since_us, 0);
        atomic_store(&m->page->slot[i].ready, false);
        p->pid = fork();
        if (p->pid == 0)
            become_worker(m, i);
        if (p->pid < 0) {
            log_error("worker_not_started", LOG_STR("cause", strerror(errno)));
            m->not_before_us = clock_mono_us() + BACKOFF_MAX_US;
            return -1;
        }
        p->state = PLACE_RUNNING;
        p->started_us = clock_mono_us();
        p->old = false;
        return i;
    }
    return -1;
}

static void
tell(struct place *p, int sig)
{
    kill(p->pid, sig);
    p->state = PLACE_LEAVING;
}

/* A worker that nobody told to go has gone. */
static void
judge_end(struct master *m, const struct place *p, int status)
{
    int64_t lived_us = clock_mono_us() - p->started_us;
    int64_t delay_us = BACKOFF_MIN_US;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        m->quick_failures = 0;
        return;
    }
    log_error("worker_failed", LOG_INT("pid", p->pid),
              LOG_INT("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
              LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              LOG_INT("lived_ms", lived_us / 1000));
    if (lived_us >= QUICK_US) {
        m->quick_failures = 0;
        return;
    }
    for (int i = 0; i < m->quick_failures && delay_us < BACKOFF_MAX_US; i++)
        delay_us *= 2;
    m->quick_failures++;
    m->not_before_us =
        clock_mono_us() + (delay_us < BACKOFF_MAX_US ? delay_us : BACKOFF_MAX_US);
}

static void
stop_roll(struct master *m, const char *why)
{
    log_error("restart_given_up", LOG_STR("cause", why));
    for (int i = 0; i <= m->workers; i++)
        m->places[i].old = false;
    m->newcomer = -1;
}

static void
reap(struct master *m)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i <= m->workers; i++) {
            struct place *p = &m->places[i];

            if (p->state == PLACE_EMPTY || p->pid != pid)
                continue;
            if (p->state == PLACE_RUNNING)
                judge_end(m, p, status);
            p->state = PLACE_EMPTY;
            if (m->newcomer != i)
                continue;
            m->newcomer = -1;
            /* one that was ready has done its requests already: another follows */
            if (status != 0 || !atomic_load(&m->page->slot[i].ready))
                stop_roll(m, "the new worker ended");
        }
    }
}

static void
kill_stuck(struct master *m)
{
    int64_t now_us = clock_mono_us(), limit_us = m->conf->fcgi_request_limit_ms * 1000;

    for (int i = 0; i <= m->workers && limit_us > 0; i++) {
        int64_t since_us = atomic_load(&m->page->slot[i].busy_since_us);

        if (m->places[i].state == PLACE_EMPTY || since_us == 0 || now_us - since_us < limit_us)
            continue;
        log_error("worker_killed", LOG_INT("pid", m->places[i].pid),
                  LOG_INT("request_ms", (now_us - since_us) / 1000));
        atomic_store(&m->page->slot[i].busy_since_us, 0);
        tell(&m->places[i], SIGKILL);
    }
}

/* ---- rolling restart ---- */

static void
begin_roll(struct master *m)
{
    log_info("restart_begins", LOG_INT("workers", m->workers));
    for (int i = 0; i <= m->workers; i++)
        m->places[i].old = m->places[i].state == PLACE_RUNNING;
    m->newcomer = -1;
}

/* The newcomer is up: the old generation loses one, unless one has gone by itself meanwhile. */
static void
retire_one(struct master *m)
{
    m->newcomer = -1;
    if (count(m, PLACE_RUNNING) <= m->workers)
        return;
    for (int i = 0; i <= m->workers; i++) {
        if (m->places[i].old && m->places[i].state == PLACE_RUNNING) {
            tell(&m->places[i], SIGTERM);
            return;
        }
    }
}

static bool
has_old(const struct master *m)
{
    for (int i = 0; i <= m->workers; i++) {
        if (m->places[i].old && m->places[i].state != PLACE_EMPTY)
            return true;
    }
    return false;
}

/* One step per turn: start a successor, see it ready, let one go, see it gone. */
static void
roll(struct master *m)
{
    if (m->newcomer >= 0) {
        if (atomic_load(&m->page->slot[m->newcomer].ready))
            retire_one(m);
        else if (clock_mono_us() - m->places[m->newcomer].started_us > READY_US) {
            tell(&m->places[m->newcomer], SIGKILL);
            stop_roll(m, "the new worker does not get ready");
        }
        return;
    }
    if (has_old(m) && count(m, PLACE_LEAVING) == 0 && count(m, PLACE_EMPTY) > 0)
        m->newcomer = start_worker(m);
}

/* ---- stopping ---- */

static void
begin_stop(struct master *m)
{
    log_info("stopping", LOG_INT("workers", count(m, PLACE_RUNNING)));
    m->stopping = true;
    m->newcomer = -1;
    listener_unlink(&m->listener);
    atomic_store(&m->page->stopping, true);
    for (int i = 0; i <= m->workers; i++) {
        if (m->places[i].state == PLACE_RUNNING)
            tell(&m->places[i], SIGTERM);
        else if (m->places[i].state == PLACE_LEAVING)
            kill(m->places[i].pid, SIGTERM);
    }
}

static void
stop_now(struct master *m)
{
    for (int i = 0; i <= m->workers; i++) {
        if (m->places[i].state != PLACE_EMPTY)
            tell(&m->places[i], SIGKILL);
    }
}

/* ---- the loop ---- */

static void
on_signal(struct master *m, int sig)
{
    switch (sig) {
    case SIGHUP:
        if (!m->stopping)
            begin_roll(m);
        break;
    case SIGTERM:
    case SIGINT:
        if (m->stopping)
            stop_now(m);
        else
            begin_stop(m);
        break;
    default: /* SIGCHLD: reap looks anyway */
        break;
    }
}

static void
chores(struct master *m)
{
    int64_t now_us = clock_mono_us();
    const struct conf *conf = m->conf;

    if (now_us >= m->next_beat_us) {
        status_beat(m->status, clock_wall_ms());
        m->next_beat_us = now_us + BEAT_US;
    }
    if (now_us >= m->next_notice_us) {
        if (conf->app_env == ENV_PRODUCTION && !conf->auth_required)
            log_warn("anonymous_access", LOG_STR("to", conf->allow_anonymous));
        m->next_notice_us = now_us + NOTICE_US;
    }
}

static void
supervise(struct master *m)
{
    reap(m);
    kill_stuck(m);
    if (m->stopping)
        return;
    roll(m);
    while (count(m, PLACE_RUNNING) < m->workers && clock_mono_us() >= m->not_before_us) {
        if (start_worker(m) < 0)
            break;
    }
}

static void
loop(struct master *m)
{
    const struct timespec turn = { .tv_nsec = TURN_MS * 1000000L };

    for (;;) {
        chores(m);
        supervise(m);
        if (m->stopping && count(m, PLACE_EMPTY) > m->workers)
            return;

        int sig = sigtimedwait(&m->signals, NULL, &turn);
        if (sig > 0)
            on_signal(m, sig);
    }
}

/* ---- start ---- */

static int
cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static void
find_socket(struct master *m)
{
    struct fail f = { 0 };

    if (listener_is(STDIN_FILENO)) {
        m->listener = (struct listener){ .fd = STDIN_FILENO };
        return;
    }
    if (listener_open(m->conf->fcgi_listen, m->conf->fcgi_socket_mode, &m->listener, &f) !=
        RC_OK)
        fatal(EX_UNAVAILABLE, "FCGI_LISTEN: %s", f.message);
}

static void
master_init(struct master *m, const struct conf *conf)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
    struct fail f = { 0 };
    ssize_t n;

    m->conf = conf;
    m->newcomer = -1;
    m->places = all_places;
    m->workers = conf->fcgi_workers > 0 ? (int)conf->fcgi_workers : 4 * cores();
    if (m->workers >= SLOTS_MAX)
        m->workers = SLOTS_MAX - 1;
    n = readlink("/proc/self/exe", m->program, sizeof(m->program) - 1);
    if (n < 0)
        fatal(EX_OSERR, "cannot find this program: %s", strerror(errno));
    sigemptyset(&m->signals);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaddset(&m->signals, signals[i]);
    sigprocmask(SIG_BLOCK, &m->signals, NULL);
    m->page = slot_page_new(&m->page_fd);
    if (m->page == NULL)
        fatal(EX_OSERR, "no shared memory: %s", strerror(errno));
    if (status_open(conf->status_file, &m->status, &f) != RC_OK)
        log_warn("status_not_shared", LOG_STR("cause", f.log));
    find_socket(m);
}

int
master_run(const struct conf *conf)
{
    static struct master m;

    master_init(&m, conf);
    log_info("started", LOG_STR("listen", m.listener.path[0] ? m.listener.path : "fd 0 or TCP"),
             LOG_INT("workers", m.workers), LOG_INT("pid", getpid()));
    loop(&m);
    log_info("stopped", LOG_INT("pid", getpid()));
    status_close(m.status);
    return EX_OK;
}
