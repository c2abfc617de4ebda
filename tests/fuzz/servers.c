#include "servers.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/pg.h"
#include "fuzz.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 8
#define PACKET_MAX (32 * 1024) /* what redis.c reads at once */
#define MANY '\035'
#define ROW '\036'
#define COLUMN '\037'

/* The server's end of a connection, and where the next part of it begins. */
struct connection {
    int fd;
    size_t at;
};

static struct {
    const char *s;
    size_t len, redis_at, pg_at, more_at;
    struct connection connection[CONNECTIONS_MAX];
    int n;
    bool in_turns;
} said;

/* The next mark at or behind `at`; the end of the input when there is none. */
static size_t
mark_at(size_t at)
{
    while (at + 1 < said.len &&
           !(said.s[at] == '~' && memchr("RrP+C", said.s[at + 1], 5) != NULL))
        at++;
    return at + 1 < said.len ? at : said.len;
}

/* The part at *at, without its mark; *at goes on behind it. */
static const char *
part_at(size_t *at, size_t *len)
{
    const char *part = said.s + *at + 2;

    *at = mark_at(*at + 2);
    *len = (size_t)(said.s + *at - part);
    return part;
}

/* Go on to the next part of one of these kinds; '\0' when there is none. */
static char
find_part(size_t *at, const char *kinds)
{
    for (*at = mark_at(*at); *at < said.len; *at = mark_at(*at + 2))
        if (strchr(kinds, said.s[*at + 1]) != NULL)
            return said.s[*at + 1];
    return '\0';
}

size_t
servers_begin(const char *s, size_t len, bool in_turns)
{
    said.s = s;
    said.len = len;
    said.in_turns = in_turns;
    said.redis_at = said.pg_at = said.more_at = mark_at(0);
    return said.redis_at;
}

const char *
servers_client(size_t *len)
{
    return find_part(&said.more_at, "C") == '\0' ? NULL : part_at(&said.more_at, len);
}

void
servers_end(void)
{
    while (said.n > 0)
        close(said.connection[--said.n].fd);
}

struct conf
servers_conf(void)
{
    return (struct conf){ .redis_url = "unix:///of/the/input",
                          .redis_password = "",
                          .key_prefix = "sync:",
                          .database_url = "postgresql:///of_the_input",
                          .trusted_proxies = "",
                          .allowed_origins = "",
                          .allow_anonymous = "",
                          .jwt_secret = "0123456789abcdef0123456789abcdef",
                          .jwt_secret_previous = "",
                          .jwt_issuer = "",
                          .jwt_audience = "",
                          .jwt_public_key_file = "",
                          .max_body_bytes = 65536,
                          .session_cache_ttl_ms = 3600000,
                          .outage_pause_ms = 10000,
                          .rate_limit_enabled = true,
                          .rate_limit_create = { 5, 60000, 0 },
                          .rate_limit_get = { 100, 60000, 0 },
                          .rate_limit_time = { 60, 60000, 0 },
                          .rate_limit_general = { 100, 60000, 0 },
                          .rate_limit_switch = { 10, 1000, 0 },
                          .rate_limit_ws_messages = { 20, 60000, 0 },
                          .ws_max_open = 3,
                          .ws_max_clients = 100,
                          .strict_body = true };
}

/* Instead of libc's: an input does the same every time, and can name what we draw. */
ssize_t
getrandom(void *out, size_t len, unsigned flags)
{
    (void)flags;
    memset(out, 0, len);
    return (ssize_t)len;
}

/* --- Redis --- */

/* With what stands between two MANY as often as the byte behind the first says. */
static void
unfold(struct buf *out, const char *s, size_t len)
{
    for (const char *end = s + len; s < end;) {
        const char *many = memchr(s, MANY, (size_t)(end - s));
        const char *close = many == NULL || end - many < 2
                                ? NULL
                                : memchr(many + 2, MANY, (size_t)(end - many - 2));

        if (close == NULL) {
            buf_add(out, s, (size_t)(end - s));
            return;
        }
        buf_add(out, s, (size_t)(many - s));
        for (int n = (unsigned char)many[1] % 64; n >= 0; n--)
            buf_add(out, many + 2, (size_t)(close - many - 2));
        s = close + 1;
    }
}

/* One packet: what does not fit is not said. An empty one would be the end. */
static void
say(int fd, const char *s, size_t len)
{
    struct buf packet;

    buf_init(&packet, PACKET_MAX);
    unfold(&packet, s, len);
    if (packet.len > 0)
        (void)!send(fd, packet.data, packet.len, MSG_NOSIGNAL);
    buf_fini(&packet);
}

/* False when all of the connection is said. */
static bool
say_next(struct connection *c)
{
    const char *part;
    size_t len;

    if (c->at == said.len)
        return false;
    part = part_at(&c->at, &len);
    say(c->fd, part, len);
    if (c->at < said.len && said.s[c->at + 1] != '+')
        c->at = said.len;
    return true;
}

