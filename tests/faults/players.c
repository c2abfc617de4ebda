/* players.c - those who send commands; see crowd.h */
#include "crowd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    GIVE_UP_US = 25000000,
    LOOK_US = 300000,
    RARELY_US = 8000000,
    AGAIN_US = 20000,
    GAME = 40,
    BODY_MAX = 1024
};

struct player {
    struct source source;
    int number, fd;
    struct session *s;
    long version; /* -1: has to be read first */
    char state;   /* of the session as he knows it; 'n' there is none */
    char op;      /* in hand, 0 none */
    char key[KEY_SIZE];
    bool repeat; /* the same again, under the same key */
    long given, keys, changes;
    int64_t sent, not_before, look_at;
    size_t len;
    char in[1 << 14];
};

static long answered, refunds;

long
players_answered(void)
{
    return answered;
}

long
players_refunded(void)
{
    long n = refunds;
    refunds = 0;
    return n;
}

static void on_answer(struct source *source);

struct player *
player_new(int number, struct session *s)
{
    struct player *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct player){ .source.ready = on_answer,
                          .number = number,
                          .fd = -1,
                          .s = s,
                          .version = -1,
                          .state = '-' };
    return p;
}

/* What ticks by itself is paused, so that there is one truth at the end. */
static bool
must_stand(const struct player *p)
{
    return p->s->kind == 't' && p->state == 'r';
}

bool
player_done(const struct player *p)
{
    if (crowd.phase == PREPARE)
        return !p->op && p->state == 'r';
    bool knows = !p->op && !p->repeat && (p->version >= 0 || p->state == 'n');
    return knows && !must_stand(p);
}

/* --- what to do next --- */

static char
look(const struct player *p, int64_t now)
{
    return now >= p->look_at ? 'G' : 0;
}

static char
while_it_runs(const struct player *p, int64_t now)
{
    switch (p->s->kind) {
    case 'i':
    case 't':
        return look(p, now);
    case 'c':
        return p->changes >= GAME ? 'F' : 'S';
    default:
        return p->s->kind == 'g' && draw(50) == 0 ? 'P' : 'S';
    }
}

/* The next command, 0 for none. */
static char
choose(const struct player *p, int64_t now)
{
    if (p->version < 0 && p->state != 'n')
        return 'G';
    if (crowd.phase == STOP)
        return must_stand(p) ? 'P' : 0;
    switch (p->state) {
    case 'n':
        return p->s->kind == 'c' || crowd.phase == PREPARE ? 'C' : look(p, now);
    case 'p':
        return 'B';
    case 'z':
        return p->s->kind == 'i' ? look(p, now) : 'R';
    case 'r':
        return crowd.phase == PLAY ? while_it_runs(p, now) : 0;
    default:
        return p->s->kind == 'c' ? 'D' : look(p, now);
    }
}

static int
create_body(const struct player *p, char *body)
{
    const char *id = p->s->id;
    bool ticks = p->s->kind == 't';
    const char *mode =
        ticks ? "\"sync_mode\":\"per_cycle\",\"time_per_cycle_ms\":1000,\"auto_advance\":true,"
                "\"max_cycles\":100000,\"total_time_ms\":86400000"
              : "\"sync_mode\":\"per_participant\",\"total_time_ms\":86400000";
    return snprintf(
        body, BODY_MAX,
        "{\"session_id\":\"%s\",%s,\"participants\":["
        "{\"participant_id\":\"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa\",\"participant_index\":0,"
        "\"total_time_ms\":86400000},"
        "{\"participant_id\":\"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\",\"participant_index\":1,"
        "\"total_time_ms\":86400000}]}",
        id, mode);
}

static void
transmit(struct player *p)
{
    static const struct {
        char op;
        const char *method, *path;
    } ops[] = { { 'G', "GET", "" },           { 'C', "POST", NULL },
                { 'B', "POST", "/start" },    { 'S', "POST", "/switch" },
                { 'P', "POST", "/pause" },    { 'R', "POST", "/resume" },
                { 'F', "POST", "/complete" }, { 'D', "DELETE", "" } };
    char body[BODY_MAX] = "", head[512], extra[128] = "";
    int n = 0, k = 0;
    while (ops[k].op != p->op)
        k++;
    if (p->op == 'C')
        n = create_body(p, body);
    else if (p->key[0])
        n = snprintf(body, sizeof body, "{}");
    else if (p->op != 'G' && p->op != 'D')
        n = snprintf(body, sizeof body, "{\"expected_version\":%ld}", p->given);
    if (p->key[0])
        snprintf(extra, sizeof extra, "Idempotency-Key: %s\r\n", p->key);
    int len = snprintf(head, sizeof head,
                       "%s /v1/sessions%s%s%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                       "application/json\r\n%sContent-Length: %d\r\n\r\n",
                       ops[k].method, p->op == 'C' ? "" : "/", p->op == 'C' ? "" : p->s->id,
                       p->op == 'C' ? "" : ops[k].path, extra, n);
    char all[sizeof head + sizeof body];
    memcpy(all, head, (size_t)len);
    memcpy(all + len, body, (size_t)n);
    send_all(p->fd, all, (size_t)(len + n));
}

