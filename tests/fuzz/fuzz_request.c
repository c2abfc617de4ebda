/*
 * What a web server tells of a request: lines NAME=value, as FastCGI has them. The path, the
 * query and the headers that guard a command are read as they are before a handler runs.
 */
#include "common/arena.h"
#include "common/conf.h"
#include "common/etag.h"
#include "common/token.h"
#include "fcgi/guard.h"
#include "fcgi/query.h"
#include "fcgi/request.h"
#include "fcgi/route.h"
#include "fuzz.h"
#include "tests/lib/fake_io.h"

#include <string.h>

static void
print_nothing(struct buf *out, const struct session *s, const struct store_result *res,
              bool minimal)
{
    (void)out;
    (void)s;
    (void)res;
    (void)minimal;
}

/* "NAME=value" lines; the text is cut at each. */
static void
variables(struct fake_io *io, char *text)
{
    char *line = text, *end;

    for (; line != NULL && io->n < FAKE_VARS_MAX; line = end) {
        char *equals;

        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        equals = strchr(line, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        fake_set(io, line, equals + 1);
    }
}

static bool
match(struct req *rq)
{
    for (size_t i = 0; i < route_count(); i++) {
        struct route_param params[ROUTE_PARAMS_MAX] = { 0 };
        const struct route *r = route_at(i);

        if (r->method != rq->method || !route_path_match(r->path, rq->path, params))
            continue;
        for (size_t k = 0; k < ROUTE_PARAMS_MAX; k++)
            if (params[k].s != NULL)
                rq->params[k] = arena_dup(rq->mem, params[k].s, params[k].len);
        rq->route = r;
        return true;
    }
    return false;
}

static bool
take(struct req *rq, struct io *io)
{
    struct fail f = { .rc = RC_OK };
    struct guard g;
    const char *header;
    size_t len;

    if (request_parse(rq, io, &f) != RC_OK || !match(rq))
        return false;
    request_has_etag(rq, "\"0abcdefghij-wxyz.000000001-7\"");
    header = request_header(rq, "HTTP_AUTHORIZATION");
    if (header != NULL && token_of_header(header, &len) != NULL)
        HOLD(len <= strlen(header));
    return (rq->route->query == NULL || query_check(rq, &f) == RC_OK) &&
           guard_read(&g, rq, print_nothing, &f) == RC_OK;
}

bool
fuzz_take(const char *s, size_t len)
{
    struct conf conf = { .allowed_origins = "", .max_body_bytes = 1024 };
    struct app app = { .conf = &conf, .id_prefix = "test" };
    char *text = xalloc(len + 1);
    struct fake_io io;
    struct req rq;
    bool taken;

    memcpy(text, s, len);
    text[len] = '\0';
    fake_init(&io, "GET", "/", NULL);
    variables(&io, text);
    request_init(&rq, &app);
    taken = take(&rq, &io.super);
    request_fini(&rq);
    fake_fini(&io);
    free(text);
    return taken;
}
