#include "private_redis.h"
#include "common/buf.h"
#include "common/clock.h"
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "private redis: %s\n", what);
    abort();
}

static redisContext *
open_context(const struct private_redis *p)
{
    redisContext *c = redisConnectUnixWithTimeout(p->socket, (struct timeval){ .tv_sec = 1 });

    if (c && !c->err) {
        redisSetTimeout(c, (struct timeval){ .tv_sec = 10 });
        return c;
    }
    if (c)
        redisFree(c);
    return NULL;
}

static bool
is_ready(const struct private_redis *p)
{
    redisContext *c = open_context(p);
    redisReply *reply = c ? redisCommand(c, "PING") : NULL;
    bool ready = reply && reply->type == REDIS_REPLY_STATUS;

    if (reply)
        freeReplyObject(reply);
    if (c)
        redisFree(c);
    return ready;
}

static _Noreturn void
exec_server(const struct private_redis *p)
{
    char log[96];
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(log, sizeof(log), "%s/log", p->dir);
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(126);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", p->socket, "--dir",
           p->dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
           "--daemonize", "no", (char *)NULL);
    _exit(127);
}

static void
spawn(struct private_redis *p)
{
    pid_t parent = getpid();

    p->pid = fork();
    if (p->pid < 0)
        die("fork failed");
    if (p->pid == 0) {
        if (getppid() != parent)
            _exit(0);
        exec_server(p);
    }
    for (int i = 0; i < 1000; i++) {
        if (is_ready(p))
            return;
        if (waitpid(p->pid, NULL, WNOHANG) != 0)
            die("redis-server ended at once");
        usleep(10000);
    }
    die("redis-server does not answer");
}

void
private_redis_start(struct private_redis *p)
{
    snprintf(p->dir, sizeof(p->dir), "/tmp/sk-redis-XXXXXX");
    if (!mkdtemp(p->dir))
        die("no temporary folder");
    snprintf(p->socket, sizeof(p->socket), "%s/s", p->dir);
    snprintf(p->url, sizeof(p->url), "unix://%s", p->socket);
    spawn(p);
}

void
private_redis_kill(struct private_redis *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    p->pid = 0;
    unlink(p->socket);
}

void
private_redis_restart(struct private_redis *p)
{
    private_redis_kill(p);
    spawn(p);
}

void
private_redis_stop(struct private_redis *p)
{
    pid_t pid;

    private_redis_kill(p);
    pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", p->dir, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

struct conf
private_redis_conf(const struct private_redis *p)
{
    return (struct conf){
        .key_prefix = "t:",
        .redis_url = p->url,
        .redis_password = "",
        .jwt_secret = "",
        .jwt_secret_previous = "",
        .jwt_issuer = "",
        .jwt_audience = "",
        .jwt_public_key_file = "",
        .rate_limit_enabled = true,
        .rate_limit_switch = { .count = 10, .window_ms = 1000, .cooldown_ms = 10000 },
        .outage_pause_ms = 30000,
        .session_cache_ttl_ms = 3600000,
    };
}

static void
join(struct buf *out, const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buf_i64(out, reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            if (i > 0)
                buf_char(out, ' ');
            join(out, reply->element[i]);
        }
        break;
    case REDIS_REPLY_NIL:
        break;
    default:
        buf_add(out, reply->str, reply->len);
    }
}

int64_t
patient_ms(int64_t ms)
{
    const char *slow = getenv("SLOW");
    double factor = slow ? strtod(slow, NULL) : 1;

    return factor > 1 ? (int64_t)((double)ms * factor) : ms;
}

const char *
private_redis_ask(const struct private_redis *p, const char *fmt, ...)
{
    static struct buf text = { .max = 1 << 20 };
    redisContext *c = open_context(p);
    redisReply *reply;
    va_list ap;

    if (!c)
        die("no connection");
    va_start(ap, fmt);
    reply = redisvCommand(c, fmt, ap);
    va_end(ap);
    if (!reply)
        die("no answer");
    buf_clear(&text);
    join(&text, reply);
    freeReplyObject(reply);
    redisFree(c);
    return buf_cstr(&text);
}
