#include "common/arena.h"
#include "common/buf.h"
#include "common/field.h"
#include "common/json.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define U "11111111-1111-4111-8111-111111111111"
#define NIL "00000000-0000-0000-0000-000000000000"

/* The create body of the reference, whose answers are known (contract 1.6), and one body with
 * what it does not have, whose texts are zod's own. */
static const struct field participant_fields[] = {
    { .name = "participant_id", .type = F_UUID, .label = "Participant ID", .required = true },
    { .name = "participant_index",
      .type = F_INT,
      .label = "Participant index",
      .max = INT64_MAX,
      .required = true },
    { .name = "total_time_ms",
      .type = F_INT,
      .label = "Total time",
      .min = 1000,
      .max = 86400000,
      .too_small = "Total time must be at least 1000ms (1 second)",
      .too_big = "Total time cannot exceed 86400000ms (24 hours)",
      .required = true },
    { .name = "group_id", .type = F_UUID, .label = "Group ID" },
    { .type = F_END },
};

static const struct field create_fields[] = {
    { .name = "session_id", .type = F_UUID, .label = "Session ID", .required = true },
    { .name = "sync_mode",
      .type = F_ENUM,
      .one_of = "per_participant|per_cycle",
      .missing = "Invalid sync mode. Must be one of: per_participant, per_cycle",
      .required = true },
    { .name = "participants",
      .type = F_ARRAY,
      .items = participant_fields,
      .min = 1,
      .max = 1000,
      .too_small = "At least one participant is required",
      .too_big = "Cannot exceed 1000 participants",
      .required = true,
      .doc = "Who \"shares\" the clock." },
    { .name = "increment_ms", .type = F_INT, .label = "Increment", .max = 60000 },
    { .name = "metadata", .type = F_OBJECT, .label = "Metadata", .max = 20 },
    { .type = F_END },
};

static const struct field plain_fields[] = {
    { .name = "u", .type = F_UUID },
    { .name = "i", .type = F_INT, .min = 5, .max = 9 },
    { .name = "any", .type = F_INT },
    { .name = "s", .type = F_STR, .min = 2, .max = 3 },
    { .name = "name", .type = F_STR, .label = "Name", .min = 2, .max = 3, .missing = "A name" },
    { .name = "p", .type = F_STR, .plain = true, .label = "Plain" },
    { .name = "n",
      .type = F_INT,
      .label = "Number",
      .min = 2,
      .max = 3,
      .missing = "A number" },
    { .name = "e", .type = F_ENUM, .one_of = "x|yy" },
    { .name = "b", .type = F_BOOL },
    { .name = "o", .type = F_OBJECT, .max = 10 },
    { .name = "a", .type = F_ARRAY, .items = participant_fields, .min = 1, .max = 2 },
    { .type = F_END },
};

struct sample {
    const struct field *fields;
    const char *body;
    const char *issues; /* "field|message|code" joined by "; " */
};

#define INT(v) "{\"i\":" v "}"
#define ANY(v) "{\"any\":" v "}"
#define CREATE(participants, more) \
    "{\"session_id\":\"" U         \
    "\",\"sync_mode\":\"per_cycle\",\"participants\":" participants more "}"
#define P(index, total) \
    "{\"participant_id\":\"" U "\",\"participant_index\":" index ",\"total_time_ms\":" total "}"
#define ONE "[" P("0", "1000") "]"

