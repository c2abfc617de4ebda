#include "broadcaster/talk.h"

#include "broadcaster/hub.h"
#include "broadcaster/pass.h"
#include "broadcaster/server_clock.h"
#include "common/conf.h"
#include "fake.h"
#include "tests/lib/client_frame.h"

#include <unistd.h>

static struct clients set;
static struct hub *hub;
static struct server_clock server;
static struct talk talk;
static struct conf conf = { .key_prefix = "t:" };

static void
on_channel(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
}

static bool
on_load(void *ctx, struct watch **ws, size_t n)
{
    (void)ctx;
    (void)ws;
    (void)n;
    return false;
}

static int64_t
on_now(void *ctx)
{
    (void)ctx;
    return T0;
}

static int
begin(void **state)
{
    const struct hub_calls calls = {
        .subscribe = on_channel, .unsubscribe = on_channel, .load = on_load, .now_ms = on_now
    };

    (void)state;
    clients_init(&set, &fake_io, 1000, 0);
    hub = hub_new(&calls, 10);
    server_clock_init(&server);
    server_clock_sample(&server, 0, 0, T0 * 1000);
    talk_init(&talk, hub, &server, &(struct limit_rule){ 100, 60000, 0 });
    talk.passes = passes_new(&conf, NULL, &set, &(struct pass_calls){ .now_ms = on_now });
    return 0;
}

static int
end(void **state)
{
    (void)state;
    passes_free(talk.passes);
    talk_fini(&talk);
    hub_free(hub);
    clients_fini(&set);
    return 0;
}

static struct fake *
hello(const char *id)
{
    struct fake *f = fake_open(&set, 0);

    talk_hello(&talk, &f->c, id, false);
    return f;
}

static void
bye(struct fake *f)
{
    hub_leave(hub, &f->c);
    fake_close(f);
}

/* One frame of a message. */
static bool
say(struct fake *f, unsigned first, const char *s, size_t len)
{
    static unsigned char bytes[TALK_MESSAGE_MAX + 64];

    return talk_read(&talk, &f->c, bytes, client_frame(bytes, first, s, len));
}

static void
piece(struct fake *f, const char *s, bool last)
{
    unsigned op = f->c.reader.in_message ? 0 : FRAME_TEXT;

    assert_true(say(f, (last ? 0x80 : 0) | op, s, strlen(s)));
}

static const char *
got(struct fake *f)
{
    clients_flush(&set);
    return fake_words(f);
}

static void
greeting(void **state)
{
    struct fake *f = hello(SID);
    struct fake *bare = hello(NULL);

    (void)state;
    assert_non_null(f->c.subs);
    assert_null(bare->c.subs);
    assert_string_equal(got(f), "CONNECTED");
    assert_string_equal(got(bare), "CONNECTED");
    bye(f);
    bye(bare);
}

static void
a_ping_is_answered_at_once_with_ordered_stamps(void **state)
{
    struct fake *f = hello(SID);
    struct json_object *json, *v;
    size_t pos = 0;
    struct got g = { 0 };
    int64_t receive, transmit;
    char *text;

    (void)state;
    piece(f, "{\"type\":\"PING\",\"timestamp\":5}", true);
    /* without a flush of the turn; what was queued before went first, by itself */
    assert_int_equal(f->writes, 2);
    assert_true(fake_frame(f, &pos, &g));
    assert_true(fake_frame(f, &pos, &g));
    text = strndup(g.payload, g.len);
    json = json_tokener_parse(text);
    assert_true(json_object_object_get_ex(json, "receive_us", &v));
    receive = json_object_get_int64(v);
    assert_true(json_object_object_get_ex(json, "transmit_us", &v));
    transmit = json_object_get_int64(v);
    assert_true(receive > T0 * 1000 && receive <= transmit && transmit < receive + 100000);
    assert_true(json_object_object_get_ex(json, "client_timestamp", &v));
    assert_int_equal(json_object_get_int64(v), 5);
    json_object_put(json);
    free(text);
    bye(f);
}

