#include "fcgi/route.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/report.h"
#include "fcgi/gate.h"
#include "fcgi/reply.h"
#include "fcgi/request.h"

#include <stdio.h>
#include <string.h>

static const char *const method_names[METHOD__MAX] = {
    [METHOD_NONE] = "",   [METHOD_GET] = "GET",     [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT", [METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
};

const char *
method_name(enum method m)
{
    return m < METHOD__MAX ? method_names[m] : "";
}

size_t
route_alias_len(const char *path)
{
    if (strncmp(path, "/api/v1", 7) == 0 && (path[7] == '/' || path[7] == '\0'))
        return 7;
    return strncmp(path, "/api/", 5) == 0 ? 4 : 0;
}

bool
route_path_match(const char *template, const char *path,
                 struct route_param params[ROUTE_PARAMS_MAX])
{
    size_t n = 0;

    while (*template == '/' && *path == '/') {
        size_t want = strcspn(++template, "/"), have = strcspn(++path, "/");

        if (*template == '{' && have > 0 && n < ROUTE_PARAMS_MAX)
            params[n++] = (struct route_param){ path, have };
        else if (want != have || memcmp(template, path, want) != 0)
            return false;
        template += want;
        path += have;
    }
    if (*path == '/')
        path++;
    return *template == '\0' && *path == '\0';
}

static bool
is_write(enum method m)
{
    return m == METHOD_POST || m == METHOD_PUT || m == METHOD_PATCH || m == METHOD_DELETE;
}

bool
routes_check(struct buf *errors)
{
    size_t before = errors->len;

    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);
        const struct {
            bool bad;
            const char *what;
        } faults[] = {
            { r->method == METHOD_NONE || r->method >= METHOD__MAX, "method" },
            { r->path[0] != '/', "path" },
            { r->auth == AUTH_UNSET || r->auth >= AUTH__MAX, "auth" },
            { r->limit == LIMIT_UNSET || r->limit >= LIMIT__MAX, "limit" },
            { is_write(r->method) != (r->body != NULL), "body" },
            { r->handler == NULL, "handler" },
            { r->status < 200 || r->status > 299, "status" },
            { r->answer == ANSWER_UNSET || r->answer >= ANSWER__MAX, "answer" },
            { r->tag == NULL || *r->tag == '\0', "tag" },
            { r->summary == NULL || *r->summary == '\0', "summary" },
        };

        for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++) {
            if (faults[k].bad)
                buf_printf(errors, "route %s %s: column %s is missing or wrong\n",
                           method_name(r->method), r->path, faults[k].what);
        }
    }
    return errors->len == before;
}

/* "GET, HEAD, POST, OPTIONS": what the path knows. Empty when no row has it. */
static void
allowed_methods(const struct req *rq, char *out, size_t size)
{
    struct route_param params[ROUTE_PARAMS_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);

        if (!route_path_match(r->path, rq->path, params))
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", method_name(r->method),
                                r->method == METHOD_GET ? ", HEAD, " : ", ");
    }
    if (len > 0)
        snprintf(out + len, size - len, "OPTIONS");
}

static enum rc
route_find(struct req *rq, struct fail *f)
{
    struct route_param params[ROUTE_PARAMS_MAX] = { 0 };
    const struct route *r;
    char allow[80];

    for (size_t i = 0; (r = route_at(i)) != NULL; i++) {
        if (r->method != rq->method || !route_path_match(r->path, rq->path, params))
            continue;
        rq->route = r;
        rq->route_index = i;
        for (size_t k = 0; k < ROUTE_PARAMS_MAX && params[k].s != NULL; k++)
            rq->params[k] = arena_dup(rq->mem, params[k].s, params[k].len);
        return RC_OK;
    }
    allowed_methods(rq, allow, sizeof(allow));
    if (*allow == '\0')
        return fail_set(f, RC_NOT_FOUND, "Cannot %s %.200s", rq->method_text, rq->path);
    reply_header(rq, "Allow", "%s", allow);
    return fail_set(f, RC_METHOD_NOT_ALLOWED, "%s is not allowed here, only %s",
                    rq->method_text, allow);
}

/* CORS preflight, as the reference answers it: yes to every path, headers reflected. */
static void
preflight(struct req *rq)
{
    const char *headers = request_header(rq, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");

    reply_empty(rq, 204);
    reply_header(rq, "Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE");
    if (headers != NULL && *headers != '\0')
        reply_header(rq, "Access-Control-Allow-Headers", "%s", headers);
    reply_header(rq, "Access-Control-Max-Age", "600");
    reply_header(rq, "Vary", "Access-Control-Request-Headers");
}

/* To whoever runs this, by way of a broadcaster. */
static void
report(const struct req *rq, const struct fail *f)
{
    struct report r = { .at_ms = clock_wall_ms(), .status = rq->reply.status };

    snprintf(r.program, sizeof(r.program), "synckairos.fcgi");
    snprintf(r.code, sizeof(r.code), "%s", rc_code(f->rc));
    snprintf(r.route, sizeof(r.route), "%s %s", rq->method_text,
             rq->route != NULL ? rq->route->path : "(no route)");
    snprintf(r.request_id, sizeof(r.request_id), "%s", rq->id);
    snprintf(r.text, sizeof(r.text), "%.199s", f->log[0] != '\0' ? f->log : f->message);
    report_add(&r);
}

static void
answer_failure(struct req *rq, const struct fail *f)
{
    struct buf details;
    bool own = rq->body.issues != NULL && f->rc == RC_VALIDATION;

    if (f->log[0] != '\0')
        log_error("request_failed", LOG_STR("code", rc_code(f->rc)), LOG_STR("cause", f->log));
    buf_init(&details, REPLY_MAX / 2);
    if (own)
        issues_json(&details, rq->body.issues);
    reply_fail(rq, f, own && !details.overflow ? buf_cstr(&details) : NULL);
    buf_fini(&details);
    if (rq->reply.status >= 500)
        report(rq, f);
}

void
route_dispatch(struct req *rq)
{
    struct fail f = { 0 }, limited = { 0 };
    enum rc rc;

    if (rq->options) {
        preflight(rq);
        return;
    }
    rc = route_find(rq, &f);
    if (rc == RC_OK)
        rc = gate_pass(rq, &f);
    if (rc == RC_OK)
        rc = rq->route->handler(rq, &f);
    if (rc != RC_OK && gate_limit_settle(rq, &limited) != RC_OK)
        f = limited;
    if (f.rc != RC_OK)
        answer_failure(rq, &f);
}
