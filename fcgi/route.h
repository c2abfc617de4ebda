/*
 * route.h - what the service answers to: one row per (method, path), in one table per resource.
 *
 * A row says everything the steps before a handler need (who may, how often, which body), and
 * everything OpenAPI tells; handlers repeat none of it. A row with a forgotten column does not
 * start the program (routes_check). New endpoint: a row in fcgi/api/<noun>.c; new resource: its
 * table in api/api.h and one line in routes.c.
 */
#ifndef FCGI_ROUTE_H
#define FCGI_ROUTE_H

#include "common/rc.h"
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct field;
struct req;

#define ROUTE_PARAMS_MAX 4

/* HEAD is GET without the body, OPTIONS is the router's own: neither has rows. */
enum method {
    METHOD_NONE,
    METHOD_GET,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD__MAX
};

/* Who may call. The levels of a person's account follow here, each with a row in gate.c. */
enum auth {
    AUTH_UNSET,
    AUTH_PUBLIC, /* nobody is asked for a token */
    AUTH_SYNC,   /* a token; anonymous callers too where AUTH_REQUIRED=false */
    AUTH_USER,   /* a token, always */
    AUTH__MAX
};

/* Which limit of the configuration counts the call (spec: platform, "Limits"). */
enum limit_kind {
    LIMIT_UNSET,
    LIMIT_NONE,
    LIMIT_GENERAL,
    LIMIT_CREATE,
    LIMIT_GET,
    LIMIT_TIME,
    LIMIT_SWITCH, /* counted per session, in the commit itself */
    LIMIT__MAX
};

/* What a success shows; OpenAPI has one schema for each. */
enum answer {
    ANSWER_UNSET,
    ANSWER_NOTHING, /* 204 */
    ANSWER_SESSION, /* {"data": the state} */
    ANSWER_SWITCH,  /* {"data": what a switch shows} */
    ANSWER_BATCH,   /* {"data": {"sessions": [...], "missing": [...]}} */
    ANSWER_LIST,    /* {"data": {"sessions": [...], "next_cursor"?}} */
    ANSWER_EVENTS,  /* {"data": {"events": [...], ...}} */
    ANSWER_TIME,
    ANSWER_HEALTH,
    ANSWER_READY,
    ANSWER_OPENAPI,  /* the description of this API itself */
    ANSWER_ASYNCAPI, /* that of the WebSocket */
    ANSWER_OPERATOR, /* for those who run it: no part of the API, so not described */
    ANSWER__MAX
};

/* RC_OK: the reply is written (reply.h). Else the failure that becomes the error answer. */
typedef enum rc route_handler(struct req *rq, struct fail *f);

struct route {
    enum method method;
    const char *path; /* "/v1/sessions/{id}/start"; below /v1 also known as /api/v1 and /api */
    enum auth auth;
    enum limit_kind limit;
    const struct field *body;  /* NULL: takes none, and one that comes is not read */
    const struct field *query; /* parameters behind the ?; NULL: none is looked at */
    route_handler *handler;
    int status; /* of success */
    enum answer answer;
    const char *tag;     /* "Sessions": groups operations in OpenAPI */
    const char *summary; /* one sentence without a full stop */
};

/* "GET", ...; "" for METHOD_NONE. */
const char *method_name(enum method m);

/* All rows of all tables (routes.c); NULL behind the last. */
size_t route_count(void);
const struct route *route_at(size_t i);

/* Whether every row is complete; else what is wrong, one line each, is appended to `errors`. */
bool routes_check(struct buf *errors);

/*
 * Compare a decoded path with a template segment by segment; a trailing slash is allowed. A
 * {name} takes one non-empty segment, copied to params[] as (start, length) in order.
 */
struct route_param {
    const char *s;
    size_t len;
};
bool route_path_match(const char *template, const char *path,
                      struct route_param params[ROUTE_PARAMS_MAX]);

/* The path without an alias prefix: "/api/v1/x" and "/api/x" are "/v1/x"; others as they are.
 * `*alias_len` bytes of `path` are to be replaced by "/v1" when it is not 0. */
size_t route_alias_len(const char *path);

/*
 * Answer one parsed request (request.h): match, gate, handler, error envelope. The
 * reply is complete afterwards and not yet sent; nothing is read from rq->io but the body.
 */
void route_dispatch(struct req *rq);

#endif
