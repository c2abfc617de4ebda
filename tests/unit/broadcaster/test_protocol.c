#include "broadcaster/protocol.h"

#include "common/warning.h"
#include "fake.h"

/* --- reading --- */

static enum fault
parse(const char *s, struct message *m)
{
    return protocol_parse(s, strlen(s), m);
}

static void
what_a_client_may_say(void **state)
{
    struct message m;

    (void)state;
    assert_int_equal(parse("{\"type\":\"PING\"}", &m), FAULT_NONE);
    assert_int_equal(m.type, MESSAGE_PING);
    assert_string_equal(m.timestamp, "");
    assert_int_equal(parse(" {\"timestamp\":1795362446694,\"type\":\"PING\",\"x\":[1]} ", &m),
                     FAULT_NONE);
    assert_string_equal(m.timestamp, "1795362446694");
    assert_int_equal(parse("{\"type\":\"PING\",\"timestamp\":12.25}", &m), FAULT_NONE);
    assert_string_equal(m.timestamp, "12.25");
    assert_int_equal(parse("{\"type\":\"RECONNECT\"}", &m), FAULT_NONE);
    assert_int_equal(m.type, MESSAGE_RECONNECT);
    assert_int_equal(m.last_known_version, -1);
    assert_int_equal(parse("{\"type\":\"RECONNECT\",\"sessionId\":\"" SID
                           "\",\"last_known_version\":7,\"epoch\":\"e.1\"}",
                           &m),
                     FAULT_NONE);
    assert_string_equal(m.session_id, SID);
    assert_int_equal(m.last_known_version, 7);
    assert_string_equal(m.epoch, "e.1");
    assert_int_equal(parse("{\"type\":\"RECONNECT\",\"sessionId\":null,\"epoch\":null,"
                           "\"last_known_version\":null}",
                           &m),
                     FAULT_NONE);
    assert_int_equal(parse("{\"type\":\"SUBSCRIBE\",\"sessionId\":\"" SID "\"}", &m),
                     FAULT_NONE);
    assert_int_equal(m.type, MESSAGE_SUBSCRIBE);
    assert_string_equal(m.session_id, SID);
    assert_false(m.delta);
    assert_int_equal(
        parse("{\"type\":\"SUBSCRIBE\",\"sessionId\":\"" SID "\",\"delta\":true}", &m),
        FAULT_NONE);
    assert_true(m.delta);
    assert_int_equal(parse("{\"type\":\"UNSUBSCRIBE\",\"sessionId\":\"" SID "\"}", &m),
                     FAULT_NONE);
    assert_int_equal(m.type, MESSAGE_UNSUBSCRIBE);
}

static void
odd_timestamps_are_not_given_back(void **state)
{
    static const char *const rows[] = { "\"now\"", "null", "[1]", "{}", "true" };
    struct message m;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        snprintf(text, sizeof(text), "{\"type\":\"PING\",\"timestamp\":%s}", rows[i]);
        assert_int_equal(parse(text, &m), FAULT_NONE);
        assert_string_equal(m.timestamp, "");
    }
}

static void
what_is_refused(void **state)
{
    static const struct {
        enum fault fault;
        const char *text;
    } rows[] = {
        { FAULT_INVALID_MESSAGE, "" },
        { FAULT_INVALID_MESSAGE, "hello" },
        { FAULT_INVALID_MESSAGE, "null" },
        { FAULT_INVALID_MESSAGE, "7" },
        { FAULT_INVALID_MESSAGE, "[{\"type\":\"PING\"}]" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"PING\"" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"PING\"}{}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"PING\",\"type\":\"PING\"}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"PING\",\"x\":\"\xff\"}" },
        { FAULT_UNKNOWN_TYPE, "{}" },
        { FAULT_UNKNOWN_TYPE, "{\"type\":7}" },
        { FAULT_UNKNOWN_TYPE, "{\"type\":null}" },
        { FAULT_UNKNOWN_TYPE, "{\"type\":\"ping\"}" },
        { FAULT_UNKNOWN_TYPE, "{\"type\":\"PONG\"}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"RECONNECT\",\"sessionId\":7}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"RECONNECT\",\"sessionId\":\"abc\"}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"RECONNECT\",\"last_known_version\":\"7\"}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"RECONNECT\",\"last_known_version\":-1}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"RECONNECT\",\"epoch\":1}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"SUBSCRIBE\"}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"SUBSCRIBE\",\"sessionId\":null}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"SUBSCRIBE\",\"sessionId\":\"abc\"}" },
        { FAULT_INVALID_MESSAGE,
          "{\"type\":\"SUBSCRIBE\",\"sessionId\":\"" SID "\",\"delta\":1}" },
        { FAULT_INVALID_MESSAGE, "{\"type\":\"UNSUBSCRIBE\"}" },
    };
    struct message m;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (parse(rows[i].text, &m) != rows[i].fault)
            fail_msg("%s", rows[i].text);
    /* an embedded NUL does not hide what follows */
    assert_int_equal(protocol_parse("{\"type\":\"PING\"}\0", 16, &m), FAULT_INVALID_MESSAGE);
}

