/*
 * States: WAITING (for the next try) -> RESOLVING -> CONNECTING -> GREETING (AUTH, SELECT,
 * CLIENT SETNAME are under way) -> UP. link_set changes them and arms the one timer, whose
 * expiry means: try now (WAITING), or too late (all others).
 */
#include "link.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/redis.h"
#include "common/redis_url.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <utlist.h>

#define CONNECT_MS 1000
#define REPLY_MS 2000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 500
/* Reads per wake-up: then the loop turns, so that what was read is sent. 16 KB each. */
#define READS_MAX 16

enum link_state { LINK_WAITING, LINK_RESOLVING, LINK_CONNECTING, LINK_GREETING, LINK_UP };

struct request {
    struct redis_batch *batch;
    link_done *done;
    void *ctx;
    int64_t sent_ms;
    struct request *prev, *next;
};

/* The poll handle outlives its connection until the loop has closed it. */
struct socket {
    uv_poll_t poll;
    struct link *link; /* NULL: closing */
};

struct link {
    uv_loop_t *loop;
    const struct conf *conf;
    struct redis_url url;
    char name[32];
    struct link_calls calls;
    enum link_state state;
    redisContext *redis;
    struct socket *socket;
    int events; /* that are watched for */
    uv_getaddrinfo_t *resolving;
    uv_timer_t timer;
    int greetings;            /* replies to come */
    struct request *requests; /* oldest first */
    int pending;
    int64_t backoff_ms;
    int64_t heard_us;
    char said[96]; /* why it is down, as the log has it; "" while up */
    bool closed;
};

static void try_now(struct link *l);
static void on_timer(uv_timer_t *timer);

static void
link_set(struct link *l, enum link_state state, int64_t timer_ms)
{
    l->state = state;
    if (timer_ms < 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timer, (uint64_t)timer_ms, 0);
}

/* --- going down --- */

static void
on_socket_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
disconnect(struct link *l)
{
    if (l->socket != NULL) {
        l->socket->link = NULL;
        uv_close((uv_handle_t *)&l->socket->poll, on_socket_closed);
        l->socket = NULL;
    }
    if (l->redis != NULL)
        redisFree(l->redis);
    l->redis = NULL;
    if (l->resolving != NULL) {
        l->resolving->data = NULL;
        uv_cancel((uv_req_t *)l->resolving);
        l->resolving = NULL;
    }
}

static void
answer_lost(struct link *l)
{
    while (l->requests != NULL) {
        struct request *r = l->requests;

        DL_DELETE(l->requests, r);
        l->pending--;
        r->done(r->ctx, r->batch, false);
        free(r);
    }
}

static int64_t
jittered(int64_t ms)
{
    uint32_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return ms;
    return ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
}

void
link_fail(struct link *l, const char *why)
{
    bool was_up = l->state == LINK_UP;

    if (l->state == LINK_WAITING || l->closed)
        return;
    if (strncmp(l->said, why, sizeof(l->said) - 1) != 0) {
        snprintf(l->said, sizeof(l->said), "%s", why);
        log_warn("redis link down", LOG_STR("link", l->name), LOG_STR("why", l->said));
    }
    disconnect(l);
    link_set(l, LINK_WAITING, jittered(l->backoff_ms));
    l->backoff_ms = l->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : l->backoff_ms * 2;
    answer_lost(l);
    if (was_up && l->calls.lost != NULL)
        l->calls.lost(l->calls.ctx);
}

static void
on_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;

    if (l->state == LINK_WAITING)
        try_now(l);
    else if (l->redis != NULL && l->redis->err != 0)
        link_fail(l, l->redis->errstr);
    else
        link_fail(l, l->state == LINK_UP ? "no reply in time" : "connecting took too long");
}

/* --- replies --- */

static void
now_up(struct link *l)
{
    log_info("redis link up", LOG_STR("link", l->name));
    l->said[0] = '\0';
    l->backoff_ms = BACKOFF_MIN_MS;
    link_set(l, LINK_UP, -1);
    if (l->calls.up != NULL)
        l->calls.up(l->calls.ctx);
}

