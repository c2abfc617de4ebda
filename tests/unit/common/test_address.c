#include "common/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct proxy_list
list_of(const char *s)
{
    struct proxy_list list;

    assert_int_equal(proxy_list_parse(s, &list, NULL), RC_OK);
    return list;
}

static void
test_address_table(void **state)
{
    static const struct {
        const char *trusted, *peer, *forwarded, *want;
    } cases[] = {
        /* nobody is trusted by default */
        { "", "203.0.113.9", "198.51.100.1", "203.0.113.9" },
        { "", "203.0.113.9", NULL, "203.0.113.9" },
        /* a trusted peer: the rightmost hop that is not trusted itself */
        { "10.0.0.0/8", "10.1.2.3", "198.51.100.1", "198.51.100.1" },
        { "10.0.0.0/8", "10.1.2.3", "6.6.6.6, 198.51.100.1", "198.51.100.1" },
        { "10.0.0.0/8", "10.1.2.3", "6.6.6.6, 198.51.100.1, 10.9.9.9 ,10.8.8.8",
          "198.51.100.1" },
        { "10.0.0.0/8", "11.1.2.3", "198.51.100.1", "11.1.2.3" },
        /* all hops trusted: the leftmost */
        { "10.0.0.0/8", "10.1.2.3", "10.4.4.4", "10.4.4.4" },
        { "10.0.0.0/8", "10.1.2.3", "", "10.1.2.3" },
        /* what is no address ends the walk */
        { "10.0.0.0/8", "10.1.2.3", "198.51.100.1, unknown", "10.1.2.3" },
        { "10.0.0.0/8", "10.1.2.3", "6.6.6.6, \"evil\r\n, 10.9.9.9", "10.9.9.9" },
        { "10.0.0.0/8", "10.1.2.3", ",,,", "10.1.2.3" },
        /* ports and brackets */
        { "10.0.0.1", "10.0.0.1", "198.51.100.1:4711", "198.51.100.1" },
        { "10.0.0.1", "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7" },
        /* IPv6, odd bit counts, mapped IPv4 */
        { "2001:db8:8000::/33", "2001:db8:ffff::1", "2001:db8::7", "2001:db8::7" },
        { "2001:db8:8000::/33", "2001:db8:7fff::1", "6.6.6.6", "2001:db8:7fff::1" },
        { "10.0.0.0/8", "::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1" },
        { "::/0", "2001:db8::1", "6.6.6.6", "6.6.6.6" },
        { "0.0.0.0/0", "2001:db8::1", "6.6.6.6", "2001:db8::1" },
        { "2001:0DB8:0::1", "2001:db8::1", "2001:DB8:0:0::2", "2001:db8::2" },
        /* no usable peer */
        { "", "unix:", NULL, "unknown" },
        { "", "", NULL, "unknown" },
        { "", NULL, "6.6.6.6", "unknown" },
    };
    char out[ADDRESS_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_list list = list_of(cases[i].trusted);

        address_of_client(&list, cases[i].peer, cases[i].forwarded, out);
        assert_string_equal(out, cases[i].want);
    }
}

static void
test_bad_proxy_lists_are_refused(void **state)
{
    static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/",    "10.0.0.0/8x",
                                       "::1/129",     "proxy",        "10.0.0.0/-1",
                                       "1.2.3",       "10.0.0.0/0008" };
    struct proxy_list list;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fail f = { 0 };

        assert_int_equal(proxy_list_parse(bad[i], &list, &f), RC_VALIDATION);
        assert_non_null(strstr(f.message, "no address"));
    }
    assert_int_equal(list_of(" 10.0.0.0/8 , ::1,").n, 2);
    assert_int_equal(list_of("").n, 0);
}

static void
test_too_many_proxies_are_refused(void **state)
{
    char text[(PROXIES_MAX + 1) * 16] = "";
    struct proxy_list list;
    size_t len = 0;

    (void)state;
    for (int i = 0; i <= PROXIES_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "10.0.0.%d,", i);
    assert_int_equal(proxy_list_parse(text, &list, NULL), RC_VALIDATION);
}

static void
test_who_is_among_a_list(void **state)
{
    static const struct {
        const char *list, *address;
        bool among;
    } cases[] = {
        { "127.0.0.0/8,::1", "127.0.0.1", true },
        { "127.0.0.0/8,::1", "127.200.0.1", true },
        { "127.0.0.0/8,::1", "128.0.0.1", false },
        { "127.0.0.0/8,::1", "::1", true },
        { "127.0.0.0/8,::1", "::2", false },
        { "127.0.0.0/8,::1", "unknown", false },
        { "127.0.0.0/8,::1", "", false },
        { "", "127.0.0.1", false },
        { "0.0.0.0/0", "203.0.113.9", true },
        { "0.0.0.0/0", "2001:db8::1", false },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_list list = list_of(cases[i].list);

        if (address_is_among(&list, cases[i].address) != cases[i].among)
            fail_msg("%s among %s", cases[i].address, cases[i].list);
    }
}

static void
test_limits_count_a_whole_slash_64(void **state)
{
    char a[ADDRESS_MAX], b[ADDRESS_MAX];

    (void)state;
    address_limit_key("198.51.100.1", a);
    assert_string_equal(a, "198.51.100.1");
    address_limit_key("2001:db8:1:2:aaaa::1", a);
    address_limit_key("2001:db8:1:2:bbbb:cccc:dddd:2", b);
    assert_string_equal(a, "2001:db8:1:2::/64");
    assert_string_equal(a, b);
    address_limit_key("2001:db8:1:3::1", b);
    assert_string_not_equal(a, b);
    address_limit_key("unknown", a);
    assert_string_equal(a, "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_table),
        cmocka_unit_test(test_bad_proxy_lists_are_refused),
        cmocka_unit_test(test_too_many_proxies_are_refused),
        cmocka_unit_test(test_who_is_among_a_list),
        cmocka_unit_test(test_limits_count_a_whole_slash_64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
