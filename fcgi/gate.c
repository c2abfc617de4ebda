#include "fcgi/gate.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/token.h"
#include "fcgi/io.h"
#include "fcgi/query.h"

#include <assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- who ---- */

static enum rc
auth_public(struct req *rq, struct fail *f)
{
    (void)rq;
    (void)f;
    return RC_OK;
}

static enum rc
auth_user(struct req *rq, struct fail *f)
{
    size_t len;
    const char *text = token_of_header(request_header(rq, "HTTP_AUTHORIZATION"), &len);
    enum rc rc;

    if (text == NULL)
        rc = fail_set(f, RC_UNAUTHENTICATED, "A valid token is needed");
    else
        rc = token_check(rq->app->tokens, text, len, clock_wall_ms(), &rq->caller.token, f);
    if (rc != RC_OK)
        gate_forget_caller(rq);
    else
        rq->user = rq->caller.token->sub;
    return rc;
}

/* Where nobody has to say who he is, a token that is none does not shut out. */
static enum rc
auth_sync(struct req *rq, struct fail *f)
{
    enum limit_kind kind = rq->limit_kind;
    enum rc rc = auth_user(rq, f);

    if (rc == RC_OK || rq->app->conf->auth_required)
        return rc;
    rq->limit_kind = kind;
    fail_reset(f);
    return RC_OK;
}

static enum rc (*const levels[AUTH__MAX])(struct req *rq, struct fail *f) = {
    [AUTH_PUBLIC] = auth_public,
    [AUTH_SYNC] = auth_sync,
    [AUTH_USER] = auth_user,
};

/* ---- path parameters ---- */

static const struct {
    const char *name; /* as between the braces */
    const char *message;
} params[] = {
    { "id", "Session ID must be a valid UUID" },
    { "pid", "Participant ID must be a valid UUID" },
};

static enum rc
check_param(struct req *rq, const char *name, size_t name_len, const char *value,
            struct fail *f)
{
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        if (strlen(params[i].name) != name_len || memcmp(params[i].name, name, name_len) != 0)
            continue;
        if (id_is_uuid(value, strlen(value)))
            return RC_OK;
        body_issue(&rq->body, rq->mem, params[i].name, "invalid_format", params[i].message);
        return fail_invalid(f);
    }
    return fail_log(f, RC_INTERNAL, "path parameter {%.*s} has no check", (int)name_len, name);
}

static enum rc
check_params(struct req *rq, struct fail *f)
{
    const char *p = rq->route->path;
    enum rc rc = RC_OK, one;
    size_t k = 0;

    while ((p = strchr(p, '{')) != NULL) {
        size_t len = strcspn(++p, "}");

        one = check_param(rq, p, len, rq->params[k++], f);
        if (one != RC_OK)
            rc = one;
        p += len;
    }
    return rc;
}

/* ---- the body ---- */

/* "application/json", with no other charset than UTF-8. */
static bool
is_json_type(const char *type)
{
    static const char json[] = "application/json";
    const char *charset;

    if (type == NULL || strncasecmp(type, json, sizeof(json) - 1) != 0)
        return false;
    type += sizeof(json) - 1;
    if (type[strspn(type, " \t")] != ';' && type[strspn(type, " \t")] != '\0')
        return false;
    charset = strcasestr(type, "charset=");
    if (charset == NULL)
        return true;
    charset += strlen("charset=");
    charset += *charset == '"';
    return strncasecmp(charset, "utf-8", 5) == 0 && !(charset[5] >= '0' && charset[5] <= 'z');
}

/* A body of unsaid length, to its end or just past the limit. Usually there is none. */
static char *
read_to_end(struct req *rq, size_t max, size_t *len)
{
    char piece[4096], *text = NULL;
    struct buf all;
    size_t n;

    buf_init(&all, max + sizeof(piece));
    do {
        n = rq->io->read(rq->io, piece, sizeof(piece));
        buf_add(&all, piece, n);
    } while (n == sizeof(piece) && all.len <= max);
    *len = all.len;
    if (all.len > 0)
        text = arena_dup(rq->mem, all.data, all.len);
    buf_fini(&all);
    return text;
}