bool
player_go(struct player *p, int64_t now)
{
    if (p->op || now < p->not_before)
        return false;
    char op = p->repeat ? 'S' : choose(p, now);
    if (!op)
        return false;
    if (p->fd < 0 && (p->fd = dial(&p->source)) < 0) {
        p->not_before = now + AGAIN_US;
        return false;
    }
    p->op = op;
    p->given = p->version;
    if (!p->repeat)
        p->key[0] = 0;
    if (op == 'S' && p->s->kind == 'k' && !p->repeat)
        snprintf(p->key, sizeof p->key, "%d-%ld", p->number, p->keys++);
    p->repeat = false;
    p->len = 0;
    p->sent = now_us();
    transmit(p);
    return op != 'G';
}

/* --- what came of it --- */

/* When he looks again at what he only looks at. What ticks he rarely looks at: whoever reads a
 * session has what is due in it done, and here the server is to do that by itself. */
static int64_t
next_look(const struct player *p, int64_t now)
{
    int64_t pause = p->s->kind == 't' && p->state == 'r' ? RARELY_US : LOOK_US;
    return now + pause + draw((unsigned)pause);
}

static void
settle(struct player *p, int status, const char *code, bool retry, const char *body, size_t len)
{
    struct said said = { -1, -1, -1, '-' };
    int64_t now = now_us();
    if (status == 200 || status == 201) {
        said = said_of(p->s, body, len);
        answered += p->op != 'G';
    }
    refunds += p->op != 'G' && (status == 400 || status == 409);
    fprintf(crowd.out, "A %lld %lld %d %d %c %s %ld %d %s %d %d %ld %c %ld\n",
            (long long)p->sent, (long long)now, p->number, p->s->number, p->op,
            p->key[0] ? p->key : "-", p->given, status, code, retry, said.epoch, said.version,
            said.state, said.cycle);
    p->changes = p->op == 'C' ? 0 : p->changes + (status == 200);
    p->version = said.version;
    p->state = said.state;
    if (status == 404 || status == 204)
        p->state = 'n';
    if (p->key[0] && (status == 0 || status == 503))
        p->repeat = true;
    p->op = 0;
    p->look_at = next_look(p, now);
    p->not_before = status == 0 || status >= 500 ? now + AGAIN_US + draw(AGAIN_US) : 0;
}

static void
hang_up(struct player *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    if (p->op)
        settle(p, 0, "-", false, NULL, 0);
}

void
player_check(struct player *p, int64_t now)
{
    if (p->op && now - p->sent > GIVE_UP_US)
        hang_up(p);
}

/* The place behind the head of a whole answer, NULL while something is missing. */
static char *
whole(struct player *p)
{
    p->in[p->len] = 0;
    char *end = strstr(p->in, "\r\n\r\n"), *line;
    if (!end)
        return NULL;
    line = strcasestr(p->in, "\r\ncontent-length:");
    size_t body = line && line < end ? strtoul(line + 17, NULL, 10) : 0;
    return p->len >= (size_t)(end + 4 - p->in) + body ? end + 4 : NULL;
}

static void
take(struct player *p, char *body)
{
    char code[40] = "-";
    size_t len = p->len - (size_t)(body - p->in);
    int status = atoi(p->in + 9);
    body[-1] = 0; /* the head ends here */
    bool retry = strcasestr(p->in, "\nretry-after:") != NULL;
    bool last = strcasestr(p->in, "\nconnection: close") != NULL;
    if (status >= 400 && sscanf(body, "{\"error\":{\"code\":\"%39[A-Z_]", code) != 1)
        strcpy(code, "-");
    settle(p, status, code, retry, body, len);
    if (last)
        hang_up(p);
}

static void
on_answer(struct source *source)
{
    struct player *p = (struct player *)source;
    if (p->fd < 0)
        return;
    ssize_t n = recv(p->fd, p->in + p->len, sizeof p->in - 1 - p->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(p);
        return;
    }
    p->len += (size_t)n;
    char *body = p->op ? whole(p) : NULL;
    if (body)
        take(p, body);
}
