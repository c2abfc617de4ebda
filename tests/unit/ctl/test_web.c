#include "ctl/web.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_addresses_of_web_servers(void **state)
{
    static const struct {
        const char *url, *host, *port;
        bool tls;
    } good[] = {
        { "http://localhost", "localhost", "80", false },
        { "http://localhost:3000", "localhost", "3000", false },
        { "https://clock.example.org/", "clock.example.org", "443", true },
        { "https://[::1]:8443/", "::1", "8443", true },
        { "http://[fe80::1]", "fe80::1", "80", false },
    };
    struct web_url url;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(web_url_parse(good[i].url, &url));
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
    }
}

static void
test_what_is_no_address_of_a_web_server(void **state)
{
    static const char *const bad[] = { "",           "localhost",          "ftp://host",
                                       "http://",    "http://:80",         "http://host:",
                                       "http://h/x", "http://host:123456", "http://[::1",
                                       "http://h:x" };
    struct web_url url;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (web_url_parse(bad[i], &url))
            fail_msg("%s was taken", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_of_web_servers),
        cmocka_unit_test(test_what_is_no_address_of_a_web_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
