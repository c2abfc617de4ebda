#include "arena.h"
#include "buf.h"
#include "conf_row.h"

#include <assert.h>
#include <errno.h>
#include <strings.h>

static_assert(sizeof(enum app_env) == sizeof(int) && sizeof(enum log_level) == sizeof(int) &&
                  sizeof(enum log_format) == sizeof(int),
              "enums are stored as int");

static const struct {
    const char *name;
    int64_t ms;
} units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { "d", 86400000 } };

#define UNITS (sizeof(units) / sizeof(*units))

static void *
field_of(struct conf *c, const struct conf_row *row)
{
    return (char *)c + row->at;
}

static const void *
const_field_of(const struct conf *c, const struct conf_row *row)
{
    return (const char *)c + row->at;
}

/* One line that says what was wrong and what is right; the value itself only if it may be told.
 */
static enum rc
refuse(const struct conf_row *row, const char *text, struct fail *f)
{
    struct buf value, range;
    enum rc rc;

    buf_init(&value, 80);
    buf_init(&range, 160);
    if (!conf_row_is_secret(row))
        buf_json(&value, text, strnlen(text, 40));
    conf_value_range(row, &range);
    rc = fail_set(f, RC_VALIDATION, "%s: %s is not valid, expected %s", row->env,
                  value.len > 0 ? value.data : "its value", buf_cstr(&range));
    buf_fini(&value);
    buf_fini(&range);
    return rc;
}

/* A whole number in `base` that ends the text or stands before `*end`. */
static bool
take_number(const char *text, int base, const char **end, int64_t *out)
{
    char *stop;

    if (!(*text >= '0' && *text <= '9') && !(*text == '-' && text[1] >= '0' && text[1] <= '9'))
        return false;
    errno = 0;
    *out = strtoll(text, &stop, base);
    *end = stop;
    return errno == 0;
}

static bool
parse_number(const struct conf_row *row, const char *text, int64_t *out)
{
    const char *end;

    return take_number(text, row->type == CONF_OCTAL ? 8 : 10, &end, out) && *end == '\0' &&
           *out >= row->min && *out <= row->max;
}

static bool
parse_duration(const struct conf_row *row, const char *text, int64_t *out)
{
    int64_t unit = row->type == CONF_SECONDS ? 1000 : 1;
    const char *end;
    bool known;

    if (!take_number(text, 10, &end, out))
        return false;
    known = *end == '\0';
    for (size_t i = 0; i < UNITS && !known; i++) {
        known = strcmp(end, units[i].name) == 0;
        unit = units[i].ms;
    }
    return known && !__builtin_mul_overflow(*out, unit, out) && *out >= row->min &&
           *out <= row->max;
}

static bool
parse_bool(const char *text, bool *out)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    return false;
}

static bool
parse_enum(const struct conf_row *row, const char *text, int *out)
{
    const char *name = row->names;

    for (int i = 0;; i++) {
        size_t len = strcspn(name, "|");

        if (strlen(text) == len && strncasecmp(name, text, len) == 0) {
            *out = i;
            return true;
        }
        if (name[len] == '\0')
            return false;
        name += len + 1;
    }
}

static bool
parse_string(const struct conf_row *row, const char *text, char **out)
{
    size_t len = strlen(text);

    if ((int64_t)len < row->min || (int64_t)len > row->max)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    if (row->is_valid && !row->is_valid(text))
        return false;
    free(*out);
    *out = xstrdup(text);
    return true;
}

/* In the largest unit that tells it exactly; days are read, but not written. */
static void
show_duration(int64_t ms, struct buf *out)
{
    size_t i = 0;

    while (ms % units[i].ms != 0)
        i++;
    buf_i64(out, ms / units[i].ms);
    buf_str(out, ms == 0 ? "" : units[i].name);
}

static void
show_rule(const struct limit_rule *rule, struct buf *out)
{
    buf_i64(out, rule->count);
    if (rule->count == 0)
        return;
    buf_char(out, '/');
    show_duration(rule->window_ms, out);
    if (rule->cooldown_ms > 0) {
        buf_char(out, '+');
        show_duration(rule->cooldown_ms, out);
    }
}