static void
an_epoch_too_long_is_just_not_ours(void **state)
{
    char text[256];
    struct message m;

    (void)state;
    snprintf(text, sizeof(text), "{\"type\":\"RECONNECT\",\"epoch\":\"%0100d\"}", 1);
    assert_int_equal(parse(text, &m), FAULT_NONE);
    assert_string_equal(m.epoch, "");
}

/* --- writing --- */

static struct buf out;

static void
says(const char *text)
{
    struct json_object *json = json_tokener_parse(buf_cstr(&out));

    assert_string_equal(buf_cstr(&out), text);
    assert_non_null(json);
    json_object_put(json);
    buf_clear(&out);
}

static void
small_messages(void **state)
{
    const struct pong bare = { .client_timestamp = "",
                               .receive_us = 1795362446694999,
                               .transmit_us = 1795362446695001 };
    const struct pong full = { .client_timestamp = "12.25",
                               .receive_us = 1795362446694999,
                               .transmit_us = 1795362446695001 };
    const struct pong away = { .client_timestamp = "",
                               .receive_us = 1795362446694999,
                               .transmit_us = 1795362446695001,
                               .store_is_away = true };

    (void)state;
    buf_init(&out, 100000);
    protocol_connected(&out, SID, T0);
    says("{\"type\":\"CONNECTED\",\"sessionId\":\"" SID "\",\"timestamp\":1795362403096}");
    protocol_connected(&out, NULL, T0);
    says("{\"type\":\"CONNECTED\",\"timestamp\":1795362403096}");
    protocol_pong(&out, &bare);
    says("{\"type\":\"PONG\",\"timestamp\":1795362446695,\"receive_us\":1795362446694999,"
         "\"transmit_us\":1795362446695001}");
    protocol_pong(&out, &away);
    says("{\"type\":\"PONG\",\"timestamp\":1795362446695,\"receive_us\":1795362446694999,"
         "\"transmit_us\":1795362446695001,\"store\":\"unavailable\"}");
    protocol_pong(&out, &full);
    says("{\"type\":\"PONG\",\"timestamp\":1795362446695,\"client_timestamp\":12.25,"
         "\"receive_us\":1795362446694999,\"transmit_us\":1795362446695001}");
    protocol_not_found(&out, SID, T0);
    says("{\"type\":\"ERROR\",\"sessionId\":\"" SID "\",\"timestamp\":1795362403096,"
         "\"code\":\"SESSION_NOT_FOUND\",\"message\":\"Session " SID " not found\"}");
    protocol_deleted(&out, SID, "e.1", 9, T0);
    says("{\"type\":\"SESSION_DELETED\",\"sessionId\":\"" SID
         "\",\"timestamp\":1795362403096,\"epoch\":\"e.1\",\"version\":9}");
    protocol_draining(&out, 250, T0);
    says("{\"type\":\"SERVER_DRAINING\",\"timestamp\":1795362403096,\"reconnect_in_ms\":250}");
    buf_fini(&out);
}

static void
every_fault_has_words(void **state)
{
    (void)state;
    buf_init(&out, 100000);
    for (int fault = FAULT_NONE + 1; fault < FAULT__MAX; fault++) {
        struct json_object *json, *v;

        protocol_error(&out, (enum fault)fault, NULL, T0);
        json = json_tokener_parse(buf_cstr(&out));
        assert_true(json_object_object_get_ex(json, "code", &v));
        assert_true(json_object_get_string_len(v) > 3);
        assert_true(json_object_object_get_ex(json, "message", &v));
        assert_true(json_object_get_string_len(v) > 3);
        assert_false(json_object_object_get_ex(json, "sessionId", &v));
        json_object_put(json);
        buf_clear(&out);
    }
    buf_fini(&out);
}

static const char *
text_of(struct json_object *json, const char *key)
{
    struct json_object *v = NULL;

    assert_true(json_object_object_get_ex(json, key, &v));
    return json_object_get_string(v);
}

