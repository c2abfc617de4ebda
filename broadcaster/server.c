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
#include "failures.h"
#include "frame.h"
#include "head.h"
#include "health.h"
#include "hub.h"
#include "pass.h"
#include "socket.h"

#include <inttypes.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>

/* Health checks and requests under way, beside the clients. */
#define EXTRA_CONNECTIONS 256

struct server {
    struct app *app;
    struct socket_calls calls;
    struct proxy_list proxies;
};

/* --- plain HTTP --- */

static void
answer_plain(struct server *s, int fd, const struct head *head)
{
    char body[512];
    struct answer a = { .body = body, .bare = head->method == HEAD_HEAD };

    if (head->method == HEAD_OTHER) {
        a = (struct answer){ .status = 405, .header = "Allow: GET, HEAD" };
        answer_error(&a, body, sizeof(body), "METHOD_NOT_ALLOWED", "Only GET is answered here",
                     "");
    } else {
        a.status = health_answer(s->app, head->a.path, body, sizeof(body));
        a.len = strlen(body);
    }
    answer_send(&s->app->uv, fd, &a);
}

/* --- who gets a WebSocket --- */

/* Who asks, and what was decided. */
struct visit {
    const struct head *head;
    const struct token *token; /* borrowed; NULL: nobody */
    char address[ADDRESS_MAX];
    enum verdict verdict;
    int64_t wait_ms; /* after which he may come again, when that is the verdict */
};

static void
peer_of(int fd, char out[ADDRESS_MAX])
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);

    /* whoever is gone has no address any more */
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 ||
        getnameinfo((struct sockaddr *)&peer, len, out, ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) !=
            0)
        out[0] = '\0';
}

static void
judge(struct server *s, int fd, struct visit *v)
{
    const struct app *app = s->app;
    struct admission a = v->head->a;
    char peer[ADDRESS_MAX], client[ADDRESS_MAX];
    const char *text;
    size_t len;

    peer_of(fd, peer);
    head_client(v->head, peer, &s->proxies, client);
    address_limit_key(client, v->address);
    text = admission_token(&a, &len);
    a.is_signed_in = text != NULL && token_check(app->tokens, text, len, clock_wall_ms(),
                                                 &v->token, NULL) == RC_OK;
    a.draining = app->draining;
    a.full = app->clients.n >= app->conf->ws_max_clients ||
             (a.session_id != NULL && strlen(a.session_id) == ID_LEN &&
              !hub_has_room(app->hub, a.session_id));
    v->verdict = admission_judge(&a, app->conf->allowed_origins, app->conf->auth_required);
}

/* Whether who is about to open a socket may do so now: the user, or the address. */
static bool
may_open(struct server *s, struct visit *v)
{
    const struct conf *conf = s->app->conf;
    const struct caller who = { .token = v->token };
    char name[TOKEN_NAME_MAX + 16];

    if (!conf->rate_limit_enabled || access_is_unlimited(&who))
        return true;
    snprintf(name, sizeof(name), "%s %s", v->token ? "user" : "address",
             v->token ? v->token->sub : v->address);
    if (tally_hit(status_tally(s->app->status), &conf->rate_limit_ws_connect, name,
                  clock_wall_ms(), &v->wait_ms))
        return true;
    metrics_add(METRIC_LIMIT_REJECTIONS, 1, metric_label_place(METRIC_LIMIT, "ws_connect"), 0,
                0);
    return false;
}

/* How often? Who opens a socket counts, and who has failed to say who it is. */
static void
limit(struct server *s, struct visit *v)
{
    bool may = true;

    if (v->verdict == REFUSE_TOKEN)
        may = failures_add(s->app->conf, status_tally(s->app->status), v->address,
                           clock_wall_ms(), &v->wait_ms);
    else if (verdict_rows[v->verdict].status == 101)
        may = may_open(s, v);
    if (!may)
        v->verdict = REFUSE_RATE;
}

