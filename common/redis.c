/*
 * A round trip is one send, one poll and (for a reply of up to 32 KB) one recv. Not a recv that
 * blocks: on a unix socket that one is woken, too, when Redis reads what was sent, only to
 * sleep again, which costs both sides more than the poll. hiredis opens the socket and parses;
 * its own I/O is not used, because it copies what we have as bytes already, has no deadline
 * over several reads and lets write(2) raise SIGPIPE.
 */
#include "redis.h"
#include "arena.h"
#include "clock.h"
#include "conf.h"
#include "log.h"
#include "lua_scripts.h"
#include "redis_batch.h"
#include "redis_url.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNECT_MS 1000
#define REPLY_MS 2000
#define TICK_US 100000 /* how far behind a deadline a blocked send may notice it */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 500
#define READ_SIZE (32 * 1024)
#define RUN_ID_LEN 40

enum io { IO_DONE, IO_NOTHING_SENT, IO_CLOSED, IO_TIMEOUT, IO_GARBLED };

static const char *const io_text[] = { "done", "closed before the request was sent",
                                       "connection closed", "no answer in time",
                                       "not a Redis reply" };

struct redis {
    struct redis_url url;
    char url_error[128]; /* "" when the URL is good */
    const char *password;
    char name[64];
    redisContext *ctx; /* NULL: not connected */
    char run_id[RUN_ID_LEN + 1];
    int64_t next_try_ms; /* monotonic */
    int64_t backoff_ms;
    bool down; /* said so in the log */
    char in[READ_SIZE];
};

struct redis *
redis_new(const struct conf *conf, const char *client_name)
{
    struct redis *r = xalloc(sizeof(*r));
    struct fail f = { 0 };

    if (redis_url_parse(conf->redis_url, &r->url, &f) != RC_OK)
        snprintf(r->url_error, sizeof(r->url_error), "REDIS_URL: %.100s", f.message);
    r->password = conf->redis_password && conf->redis_password[0] ? conf->redis_password
                                                                  : r->url.password;
    snprintf(r->name, sizeof(r->name), "%s", client_name);
    return r;
}

static void
hang_up(struct redis *r)
{
    if (r->ctx)
        redisFree(r->ctx);
    r->ctx = NULL;
    r->run_id[0] = '\0';
}

void
redis_free(struct redis *r)
{
    if (!r)
        return;
    hang_up(r);
    free(r);
}

const char *
redis_run_id(const struct redis *r)
{
    return r->run_id;
}

int
redis_fd(const struct redis *r)
{
    return r->ctx ? r->ctx->fd : -1;
}

/* --- one exchange on an open connection --- */

static enum io
send_all(struct redis *r, const struct redis_batch *b, int64_t deadline_ms)
{
    size_t done = 0;

    while (done < b->len) {
        ssize_t n = send(r->ctx->fd, b->wire + done, b->len - done, MSG_NOSIGNAL);

        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR && errno != EAGAIN)
            /* Redis executes only what has come whole. */
            return done < b->cmd[0].len ? IO_NOTHING_SENT : IO_CLOSED;
        else if (clock_mono_ms() >= deadline_ms)
            return IO_TIMEOUT;
    }
    return IO_DONE;
}

/* Hand what the reader has to the batch; IO_DONE when all replies are there. */
static enum io
take_replies(struct redis *r, struct redis_batch *b, bool *complete)
{
    *complete = false;
    while (!*complete) {
        void *reply = NULL;

        if (redisReaderGetReply(r->ctx->reader, &reply) != REDIS_OK)
            return IO_GARBLED;
        if (!reply)
            return IO_DONE;
        *complete = redis_batch_take(b, reply);
    }
    return IO_DONE;
}

/* What the server sends until the deadline goes to the reader; IO_DONE also when a signal came
 * instead. */
static enum io
receive(struct redis *r, int64_t deadline_ms)
{
    struct pollfd p = { .fd = r->ctx->fd, .events = POLLIN };
    int64_t left = deadline_ms - clock_mono_ms();
    ssize_t n;

    /* what is there is taken, even when this process was stopped past the deadline */
    if (poll(&p, 1, left > 0 ? (int)left : 0) == 0)
        return IO_TIMEOUT;
    n = recv(r->ctx->fd, r->in, sizeof(r->in), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return IO_DONE;
    if (n <= 0)
        return IO_CLOSED;
    return redisReaderFeed(r->ctx->reader, r->in, (size_t)n) == REDIS_OK ? IO_DONE : IO_GARBLED;
}

static enum io
receive_all(struct redis *r, struct redis_batch *b, int64_t deadline_ms)
{
    bool complete = false;
    enum io io = IO_DONE;

    while (!complete && io == IO_DONE) {
        io = receive(r, deadline_ms);
        if (io == IO_DONE)
            io = take_replies(r, b, &complete);
    }
    return io;
}

static enum io
exchange(struct redis *r, struct redis_batch *b, int64_t deadline_ms)
{
    enum io io;

    assert(r->ctx);
    redis_batch_pool(b, r->ctx->reader);
    io = send_all(r, b, deadline_ms);
    return io == IO_DONE ? receive_all(r, b, deadline_ms) : io;
}

/* --- connecting --- */

/* Wait until the connection stands. NULL, or what went wrong. */
static const char *
await_connect(int fd)
{
    int64_t deadline = clock_mono_ms() + CONNECT_MS;
    int err = 0;
    socklen_t len = sizeof(err);

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        int64_t left = deadline - clock_mono_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;

        if (n > 0)
            break;
        if (n == 0)
            return "no connection in time";
        if (errno != EINTR)
            return "poll failed";
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0)
        return err == ECONNREFUSED ? "connection refused" : "connection failed";
    return NULL;
}

