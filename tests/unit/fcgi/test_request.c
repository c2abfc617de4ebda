#include "fcgi/request.h"

#include "common/conf.h"
#include "tests/lib/fake_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf = { .allowed_origins = "", .max_body_bytes = 1024 };
static struct app app = { .conf = &conf, .id_prefix = "test" };

/* ---- pieces ---- */

static void
test_path_decoding_table(void **state)
{
    static const struct {
        const char *raw, *want; /* NULL: refused */
    } cases[] = {
        { "", "" },
        { "/v1/time", "/v1/time" },
        { "/%76%31/time", "/v1/time" },
        { "/a%20b", "/a b" },
        { "/%C3%a9", "/\xc3\xa9" },
        { "/+", "/+" },
        { "/%", NULL },
        { "/%4", NULL },
        { "/%4g", NULL },
        { "/%G4", NULL },
        { "/%zz/x", NULL },
        { "/%%41", NULL },
        { "/a%00b", NULL },
        { "/a%0ab", NULL },
        { "/a%0Db", NULL },
        { "/a%7f", NULL },
        { "/a\tb", NULL },
        { "/a%2fb", NULL },
        { "/a%2Fb", NULL },
        { "/%c3", NULL },
        { "/%ff", NULL },
        { "/\xff", NULL },
        { "/%ed%a0%80", NULL }, /* a surrogate */
        { "/%c0%ae", NULL },    /* an overlong dot */
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool good = request_path_decode(cases[i].raw, strlen(cases[i].raw), out);

        if (good != (cases[i].want != NULL))
            fail_msg("%s", cases[i].raw);
        if (good)
            assert_string_equal(out, cases[i].want);
    }
    /* an escape that the end cuts off, though more bytes follow in memory */
    assert_false(request_path_decode("/%41", 3, out));
    assert_true(request_path_decode("/%41%42", 4, out));
    assert_string_equal(out, "/A");
}

