#include "fcgi/request.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/hex.h"
#include "common/json.h"
#include "fcgi/io.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body, what is made of it, and its faults (bounded by field.h) stay far below this. */
#define ARENA_PER_BODY_BYTE 8
#define ARENA_BASE (8 * 1024 * 1024)

static const struct {
    const char *name;
    enum method method;
    bool head, options;
} methods[] = {
    { "GET", METHOD_GET, false, false },     { "HEAD", METHOD_GET, true, false },
    { "POST", METHOD_POST, false, false },   { "PUT", METHOD_PUT, false, false },
    { "PATCH", METHOD_PATCH, false, false }, { "DELETE", METHOD_DELETE, false, false },
    { "OPTIONS", METHOD_NONE, false, true },
};

void
request_init(struct req *rq, struct app *app)
{
    memset(rq, 0, sizeof(*rq));
    rq->app = app;
    rq->mem = arena_new(ARENA_BASE + (size_t)app->conf->max_body_bytes * ARENA_PER_BODY_BYTE);
    reply_init(&rq->reply);
}

void
request_fini(struct req *rq)
{
    reply_fini(&rq->reply);
    arena_free(rq->mem);
    rq->mem = NULL;
}

void
request_reset(struct req *rq)
{
    struct req kept = { .app = rq->app, .mem = rq->mem, .reply = rq->reply };

    arena_reset(rq->mem);
    reply_clear(&kept.reply);
    *rq = kept;
}

const char *
request_header(const struct req *rq, const char *cgi_name)
{
    return rq->io->param(rq->io, cgi_name);
}

/* RFC 9110, 13.1.2: a list of tags, or "*". Weak comparison: W/ does not count. */
bool
request_has_etag(const struct req *rq, const char *tag)
{
    const char *list = request_header(rq, "HTTP_IF_NONE_MATCH");
    size_t tag_len = strlen(tag);

    while (list != NULL && *list != '\0') {
        size_t len;

        list += strspn(list, ", \t");
        len = strcspn(list, ", \t");
        if (len == 1 && *list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0) {
            list += 2;
            len -= 2;
        }
        if (len == tag_len && memcmp(list, tag, len) == 0)
            return true;
        list += len;
    }
    return false;
}

bool
request_id_is_sane(const char *s)
{
    size_t n = 0;

    while (n <= REQUEST_ID_MAX && s[n] > ' ' && s[n] < 0x7f)
        n++;
    return n > 0 && n <= REQUEST_ID_MAX && s[n] == '\0';
}

bool
request_path_decode(const char *s, size_t len, char *out)
{
    const char *end = s + len;
    size_t n = 0;

    while (s < end) {
        bool is_slash = *s == '/';
        int c = percent_next(&s, end);

        if (c < ' ' || c == 0x7f || (c == '/' && !is_slash))
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return json_utf8_is_valid(out, n);
}

static void
set_method(struct req *rq, const char *text)
{
    size_t n = 0;

    while (n < 16 && text[n] > ' ' && text[n] < 0x7f)
        n++;
    rq->method_text = arena_dup(rq->mem, text, n);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(text, methods[i].name) != 0)
            continue;
        rq->method = methods[i].method;
        rq->head = methods[i].head;
        rq->options = methods[i].options;
    }
}

/* Ids of our own: random per process, counted within it, so that none costs a system call. */
static void
set_id(struct req *rq)
{
    const char *sent = request_header(rq, "HTTP_X_REQUEST_ID");

    if (sent != NULL && request_id_is_sane(sent))
        memcpy(rq->id, sent, strlen(sent) + 1);
    else
        snprintf(rq->id, sizeof(rq->id), "%s-%" PRIx64, rq->app->id_prefix,
                 ++rq->app->requests);
}

/*
 * The raw path. REQUEST_URI is the only variable that is not decoded yet; where the program
 * has a place in the URL space of its own (/cgi-bin/synckairos.fcgi/v1/time), that is cut off.
 */
static const char *
raw_path(struct req *rq, size_t *len)
{
    const char *uri = request_header(rq, "REQUEST_URI");
    const char *info = request_header(rq, "PATH_INFO");
    const char *script = request_header(rq, "SCRIPT_NAME");
    size_t script_len = script != NULL ? strlen(script) : 0;

    if (uri == NULL || *uri == '\0')
        uri = info != NULL && *info != '\0' ? info : script;
    else if (info != NULL && *info != '\0' && script_len > 0 &&
             strncmp(uri, script, script_len) == 0 && uri[script_len] == '/')
        uri += script_len;
    if (uri == NULL)
        uri = "";
    *len = strcspn(uri, "?");
    return uri;
}

static enum rc
set_path(struct req *rq, struct fail *f)
{
    static const struct {
        size_t len;
        const char *base;
    } bases[] = { { 0, "/v1" }, { 4, "/api" }, { 7, "/api/v1" } };
    size_t len, alias;
    const char *raw = raw_path(rq, &len);
    char *path;

    rq->path = "";
    rq->base = bases[0].base;
    if (len > REQUEST_PATH_MAX)
        return fail_set(f, RC_URI_TOO_LONG, "The path is longer than %d bytes",
                        REQUEST_PATH_MAX);
    path = arena_alloc(rq->mem, len + 1);
    if (!request_path_decode(raw, len, path))
        return fail_set(f, RC_BAD_REQUEST, "The path is not properly percent-encoded");
    alias = route_alias_len(path);
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        if (bases[i].len == alias)
            rq->base = bases[i].base;
    }
    rq->path = alias != 0 ? arena_printf(rq->mem, "/v1%s", path + alias) : path;
    return RC_OK;
}

/* -1 when nothing is said, -2 when what is said is no number. */
static int64_t
parse_length(const char *s)
{
    char *end;
    long long n;

    if (s == NULL || *s == '\0')
        return -1;
    if (!isdigit((unsigned char)*s))
        return -2;
    errno = 0;
    n = strtoll(s, &end, 10);
    return *end != '\0' || errno != 0 ? -2 : n;
}

enum rc
request_parse(struct req *rq, struct io *io, struct fail *f)
{
    const char *text;
    enum rc rc;

    rq->io = io;
    rq->start_us = clock_mono_us();
    rq->body.tail = &rq->body.issues;
    text = request_header(rq, "REQUEST_METHOD");
    set_method(rq, text != NULL ? text : "");
    set_id(rq);
    text = request_header(rq, "QUERY_STRING");
    rq->query = text != NULL ? text : "";
    address_of_client(&rq->app->proxies, request_header(rq, "REMOTE_ADDR"),
                      request_header(rq, "HTTP_X_FORWARDED_FOR"), rq->client);
    rc = set_path(rq, f);
    if (rc != RC_OK)
        return rc;
    rq->content_length = parse_length(request_header(rq, "CONTENT_LENGTH"));
    if (rq->content_length == -2)
        return fail_set(f, RC_BAD_REQUEST, "Content-Length is not a number");
    return RC_OK;
}
