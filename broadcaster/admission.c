#include "admission.h"

#include "common/id.h"
#include "common/token.h"

#include <strings.h>

/* clang-format off */
const struct verdict_row verdict_rows[VERDICT__MAX] = {
    [ADMIT]              = { .status = 101 },
    [ADMIT_BARE]         = { .status = 101 },
    [ADMIT_MISSING]      = { .status = 101, .close = 1008, .reason = "Missing sessionId parameter" },
    [ADMIT_MALFORMED]    = { .status = 101, .close = 1008, .reason = "Invalid sessionId format" },
    [REFUSE_PATH]        = { 404, "NOT_FOUND", "There is nothing here", NULL, 0, NULL },
    [REFUSE_VERSION]     = { 426, "BAD_REQUEST", "The only version of the protocol is 13", "Sec-WebSocket-Version: 13", 0, NULL },
    [REFUSE_TOKEN]       = { 401, "UNAUTHENTICATED", "A valid token is required", "WWW-Authenticate: Bearer", 0, NULL },
    [REFUSE_ORIGIN]      = { 403, "FORBIDDEN", "This origin is not allowed", NULL, 0, NULL },
    [REFUSE_SUBPROTOCOL] = { 400, "BAD_REQUEST", "The only subprotocol is " SUBPROTOCOL, NULL, 0, NULL },
    [REFUSE_FULL]        = { 503, "SERVER_FULL", "Too many connections", "Retry-After: 1", 0, NULL },
    [REFUSE_RATE]        = { 429, "RATE_LIMIT_EXCEEDED", "Too many connections, please try again later", NULL, 0, NULL },
    [REFUSE_DRAINING]    = { 503, "SERVER_DRAINING", "The server is shutting down", "Retry-After: 1", 0, NULL },
};
/* clang-format on */

const char *
admission_list_next(const char **rest, size_t *len)
{
    const char *s = *rest;

    while (*s != '\0') {
        s += strspn(s, ", \t");
        *len = strcspn(s, ",");
        *rest = s + *len;
        while (*len > 0 && (s[*len - 1] == ' ' || s[*len - 1] == '\t'))
            (*len)--;
        if (*len > 0)
            return s;
        s = *rest;
    }
    return NULL;
}

static bool
list_has(const char *list, const char *item)
{
    const char *s;
    size_t len;

    while ((s = admission_list_next(&list, &len)) != NULL)
        if (strlen(item) == len && strncasecmp(s, item, len) == 0)
            return true;
    return false;
}

/* The page's own origin: what stands behind "//" is the Host of the request. */
static bool
is_same_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");

    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

static bool
is_origin_allowed(const struct admission *a, const char *allowed)
{
    /* no browser leaves Origin out */
    if (a->origin == NULL || allowed[0] == '\0' || list_has(allowed, "*"))
        return true;
    return list_has(allowed, a->origin) || is_same_origin(a->origin, a->host);
}

bool
admission_wants_ours(const struct admission *a)
{
    const char *offered = a->subprotocol;
    const char *s;
    size_t len;

    while (offered != NULL && (s = admission_list_next(&offered, &len)) != NULL)
        if (len == strlen(SUBPROTOCOL) && memcmp(s, SUBPROTOCOL, len) == 0)
            return true;
    return false;
}

static const char *
bearer_of_subprotocol(const char *offered, size_t *len)
{
    static const char prefix[] = "bearer.";
    const size_t n = sizeof(prefix) - 1;
    const char *s;

    while (offered != NULL && (s = admission_list_next(&offered, len)) != NULL) {
        if (*len > n && memcmp(s, prefix, n) == 0) {
            *len -= n;
            return s + n;
        }
    }
    return NULL;
}

const char *
admission_token(const struct admission *a, size_t *len)
{
    const char *token = token_of_header(a->authorization, len);

    if (token == NULL)
        token = bearer_of_subprotocol(a->subprotocol, len);
    if (token == NULL && a->query_token != NULL && a->query_token[0] != '\0') {
        token = a->query_token;
        *len = strlen(token);
    }
    return token;
}

enum verdict
admission_judge(const struct admission *a, const char *allowed_origins, bool auth_required)
{
    bool ours = admission_wants_ours(a);
    size_t len;

    if (strcmp(a->path, "/ws") != 0)
        return REFUSE_PATH;
    /* RFC 6455 section 4.4 */
    if (a->version == NULL || strcmp(a->version, "13") != 0)
        return REFUSE_VERSION;
    if (auth_required && !a->is_signed_in)
        return REFUSE_TOKEN;
    if (!is_origin_allowed(a, allowed_origins))
        return REFUSE_ORIGIN;
    if (a->subprotocol != NULL && a->subprotocol[0] != '\0' && !ours)
        return REFUSE_SUBPROTOCOL;
    if (a->draining)
        return REFUSE_DRAINING;
    if (a->full)
        return REFUSE_FULL;
    if (a->session_id == NULL || a->session_id[0] == '\0')
        return ours || admission_token(a, &len) != NULL ? ADMIT_BARE : ADMIT_MISSING;
    return id_is_uuid_shape(a->session_id, strlen(a->session_id)) ? ADMIT : ADMIT_MALFORMED;
}