static bool
pong_says_away(struct fake *f)
{
    struct got g = { 0 };
    size_t pos = 0;

    piece(f, "{\"type\":\"PING\"}", true);
    assert_true(fake_frame(f, &pos, &g));
    return memmem(g.payload, g.len, "\"store\":\"unavailable\"", 21) != NULL;
}

static void
a_pong_says_that_the_store_is_away(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    assert_false(pong_says_away(f));
    got(f);
    talk.store_is_away = true;
    assert_true(pong_says_away(f));
    got(f);
    talk.store_is_away = false;
    assert_false(pong_says_away(f));
    bye(f);
}

static void
messages_in_pieces(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    piece(f, "{\"ty", false);
    piece(f, "pe\":\"PI", false);
    piece(f, "NG\"}", true);
    assert_string_equal(got(f), "PONG");
    assert_null(f->c.rx);
    piece(f, "{\"type\":", false);
    piece(f, "\"PING\"}", false);
    piece(f, "", true);
    assert_string_equal(got(f), "PONG");
    piece(f, "", true);
    assert_string_equal(got(f), "ERROR:INVALID_MESSAGE");
    piece(f, "{\"type\":\"unfini", false);
    bye(f); /* frees what it has of it */
}

static void
too_long_closes_1009(void **state)
{
    static char text[TALK_MESSAGE_MAX + 2];
    struct fake *f = hello(SID), *g = hello(SID), *h = hello(SID);

    (void)state;
    got(f);
    memset(text, ' ', TALK_MESSAGE_MAX);
    memcpy(text, "{\"type\":\"PING\"}", 15);
    piece(f, text, true); /* just fits */
    assert_string_equal(got(f), "PONG");
    text[TALK_MESSAGE_MAX] = ' ';
    piece(f, text, true);
    assert_string_equal(got(f), "close:1009");
    got(g);
    text[TALK_MESSAGE_MAX] = '\0';
    piece(g, text, false);
    piece(g, "x", false);
    piece(g, "x", true);
    assert_string_equal(got(g), "close:1009");
    got(h);
    bye(f);
    bye(g);
    bye(h);
}

static void
what_is_wrong_is_said(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    piece(f, "nonsense", true);
    assert_string_equal(got(f), "ERROR:INVALID_MESSAGE");
    piece(f, "{\"type\":\"DANCE\"}", true);
    assert_string_equal(got(f), "ERROR:UNKNOWN_TYPE");
    piece(f, "{\"type\":\"RECONNECT\",\"sessionId\":\"" ANNA "\"}", true);
    assert_string_equal(got(f), "ERROR:NOT_SUBSCRIBED");
    assert_true(say(f, 0x82, "{\"type\":\"PING\"}", 15));
    assert_string_equal(got(f), "ERROR:INVALID_MESSAGE");
    bye(f);
    f = hello(NULL);
    got(f);
    piece(f, "{\"type\":\"RECONNECT\"}", true);
    assert_string_equal(got(f), "ERROR:NOT_SUBSCRIBED");
    bye(f);
}

static void
many_sessions(void **state)
{
    struct fake *f = hello(NULL);

    (void)state;
    got(f);
    piece(f, "{\"type\":\"SUBSCRIBE\",\"sessionId\":\"" SID "\"}", true);
    assert_string_equal(got(f), "SUBSCRIBED");
    assert_non_null(f->c.subs);
    piece(f, "{\"type\":\"UNSUBSCRIBE\",\"sessionId\":\"" SID "\"}", true);
    assert_string_equal(got(f), "UNSUBSCRIBED");
    assert_null(f->c.subs);
    /* a good message that cannot be followed is not malformed: it closes nothing */
    for (int i = 0; i <= 2 * TALK_FAULTS_PER_MINUTE; i++) {
        piece(f, "{\"type\":\"UNSUBSCRIBE\",\"sessionId\":\"" SID "\"}", true);
        assert_string_equal(got(f), "ERROR:NOT_SUBSCRIBED");
    }
    bye(f);
}