/* clang-format off */
static const struct sample samples[] = {
    { create_fields, CREATE(ONE, ""), "" },
    { create_fields, CREATE(ONE, ",\"increment_ms\":1e3,\"metadata\":{}"), "" },
    { create_fields, "{}",
      "session_id|Invalid input: expected string, received undefined|invalid_type; "
      "sync_mode|Invalid sync mode. Must be one of: per_participant, per_cycle|invalid_value; "
      "participants|Invalid input: expected array, received undefined|invalid_type" },
    { create_fields, "[]", "|Invalid input: expected object, received array|invalid_type" },
    { create_fields, "[{}]", "|Invalid input: expected object, received array|invalid_type" },
    { create_fields, "\"x\"", "|Invalid input: expected object, received string|invalid_type" },
    { create_fields, "5", "|Invalid input: expected object, received number|invalid_type" },
    { create_fields, "1.5", "|Invalid input: expected object, received number|invalid_type" },
    { create_fields, "true", "|Invalid input: expected object, received boolean|invalid_type" },
    { create_fields, CREATE("[]", ""),
      "participants|At least one participant is required|too_small" },
    { create_fields, CREATE("{}", ""),
      "participants|Invalid input: expected array, received object|invalid_type" },
    { create_fields, CREATE("null", ""),
      "participants|Invalid input: expected array, received null|invalid_type" },
    { create_fields, CREATE("[null,5,[]]", ""),
      "participants.0|Invalid input: expected object, received null|invalid_type; "
      "participants.1|Invalid input: expected object, received number|invalid_type; "
      "participants.2|Invalid input: expected object, received array|invalid_type" },
    { create_fields, CREATE("[" P("0", "1000") ",{\"group_id\":\"x\"}]", ""),
      "participants.1.participant_id|Invalid input: expected string, received undefined|invalid_type; "
      "participants.1.participant_index|Invalid input: expected number, received undefined|invalid_type; "
      "participants.1.total_time_ms|Invalid input: expected number, received undefined|invalid_type; "
      "participants.1.group_id|Group ID must be a valid UUID|invalid_format" },
    { create_fields, CREATE("[" P("0", "999") "]", ""),
      "participants.0.total_time_ms|Total time must be at least 1000ms (1 second)|too_small" },
    { create_fields, CREATE("[" P("0", "86400001") "]", ""),
      "participants.0.total_time_ms|Total time cannot exceed 86400000ms (24 hours)|too_big" },
    { create_fields, CREATE("[" P("0", "86400000") "]", ""), "" },
    { create_fields, CREATE("[" P("0", "1500.0") "]", ""), "" },
    { create_fields, CREATE("[" P("0", "1e3") "]", ""), "" },
    { create_fields, CREATE("[" P("0", "1500.5") "]", ""),
      "participants.0.total_time_ms|Total time must be an integer|invalid_type" },
    { create_fields, CREATE("[" P("0", "\"1000\"") "]", ""),
      "participants.0.total_time_ms|Invalid input: expected number, received string|invalid_type" },
    { create_fields, CREATE("[" P("0", "null") "]", ""),
      "participants.0.total_time_ms|Invalid input: expected number, received null|invalid_type" },
    { create_fields, CREATE("[" P("0", "1e300") "]", ""),
      "participants.0.total_time_ms|Total time must be an integer|too_big; "
      "participants.0.total_time_ms|Total time cannot exceed 86400000ms (24 hours)|too_big" },
    { create_fields, CREATE("[" P("0", "-1e300") "]", ""),
      "participants.0.total_time_ms|Total time must be an integer|too_small; "
      "participants.0.total_time_ms|Total time must be at least 1000ms (1 second)|too_small" },
    { create_fields, CREATE("[" P("-1", "1000") "]", ""),
      "participants.0.participant_index|Participant index must be non-negative|too_small" },
    { create_fields, CREATE("[" P("-0.0", "1000") "]", ""), "" },
    { create_fields, CREATE("[" P("9007199254740991", "1000") "]", ""), "" },
    { create_fields, CREATE("[" P("9007199254740992", "1000") "]", ""),
      "participants.0.participant_index|Participant index must be an integer|too_big" },
    { create_fields, CREATE("[" P("9007199254740993", "1000") "]", ""),
      "participants.0.participant_index|Participant index must be an integer|too_big" },
    { create_fields, CREATE("[" P("1e300", "1000") "]", ""),
      "participants.0.participant_index|Participant index must be an integer|too_big" },
    { create_fields, CREATE("[" P("-1e300", "1000") "]", ""),
      "participants.0.participant_index|Participant index must be an integer|too_small; "
      "participants.0.participant_index|Participant index must be non-negative|too_small" },
    { create_fields, CREATE(ONE, ",\"increment_ms\":-1"),
      "increment_ms|Increment must be non-negative|too_small" },
    { create_fields, CREATE(ONE, ",\"increment_ms\":60001"),
      "increment_ms|Increment cannot exceed 60000|too_big" },
    { create_fields, CREATE(ONE, ",\"increment_ms\":null"),
      "increment_ms|Invalid input: expected number, received null|invalid_type" },
    { create_fields, CREATE(ONE, ",\"metadata\":null"),
      "metadata|Invalid input: expected record, received null|invalid_type" },
    { create_fields, CREATE(ONE, ",\"metadata\":[]"),
      "metadata|Invalid input: expected record, received array|invalid_type" },
    { create_fields, CREATE(ONE, ",\"metadata\":{\"k\":\"0123456789ab\"}"), "" },
    { create_fields, CREATE(ONE, ",\"metadata\": { \"k\" : \"0123456789ab\" } "), "" },
    { create_fields, CREATE(ONE, ",\"metadata\":{\"k\":\"0123456789abc\"}"),
      "metadata|Metadata cannot exceed 20 bytes|too_big" },
    /* unknown keys: after the fields of their object, never inside a free object */
    { create_fields, CREATE(ONE, ",\"metadata\":{\"x\":{\"y\":1}}"), "" },
    { create_fields, CREATE(ONE, ",\"auto_advance\":true"),
      "auto_advance|Unrecognized key: \"auto_advance\"|unrecognized_key" },
    { create_fields, CREATE("[{\"zz\":1,\"participant_id\":\"" U "\",\"total_time_ms\":1000}]",
      ",\"Sync_mode\":1,\"\":2"),
      "participants.0.participant_index|Invalid input: expected number, received undefined|invalid_type; "
      "participants.0.zz|Unrecognized key: \"zz\"|unrecognized_key; "
      "Sync_mode|Unrecognized key: \"Sync_mode\"|unrecognized_key; "
      "|Unrecognized key: \"\"|unrecognized_key" },
    /* UUIDs */
    { plain_fields, "{\"u\":\"" NIL "\"}", "" },
    { plain_fields, "{\"u\":\"ffffffff-ffff-ffff-ffff-ffffffffffff\"}", "" },
    { plain_fields, "{\"u\":\"FFFFFFFF-ffff-ffff-ffff-ffffffffffff\"}", "u|Invalid UUID|invalid_format" },
    { plain_fields, "{\"u\":\"11111111-1111-9111-8111-111111111111\"}", "u|Invalid UUID|invalid_format" },
    { plain_fields, "{\"u\":\"\"}", "u|Invalid UUID|invalid_format" },
    { plain_fields, "{\"p\":\"\"}", "" },
    { plain_fields, "{\"p\":\" ~\xc2\x80\xc3\xa9\"}", "" },
    { plain_fields, "{\"p\":\"a\\u001f\"}", "p|Plain must not contain control characters|invalid_format" },
    { plain_fields, "{\"p\":\"\\u007fa\"}", "p|Plain must not contain control characters|invalid_format" },
    { plain_fields, "{\"u\":\"" U " \"}", "u|Invalid UUID|invalid_format" },
    { plain_fields, "{\"u\":7}", "u|Invalid input: expected string, received number|invalid_type" },
    /* integers */
    { plain_fields, INT("5"), "" },
    { plain_fields, INT("9.0"), "" },
    { plain_fields, INT("4"), "i|Too small: expected number to be >=5|too_small" },
    { plain_fields, INT("10"), "i|Too big: expected number to be <=9|too_big" },
    { plain_fields, INT("9223372036854775807"),
      "i|Too big: expected int to be <=9007199254740991|too_big; "
      "i|Too big: expected number to be <=9|too_big" },
    { plain_fields, INT("7.5"), "i|Invalid input: expected int, received number|invalid_type" },
    { plain_fields, INT("true"), "i|Invalid input: expected number, received boolean|invalid_type" },
    { plain_fields, INT("{}"), "i|Invalid input: expected number, received object|invalid_type" },
    { plain_fields, ANY("-9007199254740991"), "" },
    { plain_fields, ANY("-9007199254740992"),
      "any|Too small: expected int to be >=-9007199254740991|too_small" },
    { plain_fields, ANY("0.9999999999999999999999"), "" },
    { plain_fields, "{\"n\":\"x\"}", "n|A number|invalid_type" },
    { plain_fields, "{\"n\":1}", "n|Number must be at least 2|too_small" },
    { plain_fields, "{\"n\":4}", "n|Number cannot exceed 3|too_big" },
    { plain_fields, "{\"n\":2.5}", "n|Number must be an integer|invalid_type" },
    /* strings are counted in characters */
    { plain_fields, "{\"s\":\"x\"}", "s|Too small: expected string to have >=2 characters|too_small" },
    { plain_fields, "{\"s\":\"xxxx\"}", "s|Too big: expected string to have <=3 characters|too_big" },
    { plain_fields, "{\"s\":\"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9\"}", "" },
    { plain_fields, "{\"s\":\"\xf0\x9f\x98\x80\"}",
      "s|Too small: expected string to have >=2 characters|too_small" },
    { plain_fields, "{\"s\":null}", "s|Invalid input: expected string, received null|invalid_type" },
    { plain_fields, "{\"name\":\"\"}", "name|Name must have at least 2 characters|too_small" },
    { plain_fields, "{\"name\":\"xxxx\"}", "name|Name cannot exceed 3 characters|too_big" },
    { plain_fields, "{\"name\":1}", "name|A name|invalid_type" },
    /* the rest */
    { plain_fields, "{\"e\":\"x\"}", "" },
    { plain_fields, "{\"e\":\"yy\"}", "" },
    { plain_fields, "{\"e\":\"y\"}", "e|Invalid option: expected one of \"x\"|\"yy\"|invalid_value" },
    { plain_fields, "{\"e\":\"x|yy\"}", "e|Invalid option: expected one of \"x\"|\"yy\"|invalid_value" },
    { plain_fields, "{\"e\":\"\"}", "e|Invalid option: expected one of \"x\"|\"yy\"|invalid_value" },
    { plain_fields, "{\"e\":1}", "e|Invalid option: expected one of \"x\"|\"yy\"|invalid_value" },
    { plain_fields, "{\"b\":false}", "" },
    { plain_fields, "{\"b\":\"true\"}", "b|Invalid input: expected boolean, received string|invalid_type" },
    { plain_fields, "{\"b\":0}", "b|Invalid input: expected boolean, received number|invalid_type" },
    { plain_fields, "{\"o\":{\"k\":12345}}", "o|Too big: expected object to have <=10 bytes|too_big" },
    { plain_fields, "{\"a\":[]}", "a|Too small: expected array to have >=1 items|too_small" },
    { plain_fields, "{\"a\":[1,2,3]}", "a|Too big: expected array to have <=2 items|too_big" },
    { plain_fields, "{\"a\":\"x\"}", "a|Invalid input: expected array, received string|invalid_type" },
};
/* clang-format on */

