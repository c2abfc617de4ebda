#include "fcgi/openapi.h"

#include "common/buf.h"
#include "common/field.h"
#include "fcgi/route.h"
#include "fcgi/schema.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define TITLE "SyncKairos API"
#define VERSION "2.0.0"
#define DESCRIPTION                                                                            \
    "Shared clocks that many clients watch. Nothing ticks on the server: every remaining "     \
    "time is computed for one instant, `server_time`.\n\n"                                     \
    "**Paths.** Everything under `/v1` is also found under `/api/v1` and `/api`.\n\n"          \
    "**Who is asking.** `Authorization: Bearer <JWT>`. Operations that also list the empty "   \
    "requirement take anonymous callers, but only where the server was set up with "           \
    "`AUTH_REQUIRED=false`; elsewhere they answer 401. The owner of a session and services "   \
    "may do everything to it; a participant (his id is the `sub` of the token, or stands in "  \
    "its `participants`) may switch while he is on turn, pause and resume; everybody with a "  \
    "token may read, unless `metadata.visibility` is `private`.\n\n"                           \
    "**Repeating.** A command that names `expected_version` or, on a switch, "                 \
    "`current_participant_id` can be sent again safely: a second one answers 409; so can "     \
    "one with `If-Match`: 412. With an `Idempotency-Key` it gets the first answer again.\n\n"  \
    "**Pushes.** `/ws?sessionId=<uuid>` is a WebSocket that sends every change of a session; " \
    "its messages are described in [asyncapi.json](/asyncapi.json)."

/* A description: its version under `kind`, what it describes under `what`. */
#define DOCUMENT(kind, what)                                                              \
    "'type':'object','additionalProperties':false,'required':['" kind "','info','" what   \
    "','components'],'properties':{'" kind "':{" TEXT                                     \
    "},'info':{'type':'object'},'defaultContentType':{" TEXT "},'id':{" TEXT              \
    "},'servers':{'type':['object','array']},'security':{'type':'array'},'tags':{'type':" \
    "'array'},'operations':{'type':'object'},'" what "':{'type':'object'},'components':"  \
    "{'type':'object'}}"

struct answer_row {
    const char *schema;  /* NULL: no body */
    const char *minimal; /* of a command that was asked for return=minimal; NULL: the same */
    bool enveloped;      /* as {"data": ...} */
    const char *doc;
};

static const struct answer_row answers[ANSWER__MAX] = {
    [ANSWER_NOTHING] = { NULL, NULL, false, "Done." },
    [ANSWER_SESSION] = { REF("SyncState"), REF("SyncStateMinimal"), true,
                         "The session as it is now stored." },
    [ANSWER_SWITCH] = { REF("SwitchResult"), REF("SwitchResultMinimal"), true,
                        "The turn that has begun." },
    [ANSWER_BATCH] = { REF("SessionBatch"), NULL, true, "Those that exist, and the others." },
    [ANSWER_LIST] = { REF("SessionList"), NULL, true, "A page of them." },
    [ANSWER_EVENTS] = { REF("SessionEvents"), NULL, true,
                        "Changes of the session, oldest first." },
    [ANSWER_TIME] = { REF("Time"), NULL, false, "The server's clock." },
    [ANSWER_HEALTH] = { REF("Health"), NULL, false, "The process works." },
    [ANSWER_READY] = { REF("Ready"), NULL, false, "Requests can be served." },
    [ANSWER_OPENAPI] = { DOCUMENT("openapi", "paths"), NULL, false, "This document." },
    [ANSWER_ASYNCAPI] = { DOCUMENT("asyncapi", "channels"), NULL, false, "AsyncAPI 3.0." },
};

static bool
has_params(const struct route *r)
{
    return strchr(r->path, '{') != NULL;
}

static bool
is_described(const struct route *r)
{
    return r->answer != ANSWER_OPERATOR;
}

static bool
is_document(const struct route *r)
{
    return r->answer == ANSWER_OPENAPI || r->answer == ANSWER_ASYNCAPI;
}

static bool
is_command(const struct route *r)
{
    return r->body != NULL && has_params(r);
}

