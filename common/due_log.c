#include "due_log.h"

#include "arena.h"
#include "log.h"
#include "session.h"

struct due_line {
    enum event_type type;
    enum change_reason reason;
    int64_t version;
};

void
due_log_fini(struct due_log *log)
{
    free(log->line);
}

void
due_log_clear(struct due_log *log)
{
    log->n = 0;
}

void
due_log_add(struct due_log *log, const struct change *change)
{
    if (log->n == log->size) {
        log->size = log->size ? 2 * log->size : 64;
        log->line = xrealloc(log->line, log->size * sizeof(*log->line));
    }
    log->line[log->n++] = (struct due_line){ change->type, change->reason, change->version };
}

void
due_log_write(const struct due_log *log, size_t first, size_t n, const char *id)
{
    for (size_t i = first; i < first + n; i++)
        log_info("session_changed", LOG_STR("session_id", id),
                 LOG_STR("event", event_type_name(log->line[i].type)),
                 LOG_INT("version", log->line[i].version),
                 LOG_STR("reason", change_reason_name(log->line[i].reason)));
}
