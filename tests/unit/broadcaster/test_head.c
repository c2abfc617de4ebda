#include "broadcaster/head.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GET "GET /ws HTTP/1.1\r\nHost: a\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define TEN(x) x x x x x x x x x x

static const struct {
    const char *head;
    enum head_rc rc;
} rows[] = {
    { GET "\r\n", HEAD_SOUND },
    { GET UP KEY "\r\n", HEAD_SOUND },
    { GET "upgrade:WebSocket\r\nCONNECTION:\tkeep-alive ,upgrade\t\r\n" KEY "\r\n",
      HEAD_SOUND },
    { GET "Connection: keep-alive\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY "\r\n",
      HEAD_SOUND },
    { GET UP KEY "Content-Length: 0\r\n\r\n", HEAD_SOUND },
    { GET UP KEY "X: caf\xc3\xa9\tx\r\nY:\r\n\r\n", HEAD_SOUND },
    { "GET http://a/ws?a=%20 HTTP/1.1\nHost: a\r\n" UP KEY "\r\n", HEAD_SOUND },
    { "POST /health HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", HEAD_SOUND },
    { "POST /ws HTTP/1.1\r\n" UP "\r\n", HEAD_SOUND }, /* wants nothing of ours */
    { "GET /health HTTP/1.0\r\n\r\n", HEAD_SOUND },
    { "GET /ws?" TEN(TEN("a&b=&&")) " HTTP/1.1\r\n\r\n", HEAD_SOUND },
    { GET "Sec-WebSocket-Protocol: " TEN(TEN("aaaaaaaaaaaaa,")) "\r\n\r\n", HEAD_SOUND },
    /* not whole */
    { "", HEAD_LARGE },
    { "\r\n", HEAD_LARGE },
    { GET UP KEY, HEAD_LARGE },
    { GET UP KEY TEN(TEN("X: y\r\n")) "\r\n", HEAD_LARGE },
    { "\r\n\r\n", HEAD_BAD },
    /* keys */
    { GET UP "\r\n", HEAD_BAD },
    { GET UP KEY KEY "\r\n", HEAD_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", HEAD_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n", HEAD_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n", HEAD_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA==\r\n\r\n", HEAD_BAD },
    { GET UP "Sec-WebSocket-Key:\r\n\r\n", HEAD_BAD },
    /* ways to ask */
    { GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY "\r\n", HEAD_BAD },
    { GET "Upgrade: x, websocket\r\nConnection: Upgrade\r\n" KEY "\r\n", HEAD_BAD },
    { GET UP "Upgrade: websocket\r\n" KEY "\r\n", HEAD_BAD },
    { GET "Upgrade: websocket\r\n" KEY "\r\n", HEAD_BAD },
    { GET "Upgrade: websocket\r\nConnection: upgraded\r\n" KEY "\r\n", HEAD_BAD },
    { GET UP KEY "Content-Length: 1\r\n\r\n", HEAD_BAD },
    { GET UP KEY "Transfer-Encoding: chunked\r\n\r\n", HEAD_BAD },
    { "GET /ws HTTP/1.0\r\nHost: a\r\n" UP KEY "\r\n", HEAD_BAD },
    { "GET /ws HTTP/1.1\r\n" UP KEY "\r\n", HEAD_BAD }, /* no Host */
    /* what two programs may read differently */
    { GET "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", HEAD_BAD },
    { GET "Host: b\r\n\r\n", HEAD_BAD },
    { GET "Authorization: a\r\nauthorization: b\r\n\r\n", HEAD_BAD },
    { GET "X: a\r\n b\r\n\r\n", HEAD_BAD },
    { GET "X:\r\n\tb\r\n\r\n", HEAD_BAD },
    { "GET /ws HTTP/1.1\r\nHost : a\r\n\r\n", HEAD_BAD },
    { GET "no colon\r\n\r\n", HEAD_BAD },
    /* bytes */
    { "GET /ws?token=%00 HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "GET /ws?sessionId=a%0 HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "GET /ws?delta=%zz HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "GET /%00 HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "GET ws HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "CONNECT a:80 HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "BREW /ws HTTP/1.1\r\n\r\n", HEAD_BAD },
    { "GET /ws HTTP/9\r\n\r\n", HEAD_BAD },
    { GET "X: a\rY: b\r\n\r\n", HEAD_BAD },
    { GET "X: a\x7f\r\n\r\n", HEAD_BAD },
    { GET "X: \1\r\n\r\n", HEAD_BAD },
    { "\x16\x03\x01\r\n\r\n", HEAD_BAD },
};

static struct head head;

static enum head_rc
read_text(const char *s)
{
    return head_read(&head, s, strlen(s));
}

static void
heads_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (read_text(rows[i].head) != rows[i].rc)
            fail_msg("row %zu: %s", i, rows[i].head);
}

static void
a_nul_is_seen(void **state)
{
    static const char text[] = GET "X: a\0b\r\n\r\n";

    (void)state;
    assert_int_equal(head_read(&head, text, sizeof(text) - 1), HEAD_BAD);
}