/* What changes a session or makes one. */
static bool
is_change(const struct route *r)
{
    return r->body != NULL &&
           (answers[r->answer].minimal != NULL || r->answer == ANSWER_NOTHING);
}

static bool
reads_tags(const struct route *r)
{
    return r->method == METHOD_GET && r->answer == ANSWER_SESSION && r->query == NULL;
}

/* Headers that requests may bring. */
static const struct {
    bool (*applies)(const struct route *r);
    const char *name, *doc;
} request_headers[] = {
    { reads_tags, "If-None-Match", "ETags that the caller holds." },
    { is_command, "If-Match", "ETags of the states to act on, compared weakly; else 412." },
    { is_change, "Idempotency-Key",
      "1 to 255 visible ASCII characters. A request that repeats one with the same key changes "
      "nothing and gets the same answer, for a day and the newest 64 keys of a session. A "
      "session created without session_id gets one that is made from the key." },
    { is_change, "Prefer", "return=minimal: the answer leaves participants and groups out." },
};

static bool
is_limited(const struct route *r)
{
    return r->limit != LIMIT_NONE;
}

/* ---- which failures an operation knows ---- */

static bool
fails_bad(const struct route *r)
{
    return r->body != NULL || has_params(r) || r->query != NULL;
}

static bool
fails_unauthenticated(const struct route *r)
{
    return r->auth != AUTH_PUBLIC;
}

static bool
fails_forbidden(const struct route *r)
{
    return r->auth != AUTH_PUBLIC && (r->method != METHOD_GET || r->auth == AUTH_USER) &&
           r->answer != ANSWER_BATCH;
}

/* Deleting what is not there is done already. */
static bool
fails_missing(const struct route *r)
{
    return has_params(r) && r->answer != ANSWER_NOTHING;
}

static bool
fails_body(const struct route *r)
{
    return r->body != NULL;
}

static bool
fails_always(const struct route *r)
{
    (void)r;
    return true;
}

static bool
fails_store(const struct route *r)
{
    return r->auth != AUTH_PUBLIC || is_limited(r);
}

static const struct {
    int status;
    bool (*applies)(const struct route *r);
    const char *response;
} failures[] = {
    { 400, fails_bad, "BadRequest" },      { 401, fails_unauthenticated, "Unauthenticated" },
    { 403, fails_forbidden, "Forbidden" }, { 404, fails_missing, "NotFound" },
    { 409, is_change, "Conflict" },        { 412, is_command, "Precondition" },
    { 413, fails_body, "TooLarge" },       { 415, fails_body, "MediaType" },
    { 422, is_change, "KeyReused" },       { 429, is_limited, "TooManyRequests" },
    { 500, fails_always, "Internal" },     { 503, fails_store, "Unavailable" },
};

/* ---- one operation ---- */

static void
put_header_ref(struct buf *out, const char *name)
{
    buf_printf(out, ",\"%s\":{\"$ref\":\"#/components/headers/%s\"}", name, name);
}

static void
put_headers(struct buf *out, const struct route *r)
{
    static const char *const limited[] = { "RateLimit-Limit", "RateLimit-Remaining",
                                           "RateLimit-Reset", "RateLimit-Policy" };

    schema_put(out, ",'headers':{'X-Request-Id':{'$ref':'#/components/headers/X-Request-Id'}");
    if (!is_document(r))
        put_header_ref(out, "Server-Time");
    if (r->status == 201)
        put_header_ref(out, "Location");
    if (r->method == METHOD_GET && (r->answer == ANSWER_SESSION || is_document(r)))
        put_header_ref(out, "ETag");
    if (is_change(r)) {
        put_header_ref(out, "Idempotency-Replayed");
        put_header_ref(out, "Preference-Applied");
    }
    for (size_t i = 0; is_limited(r) && i < sizeof(limited) / sizeof(limited[0]); i++)
        put_header_ref(out, limited[i]);
    buf_char(out, '}');
}

