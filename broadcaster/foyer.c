#include "foyer.h"

#include "answer.h"
#include "common/arena.h"
#include "common/clock.h"
#include "head.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define TICK_MS 1000

struct guest {
    struct foyer *foyer;
    struct guest *prev, *next; /* oldest first */
    uv_poll_t poll;
    int64_t since_ms;
    int fd;
    int low;     /* bytes that wake us; a socket begins with 1 */
    size_t seen; /* bytes of the head so far */
};

struct foyer {
    uv_timer_t timer;
    foyer_pass *pass;
    void *ctx;
    struct guest *guests;
    int n;
    struct head head; /* scratch */
};

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
wait_beyond(struct guest *g, size_t seen)
{
    const int low = (int)seen + 1;

    if (low == g->low)
        return;
    setsockopt(g->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
    g->low = low;
}

static void
refuse(struct foyer *f, int fd, enum head_rc why)
{
    static const struct {
        unsigned status;
        const char *code, *message;
    } words[] = {
        [HEAD_BAD] = { 400, "BAD_REQUEST", "The request could not be understood" },
        [HEAD_LARGE] = { 431, "REQUEST_HEADER_FIELDS_TOO_LARGE",
                         "The header fields are too large" },
        [HEAD_SLOW] = { 408, "REQUEST_TIMEOUT", "The request did not arrive in time" },
    };
    struct answer a = { .status = words[why].status };
    char body[256];

    answer_error(&a, body, sizeof(body), words[why].code, words[why].message, "");
    answer_send(f->timer.loop, fd, &a);
}

/* Take the first `len` bytes, which were looked at, and hand the socket on. */
static void
pass_on(struct foyer *f, int fd, char *head, size_t len)
{
    enum head_rc rc;

    if (len == 0 || recv(fd, head, len, 0) != (ssize_t)len) {
        close(fd);
        return;
    }
    rc = head_read(&f->head, head, len);
    if (rc == HEAD_SOUND)
        f->pass(f->ctx, fd, &f->head);
    else
        refuse(f, fd, rc);
}

/* Look at the head. True: it waits for no more; *len of it are to be judged, 0: it will not
 * come. */
static bool
look(int fd, size_t *seen, char head[HEAD_MAX], size_t *len)
{
    ssize_t n = recv(fd, head, HEAD_MAX, MSG_PEEK);
    const char *end = n > 0 ? memmem(head, (size_t)n, "\r\n\r\n", 4) : NULL;
    bool grows = n < 0 ? errno == EAGAIN : n > 0 && n < HEAD_MAX && (size_t)n != *seen;

    *len = end != NULL ? (size_t)(end + 4 - head) : n == HEAD_MAX ? HEAD_MAX : 0;
    *seen = n > 0 ? (size_t)n : 0;
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
        wait_beyond(g, g->seen);
        return;
    }
    wait_beyond(g, 0);
    /* whoever takes the socket polls it, too: we have to be off it before */
    leave(g);
    pass_on(f, fd, head, len);
}

static void
turn_away_oldest(struct foyer *f)
{
    int fd = f->guests->fd;

    leave(f->guests);
    refuse(f, fd, HEAD_SLOW);
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
    g->low = 1;
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
    wait_beyond(g, seen);
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
    uv_timer_init(loop, &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_timer, TICK_MS, TICK_MS);
    return f;
}

static void
on_timer_closed(uv_handle_t *handle)
{
    struct foyer *f = handle->data;

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
