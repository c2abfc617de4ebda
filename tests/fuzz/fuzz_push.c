/*
 * What comes to a broadcaster's loop: pushes and replies of Redis (servers.h, the first
 * connection is the subscriber's, the second the reader's) and what a client sends, in parts
 * "~C": a flag in the first byte ('.' the end of a message, ',' more of it follows, 'b' binary,
 * '<' a Close) and the bytes. One client that watches a session, with a token; all it is sent
 * is well-formed.
 */
#include "broadcaster/app.h"
#include "broadcaster/frame.h"
#include "broadcaster/hub.h"
#include "broadcaster/pass.h"
#include "broadcaster/reader.h"
#include "broadcaster/subscriber.h"
#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/keys.h"
#include "common/token.h"
#include "fuzz.h"
#include "servers.h"
#include "tests/lib/client_frame.h"

#include <string.h>

#define ID "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
#define EXPIRES_MS 4102444800000
#define TURNS_BEFORE 3 /* until the links are up */
#define TURNS_AFTER 3  /* until what was said last has come to the client */
#define OUT_MAX (64 * 1024 * 1024)

static struct app app;
static struct conf conf;
static struct buf out; /* to the client */
static bool was_shown; /* a state */

/* --- a client whose socket is a buffer --- */

static bool
io_write(struct client *c, const void *p, size_t len)
{
    (void)c;
    buf_add(&out, p, len);
    return true;
}

static bool
io_is_stuck(struct client *c)
{
    (void)c;
    return false;
}

static void
io_nothing(struct client *c)
{
    (void)c;
}

static const struct client_io io = {
    .write = io_write, .is_stuck = io_is_stuck, .want_write = io_nothing, .cut = io_nothing
};

/* What was written is frames, and the texts in them are JSON. */
static void
hold_frames(void)
{
    static const char shown[] = "\"type\":\"STATE_";
    const unsigned char *p = (const unsigned char *)out.data, *end = p + out.len;

    while (p < end) {
        unsigned op = p[0] & 15;
        size_t len = p[1], extra = len == 126 ? 2 : len == 127 ? 8 : 0;
        struct buf text;

        HOLD(p + 2 + extra <= end && (p[0] & 0xf0) == 0x80 && (p[1] & 0x80) == 0);
        if (extra > 0)
            len = 0;
        for (size_t i = 0; i < extra; i++)
            len = len << 8 | p[2 + i];
        p += 2 + extra;
        HOLD(len <= (size_t)(end - p));
        buf_init(&text, OUT_MAX);
        buf_add(&text, (const char *)p, len);
        was_shown = was_shown || memmem(p, len, shown, sizeof(shown) - 1) != NULL;
        if (op == FRAME_TEXT)
            fuzz_hold_shown(&text);
        buf_fini(&text);
        p += len;
    }
    buf_clear(&out);
}

/* --- the parts of the loop (broadcaster/loop.c), without sockets and threads --- */

static void
call_subscribe(void *ctx, const char *id)
{
    (void)ctx;
    subscriber_subscribe(app.subscriber, id);
}

static void
call_unsubscribe(void *ctx, const char *id)
{
    (void)ctx;
    subscriber_unsubscribe(app.subscriber, id);
}

static bool
call_load(void *ctx, struct watch **ws, size_t n)
{
    (void)ctx;
    return reader_load(app.reader, app.hub, ws, n);
}

static int64_t
call_now_ms(void *ctx)
{
    (void)ctx;
    return talk_now_ms(&app.talk);
}

static bool
call_ask(void *ctx, struct redis_batch *b, link_done *done, void *arg)
{
    (void)ctx;
    return reader_ask(app.reader, b, done, arg);
}

static bool
call_is_up(void *ctx)
{
    (void)ctx;
    return reader_is_up(app.reader);
}

static void
on_up(void *ctx)
{
    (void)ctx;
    passes_link_up(app.passes);
    hub_link_up(app.hub);
}

static void
on_lost(void *ctx)
{
    (void)ctx;
    hub_link_lost(app.hub);
}

static void
on_event(void *ctx, const char *id, const char *payload, size_t len)
{
    (void)ctx;
    hub_event(app.hub, id, payload, len);
}

static void
on_subscribed(void *ctx, const char *id)
{
    (void)ctx;
    hub_subscribed(app.hub, id);
}

static void
on_unsubscribed(void *ctx, const char *id)
{
    (void)ctx;
    hub_unsubscribed(app.hub, id);
}

static void
on_wake(void *ctx, int partition)
{
    (void)ctx;
    HOLD(partition >= 0 && partition < KEYS_PARTITIONS);
}

static void
on_life(void *ctx, int partition)
{
    (void)ctx;
    hub_life_began(app.hub, partition);
}

