/* REDIS_URL taken apart. */
#include "common/redis_url.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define A_24 "/aaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_PATH "unix://" A_24 A_24 A_24 A_24 "/bcdefgh"

static void
urls_are_taken_apart(void **state)
{
    static const struct {
        const char *url, *path, *host;
        int port, db;
        const char *user, *password;
    } table[] = {
        { "redis://localhost", "", "localhost", 6379, 0, "", "" },
        { "redis://localhost:6380", "", "localhost", 6380, 0, "", "" },
        { "redis://localhost/", "", "localhost", 6379, 0, "", "" },
        { "redis://h:1/15", "", "h", 1, 15, "", "" },
        { "redis://:s3cret@h", "", "h", 6379, 0, "", "s3cret" },
        { "redis://app@h", "", "h", 6379, 0, "app", "" },
        { "redis://app:a%40b%2Fc@h:7/2", "", "h", 7, 2, "app", "a@b/c" },
        { "redis://app:a@b@h", "", "h", 6379, 0, "app", "a@b" },
        { "redis://[::1]", "", "::1", 6379, 0, "", "" },
        { "redis://[::1]:70/3", "", "::1", 70, 3, "", "" },
        { "unix:///run/redis.sock", "/run/redis.sock", "", 0, 0, "", "" },
        { "unix:///run/a%20b?db=4", "/run/a b", "", 0, 4, "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct redis_url u;
        struct fail f = { 0 };

        if (redis_url_parse(table[i].url, &u, &f) != RC_OK)
            fail_msg("%s: %s", table[i].url, f.message);
        assert_string_equal(u.path, table[i].path);
        assert_string_equal(u.host, table[i].host);
        assert_int_equal(u.port, table[i].port);
        assert_int_equal(u.db, table[i].db);
        assert_string_equal(u.user, table[i].user);
        assert_string_equal(u.password, table[i].password);
    }
}

static void
wrong_urls_are_refused(void **state)
{
    static const char *const table[] = {
        "",
        "localhost:6379",
        "http://h",
        "rediss://h",
        "redis://",
        "redis://:6379",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:6x",
        "redis://h/x",
        "redis://h/1/2",
        "redis://[::1",
        "redis://[::1]6379",
        "redis://a%zz@h",
        "redis://a%0@h",
        "redis://a:b%00c@h",
        "unix://",
        "unix://relative",
        "unix:///s?db=",
        "unix:///s?x=1",
        "unix:///s?db=1x",
        LONG_PATH,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct redis_url u;
        struct fail f = { 0 };

        if (redis_url_parse(table[i], &u, &f) != RC_VALIDATION)
            fail_msg("\"%s\" was accepted", table[i]);
        assert_true(f.message[0] != '\0');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(wrong_urls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
