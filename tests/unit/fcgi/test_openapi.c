#include "common/buf.h"
#include "common/json.h"
#include "common/session.h"
#include "common/session_json.h"
#include "fcgi/openapi.h"
#include "fcgi/route.h"
#include <ctype.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DOCUMENT_MAX (256 * 1024)
#define P1 "11111111-1111-4111-8111-111111111111"

/* json_parse also refuses duplicate keys: two equal operations, schemas or members. */
static struct json_object *
document(void)
{
    struct fail f = { .rc = RC_OK };
    struct json_object *doc = NULL;
    struct buf out;

    buf_init(&out, DOCUMENT_MAX);
    openapi_json(&out);
    assert_false(out.overflow);
    if (json_parse(out.data, out.len, &doc, &f) != RC_OK)
        fail_msg("%s", f.message);
    buf_fini(&out);
    return doc;
}

/* Borrowed; fails the test when a step is missing. */
static struct json_object *
at(struct json_object *from, const char *const *path)
{
    for (; *path != NULL; path++)
        if (!json_object_object_get_ex(from, *path, &from))
            fail_msg("%s is missing", *path);
    return from;
}
#define AT(from, ...) at(from, (const char *const[]){ __VA_ARGS__, NULL })

static const char *
string_at(struct json_object *from, const char *key)
{
    return json_object_get_string(AT(from, key));
}

static bool
has(struct json_object *from, const char *key)
{
    return json_object_object_get_ex(from, key, NULL);
}

static bool
list_has(struct json_object *list, const char *word)
{
    size_t i;

    for (i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), word) == 0)
            return true;
    return false;
}

static struct json_object *
operation(struct json_object *doc, const struct route *r)
{
    char method[16];
    size_t i;

    snprintf(method, sizeof method, "%s", method_name(r->method));
    for (i = 0; method[i] != '\0'; i++)
        method[i] = (char)tolower(method[i]);
    return AT(doc, "paths", r->path, method);
}

static void
test_head(void **state)
{
    struct json_object *doc = document();

    (void)state;
    assert_string_equal(string_at(doc, "openapi"), "3.1.0");
    assert_string_equal(string_at(AT(doc, "info"), "version"), "2.0.0");
    assert_true(has(AT(doc, "components", "securitySchemes"), "bearer"));
    json_object_put(doc);
}

/* What is for those who run the service is no part of the API. */
static bool
is_described(const struct route *r)
{
    return r->answer != ANSWER_OPERATOR;
}

/* The operation says what its row says. */
static void
expect_described(struct json_object *doc, const struct route *r)
{
    struct json_object *op = operation(doc, r), *responses = AT(op, "responses");
    char status[8];

    snprintf(status, sizeof status, "%d", r->status);
    assert_true(has(responses, status));
    assert_true(has(responses, "500"));
    assert_string_equal(string_at(op, "summary"), r->summary);
    assert_true(list_has(AT(op, "tags"), r->tag));
    assert_int_equal(json_object_array_length(AT(op, "security")) == 0, r->auth == AUTH_PUBLIC);
    assert_int_equal(has(responses, "401"), r->auth != AUTH_PUBLIC);
    assert_int_equal(has(responses, "429"), r->limit != LIMIT_NONE);
    assert_int_equal(has(op, "requestBody"), r->body != NULL);
    assert_int_equal(has(op, "parameters"),
                     strchr(r->path, '{') != NULL || r->query != NULL || has(responses, "422"));
    if (r->query != NULL || r->body != NULL)
        assert_true(has(responses, "400"));
    assert_int_equal(has(responses, "404"),
                     strchr(r->path, '{') != NULL && r->answer != ANSWER_NOTHING);
}

static void
test_every_route_is_described(void **state)
{
    struct json_object *doc = document();
    size_t i, n = 0, described = 0;

    (void)state;
    json_object_object_foreach(AT(doc, "paths"), path, methods)
    {
        (void)path;
        n += (size_t)json_object_object_length(methods);
    }
    for (i = 0; i < route_count(); i++) {
        if (!is_described(route_at(i)))
            continue;
        expect_described(doc, route_at(i));
        described++;
    }
    assert_int_equal(n, described);
    assert_int_equal(described, route_count() - 3); /* not /metrics, /status, guests */
    json_object_put(doc);
}

static void
test_operation_ids_are_unique(void **state)
{
    struct json_object *doc = document(), *seen = json_object_new_object();
    size_t i;

    (void)state;
    for (i = 0; i < route_count(); i++) {
        const char *id;

        if (!is_described(route_at(i)))
            continue;
        id = string_at(operation(doc, route_at(i)), "operationId");
        assert_false(has(seen, id));
        json_object_object_add(seen, id, NULL);
    }
    json_object_put(seen);
    json_object_put(doc);
}

