/*
 * request.h - one request, parsed: what steps and handlers see of it.
 *
 * Everything that `struct req` points to lives in its arena until the request is finished.
 * request_parse reads CGI variables (RFC 3875) through the I/O table and touches no body.
 */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include "common/access.h"
#include "common/address.h"
#include "common/field.h"
#include "common/limit.h"
#include "fcgi/reply.h"
#include "fcgi/route.h"
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct conf;
struct io;
struct json_object; /* json-c */
struct pg;
struct redis;
struct redis_batch;
struct session_store;
struct status;
struct token_keys;

#define REQUEST_ID_MAX 128
#define REQUEST_PATH_MAX 2048

/* What a worker keeps between requests; made once by the worker, or by a test. */
struct app {
    const struct conf *conf;
    struct proxy_list proxies;
    struct proxy_list metrics_allow;
    struct redis *redis;
    struct redis_batch *batch; /* for what a request asks of Redis beside the store */
    struct session_store *store;
    struct pg *pg; /* of requests that read PostgreSQL; connects when one does */
    struct token_keys *tokens;
    struct status *status;
    size_t *route_places; /* of each route_at(i) in the metrics; NULL: nothing is counted */
    bool draining;        /* told to stop: /ready says so */
    char id_prefix[12];   /* begins the request ids made here */
    uint64_t requests;
};

struct req {
    struct app *app;
    struct io *io;
    struct arena *mem;
    int64_t start_us; /* monotonic */

    enum method method; /* HEAD is METHOD_GET */
    bool head, options;
    const char *method_text; /* as sent, at most 16 bytes, visible ASCII */
    const char *path;        /* percent-decoded, aliases resolved to /v1 */
    const char *base;        /* "/v1", "/api/v1" or "/api": how the caller spells it */
    const char *query;       /* raw, "" when there is none */
    char id[REQUEST_ID_MAX + 1];
    char client[ADDRESS_MAX]; /* address of who asks; limits count by it */
    int64_t content_length;   /* -1: not said */

    const struct route *route;
    size_t route_index;             /* route_at(route_index) */
    char *params[ROUTE_PARAMS_MAX]; /* values of {x} in order */
    struct json_object *args;       /* the query, checked; NULL where the route takes none */
    struct body body;
    struct caller caller; /* its token is borrowed until the next request */
    const char *user;     /* `sub` of the caller, NULL anonymous */

    enum limit_kind limit_kind; /* of the route, or of what went wrong */
    bool limit_done;            /* the limiter was asked (gate.h) */
    int limit_place;            /* in the batch it rides in */
    bool revoke_done;           /* the revocations were asked for */
    int revoke_place;
    struct limit_state limit; /* what it said */

    int64_t server_time_ms; /* Redis TIME of what is shown; 0: Redis was not read */
    struct reply reply;
};

/* A request that can be used again and again; request_fini frees all. */
void request_init(struct req *rq, struct app *app);
void request_fini(struct req *rq);
/* Free everything of the request in hand, keep the memory. */
void request_reset(struct req *rq);

/*
 * Fill rq from the variables that `io` gives. RC_OK; RC_BAD_REQUEST for a path that cannot be
 * decoded or a bad Content-Length; RC_URI_TOO_LONG. Id and method are set even then.
 */
enum rc request_parse(struct req *rq, struct io *io, struct fail *f) MUSTCHECK;

/* A request header by its CGI name ("HTTP_IF_NONE_MATCH"), NULL when missing. Borrowed. */
const char *request_header(const struct req *rq, const char *cgi_name);

/* Whether If-None-Match names `tag` ("\"x\"", without W/), compared weakly, or anything. */
bool request_has_etag(const struct req *rq, const char *tag);

/*
 * Decode %xx of `s` up to `len` into `out` (room for len + 1). False for a bad escape, NUL,
 * other control characters or what is not UTF-8 afterwards. A decoded slash is refused as well:
 * it would change how the path falls into segments.
 */
bool request_path_decode(const char *s, size_t len, char *out);

/* Whether a request id from outside may be used: 1..128 visible ASCII characters. */
bool request_id_is_sane(const char *s);

#endif
