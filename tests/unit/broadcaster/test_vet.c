#include "broadcaster/vet.h"

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
    enum vet vet;
} rows[] = {
    { GET "\r\n", VET_SOUND },
    { GET UP KEY "\r\n", VET_SOUND },
    { GET "upgrade:WebSocket\r\nCONNECTION:\tkeep-alive ,upgrade\t\r\n" KEY "\r\n", VET_SOUND },
    { GET UP KEY "Content-Length: 0\r\n\r\n", VET_SOUND },
    { GET UP KEY "X: caf\xc3\xa9\tx\r\n\r\n", VET_SOUND },
    { "GET /ws?a=%20 HTTP/1.1\n" UP KEY "\r\n\r\n", VET_SOUND },
    { "POST /health HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", VET_SOUND },
    /* not whole */
    { "", VET_LARGE },
    { "\r\n", VET_LARGE },
    { GET UP KEY, VET_LARGE },
    { GET UP KEY TEN(TEN("X: y\r\n")) "\r\n", VET_LARGE },
    /* keys */
    { GET UP "\r\n", VET_BAD },
    { GET UP KEY KEY "\r\n", VET_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n", VET_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n\r\n", VET_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n", VET_BAD },
    { GET UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA==\r\n\r\n", VET_BAD },
    { GET UP "Sec-WebSocket-Key:\r\n\r\n", VET_BAD },
    /* ways to ask */
    { GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY "\r\n", VET_BAD },
    { GET "Upgrade: x, websocket\r\nConnection: Upgrade\r\n" KEY "\r\n", VET_BAD },
    { GET UP "Upgrade: websocket\r\n" KEY "\r\n", VET_BAD },
    { GET "Upgrade: websocket\r\n" KEY "\r\n", VET_BAD },
    { GET "Upgrade: websocket\r\nConnection: upgraded\r\n" KEY "\r\n", VET_BAD },
    { GET UP KEY "Content-Length: 1\r\n\r\n", VET_BAD },
    { GET UP KEY "Transfer-Encoding: chunked\r\n\r\n", VET_BAD },
    { GET UP KEY "Sec-WebSocket-Protocol: " TEN("aaaaaaaaaaaaa") "\r\n\r\n", VET_BAD },
    /* bytes */
    { "GET /ws?a=%00 HTTP/1.1\r\n\r\n", VET_BAD },
    { "GET /ws?" TEN("a&b&c&d&") " HTTP/1.1\r\n\r\n", VET_BAD },
    { GET "X: a\rY: b\r\n\r\n", VET_BAD },
    { GET "X: a\x7f\r\n\r\n", VET_BAD },
    { "\x16\x03\x01\r\n\r\n", VET_BAD },
};

static void
heads_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (vet_head(rows[i].head, strlen(rows[i].head)) != rows[i].vet)
            fail_msg("row %zu: %s", i, rows[i].head);
}

static void
a_nul_is_seen(void **state)
{
    static const char head[] = GET "X: a\0b\r\n\r\n";

    (void)state;
    assert_int_equal(vet_head(head, sizeof(head) - 1), VET_BAD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_judged),
        cmocka_unit_test(a_nul_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
