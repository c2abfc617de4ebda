/*
 * The table of settings. A new setting is one row here and one field in conf.h; reading,
 * faults, etc/env.example and the README follow from the row.
 */
#include "address.h"
#include "conf_row.h"
#include "redis_url.h"
#include "token_key.h"

static bool
is_listen(const char *s)
{
    const char *colon = strrchr(s, ':');
    char *end;
    long port;

    if (strncmp(s, "unix:", 5) == 0)
        return s[5] == '/' && strlen(s + 5) < 108; /* sun_path */
    if (!colon || colon == s || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtol(colon + 1, &end, 10);
    return *end == '\0' && port > 0 && port < 65536;
}

static bool
is_key_prefix(const char *s)
{
    return strpbrk(s, "{} ") == NULL; /* braces would be the hash tag */
}

static bool
is_redis_url(const char *s)
{
    struct redis_url url;

    return redis_url_parse(s, &url, NULL) == RC_OK;
}

static bool
is_postgres_url(const char *s)
{
    return *s == '\0' || strncmp(s, "postgres://", 11) == 0 ||
           strncmp(s, "postgresql://", 13) == 0;
}

static bool
is_sentry_dsn(const char *s)
{
    return *s == '\0' || ((strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0) &&
                          strchr(s, '@') != NULL);
}

static bool
is_sync_or_empty(const char *s)
{
    return *s == '\0' || strcmp(s, "sync") == 0;
}

/* A short secret can be guessed from one token, and a key in PEM is known to others: whoever
 * has the public half of a pair could sign with it. */
static bool
is_token_secret(const char *s)
{
    return *s == '\0' || (strlen(s) >= TOKEN_SECRET_MIN && !strstr(s, "-----BEGIN"));
}

/* Each entry of a comma-separated list, blanks around it taken off, passes `fn`. */
static bool
each_in_list(const char *s, bool (*fn)(const char *))
{
    char item[256];

    while (*s) {
        size_t len = strcspn(s, ","), from = strspn(s, " "), to = len;

        while (to > from && s[to - 1] == ' ')
            to--;
        if (to <= from || to - from >= sizeof(item))
            return false;
        memcpy(item, s + from, to - from);
        item[to - from] = '\0';
        if (!fn(item))
            return false;
        s += len;
        if (*s == ',' && *++s == '\0')
            return false;
    }
    return true;
}

static bool
is_origin(const char *s)
{
    const char *host = strstr(s, "://");

    if (strcmp(s, "*") == 0 || strcmp(s, "null") == 0)
        return true;
    return host && host > s && host[3] != '\0' && !strpbrk(host + 3, "/ ?#");
}

static bool
is_origin_list(const char *s)
{
    return each_in_list(s, is_origin);
}

static bool
is_network_list(const char *s)
{
    struct proxy_list list;

    return proxy_list_parse(s, &list, NULL) == RC_OK;
}

#define AT(field) offsetof(struct conf, field)
#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* clang-format off */
const struct conf_row conf_rows[] = { /* sorted by env: searched and printed in this order */
    { .env = "ALLOWED_ORIGINS", .alias = "CORS_ORIGIN", .at = AT(allowed_origins), .def = "",
      .max = 8192, .is_valid = is_origin_list, .expects = "*, or origins with commas between them",
      .doc = "Origins whose pages may read the answers; empty or * allows all." },
    { .env = "ALLOW_ANONYMOUS", .at = AT(allow_anonymous), .def = "", .max = 16,
      .is_valid = is_sync_or_empty, .expects = "nothing or sync",
      .doc = "Must say sync when APP_ENV=production runs with AUTH_REQUIRED=false." },
    { .env = "APP_ENV", .alias = "NODE_ENV", .type = CONF_ENUM, .at = AT(app_env),
      .def = "production", .names = "production|development|test",
      .doc = "What this installation is for." },
    { .env = "AUDIT_BACKLOG_MAX", .type = CONF_INT, .at = AT(audit_backlog_max), .def = "0",
      .max = 1LL << 50,
      .doc = "Bytes of Redis that audit records may take before creations are refused, and twice that for commands; 0: a quarter of maxmemory, or 1 GB." },
    { .env = "AUDIT_RETENTION_DAYS", .type = CONF_INT, .at = AT(audit_retention_days),
      .def = "0", .max = 36500,
      .doc = "Days that PostgreSQL keeps the audit trail, by whole months; 0: for ever." },
    { .env = "AUTH_REQUIRED", .type = CONF_BOOL, .at = AT(auth_required), .def = "true",
      .doc = "Whether callers need a token; without, anybody may do everything to sessions." },
    { .env = "DATABASE_URL", .type = CONF_URL, .at = AT(database_url), .def = "", .max = 2048,
      .is_valid = is_postgres_url, .expects = "nothing or a postgresql:// URL",
      .doc = "PostgreSQL, for the audit trail; empty: none." },
    { .env = "DRAIN_SECONDS", .type = CONF_SECONDS, .at = AT(drain_ms), .def = "15",
      .max = 10 * MINUTE, .doc = "Longest time that a shutdown takes to let clients go." },
    { .env = "ENABLE_METRICS", .type = CONF_BOOL, .at = AT(enable_metrics), .def = "true",
      .doc = "Whether anything is counted, and /metrics answers." },
    { .env = "FCGI_LISTEN", .at = AT(fcgi_listen), .def = "unix:/run/synckairos/fcgi.sock",
      .max = 300, .is_valid = is_listen, .expects = "unix:/path or host:port",
      .doc = "Where the workers listen for the web server." },
    { .env = "FCGI_MAX_REQUESTS", .type = CONF_INT, .at = AT(fcgi_max_requests),
      .def = "100000", .min = 1, .max = 1000000000,
      .doc = "Requests that a worker serves before a fresh one takes its place." },
    { .env = "FCGI_REQUEST_LIMIT_MS", .type = CONF_MS, .at = AT(fcgi_request_limit_ms),
      .def = "30000", .min = 100, .max = 10 * MINUTE,
      .doc = "A worker that needs longer for one request is replaced." },
    { .env = "FCGI_SOCKET_MODE", .type = CONF_OCTAL, .at = AT(fcgi_socket_mode), .def = "0660",
      .max = 0777, .doc = "Permissions of the unix socket in FCGI_LISTEN." },
    { .env = "FCGI_WORKERS", .type = CONF_INT, .at = AT(fcgi_workers), .def = "0", .max = 1024,
      .doc = "Worker processes; 0: four for each processor core." },
    { .env = "GUEST_TOKENS", .type = CONF_BOOL, .at = AT(guest_tokens), .def = "false",
      .doc = "Whether anybody gets a token for the asking; only with APP_ENV=development." },
    { .env = "JWT_ALGORITHM", .type = CONF_ENUM, .at = AT(jwt_algorithm), .def = "HS256",
      .names = "HS256|RS256|ES256|EdDSA",
      .doc = "How tokens are signed; one that says otherwise is refused." },
    { .env = "JWT_AUDIENCE", .at = AT(jwt_audience), .def = "", .max = 255,
      .expects = "nothing or a text", .doc = "What `aud` of a token has to name; empty: anything." },
    { .env = "JWT_EXPIRES_IN", .type = CONF_SECONDS, .at = AT(jwt_expires_ms), .def = "7d",
      .min = SECOND, .max = 3660LL * 24 * HOUR, .doc = "How long tokens last that are made here." },
    { .env = "JWT_ISSUER", .at = AT(jwt_issuer), .def = "", .max = 255,
      .expects = "nothing or a text", .doc = "What `iss` of a token has to be; empty: anything." },
    { .env = "JWT_PUBLIC_KEY_FILE", .at = AT(jwt_public_key_file), .def = "", .max = 1024,
      .expects = "nothing or a path",
      .doc = "Public keys (PEM, at most four, each is accepted) for RS256, ES256 and EdDSA." },
    { .env = "JWT_SECRET", .type = CONF_SECRET, .at = AT(jwt_secret), .def = "", .max = 4000,
      .is_valid = is_token_secret, .expects = "32 characters or more, and no PEM key",
      .doc = "Secret that signs tokens with HS256; without a key no token is accepted." },
    { .env = "JWT_SECRET_PREVIOUS", .type = CONF_SECRET, .at = AT(jwt_secret_previous),
      .def = "", .max = 4000, .is_valid = is_token_secret,
      .expects = "32 characters or more, and no PEM key",
      .doc = "Secret whose tokens are still accepted while a new one takes over." },
    { .env = "KEY_PREFIX", .at = AT(key_prefix), .def = "sk:", .max = 64,
      .is_valid = is_key_prefix, .expects = "at most 64 characters without braces and blanks",
      .doc = "What the name of every Redis key and channel begins with." },
    { .env = "LOG_FORMAT", .type = CONF_ENUM, .at = AT(log_format), .def = "json",
      .names = "json|text", .doc = "Log lines for programs or for people." },
    { .env = "LOG_LEVEL", .type = CONF_ENUM, .at = AT(log_level), .def = "info",
      .names = "error|warn|info|debug", .doc = "How much is logged." },
    { .env = "MAX_BODY_BYTES", .type = CONF_INT, .at = AT(max_body_bytes), .def = "262144",
      .min = 1024, .max = 8 * 1024 * 1024, .doc = "Longest request body that is read." },
    { .env = "MAX_OPEN_FILES", .type = CONF_INT, .at = AT(max_open_files), .def = "0",
      .max = 10000000,
      .doc = "Open files that the broadcaster asks the system for; 0: leave the limit." },
    { .env = "MAX_SESSIONS_PER_INSTANCE", .type = CONF_INT, .at = AT(max_sessions),
      .def = "10000", .min = 1, .max = 10000000,
      .doc = "Sessions that one broadcaster watches." },
    { .env = "METRICS_ALLOW", .at = AT(metrics_allow), .def = "127.0.0.0/8,::1", .max = 4096,
      .is_valid = is_network_list,
      .expects = "addresses or networks with commas between them",
      .doc = "Who may read /metrics on PORT; for others there is no such page." },
    { .env = "METRICS_HOST", .at = AT(metrics_host), .def = "127.0.0.1", .min = 1, .max = 255,
      .expects = "a host name or an address",
      .doc = "Address that broadcasters answer /metrics on; anybody who reaches it may read." },
    { .env = "METRICS_PORT", .type = CONF_INT, .at = AT(metrics_port), .def = "9091",
      .max = 65535, .doc = "Port that broadcasters answer /metrics on; 0: none." },
    { .env = "OUTAGE_PAUSE_S", .type = CONF_SECONDS, .at = AT(outage_pause_ms), .def = "30",
      .max = 24 * HOUR, .doc = "Running sessions are paused when Redis was lost for longer." },
    { .env = "PORT", .type = CONF_INT, .at = AT(web_port), .def = "3000", .min = 1,
      .max = 65535, .doc = "Port of the web server: `make run` and `kairosctl` use it." },
    { .env = "RATE_LIMIT_CREATE", .type = CONF_RULE, .at = AT(rate_limit_create),
      .def = "5/60s", .min = MINUTE, .doc = "Attempts of a caller to create a session, refused ones too." },
    { .env = "RATE_LIMIT_ENABLED", .type = CONF_BOOL, .at = AT(rate_limit_enabled),
      .def = "true", .doc = "Whether limits refuse anything; the headers are sent anyway." },
    { .env = "RATE_LIMIT_GENERAL", .type = CONF_RULE, .at = AT(rate_limit_general),
      .def = "100/60s", .min = MINUTE, .doc = "Requests of a caller that no other limit counts." },
    { .env = "RATE_LIMIT_GET", .type = CONF_RULE, .at = AT(rate_limit_get), .def = "100/60s",
      .min = MINUTE, .doc = "Reads of a session by a caller." },
    { .env = "RATE_LIMIT_LOGIN", .type = CONF_RULE, .at = AT(rate_limit_login), .def = "5/1h",
      .min = HOUR, .doc = "Failed logins of an address and of an account; without effect until there are accounts." },
    { .env = "RATE_LIMIT_SWITCH", .type = CONF_RULE, .at = AT(rate_limit_switch),
      .def = "10/1s+10s", .min = SECOND, .doc = "Switches of one session." },
    { .env = "RATE_LIMIT_TIME", .type = CONF_RULE, .at = AT(rate_limit_time), .def = "60/60s",
      .min = MINUTE, .doc = "Questions for the time from one address." },
    { .env = "RATE_LIMIT_WS_CONNECT", .type = CONF_RULE, .at = AT(rate_limit_ws_connect),
      .def = "5/60s", .min = MINUTE, .doc = "WebSockets that a caller opens, counted on each host." },
    { .env = "RATE_LIMIT_WS_MESSAGES", .type = CONF_RULE, .at = AT(rate_limit_ws_messages),
      .def = "100/60s", .min = MINUTE, .doc = "Messages of a client on one WebSocket." },
    { .env = "REDIS_PASSWORD", .type = CONF_SECRET, .at = AT(redis_password), .def = "",
      .max = 255, .expects = "at most 255 characters",
      .doc = "Password of Redis; goes before one in REDIS_URL." },
    { .env = "REDIS_URL", .type = CONF_URL, .at = AT(redis_url),
      .def = "redis://localhost:6379", .min = 1, .max = 1024, .is_valid = is_redis_url,
      .expects = "redis://[user:password@]host[:port][/db] or unix:///path[?db=N]",
      .doc = "The Redis that holds the sessions." },
    { .env = "SENTRY_DSN", .type = CONF_URL, .at = AT(sentry_dsn), .def = "", .max = 512,
      .is_valid = is_sentry_dsn, .expects = "nothing or https://KEY@HOST/PROJECT",
      .doc = "Where failed requests (5xx) and crashes are reported, ten a minute at most." },
    { .env = "SESSION_CACHE_TTL", .type = CONF_SECONDS, .at = AT(session_cache_ttl_ms),
      .def = "3600", .min = SECOND, .max = 30 * 24 * (int64_t)HOUR,
      .doc = "How long Redis keeps a session that has ended." },
    { .env = "STATUS_FILE", .at = AT(status_file), .def = "/run/synckairos/status", .min = 1,
      .max = 1024, .expects = "a path",
      .doc = "Small file through which the processes of a host tell how they are." },
    { .env = "STRICT_BODY", .type = CONF_BOOL, .at = AT(strict_body), .def = "true",
      .doc = "Whether unknown keys in request bodies are refused." },
    { .env = "SWITCH_GRACE_MS", .type = CONF_MS, .at = AT(switch_grace_ms), .def = "300",
      .max = MINUTE,
      .doc = "An unguarded switch so soon after a timed hand-over is refused." },
    { .env = "SYNCKAIROS_CONFIG", .type = CONF_FOREIGN, .def = "", .expects = "a path",
      .doc = "File of NAME=value lines that is read before the environment." },
    { .env = "TRUSTED_PROXIES", .at = AT(trusted_proxies), .def = "", .max = 4096,
      .is_valid = is_network_list,
      .expects = "addresses or networks with commas between them",
      .doc = "Proxies whose X-Forwarded-For is believed." },
    { .env = "WS_CONNECTION_TIMEOUT", .type = CONF_MS, .at = AT(ws_connection_timeout_ms),
      .def = "30000", .min = 200, .max = HOUR,
      .doc = "A WebSocket that stays silent for longer is closed." },
    { .env = "WS_HEARTBEAT_INTERVAL", .type = CONF_MS, .at = AT(ws_heartbeat_ms), .def = "5000",
      .min = 100, .max = 10 * MINUTE, .doc = "Time between two pings of a WebSocket." },
    { .env = "WS_HOST", .at = AT(ws_host), .def = "127.0.0.1", .min = 1, .max = 255,
      .expects = "an address", .doc = "Address on which broadcasters listen." },
    { .env = "WS_MAX_CLIENTS", .type = CONF_INT, .at = AT(ws_max_clients), .def = "10000",
      .min = 1, .max = 10000000, .doc = "WebSockets that one broadcaster accepts." },
    { .env = "WS_MAX_OPEN_PER_USER", .type = CONF_INT, .at = AT(ws_max_open), .def = "5",
      .max = 1000000,
      .doc = "WebSockets that a user, or an address without a token, holds open; 0: any number." },
    { .env = "WS_PORT", .type = CONF_INT, .at = AT(ws_port), .def = "3001", .min = 1,
      .max = 65535, .doc = "Port on which broadcasters listen." },
};
/* clang-format on */
const size_t conf_row_count = sizeof(conf_rows) / sizeof(*conf_rows);

const struct conf_row *
conf_row_find(const char *name, size_t len)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (strlen(row->env) == len && memcmp(row->env, name, len) == 0)
            return row;
        if (row->alias && strlen(row->alias) == len && memcmp(row->alias, name, len) == 0)
            return row;
    }
    return NULL;
}

/* Levenshtein distance; names that are too long for a setting are far from all. */
static size_t
distance(const char *a, size_t a_len, const char *b)
{
    size_t line[64], b_len = strlen(b);

    if (a_len >= 64 || b_len >= 64)
        return 64;
    for (size_t k = 0; k <= b_len; k++)
        line[k] = k;
    for (size_t i = 0; i < a_len; i++) {
        size_t diagonal = line[0];

        line[0] = i + 1;
        for (size_t k = 0; k < b_len; k++) {
            size_t best = diagonal + (a[i] != b[k]);

            diagonal = line[k + 1];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            if (line[k] + 1 < best)
                best = line[k] + 1;
            line[k + 1] = best;
        }
    }
    return line[b_len];
}

const struct conf_row *
conf_row_near(const char *name, size_t len)
{
    const struct conf_row *near = NULL;
    size_t best = len < 10 ? 2 : 3; /* DB_HOST is no misspelt WS_HOST */

    for (size_t i = 0; i < conf_row_count; i++) {
        size_t d = distance(name, len, conf_rows[i].env);

        if (d < best) {
            best = d;
            near = &conf_rows[i];
        }
    }
    return near;
}