struct world {
    struct arena *mem;
    struct body body;
    struct json_object *json;
    struct fail f;
};

static int
setup(void **state)
{
    struct world *w = xalloc(sizeof *w);

    w->mem = arena_new(4 << 20);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    arena_free(w->mem);
    json_object_put(w->json);
    free(w);
    return 0;
}

static enum rc
check(struct world *w, const struct field *fields, const char *text, bool strict)
{
    struct fail f = { .rc = RC_OK };

    arena_reset(w->mem);
    json_object_put(w->json);
    w->f = f;
    assert_int_equal(json_parse(text, strlen(text), &w->json, &f), RC_OK);
    return body_check(&w->body, fields, w->json, strict, w->mem, &w->f);
}

static const char *
issues_text(struct world *w)
{
    char *text = arena_dup(w->mem, "", 0);
    const struct issue *issue;

    for (issue = w->body.issues; issue != NULL; issue = issue->next)
        text = arena_printf(w->mem, "%s%s%s|%s|%s", text, *text != '\0' ? "; " : "",
                            issue->field, issue->message, issue->code);
    return text;
}

static void
test_samples(void **state)
{
    struct world *w = *state;
    size_t i;

    for (i = 0; i < sizeof samples / sizeof *samples; i++) {
        enum rc rc = check(w, samples[i].fields, samples[i].body, true);

        if (strcmp(issues_text(w), samples[i].issues) != 0)
            fail_msg("%s:\n  %s\nnot\n  %s", samples[i].body, issues_text(w),
                     samples[i].issues);
        assert_int_equal(rc, samples[i].issues[0] == '\0' ? RC_OK : RC_VALIDATION);
        if (rc != RC_OK)
            assert_string_equal(w->f.message, "Request validation failed");
    }
}

