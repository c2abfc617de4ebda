#include "broadcaster/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ID "123E4567-e89b-92d3-0456-426614174000"

struct row {
    enum verdict verdict;
    struct admission a;
    const char *origins;
    bool auth;
};

#define WS .path = "/ws", .version = "13"
#define WS_ID WS, .session_id = ID

static const struct row rows[] = {
    { ADMIT, { WS_ID }, "", false },
    { ADMIT, { WS_ID, .subprotocol = "synckairos.v1" }, "", false },
    { ADMIT, { WS_ID, .subprotocol = "synckairos.v1, bearer.abc" }, "", false },
    { ADMIT, { WS_ID, .subprotocol = "x,\tsynckairos.v1 " }, "", false },
    { REFUSE_SUBPROTOCOL, { WS_ID, .subprotocol = "redis" }, "", false },
    { REFUSE_SUBPROTOCOL, { WS_ID, .subprotocol = "synckairos.v10" }, "", false },
    { REFUSE_SUBPROTOCOL, { WS_ID, .subprotocol = "SyncKairos.v1" }, "", false },
    { ADMIT_MISSING, { WS }, "", false },
    { ADMIT_MISSING, { WS, .session_id = "" }, "", false },
    { ADMIT_BARE, { WS, .subprotocol = "synckairos.v1" }, "", false },
    { ADMIT_BARE, { WS, .query_token = "x" }, "", false },
    { ADMIT_MALFORMED, { WS, .session_id = "abc" }, "", false },
    { ADMIT_MALFORMED, { WS, .session_id = ID "0" }, "", false },
    { ADMIT_MALFORMED,
      { WS, .session_id = "123e4567-e89b-92d3-0456-42661417400g" },
      "",
      false },
    { REFUSE_PATH, { .path = "/ws/", .session_id = ID }, "", true },
    { REFUSE_PATH, { .path = "/" }, "", false },
    { REFUSE_PATH, { .path = "/WS" }, "", false },
    { REFUSE_TOKEN, { WS_ID }, "", true },
    { REFUSE_TOKEN, { WS_ID, .query_token = "x" }, "", true },
    { ADMIT, { WS_ID, .query_token = "x", .is_signed_in = true }, "", true },
    { ADMIT_BARE, { WS, .query_token = "x", .is_signed_in = true }, "", true },
    { ADMIT, { WS_ID, .query_token = "x" }, "", false }, /* as if it were none */
    { REFUSE_PATH, { .path = "/no", .version = "12" }, "", false },
    { REFUSE_VERSION, { .path = "/ws", .version = "99" }, "", true },
    { REFUSE_VERSION, { .path = "/ws", .version = "13, 8" }, "", false },
    { REFUSE_VERSION, { .path = "/ws" }, "", false },
    { ADMIT_BARE, { WS, .authorization = "Bearer x" }, "", false },
    { ADMIT_MISSING, { WS, .authorization = "Basic x" }, "", false },
    /* origins */
    { ADMIT, { WS_ID, .origin = "https://evil.example" }, "", false },
    { ADMIT, { WS_ID, .origin = "https://evil.example" }, "*", false },
    { ADMIT, { WS_ID, .origin = "https://evil.example" }, "https://a.example, *", false },
    { ADMIT, { WS_ID }, "https://a.example", false },
    { ADMIT,
      { WS_ID, .origin = "https://a.example" },
      "https://b.example,https://a.example",
      false },
    { ADMIT, { WS_ID, .origin = "https://A.Example" }, "https://a.example", false },
    { REFUSE_ORIGIN,
      { WS_ID, .origin = "https://a.example.evil" },
      "https://a.example",
      false },
    { REFUSE_ORIGIN, { WS_ID, .origin = "https://a.exampl" }, "https://a.example", false },
    { REFUSE_ORIGIN, { WS_ID, .origin = "http://a.example" }, "https://a.example", false },
    { REFUSE_ORIGIN, { WS_ID, .origin = "null" }, "https://a.example", false },
    { ADMIT,
      { WS_ID, .origin = "http://host:3000", .host = "host:3000" },
      "https://a.example",
      false },
    { REFUSE_ORIGIN,
      { WS_ID, .origin = "http://host:3001", .host = "host:3000" },
      "https://a.example",
      false },
    { REFUSE_ORIGIN,
      { WS_ID, .origin = "http://host.evil", .host = "host" },
      "https://a.example",
      false },
    { REFUSE_ORIGIN,
      { WS_ID, .origin = "http://host", .host = NULL },
      "https://a.example",
      false },
    /* room */
    { REFUSE_FULL, { WS_ID, .full = true }, "", false },
    { REFUSE_DRAINING, { WS_ID, .full = true, .draining = true }, "", false },
    /* the order: path, token, origin, subprotocol, room */
    { REFUSE_TOKEN, { WS_ID, .origin = "x://y", .full = true }, "https://a.example", true },
    { REFUSE_ORIGIN,
      { WS_ID, .origin = "x://y", .subprotocol = "z", .full = true },
      "https://a.example",
      false },
};