static const char *
set_options(const struct redis *r)
{
    int fd = r->ctx->fd;
    struct timeval tick = { .tv_usec = TICK_US };
    int flags = fcntl(fd, F_GETFL);
    int one = 1;

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick)) != 0)
        return "socket options failed";
    if (r->url.path[0] == '\0' &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
        return "TCP_NODELAY failed";
    return NULL;
}

static void
add_greeting(struct redis *r, struct redis_batch *b)
{
    if (r->url.user[0])
        redis_batch_add(b, "AUTH %s %s", r->url.user, r->password);
    else if (r->password[0])
        redis_batch_add(b, "AUTH %s", r->password);
    if (r->url.db)
        redis_batch_add(b, "SELECT %d", r->url.db);
    redis_batch_add(b, "CLIENT SETNAME %s", r->name);
    redis_batch_add(b, "INFO server");
}

static const char *
read_greeting(struct redis *r, const struct redis_batch *b, struct fail *f)
{
    const redisReply *info = redis_batch_reply(b, b->n - 1);
    const char *p;

    for (int i = 0; i < b->n; i++) {
        if (redis_batch_check(b, i, f) != RC_OK)
            return f ? f->log : "greeting refused";
    }
    p = info->type == REDIS_REPLY_STRING ? strstr(info->str, "run_id:") : NULL;
    if (!p || strcspn(p + 7, "\r\n") != RUN_ID_LEN)
        return "INFO shows no run_id";
    memcpy(r->run_id, p + 7, RUN_ID_LEN);
    return NULL;
}

static const char *
greet(struct redis *r, struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    const char *error;
    enum io io;

    add_greeting(r, b);
    io = exchange(r, b, clock_mono_ms() + REPLY_MS);
    error = io == IO_DONE ? read_greeting(r, b, f) : io_text[io];
    redis_batch_free(b);
    return error;
}

static const char *
dial(struct redis *r, struct fail *f)
{
    const char *error;

    if (r->url_error[0])
        return r->url_error;
    r->ctx = r->url.path[0] ? redisConnectUnixNonBlock(r->url.path)
                            : redisConnectNonBlock(r->url.host, r->url.port);
    if (!r->ctx)
        return "out of memory";
    if (r->ctx->err)
        return r->ctx->errstr;
    error = await_connect(r->ctx->fd);
    if (!error)
        error = set_options(r);
    if (!error)
        error = greet(r, f);
    return error;
}

