#include "client.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "frame.h"

#include <assert.h>
#include <utlist.h>

#define QUEUE_FIRST 4
/* Never on the wire (RFC 6455, 7.4.1). */
#define CLOSED_BY_PEER 1005

/* Codes of ours, and what the end of a socket closed with them counts as. */
static const struct {
    uint16_t code;
    enum ws_end end;
} ends[] = {
    { 1000, WS_END_DELETED }, { 1001, WS_END_DRAINING }, { 1002, WS_END_POLICY },
    { 1007, WS_END_POLICY },  { 1008, WS_END_POLICY },   { 1009, WS_END_TOO_BIG },
    { 1013, WS_END_FULL },    { 4401, WS_END_TOKEN },    { 4429, WS_END_POLICY },
};

void
clients_init(struct clients *set, const struct client_io *io, int64_t heartbeat_ms,
             int64_t now_ms)
{
    memset(set, 0, sizeof(*set));
    set->io = io;
    set->ping = frame_new(FRAME_PING, "", 0);
    heartbeat_init(&set->wheel, heartbeat_ms, now_ms);
    buf_init(&set->gather, CLIENT_WRITE_MAX);
}

void
clients_fini(struct clients *set)
{
    assert(set->n == 0);
    frame_drop(set->ping);
    frame_parser_free(set->parser);
    buf_fini(&set->gather);
}

void
client_open(struct client *c, struct clients *set, int64_t now_ms)
{
    assert(!c->is_open);
    c->set = set;
    c->heard_ms = now_ms;
    c->slot = (int16_t)heartbeat_join(&set->wheel);
    DL_APPEND2(set->slots[c->slot], c, slot_prev, slot_next);
    c->is_open = true;
    set->n++;
    metrics_hold(METRIC_WS_CONNECTIONS, set->n);
}

static enum ws_end
end_of(const struct client *c)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (c->close_code == ends[i].code)
            return ends[i].end;
    }
    return c->is_cut ? WS_END_LOST : WS_END_CLIENT;
}

static void
forget_front(struct client *c, uint16_t n)
{
    if (c->queue == NULL)
        return;
    for (uint16_t i = 0; i < n; i++) {
        c->queue_bytes -= c->queue[i]->len;
        c->set->queued -= c->queue[i]->len;
        frame_drop(c->queue[i]);
    }
    c->queue_n = (uint16_t)(c->queue_n - n);
    memmove(c->queue, c->queue + n, c->queue_n * sizeof(*c->queue));
    if (c->queue_n > 0)
        return;
    free(c->queue);
    c->queue = NULL;
    c->queue_size = 0;
}

static void
set_dirty(struct client *c, bool dirty)
{
    if (dirty == c->is_dirty)
        return;
    c->is_dirty = dirty;
    if (dirty)
        DL_APPEND2(c->set->dirty, c, dirty_prev, dirty_next);
    else
        DL_DELETE2(c->set->dirty, c, dirty_prev, dirty_next);
}

void
client_gone(struct client *c)
{
    assert(c->is_open && c->subs == NULL);
    forget_front(c, c->queue_n);
    set_dirty(c, false);
    DL_DELETE2(c->set->slots[c->slot], c, slot_prev, slot_next);
    heartbeat_leave(&c->set->wheel, c->slot);
    frame_reader_fini(&c->reader);
    free(c->rx);
    c->rx = NULL;
    c->is_open = false;
    c->set->n--;
    metrics_hold(METRIC_WS_CONNECTIONS, c->set->n);
    metrics_add(METRIC_WS_DISCONNECTS, 1, end_of(c), 0, 0);
}

void
client_cut(struct client *c)
{
    forget_front(c, c->queue_n);
    if (c->is_cut)
        return;
    c->is_cut = true;
    c->set->io->cut(c);
}

static void
push(struct client *c, struct frame *f)
{
    if (c->queue_n == c->queue_size) {
        c->queue_size = (uint16_t)(c->queue_size == 0 ? QUEUE_FIRST : 2 * c->queue_size);
        c->queue = xrealloc(c->queue, c->queue_size * sizeof(*c->queue));
    }
    c->queue[c->queue_n++] = frame_take(f);
    c->queue_bytes += f->len;
    c->set->queued += f->len;
    set_dirty(c, true);
}

static bool
is_full(const struct client *c, const struct frame *f)
{
    int64_t most = c->set->queued > CLIENTS_BYTES_MAX ? CLIENT_WRITE_MAX : CLIENT_BYTES_MAX;

    return c->queue_n > 0 &&
           (c->queue_n >= CLIENT_FRAMES_MAX || c->queue_bytes + f->len > most);
}

static void
fall_behind(struct client *c)
{
    struct frame *keep[CLIENT_FRAMES_MAX];
    uint16_t n = 0;

    for (uint16_t i = 0; i < c->queue_n; i++)
        if (c->queue[i]->stays)
            keep[n++] = frame_take(c->queue[i]);
    forget_front(c, c->queue_n);
    for (uint16_t i = 0; i < n; i++) {
        push(c, keep[i]);
        frame_drop(keep[i]);
    }
    c->is_behind = true;
    c->set->skips++;
    metrics_add(METRIC_WS_SKIPS, 1, 0, 0, 0);
}

