#include "common/buf.h"
#include "common/session.h"
#include "common/session_idem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DAY_MS 86400000

static int
print(void *ctx, struct buf *out, const struct session *s, const struct store_result *res,
      const struct fail *f)
{
    (void)s;
    (void)res;
    buf_str(out, ctx);
    return f != NULL ? rc_status(f->rc) : 200;
}

static struct store_idem
idem_of(void *text)
{
    return (struct store_idem){ .key = HASH, .body = HASH, .print = print, .ctx = text };
}

static void
what_is_printed_is_read(void **state)
{
    struct fail refusal = { .rc = RC_CONFLICT }, f = { 0 };
    char body[] = "{\"a\": 1}";
    struct store_idem idem = idem_of(body);
    struct session s = { .version = 7 };
    struct store_result res = { 0 };
    char stored[256];
    struct buf out;
    enum rc rc;

    (void)state;
    buf_init(&out, 1024);
    assert_true(session_idem_print(&out, &idem, &s, &res, NULL));
    assert_string_equal(buf_cstr(&out), HASH " 200 7 {\"a\": 1}");
    snprintf(stored, sizeof(stored), "5000 1 %s", buf_cstr(&out));
    assert_true(session_idem_read(stored, &idem, 5000, &res, &rc, &f));
    assert_int_equal(rc, RC_OK);
    assert_int_equal(res.replay.status, 200);
    assert_string_equal(res.replay.text, "{\"a\": 1}");
    assert_true(session_idem_read(stored, &idem, 4999, &res, &rc, &f)); /* a racer's clock */
    assert_true(session_idem_read(stored, &idem, 5000 + DAY_MS - 1, &res, &rc, &f));
    assert_false(session_idem_read(stored, &idem, 5000 + DAY_MS, &res, &rc, &f));

    res.replay.status = 0;
    idem.body[0] = 'f';
    assert_true(session_idem_read(stored, &idem, 5000, &res, &rc, &f));
    assert_int_equal(rc, RC_KEY_REUSED);
    assert_int_equal(res.replay.status, 0);

    assert_true(session_idem_print(&out, &idem, &s, &res, &refusal));
    assert_non_null(strstr(buf_cstr(&out), " 409 7 "));
    buf_fini(&out);
    buf_init(&out, 70);
    assert_false(session_idem_print(&out, &idem, &s, &res, NULL)); /* too long to keep */
    buf_fini(&out);
}

static void
anything_else_is_no_verdict(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "5000",
        "5000 ",
        "5000 1 ",
        "5000 1 " HASH,
        "5000 1 " HASH " ",
        "5000 1 " HASH " 200",
        "5000 1 " HASH " 200 ",
        "5000 1 " HASH " 200 7",
        "5000 1 " HASH " 500 7 x",
        "5000 1 " HASH " 0 7 x",
        "-5 1 " HASH " 200 7 x",
        "5000 1 0" HASH " 200 7 x",
        "5000 1 " HASH "x 200 7 x",
        "1  " HASH " 200 7 x",
    };
    struct store_idem idem = idem_of(NULL);
    struct store_result res = { 0 };
    struct fail f = { 0 };
    enum rc rc;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (session_idem_read(bad[i], &idem, 5000, &res, &rc, &f))
            fail_msg("%s", bad[i]);
    }
    assert_int_equal(res.replay.status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read),
        cmocka_unit_test(anything_else_is_no_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
