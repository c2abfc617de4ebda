#include "subscriber.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/log.h"
#include "link.h"

#include <hiredis/hiredis.h>

#define PING_MS 500
#define PINGS_MAX 3
#define OUT_MAX (128 * 1024)
#define OUT_FLUSH (64 * 1024)

struct subscriber {
    struct subscriber_calls calls;
    const char *prefix;
    struct link *link;
    uv_timer_t timer;
    int64_t pinged_us; /* what link_heard_us said at the last ping */
    int pings;         /* without a sign of life since */
    struct buf out;
    struct key wake[KEYS_PARTITIONS], revoked;
};

static void
append(struct subscriber *s, const char *command, const struct key *channel)
{
    buf_printf(&s->out, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(command), command, channel->len);
    buf_add(&s->out, channel->s, channel->len);
    buf_str(&s->out, "\r\n");
    if (s->out.len > OUT_FLUSH)
        subscriber_pump(s);
}

void
subscriber_pump(struct subscriber *s)
{
    if (s->out.len == 0)
        return;
    link_push(s->link, s->out.data, s->out.len);
    buf_clear(&s->out);
}

void
subscriber_subscribe(struct subscriber *s, const char *id)
{
    struct key channel = keys_channel(s->prefix, id);

    append(s, "SUBSCRIBE", &channel);
}

void
subscriber_unsubscribe(struct subscriber *s, const char *id)
{
    struct key channel = keys_channel(s->prefix, id);

    append(s, "UNSUBSCRIBE", &channel);
}

static void
ping(struct subscriber *s)
{
    static const char wire[] = "*1\r\n$4\r\nPING\r\n";

    s->pinged_us = link_heard_us(s->link);
    link_push(s->link, wire, sizeof(wire) - 1);
}

static void
on_ping_timer(uv_timer_t *timer)
{
    struct subscriber *s = timer->data;

    if (!link_is_up(s->link))
        return;
    /* counted in pings, not in time: a stall of this process is no silence of Redis */
    s->pings = link_heard_us(s->link) != s->pinged_us ? 0 : s->pings + 1;
    if (s->pings >= PINGS_MAX)
        link_fail(s->link, "no sign of life");
    else
        ping(s);
}

static void
on_up(void *ctx)
{
    struct subscriber *s = ctx;

    buf_clear(&s->out);
    s->pings = 0;
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        append(s, "SUBSCRIBE", &s->wake[i]);
    append(s, "SUBSCRIBE", &s->revoked);
    s->calls.up(s->calls.ctx);
    subscriber_pump(s);
    ping(s);
}

static void
on_lost(void *ctx)
{
    struct subscriber *s = ctx;

    buf_clear(&s->out);
    s->calls.lost(s->calls.ctx);
}

static bool
is_text(const redisReply *r, const char *text)
{
    return r->type == REDIS_REPLY_STRING && r->len == strlen(text) &&
           memcmp(r->str, text, r->len) == 0;
}

static void
on_message(struct subscriber *s, const redisReply *channel, const redisReply *payload)
{
    char id[ID_LEN + 1];

    if (keys_channel_id(channel->str, channel->len, id)) {
        s->calls.event(s->calls.ctx, id, payload->str, payload->len);
        return;
    }
    if (is_text(channel, s->revoked.s)) {
        s->calls.revoked(s->calls.ctx, payload->str, payload->len);
        return;
    }
    for (int i = 0; i < KEYS_PARTITIONS; i++) {
        if (s->wake[i].len == channel->len &&
            memcmp(s->wake[i].s, channel->str, channel->len) == 0) {
            if (is_text(payload, "life"))
                s->calls.life(s->calls.ctx, i);
            s->calls.wake(s->calls.ctx, i);
            return;
        }
    }
}

static void
on_push(void *ctx, const redisReply *reply)
{
    struct subscriber *s = ctx;
    const redisReply *kind, *channel;
    char id[ID_LEN + 1];

    if (reply->type == REDIS_REPLY_ERROR) {
        link_fail(s->link, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return; /* the answer to a ping */
    kind = reply->element[0];
    channel = reply->element[1];
    if (channel->type != REDIS_REPLY_STRING)
        return;
    if (is_text(kind, "message") && reply->element[2]->type == REDIS_REPLY_STRING)
        on_message(s, channel, reply->element[2]);
    else if (is_text(kind, "subscribe") && keys_channel_id(channel->str, channel->len, id))
        s->calls.subscribed(s->calls.ctx, id);
    else if (is_text(kind, "unsubscribe") && keys_channel_id(channel->str, channel->len, id))
        s->calls.unsubscribed(s->calls.ctx, id);
}

struct subscriber *
subscriber_new(uv_loop_t *loop, const struct conf *conf, const struct subscriber_calls *calls)
{
    struct subscriber *s = xalloc(sizeof(*s));
    const struct link_calls link_calls = {
        .up = on_up, .lost = on_lost, .push = on_push, .ctx = s
    };

    s->calls = *calls;
    s->prefix = conf->key_prefix;
    buf_init(&s->out, OUT_MAX);
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        s->wake[i] = keys_wake(s->prefix, i);
    s->revoked = keys_revoked_channel(s->prefix);
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_ping_timer, PING_MS, PING_MS);
    s->link = link_new(loop, conf, "synckairos-subscriber", &link_calls);
    return s;
}

static void
on_closed(uv_handle_t *handle)
{
    struct subscriber *s = handle->data;

    buf_fini(&s->out);
    free(s);
}

void
subscriber_close(struct subscriber *s)
{
    if (s == NULL)
        return;
    link_close(s->link);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

bool
subscriber_is_up(const struct subscriber *s)
{
    return link_is_up(s->link);
}
