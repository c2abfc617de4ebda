/*
 * log.h - JSON lines on stderr (or text for people), one write(2) a line.
 *
 * A line is a constant event and fields:
 *   log_info("request", LOG_STR("route", r), LOG_INT("status", 200));
 * Values are escaped, so no input can forge a line. Never pass a token, secret,
 * e-mail or body. The format and the level are process-wide, set once at start.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "rc.h"
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG__MAX };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_field {
    const char *key; /* NULL ends the list */
    const char *str; /* NULL: use num */
    int64_t num;
};

/* NULL shows as "". */
static inline const char *
log_text(const char *s)
{
    return s ? s : "";
}

#define LOG_STR(k, v) ((struct log_field){ .key = (k), .str = log_text(v) })
#define LOG_INT(k, v) ((struct log_field){ .key = (k), .num = (v) })
#define LOG_END ((struct log_field){ .key = 0 })

/* Set level, format and the `component` of every line ("fcgi", "broadcaster"). */
void log_setup(enum log_level level, enum log_format format, const char *component);
/* Request id put on every line until changed; NULL for none. Borrowed. Per thread. */
void log_request(const char *request_id);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *event, const struct log_field *fields);

#define log_error(event, ...) log_at_(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_at_(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_at_(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_at_(LOG_DEBUG, event, __VA_ARGS__)
#define log_at_(level, event, ...)                                                      \
    do {                                                                                \
        if (log_enabled(level))                                                         \
            log_line(level, event, (const struct log_field[]){ __VA_ARGS__, LOG_END }); \
    } while (0)

/* Start-up only: say it on the log and end the process with `status` (sysexits). */
_Noreturn void fatal(int status, const char *fmt, ...) PRINTF(2, 3);

#endif
