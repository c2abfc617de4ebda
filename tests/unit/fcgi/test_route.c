#include "fcgi/route.h"

#include "common/buf.h"
#include "common/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_matching_table(void **state)
{
    static const struct {
        const char *template, *path, *params; /* params joined by '|', NULL: no match */
    } cases[] = {
        { "/v1/time", "/v1/time", "" },
        { "/v1/time", "/v1/time/", "" },
        { "/v1/time", "/v1/time//", NULL },
        { "/v1/time", "/v1//time", NULL },
        { "/v1/time", "//v1/time", NULL },
        { "/v1/time", "/v1/tim", NULL },
        { "/v1/time", "/v1/times", NULL },
        { "/v1/time", "/v1", NULL },
        { "/v1/time", "/V1/time", NULL },
        { "/v1/time", "", NULL },
        { "/v1/time", "/", NULL },
        { "/v1/time", "v1/time", NULL },
        { "/v1/sessions", "/v1/sessions/", "" },
        { "/v1/sessions/{id}", "/v1/sessions", NULL },
        { "/v1/sessions/{id}", "/v1/sessions/", NULL },
        { "/v1/sessions/{id}", "/v1/sessions//", NULL },
        { "/v1/sessions/{id}", "/v1/sessions/x", "x" },
        { "/v1/sessions/{id}", "/v1/sessions/x/", "x" },
        { "/v1/sessions/{id}", "/v1/sessions/x/start", NULL },
        { "/v1/sessions/{id}", "/v1/sessions/{id}", "{id}" },
        { "/v1/sessions/{id}/start", "/v1/sessions/x/start", "x" },
        { "/v1/sessions/{id}/start", "/v1/sessions/x/start/", "x" },
        { "/v1/sessions/{id}/start", "/v1/sessions//start", NULL },
        { "/v1/sessions/{id}/start", "/v1/sessions/x/stop", NULL },
        { "/a/{x}/b/{y}", "/a/1/b/22", "1|22" },
        { "/a/{x}/{y}", "/a/1/", NULL },
    };
    char joined[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_param params[ROUTE_PARAMS_MAX] = { 0 };
        bool matches = route_path_match(cases[i].template, cases[i].path, params);
        size_t len = 0;

        joined[0] = '\0';
        for (int k = 0; k < ROUTE_PARAMS_MAX && params[k].s != NULL; k++)
            len += (size_t)snprintf(joined + len, sizeof(joined) - len, "%s%.*s",
                                    k > 0 ? "|" : "", (int)params[k].len, params[k].s);
        if (matches != (cases[i].params != NULL))
            fail_msg("%s and %s", cases[i].template, cases[i].path);
        if (matches)
            assert_string_equal(joined, cases[i].params);
    }
}

static void
test_aliases(void **state)
{
    (void)state;
    assert_int_equal(route_alias_len("/v1/time"), 0);
    assert_int_equal(route_alias_len("/api/v1/time"), 7);
    assert_int_equal(route_alias_len("/api/v1"), 7);
    assert_int_equal(route_alias_len("/api/time"), 4);
    assert_int_equal(route_alias_len("/api/v10/time"), 4);
    assert_int_equal(route_alias_len("/api-docs.json"), 0);
    assert_int_equal(route_alias_len("/api"), 0);
    assert_int_equal(route_alias_len("/"), 0);
}

static void
test_every_row_is_complete(void **state)
{
    struct buf errors;

    (void)state;
    buf_init(&errors, 4096);
    if (!routes_check(&errors))
        fail_msg("%s", buf_cstr(&errors));
    buf_fini(&errors);
    assert_true(route_count() >= 11);
    assert_null(route_at(route_count()));
}

/* What the program does not check at its start, because only a programmer can do it wrong. */
static void
test_rows_are_sensible(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);

        assert_int_not_equal(r->summary[strlen(r->summary) - 1], '.');
        assert_int_equal(r->status == 204, r->answer == ANSWER_NOTHING);
        for (const struct field *fd = r->body; fd != NULL && fd->type != F_END; fd++)
            assert_non_null(fd->doc);
    }
}

/* Some have a limit of their own; all others below /v1 count together. */
static void
test_limits_of_the_rows(void **state)
{
    static const struct {
        enum method method;
        const char *path;
        enum limit_kind limit;
    } own[] = {
        { METHOD_POST, "/v1/sessions/{id}/switch", LIMIT_SWITCH },
        { METHOD_POST, "/v1/sessions", LIMIT_CREATE },
        { METHOD_GET, "/v1/sessions/{id}", LIMIT_GET },
        { METHOD_GET, "/v1/time", LIMIT_TIME },
    };
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);
        enum limit_kind wanted = strncmp(r->path, "/v1/", 4) == 0 ? LIMIT_GENERAL : LIMIT_NONE;

        for (size_t k = 0; k < sizeof(own) / sizeof(*own); k++) {
            if (r->method != own[k].method || strcmp(r->path, own[k].path) != 0)
                continue;
            wanted = own[k].limit;
            found++;
        }
        if (r->limit != wanted)
            fail_msg("%s %s", method_name(r->method), r->path);
    }
    assert_int_equal(found, sizeof(own) / sizeof(*own));
}

static void
test_no_two_rows_answer_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count(); i++) {
        for (size_t k = i + 1; k < route_count(); k++) {
            struct route_param params[ROUTE_PARAMS_MAX];
            const struct route *a = route_at(i), *b = route_at(k);

            if (a->method == b->method && (route_path_match(a->path, b->path, params) ||
                                           route_path_match(b->path, a->path, params)))
                fail_msg("%s %s and %s", method_name(a->method), a->path, b->path);
        }
    }
}

static void
test_method_names(void **state)
{
    (void)state;
    assert_string_equal(method_name(METHOD_NONE), "");
    assert_string_equal(method_name(METHOD__MAX), "");
    for (enum method m = METHOD_GET; m < METHOD__MAX; m++)
        assert_true(strlen(method_name(m)) > 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching_table),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_rows_are_sensible),
        cmocka_unit_test(test_limits_of_the_rows),
        cmocka_unit_test(test_no_two_rows_answer_the_same),
        cmocka_unit_test(test_method_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