static void
test_unknown_keys_pass_unless_strict(void **state)
{
    struct world *w = *state;

    assert_int_equal(check(w, create_fields,
                           CREATE("[{\"x\":1,\"participant_id\":\"" U
                                  "\",\"participant_index\":0,\"total_time_ms\":1000}]",
                                  ",\"y\":1"),
                           false),
                     RC_OK);
    assert_null(w->body.issues);
}

static void
test_no_body_counts_as_an_empty_one(void **state)
{
    struct world *w = *state;

    assert_int_equal(body_check(&w->body, plain_fields, NULL, true, w->mem, &w->f), RC_OK);
    assert_null(w->body.issues);
    assert_int_equal(body_check(&w->body, create_fields, NULL, true, w->mem, &w->f),
                     RC_VALIDATION);
    assert_string_equal(
        issues_text(w),
        "session_id|Invalid input: expected string, received undefined|invalid_type; "
        "sync_mode|Invalid sync mode. Must be one of: per_participant, "
        "per_cycle|invalid_value; "
        "participants|Invalid input: expected array, received undefined|invalid_type");
}

static void
test_a_long_key_is_cut_between_characters(void **state)
{
    struct world *w = *state;
    struct buf text, key;
    int i;

    buf_init(&text, 4096);
    buf_init(&key, 4096);
    buf_char(&key, 'x'); /* so that byte 100 is inside a character */
    for (i = 0; i < 200; i++)
        buf_str(&key, "\xc3\xa9");
    buf_printf(&text, "{\"%s\":1}", buf_cstr(&key));
    assert_int_equal(check(w, plain_fields, buf_cstr(&text), true), RC_VALIDATION);
    assert_int_equal(strlen(w->body.issues->field), 99 + 3);
    assert_memory_equal(w->body.issues->field, buf_cstr(&key), 99);
    assert_string_equal(w->body.issues->field + 99, "...");
    assert_true(json_utf8_is_valid(w->body.issues->message, strlen(w->body.issues->message)));
    buf_fini(&text);
    buf_fini(&key);
}

