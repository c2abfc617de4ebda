#include "doctor.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/json.h"
#include "web.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MAX (1 << 20)
#define WELCOME_MS 3000
#define HEALTH_TRIES 3
#define DELAY_MS 1000
#define SUBPROTOCOL "synckairos.v1"
#define POLICY 1008 /* closed: neither a session nor a token was named */

struct visit {
    struct doctor *d;
    struct web_url url;
    struct web_answer a;
    struct buf text;
    const char *token; /* a good one, or some text where nobody looks */
};

/* The ways a token takes to /ws. */
static const struct way {
    const char *check;
    const char *path, *header; /* the token is put behind one of them, */
    bool in_path;              /* this one */
    const char *remedy;
} ways[] = {
    { "token in a header", "/ws", "Authorization: Bearer ", false,
      "let the web server pass Authorization on for /ws (see "
      "etc/nginx/synckairos-locations.conf)" },
    { "token in the address", "/ws?token=", "", true,
      "let the web server pass the query string on for /ws (proxy_pass without a path)" },
    { "token as a protocol", "/ws", "Sec-WebSocket-Protocol: " SUBPROTOCOL ", bearer.", false,
      "let the web server pass Sec-WebSocket-Protocol on, in both directions" },
};

/* --- REST --- */

static const char *
member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    const char *text =
        json_object_object_get_ex(object, name, &value) ? json_object_get_string(value) : NULL;

    return text != NULL ? text : "";
}

static void
judge_health(struct doctor *d, struct json_object *health)
{
    const char *database = member(health, "database");

    if (strcmp(member(health, "redis"), "connected") != 0)
        doctor_say(d, DOCTOR_FAIL, "workers' redis",
                   "give synckairos.fcgi the same REDIS_URL, and restart it",
                   "the workers do not reach Redis");
    else
        doctor_say(d, DOCTOR_OK, "workers' redis", NULL, "is connected");
    if (d->conf->database_url[0] == '\0')
        return;
    if (strcmp(database, "connected") != 0)
        doctor_say(d, DOCTOR_FAIL, "service's postgres",
                   "give workers and broadcasters the same DATABASE_URL and STATUS_FILE, and "
                   "restart them",
                   "/health says that it is %s", database);
    else
        doctor_say(d, DOCTOR_OK, "service's postgres", NULL, "is connected");
}

/* Broadcasters look at PostgreSQL every 2 s only: give a service that has just started time. */
static bool
ask_health(struct visit *v)
{
    bool answered = web_get(&v->url, "/health", "", &v->a);

    for (int i = 0; i < HEALTH_TRIES && v->d->conf->database_url[0] != '\0' && answered &&
                    strstr(v->a.body, "\"database\":\"down\"") != NULL;
         i++) {
        clock_sleep_until_us(clock_mono_us() + 1000000);
        answered = web_get(&v->url, "/health", "", &v->a);
    }
    return answered;
}

/* False: there is no web server, nothing more can be tried. */
static bool
check_health(struct visit *v)
{
    struct json_object *health = NULL;
    struct fail f = { 0 };

    if (!ask_health(v)) {
        doctor_say(
            v->d, DOCTOR_FAIL, "web server",
            "start it with etc/nginx/synckairos.conf, and set PORT (or --url) to where it "
            "listens",
            "%s", v->a.error);
        return false;
    }
    doctor_say(v->d, DOCTOR_OK, "web server", NULL, "answers at %s", v->d->url);
    if (v->a.status != 200 || json_parse(v->a.body, strlen(v->a.body), &health, &f) != RC_OK) {
        doctor_say(v->d, DOCTOR_FAIL, "fastcgi",
                   "start synckairos.fcgi, let fastcgi_pass name its FCGI_LISTEN, and let the "
                   "web server's user reach that socket (FCGI_SOCKET_MODE)",
                   "GET /health is answered with %d", v->a.status);
        return true;
    }
    doctor_say(v->d, DOCTOR_OK, "fastcgi", NULL, "GET /health reaches the workers");
    judge_health(v->d, health);
    json_object_put(health);
    return true;
}

