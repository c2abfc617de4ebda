#include "answer.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/headers.h"

#include <errno.h>
#include <http_parser.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_ROOM 1024
/* Of what came behind the head, at most this many times TRASH_MAX is read. */
#define TRASH_READS 16
#define TRASH_MAX 4096

/* An answer that the socket did not take at once. */
struct rest {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    struct buf text;
    int closed; /* handles */
};

static void
on_closed(uv_handle_t *handle)
{
    struct rest *r = handle->data;

    if (++r->closed < 2)
        return;
    buf_fini(&r->text);
    free(r);
}

static void
end(struct rest *r)
{
    if (uv_is_closing((uv_handle_t *)&r->timer))
        return;
    uv_close((uv_handle_t *)&r->tcp, on_closed);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

static void
on_written(uv_write_t *write, int status)
{
    (void)status;
    end(write->data);
}

static void
on_timer(uv_timer_t *timer)
{
    end(timer->data);
}

/* Takes the text. */
static void
send_rest(uv_loop_t *loop, int fd, struct buf *text, size_t from)
{
    struct rest *r = xalloc(sizeof(*r));
    uv_buf_t part = uv_buf_init(text->data + from, (unsigned)(text->len - from));

    r->text = *text;
    r->tcp.data = r->timer.data = r->write.data = r;
    uv_tcp_init(loop, &r->tcp);
    uv_timer_init(loop, &r->timer);
    uv_timer_start(&r->timer, on_timer, ANSWER_WAIT_MS, 0);
    if (uv_tcp_open(&r->tcp, fd) != 0) {
        close(fd);
        end(r);
    } else if (uv_write(&r->write, (uv_stream_t *)&r->tcp, &part, 1, on_written) != 0) {
        end(r);
    }
}

/* Closing over bytes that nobody has read would reset the connection, and could take the answer
 * with it. */
static void
read_trash(int fd)
{
    char trash[TRASH_MAX];

    for (int i = 0; i < TRASH_READS && recv(fd, trash, sizeof(trash), 0) > 0; i++)
        ;
}

void
answer_send(uv_loop_t *loop, int fd, const struct answer *a)
{
    struct buf out;
    ssize_t n;

    buf_init(&out, HEAD_ROOM + a->len);
    buf_printf(
        &out,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n" HEADERS_ALWAYS
            HEADERS_DATA,
        a->status, http_status_str(a->status), a->type != NULL ? a->type : ANSWER_JSON);
    if (a->header != NULL)
        buf_printf(&out, "%s\r\n", a->header);
    buf_printf(&out, "Connection: close\r\nContent-Length: %zu\r\n\r\n", a->len);
    if (!a->bare)
        buf_add(&out, a->body, a->len);
    read_trash(fd);
    n = send(fd, out.data, out.len, MSG_NOSIGNAL);
    if (n == (ssize_t)out.len)
        shutdown(fd, SHUT_WR);
    if (n == (ssize_t)out.len || (n < 0 && errno != EAGAIN)) {
        close(fd);
        buf_fini(&out);
        return;
    }
    send_rest(loop, fd, &out, n > 0 ? (size_t)n : 0);
}

void
answer_error(struct answer *a, char *out, size_t size, const char *code, const char *message,
             const char *more)
{
    int n = snprintf(out, size, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"%s}}", code,
                     message, more);

    a->body = out;
    a->len = (size_t)n;
}
