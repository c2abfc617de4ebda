/*
 * /api-docs.json: the description of this API. It is made anew for each request (a tenth of a
 * millisecond), so nothing is kept between requests; the page at /api-docs/ is static files.
 */
#include "fcgi/api/api.h"

#include "common/arena.h"
#include "common/buf.h"
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
get_openapi(struct req *rq, struct fail *f)
{
    struct buf *out = reply_bare(rq, 200, REPLY_JSON_TYPE);
    const char *tag;

    (void)f;
    openapi_json(out);
    tag = arena_printf(rq->mem, "\"%016" PRIx64 "\"", hash_of(out));
    if (request_has_etag(rq, tag))
        reply_empty(rq, 304);
    reply_header(rq, "ETag", "W/%s", tag); /* weak: web servers send it compressed as well */
    reply_header(rq, "Cache-Control", "no-cache");
    return RC_OK;
}

/* clang-format off */
const struct route docs_routes[] = {
    { METHOD_GET, "/api-docs.json", AUTH_PUBLIC, LIMIT_NONE, NULL, NULL, get_openapi, 200, ANSWER_OPENAPI, "Description", "Read this description" },
    { .path = NULL },
};
/* clang-format on */
