/*
 * The page holds a few 64-bit numbers, each read and written in one piece; what belongs
 * together (a database state and when it was said) is packed into one of them. The area of the
 * metrics follows, then the reports. A file of ours with another layout, as another release
 * leaves it, is replaced by a new file; processes that still hold the old one keep sharing
 * that. Openers take turns by a lock on the file.
 */
#include "status.h"
#include "arena.h"
#include "changes.h"
#include "clock.h"
#include "metrics.h"
#include "report.h"
#include "tally.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x534b7374LL /* "SKst" */
#define PAGE_VERSION 4
#define METRICS_AT 64    /* a cache line of its own for what is read all the time */
#define SILENCE_MS 10000 /* after this much of it the service was down */
#define STATES 4         /* room for enum database_state in one number with an instant */
#define OPEN_TRIES 200   /* 5 ms apart: nobody waits for ever for somebody's lock */

struct page {
    _Atomic int64_t layout;
    _Atomic int64_t started_at;
    _Atomic int64_t beat_at;
    _Atomic int64_t database; /* instant * STATES + state */
};

struct status {
    struct page *page;
};

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share these: no hidden locks");
static_assert(sizeof(struct page) <= METRICS_AT, "the metrics begin behind it");

static int64_t
our_layout(void)
{
    return MAGIC << 32 |
           (uint32_t)((metrics_layout() * 31 + (uint32_t)report_size()) * 31 + PAGE_VERSION);
}

/* Behind the reports, in a cache line of its own. */
static size_t
tally_at(void)
{
    return (METRICS_AT + metrics_size() + report_size() + 63) / 64 * 64;
}

/* And the counts of changes behind that. */
static size_t
changes_at(void)
{
    return (tally_at() + tally_size() + 63) / 64 * 64;
}

static size_t
file_size(void)
{
    return changes_at() + changes_size();
}

static struct page *
map(int fd, int flags)
{
    void *p = mmap(NULL, file_size(), PROT_READ | PROT_WRITE, flags, fd, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* Whether `path` still names what fd has open: another opener may have replaced it. */
static bool
is_current(const char *path, int fd)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/*
 * With the lock on fd: 0 when the file is ready to be mapped, EAGAIN when it was replaced and
 * must be opened again, else an errno. Nothing that is not ours is touched.
 */
static int
prepare(const char *path, int fd)
{
    int64_t layout = 0, ours = our_layout();
    struct stat st;

    if (fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (!is_current(path, fd))
        return EAGAIN;
    if (st.st_size > 0 && pread(fd, &layout, sizeof(layout), 0) != sizeof(layout))
        return EINVAL;
    if (layout == ours && st.st_size == (off_t)file_size())
        return 0;
    if (layout >> 32 == MAGIC)
        return unlink(path) < 0 ? errno : EAGAIN;
    if (st.st_size > 0)
        return EINVAL;
    /* the layout first: what is left of an attempt that ends here is known as ours */
    if (fchmod(fd, 0660) < 0 || pwrite(fd, &ours, sizeof(ours), 0) != sizeof(ours))
        return errno;
    /* all of it now: a full file system would end whoever touches a page that is not there */
    return posix_fallocate(fd, 0, (off_t)file_size());
}

/* The mapped file, or NULL and errno; EAGAIN when it was replaced, or another has the lock. */
static struct page *
map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0660);
    struct page *page = NULL;
    int error;

    if (fd < 0)
        return NULL;
    error = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : prepare(path, fd);
    if (!error) {
        page = map(fd, MAP_SHARED);
        error = errno;
    }
    (void)flock(fd,
                LOCK_UN); /* by hand: the mapping keeps the file open, and with it the lock */
    close(fd);
    errno = error;
    return page;
}

enum rc
status_open(const char *path, struct status **out, struct fail *f)
{
    struct page *page = NULL;
    enum rc rc = RC_OK;

    for (int i = 0; i < OPEN_TRIES; i++) {
        page = map_file(path);
        if (page || errno != EAGAIN)
            break;
        clock_sleep_until_us(clock_mono_us() + 5000);
        errno = EAGAIN;
    }
    if (!page) {
        rc = fail_log(f, RC_INTERNAL, "status file %s: %s", path, strerror(errno));
        page = map(-1, MAP_SHARED | MAP_ANONYMOUS); /* shared with forks at least */
        assert(page);
    }
    *out = xalloc(sizeof(**out));
    (*out)->page = page;
    status_beat(*out, clock_wall_ms());
    return rc;
}

enum rc
status_view(const char *path, struct status **out, struct fail *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int64_t layout = 0;
    void *page = MAP_FAILED;
    struct stat st;

    if (fd < 0)
        return fail_log(f, RC_INTERNAL, "status file %s: %s", path, strerror(errno));
    if (pread(fd, &layout, sizeof(layout), 0) == sizeof(layout) && layout == our_layout() &&
        fstat(fd, &st) == 0 && st.st_size == (off_t)file_size())
        page = mmap(NULL, file_size(), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        return fail_log(f, RC_INTERNAL, "status file %s: of another release", path);
    *out = xalloc(sizeof(**out));
    (*out)->page = page;
    return RC_OK;
}

void
status_close(struct status *s)
{
    if (!s)
        return;
    munmap(s->page, file_size());
    free(s);
}

void *
status_metrics(struct status *s)
{
    return (char *)s->page + METRICS_AT;
}

void *
status_reports(struct status *s)
{
    return (char *)s->page + METRICS_AT + metrics_size();
}

void *
status_tally(struct status *s)
{
    return (char *)s->page + tally_at();
}

void *
status_changes(struct status *s)
{
    return (char *)s->page + changes_at();
}

int64_t
status_started_at(const struct status *s)
{
    return s->page->started_at;
}

void
status_beat(struct status *s, int64_t now_ms)
{
    int64_t last = s->page->beat_at;

    if (last > 0 && now_ms - last <= SILENCE_MS)
        s->page->beat_at = now_ms;
    else if (atomic_compare_exchange_strong(&s->page->beat_at, &last, now_ms))
        s->page->started_at = now_ms;
}

void
status_set_database(struct status *s, enum database_state db, int64_t now_ms)
{
    assert((int)db < STATES);
    s->page->database = now_ms * STATES + (int)db;
}

enum database_state
status_database(const struct status *s, int64_t now_ms)
{
    int64_t word = s->page->database;
    enum database_state db = (enum database_state)(word % STATES);

    if (db == DATABASE_CONNECTED && now_ms - word / STATES > SILENCE_MS)
        return DATABASE_DOWN;
    return db;
}
