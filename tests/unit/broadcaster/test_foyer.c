#include "broadcaster/foyer.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GET "GET /ws HTTP/1.1\r\nHost: a\r\n"
#define P "Sec-WebSocket-Protocol:"

static const struct {
    const char *head, *rewritten; /* NULL: as it is */
} rows[] = {
    { GET "\r\n", NULL },
    { GET P " synckairos.v1\r\n\r\n", NULL },
    { GET P " synckairos.v1, bearer.\r\n\r\n", NULL },
    { GET P " bearer.x\r\n\r\n", NULL },
    { GET P " synckairos.v1, Bearer.x\r\n\r\n", NULL },
    { GET "X: synckairos.v1, bearer.x\r\n\r\n", NULL },
    { "GET /?Sec-WebSocket-Protocol: a, bearer.x HTTP/1.1\r\n\r\n", NULL },
    { GET P " synckairos.v1, bearer.a.b.c\r\nZ: 1\r\n\r\n",
      GET P " synckairos.v1\r\nAuthorization: Bearer a.b.c\r\nZ: 1\r\n\r\n" },
    { GET "sec-websocket-protocol:bearer.a.b.c,\tsynckairos.v1 ,x\r\n\r\n",
      GET P " synckairos.v1, x\r\nAuthorization: Bearer a.b.c\r\n\r\n" },
    { GET P " s, bearer.a, bearer.b\r\n\r\n", GET P " s\r\nAuthorization: Bearer a\r\n\r\n" },
    /* what was there for the web server in front gives way */
    { GET "authorization: Basic eA==\r\n" P " s, bearer.a\r\n\r\n",
      GET P " s\r\nAuthorization: Bearer a\r\n\r\n" },
    { GET P " s, bearer.a\r\nAuthorization: Basic eA==\r\n\r\n",
      GET P " s\r\nAuthorization: Bearer a\r\n\r\n" },
    /* ends of lines as they come */
    { "GET / HTTP/1.1\n" P " s, bearer.a\n\r\n\r\n",
      "GET / HTTP/1.1\n" P " s\r\nAuthorization: Bearer a\r\n\r\n\r\n" },
    { "", NULL },
    { "\n", NULL },
    { P, NULL },
    { P " s, bearer.a", P " s\r\nAuthorization: Bearer a\r\n" },
};

static void
the_token_moves_to_authorization(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        bool moved = foyer_rewrite(&out, rows[i].head, strlen(rows[i].head));
        const char *expected = rows[i].rewritten != NULL ? rows[i].rewritten : "";

        if (moved != (rows[i].rewritten != NULL) || out.len != strlen(expected) ||
            memcmp(out.data, expected, out.len) != 0)
            fail_msg("row %zu: %.*s", i, (int)out.len, out.data);
        buf_clear(&out);
    }
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_moves_to_authorization),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