static size_t
count_issues(const struct world *w, const struct issue **last)
{
    const struct issue *issue;
    size_t n = 0;

    for (issue = w->body.issues; issue != NULL; issue = issue->next, n++)
        *last = issue;
    return n;
}

static void
test_the_list_is_capped_by_number(void **state)
{
    struct world *w = *state;
    const struct issue *last = NULL;
    struct buf text;
    int i;

    buf_init(&text, 256 * 1024);
    for (i = 0; i < 1000; i++)
        buf_str(&text, i == 0 ? "{\"participants\":[{}" : ",{}");
    buf_str(&text, "]}");
    assert_int_equal(check(w, create_fields, buf_cstr(&text), true), RC_VALIDATION);
    assert_int_equal(count_issues(w, &last), BODY_ISSUES_MAX + 1);
    assert_string_equal(last->code, "too_many_issues");
    assert_string_equal(last->field, "");
    body_issue(&w->body, w->mem, "x", "custom", "dropped");
    assert_int_equal(count_issues(w, &last), BODY_ISSUES_MAX + 1);
    buf_fini(&text);
}

/* The worst that fits into 256 KB: nothing but unknown keys. */
static void
test_the_list_is_capped_by_bytes(void **state)
{
    struct world *w = *state;
    const struct issue *last = NULL;
    struct buf text;
    int i;

    buf_init(&text, 256 * 1024);
    for (i = 0; i < 2000; i++)
        buf_printf(&text, "%s\"%0110d\":1", i == 0 ? "{" : ",", i);
    buf_str(&text, "}");
    assert_false(text.overflow);
    assert_int_equal(check(w, create_fields, buf_cstr(&text), true), RC_VALIDATION);
    assert_true(count_issues(w, &last) < 1300);
    assert_string_equal(last->code, "too_many_issues");
    assert_true(w->body.issue_bytes < BODY_ISSUE_BYTES_MAX + 1024);
    assert_true(arena_used(w->mem) < 2 * BODY_ISSUE_BYTES_MAX);
    buf_fini(&text);
}

static void
test_values(void **state)
{
    struct world *w = *state;
    struct json_object *b, *p;

    assert_int_equal(check(w, plain_fields,
                           "{\"u\":\"" U "\",\"i\":7e0,\"any\":-3,\"b\":true,\"s\":\"ab\","
                           "\"a\":[{\"participant_id\":\"" NIL
                           "\",\"participant_index\":3,\"total_time_ms\":1500.0}]}",
                           true),
                     RC_OK);
    b = w->body.json;
    assert_string_equal(body_str(b, "u"), U);
    assert_null(body_str(b, "e"));
    assert_null(body_str(b, "i"));
    assert_int_equal(body_int(b, "i", -1), 7);
    assert_int_equal(body_int(b, "any", -1), -3);
    assert_int_equal(body_int(b, "n", -1), -1);
    assert_int_equal(body_int(b, "s", -1), -1);
    assert_true(body_bool(b, "b", false));
    assert_true(body_bool(b, "absent", true));
    assert_true(body_has(b, "b"));
    assert_false(body_has(b, "e"));
    assert_int_equal(body_array_len(b, "a"), 1);
    assert_int_equal(body_array_len(b, "u"), 0);
    p = body_array_at(b, "a", 0);
    assert_string_equal(body_str(p, "participant_id"), NIL);
    assert_int_equal(body_int(p, "total_time_ms", 0), 1500);
    assert_null(body_array_at(b, "a", 1));
}

