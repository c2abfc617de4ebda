#include "common/buf.h"
#include "common/conf_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct conf_row *
row_of(const char *name)
{
    const struct conf_row *row = conf_row_find(name, strlen(name));

    assert_non_null(row);
    return row;
}

static void
clear(struct conf *c)
{
    for (size_t i = 0; i < conf_row_count; i++)
        conf_value_free(&conf_rows[i], c);
    *c = (struct conf){ 0 };
}

/* The text that `text` becomes; NULL when it is refused. */
static const char *
shown(const char *name, const char *text)
{
    static char out[200];
    struct conf c = { 0 };
    struct buf b;
    enum rc rc = conf_value_parse(row_of(name), text, &c, NULL);

    buf_init(&b, sizeof(out) - 1);
    if (rc == RC_OK)
        conf_value_show(row_of(name), &c, &b);
    memcpy(out, buf_cstr(&b), b.len + 1);
    buf_fini(&b);
    clear(&c);
    return rc == RC_OK ? out : NULL;
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        struct conf c = { 0 };

        assert_true(i == 0 || strcmp(conf_rows[i - 1].env, row->env) < 0);
        assert_ptr_equal(conf_row_find(row->env, strlen(row->env)), row);
        assert_true(strlen(row->doc) > 10 && row->doc[strlen(row->doc) - 1] == '.');
        assert_null(strchr(row->doc, '|')); /* it stands in a table */
        assert_true(!row->is_valid || row->expects);
        assert_int_equal(conf_value_parse(row, row->def, &c, NULL), RC_OK);
        for (size_t k = 0; k < i && row->type != CONF_FOREIGN; k++)
            assert_true(conf_rows[k].type == CONF_FOREIGN || conf_rows[k].at != row->at);
        clear(&c);
    }
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(row_of("NODE_ENV")->env, "APP_ENV");
    assert_string_equal(row_of("CORS_ORIGIN")->env, "ALLOWED_ORIGINS");
    assert_null(conf_row_find("APP_EN", 6));
    assert_null(conf_row_find("APP_ENVX", 8));
    assert_null(conf_row_find("", 0));
    assert_ptr_equal(conf_row_find("WS_PORT=1", 7), row_of("WS_PORT"));
}

