/*
 * due_log.h - changes that nobody has sent a command for (time, an outage, idleness), noted
 * while a commit is put together, for one line each in the log once it is done. A command's is
 * logged by whoever sent it.
 */
#ifndef COMMON_DUE_LOG_H
#define COMMON_DUE_LOG_H

#include <stddef.h>

struct change;
struct due_line;

struct due_log {
    struct due_line *line;
    size_t n, size;
};

void due_log_fini(struct due_log *log);
/* Begin anew, keep the memory. */
void due_log_clear(struct due_log *log);
void due_log_add(struct due_log *log, const struct change *change);
/* Log those from `first` on, `n` of them, as changes of session `id`. */
void due_log_write(const struct due_log *log, size_t first, size_t n, const char *id);

#endif
