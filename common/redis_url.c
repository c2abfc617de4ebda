#include "redis_url.h"
#include "hex.h"
#include <stdbool.h>

/* Copy `len` bytes, percent-decoded, with a NUL; false when they do not fit or hold a NUL. */
static bool
decode(const char *s, size_t len, char *out, size_t size)
{
    const char *end = s + len;
    size_t n = 0;

    while (s < end) {
        int c = percent_next(&s, end);

        if (c <= 0 || n + 1 >= size)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

/* A plain decimal of at most `max` that ends the string. */
static bool
number(const char *s, size_t len, int max, int *out)
{
    int v = 0;

    if (len == 0 || len > 6)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return v <= max;
}

static enum rc
parse_unix(const char *s, struct redis_url *out, struct fail *f)
{
    const char *query = strchr(s, '?');
    size_t len = query ? (size_t)(query - s) : strlen(s);

    if (len == 0 || s[0] != '/' || !decode(s, len, out->path, sizeof(out->path)))
        return fail_set(f, RC_VALIDATION,
                        "the socket path must be absolute and at most %zu long",
                        sizeof(out->path) - 1);
    if (query && (strncmp(query, "?db=", 4) != 0 ||
                  !number(query + 4, strlen(query + 4), 65535, &out->db)))
        return fail_set(f, RC_VALIDATION, "after the socket path only ?db=N may follow");
    return RC_OK;
}

static enum rc
parse_login(const char *s, size_t len, struct redis_url *out, struct fail *f)
{
    const char *colon = memchr(s, ':', len);
    size_t user_len = colon ? (size_t)(colon - s) : len;

    if (!decode(s, user_len, out->user, sizeof(out->user)))
        return fail_set(f, RC_VALIDATION, "the user name is not well-formed");
    if (colon && !decode(colon + 1, len - user_len - 1, out->password, sizeof(out->password)))
        return fail_set(f, RC_VALIDATION, "the password is not well-formed");
    return RC_OK;
}

static enum rc
parse_host(const char *s, size_t len, struct redis_url *out, struct fail *f)
{
    const char *end = s + len;
    const char *host = s;
    const char *colon;

    if (len > 0 && s[0] == '[') {
        const char *close = memchr(s, ']', len);

        if (!close)
            return fail_set(f, RC_VALIDATION, "the IPv6 address lacks its closing bracket");
        host = s + 1;
        len = (size_t)(close - host);
        colon = close + 1;
        if (colon != end && *colon != ':')
            return fail_set(f, RC_VALIDATION, "only :port may follow the address");
    } else {
        colon = memchr(s, ':', len);
        if (!colon)
            colon = end;
        len = (size_t)(colon - host);
    }
    out->port = 6379;
    if (colon != end &&
        (!number(colon + 1, (size_t)(end - colon - 1), 65535, &out->port) || out->port == 0))
        return fail_set(f, RC_VALIDATION, "the port must be 1..65535");
    if (len == 0 || !decode(host, len, out->host, sizeof(out->host)))
        return fail_set(f, RC_VALIDATION, "the host is missing or too long");
    return RC_OK;
}

static enum rc
parse_tcp(const char *s, struct redis_url *out, struct fail *f)
{
    const char *slash = strchr(s, '/');
    size_t len = slash ? (size_t)(slash - s) : strlen(s);
    const char *at = NULL;
    enum rc rc;

    for (const char *p = s; p < s + len; p++) {
        if (*p == '@') /* the last one: a password may hold another */
            at = p;
    }
    if (at) {
        rc = parse_login(s, (size_t)(at - s), out, f);
        if (rc != RC_OK)
            return rc;
        len -= (size_t)(at + 1 - s);
        s = at + 1;
    }
    rc = parse_host(s, len, out, f);
    if (rc != RC_OK)
        return rc;
    if (slash && slash[1] != '\0' && !number(slash + 1, strlen(slash + 1), 65535, &out->db))
        return fail_set(f, RC_VALIDATION, "after the host only /db, a number, may follow");
    return RC_OK;
}

enum rc
redis_url_parse(const char *url, struct redis_url *out, struct fail *f)
{
    memset(out, 0, sizeof(*out));
    if (strncmp(url, "redis://", 8) == 0)
        return parse_tcp(url + 8, out, f);
    if (strncmp(url, "unix://", 7) == 0)
        return parse_unix(url + 7, out, f);
    if (strncmp(url, "rediss://", 9) == 0)
        return fail_set(f, RC_VALIDATION,
                        "rediss:// needs a TLS proxy: give the proxy's redis:// address");
    return fail_set(f, RC_VALIDATION, "must begin with redis:// or unix://");
}