static void
check_rest(struct visit *v)
{
    web_get(&v->url, "/v1/time", "", &v->a);
    if (v->a.status == 200 && strstr(v->a.body, "timestamp") != NULL)
        doctor_say(v->d, DOCTOR_OK, "rest", NULL, "GET /v1/time tells the time");
    else
        doctor_say(v->d, v->a.status == 429 ? DOCTOR_WARN : DOCTOR_FAIL, "rest",
                   v->a.status == 429 ? "try again in a minute"
                                      : "let the web server hand /v1 to fastcgi_pass",
                   "GET /v1/time is answered with %d", v->a.status);
}

static void
check_rest_token(struct visit *v)
{
    char header[9000];

    if (v->d->token[0] == '\0')
        return;
    snprintf(header, sizeof(header), "Authorization: Bearer %s\r\n", v->token);
    web_get(&v->url, "/v1/sessions?limit=1", header, &v->a);
    if (v->a.status == 200)
        doctor_say(v->d, DOCTOR_OK, "rest token", NULL, "arrives");
    else
        doctor_say(
            v->d, DOCTOR_FAIL, "rest token",
            "let the web server pass Authorization to FastCGI (HTTP_AUTHORIZATION; Apache: "
            "CGIPassAuth On), and give all programs the same JWT settings",
            "a good one is answered with %d", v->a.status);
}

/* --- WebSocket --- */

/* Wait for a message of that type; WEB_TEXT when it came. */
static enum web_frame
await(struct visit *v, struct web_socket *ws, const char *type)
{
    int64_t deadline = clock_mono_ms() + WELCOME_MS;
    enum web_frame frame = WEB_PING;
    char wanted[64];

    snprintf(wanted, sizeof(wanted), "\"type\":\"%s\"", type);
    while (frame > WEB_SILENCE && frame != WEB_CLOSE) {
        int64_t left = deadline - clock_mono_ms();

        frame = left > 0 ? web_socket_next(ws, left, &v->text) : WEB_SILENCE;
        if (frame == WEB_TEXT && strstr(buf_cstr(&v->text), wanted) != NULL)
            return frame;
    }
    return frame;
}

static int
close_code(const struct visit *v)
{
    const unsigned char *p = (const unsigned char *)buf_cstr(&v->text);

    return v->text.len >= 2 ? p[0] << 8 | p[1] : 0;
}

static void
check_delay(struct visit *v, struct web_socket *ws)
{
    static const char ping[] = "{\"type\":\"PING\",\"timestamp\":1}";
    int64_t began = clock_mono_ms(), took;

    if (!web_socket_send(ws, WEB_TEXT, ping, sizeof(ping) - 1) ||
        await(v, ws, "PONG") != WEB_TEXT) {
        doctor_say(
            v->d, DOCTOR_FAIL, "websocket messages",
            "set `proxy_buffering off` for /ws, and let nothing between look into frames",
            "a PING has no PONG in %d ms", WELCOME_MS);
        return;
    }
    took = clock_mono_ms() - began;
    if (took > DELAY_MS)
        doctor_say(v->d, DOCTOR_WARN, "websocket messages",
                   "set `proxy_buffering off` for /ws, and look at what lies between",
                   "PONG came after %" PRId64 " ms", took);
    else
        doctor_say(v->d, DOCTOR_OK, "websocket messages", NULL,
                   "PONG came after %" PRId64 " ms", took);
}

/* Say nothing for a while, as a watcher does. */
static void
check_idle(struct visit *v, struct web_socket *ws)
{
    int64_t until = clock_mono_ms() + v->d->idle_ms, left;
    enum web_frame frame = WEB_SILENCE;
    bool heard = false;

    while ((left = until - clock_mono_ms()) > 0) {
        frame = web_socket_next(ws, left, &v->text);
        heard = heard || frame == WEB_PING;
        if (frame == WEB_CLOSED || frame == WEB_CLOSE)
            break;
    }
    if (frame == WEB_CLOSED || frame == WEB_CLOSE)
        doctor_say(
            v->d, DOCTOR_FAIL, "websocket idle time",
            "set proxy_read_timeout and proxy_send_timeout of /ws (and idle time-outs of "
            "load balancers) well above WS_HEARTBEAT_INTERVAL",
            "a quiet socket was closed within %" PRId64 " ms", v->d->idle_ms);
    else if (!heard && v->d->idle_ms > v->d->conf->ws_heartbeat_ms)
        doctor_say(
            v->d, DOCTOR_WARN, "websocket idle time",
            "give the broadcasters the same WS_HEARTBEAT_INTERVAL, and let pings through",
            "no heartbeat came in %" PRId64 " ms", v->d->idle_ms);
    else
        doctor_say(v->d, DOCTOR_OK, "websocket idle time", NULL,
                   "a quiet socket lived for %" PRId64 " ms", v->d->idle_ms);
}