/* Put the next try off; the whole delay is doubled, a random half of it waited. */
static void
back_off(struct redis *r)
{
    uint16_t noise = 0;

    if (getrandom(&noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        noise = (uint16_t)clock_mono_us();
    r->backoff_ms = r->backoff_ms ? r->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (r->backoff_ms > BACKOFF_MAX_MS)
        r->backoff_ms = BACKOFF_MAX_MS;
    r->next_try_ms = clock_mono_ms() + BACKOFF_MIN_MS +
                     (r->backoff_ms - BACKOFF_MIN_MS) * noise / UINT16_MAX;
}

enum rc
redis_connect(struct redis *r, struct fail *f)
{
    struct fail greeting = { 0 };
    const char *error;
    enum rc rc;

    if (r->ctx)
        return RC_OK;
    if (r->next_try_ms && clock_mono_ms() < r->next_try_ms)
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: down, next try soon");
    error = dial(r, &greeting);
    if (!error) {
        if (r->down)
            log_info("redis is back", LOG_STR("client", r->name));
        r->down = false;
        r->backoff_ms = r->next_try_ms = 0;
        return RC_OK;
    }
    back_off(r);
    if (!r->down)
        log_warn("redis is away", LOG_STR("client", r->name), LOG_STR("error", error));
    r->down = true;
    rc = fail_log(f, RC_STORE_UNAVAILABLE, "redis: connect: %s", error);
    hang_up(r); /* last: `error` may stand in the context */
    return rc;
}

/* --- a run --- */

/*
 * One exchange, and another on a new connection when the server had closed an idle one and the
 * batch may be repeated. A batch that may not is left to its sender even when nothing was sent:
 * a commit names the server that it was made for.
 */
static enum rc
run_once(struct redis *r, struct redis_batch *b, int64_t deadline_ms, struct fail *f)
{
    enum io io = IO_DONE;

    for (int attempt = 0; attempt < 2; attempt++) {
        bool fresh = !r->ctx;
        enum rc rc = redis_connect(r, f);

        if (rc != RC_OK)
            return rc;
        io = exchange(r, b, deadline_ms);
        if (io == IO_DONE)
            return RC_OK;
        hang_up(r);
        if (fresh || !b->repeatable || (io != IO_NOTHING_SENT && io != IO_CLOSED))
            break;
        redis_batch_drop_replies(b);
    }
    if (io == IO_NOTHING_SENT || b->repeatable)
        return fail_log(f, RC_STORE_UNAVAILABLE, "redis: %s", io_text[io]);
    return fail_log(f, RC_OUTCOME_UNKNOWN, "redis: %s", io_text[io]);
}

static bool
is_error(const struct redis_command *c, const char *code)
{
    return c->reply && c->reply->type == REDIS_REPLY_ERROR &&
           strncmp(c->reply->str, code, strlen(code)) == 0;
}

/*
 * A restarted server has no scripts: load them and send the refused commands again. A refused
 * EVALSHA had no effect, so this repeats nothing; were the second batch lost, what was refused
 * in it stays refused in the caller's eyes unless it may have been executed.
 */
static enum rc
load_scripts(struct redis *r, struct redis_batch *b, int64_t deadline_ms, struct fail *f)
{
    bool wanted[LUA__MAX] = { false };
    struct redis_batch *again;
    int place = 0, refused = 0;
    enum rc rc;

    for (int i = 0; i < b->n; i++) {
        if (b->cmd[i].script >= 0 && is_error(&b->cmd[i], "NOSCRIPT")) {
            wanted[b->cmd[i].script] = true;
            refused++;
        }
    }
    if (refused == 0)
        return RC_OK;
    again = redis_batch_new();
    for (int s = 0; s < LUA__MAX; s++) {
        if (wanted[s])
            place = 1 + redis_batch_add(again, "SCRIPT LOAD %s", lua_script_text[s]);
    }
    for (int i = 0; i < b->n; i++) {
        if (b->cmd[i].script >= 0 && is_error(&b->cmd[i], "NOSCRIPT"))
            redis_batch_add_raw(again, b->wire + b->cmd[i].at, b->cmd[i].len);
    }
    again->repeatable = b->repeatable;
    rc = run_once(r, again, deadline_ms, f);
    for (int i = 0; i < b->n; i++) {
        if (b->cmd[i].script < 0 || !is_error(&b->cmd[i], "NOSCRIPT"))
            continue;
        redis_batch_move(b, i, again, place++);
    }
    redis_batch_free(again);
    return rc;
}

/* A server that became a replica, or whose master left: the address has to be looked up anew.
 */
static void
leave_wrong_server(struct redis *r, const struct redis_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        if (is_error(&b->cmd[i], "READONLY") || is_error(&b->cmd[i], "MASTERDOWN")) {
            hang_up(r);
            return;
        }
    }
}

enum rc
redis_run(struct redis *r, struct redis_batch *b, struct fail *f)
{
    int64_t deadline_ms = clock_mono_ms() + REPLY_MS;
    enum rc rc;

    if (b->n == 0)
        return RC_OK;
    if (b->overflow)
        return fail_log(f, RC_INTERNAL, "redis: a batch of more than 64 MB");
    rc = run_once(r, b, deadline_ms, f);
    if (rc == RC_OK)
        rc = load_scripts(r, b, deadline_ms, f);
    if (rc == RC_OK)
        leave_wrong_server(r, b);
    return rc;
}

enum rc
redis_next(struct redis *r, struct redis_batch *b, int64_t wait_ms, const redisReply **out,
           struct fail *f)
{
    int64_t deadline_ms = clock_mono_ms() + wait_ms;
    enum io io = r->ctx ? IO_DONE : IO_CLOSED;

    *out = NULL;
    if (r->ctx)
        redis_batch_pool(b, r->ctx->reader);
    while (io == IO_DONE) {
        void *reply = NULL;

        if (redisReaderGetReply(r->ctx->reader, &reply) != REDIS_OK) {
            io = IO_GARBLED;
            break;
        }
        *out = reply;
        if (reply)
            return RC_OK;
        io = receive(r, deadline_ms);
        if (io == IO_TIMEOUT)
            return RC_OK;
    }
    hang_up(r);
    return fail_log(f, RC_STORE_UNAVAILABLE, "redis: %s", io_text[io]);
}