static void
refuse(struct server *s, int fd, const struct visit *v)
{
    const struct verdict_row *row = &verdict_rows[v->verdict];
    char body[256], header[40], retry[48] = "";
    struct answer a = { .status = row->status, .header = row->header };
    int64_t wait_s = (v->wait_ms + 999) / 1000;

    if (v->verdict == REFUSE_RATE) {
        snprintf(header, sizeof(header), "Retry-After: %" PRId64, wait_s);
        snprintf(retry, sizeof(retry), ",\"retry_after_seconds\":%" PRId64, wait_s);
        a.header = header;
    }
    answer_error(&a, body, sizeof(body), row->code, row->message, retry);
    answer_send(&s->app->uv, fd, &a);
}

/* --- those who got one --- */

/* RFC 6455, 4.2.2. It goes out with what follows, in one write. */
static void
shake_hands(struct client *c, const struct head *head)
{
    char text[64], accept[4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1], out[256];
    unsigned char digest[SHA_DIGEST_LENGTH];
    struct frame *f;
    int n;

    n = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", head->key);
    SHA1((const unsigned char *)text, (size_t)n, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
    n = snprintf(out, sizeof(out),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                 accept,
                 admission_wants_ours(&head->a) ? "Sec-WebSocket-Protocol: " SUBPROTOCOL "\r\n"
                                                : "");
    f = frame_raw(out, (size_t)n);
    f->stays = true;
    (void)client_reply(c, f);
    frame_drop(f);
}

static void
open_client(struct server *s, int fd, const struct visit *v)
{
    struct app *app = s->app;
    const struct head *head = v->head;
    const struct verdict_row *row = &verdict_rows[v->verdict];
    struct client *c = socket_open(&app->uv, fd, &s->calls);

    if (c == NULL) {
        log_warn("socket not polled", LOG_INT("clients", app->clients.n));
        return;
    }
    client_open(c, &app->clients, clock_mono_ms());
    shake_hands(c, head);
    pass_take(app->passes, c, v->token, v->address);
    if (row->close != 0)
        client_finish(c, NULL, row->close, row->reason);
    else
        talk_hello(&app->talk, c, v->verdict == ADMIT ? head->a.session_id : NULL, head->delta);
}

void
server_take(struct server *s, int fd, const struct head *head)
{
    struct visit v = { .head = head };

    if (head->key == NULL) {
        answer_plain(s, fd, head);
        return;
    }
    judge(s, fd, &v);
    limit(s, &v);
    if (verdict_rows[v.verdict].status == 101)
        open_client(s, fd, &v);
    else
        refuse(s, fd, &v);
}

/* RFC 6455, 7.1.1: when all is said our side ends, and the peer's is read until it ends as
 * well, lest a reset takes the Close frame with it. Who does not end it is cut (client.h). */
static void
end_if_over(struct client *c)
{
    if (c->reader.is_over && c->queue_n == 0 && !socket_io.is_stuck(c))
        socket_end(c);
}

static void
on_received(void *ctx, struct client *c, const void *data, size_t len)
{
    struct server *s = ctx;

    if (!c->reader.is_over && !talk_read(&s->app->talk, c, data, len))
        end_if_over(c);
}

static void
on_writable(void *ctx, struct client *c)
{
    struct server *s = ctx;

    if (client_writable(c))
        hub_catch_up(s->app->hub, c);
    end_if_over(c);
}

static void
on_gone(void *ctx, struct client *c)
{
    struct server *s = ctx;

    hub_leave(s->app->hub, c);
    pass_leave(s->app->passes, c);
    client_gone(c);
}

/* --- life --- */

struct server *
server_new(struct app *app)
{
    struct server *s = xalloc(sizeof(*s));
    struct fail f = { 0 };

    s->app = app;
    s->calls =
        (struct socket_calls){ .received = on_received,
                               .writable = on_writable,
                               .gone = on_gone,
                               .ctx = s,
                               .patience_ms = (unsigned)app->conf->ws_connection_timeout_ms };
    if (proxy_list_parse(app->conf->trusted_proxies, &s->proxies, &f) != RC_OK)
        fatal(78, "TRUSTED_PROXIES: %s", f.message);
    return s;
}

bool
server_has_room(const struct server *s, int waiting)
{
    return s->app->clients.n + waiting < s->app->conf->ws_max_clients + EXTRA_CONNECTIONS;
}

void
server_free(struct server *s)
{
    free(s);
}