bool
client_queue(struct client *c, struct frame *f)
{
    if (c->close_code != 0 || c->is_cut || c->is_behind)
        return false;
    if (is_full(c, f))
        client_flush(c);
    if (c->is_cut)
        return false;
    if (is_full(c, f)) {
        fall_behind(c);
        return false;
    }
    push(c, f);
    c->set->pushes++;
    return true;
}

void
client_answer(struct client *c, struct frame *f)
{
    if (c->close_code != 0 || c->is_cut)
        return;
    if (is_full(c, f))
        client_flush(c);
    if (!c->is_cut && !is_full(c, f) && !c->set->io->is_stuck(c))
        push(c, f);
}

bool
client_reply(struct client *c, struct frame *f)
{
    bool was_behind = c->is_behind;

    if (c->close_code != 0 || c->is_cut)
        return false;
    if (is_full(c, f))
        client_flush(c);
    if (c->is_cut)
        return false;
    if (is_full(c, f))
        fall_behind(c);
    if (is_full(c, f)) {
        client_cut(c);
        return false;
    }
    push(c, f);
    return c->is_behind && !was_behind;
}

void
client_finish(struct client *c, struct frame *last, uint16_t code, const char *reason)
{
    struct frame *bye;

    if (c->close_code != 0 || c->is_cut)
        return;
    if (last != NULL)
        push(c, last);
    bye = frame_close(code, reason);
    push(c, bye);
    frame_drop(bye);
    c->close_code = code;
    c->heard_ms = clock_mono_ms();
}

void
client_leave(struct client *c, const void *payload, size_t len)
{
    uint16_t code = frame_close_answer(payload, len);
    struct frame *bye;

    if (c->close_code != 0 || c->is_cut)
        return;
    bye = code == 0 ? frame_new(FRAME_CLOSE, "", 0) : frame_close(code, NULL);
    push(c, bye);
    frame_drop(bye);
    c->close_code = code == 1002 || code == 1007 ? code : CLOSED_BY_PEER;
    c->heard_ms = clock_mono_ms();
}

/* Write the first frames of the queue in one piece. */
static bool
write_front(struct client *c)
{
    struct buf *gather = &c->set->gather;
    const struct frame *one = c->queue[0];
    uint16_t n = 0;
    bool ok;

    if (c->queue_n == 1 || one->len + c->queue[1]->len > CLIENT_WRITE_MAX) {
        ok = c->set->io->write(c, one->bytes, one->len);
        forget_front(c, 1);
        return ok;
    }
    buf_clear(gather);
    while (n < c->queue_n && gather->len + c->queue[n]->len <= CLIENT_WRITE_MAX) {
        buf_add(gather, c->queue[n]->bytes, c->queue[n]->len);
        n++;
    }
    ok = c->set->io->write(c, gather->data, gather->len);
    forget_front(c, n);
    return ok;
}

void
client_flush(struct client *c)
{
    const struct client_io *io = c->set->io;

    while (c->queue_n > 0 && !c->is_cut && !io->is_stuck(c)) {
        if (!write_front(c))
            client_cut(c);
    }
    set_dirty(c, false);
    if (!c->is_cut && (c->queue_n > 0 || c->is_behind))
        io->want_write(c);
}

void
clients_flush(struct clients *set)
{
    while (set->dirty != NULL)
        client_flush(set->dirty);
    if (set->pushes > 0)
        metrics_add(METRIC_WS_PUSHES, set->pushes, 0, 0, 0);
    set->pushes = 0;
}

bool
client_writable(struct client *c)
{
    if (c->is_cut)
        return false;
    client_flush(c);
    if (!c->is_behind || c->queue_n > 0 || c->set->io->is_stuck(c))
        return false;
    c->is_behind = false;
    return c->close_code == 0;
}

void
client_stay_behind(struct client *c)
{
    if (c->is_cut || c->close_code != 0)
        return;
    c->is_behind = true;
    c->set->io->want_write(c);
}

static void
beat(struct client *c, int64_t now_ms, int64_t timeout_ms)
{
    int64_t patience = c->close_code != 0 ? CLIENT_CLOSE_MS : timeout_ms;

    if (now_ms - c->heard_ms >= patience)
        client_cut(c);
    else
        client_answer(c, c->set->ping);
}

void
clients_beat(struct clients *set, int64_t now_ms, int64_t timeout_ms)
{
    struct client *c;
    int first;
    int n = heartbeat_due(&set->wheel, now_ms, &first);

    for (int i = 0; i < n; i++)
        DL_FOREACH2(set->slots[(first + i) % set->wheel.slots], c, slot_next)
    beat(c, now_ms, timeout_ms);
}
