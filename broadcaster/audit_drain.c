/*
 * One turn: read, write, then forget (audit_inbox.h). A batch that PostgreSQL does not take now
 * is kept and tried again. A batch with a record that it will never take is halved until that
 * record is found.
 */
#include "audit_drain.h"

#include "audit_inbox.h"
#include "audit_writer.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "worker_thread.h"

#define TURN_MS 60  /* between two turns: what gathers meanwhile is one transaction */
#define AWAY_MS 250 /* after a failure */
#define FLUSH_MS 2000
#define MANY 1024 /* records: read on at once */

struct audit_drain {
    struct worker_thread thread;
    struct audit_inbox in;
    struct audit_writer *writer;
    struct audit_record *record; /* of the entries, one behind the other */
    size_t size;
    bool held;       /* the entries are not in PostgreSQL yet */
    bool complained; /* about the schema */
};

/* --- writing --- */

static void
bury(struct audit_entry *e, const char *why)
{
    e->dead = true;
    snprintf(e->why, sizeof(e->why), "%s", why);
    log_error("audit record is refused", LOG_STR("stream_id", e->id),
              LOG_INT("partition", e->partition), LOG_STR("error", why));
}

/* The records of the entries lo..hi-1 that are not dead, in d->record; returns how many. */
static size_t
gather(struct audit_drain *d, size_t lo, size_t hi)
{
    size_t n = 0;

    if (d->size < d->in.n) {
        d->size = d->in.size;
        d->record = xrealloc(d->record, d->size * sizeof(*d->record));
    }
    for (size_t i = lo; i < hi; i++)
        if (!d->in.entry[i].dead && d->in.entry[i].record.event != NULL)
            d->record[n++] = d->in.entry[i].record;
    return n;
}

/* The entry of the k-th record that was gathered from lo on. */
static struct audit_entry *
entry_of(struct audit_drain *d, size_t lo, size_t k)
{
    for (size_t i = lo;; i++)
        if (!d->in.entry[i].dead && d->in.entry[i].record.event != NULL && k-- == 0)
            return &d->in.entry[i];
}

/* Write the entries lo..hi-1, and bury those that cannot be. RC_OK when all are dealt with. */
static enum rc
write_range(struct audit_drain *d, size_t lo, size_t hi, struct fail *f)
{
    enum rc rc = RC_OK;
    size_t n, bad;

    while ((n = gather(d, lo, hi)) > 0) {
        fail_reset(f);
        rc = audit_writer_write(d->writer, d->record, n, &bad, f);
        if (rc == RC_STATE_UNREADABLE) {
            bury(entry_of(d, lo, bad), f->log);
            continue;
        }
        if (rc != RC_INTERNAL || !audit_writer_refuses_data(d->writer))
            return rc;
        if (n == 1) {
            bury(entry_of(d, lo, 0), f->log);
            continue;
        }
        rc = write_range(d, lo, lo + (hi - lo) / 2, f);
        return rc == RC_OK ? write_range(d, lo + (hi - lo) / 2, hi, f) : rc;
    }
    fail_reset(f);
    return RC_OK;
}

/* --- the thread --- */

/* Say once what needs an operator: tables that are missing, for instance. */
static void
tell_schema(struct audit_drain *d, const struct fail *f)
{
    if (!d->complained)
        log_error("audit records cannot be written", LOG_STR("error", f->log),
                  LOG_STR("remedy", "kairosctl migrate"));
    d->complained = true;
}

static int64_t
turn(void *ctx)
{
    struct audit_drain *d = ctx;
    struct fail f = { 0 };
    enum rc rc = RC_OK;

    if (!d->held)
        rc = audit_inbox_read(&d->in, &f);
    if (rc != RC_OK) {
        audit_inbox_complain("audit read failed", &f);
        return AWAY_MS;
    }
    if (d->in.n == 0) {
        audit_writer_tend(d->writer);
        return TURN_MS;
    }
    d->held = true;
    rc = write_range(d, 0, d->in.n, &f);
    if (rc == RC_INTERNAL)
        tell_schema(d, &f);
    if (rc != RC_OK)
        return AWAY_MS;
    d->complained = false;
    /* Not forgotten, they are taken over, by whomever, and written once more without effect. */
    if (audit_inbox_forget(&d->in, &f) != RC_OK)
        audit_inbox_complain("audit acknowledgement failed", &f);
    d->held = false;
    audit_writer_tend(d->writer);
    return d->in.n >= MANY ? 0 : TURN_MS;
}

/* What is left at the end of the process; what does not go is for the next one. */
static void
flush(struct audit_drain *d)
{
    int64_t until_ms = clock_mono_ms() + FLUSH_MS;
    int idle = 0;

    while (clock_mono_ms() < until_ms && idle < AUDIT_QUARTERS) {
        if (turn(d) == AWAY_MS)
            return;
        idle = d->in.n == 0 ? idle + 1 : 0;
    }
}

struct audit_drain *
audit_drain_start(const struct conf *conf)
{
    struct audit_drain *d;

    if (conf->database_url[0] == '\0')
        return NULL;
    d = xalloc(sizeof(*d));
    audit_inbox_init(&d->in, conf);
    d->writer = audit_writer_new(conf->database_url, conf->audit_retention_days);
    worker_thread_start(&d->thread, "the audit drain", turn, d);
    return d;
}

void
audit_drain_stop(struct audit_drain *d)
{
    if (d == NULL)
        return;
    worker_thread_stop(&d->thread);
    flush(d);
    audit_inbox_fini(&d->in);
    audit_writer_free(d->writer);
    free(d->record);
    free(d);
}
