#include "fcgi/query.h"

#include "common/arena.h"
#include "common/hex.h"
#include "common/json.h"
#include "fcgi/request.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define DIGITS_MAX 18 /* fits int64_t whatever they are */

/* Decode %xx and + of one name or value (application/x-www-form-urlencoded). NULL: it is not
 * properly encoded. */
static char *
decode(struct req *rq, const char *s, size_t len)
{
    char *out = arena_alloc(rq->mem, len + 1);
    const char *end = s + len;
    size_t n = 0;
    int c;

    while (s < end) {
        bool is_blank = *s == '+';

        c = percent_next(&s, end);
        if (c < 0)
            return NULL;
        out[n++] = is_blank ? ' ' : (char)c;
    }
    return json_utf8_is_valid(out, n) ? out : NULL;
}

static const struct field *
find_field(const struct field *fields, const char *name)
{
    for (; fields->type != F_END; fields++) {
        if (strcmp(fields->name, name) == 0)
            return fields;
    }
    return NULL;
}

/* The value as JSON: a number where one is wanted and it looks like one, else a string, which
 * the check then refuses by itself. */
static struct json_object *
value_json(const struct field *fd, const char *value)
{
    const char *digits = value + (*value == '-');
    size_t n = strspn(digits, DIGITS);

    if (fd->type == F_INT && n > 0 && n <= DIGITS_MAX && digits[n] == '\0')
        return json_object_new_int64(strtoll(value, NULL, 10));
    return json_object_new_string(value);
}

/* One "name=value" into rq->args. A parameter that is there already: a fault. */
static enum rc
take_pair(struct req *rq, const char *pair, size_t len, struct fail *f)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - pair) : len;
    size_t value_at = equals != NULL ? name_len + 1 : len;
    char *name = decode(rq, pair, name_len);
    char *value = decode(rq, pair + value_at, len - value_at);
    const struct field *fd;

    if (name == NULL || value == NULL)
        return fail_set(f, RC_BAD_REQUEST, "The query is not properly percent-encoded");
    fd = find_field(rq->route->query, name);
    if (fd == NULL)
        return RC_OK;
    if (body_has(rq->args, name)) {
        body_issue(&rq->body, rq->mem, name, "custom", "Must be given only once");
        return fail_invalid(f);
    }
    json_object_object_add(rq->args, name, value_json(fd, value));
    return RC_OK;
}

static void
put_json(void *json)
{
    json_object_put(json);
}

enum rc
query_check(struct req *rq, struct fail *f)
{
    const char *p = rq->query;
    enum rc rc = RC_OK;

    if (rq->route->query == NULL)
        return RC_OK;
    rq->args = json_object_new_object();
    arena_defer(rq->mem, put_json, rq->args);
    while (rc == RC_OK && *p != '\0') {
        size_t len = strcspn(p, "&");

        if (len > 0)
            rc = take_pair(rq, p, len, f);
        p += len + (p[len] == '&');
    }
    if (rc != RC_OK)
        return rc;
    return body_check(&rq->body, rq->route->query, rq->args, false, rq->mem, f);
}