static void
test_values_of_no_body(void **state)
{
    (void)state;
    assert_false(body_has(NULL, "x"));
    assert_int_equal(body_int(NULL, "x", 5), 5);
    assert_true(body_bool(NULL, "x", true));
    assert_null(body_str(NULL, "x"));
    assert_int_equal(body_array_len(NULL, "x"), 0);
    assert_null(body_array_at(NULL, "x", 0));
}

static void
test_issues_as_json(void **state)
{
    struct world *w = *state;
    char path[] = "p.0", message[] = "a \"rule\"";
    struct buf out;

    buf_init(&out, 4096);
    assert_int_equal(check(w, plain_fields, "{}", true), RC_OK);
    issues_json(&out, w->body.issues);
    assert_string_equal(buf_cstr(&out), "[]");
    buf_clear(&out);
    body_issue(&w->body, w->mem, path, "custom", message);
    path[0] = message[0] = 'z'; /* both were copied */
    body_issue(&w->body, w->mem, "\n", "too_big", "b");
    issues_json(&out, w->body.issues);
    assert_string_equal(
        buf_cstr(&out),
        "[{\"field\":\"p.0\",\"message\":\"a \\\"rule\\\"\",\"code\":\"custom\"},"
        "{\"field\":\"\\n\",\"message\":\"b\",\"code\":\"too_big\"}]");
    buf_fini(&out);
}

static void
test_a_fault_before_any_check(void **state)
{
    struct world *w = *state;

    w->body = (struct body){ 0 };
    body_issue(&w->body, w->mem, "id", "invalid_format", "first");
    body_issue(&w->body, w->mem, "id", "invalid_format", "second");
    assert_string_equal(issues_text(w), "id|first|invalid_format; id|second|invalid_format");
}

static bool
has_a_name(struct json_object *obj)
{
    return body_has(obj, "name");
}

static const struct field spared_fields[] = {
    { .name = "name", .type = F_STR },
    { .name = "list",
      .type = F_ARRAY,
      .required = true,
      .min = 1,
      .max = 2,
      .items = plain_fields,
      .spared = has_a_name,
      .spared_schema = "{\"required\":[\"name\"]}" },
    { .type = F_END },
};

static void
test_what_is_spared_is_not_missed(void **state)
{
    static const struct {
        const char *text;
        enum rc rc;
    } cases[] = {
        { "{}", RC_VALIDATION },
        { "{\"list\":[]}", RC_VALIDATION },
        { "{\"name\":\"x\"}", RC_OK },
        { "{\"name\":\"x\",\"list\":[]}", RC_OK },
        { "{\"name\":\"x\",\"list\":1}", RC_VALIDATION },
        { "{\"name\":\"x\",\"list\":[1]}", RC_VALIDATION },
    };
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fail f = { .rc = RC_OK };
        struct arena *mem = arena_new(4096);
        struct json_object *json = NULL;
        struct body b;

        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &json, &f), RC_OK);
        assert_int_equal(body_check(&b, spared_fields, json, true, mem, &f), cases[i].rc);
        json_object_put(json);
        arena_free(mem);
    }
    buf_init(&out, 1 << 16);
    field_schema(&out, spared_fields);
    assert_non_null(strstr(buf_cstr(&out), ",\"allOf\":[{\"anyOf\":[{\"required\":[\"name\"]},"
                                           "{\"required\":[\"list\"],\"properties\":"
                                           "{\"list\":{\"minItems\":1}}}]}]}"));
    assert_null(strstr(buf_cstr(&out), "\"list\":{\"type\":\"array\",\"minItems\""));
    buf_fini(&out);
}

static bool
has_b(struct json_object *obj)
{
    return body_has(obj, "b");
}

static bool
has_a(struct json_object *obj)
{
    return body_has(obj, "a");
}

static const struct field either_fields[] = {
    { .name = "a",
      .type = F_INT,
      .required = true,
      .spared = has_b,
      .spared_schema = "{\"required\":[\"b\"]}",
      .excludes = "b" },
    { .name = "b",
      .type = F_INT,
      .required = true,
      .spared = has_a,
      .spared_schema = "{\"required\":[\"a\"]}" },
    { .type = F_END },
};