/* A 429 tells when to come back. */
static void
test_too_many_requests_has_retry_after(void **state)
{
    struct json_object *doc = document();

    (void)state;
    AT(doc, "components", "responses", "TooManyRequests", "headers", "Retry-After");
    AT(doc, "components", "responses", "Unavailable", "headers", "Retry-After");
    AT(doc, "components", "headers", "Retry-After", "schema");
    json_object_put(doc);
}

/* A $ref anywhere in the document leads somewhere. */
static void
check_refs(struct json_object *doc, struct json_object *node)
{
    size_t i;

    if (json_object_is_type(node, json_type_array))
        for (i = 0; i < json_object_array_length(node); i++)
            check_refs(doc, json_object_array_get_idx(node, i));
    if (!json_object_is_type(node, json_type_object))
        return;
    json_object_object_foreach(node, key, value)
    {
        char part[64], name[64];

        check_refs(doc, value);
        if (strcmp(key, "$ref") != 0)
            continue;
        assert_int_equal(
            sscanf(json_object_get_string(value), "#/components/%63[^/]/%63s", part, name), 2);
        AT(doc, "components", part, name);
    }
}

static void
test_references_lead_somewhere(void **state)
{
    struct json_object *doc = document();

    (void)state;
    check_refs(doc, doc);
    json_object_put(doc);
}

/* Objects are closed, but where anything is welcome, and name what they require. */
static void
check_closed(struct json_object *node)
{
    size_t i;

    if (json_object_is_type(node, json_type_array))
        for (i = 0; i < json_object_array_length(node); i++)
            check_closed(json_object_array_get_idx(node, i));
    if (!json_object_is_type(node, json_type_object))
        return;
    if (has(node, "properties") && has(node, "type")) {
        assert_true(has(node, "additionalProperties"));
        assert_false(json_object_get_boolean(AT(node, "additionalProperties")));
    }
    json_object_object_foreach(node, key, value)
    {
        (void)key;
        check_closed(value);
    }
}

static void
test_objects_are_closed(void **state)
{
    struct json_object *doc = document();

    (void)state;
    check_closed(doc);
    json_object_object_foreach(AT(doc, "components", "schemas"), name, schema)
    {
        if (strcmp(name, "ErrorCode") != 0)
            assert_true(json_object_array_length(AT(schema, "required")) > 0);
    }
    json_object_put(doc);
}

/* ---- the answers against what prints them ---- */

/* Every member of `value` is declared, and every required one is there. */
static void
check_members(struct json_object *doc, const char *name, struct json_object *value)
{
    struct json_object *schema = AT(doc, "components", "schemas", name);
    struct json_object *required = AT(schema, "required");
    size_t i;

    json_object_object_foreach(value, key, v)
    {
        (void)v;
        if (!has(AT(schema, "properties"), key))
            fail_msg("%s.%s is not described", name, key);
    }
    for (i = 0; i < json_object_array_length(required); i++) {
        const char *word = json_object_get_string(json_object_array_get_idx(required, i));

        if (!has(value, word))
            fail_msg("%s.%s is required and was not printed", name, word);
    }
}

static struct json_object *
printed(const struct session *s, bool as_switch)
{
    struct fail f = { .rc = RC_OK };
    struct json_object *json = NULL;
    struct buf out;

    buf_init(&out, DOCUMENT_MAX);
    if (as_switch)
        session_switch_json(&out, s, 0, 1700000000000);
    else
        session_json(&out, s, 1700000000000);
    assert_int_equal(json_parse(out.data, out.len, &json, &f), RC_OK);
    buf_fini(&out);
    return json;
}

static void
fill(struct session *s)
{
    struct participant *p = session_add_participant(s);

    snprintf(s->id, sizeof s->id, P1);
    snprintf(p->id, sizeof p->id, P1);
    s->mode = MODE_PER_PARTICIPANT;
    s->status = STATUS_PENDING;
    s->version = 1;
    s->created_at = s->updated_at = 1700000000000;
    epoch_make(s->epoch, 1700000000000000, 0);
}

/* Everything that can be said is said. */
static void
fill_all(struct session *s)
{
    fill(s);
    s->status = STATUS_RUNNING;
    s->active = 0;
    s->session_started_at = s->cycle_started_at = s->paused_at = 1700000000000;
    s->session_completed_at = 1700000000000;
    s->time_per_cycle_ms = s->max_time_ms = 5000;
    s->p[0].total_time_ms = s->p[0].allotted_ms = 60000;
    s->p[0].out = OUT_ELIMINATED;
    snprintf(s->p[0].group_id, sizeof s->p[0].group_id, P1);
    s->last_timeout.version = 1;
    s->last_timeout.at = 1700000000000;
    s->last_timeout.expired = 0;
    s->result.reason = REASON_TIMEOUT;
    s->result.expired = s->result.winner = 0;
    s->max_cycles = 9;
    s->control.type = CONTROL_DELAY;
    s->control.delay_ms = 3000;
    s->on_timeout.type = TIMEOUT_END_SESSION;
    s->on_timeout.winner = 0;
    snprintf(s->on_timeout.action, sizeof s->on_timeout.action, "fold");
    snprintf(s->on_timeout.outcome, sizeof s->on_timeout.outcome, "lost");
    snprintf(s->on_timeout.penalty, sizeof s->on_timeout.penalty, "{}");
    snprintf(s->owner, sizeof s->owner, "somebody");
    s->metadata = strdup("{\"a\":1}");
}

