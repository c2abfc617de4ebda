/*
 * The table of metrics. Names, labels and buckets are what dashboards are built on: a row may
 * be added, but none renamed.
 */
#include "metrics.h"

/* clang-format off */
const struct metric_row metric_rows[METRIC__MAX] = {
    [METRIC_HTTP_REQUESTS] = {
        "synckairos_http_requests_total", METRIC_COUNTER,
        { METRIC_METHOD, METRIC_ROUTE, METRIC_STATUS }, { 0 },
        "HTTP requests answered by workers" },
    [METRIC_HTTP_DURATION] = {
        "synckairos_http_request_duration_ms", METRIC_HISTOGRAM,
        { METRIC_METHOD, METRIC_ROUTE }, { 1, 5, 10, 25, 50, 100, 250, 500, 1000 },
        "Time from the arrival of a request at a worker until its answer was ready" },
    [METRIC_SWITCH_DURATION] = {
        "synckairos_switch_cycle_duration_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 1, 2, 3, 5, 10, 25, 50 },
        "The same for switches alone, refused ones too" },
    [METRIC_LIMIT_REJECTIONS] = {
        "synckairos_rate_limit_rejections_total", METRIC_COUNTER, { METRIC_LIMIT }, { 0 },
        "Requests refused by a rate limit" },
    [METRIC_LIMIT_SILENT] = {
        "synckairos_rate_limit_errors_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Requests that passed because the limiter did not answer" },
    [METRIC_STORE_ERRORS] = {
        "synckairos_store_errors_total", METRIC_COUNTER, { METRIC_CODE }, { 0 },
        "Requests that failed because of the store" },
    [METRIC_TIMEKEEPER_LATENESS] = {
        "synckairos_timekeeper_lateness_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000 },
        "Time from the instant at which something was due in a session until the timekeeper had it committed, without outages of Redis" },
    [METRIC_WS_CONNECTIONS] = {
        "synckairos_websocket_connections", METRIC_HELD, { METRIC_NO_LABEL }, { 0 },
        "Open WebSockets" },
    [METRIC_WS_DISCONNECTS] = {
        "synckairos_websocket_disconnects_total", METRIC_COUNTER, { METRIC_REASON }, { 0 },
        "WebSockets that ended" },
    [METRIC_WS_PUSHES] = {
        "synckairos_websocket_pushes_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "States and expiries queued for WebSockets" },
    [METRIC_WS_EVENTS] = {
        "synckairos_websocket_events_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Changes received from Redis by broadcasters" },
    [METRIC_WS_GAPS] = {
        "synckairos_websocket_gaps_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Times a watched session was read again because a change was missing or unreadable" },
    [METRIC_WS_RESYNCS] = {
        "synckairos_websocket_resyncs_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Times a watched session had to be read again because the link to Redis was lost" },
    [METRIC_WS_SKIPS] = {
        "synckairos_websocket_slow_client_skips_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Times a slow WebSocket was given the newest state in place of what it had not taken" },
    [METRIC_ACTIVE_SESSIONS] = {
        "synckairos_active_sessions", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Sessions that exist in Redis, whatever their status" },
    [METRIC_AUDIT_WAITING] = {
        "synckairos_db_write_queue_size", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Audit records in the streams in Redis (the sum of XLEN)" },
    [METRIC_AUDIT_RECORDS] = {
        "synckairos_audit_records_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Audit records written to PostgreSQL" },
    [METRIC_AUDIT_DEAD] = {
        "synckairos_audit_dead_letters_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Audit records that PostgreSQL refused for good, kept aside in Redis" },
    [METRIC_CHANGES_LOST] = {
        "synckairos_changes_lost_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Changes that were answered and are in effect no more, because Redis came back with less than it had" },
    [METRIC_AUDIT_WRITE] = {
        "synckairos_audit_write_duration_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000 },
        "Time that one batch of audit records took to be durable in PostgreSQL" },
    [METRIC_SESSIONS_PUT_BACK] = {
        "synckairos_sessions_put_back_total", METRIC_COUNTER, { METRIC_NO_LABEL }, { 0 },
        "Sessions that Redis had lost or forgotten changes of, put back from PostgreSQL" },
    [METRIC_AUDIT_BYTES] = {
        "synckairos_audit_backlog_bytes", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Memory of Redis that the audit streams take" },
    [METRIC_AUDIT_AGE] = {
        "synckairos_audit_backlog_age_seconds", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Age of the oldest audit record that is still in Redis" },
    [METRIC_REDIS_UP] = {
        "synckairos_redis_up", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Whether Redis answers" },
    [METRIC_REDIS_MEMORY] = {
        "synckairos_redis_memory_used_bytes", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Memory that Redis uses" },
    [METRIC_REDIS_MEMORY_MAX] = {
        "synckairos_redis_memory_max_bytes", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Memory that Redis may use: its maxmemory, or all of its host" },
    [METRIC_REDIS_AOF_OK] = {
        "synckairos_redis_aof_ok", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Whether Redis wrote its append-only file without an error; absent without one" },
    [METRIC_REDIS_REPLICAS] = {
        "synckairos_redis_replicas", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Replicas that are connected to the Redis in use" },
    [METRIC_REDIS_LAG] = {
        "synckairos_redis_replication_lag_seconds", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Time since the slowest replica was heard; absent without one" },
    [METRIC_REDIS_ROUND_TRIP] = {
        "synckairos_redis_round_trip_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000 },
        "Time that Redis takes to tell the time, asked once a second by each broadcaster" },
    [METRIC_POSTGRES_UP] = {
        "synckairos_postgres_up", METRIC_ASKED, { METRIC_NO_LABEL }, { 0 },
        "Whether PostgreSQL answers a broadcaster; absent without one" },
    [METRIC_POSTGRES_ROUND_TRIP] = {
        "synckairos_postgres_round_trip_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000 },
        "Time that PostgreSQL takes for a short question, asked every 2 s by each broadcaster" },
    [METRIC_POSTGRES_CONNECTIONS] = {
        "synckairos_postgres_connections", METRIC_SET, { METRIC_NO_LABEL }, { 0 },
        "Connections that all clients have to PostgreSQL" },
    [METRIC_POSTGRES_CONNECTIONS_MAX] = {
        "synckairos_postgres_connections_max", METRIC_SET, { METRIC_NO_LABEL }, { 0 },
        "Connections that PostgreSQL gives to clients that are no superusers" },
    [METRIC_PUSH_DELAY] = {
        "synckairos_push_delay_ms", METRIC_HISTOGRAM,
        { METRIC_NO_LABEL }, { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000 },
        "Time from the commit of a change until it is in the queues of its sockets" },
    [METRIC_CLOCK_ERROR] = {
        "synckairos_clock_error_us", METRIC_SET, { METRIC_NO_LABEL }, { 0 },
        "Most by which the clock that clients see may differ from that of Redis" },
};

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                                       "other", NULL };
static const char *const statuses[] = { "200", "201", "204", "304", "400", "401", "403", "404",
                                        "405", "409", "412", "413", "414", "415", "422", "429",
                                        "431", "500", "502", "503", "504", "other", NULL };
static const char *const limits[] = { "switch", "create", "get", "time", "general",
                                      "ws_connect", "ws_messages", "ws_open", NULL };
static const char *const codes[] = { "STORE_UNAVAILABLE", "STORE_FULL", "OUTCOME_UNKNOWN",
                                     "STATE_DESERIALIZATION_ERROR", NULL };
static const char *const reasons[] = {
    [WS_END_CLIENT] = "client",     [WS_END_LOST] = "lost",     [WS_END_DELETED] = "session_deleted",
    [WS_END_DRAINING] = "draining", [WS_END_POLICY] = "policy", [WS_END_TOO_BIG] = "too_big",
    [WS_END_FULL] = "full",         [WS_END_TOKEN] = "token",   [WS_END__MAX] = NULL,
};

const struct metric_label_row metric_label_rows[METRIC_LABEL__MAX] = {
    [METRIC_METHOD] = { "method", methods },
    [METRIC_ROUTE] = { "route", NULL },
    [METRIC_STATUS] = { "status_code", statuses },
    [METRIC_LIMIT] = { "limit", limits },
    [METRIC_CODE] = { "code", codes },
    [METRIC_REASON] = { "reason", reasons },
};
/* clang-format on */