static void
every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        enum verdict v = admission_judge(&rows[i].a, rows[i].origins, rows[i].auth);

        if (v != rows[i].verdict)
            fail_msg("row %zu: %d instead of %d", i, v, rows[i].verdict);
    }
}

static void
the_token_wherever_it_comes(void **state)
{
    static const struct {
        const char *token; /* NULL none */
        struct admission a;
    } tokens[] = {
        { NULL, { WS } },
        { NULL, { WS, .query_token = "" } },
        { "abc", { WS, .query_token = "abc" } },
        { "a.b.c", { WS, .authorization = "Bearer a.b.c" } },
        { "a.b.c", { WS, .authorization = "bEARER  a.b.c " } },
        { NULL, { WS, .authorization = "Bearer" } },
        { NULL, { WS, .authorization = "Bearer a.b.c d.e.f" } }, /* as REST reads it */
        { NULL, { WS, .authorization = "Bearer a.b.c, Bearer d.e.f" } },
        { NULL, { WS, .authorization = "Bearer " } },
        { NULL, { WS, .authorization = "Bearera.b.c" } },
        { NULL, { WS, .authorization = "Basic a.b.c" } },
        { "a.b.c", { WS, .subprotocol = "synckairos.v1, bearer.a.b.c" } },
        { "a.b.c", { WS, .subprotocol = "bearer.a.b.c,synckairos.v1" } },
        { NULL, { WS, .subprotocol = "synckairos.v1, bearer." } },
        { NULL, { WS, .subprotocol = "synckairos.v1, BEARER.x" } },
        { "two", { WS, .query_token = "one", .subprotocol = "synckairos.v1, bearer.two" } },
        { "three",
          { WS, .query_token = "one", .subprotocol = "synckairos.v1, bearer.two",
            .authorization = "Bearer three" } },
        { "one", { WS, .query_token = "one", .authorization = "Basic three" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
        size_t len = 0;
        const char *token = admission_token(&tokens[i].a, &len);

        if ((token == NULL) != (tokens[i].token == NULL))
            fail_msg("row %zu", i);
        if (token != NULL) {
            assert_int_equal(len, strlen(tokens[i].token));
            assert_memory_equal(token, tokens[i].token, len);
        }
    }
}

static void
the_table_is_whole(void **state)
{
    (void)state;
    for (int v = 0; v < VERDICT__MAX; v++) {
        const struct verdict_row *row = &verdict_rows[v];

        assert_int_not_equal(row->status, 0);
        if (row->status == 101)
            assert_true((row->close == 0) == (row->reason == NULL));
        else
            assert_true(row->code != NULL && row->message != NULL && row->close == 0);
        assert_true(
            (row->status == 401) ==
            (row->header != NULL && strcmp(row->header, "WWW-Authenticate: Bearer") == 0));
    }
    assert_string_equal(verdict_rows[ADMIT_MISSING].reason, "Missing sessionId parameter");
    assert_string_equal(verdict_rows[ADMIT_MALFORMED].reason, "Invalid sessionId format");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(the_token_wherever_it_comes),
        cmocka_unit_test(the_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