static void
on_revoked(void *ctx, const char *message, size_t len)
{
    (void)ctx;
    passes_revoked(app.passes, message, len);
}

static const struct hub_calls hub_calls = { .subscribe = call_subscribe,
                                            .unsubscribe = call_unsubscribe,
                                            .load = call_load,
                                            .now_ms = call_now_ms };
static const struct pass_calls pass_calls = { .ask = call_ask,
                                              .is_up = call_is_up,
                                              .now_ms = call_now_ms };
static const struct subscriber_calls subscriber_calls = { .up = on_up,
                                                          .lost = on_lost,
                                                          .event = on_event,
                                                          .subscribed = on_subscribed,
                                                          .unsubscribed = on_unsubscribed,
                                                          .wake = on_wake,
                                                          .life = on_life,
                                                          .revoked = on_revoked };

static void
begin(struct client *c)
{
    const struct token token = {
        .sub = "somebody", .sid = "login", .jti = "1", .exp_ms = EXPIRES_MS
    };

    conf = servers_conf();
    app.conf = &conf;
    buf_init(&out, OUT_MAX);
    was_shown = false;
    HOLD(uv_loop_init(&app.uv) == 0);
    HOLD(token_keys_new(&conf, &app.tokens, NULL) == RC_OK);
    server_clock_init(&app.clock);
    clients_init(&app.clients, &io, 10000, clock_mono_ms());
    app.hub = hub_new(&hub_calls, 100);
    app.passes = passes_new(&conf, app.tokens, &app.clients, &pass_calls);
    talk_init(&app.talk, app.hub, &app.clock, &conf.rate_limit_ws_messages);
    app.talk.passes = app.passes;
    client_open(c, &app.clients, clock_mono_ms());
    pass_take(app.passes, c, &token, "192.0.2.1");
    talk_hello(&app.talk, c, ID, true);
    app.subscriber = subscriber_new(&app.uv, &conf, &subscriber_calls);
    app.reader = reader_new(&app.uv, &conf, &app.clock);
}

static void
end(struct client *c)
{
    hub_leave(app.hub, c);
    pass_leave(app.passes, c);
    client_gone(c);
    subscriber_close(app.subscriber);
    reader_close(app.reader);
    uv_run(&app.uv, UV_RUN_DEFAULT);
    HOLD(uv_loop_close(&app.uv) == 0);
    hub_free(app.hub);
    passes_free(app.passes);
    token_keys_free(app.tokens);
    talk_fini(&app.talk);
    clients_fini(&app.clients);
    buf_fini(&out);
}

/* The first byte of what a client says is what it is: a message, or its parts (','), in binary
 * ('b'), a Close ('<'), a ping ('p'); anything is allowed behind '!'. */
static bool
client_says(struct client *c)
{
    static const struct {
        char sign;
        unsigned char first;
    } kinds[] = { { ',', 0x01 }, { 'b', 0x82 }, { '<', 0x88 }, { 'p', 0x89 } };
    size_t len;
    const char *s = servers_client(&len);
    unsigned char first = 0x81, *bytes;

    if (s == NULL)
        return false;
    if (len-- == 0 || c->is_cut)
        return true;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (*s == kinds[i].sign)
            first = kinds[i].first;
    if (c->reader.in_message && (first & 0x0f) < FRAME_CLOSE)
        first &= 0x80; /* it goes on */
    if (*s == '!') {
        bytes = xalloc(len + (len == 0));
        memcpy(bytes, s + 1, len);
    } else {
        unsigned char *room = xalloc(len + CLIENT_FRAME_HEAD_MAX);

        len = client_frame(room, first, s + 1, len);
        bytes = xalloc(len);
        memcpy(bytes, room, len);
        free(room);
    }
    (void)!talk_read(&app.talk, c, bytes, len);
    free(bytes);
    return true;
}

static void
turn(void)
{
    hub_pump(app.hub);
    passes_pump(app.passes);
    subscriber_pump(app.subscriber);
    clients_flush(&app.clients);
    uv_run(&app.uv, UV_RUN_NOWAIT);
}

bool
fuzz_take(const char *s, size_t len)
{
    struct client c = { .socket = NULL };
    bool more = true;

    servers_begin(s, len, true);
    begin(&c);
    for (int i = 0; i < TURNS_BEFORE; i++)
        turn();
    for (int left = TURNS_AFTER; left > 0; left -= !more) {
        turn();
        more = servers_turn();
        more = client_says(&c) || more;
    }
    hub_tick(app.hub);
    passes_tick(app.passes);
    turn();
    clients_flush(&app.clients);
    hold_frames();
    end(&c);
    servers_end();
    return was_shown;
}
