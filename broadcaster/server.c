#include "server.h"

#include "admission.h"
#include "answer.h"
#include "app.h"
#include "common/access.h"
#include "common/address.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/status.h"
#include "common/tally.h"
#include "common/token.h"
#include "head.h"
#include "health.h"
#include "hub.h"
#include "pass.h"

#include <inttypes.h>
#include <libwebsockets.h>
#include <sys/socket.h>

/* Every buffer of HEAD_MAX lives as long as its head. */
#define HEADS_MAX 256
#define HEAD_TIMEOUT_S 10
/* Health checks and requests under way, beside the clients. */
#define EXTRA_CONNECTIONS 256
/* Connections that wait for a further request: what comes there was not seen by the foyer, so
 * few may hold a place for heads, and the others close with their answer. */
#define KEPT_MAX 64
/* A piece of a client's message; usual ones fit. Costs this much per socket. */
#define PIECE_MAX 256

struct server {
    struct app *app;
    struct lws_context *context;
    struct lws_vhost *vhost;
    int connections, kept;
    struct proxy_list proxies;
};

static struct server *
server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* --- how clients reach their sockets --- */

static bool
io_write(struct client *c, const void *p, size_t len)
{
    /* the library takes a pointer to what it may write to, but does not in a raw write */
    return lws_write(c->socket, (unsigned char *)(uintptr_t)p, len, LWS_WRITE_RAW) >= 0;
}

static bool
io_is_stuck(struct client *c)
{
    return lws_partial_buffered(c->socket) != 0;
}

static void
io_want_write(struct client *c)
{
    lws_callback_on_writable(c->socket);
}

static void
io_cut(struct client *c)
{
    /* The library's own way (LWS_TO_KILL_ASYNC) does nothing outside its callbacks under a
     * foreign loop. So the socket ends under it, and it closes as for any peer that went away;
     * what the peer did not take is given up. */
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    int fd = lws_get_socket_fd(c->socket);

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    shutdown(fd, SHUT_RDWR);
}

const struct client_io server_io = {
    .write = io_write, .is_stuck = io_is_stuck, .want_write = io_want_write, .cut = io_cut
};

/* --- plain HTTP --- */

/* Whether the connection may stay for another request. */
static bool
keep(struct server *s, struct lws *wsi)
{
    if (lws_get_opaque_user_data(wsi) != NULL)
        return true;
    if (s->kept >= KEPT_MAX)
        return false;
    s->kept++;
    lws_set_opaque_user_data(wsi, s);
    return true;
}

static void
on_destroy(struct server *s, struct lws *wsi)
{
    s->connections--;
    if (lws_get_opaque_user_data(wsi) != NULL)
        s->kept--;
}

static int
on_http(struct server *s, struct lws *wsi, const char *path)
{
    static const char refusal[] = "{\"error\":{\"code\":\"METHOD_NOT_ALLOWED\",\"message\":"
                                  "\"Only GET is answered here\"}}";
    char body[512];
    struct answer a = { .body = body };

    a.bare = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    if (a.bare || lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0) {
        a.status = health_answer(s->app, path, body, sizeof(body));
        a.last = !keep(s, wsi);
        if (!answer_send(wsi, &a) || a.last)
            return -1;
        return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
    }
    /* a body may follow, which nobody here reads */
    a = (struct answer){
        .status = 405, .header = "Allow: GET, HEAD", .body = refusal, .last = true
    };
    (void)!answer_send(wsi, &a);
    return -1;
}

/* --- before and after the upgrade --- */

/* *token: what the request has shown to be, borrowed; NULL: nobody. */
static enum verdict
judge(struct server *s, struct lws *wsi, struct head *head, const struct token **token)
{
    const struct app *app = s->app;
    const char *text;
    size_t len;

    head_read(head, wsi, &s->proxies);
    *token = NULL;
    text = admission_token(&head->a, &len);
    head->a.is_signed_in = text != NULL && token_check(app->tokens, text, len, clock_wall_ms(),
                                                       token, NULL) == RC_OK;
    head->a.draining = app->draining;
    head->a.full =
        app->clients.n >= app->conf->ws_max_clients ||
        (strlen(head->session_id) == ID_LEN && !hub_has_room(app->hub, head->session_id));
    return admission_judge(&head->a, app->conf->allowed_origins, app->conf->auth_required);
}