static void
serve(int fd)
{
    static const char greeting[] = "+OK\r\n$50\r\n\nrun_id:" SERVERS_RUN_ID "\r\n\r\n";
    struct connection *c = &said.connection[said.n++];
    char kind = find_part(&said.redis_at, "Rr");

    *c = (struct connection){ fd, said.redis_at };
    said.redis_at = mark_at(said.redis_at + 2);
    if (kind == 'R')
        say(fd, greeting, said.in_turns ? 5 : sizeof(greeting) - 1);
    if (said.in_turns)
        return;
    while (say_next(c))
        ;
    shutdown(fd, SHUT_WR);
}

bool
servers_turn(void)
{
    bool more = false;

    for (int i = 0; i < said.n; i++)
        more = say_next(&said.connection[i]) || more;
    return more;
}

/* Instead of hiredis's. */
redisContext *
redisConnectUnixNonBlock(const char *path)
{
    redisContext *redis;
    int pair[2];

    (void)path;
    HOLD(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    if (said.n < CONNECTIONS_MAX)
        serve(pair[1]);
    else
        close(pair[1]);
    redis = redisConnectFd(pair[0]);
    HOLD(redis != NULL);
    redis->flags &= ~REDIS_BLOCK;
    return redis;
}

/* --- PostgreSQL: all of pg.h --- */

struct pg {
    char state[6];
};

struct pg_result {
    int rows;
    size_t len;
    char *marks; /* as in the input */
    char *text;  /* with a NUL behind each column */
};

struct pg *
pg_new(const char *url, const char *client_name, int64_t deadline_ms)
{
    (void)url;
    (void)client_name;
    (void)deadline_ms;
    return xalloc(sizeof(struct pg));
}

void
pg_free(struct pg *pg)
{
    free(pg);
}

enum rc
pg_connect(struct pg *pg, struct fail *f)
{
    (void)pg;
    (void)f;
    return RC_OK;
}

uint64_t
pg_connection(const struct pg *pg)
{
    (void)pg;
    return 1;
}

void
pg_close(struct pg *pg)
{
    (void)pg;
}

const char *
pg_state(const struct pg *pg)
{
    return pg->state;
}

static struct pg_result *
result_of(const char *part, size_t len)
{
    struct pg_result *r = xalloc(sizeof(*r));

    r->len = len;
    r->marks = xalloc(len + 1);
    r->text = xalloc(len + 1);
    memcpy(r->marks, part, len);
    memcpy(r->text, part, len);
    for (size_t i = 0; i < len; i++) {
        r->rows += part[i] == ROW;
        if (part[i] == ROW || part[i] == COLUMN)
            r->text[i] = '\0';
    }
    return r;
}

enum rc
pg_run(struct pg *pg, const struct pg_stmt *stmt, const char *const *args,
       struct pg_result **out, struct fail *f)
{
    bool is_said = find_part(&said.pg_at, "P") != '\0';
    const char *part;
    size_t len;

    (void)args;
    pg->state[0] = '\0';
    if (out != NULL)
        *out = NULL;
    if (!is_said)
        return fail_log(f, RC_STORE_UNAVAILABLE, "%s: away", stmt->name);
    part = part_at(&said.pg_at, &len);
    if (len > 5 && *part == '!') {
        snprintf(pg->state, sizeof(pg->state), "%.5s", part + 1);
        return fail_log(f, RC_INTERNAL, "%s: %s", stmt->name, pg->state);
    }
    if (out != NULL)
        *out = result_of(part, len);
    return RC_OK;
}

enum rc
pg_script(struct pg *pg, const char *sql, struct fail *f)
{
    static const struct pg_stmt script = { .name = "script" };

    (void)sql;
    return pg_run(pg, &script, NULL, NULL, f);
}

enum rc
pg_copy(struct pg *pg, const struct pg_stmt *stmt, const char *data, size_t len, struct fail *f)
{
    HOLD(len == 0 || data[len - 1] == '\n');
    return pg_run(pg, stmt, NULL, NULL, f);
}

int
pg_rows(const struct pg_result *r)
{
    return r->rows;
}

/* What is not there is NULL, as libpq has it. */
const char *
pg_text(const struct pg_result *r, int row, int column)
{
    const char *at = r->marks, *end = r->marks + r->len;

    for (; row > 0 && at < end; row--) {
        at = memchr(at, ROW, (size_t)(end - at));
        at = at == NULL ? end : at + 1;
    }
    for (; column > 0 && at < end && *at != ROW; at += at < end)
        column -= *at == COLUMN;
    return column > 0 ? "" : r->text + (at - r->marks);
}

bool
pg_is_null(const struct pg_result *r, int row, int column)
{
    return *pg_text(r, row, column) == '\0';
}

int64_t
pg_int(const struct pg_result *r, int row, int column)
{
    return strtoll(pg_text(r, row, column), NULL, 10);
}

void
pg_result_free(struct pg_result *r)
{
    if (r == NULL)
        return;
    free(r->marks);
    free(r->text);
    free(r);
}