static void
test_request_id_sanity(void **state)
{
    char longest[REQUEST_ID_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    longest[REQUEST_ID_MAX + 1] = '\0';
    assert_false(request_id_is_sane(longest));
    longest[REQUEST_ID_MAX] = '\0';
    assert_true(request_id_is_sane(longest));
    assert_true(request_id_is_sane("a"));
    assert_true(request_id_is_sane("7f3e-{1}\"~!"));
    assert_false(request_id_is_sane(""));
    assert_false(request_id_is_sane("a b"));
    assert_false(request_id_is_sane("a\r\nSet-Cookie: x"));
    assert_false(request_id_is_sane("\xc3\xa9"));
    assert_false(request_id_is_sane("\x7f"));
}

/* ---- the whole ---- */

struct parsed {
    struct fake_io io;
    struct req rq;
    struct fail f;
    enum rc rc;
};

static void
parse(struct parsed *p)
{
    request_init(&p->rq, &app);
    memset(&p->f, 0, sizeof(p->f));
    p->rc = request_parse(&p->rq, &p->io.super, &p->f);
}

static void
done(struct parsed *p)
{
    request_fini(&p->rq);
    fake_fini(&p->io);
}

static void
test_paths_of_web_servers(void **state)
{
    static const struct {
        const char *uri, *script, *info, *path, *base;
    } cases[] = {
        /* nginx: SCRIPT_NAME is the path */
        { "/v1/time?x=/y", "/v1/time", "", "/v1/time", "/v1" },
        { "/api/v1/time", "/api/v1/time", NULL, "/v1/time", "/api/v1" },
        { "/api/time", NULL, NULL, "/v1/time", "/api" },
        /* CGI in a folder of programs */
        { "/cgi-bin/sk.fcgi/v1/time?x", "/cgi-bin/sk.fcgi", "/v1/time", "/v1/time", "/v1" },
        { "/cgi-bin/sk.fcgi/api/v1/%74ime", "/cgi-bin/sk.fcgi", "/api/v1/time", "/v1/time",
          "/api/v1" },
        /* CGI behind a rewrite: the address is what the client sees */
        { "/v1/time", "/cgi-bin/sk.fcgi", "/v1/time", "/v1/time", "/v1" },
        /* a script name that only looks like a prefix */
        { "/v1/time", "/v", "1/time", "/v1/time", "/v1" },
        { "/v1/time", "/", "v1/time", "/v1/time", "/v1" },
        /* no REQUEST_URI */
        { NULL, "/cgi-bin/sk.fcgi", "/v1/time", "/v1/time", "/v1" },
        { NULL, "/v1/time", NULL, "/v1/time", "/v1" },
        { NULL, NULL, NULL, "", "/v1" },
        { "/api-docs.json", NULL, NULL, "/api-docs.json", "/v1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p;

        fake_init(&p.io, "GET", cases[i].uri, NULL);
        fake_set(&p.io, "SCRIPT_NAME", cases[i].script);
        fake_set(&p.io, "PATH_INFO", cases[i].info);
        parse(&p);
        assert_int_equal(p.rc, RC_OK);
        assert_string_equal(p.rq.path, cases[i].path);
        assert_string_equal(p.rq.base, cases[i].base);
        done(&p);
    }
}

static void
test_methods(void **state)
{
    static const struct {
        const char *text;
        enum method method;
        bool head, options;
    } cases[] = {
        { "GET", METHOD_GET, false, false },     { "HEAD", METHOD_GET, true, false },
        { "POST", METHOD_POST, false, false },   { "PATCH", METHOD_PATCH, false, false },
        { "PUT", METHOD_PUT, false, false },     { "DELETE", METHOD_DELETE, false, false },
        { "OPTIONS", METHOD_NONE, false, true }, { "get", METHOD_NONE, false, false },
        { "BREW", METHOD_NONE, false, false },   { "", METHOD_NONE, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p;

        fake_init(&p.io, cases[i].text, "/", NULL);
        parse(&p);
        assert_int_equal(p.rq.method, cases[i].method);
        assert_int_equal(p.rq.head, cases[i].head);
        assert_int_equal(p.rq.options, cases[i].options);
        assert_string_equal(p.rq.method_text, cases[i].text);
        done(&p);
    }
}

static void
test_content_length(void **state)
{
    static const struct {
        const char *text;
        enum rc rc;
        int64_t want;
    } cases[] = {
        { NULL, RC_OK, -1 },
        { "", RC_OK, -1 },
        { "0", RC_OK, 0 },
        { "17", RC_OK, 17 },
        { "9223372036854775807", RC_OK, INT64_MAX },
        { "9223372036854775808", RC_BAD_REQUEST, 0 },
        { "-1", RC_BAD_REQUEST, 0 },
        { "+1", RC_BAD_REQUEST, 0 },
        { " 1", RC_BAD_REQUEST, 0 },
        { "1x", RC_BAD_REQUEST, 0 },
        { "0x10", RC_BAD_REQUEST, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p;

        fake_init(&p.io, "POST", "/", NULL);
        fake_set(&p.io, "CONTENT_LENGTH", cases[i].text);
        parse(&p);
        assert_int_equal(p.rc, cases[i].rc);
        if (p.rc == RC_OK)
            assert_int_equal(p.rq.content_length, cases[i].want);
        done(&p);
    }
}

static void
test_bad_paths_still_have_an_id(void **state)
{
    char uri[REQUEST_PATH_MAX + 3];
    struct parsed p;

    (void)state;
    fake_init(&p.io, "GET", "/v1/%zz", NULL);
    fake_set(&p.io, "HTTP_X_REQUEST_ID", "mine-1");
    parse(&p);
    assert_int_equal(p.rc, RC_BAD_REQUEST);
    assert_string_equal(p.rq.id, "mine-1");
    done(&p);

    memset(uri, 'a', sizeof(uri));
    uri[0] = '/';
    uri[sizeof(uri) - 1] = '\0';
    fake_init(&p.io, "GET", uri, NULL);
    fake_set(&p.io, "HTTP_X_REQUEST_ID", "two words");
    parse(&p);
    assert_int_equal(p.rc, RC_URI_TOO_LONG);
    assert_true(strncmp(p.rq.id, "test-", 5) == 0);
    assert_true(request_id_is_sane(p.rq.id));
    done(&p);
}

static void
test_ids_made_here_differ(void **state)
{
    struct parsed a, b;

    (void)state;
    fake_init(&a.io, "GET", "/", NULL);
    fake_init(&b.io, "GET", "/", NULL);
    parse(&a);
    parse(&b);
    assert_string_not_equal(a.rq.id, b.rq.id);
    done(&a);
    done(&b);
}

/* A request leaves nothing behind for the next one on the same struct. */
static void
test_reset_forgets(void **state)
{
    struct parsed p;

    (void)state;
    fake_init(&p.io, "POST", "/v1/time", NULL);
    parse(&p);
    p.rq.user = "somebody";
    p.rq.server_time_ms = 1;
    p.rq.limit_done = true;
    reply_header(&p.rq, "X-Once", "1");
    buf_str(reply_data(&p.rq, 200), "{}");
    request_reset(&p.rq);
    assert_ptr_equal(p.rq.app, &app);
    assert_null(p.rq.user);
    assert_null(p.rq.route);
    assert_int_equal(p.rq.server_time_ms, 0);
    assert_false(p.rq.limit_done);
    assert_int_equal(p.rq.reply.status, 0);
    assert_int_equal(p.rq.reply.head.len, 0);
    assert_int_equal(p.rq.reply.body.len, 0);
    assert_false(p.rq.reply.enveloped);
    done(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_decoding_table),
        cmocka_unit_test(test_request_id_sanity),
        cmocka_unit_test(test_paths_of_web_servers),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_bad_paths_still_have_an_id),
        cmocka_unit_test(test_ids_made_here_differ),
        cmocka_unit_test(test_reset_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