/*
 * How often may who is about to open a socket, or has failed to say who it is, do so? The
 * user counts, or the address where there is none. *wait_ms: until the next one may.
 */
static enum verdict
limit(struct server *s, enum verdict verdict, const struct head *head,
      const struct token *token, int64_t *wait_ms)
{
    const struct conf *conf = s->app->conf;
    bool failed = verdict == REFUSE_TOKEN;
    const struct limit_rule *rule =
        failed ? &conf->rate_limit_general : &conf->rate_limit_ws_connect;
    const struct caller who = { .token = token };
    char address[ADDRESS_MAX], name[TOKEN_NAME_MAX + 16];

    if (!conf->rate_limit_enabled || access_is_unlimited(&who) ||
        (!failed && verdict_rows[verdict].status != 101))
        return verdict;
    address_limit_key(head->client, address);
    snprintf(name, sizeof(name), "%s %s",
             failed  ? "failed"
             : token ? "user"
                     : "address",
             token ? token->sub : address);
    if (tally_hit(status_tally(s->app->status), rule, name, clock_wall_ms(), wait_ms))
        return verdict;
    metrics_add(METRIC_LIMIT_REJECTIONS, 1,
                metric_label_place(METRIC_LIMIT, failed ? "general" : "ws_connect"), 0, 0);
    return REFUSE_RATE;
}

/* 0: go on with the upgrade; 1: refused, and answered. */
static int
on_upgrade(struct server *s, struct lws *wsi)
{
    struct head head;
    const struct token *token;
    int64_t wait_ms = 0, wait_s;
    enum verdict verdict = judge(s, wsi, &head, &token);
    const struct verdict_row *row = &verdict_rows[limit(s, verdict, &head, token, &wait_ms)];
    char body[256], header[40], retry[48] = "";
    struct answer a = {
        .status = row->status, .header = row->header, .body = body, .last = true
    };

    if (row->status == 101)
        return 0;
    if (row->status == 429) {
        wait_s = (wait_ms + 999) / 1000;
        snprintf(header, sizeof(header), "Retry-After: %" PRId64, wait_s);
        snprintf(retry, sizeof(retry), ",\"retry_after_seconds\":%" PRId64, wait_s);
        a.header = header;
    }
    snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"%s}}",
             row->code, row->message, retry);
    return answer_send(wsi, &a) ? 1 : -1;
}

static int
on_open(struct server *s, struct lws *wsi, struct client *c)
{
    struct head head;
    const struct token *token;
    char address[ADDRESS_MAX];
    enum verdict verdict = judge(s, wsi, &head, &token);
    const struct verdict_row *row = &verdict_rows[verdict];

    c->socket = wsi;
    client_open(c, &s->app->clients, clock_mono_ms());
    address_limit_key(head.client, address);
    pass_take(s->app->passes, c, token, address);
    if (verdict == REFUSE_TOKEN)
        client_finish(c, NULL, 4401, "Token expired"); /* since the upgrade */
    else if (row->status != 101)
        client_finish(c, NULL, 1013, "Try again later"); /* full since then */
    else if (row->close != 0)
        client_finish(c, NULL, row->close, row->reason);
    else
        talk_hello(&s->app->talk, c, verdict == ADMIT ? head.session_id : NULL, head.delta);
    return 0;
}

static int
on_close(struct server *s, struct client *c)
{
    if (!c->is_open)
        return 0;
    hub_leave(s->app->hub, c);
    pass_leave(s->app->passes, c);
    client_gone(c);
    return 0;
}

static int
on_receive(struct server *s, struct lws *wsi, struct client *c, const void *in, size_t len)
{
    const struct piece piece = {
        .data = in,
        .len = len,
        .last = lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0,
        .binary = lws_frame_is_binary(wsi) != 0,
    };

    talk_piece(&s->app->talk, c, &piece);
    return 0;
}