static void
broken_utf8_closes_1007(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    assert_true(say(f, 0x81, "{\"type\":\"PING\"}\0", 16));
    assert_string_equal(got(f), "ERROR:INVALID_MESSAGE");
    piece(f, "{\"type\":\"PING\",\"x\":\"\xc3(\"}", true);
    assert_string_equal(got(f), "close:1007");
    bye(f);
}

static void
pings_are_answered_in_order(void **state)
{
    struct fake *f = hello(SID);
    size_t pos = 0;
    struct got g = { 0 };

    (void)state;
    got(f);
    buf_clear(&f->out);
    assert_true(say(f, 0x89, "first", 5));
    assert_true(say(f, 0x8a, "unasked", 7));
    assert_true(say(f, 0x89, "", 0));
    clients_flush(&set);
    assert_true(fake_frame(f, &pos, &g));
    assert_int_equal(g.opcode, FRAME_PONG);
    assert_int_equal(g.len, 5);
    assert_memory_equal(g.payload, "first", 5);
    assert_true(fake_frame(f, &pos, &g));
    assert_int_equal(g.opcode, FRAME_PONG);
    assert_int_equal(g.len, 0);
    assert_false(fake_frame(f, &pos, &g));
    bye(f);
}

static void
a_close_is_answered_and_ends_it(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    assert_false(say(f, 0x88, "\x0f\xa0no", 4));      /* 4000 */
    assert_string_equal(fake_words(f), "close:4000"); /* without a flush of the turn */
    assert_false(say(f, 0x81, "{\"type\":\"PING\"}", 15));
    assert_string_equal(got(f), "");
    bye(f);
}

static void
an_invalid_frame_closes_1002(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    assert_false(talk_read(&talk, &f->c, "\x81\x02hi", 4));
    assert_string_equal(fake_words(f), "close:1002");
    assert_false(say(f, 0x81, "{\"type\":\"PING\"}", 15));
    assert_string_equal(got(f), "");
    bye(f);
}

static void
the_eleventh_error_closes_1008(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    for (int i = 0; i < TALK_FAULTS_PER_MINUTE; i++) {
        piece(f, "?", true);
        assert_string_equal(got(f), "ERROR:INVALID_MESSAGE");
    }
    piece(f, "?", true);
    assert_string_equal(got(f), "close:1008");
    piece(f, "{\"type\":\"PING\"}", true);
    assert_string_equal(got(f), "");
    bye(f);
}

static void
the_hundred_and_first_message_closes_1008(void **state)
{
    struct fake *f = hello(SID);

    (void)state;
    got(f);
    for (int i = 0; i < 100; i++) {
        piece(f, "{\"type\":\"PING\"}", true);
        assert_string_equal(got(f), "PONG");
    }
    piece(f, "{\"type\":\"PING\"}", true);
    assert_string_equal(got(f), "close:1008");
    bye(f);
}

static void
unless_limits_are_off(void **state)
{
    struct fake *f;

    (void)state;
    talk.messages.count = 0;
    f = hello(SID);
    got(f);
    for (int i = 0; i < 5 * 100; i++)
        piece(f, "{\"type\":\"PING\"}", true);
    assert_int_equal(f->c.close_code, 0);
    bye(f);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(greeting),
        TEST(a_ping_is_answered_at_once_with_ordered_stamps),
        TEST(a_pong_says_that_the_store_is_away),
        TEST(messages_in_pieces),
        TEST(pings_are_answered_in_order),
        TEST(a_close_is_answered_and_ends_it),
        TEST(an_invalid_frame_closes_1002),
        TEST(too_long_closes_1009),
        TEST(what_is_wrong_is_said),
        TEST(many_sessions),
        TEST(broken_utf8_closes_1007),
        TEST(the_eleventh_error_closes_1008),
        TEST(the_hundred_and_first_message_closes_1008),
        TEST(unless_limits_are_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