/*
 * The bytes of the body into *text. A length that was said has to arrive: what a broken
 * connection left of a body is never acted on.
 */
static enum rc
read_body(struct req *rq, char **text, size_t *len, struct fail *f)
{
    size_t max = (size_t)rq->app->conf->max_body_bytes;
    size_t said = rq->content_length > 0 ? (size_t)rq->content_length : 0;

    *len = 0;
    *text = NULL;
    if (rq->content_length < 0 && rq->io->at_end != NULL)
        *text = read_to_end(rq, max, len);
    if (*len > max || said > max)
        return fail_set(f, RC_TOO_LARGE, "The body is larger than %zu bytes", max);
    if (rq->content_length < 0 && rq->io->at_end != NULL && !rq->io->at_end(rq->io))
        return fail_set(f, RC_BAD_REQUEST, "The body did not arrive in whole");
    if (said == 0)
        return RC_OK;
    *text = arena_alloc(rq->mem, said + 1);
    *len = rq->io->read(rq->io, *text, said);
    if (*len < said)
        return fail_set(f, RC_BAD_REQUEST, "The body is shorter than its Content-Length");
    return RC_OK;
}

static void
put_json(void *json)
{
    json_object_put(json);
}

static enum rc
parse_body(struct req *rq, const char *text, size_t len, struct json_object **json,
           struct fail *f)
{
    enum rc rc = json_parse(text, len, json, f);

    if (rc != RC_OK)
        return rc;
    if (*json != NULL) {
        arena_defer(rq->mem, put_json, *json);
        return RC_OK;
    }
    body_issue(&rq->body, rq->mem, "", "invalid_type",
               "Invalid input: expected object, received null");
    return fail_invalid(f);
}

static enum rc
check_body(struct req *rq, struct fail *f)
{
    struct json_object *json = NULL;
    bool strict = rq->app->conf->strict_body;
    char *text;
    size_t len;
    enum rc rc;

    if (rq->route->body == NULL)
        return RC_OK;
    rc = read_body(rq, &text, &len, f);
    if (rc != RC_OK)
        return rc;
    if (len > 0 && is_json_type(request_header(rq, "CONTENT_TYPE")))
        rc = parse_body(rq, text, len, &json, f);
    else if (len > 0 && strict)
        rc = fail_set(f, RC_MEDIA_TYPE, "A body has to be application/json");
    if (rc != RC_OK)
        return rc;
    return body_check(&rq->body, rq->route->body, json, strict, rq->mem, f);
}

/* ---- all of it ---- */

/* The faults of one step behind those of the steps before. */
static enum rc
run_step(struct req *rq, enum rc (*step)(struct req *rq, struct fail *f), struct fail *f)
{
    struct issue *before = rq->body.issues, *last = before;
    enum rc rc;

    rq->body.issues = NULL;
    rq->body.tail = NULL;
    rc = step(rq, f);
    if (before == NULL)
        return rc;
    while (last->next != NULL)
        last = last->next;
    last->next = rq->body.issues;
    if (rq->body.issues == NULL)
        rq->body.tail = &last->next;
    rq->body.issues = before;
    return rc;
}

/* What is wrong with path, query and body is told together; what cannot be read at all only
 * when nothing else was wrong before. */
static enum rc
check_all(struct req *rq, struct fail *f)
{
    static enum rc (*const steps[])(
        struct req * rq, struct fail * f) = { check_params, query_check, check_body };
    enum rc rc = RC_OK;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct fail ignored = { 0 };
        enum rc one = run_step(rq, steps[i], rc == RC_OK ? f : &ignored);

        if (rc == RC_OK)
            rc = one;
        if (one != RC_OK && one != RC_VALIDATION)
            break;
    }
    return rc;
}

enum rc
gate_pass(struct req *rq, struct fail *f)
{
    enum rc rc;

    assert(rq->route->auth > AUTH_UNSET && rq->route->auth < AUTH__MAX);
    rq->limit_kind = rq->route->limit;
    rq->caller.is_free = !rq->app->conf->auth_required;
    rc = levels[rq->route->auth](rq, f);
    return rc == RC_OK ? check_all(rq, f) : rc;
}