static void
put_schema(struct buf *out, const struct answer_row *a, bool of_command)
{
    bool both = of_command && a->minimal != NULL;

    schema_put(out, both ? "'oneOf':[{" : "");
    schema_put(out, a->schema);
    schema_put(out, both ? "},{" : "");
    schema_put(out, both ? a->minimal : "");
    schema_put(out, both ? "}]" : "");
}

static void
put_success(struct buf *out, const struct route *r, int status, const char *doc)
{
    const struct answer_row *a = &answers[r->answer];

    buf_printf(out, "\"%d\":{\"description\":", status);
    buf_json(out, doc, strlen(doc));
    put_headers(out, r);
    if (a->schema != NULL && status != 304) {
        schema_put(out, ",'content':{'application/json':{'schema':{");
        if (a->enveloped)
            schema_put(out, "'type':'object','additionalProperties':false,'required':['data'],"
                            "'properties':{'data':{");
        put_schema(out, a, is_change(r));
        buf_str(out, a->enveloped ? "}}}}}" : "}}}");
    }
    buf_char(out, '}');
}

static void
put_responses(struct buf *out, const struct route *r)
{
    schema_put(out, ",'responses':{");
    put_success(out, r, r->status, answers[r->answer].doc);
    if (r->status == 201 && strchr(r->path, '{') == NULL) {
        buf_char(out, ',');
        put_success(out, r, 200, "The same session exists already, and nothing has happened.");
    }
    if (r->method == METHOD_GET && (r->answer == ANSWER_SESSION || is_document(r))) {
        buf_char(out, ',');
        put_success(out, r, 304, "What the caller holds is still current.");
    }
    if (r->answer == ANSWER_READY)
        schema_put(out, ",'503':{'description':'Requests cannot be served.','content':"
                        "{'application/json':{'schema':"
                        "{'$ref':'#/components/schemas/Ready'}}}}");
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].applies(r))
            buf_printf(out, ",\"%d\":{\"$ref\":\"#/components/responses/%s\"}",
                       failures[i].status, failures[i].response);
    }
    buf_char(out, '}');
}

/* Between two parameters. */
static void
put_comma(struct buf *out, bool *first)
{
    if (!*first)
        buf_char(out, ',');
    *first = false;
}

static void
put_header_parameter(struct buf *out, const char *name, const char *doc)
{
    schema_put(out, "{'name':");
    buf_json(out, name, strlen(name));
    schema_put(out, ",'in':'header','required':false,'description':");
    buf_json(out, doc, strlen(doc));
    schema_put(out, ",'schema':{'type':'string'}}");
}

static void
put_query(struct buf *out, const struct field *fields, bool *first)
{
    for (const struct field *fd = fields; fd != NULL && fd->type != F_END; fd++) {
        put_comma(out, first);
        schema_put(out, "{'name':");
        buf_json(out, fd->name, strlen(fd->name));
        schema_put(out, fd->required ? ",'in':'query','required':true,'schema':"
                                     : ",'in':'query','required':false,'schema':");
        field_schema_one(out, fd);
        buf_char(out, '}');
    }
}

/* Every {x} of a path is a UUID (gate.c). */
static void
put_parameters(struct buf *out, const struct route *r)
{
    const char *p = r->path;
    bool first = true;

    schema_put(out, ",'parameters':[");
    while ((p = strchr(p, '{')) != NULL) {
        int len = (int)strcspn(++p, "}");

        put_comma(out, &first);
        buf_printf(out,
                   "{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,"
                   "\"schema\":{\"type\":\"string\",\"format\":\"uuid\"}}",
                   len, p);
    }
    put_query(out, r->query, &first);
    for (size_t i = 0; i < sizeof(request_headers) / sizeof(request_headers[0]); i++) {
        if (!request_headers[i].applies(r))
            continue;
        put_comma(out, &first);
        put_header_parameter(out, request_headers[i].name, request_headers[i].doc);
    }
    buf_char(out, ']');
}