static void
fill_global(struct session *s)
{
    fill(s);
    s->mode = MODE_GLOBAL;
    s->total_time_ms = s->allotted_ms = 5000;
}

static void
fill_group(struct session *s)
{
    fill(s);
    s->mode = MODE_PER_GROUP;
    snprintf(session_add_group(s)->id, ID_LEN + 1, P1);
    s->p[0].group = 0;
    s->last_timeout.version = 1;
    s->last_timeout.at = 1700000000000;
    s->last_timeout.expired = 0;
}

/* A stopwatch of nobody. */
static void
fill_count_up(struct session *s)
{
    fill(s);
    s->mode = MODE_COUNT_UP;
    s->n = 0;
}

static void
check_printed(struct json_object *doc, void (*fill_it)(struct session *s))
{
    struct json_object *state, *sw;
    struct session s;

    session_init(&s);
    fill_it(&s);
    state = printed(&s, false);
    sw = printed(&s, true);
    check_members(doc, "SyncState", state);
    check_members(doc, "SwitchResult", sw);
    check_members(doc, "Participant", json_object_array_get_idx(AT(state, "participants"), 0));
    if (has(state, "groups"))
        check_members(doc, "Group", json_object_array_get_idx(AT(state, "groups"), 0));
    if (has(state, "last_timeout"))
        check_members(doc, "LastTimeout", AT(state, "last_timeout"));
    if (has(state, "action_on_timeout"))
        check_members(doc, "ActionOnTimeout", AT(state, "action_on_timeout"));
    if (has(state, "result"))
        check_members(doc, "Result", AT(state, "result"));
    json_object_put(state);
    json_object_put(sw);
    session_fini(&s);
}

static void
test_states_are_as_described(void **state)
{
    struct json_object *doc = document();

    (void)state;
    check_printed(doc, fill);
    check_printed(doc, fill_all);
    check_printed(doc, fill_global);
    check_printed(doc, fill_group);
    json_object_put(doc);
}

static bool
is_printed(const char *key, void (*fill_it)(struct session *s))
{
    struct json_object *full;
    struct session s;
    bool found;

    session_init(&s);
    fill_it(&s);
    full = printed(&s, false);
    found = has(full, key);
    json_object_put(full);
    session_fini(&s);
    return found;
}

/* And the other way round: what is described can be printed. */
static void
test_nothing_is_described_that_is_never_printed(void **state)
{
    struct json_object *doc = document();

    (void)state;
    json_object_object_foreach(AT(doc, "components", "schemas", "SyncState", "properties"), key,
                               v)
    {
        (void)v;
        /* a session that has ended has a result and no deadline */
        if (strcmp(key, "deadline_at") != 0 && !is_printed(key, fill_all) &&
            !is_printed(key, fill_global) && !is_printed(key, fill_group) &&
            !is_printed(key, fill_count_up))
            fail_msg("SyncState.%s is never printed", key);
    }
    json_object_put(doc);
}

static void
test_words_are_complete(void **state)
{
    struct json_object *doc = document();
    struct json_object *properties =
        AT(doc, "components", "schemas", "SyncState", "properties");
    int i;

    (void)state;
    for (i = 1; i < STATUS__MAX; i++)
        assert_true(
            list_has(AT(properties, "status", "enum"), sync_status_name((enum sync_status)i)));
    for (i = 1; i < MODE__MAX; i++)
        assert_true(
            list_has(AT(properties, "sync_mode", "enum"), sync_mode_name((enum sync_mode)i)));
    for (i = 1; i < RC__MAX; i++)
        assert_true(list_has(AT(doc, "components", "schemas", "ErrorCode", "enum"),
                             rc_code((enum rc)i)));
    for (i = 1; i < OUT__MAX; i++)
        assert_true(list_has(
            AT(doc, "components", "schemas", "Participant", "properties", "out", "enum"),
            participant_out_name((enum participant_out)i)));
    json_object_put(doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_every_route_is_described),
        cmocka_unit_test(test_operation_ids_are_unique),
        cmocka_unit_test(test_too_many_requests_has_retry_after),
        cmocka_unit_test(test_references_lead_somewhere),
        cmocka_unit_test(test_objects_are_closed),
        cmocka_unit_test(test_states_are_as_described),
        cmocka_unit_test(test_nothing_is_described_that_is_never_printed),
        cmocka_unit_test(test_words_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