static void
test_values(void **state)
{
    static const struct {
        const char *name, *text, *shown; /* NULL: refused */
    } cases[] = {
        { "WS_PORT", "1", "1" },
        { "WS_PORT", "65535", "65535" },
        { "WS_PORT", "0", NULL },
        { "WS_PORT", "65536", NULL },
        { "WS_PORT", "-1", NULL },
        { "WS_PORT", "+1", NULL },
        { "WS_PORT", " 1", NULL },
        { "WS_PORT", "1 ", NULL },
        { "WS_PORT", "1x", NULL },
        { "WS_PORT", "0x10", NULL },
        { "WS_PORT", "99999999999999999999", NULL },
        { "WS_PORT", "", NULL },
        { "FCGI_SOCKET_MODE", "0660", "0660" },
        { "FCGI_SOCKET_MODE", "600", "0600" },
        { "FCGI_SOCKET_MODE", "0888", NULL },
        { "FCGI_SOCKET_MODE", "1777", NULL },
        { "AUTH_REQUIRED", "TRUE", "true" },
        { "AUTH_REQUIRED", "1", "true" },
        { "AUTH_REQUIRED", "yes", "true" },
        { "AUTH_REQUIRED", "off", "false" },
        { "AUTH_REQUIRED", "0", "false" },
        { "AUTH_REQUIRED", "maybe", NULL },
        { "APP_ENV", "development", "development" },
        { "APP_ENV", "Test", "test" },
        { "APP_ENV", "prod", NULL },
        { "APP_ENV", "production|test", NULL },
        { "LOG_LEVEL", "debug", "debug" },
        { "LOG_LEVEL", "", NULL },
        { "DRAIN_SECONDS", "15", "15s" },
        { "DRAIN_SECONDS", "250ms", "250ms" },
        { "DRAIN_SECONDS", "2m", "2m" },
        { "DRAIN_SECONDS", "0", "0" },
        { "DRAIN_SECONDS", "601", NULL },
        { "DRAIN_SECONDS", "11m", NULL },
        { "DRAIN_SECONDS", "1 s", NULL },
        { "DRAIN_SECONDS", "s", NULL },
        { "DRAIN_SECONDS", "1d", NULL },
        { "DRAIN_SECONDS", "-1s", NULL },
        { "DRAIN_SECONDS", "9223372036854775807h", NULL },
        { "WS_HEARTBEAT_INTERVAL", "5000", "5s" },
        { "WS_HEARTBEAT_INTERVAL", "5s", "5s" },
        { "WS_HEARTBEAT_INTERVAL", "1500", "1500ms" },
        { "WS_HEARTBEAT_INTERVAL", "99", NULL },
        { "SESSION_CACHE_TTL", "3600", "1h" },
        { "RATE_LIMIT_SWITCH", "10/1s+10s", "10/1s+10s" },
        { "RATE_LIMIT_SWITCH", "10", "10/1s" },
        { "RATE_LIMIT_GENERAL", "500", "500/1m" },
        { "RATE_LIMIT_GENERAL", "0", "0" },
        { "RATE_LIMIT_LOGIN", "5", "5/1h" },
        { "RATE_LIMIT_LOGIN", "5/fortnight", NULL },
        { "RATE_LIMIT_GENERAL", "ten", NULL },
        { "RATE_LIMIT_GENERAL", "10/", NULL },
        { "KEY_PREFIX", "a:", "a:" },
        { "KEY_PREFIX", "{a}", NULL },
        { "KEY_PREFIX", "a b", NULL },
        { "KEY_PREFIX", "a\nb", NULL },
        { "KEY_PREFIX", "12345678901234567890123456789012345678901234567890123456789012345",
          NULL },
        { "FCGI_LISTEN", "unix:/run/x.sock", "unix:/run/x.sock" },
        { "FCGI_LISTEN", "127.0.0.1:9000", "127.0.0.1:9000" },
        { "FCGI_LISTEN", "[::1]:9000", "[::1]:9000" },
        { "FCGI_LISTEN", "unix:x.sock", NULL },
        { "FCGI_LISTEN", "9000", NULL },
        { "FCGI_LISTEN", ":9000", NULL },
        { "FCGI_LISTEN", "host:", NULL },
        { "FCGI_LISTEN", "host:0", NULL },
        { "FCGI_LISTEN", "host:70000", NULL },
        { "FCGI_LISTEN", "host:90x", NULL },
        { "ALLOWED_ORIGINS", "*", "*" },
        { "ALLOWED_ORIGINS", "https://a.example, http://localhost:3000",
          "https://a.example, http://localhost:3000" },
        { "ALLOWED_ORIGINS", "a.example", NULL },
        { "ALLOWED_ORIGINS", "https://a.example/", NULL },
        { "ALLOWED_ORIGINS", "https://a.example,", NULL },
        { "ALLOWED_ORIGINS", ",https://a.example", NULL },
        { "ALLOWED_ORIGINS", "https://", NULL },
        { "TRUSTED_PROXIES", "10.0.0.0/8, ::1,2001:db8::/32", "10.0.0.0/8, ::1,2001:db8::/32" },
        { "TRUSTED_PROXIES", "10.0.0.0/33", NULL },
        { "TRUSTED_PROXIES", "::1/129", NULL },
        { "TRUSTED_PROXIES", "10.0.0.0/", NULL },
        { "TRUSTED_PROXIES", "10.0.0/8", NULL },
        { "TRUSTED_PROXIES", "proxy", NULL },
        { "ALLOW_ANONYMOUS", "sync", "sync" },
        { "ALLOW_ANONYMOUS", "all", NULL },
        { "DATABASE_URL", "postgresql://localhost/x", "postgresql://localhost/x" },
        { "DATABASE_URL", "postgresql://u:p@localhost/x", "***" },
        { "DATABASE_URL", "postgres://localhost/x?password=p", "***" },
        { "DATABASE_URL", "mysql://localhost", NULL },
        { "REDIS_URL", "redis://localhost:6379", "redis://localhost:6379" },
        { "REDIS_URL", "redis://:pw@localhost", "***" },
        { "REDIS_URL", "unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2" },
        { "REDIS_URL", "localhost", NULL },
        { "REDIS_PASSWORD", "pw", "***" },
        { "REDIS_PASSWORD", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *got = shown(cases[i].name, cases[i].text);

        if (!got != !cases[i].shown || (got && strcmp(got, cases[i].shown) != 0))
            fail_msg("%s=%s: got %s, expected %s", cases[i].name, cases[i].text,
                     got ? got : "a refusal", cases[i].shown ? cases[i].shown : "a refusal");
    }
}

/* What is shown can be set, and means the same. */
static void
test_shown_values_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_row_count; i++) {
        char once[200];

        if (conf_rows[i].type == CONF_FOREIGN)
            continue;
        snprintf(once, sizeof(once), "%s", shown(conf_rows[i].env, conf_rows[i].def));
        assert_string_equal(shown(conf_rows[i].env, once), once);
    }
}

static void
test_a_fault_names_all_but_secrets(void **state)
{
    struct conf c = { 0 };
    struct fail f = { .rc = RC_OK };
    char password[300];

    (void)state;
    assert_int_equal(conf_value_parse(row_of("WS_PORT"), "a\nb", &c, &f), RC_VALIDATION);
    assert_string_equal(f.message, "WS_PORT: \"a\\nb\" is not valid, expected 1..65535");
    fail_reset(&f);
    memset(password, 'p', sizeof(password) - 1);
    password[sizeof(password) - 1] = '\0';
    assert_int_equal(conf_value_parse(row_of("REDIS_PASSWORD"), password, &c, &f),
                     RC_VALIDATION);
    assert_null(strstr(f.message, "ppp"));
    fail_reset(&f);
    assert_int_equal(conf_value_parse(row_of("REDIS_URL"), "http://u:geheim@h", &c, &f),
                     RC_VALIDATION);
    assert_null(strstr(f.message, "geheim"));
    assert_non_null(strstr(f.message, "REDIS_URL"));
    clear(&c);
}

static void
test_suggestions(void **state)
{
    static const struct {
        const char *name, *near;
    } cases[] = {
        { "LOG_LEVE", "LOG_LEVEL" },
        { "REDIS_URI", "REDIS_URL" },
        { "RATE_LIMITS_GENERAL", "RATE_LIMIT_GENERAL" },
        { "DRAIN_SECS", NULL },
        { "WS_HEARTBEAT_INTERAVL", "WS_HEARTBEAT_INTERVAL" },
        { "DB_HOST", NULL },
        { "HOME", NULL },
        { "", NULL },
        { "RATE_LIMIT_GENERAL_AND_MUCH_MORE_THAN_ANY_NAME_OF_OURS_COULD_EVER_HAVE", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct conf_row *near = conf_row_near(cases[i].name, strlen(cases[i].name));

        if (cases[i].near)
            assert_string_equal(near ? near->env : "nothing", cases[i].near);
        else
            assert_null(near);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_shown_values_parse),
        cmocka_unit_test(test_a_fault_names_all_but_secrets),
        cmocka_unit_test(test_suggestions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