static void
test_exactly_one_of_two(void **state)
{
    static const struct {
        const char *text, *faults;
    } cases[] = {
        { "{\"a\":1}", NULL },
        { "{\"b\":1}", NULL },
        { "{\"a\":1,\"b\":1}", "[{\"field\":\"a\",\"message\":\"Only one of a and b can be "
                               "given\",\"code\":\"invalid_value\"}]" },
        { "{}", "[{\"field\":\"a\",\"message\":\"Invalid input: expected number, received "
                "undefined\",\"code\":\"invalid_type\"},{\"field\":\"b\",\"message\":\"Invalid "
                "input: expected number, received undefined\",\"code\":\"invalid_type\"}]" },
    };
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fail f = { .rc = RC_OK };
        struct arena *mem = arena_new(4096);
        struct json_object *json = NULL;
        struct body b;

        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &json, &f), RC_OK);
        assert_int_equal(body_check(&b, either_fields, json, true, mem, &f),
                         cases[i].faults == NULL ? RC_OK : RC_VALIDATION);
        buf_clear(&out);
        issues_json(&out, b.issues);
        if (cases[i].faults != NULL)
            assert_string_equal(buf_cstr(&out), cases[i].faults);
        json_object_put(json);
        arena_free(mem);
    }
    buf_clear(&out);
    field_schema(&out, either_fields);
    assert_non_null(strstr(buf_cstr(&out), "\"required\":[\"a\"]}]},{\"not\":{\"required\":"));
    assert_non_null(
        strstr(buf_cstr(&out), "{\"not\":{\"required\":[\"a\",\"b\"]}},{\"anyOf\":"));
    buf_fini(&out);
}

static void
test_schema(void **state)
{
    struct fail f = { .rc = RC_OK };
    struct json_object *json;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    field_schema(&out, create_fields);
    assert_string_equal(
        buf_cstr(&out),
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"session_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"sync_mode\":{\"type\":\"string\",\"enum\":[\"per_participant\",\"per_cycle\"]},"
        "\"participants\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":"
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"participant_id\":{\"type\":\"string\",\"format\":\"uuid\"},"
        "\"participant_index\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":"
        "9007199254740991,\"examples\":[0]},"
        "\"total_time_ms\":{\"type\":\"integer\",\"minimum\":1000,\"maximum\":86400000,"
        "\"examples\":[1000]},"
        "\"group_id\":{\"type\":\"string\",\"format\":\"uuid\"}},"
        "\"required\":[\"participant_id\",\"participant_index\",\"total_time_ms\"]},"
        "\"description\":\"Who \\\"shares\\\" the clock.\"},"
        "\"increment_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":60000,\"examples\":["
        "0]},"
        "\"metadata\":{\"type\":\"object\",\"additionalProperties\":true}},"
        "\"required\":[\"session_id\",\"sync_mode\",\"participants\"]}");
    buf_clear(&out);
    field_schema(&out, plain_fields);
    assert_int_equal(json_parse(out.data, out.len, &json, &f), RC_OK);
    assert_false(body_has(json, "required"));
    json_object_put(json);
    buf_fini(&out);
}

/* --- objects of several kinds --- */

static const struct field shape_types[] = {
    { .name = "type", .type = F_ENUM, .one_of = "dot|circle" },
    { .type = F_END },
};
static const struct field dot_fields[] = {
    { .name = "type", .type = F_ENUM, .one_of = "dot" },
    { .type = F_END },
};
static const struct field circle_fields[] = {
    { .name = "type", .type = F_ENUM, .required = true, .one_of = "circle" },
    { .name = "radius", .type = F_INT, .required = true, .min = 1, .max = 9 },
    { .type = F_END },
};
static const struct field_variant shapes[] = {
    { "dot", dot_fields },
    { "circle", circle_fields },
    { NULL, NULL },
};
static const struct field shape_fields[] = {
    { .name = "shape",
      .type = F_OBJECT,
      .items = shape_types,
      .variants = shapes,
      .doc = "What it is." },
    { .type = F_END },
};

