/*
 * conf.h - every setting: one table gives environment name, type, default, range and a line
 * of documentation (conf_table.c). `--print-config`, etc/env.example and the README table are
 * made from it. Values come from the file that SYNCKAIROS_CONFIG names (KEY=VALUE lines), then
 * from the environment, which wins; `X_FILE` is read for a secret X. Nothing else in the
 * project calls getenv.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "limit.h"
#include "log.h"
#include "rc.h"
#include <stdbool.h>
#include <stdint.h>

struct buf;

enum app_env { ENV_PRODUCTION, ENV_DEVELOPMENT, ENV_TEST };

struct conf {
    enum app_env app_env;
    const char *allowed_origins;  /* "" or "*": all; else comma-separated */
    int64_t audit_backlog_max;    /* bytes, 0: a share of maxmemory */
    int64_t audit_retention_days; /* 0: for ever */
    bool auth_required;
    const char *allow_anonymous;
    const char *database_url; /* "" off */
    int64_t drain_ms;
    bool enable_metrics;
    const char *fcgi_listen;  /* unix:/path or host:port */
    int64_t fcgi_socket_mode; /* octal */
    int64_t fcgi_workers;     /* 0: 4 per core */
    int64_t fcgi_max_requests;
    int64_t fcgi_request_limit_ms;
    bool guest_tokens;
    int jwt_algorithm;                     /* enum token_algorithm */
    const char *jwt_audience, *jwt_issuer; /* "" any */
    const char *jwt_public_key_file;       /* PEM, for all but HS256 */
    const char *jwt_secret;                /* "" none */
    const char *jwt_secret_previous;       /* verifies only */
    int64_t jwt_expires_ms;                /* of tokens made here */
    const char *key_prefix;
    enum log_level log_level;
    enum log_format log_format;
    int64_t max_body_bytes;
    const char *metrics_host;
    int64_t metrics_port;      /* 0 none */
    const char *metrics_allow; /* addresses and networks, comma-separated */
    int64_t outage_pause_ms;
    int64_t switch_grace_ms;
    bool rate_limit_enabled;
    struct limit_rule rate_limit_switch, rate_limit_create, rate_limit_get, rate_limit_time,
        rate_limit_general, rate_limit_ws_connect, rate_limit_ws_messages;
    struct limit_rule rate_limit_login; /* read and shown; there are no logins yet */
    const char *redis_url;
    const char *redis_password;
    const char *sentry_dsn; /* "" none */
    int64_t session_cache_ttl_ms;
    const char *status_file; /* shared by the processes of a host: status.h */
    bool strict_body;
    const char *trusted_proxies;
    const char *ws_host;
    int64_t ws_port;
    int64_t ws_heartbeat_ms;
    int64_t ws_connection_timeout_ms;
    int64_t ws_max_clients;
    int64_t ws_max_open;  /* of a user; 0: any number */
    int64_t max_sessions; /* MAX_SESSIONS_PER_INSTANCE */
    int64_t max_open_files;
    int64_t web_port; /* PORT: the web server's, on this host */
};

/*
 * Read all settings. On success *out is filled, const from then on, its strings live until
 * conf_free. On failure every fault was appended to `errors`, one line each, and RC_VALIDATION
 * is returned: the program prints them and exits 78 (EX_CONFIG). Unknown names in the file are
 * faults; in the environment only names that begin like ours are warned about, with a
 * suggestion.
 */
enum rc conf_load(struct conf **out, struct buf *errors) MUSTCHECK;
void conf_free(struct conf *c);

/* Tell each name of the environment that begins like a setting, or is near one, and is none:
 * `meant` is the nearest setting or "". Others share the environment: it may be theirs. */
void conf_strangers(void (*fn)(void *ctx, const char *name, const char *meant), void *ctx);

/* etc/env.example (as="env"), the README table (as="markdown"), or the values in force without
 * secrets (as="values", needs c). Nothing for any other word. */
void conf_print(struct buf *out, const char *as, const struct conf *c);

/* Start-up of every program: conf_load or exit 78 with each fault on the log; answers
 * --print-config[=values|env|markdown] and --help (with `usage`) and exits; sets up the log. */
struct conf *conf_start(int argc, char **argv, const char *component, const char *usage);

#endif