static void
on_greeting(struct link *l, redisReply *reply)
{
    char why[160];

    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(why, sizeof(why), "refused: %.120s", reply->str);
        freeReplyObject(reply);
        link_fail(l, why);
        return;
    }
    freeReplyObject(reply);
    if (--l->greetings == 0)
        now_up(l);
}

/* The oldest request decides when the link counts as dead. */
static void
arm_deadline(struct link *l)
{
    int64_t left;

    if (l->requests == NULL) {
        uv_timer_stop(&l->timer);
        return;
    }
    left = l->requests->sent_ms + REPLY_MS - clock_mono_ms();
    uv_timer_start(&l->timer, on_timer, left < 0 ? 0 : (uint64_t)left, 0);
}

static void
on_batch_reply(struct link *l, redisReply *reply)
{
    struct request *r = l->requests;

    if (!redis_batch_give(r->batch, reply))
        return;
    DL_DELETE(l->requests, r);
    l->pending--;
    arm_deadline(l);
    r->done(r->ctx, r->batch, true);
    free(r);
}

static void
on_reply(struct link *l, redisReply *reply)
{
    if (l->state == LINK_GREETING) {
        on_greeting(l, reply);
    } else if (l->requests != NULL) {
        on_batch_reply(l, reply);
    } else if (l->calls.push != NULL) {
        l->calls.push(l->calls.ctx, reply);
        freeReplyObject(reply);
    } else {
        freeReplyObject(reply);
        link_fail(l, "a reply that nobody asked for");
    }
}

/* Take all complete replies; false when the connection was given up meanwhile. */
static bool
take_replies(struct link *l)
{
    const redisContext *redis = l->redis;

    for (;;) {
        void *reply = NULL;

        if (redisGetReplyFromReader(l->redis, &reply) != REDIS_OK) {
            link_fail(l, l->redis->errstr);
            return false;
        }
        if (reply == NULL)
            return true;
        on_reply(l, reply);
        if (l->redis != redis)
            return false;
    }
}

