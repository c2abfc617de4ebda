/*
 * A line is built in a struct buf over memory of the stack, so logging works when malloc does
 * not. A field that no longer fits is left out whole, and the line says that it is truncated.
 */
#include "log.h"
#include "buf.h"
#include "clock.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define TAIL_BYTES 32    /* kept free for the end of a truncated line */
#define VALUE_BYTES 2048 /* more of one value is cut off */

static struct {
    enum log_level level;
    enum log_format format;
    const char *component;
} setup = { LOG_INFO, LOG_JSON, "synckairos" };

static __thread const char *current_request;

static const char *const level_names[LOG__MAX] = { "error", "warn", "info", "debug" };

/* Length of the well-formed UTF-8 character at s (RFC 3629), 0 when there is none. */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4 || n == 0 || n > left)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    if (s[0] == 0xed)
        high = 0x9f;
    if (s[0] == 0xf0)
        low = 0x90;
    if (s[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < n; i++) {
        if (s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

/* How many bytes of it a JSON string holds as they are. */
static size_t
plain_len(const char *value)
{
    size_t n = 0;

    while (value[n] >= ' ' && value[n] <= '~' && value[n] != '"' && value[n] != '\\')
        n++;
    return n;
}

/* A JSON string of any bytes: what is no UTF-8 shows as U+FFFD, what is too long is cut. */
static void
put_foreign(struct buf *line, const char *value)
{
    char clean[VALUE_BYTES + 4];
    size_t len = strlen(value), out = 0, i = 0;

    while (i < len && out < VALUE_BYTES) {
        size_t n = utf8_len((const unsigned char *)value + i, len - i);

        memcpy(clean + out, n ? value + i : "\xef\xbf\xbd", n ? n : 3);
        out += n ? n : 3;
        i += n ? n : 1;
    }
    buf_json(line, clean, out);
}

/* Nearly all values are plain, and short. */
static void
put_value(struct buf *line, const char *value)
{
    size_t len = plain_len(value);

    if (value[len] != '\0' || len > VALUE_BYTES) {
        put_foreign(line, value);
        return;
    }
    buf_char(line, '"');
    buf_add(line, value, len);
    buf_char(line, '"');
}

/* In text, only what a person could misread gets quotes. */
static bool
is_bare(const char *value)
{
    size_t len = plain_len(value);

    return len > 0 && len <= VALUE_BYTES && value[len] == '\0' && !memchr(value, ' ', len);
}

static void
put_field(struct buf *line, const char *key, const struct log_field *field)
{
    bool json = setup.format == LOG_JSON;

    buf_str(line, json ? ",\"" : " ");
    buf_str(line, key);
    buf_str(line, json ? "\":" : "=");
    if (!field->str)
        buf_i64(line, field->num);
    else if (!json && is_bare(field->str))
        buf_str(line, field->str);
    else
        put_value(line, field->str);
}

static void
put_head(struct buf *line, enum log_level level, const char *event)
{
    size_t start = line->len;

    if (setup.format == LOG_TEXT) {
        buf_time(line, clock_wall_ms());
        line->len--; /* people need no quotes around the time */
        memmove(line->data + start, line->data + start + 1, --line->len);
        buf_printf(line, " %-5s %s: %s", level_names[level], setup.component, event);
        return;
    }
    buf_str(line, "{\"level\":\"");
    buf_str(line, level_names[level]);
    buf_str(line, "\",\"timestamp\":");
    buf_time(line, clock_wall_ms());
    put_field(line, "component", &LOG_STR("", setup.component));
    put_field(line, "message", &LOG_STR("", event));
}

/* How long it may get: its memory is on the stack and cannot grow. */
static void
set_room(struct buf *line, size_t room)
{
    line->size = room;
    line->max = room - 1;
}

/* Drop the field that hit the maximum, back to `whole`, and say so in the room kept for it. */
static void
put_truncated(struct buf *line, size_t whole)
{
    line->len = whole;
    set_room(line, LINE_MAX_BYTES);
    line->overflow = false;
    buf_str(line, setup.format == LOG_JSON ? ",\"truncated\":true" : " truncated");
}

static void
put_fields(struct buf *line, const struct log_field *fields)
{
    size_t whole = line->len;

    if (current_request)
        put_field(line, "request_id", &LOG_STR("", current_request));
    for (; fields->key && !line->overflow; fields++) {
        whole = line->len;
        put_field(line, fields->key, fields);
    }
    if (line->overflow)
        put_truncated(line, whole);
    else
        set_room(line, LINE_MAX_BYTES);
}

static void
write_line(const struct buf *line)
{
    while (write(STDERR_FILENO, line->data, line->len) < 0 && errno == EINTR)
        ;
}

void
log_setup(enum log_level level, enum log_format format, const char *component)
{
    setup.level = level;
    setup.format = format;
    setup.component = component;
}

void
log_request(const char *request_id)
{
    current_request = request_id;
}

bool
log_enabled(enum log_level level)
{
    return level <= setup.level;
}

void
log_line(enum log_level level, const char *event, const struct log_field *fields)
{
    char memory[LINE_MAX_BYTES];
    struct buf line = { .data = memory };
    int saved = errno;

    set_room(&line, sizeof(memory) - TAIL_BYTES);
    put_head(&line, level, event);
    put_fields(&line, fields);
    buf_str(&line, setup.format == LOG_JSON ? "}\n" : "\n");
    write_line(&line);
    errno = saved;
}

void
fatal(int status, const char *fmt, ...)
{
    char reason[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    log_error("cannot start", LOG_STR("reason", reason));
    exit(status);
}