static int
on_writable(struct server *s, struct client *c)
{
    if (c->is_open && client_writable(c))
        hub_catch_up(s->app->hub, c);
    return 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len)
{
    struct client *c = user;

    switch (why) {
    case LWS_CALLBACK_HTTP:
        return on_http(server_of(wsi), wsi, in);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        /* h2c and the like: nothing but WebSocket */
        return strcasecmp(in, "websocket") == 0 ? on_upgrade(server_of(wsi), wsi) : -1;
    case LWS_CALLBACK_ESTABLISHED:
        return on_open(server_of(wsi), wsi, c);
    case LWS_CALLBACK_RECEIVE:
        return on_receive(server_of(wsi), wsi, c, in, len);
    case LWS_CALLBACK_RECEIVE_PONG:
        if (c->close_code == 0)
            c->heard_ms = clock_mono_ms();
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(server_of(wsi), c);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        /* the answer to our Close: done. His is answered here, the library would repeat
         * whatever it says. */
        client_leave(c, in, len);
        return -1;
    case LWS_CALLBACK_CLOSED:
        return on_close(server_of(wsi), c);
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroy(server_of(wsi), wsi);
        return 0;
    default:
        return 0;
    }
}

/* --- the library --- */

static const struct lws_protocols protocols[] = {
    { .name = SUBPROTOCOL,
      .callback = callback,
      .per_session_data_size = sizeof(struct client),
      .rx_buffer_size = PIECE_MAX,
      .tx_packet_size = 16 * 1024 * 1024 }, /* a write is never cut into copies */
    { .name = NULL },
};

/* The library's own pings and deadlines are off: ours are spread (heartbeat.h). */
static const lws_retry_bo_t no_policy = { .retry_ms_table = NULL };

static void
on_log(int level, const char *line)
{
    char text[256];

    /* what it calls an error there is its usual way */
    bool usual = strncmp(line, "adopt_socket_readbuf: ", 22) == 0;

    snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
    if (level == LLL_ERR && !usual)
        log_warn("libwebsockets", LOG_STR("text", text));
    else
        log_debug("libwebsockets", LOG_STR("text", text));
}

struct server *
server_new(struct app *app)
{
    struct server *s = xalloc(sizeof(*s));
    struct fail f = { 0 };
    void *loops[] = { &app->uv };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .user = s,
        .max_http_header_data = HEAD_MAX,
        .max_http_header_pool = HEADS_MAX,
        .timeout_secs = HEAD_TIMEOUT_S,
        .keepalive_timeout = 30,
        .retry_and_idle_policy = &no_policy,
        .vhost_name = "synckairos",
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
    };

    s->app = app;
    if (proxy_list_parse(app->conf->trusted_proxies, &s->proxies, &f) != RC_OK)
        fatal(78, "TRUSTED_PROXIES: %s", f.message);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    s->context = lws_create_context(&info);
    if (s->context == NULL)
        fatal(70, "libwebsockets did not start (is libwebsockets-evlib-uv installed?)");
    s->vhost = server_add_vhost(s, &info);
    return s;
}

struct lws_vhost *
server_add_vhost(struct server *s, const struct lws_context_creation_info *info)
{
    struct lws_vhost *vhost = lws_create_vhost(s->context, info);

    if (vhost == NULL)
        fatal(70, "libwebsockets gave no vhost");
    return vhost;
}

bool
server_has_room(const struct server *s, int waiting)
{
    return s->connections + waiting < s->app->conf->ws_max_clients + EXTRA_CONNECTIONS;
}

void
server_adopt(struct server *s, int fd, const char *head, size_t len)
{
    /* counted before: a failed one is counted down as it is destroyed */
    s->connections++;
    if (len == 0 && lws_adopt_socket_vhost(s->vhost, fd) == NULL)
        log_warn("socket not adopted", LOG_INT("connections", s->connections));
    /* NULL is also: adopted, answered and closed */
    if (len > 0)
        (void)lws_adopt_socket_vhost_readbuf(s->vhost, fd, head, len);
}

void
server_destroy_begin(struct server *s)
{
    lws_context_destroy(s->context);
}

void
server_destroy_end(struct server *s)
{
    lws_context_destroy(s->context);
    free(s);
}
