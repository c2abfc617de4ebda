#include "fcgi/reply.h"

#include "common/conf.h"
#include "common/headers.h"
#include "common/log.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEAD_MAX (32 * 1024)
/* What scripts in a browser may read beside the basic headers. */
#define EXPOSED_HEADERS                                                                  \
    "Allow, ETag, Idempotency-Replayed, Location, Preference-Applied, RateLimit-Limit, " \
    "RateLimit-Policy, "                                                                 \
    "RateLimit-Remaining, RateLimit-Reset, Retry-After, Server-Time, X-Request-Id"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 204, "No Content" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 409, "Conflict" },
    { 412, "Precondition Failed" },
    { 413, "Payload Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 422, "Unprocessable Content" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 503, "Service Unavailable" },
};

void
reply_init(struct reply *rp)
{
    memset(rp, 0, sizeof(*rp));
    buf_init(&rp->head, HEAD_MAX);
    buf_init(&rp->body, REPLY_MAX);
}

void
reply_fini(struct reply *rp)
{
    buf_fini(&rp->head);
    buf_fini(&rp->body);
}

void
reply_clear(struct reply *rp)
{
    rp->status = 0;
    rp->rc = RC_OK;
    rp->type = NULL;
    rp->enveloped = false;
    buf_clear(&rp->head);
    if (rp->body.size > REPLY_KEPT)
        buf_fini(&rp->body);
    buf_clear(&rp->body);
}

static struct buf *
reply_start(struct req *rq, int status, const char *type, bool enveloped)
{
    rq->reply.status = status;
    rq->reply.rc = RC_OK;
    rq->reply.type = type;
    rq->reply.enveloped = enveloped;
    buf_clear(&rq->reply.body);
    return &rq->reply.body;
}

struct buf *
reply_data(struct req *rq, int status)
{
    struct buf *body = reply_start(rq, status, REPLY_JSON_TYPE, true);

    buf_str(body, "{\"data\":");
    return body;
}

struct buf *
reply_bare(struct req *rq, int status, const char *type)
{
    return reply_start(rq, status, type, false);
}

void
reply_empty(struct req *rq, int status)
{
    reply_start(rq, status, NULL, false);
}

void
reply_header(struct req *rq, const char *name, const char *fmt, ...)
{
    struct buf *head = &rq->reply.head;
    char value[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(value))
        return;
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return;
    }
    buf_str(head, name);
    buf_str(head, ": ");
    buf_add(head, value, (size_t)n);
    buf_str(head, "\r\n");
}

static int64_t
wait_seconds(const struct fail *f)
{
    return (f->retry_after_ms + 999) / 1000;
}

void
reply_fail_json(struct buf *out, const struct fail *f, const char *details)
{
    if (details == NULL && f->details[0] != '\0')
        details = f->details;
    buf_str(out, "{\"error\":{\"code\":\"");
    buf_str(out, rc_code(f->rc));
    buf_str(out, "\",\"message\":");
    buf_json(out, f->message, strlen(f->message));
    if (details != NULL) {
        buf_str(out, ",\"details\":");
        buf_str(out, details);
    }
    if (f->rc == RC_LIMITED) {
        buf_str(out, ",\"retry_after_seconds\":");
        buf_i64(out, wait_seconds(f));
    }
    buf_str(out, "}}");
}

void
reply_fail(struct req *rq, const struct fail *f, const char *details)
{
    reply_fail_json(reply_bare(rq, rc_status(f->rc), REPLY_JSON_TYPE), f, details);
    rq->reply.rc = f->rc;
    if (wait_seconds(f) > 0)
        reply_header(rq, "Retry-After", "%lld", (long long)wait_seconds(f));
    if (f->rc == RC_UNAUTHENTICATED)
        reply_header(rq, "WWW-Authenticate", "Bearer");
}

/* One entry of a comma-separated list; *len is without blanks. NULL at the end. */
static const char *
list_next(const char **list, size_t *len)
{
    const char *s = *list + strspn(*list, ", ");

    *len = strcspn(s, ", ");
    *list = s + *len;
    return *len > 0 ? s : NULL;
}

/* Which origin the answer allows: "*", one of the list, or NULL for a foreign one. */
static const char *
allowed_origin(const char *list, const char *origin, size_t *len)
{
    const char *first = NULL, *entry;
    size_t n, first_len = 0;

    *len = 1;
    if (*list == '\0')
        return "*";
    while ((entry = list_next(&list, &n)) != NULL) {
        bool same = origin != NULL && strlen(origin) == n && memcmp(origin, entry, n) == 0;

        if (same || (n == 1 && *entry == '*')) {
            *len = n;
            return entry;
        }
        if (first == NULL) {
            first = entry;
            first_len = n;
        }
    }
    *len = first_len;
    return origin == NULL ? first : NULL;
}

/* Append the CORS headers (spec: platform, "Answers"). */
static void
cors_headers(struct req *rq, struct buf *out)
{
    size_t len;
    const char *allowed =
        allowed_origin(rq->app->conf->allowed_origins, request_header(rq, "HTTP_ORIGIN"), &len);

    if (allowed == NULL || *allowed != '*')
        buf_str(out, "Vary: Origin\r\n");
    if (allowed == NULL)
        return;
    buf_str(out, "Access-Control-Allow-Origin: ");
    buf_add(out, allowed, len);
    buf_str(out, "\r\nAccess-Control-Allow-Credentials: true\r\n"
                 "Access-Control-Expose-Headers: " EXPOSED_HEADERS "\r\n");
}

static const char *
reason_of(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

void
reply_render(struct req *rq, struct buf *out)
{
    struct reply *rp = &rq->reply;
    struct fail f = { 0 };

    if (rp->enveloped)
        buf_char(&rp->body, '}');
    rp->enveloped = false;
    if (rp->status == 0 || rp->body.overflow || rp->head.overflow) {
        (void)!fail_log(&f, RC_INTERNAL, "the answer has no status or is too long");
        log_error("request_failed", LOG_STR("code", rc_code(f.rc)), LOG_STR("cause", f.log));
        reply_clear(rp);
        reply_fail(rq, &f, NULL);
    }
    buf_str(out, "Status: ");
    buf_i64(out, rp->status);
    buf_char(out, ' ');
    buf_str(out, reason_of(rp->status));
    buf_str(out, "\r\nX-Request-Id: ");
    buf_str(out, rq->id);
    buf_str(out, "\r\n");
    buf_str(out, HEADERS_ALWAYS);
    if (rp->type == NULL || strncmp(rp->type, "text/html", 9) != 0)
        buf_str(out, HEADERS_DATA);
    cors_headers(rq, out);
    gate_limit_headers(rq, out);
    if (rq->server_time_ms > 0) {
        buf_str(out, "Server-Time: ");
        buf_i64(out, rq->server_time_ms);
        buf_str(out, "\r\n");
    }
    buf_add(out, rp->head.data != NULL ? rp->head.data : "", rp->head.len);
    if (rp->type != NULL) {
        buf_str(out, "Content-Type: ");
        buf_str(out, rp->type);
        buf_str(out, "\r\nContent-Length: ");
        buf_i64(out, (int64_t)rp->body.len);
        buf_str(out, "\r\n");
    }
    buf_str(out, "\r\n");
    if (rp->type != NULL && !rq->head)
        buf_add(out, rp->body.data != NULL ? rp->body.data : "", rp->body.len);
}