static void
what_it_says_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(
            "GET /ws?x=1&sessionId=%61b&token=t%2Et&delta=1&token=second HTTP/1.1\r\n"
            "hOST:  a:3000 \r\n" UP KEY "Origin: http://o\r\nAuthorization: Bearer x\r\n"
            "Sec-WebSocket-Version: 13\r\nX-Forwarded-For: 1.1.1.1\r\nX: y\r\n"
            "Sec-WebSocket-Protocol: synckairos.v1\r\nX-Forwarded-For: 2.2.2.2,3.3.3.3\r\n"
            "X-Synckairos-Peer: 192.0.2.9\r\nSec-WebSocket-Protocol:bearer.b\r\n\r\n"),
        HEAD_SOUND);
    assert_int_equal(head.method, HEAD_GET);
    assert_string_equal(head.a.path, "/ws");
    assert_string_equal(head.a.session_id, "ab");
    assert_string_equal(head.a.query_token, "t.t");
    assert_true(head.delta);
    assert_string_equal(head.a.host, "a:3000");
    assert_string_equal(head.a.origin, "http://o");
    assert_string_equal(head.a.authorization, "Bearer x");
    assert_string_equal(head.a.version, "13");
    assert_string_equal(head.a.subprotocol, "synckairos.v1, bearer.b");
    assert_string_equal(head.forwarded_for, "1.1.1.1, 2.2.2.2,3.3.3.3");
    assert_string_equal(head.said_peer, "192.0.2.9");
    assert_string_equal(head.key, "dGhlIHNhbXBsZSBub25jZQ==");
}

static void
what_it_does_not_say_is_null(void **state)
{
    (void)state;
    assert_int_equal(read_text("HEAD /?sessionid=a&delta=2&token HTTP/1.1\r\n\r\n"),
                     HEAD_SOUND);
    assert_int_equal(head.method, HEAD_HEAD);
    assert_string_equal(head.a.path, "/");
    assert_false(head.delta);
    assert_null(head.a.session_id);
    assert_null(head.a.query_token);
    assert_null(head.a.host);
    assert_null(head.a.subprotocol);
    assert_null(head.key);
    assert_int_equal(read_text("PUT /x HTTP/1.1\r\n" UP KEY "\r\n"), HEAD_SOUND);
    assert_int_equal(head.method, HEAD_OTHER);
    assert_null(head.key);
}

/* As long as a head may be, in the ways that take the most room when it is taken apart. */
static void
the_longest_heads_fit(void **state)
{
    static const char *const starts[] = { GET "Origin: ", "GET /ws?token=", GET UP KEY "Host" };
    static const char *const ends[] = { "\r\n\r\n", " HTTP/1.1\r\n\r\n", ": x\r\n\r\n" };
    static char text[HEAD_MAX + 1];
    struct buf lists;

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(starts[i]), tail = strlen(ends[i]);

        memset(text, 'a', HEAD_MAX);
        memcpy(text, starts[i], n);
        memcpy(text + HEAD_MAX - tail, ends[i], tail + 1);
        assert_int_equal(head_read(&head, text, HEAD_MAX), HEAD_SOUND);
    }
    /* nothing but lists of nothing */
    buf_init(&lists, HEAD_MAX);
    buf_str(&lists, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < HEAD_FIELDS_MAX; i++)
        buf_str(&lists, "Connection:\r\n");
    buf_str(&lists, "\r\n");
    assert_int_equal(head_read(&head, lists.data, lists.len), HEAD_SOUND);
    buf_fini(&lists);
}

static void
whose_request_it_is(void **state)
{
    static const struct {
        const char *fields, *peer, *client;
    } table[] = {
        { "", "192.0.2.1", "192.0.2.1" },
        { "", "", "unknown" },
        /* only a web server on this host is believed */
        { "X-Synckairos-Peer: 192.0.2.9\r\n", "127.0.0.1", "192.0.2.9" },
        { "X-Synckairos-Peer: 192.0.2.9\r\n", "::1", "192.0.2.9" },
        { "X-Synckairos-Peer: 192.0.2.9\r\n", "192.0.2.1", "192.0.2.1" },
        { "X-Forwarded-For: 192.0.2.9\r\n", "127.0.0.1", "127.0.0.1" },
        { "X-Forwarded-For: 192.0.2.9\r\n", "10.0.0.1", "192.0.2.9" },
        { "X-Synckairos-Peer: 10.0.0.1\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.9\r\n", "127.0.0.1",
          "192.0.2.9" },
    };
    struct proxy_list proxies;
    char text[256], out[ADDRESS_MAX];

    (void)state;
    assert_int_equal(proxy_list_parse("10.0.0.0/8", &proxies, NULL), RC_OK);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        snprintf(text, sizeof(text), GET "%s\r\n", table[i].fields);
        assert_int_equal(read_text(text), HEAD_SOUND);
        head_client(&head, table[i].peer, &proxies, out);
        assert_string_equal(out, table[i].client);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_judged),      cmocka_unit_test(a_nul_is_seen),
        cmocka_unit_test(what_it_says_is_read),  cmocka_unit_test(what_it_does_not_say_is_null),
        cmocka_unit_test(the_longest_heads_fit), cmocka_unit_test(whose_request_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
