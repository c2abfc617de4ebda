#include "common/buf.h"
#include "common/fault.h"
#include "common/json.h"
#include "fcgi/asyncapi.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* json_parse also refuses duplicate keys: two equal messages or members. */
static struct json_object *
document(void)
{
    struct fail f = { .rc = RC_OK };
    struct json_object *doc = NULL;
    struct buf out;

    buf_init(&out, 256 * 1024);
    asyncapi_json(&out);
    assert_false(out.overflow);
    if (json_parse(out.data, out.len, &doc, &f) != RC_OK)
        fail_msg("%s", f.message);
    buf_fini(&out);
    return doc;
}

static struct json_object *
at(struct json_object *from, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(from, key, &value))
        fail_msg("%s is missing", key);
    return value;
}

static void
every_message_is_closed_and_names_its_type(void **state)
{
    struct json_object *doc = document();
    struct json_object *messages = at(at(doc, "components"), "messages");

    (void)state;
    assert_true(json_object_object_length(messages) >= 15);
    json_object_object_foreach(messages, key, message)
    {
        struct json_object *payload = at(message, "payload");
        struct json_object *type = at(at(at(payload, "properties"), "type"), "const");
        const char *name = json_object_get_string(at(message, "name"));

        assert_string_equal(json_object_get_string(type), name);
        assert_memory_equal(key, name, strlen(name));
        assert_false(json_object_get_boolean(at(payload, "additionalProperties")));
        assert_true(json_object_array_length(at(payload, "required")) > 0);
    }
    json_object_put(doc);
}

static void
every_code_of_an_error_is_listed(void **state)
{
    struct json_object *doc = document();
    struct json_object *codes =
        at(at(at(at(doc, "components"), "schemas"), "ErrorCode"), "enum");

    (void)state;
    assert_int_equal(json_object_array_length(codes), FAULT__MAX - 1);
    for (enum fault f = FAULT_NONE + 1; f < FAULT__MAX; f++) {
        struct json_object *code = json_object_array_get_idx(codes, (size_t)f - 1);

        assert_string_equal(json_object_get_string(code), fault_code(f));
        assert_non_null(fault_message(f));
    }
    json_object_put(doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_closed_and_names_its_type),
        cmocka_unit_test(every_code_of_an_error_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
