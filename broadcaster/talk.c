#include "talk.h"

#include "client.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/metrics.h"
#include "frame.h"
#include "hub.h"
#include "pass.h"
#include "protocol.h"
#include "server_clock.h"

#include <limits.h>

#define MINUTE_MS 60000

void
talk_init(struct talk *t, struct hub *hub, const struct server_clock *clock,
          const struct limit_rule *messages)
{
    *t = (struct talk){ .hub = hub, .clock = clock };
    if (messages != NULL)
        t->messages = *messages;
    buf_init(&t->text, 4096);
}

void
talk_fini(struct talk *t)
{
    buf_fini(&t->text);
}

int64_t
talk_now_ms(const struct talk *t)
{
    return server_clock_at(t->clock, clock_mono_us()) / 1000;
}

static void
send_text(struct talk *t, struct client *c)
{
    struct frame *f = frame_new(FRAME_TEXT, t->text.data, t->text.len);

    client_answer(c, f);
    frame_drop(f);
}

void
talk_hello(struct talk *t, struct client *c, const char *id, bool delta)
{
    buf_clear(&t->text);
    protocol_connected(&t->text, id, talk_now_ms(t));
    send_text(t, c);
    pass_greet(t->passes, c);
    if (id != NULL)
        hub_join(t->hub, c, id, delta);
}

static void
pong(struct talk *t, struct client *c, const struct message *m, int64_t received_us)
{
    struct pong p = { .client_timestamp = m->timestamp, .store_is_away = t->store_is_away };

    /* what waits goes first, so that nothing delays the answer after it is stamped */
    client_flush(c);
    p.receive_us = server_clock_at(t->clock, received_us);
    p.transmit_us = server_clock_at(t->clock, clock_mono_us());
    buf_clear(&t->text);
    protocol_pong(&t->text, &p);
    send_text(t, c);
    client_flush(c);
}

static enum fault
on_message(struct talk *t, struct client *c, const struct message *m, int64_t received_us)
{
    switch (m->type) {
    case MESSAGE_PING:
        pong(t, c, m, received_us);
        return FAULT_NONE;
    case MESSAGE_RECONNECT:
        return hub_reconnect(t->hub, c, m);
    case MESSAGE_SUBSCRIBE:
        return hub_subscribe(t->hub, c, m);
    case MESSAGE_UNSUBSCRIBE:
        return hub_unsubscribe(t->hub, c, m);
    case MESSAGE_REFRESH:
        return pass_refresh(t->passes, c, m->token);
    case MESSAGE_NONE:
    case MESSAGE__MAX:
        break;
    }
    return FAULT_INVALID_MESSAGE;
}

static void
complain(struct talk *t, struct client *c, enum fault fault, const char *id)
{
    if (fault_is_malformed(fault) &&
        !meter_hit(&c->faults, clock_mono_ms(), MINUTE_MS, TALK_FAULTS_PER_MINUTE)) {
        client_finish(c, NULL, 1008, "Too many invalid messages");
        return;
    }
    hub_refuse(t->hub, c, fault, id);
}

static bool
may_say_more(const struct talk *t, struct client *c, int64_t now_ms)
{
    int limit = t->messages.count < INT_MAX ? (int)t->messages.count : INT_MAX;

    return limit == 0 || pass_is_unlimited(c) ||
           meter_hit(&c->messages, now_ms, t->messages.window_ms, limit);
}

static void
on_text(struct talk *t, struct client *c, const char *s, size_t len, bool binary)
{
    int64_t received_us = clock_mono_us();
    int64_t now_ms = received_us / 1000;
    struct message m = { .type = MESSAGE_NONE };
    enum fault fault = FAULT_INVALID_MESSAGE;

    if (!may_say_more(t, c, now_ms)) {
        metrics_add(METRIC_LIMIT_REJECTIONS, 1, metric_label_place(METRIC_LIMIT, "ws_messages"),
                    0, 0);
        client_finish(c, NULL, 1008, "Message rate limit exceeded");
        return;
    }
    /* RFC 6455 section 8.1; U+0000 is good UTF-8, and bad JSON */
    if (!binary && !json_utf8_is_valid(s, len) && memchr(s, '\0', len) == NULL) {
        client_finish(c, NULL, 1007, "Invalid UTF-8");
        return;
    }
    if (!binary)
        fault = protocol_parse(s, len, &m);
    if (fault == FAULT_NONE)
        fault = on_message(t, c, &m, received_us);
    if (fault != FAULT_NONE)
        complain(t, c, fault, fault_is_malformed(fault) ? NULL : m.session_id);
    free(m.token);
}

/* Who speaks, and with whom. */
struct heard {
    struct talk *talk;
    struct client *client;
};

static void
keep(struct client *c, const struct piece *p)
{
    if (p->len == 0)
        return;
    c->rx = xrealloc(c->rx, c->rx_len + p->len);
    memcpy(c->rx + c->rx_len, p->data, p->len);
    c->rx_len += (uint32_t)p->len;
}

static void
on_piece(void *ctx, const struct piece *p)
{
    const struct heard *h = ctx;
    struct client *c = h->client;

    if (c->close_code != 0 || c->is_cut)
        return;
    if (c->rx_len + p->len > TALK_MESSAGE_MAX) {
        client_finish(c, NULL, 1009, "Message too big");
        return;
    }
    if (p->last && c->rx_len == 0) {
        on_text(h->talk, c, p->data, p->len, p->binary);
        return;
    }
    keep(c, p);
    if (!p->last)
        return;
    on_text(h->talk, c, c->rx != NULL ? c->rx : "", c->rx_len, p->binary);
    free(c->rx);
    c->rx = NULL;
    c->rx_len = 0;
}

static void
on_control(void *ctx, enum frame_opcode op, const void *payload, size_t len)
{
    struct client *c = ((const struct heard *)ctx)->client;
    struct frame *f;

    if (op == FRAME_CLOSE)
        client_leave(c, payload, len);
    if (op != FRAME_PING)
        return;
    f = frame_new(FRAME_PONG, payload, len);
    client_answer(c, f);
    frame_drop(f);
}

bool
talk_read(struct talk *t, struct client *c, const void *data, size_t len)
{
    struct heard heard = { t, c };
    const struct frame_calls calls = { on_piece, on_control, &heard };

    if (c->close_code == 0)
        c->heard_ms = clock_mono_ms();
    if (!frame_reader_read(&c->reader, &c->set->parser, data, len, &calls))
        client_finish(c, NULL, 1002, "Invalid frame");
    if (c->reader.is_over)
        client_flush(c);
    return !c->reader.is_over;
}