static void
states(void **state)
{
    struct life l;
    struct json_object *json, *inner;

    (void)state;
    buf_init(&out, 100000);
    life_begin(&l, 1);
    life_do(&l, COMMAND_START);
    protocol_state(&out, STATE_UPDATE, &l.s, T0 + 5000);
    json = json_tokener_parse(buf_cstr(&out));
    assert_string_equal(text_of(json, "type"), "STATE_UPDATE");
    assert_string_equal(text_of(json, "sessionId"), SID);
    assert_string_equal(text_of(json, "epoch"), l.s.epoch);
    assert_string_equal(text_of(json, "version"), "2");
    assert_string_equal(text_of(json, "timestamp"), "1795362408096");
    assert_true(json_object_object_get_ex(json, "state", &inner));
    assert_string_equal(text_of(inner, "session_id"), SID);
    assert_string_equal(text_of(inner, "status"), "running");
    assert_string_equal(text_of(inner, "version"), "2");
    json_object_put(json);
    buf_clear(&out);

    protocol_unchanged(&out, &l.s, T0);
    json = json_tokener_parse(buf_cstr(&out));
    assert_string_equal(text_of(json, "type"), "STATE_SYNC");
    assert_string_equal(text_of(json, "unchanged"), "true");
    assert_false(json_object_object_get_ex(json, "state", &inner));
    json_object_put(json);
    life_end(&l);
    buf_fini(&out);
}

static void
time_expired(void **state)
{
    struct life l;
    struct event ev;
    char expected[400];

    (void)state;
    buf_init(&out, 100000);
    life_begin(&l, 1);
    life_do(&l, COMMAND_START);
    life_expire(&l);
    assert_int_equal(event_decode(l.event.data, l.event.len, &ev, NULL), RC_OK);
    protocol_time_expired(&out, SID, &ev);
    snprintf(expected, sizeof(expected),
             "{\"type\":\"TIME_EXPIRED\",\"sessionId\":\"" SID
             "\",\"timestamp\":%lld,\"epoch\":\"%s\",\"version\":3,"
             "\"expired_participant_id\":\"" ANNA "\",\"action_applied\":\"notify\"}",
             (long long)l.now, l.s.epoch);
    says(expected);
    life_end(&l);
    buf_fini(&out);
}

static void
action(void **state)
{
    struct event ev = {
        .epoch = "E1", .version = 7, .server_time_ms = T0, .participant_id = ANNA
    };

    (void)state;
    buf_init(&out, 100000);
    protocol_action(&out, SID, &ev, "fold \"");
    says("{\"type\":\"ACTION\",\"sessionId\":\"" SID
         "\",\"timestamp\":1795362403096,\"epoch\":\"E1\",\"version\":7,"
         "\"participant_id\":\"" ANNA "\",\"action\":\"fold \\\"\"}");
    protocol_action(&out, SID, &ev, "");
    says("{\"type\":\"ACTION\",\"sessionId\":\"" SID
         "\",\"timestamp\":1795362403096,\"epoch\":\"E1\",\"version\":7,"
         "\"participant_id\":\"" ANNA "\"}");
    buf_fini(&out);
}

static void
time_warning(void **state)
{
    struct warning_note w = { .epoch = "E1",
                              .version = 7,
                              .server_time_ms = T0,
                              .threshold_ms = 5000,
                              .remaining_ms = 4990,
                              .participant_id = ANNA };

    (void)state;
    buf_init(&out, 100000);
    protocol_time_warning(&out, SID, &w);
    says("{\"type\":\"TIME_WARNING\",\"sessionId\":\"" SID
         "\",\"timestamp\":1795362403096,\"epoch\":\"E1\",\"version\":7,"
         "\"participant_id\":\"" ANNA "\",\"time_remaining_ms\":4990,\"threshold_ms\":5000}");
    memcpy(w.group_id, BERT, sizeof(BERT));
    w.participant_id[0] = '\0';
    protocol_time_warning(&out, SID, &w);
    says("{\"type\":\"TIME_WARNING\",\"sessionId\":\"" SID
         "\",\"timestamp\":1795362403096,\"epoch\":\"E1\",\"version\":7,"
         "\"group_id\":\"" BERT "\",\"time_remaining_ms\":4990,\"threshold_ms\":5000}");
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_client_may_say),
        cmocka_unit_test(odd_timestamps_are_not_given_back),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(an_epoch_too_long_is_just_not_ours),
        cmocka_unit_test(small_messages),
        cmocka_unit_test(every_fault_has_words),
        cmocka_unit_test(states),
        cmocka_unit_test(time_expired),
        cmocka_unit_test(action),
        cmocka_unit_test(time_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
