/*
 * /api-docs.json and /asyncapi.json: the description of this API. They are made anew for each
 * request (a tenth of a millisecond), so nothing is kept between requests; the page at
 * /api-docs/ is static files.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/buf.h"
#include "fcgi/asyncapi.h"
#include "fcgi/openapi.h"
#include "fcgi/request.h"

#include <inttypes.h>

/* FNV-1a: two documents that differ need different tags, nobody gains by a collision. */
static uint64_t
hash_of(const struct buf *text)
{
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < text->len; i++)
        h = (h ^ (unsigned char)text->data[i]) * 1099511628211u;
    return h;
}

static enum rc
show(struct req *rq, void (*write)(struct buf *out))
{
    struct buf *out = reply_bare(rq, 200, REPLY_JSON_TYPE);
    const char *tag;

    write(out);
    tag = arena_printf(rq->mem, "\"%016" PRIx64 "\"", hash_of(out));
    if (request_has_etag(rq, tag))
        reply_empty(rq, 304);
    reply_header(rq, "ETag", "W/%s", tag); /* weak: web servers send it compressed as well */
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

static enum rc
get_openapi(struct req *rq, struct fail *f)
{
    (void)f;
    return show(rq, openapi_json);
}

static enum rc
get_asyncapi(struct req *rq, struct fail *f)
{
    (void)f;
    return show(rq, asyncapi_json);
}

/* clang-format off */
const struct route docs_routes[] = {
    { METHOD_GET, "/api-docs.json", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_openapi, 200, ANSWER_OPENAPI, "Description", "Read this description" },
    { METHOD_GET, "/asyncapi.json", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_asyncapi, 200, ANSWER_ASYNCAPI, "Description", "Read the description of the WebSocket" },
    { .path = NULL },
};
/* clang-format on */
