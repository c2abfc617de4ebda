#include "foyer.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/headers.h"
#include "head.h"
#include "vet.h"

#include <errno.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define TICK_MS 1000
/* Of what comes with a refused head, this many times HEAD_MAX is read. */
#define TRASH_READS 8
/* What the rewriting adds. */
#define REWRITTEN_MAX (HEAD_MAX + 64)

struct guest {
    struct foyer *foyer;
    struct guest *prev, *next; /* oldest first */
    uv_poll_t poll;
    int64_t since_ms;
    int fd;
    size_t seen; /* bytes of the head so far */
};

struct foyer {
    uv_timer_t timer;
    foyer_pass *pass;
    void *ctx;
    struct guest *guests;
    int n;
    struct buf text;
};

/* --- the head --- */

static const char protocol_name[] = "Sec-WebSocket-Protocol:";
static const char bearer[] = "bearer.";

/* The offers that are no tokens, then the first token as a header of its own. False: there is
 * not one of each, nothing is appended. */
static bool
move_bearer(struct buf *out, const char *line, size_t len)
{
    char offers[HEAD_MAX];
    const struct admission a = { .subprotocol = offers };
    const char *rest = offers, *item, *token;
    size_t n, token_len, start = out->len;
    int others = 0;

    snprintf(offers, sizeof(offers), "%.*s", (int)(len - (sizeof(protocol_name) - 1)),
             line + sizeof(protocol_name) - 1);
    token = admission_token(&a, &token_len);
    if (token == NULL)
        return false;
    buf_str(out, protocol_name);
    while ((item = admission_list_next(&rest, &n)) != NULL) {
        if (n >= sizeof(bearer) - 1 && memcmp(item, bearer, sizeof(bearer) - 1) == 0)
            continue;
        buf_str(out, others++ > 0 ? ", " : " ");
        buf_add(out, item, n);
    }
    /* offers of nothing but tokens stay as they are: they are refused */
    if (others == 0) {
        out->len = start;
        return false;
    }
    buf_str(out, "\r\nAuthorization: Bearer ");
    buf_add(out, token, token_len);
    buf_str(out, "\r\n");
    return true;
}

bool
foyer_rewrite(struct buf *out, const char *s, size_t len)
{
    const char *end = s + len;
    size_t n, bare, start = out->len;
    bool moved = false;

    for (; s < end; s += n) {
        n = vet_line(s, end, &bare);
        if (vet_is_header(s, bare, "Authorization:"))
            continue;
        if (!moved && vet_is_header(s, bare, protocol_name) && move_bearer(out, s, bare))
            moved = true;
        else
            buf_add(out, s, n);
    }
    if (!moved)
        out->len = start;
    return moved;
}

/* --- those who wait --- */

static void
on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
leave(struct guest *g)
{
    DL_DELETE(g->foyer->guests, g);
    g->foyer->n--;
    uv_poll_stop(&g->poll);
    uv_close((uv_handle_t *)&g->poll, on_closed);
}