/* What an upgrade that was refused says. */
static void
judge_refusal(struct visit *v, const struct way *way)
{
    int status = v->a.status;

    if (status == 401 && v->d->token[0] == '\0')
        doctor_say(v->d, DOCTOR_WARN, way->check, "give a good token with --token",
                   "cannot be tried without one");
    else if (status == 401 || status == 400)
        doctor_say(v->d, DOCTOR_FAIL, way->check, way->remedy, "does not arrive (%d)", status);
    else if (status == 429)
        doctor_say(v->d, DOCTOR_WARN, way->check, "try again in a minute",
                   "the limit of new sockets refuses it");
    else
        doctor_say(
            v->d, DOCTOR_FAIL, way->check,
            "start synckairos-broadcaster, and let the web server proxy /ws to WS_PORT "
            "with HTTP/1.1, Upgrade and Connection (etc/nginx/synckairos-locations.conf)",
            "no WebSocket: %d %s", status, v->a.error);
}

/* Whether the token has arrived, on a socket that is open. */
static bool
judge_arrival(struct visit *v, const struct way *way, struct web_socket *ws)
{
    char chosen[64];
    enum web_frame frame;
    bool lost;

    snprintf(chosen, sizeof(chosen), "%s", web_header(&v->a, "Sec-WebSocket-Protocol"));
    frame = await(v, ws, "CONNECTED");
    lost = frame == WEB_CLOSE && close_code(v) == POLICY;
    if (strstr(way->header, SUBPROTOCOL) != NULL)
        lost = lost || strcmp(chosen, SUBPROTOCOL) != 0;
    if (lost)
        doctor_say(v->d, DOCTOR_FAIL, way->check, way->remedy, "does not arrive");
    else if (frame != WEB_TEXT)
        doctor_say(v->d, DOCTOR_FAIL, way->check,
                   "set `proxy_buffering off` for /ws, and look into the broadcaster's log",
                   "the socket opens, and CONNECTED does not come");
    else
        doctor_say(v->d, DOCTOR_OK, way->check, NULL, "arrives at the broadcaster");
    return !lost && frame == WEB_TEXT;
}

static void
check_way(struct visit *v, const struct way *way)
{
    struct buf path, header;
    struct web_socket *ws;
    bool first = way == ways;

    buf_init(&path, 16384);
    buf_init(&header, 16384);
    buf_printf(&path, "%s%s", way->path, way->in_path ? v->token : "");
    if (!way->in_path)
        buf_printf(&header, "%s%s\r\n", way->header, v->token);
    ws = web_socket_open(&v->url, buf_cstr(&path), buf_cstr(&header), &v->a);
    if (ws == NULL)
        judge_refusal(v, way);
    else if (judge_arrival(v, way, ws) && first) {
        check_delay(v, ws);
        check_idle(v, ws);
    }
    web_socket_close(ws);
    buf_fini(&path);
    buf_fini(&header);
}

void
doctor_web(struct doctor *d)
{
    struct visit v = { .d = d, .token = *d->token != '\0' ? d->token : "doctor" };
    struct buf answer;

    if (!web_url_parse(d->url, &v.url)) {
        doctor_say(d, DOCTOR_FAIL, "web server", "give --url=http://host:port",
                   "%.200s is no address of a web server", d->url);
        return;
    }
    buf_init(&answer, ANSWER_MAX);
    buf_init(&v.text, ANSWER_MAX);
    v.a.text = &answer;
    if (check_health(&v)) {
        check_rest(&v);
        check_rest_token(&v);
        for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
            check_way(&v, &ways[i]);
    }
    buf_fini(&v.text);
    buf_fini(&answer);
}