/* --- the socket --- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void
watch_for(struct link *l, int events)
{
    if (l->events == events)
        return;
    l->events = events;
    uv_poll_start(&l->socket->poll, events, on_poll);
}

static void
write_out(struct link *l)
{
    int done = 0;

    if (redisBufferWrite(l->redis, &done) != REDIS_OK) {
        /* not now: the caller may be in the middle of sending */
        uv_timer_start(&l->timer, on_timer, 0, 0);
        return;
    }
    watch_for(l, done ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

static void
read_in(struct link *l)
{
    for (int i = 0; i < READS_MAX; i++) {
        char peek;

        if (redisBufferRead(l->redis) != REDIS_OK) {
            link_fail(l, l->redis->errstr);
            return;
        }
        l->heard_us = clock_mono_us();
        if (!take_replies(l))
            return;
        if (recv(l->redis->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            return;
    }
}

static void
greet(struct link *l)
{
    const char *password =
        l->conf->redis_password[0] != '\0' ? l->conf->redis_password : l->url.password;

    l->greetings = 1;
    if (password[0] != '\0') {
        l->greetings++;
        if (l->url.user[0] != '\0')
            redisAppendCommand(l->redis, "AUTH %s %s", l->url.user, password);
        else
            redisAppendCommand(l->redis, "AUTH %s", password);
    }
    if (l->url.db != 0) {
        l->greetings++;
        redisAppendCommand(l->redis, "SELECT %d", l->url.db);
    }
    redisAppendCommand(l->redis, "CLIENT SETNAME %s", l->name);
    link_set(l, LINK_GREETING, CONNECT_MS);
    write_out(l);
}

static void
on_connected(struct link *l)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(l->redis->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        link_fail(l, strerror(error));
        return;
    }
    greet(l);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket *socket = poll->data;
    struct link *l = socket->link;

    if (l == NULL)
        return;
    if (status < 0) {
        link_fail(l, uv_strerror(status));
        return;
    }
    if (l->state == LINK_CONNECTING) {
        on_connected(l);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        write_out(l);
    if ((events & UV_READABLE) != 0 && socket->link == l)
        read_in(l);
}

static void
connect_to(struct link *l, const char *host)
{
    l->redis = l->url.path[0] != '\0' ? redisConnectUnixNonBlock(l->url.path)
                                      : redisConnectNonBlock(host, l->url.port);
    if (l->redis == NULL || l->redis->err != 0) {
        link_fail(l, l->redis != NULL ? l->redis->errstr : "out of memory");
        return;
    }
    redis_reply_bound(l->redis->reader);
    l->socket = xalloc(sizeof(*l->socket));
    l->socket->link = l;
    l->socket->poll.data = l->socket;
    uv_poll_init(l->loop, &l->socket->poll, l->redis->fd);
    l->events = 0;
    link_set(l, LINK_CONNECTING, CONNECT_MS);
    watch_for(l, UV_WRITABLE);
}

static void
on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct link *l = req->data;
    char host[INET6_ADDRSTRLEN] = "";

    free(req);
    if (l != NULL) {
        l->resolving = NULL;
        if (status == 0 && found->ai_family == AF_INET6)
            uv_ip6_name((const struct sockaddr_in6 *)(const void *)found->ai_addr, host,
                        sizeof(host));
        else if (status == 0)
            uv_ip4_name((const struct sockaddr_in *)(const void *)found->ai_addr, host,
                        sizeof(host));
        if (host[0] != '\0')
            connect_to(l, host);
        else
            link_fail(l, status != 0 ? uv_strerror(status) : "host not found");
    }
    uv_freeaddrinfo(found);
}

static void
try_now(struct link *l)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

    if (l->url.path[0] != '\0') {
        link_set(l, LINK_CONNECTING, CONNECT_MS);
        connect_to(l, NULL);
        return;
    }
    link_set(l, LINK_RESOLVING, CONNECT_MS);
    l->resolving = xalloc(sizeof(*l->resolving));
    l->resolving->data = l;
    if (uv_getaddrinfo(l->loop, l->resolving, on_resolved, l->url.host, NULL, &hints) != 0) {
        free(l->resolving);
        l->resolving = NULL;
        link_fail(l, "cannot resolve");
    }
}

/* --- public --- */

struct link *
link_new(uv_loop_t *loop, const struct conf *conf, const char *name,
         const struct link_calls *calls)
{
    struct link *l = xalloc(sizeof(*l));
    struct fail f = { 0 };

    l->loop = loop;
    l->conf = conf;
    l->calls = *calls;
    l->backoff_ms = BACKOFF_MIN_MS;
    snprintf(l->name, sizeof(l->name), "%s", name);
    if (redis_url_parse(conf->redis_url, &l->url, &f) != RC_OK)
        fatal(78, "REDIS_URL: %s", f.message);
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    try_now(l);
    return l;
}

static void
on_link_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
link_close(struct link *l)
{
    if (l == NULL)
        return;
    l->closed = true;
    disconnect(l);
    answer_lost(l);
    uv_close((uv_handle_t *)&l->timer, on_link_closed);
}

bool
link_is_up(const struct link *l)
{
    return l->state == LINK_UP;
}

int
link_pending(const struct link *l)
{
    return l->pending;
}

bool
link_send(struct link *l, struct redis_batch *b, link_done *done, void *ctx)
{
    struct request *r;
    const char *wire;
    size_t len;

    if (l->state != LINK_UP)
        return false;
    r = xalloc(sizeof(*r));
    r->batch = b;
    r->done = done;
    r->ctx = ctx;
    r->sent_ms = clock_mono_ms();
    wire = redis_batch_wire(b, &len);
    redisAppendFormattedCommand(l->redis, wire, len);
    DL_APPEND(l->requests, r);
    l->pending++;
    arm_deadline(l);
    write_out(l);
    return true;
}

void
link_push(struct link *l, const char *bytes, size_t len)
{
    if (l->state != LINK_UP)
        return;
    redisAppendFormattedCommand(l->redis, bytes, len);
    write_out(l);
}

int64_t
link_heard_us(const struct link *l)
{
    return l->heard_us;
}