/* Wake for the next byte, not for those that were seen. */
static void
wait_beyond(int fd, size_t seen)
{
    const int low = (int)seen + 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

/* The whole of a refusal; the head is read first, because closing over it would reset the
 * connection and could take the answer with it. */
static void
refuse(struct foyer *f, int fd, enum vet why)
{
    static const struct {
        const char *status, *code, *message;
    } words[] = {
        [VET_BAD] = { "400 Bad Request", "BAD_REQUEST", "The request could not be understood" },
        [VET_LARGE] = { "431 Request Header Fields Too Large",
                        "REQUEST_HEADER_FIELDS_TOO_LARGE", "The header fields are too large" },
        [VET_SLOW] = { "408 Request Timeout", "REQUEST_TIMEOUT",
                       "The request did not arrive in time" },
    };
    char body[256], trash[HEAD_MAX];
    ssize_t n;

    snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
             words[why].code, words[why].message);
    buf_clear(&f->text);
    buf_printf(&f->text,
               "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n"
               "Cache-Control: no-store\r\n" HEADERS_ALWAYS HEADERS_DATA
               "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
               words[why].status, strlen(body), body);
    for (int i = 0; i < TRASH_READS; i++) {
        n = recv(fd, trash, sizeof(trash), 0);
        if (n <= 0)
            break;
    }
    /* a fresh socket takes that much; who does not read it wants no answer */
    (void)!send(fd, f->text.data, f->text.len, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* Hand the socket on; len > 0: its head, which is rewritten if it has to be. */
static void
pass_on(struct foyer *f, int fd, char head[HEAD_MAX], size_t len)
{
    bool rewritten;
    enum vet vet;

    wait_beyond(fd, 0);
    buf_clear(&f->text);
    if (len == 0) {
        f->pass(f->ctx, fd, NULL, 0);
        return;
    }
    rewritten = foyer_rewrite(&f->text, head, len);
    vet = rewritten ? vet_head(f->text.data, f->text.len) : vet_head(head, len);
    if (vet != VET_SOUND) {
        refuse(f, fd, vet);
        return;
    }
    if (!rewritten) {
        f->pass(f->ctx, fd, NULL, 0);
        return;
    }
    /* it is there, it was just looked at */
    if (recv(fd, head, len, 0) != (ssize_t)len) {
        close(fd);
        return;
    }
    f->pass(f->ctx, fd, f->text.data, f->text.len);
}

/* Look at the head. True: it waits for no more; *len of it are to be judged, and rewritten if
 * they can be, 0: as it is. */
static bool
look(int fd, size_t *seen, char head[HEAD_MAX], size_t *len)
{
    ssize_t n = recv(fd, head, HEAD_MAX, MSG_PEEK);
    const char *end = n > 0 ? memmem(head, (size_t)n, "\r\n\r\n", 4) : NULL;
    bool grows = n < 0 ? errno == EAGAIN : n > 0 && n < HEAD_MAX && (size_t)n != *seen;

    *len = end != NULL ? (size_t)(end + 4 - head) : n == HEAD_MAX ? HEAD_MAX : 0;
    *seen = n > 0 ? (size_t)n : 0;
    /* the end, or an error: the library knows what to do */
    return end != NULL || !grows;
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
    struct guest *g = poll->data;
    struct foyer *f = g->foyer;
    char head[HEAD_MAX];
    size_t len = 0;
    int fd = g->fd;

    (void)events;
    if (status == 0 && !look(fd, &g->seen, head, &len)) {
        wait_beyond(fd, g->seen);
        return;
    }
    /* the library polls the socket, too: we have to be off it before */
    leave(g);
    pass_on(f, fd, head, len);
}

/* The library is for whole heads: it has room for fewer, and one that came past us unseen
 * would not be vetted. */
static void
turn_away_oldest(struct foyer *f)
{
    int fd = f->guests->fd;

    leave(f->guests);
    refuse(f, fd, VET_SLOW);
}

static void
on_timer(uv_timer_t *timer)
{
    struct foyer *f = timer->data;
    int64_t now = clock_mono_ms();

    while (f->guests != NULL && now - f->guests->since_ms >= FOYER_WAIT_MS)
        turn_away_oldest(f);
}

static void
stay(struct foyer *f, int fd, size_t seen)
{
    struct guest *g = xalloc(sizeof(*g));

    g->foyer = f;
    g->fd = fd;
    g->seen = seen;
    g->since_ms = clock_mono_ms();
    if (uv_poll_init(f->timer.loop, &g->poll, fd) != 0) {
        free(g);
        close(fd);
        return;
    }
    g->poll.data = g;
    DL_APPEND(f->guests, g);
    f->n++;
    wait_beyond(fd, seen);
    uv_poll_start(&g->poll, UV_READABLE, on_readable);
}

void
foyer_enter(struct foyer *f, int fd)
{
    char head[HEAD_MAX];
    size_t len = 0, seen = 0;

    if (look(fd, &seen, head, &len)) {
        pass_on(f, fd, head, len);
        return;
    }
    if (f->n >= FOYER_MAX)
        turn_away_oldest(f);
    stay(f, fd, seen);
}

int
foyer_count(const struct foyer *f)
{
    return f->n;
}

struct foyer *
foyer_new(uv_loop_t *loop, foyer_pass *pass, void *ctx)
{
    struct foyer *f = xalloc(sizeof(*f));

    f->pass = pass;
    f->ctx = ctx;
    buf_init(&f->text, REWRITTEN_MAX);
    uv_timer_init(loop, &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_timer, TICK_MS, TICK_MS);
    return f;
}

static void
on_timer_closed(uv_handle_t *handle)
{
    struct foyer *f = handle->data;

    buf_fini(&f->text);
    free(f);
}

void
foyer_close(struct foyer *f)
{
    if (f == NULL)
        return;
    while (f->guests != NULL) {
        int fd = f->guests->fd;

        leave(f->guests);
        close(fd);
    }
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}