static void
test_an_object_is_checked_as_the_kind_it_says(void **state)
{
    static const struct {
        const char *text, *field, *code;
    } cases[] = {
        { "{\"shape\":{}}", NULL, NULL },
        { "{\"shape\":{\"type\":\"dot\"}}", NULL, NULL },
        { "{\"shape\":{\"type\":\"dot\",\"radius\":2}}", "shape.radius", "unrecognized_key" },
        { "{\"shape\":{\"radius\":2}}", "shape.radius", "unrecognized_key" },
        { "{\"shape\":{\"type\":\"circle\",\"radius\":2}}", NULL, NULL },
        { "{\"shape\":{\"type\":\"circle\"}}", "shape.radius", "invalid_type" },
        { "{\"shape\":{\"type\":\"circle\",\"radius\":10}}", "shape.radius", "too_big" },
        { "{\"shape\":{\"type\":\"square\",\"side\":2}}", "shape.type", "invalid_value" },
        { "{\"shape\":{\"type\":null}}", "shape.type", "invalid_value" },
        { "{\"shape\":{\"type\":5}}", "shape.type", "invalid_value" },
        { "{\"shape\":\"dot\"}", "shape", "invalid_type" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fail f = { .rc = RC_OK };
        struct arena *mem = arena_new(4096);
        struct json_object *json = NULL;
        struct body b;

        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &json, &f), RC_OK);
        assert_int_equal(body_check(&b, shape_fields, json, true, mem, &f),
                         cases[i].field == NULL ? RC_OK : RC_VALIDATION);
        if (cases[i].field != NULL) {
            assert_string_equal(b.issues->field, cases[i].field);
            assert_string_equal(b.issues->code, cases[i].code);
            assert_null(b.issues->next);
        }
        json_object_put(json);
        arena_free(mem);
    }
}

static void
test_schema_of_an_object_of_several_kinds(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    field_schema(&out, shape_fields);
    assert_string_equal(
        buf_cstr(&out),
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"shape\":"
        "{\"oneOf\":[{\"type\":\"object\",\"additionalProperties\":false,\"properties\":"
        "{\"type\":{\"type\":\"string\",\"enum\":[\"dot\"]}}},"
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":"
        "{\"type\":{\"type\":\"string\",\"enum\":[\"circle\"]},"
        "\"radius\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"examples\":[1]}},"
        "\"required\":[\"type\",\"radius\"]}],\"description\":\"What it is.\"}}}");
    buf_fini(&out);
}

/* Arrays of plain values: one field without a name says what each has to be. */
static void
test_arrays_of_values(void **state)
{
    static const struct field number[] = { { .type = F_INT, .min = 5, .max = 9 } };
    static const struct field values_fields[] = {
        { .name = "a", .type = F_ARRAY, .items = number, .max = 3 },
        { .type = F_END },
    };
    static const char text[] = "{\"a\":[5,10,null]}", many[] = "{\"a\":[0,0,0,0]}";
    struct arena *mem = arena_new(1 << 16);
    struct fail f = { .rc = RC_OK };
    struct json_object *json = NULL;
    struct body b;
    struct buf out;

    (void)state;
    assert_int_equal(json_parse(text, sizeof(text) - 1, &json, &f), RC_OK);
    assert_int_equal(body_check(&b, values_fields, json, true, mem, &f), RC_VALIDATION);
    assert_string_equal(b.issues->field, "a.1");
    assert_string_equal(b.issues->code, "too_big");
    assert_string_equal(b.issues->next->field, "a.2");
    assert_string_equal(b.issues->next->code, "invalid_type");
    assert_null(b.issues->next->next);
    json_object_put(json);

    fail_reset(&f);
    assert_int_equal(json_parse(many, sizeof(many) - 1, &json, &f), RC_OK);
    assert_int_equal(body_check(&b, values_fields, json, true, mem, &f), RC_VALIDATION);
    assert_string_equal(b.issues->field, "a");
    assert_null(b.issues->next);
    json_object_put(json);

    buf_init(&out, 4096);
    field_schema(&out, values_fields);
    assert_non_null(strstr(buf_cstr(&out), "\"maxItems\":3,\"items\":{\"type\":\"integer\","
                                           "\"minimum\":5,\"maximum\":9"));
    buf_fini(&out);
    arena_free(mem);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_keys_pass_unless_strict, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_body_counts_as_an_empty_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_key_is_cut_between_characters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_list_is_capped_by_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_list_is_capped_by_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test(test_values_of_no_body),
        cmocka_unit_test_setup_teardown(test_issues_as_json, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_before_any_check, setup, teardown),
        cmocka_unit_test(test_what_is_spared_is_not_missed),
        cmocka_unit_test(test_exactly_one_of_two),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_an_object_is_checked_as_the_kind_it_says),
        cmocka_unit_test(test_schema_of_an_object_of_several_kinds),
        cmocka_unit_test(test_arrays_of_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