static void
put_body(struct buf *out, const struct field *fields)
{
    bool required = false;

    for (const struct field *fd = fields; fd->type != F_END; fd++)
        required = required || fd->required;
    buf_printf(out,
               ",\"requestBody\":{\"required\":%s,\"content\":", required ? "true" : "false");
    schema_put(out, "{'application/json':{'schema':");
    field_schema(out, fields);
    while (fields->type != F_END)
        fields++;
    if (fields->example != NULL)
        buf_printf(out, ",\"example\":%s", fields->example);
    buf_str(out, "}}}");
}

/* "post_v1_sessions_id_start" */
static void
put_operation_id(struct buf *out, const struct route *r)
{
    schema_put(out, "'operationId':'");
    for (const char *p = method_name(r->method); *p != '\0'; p++)
        buf_char(out, (char)tolower(*p));
    for (const char *p = r->path; *p != '\0'; p++) {
        if (isalnum((unsigned char)*p))
            buf_char(out, *p);
        else if (*p == '/' || *p == '.' || *p == '-')
            buf_char(out, '_');
    }
    buf_char(out, '"');
}

static void
put_operation(struct buf *out, const struct route *r)
{
    buf_char(out, '"');
    for (const char *p = method_name(r->method); *p != '\0'; p++)
        buf_char(out, (char)tolower(*p));
    buf_str(out, "\":{");
    put_operation_id(out, r);
    schema_put(out, ",'tags':[");
    buf_json(out, r->tag, strlen(r->tag));
    schema_put(out, "],'summary':");
    buf_json(out, r->summary, strlen(r->summary));
    schema_put(out, r->auth == AUTH_PUBLIC ? ",'security':[]"
                    : r->auth == AUTH_SYNC ? ",'security':[{'bearer':[]},{}]"
                                           : ",'security':[{'bearer':[]}]");
    if (has_params(r) || r->query != NULL || is_change(r))
        put_parameters(out, r);
    if (r->body != NULL)
        put_body(out, r->body);
    put_responses(out, r);
    buf_char(out, '}');
}

/* ---- all of them ---- */

/* The first row of its path (or of its tag) speaks for the rest, and nobody for a row that is
 * not described. */
static bool
is_left_out(size_t i, bool (*same)(const struct route *a, const struct route *b))
{
    if (!is_described(route_at(i)))
        return true;
    for (size_t k = 0; k < i; k++) {
        if (same(route_at(k), route_at(i)))
            return true;
    }
    return false;
}

static bool
same_path(const struct route *a, const struct route *b)
{
    return strcmp(a->path, b->path) == 0;
}

static bool
same_tag(const struct route *a, const struct route *b)
{
    return strcmp(a->tag, b->tag) == 0;
}

static void
put_path(struct buf *out, size_t first)
{
    buf_json(out, route_at(first)->path, strlen(route_at(first)->path));
    buf_str(out, ":{");
    for (size_t i = first; i < route_count(); i++) {
        if (!same_path(route_at(first), route_at(i)))
            continue;
        if (i != first)
            buf_char(out, ',');
        put_operation(out, route_at(i));
    }
    buf_char(out, '}');
}

static void
put_paths(struct buf *out)
{
    schema_put(out, ",'paths':{");
    for (size_t i = 0; i < route_count(); i++) {
        if (is_left_out(i, same_path))
            continue;
        if (i > 0)
            buf_char(out, ',');
        put_path(out, i);
    }
    buf_char(out, '}');
}

static void
put_tags(struct buf *out)
{
    schema_put(out, ",'tags':[");
    for (size_t i = 0; i < route_count(); i++) {
        if (is_left_out(i, same_tag))
            continue;
        schema_put(out, i > 0 ? ",{'name':" : "{'name':");
        buf_json(out, route_at(i)->tag, strlen(route_at(i)->tag));
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

void
openapi_json(struct buf *out)
{
    schema_put(out, "{'openapi':'3.1.0','info':{'title':'" TITLE "','version':'" VERSION
                    "','description':");
    buf_json(out, DESCRIPTION, sizeof(DESCRIPTION) - 1);
    schema_put(out, "},'servers':[{'url':'/'}],'security':[{'bearer':[]}]");
    put_tags(out);
    put_paths(out);
    schema_put(out, ",'components':");
    openapi_components(out);
    buf_char(out, '}');
}