static void
show_enum(const struct conf_row *row, int value, struct buf *out)
{
    const char *name = row->names;

    while (value-- > 0)
        name = strchr(name, '|') + 1;
    buf_add(out, name, strcspn(name, "|"));
}

static void
show_url(const char *url, struct buf *out)
{
    bool secret = strchr(url, '@') || strcasestr(url, "password");

    buf_str(out, secret ? "***" : url);
}

bool
conf_row_is_secret(const struct conf_row *row)
{
    return row->type == CONF_SECRET || row->type == CONF_URL;
}

enum rc
conf_value_parse(const struct conf_row *row, const char *text, struct conf *c, struct fail *f)
{
    void *at = field_of(c, row);
    bool good = false;

    switch (row->type) {
    case CONF_STR:
    case CONF_SECRET:
    case CONF_URL:
        good = parse_string(row, text, at);
        break;
    case CONF_BOOL:
        good = parse_bool(text, at);
        break;
    case CONF_ENUM:
        good = parse_enum(row, text, at);
        break;
    case CONF_INT:
    case CONF_OCTAL:
        good = parse_number(row, text, at);
        break;
    case CONF_MS:
    case CONF_SECONDS:
        good = parse_duration(row, text, at);
        break;
    case CONF_RULE:
        good = limit_parse(text, row->min, at, NULL) == RC_OK;
        break;
    case CONF_FOREIGN:
        good = true;
        break;
    }
    return good ? RC_OK : refuse(row, text, f);
}

void
conf_value_free(const struct conf_row *row, struct conf *c)
{
    if (row->type == CONF_STR || conf_row_is_secret(row))
        free(*(char **)field_of(c, row));
}

void
conf_value_show(const struct conf_row *row, const struct conf *c, struct buf *out)
{
    const void *at = const_field_of(c, row);

    switch (row->type) {
    case CONF_STR:
        buf_str(out, *(const char *const *)at);
        break;
    case CONF_SECRET:
        buf_str(out, **(const char *const *)at ? "***" : "");
        break;
    case CONF_URL:
        show_url(*(const char *const *)at, out);
        break;
    case CONF_BOOL:
        buf_str(out, *(const bool *)at ? "true" : "false");
        break;
    case CONF_ENUM:
        show_enum(row, *(const int *)at, out);
        break;
    case CONF_INT:
        buf_i64(out, *(const int64_t *)at);
        break;
    case CONF_OCTAL:
        buf_printf(out, "%04llo", (unsigned long long)*(const int64_t *)at);
        break;
    case CONF_MS:
    case CONF_SECONDS:
        show_duration(*(const int64_t *)at, out);
        break;
    case CONF_RULE:
        show_rule(at, out);
        break;
    case CONF_FOREIGN:
        break;
    }
}

void
conf_value_range(const struct conf_row *row, struct buf *out)
{
    switch (row->type) {
    case CONF_STR:
    case CONF_SECRET:
    case CONF_URL:
    case CONF_FOREIGN:
        buf_str(out, row->expects ? row->expects : "text");
        break;
    case CONF_BOOL:
        buf_str(out, "true or false");
        break;
    case CONF_ENUM:
        for (const char *p = row->names; *p; p++)
            buf_str(out, *p == '|' ? ", " : (char[]){ *p, '\0' });
        break;
    case CONF_INT:
        buf_printf(out, "%lld..%lld", (long long)row->min, (long long)row->max);
        break;
    case CONF_OCTAL:
        buf_printf(out, "%04llo..%04llo", (unsigned long long)row->min,
                   (unsigned long long)row->max);
        break;
    case CONF_MS:
    case CONF_SECONDS:
        show_duration(row->min, out);
        buf_str(out, "..");
        show_duration(row->max, out);
        break;
    case CONF_RULE:
        buf_str(out, "N/window or N/window+cooldown, 0 = no limit");
        break;
    }
}
