#include "common/session_json.h"

#include "common/arena.h"
#include "common/buf.h"
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T0 1795362403096LL /* 2026-11-22T15:46:43.096Z */
#define SID "AbCdEf01-2345-4789-8abc-def012345678"
#define ANNA "aaaaaaaa-0000-4000-8000-00000000000A"
#define BERT "bbbbbbbb-0000-4000-8000-00000000000b"

static void
create(struct session *s)
{
    struct change c;

    session_init(s);
    memcpy(s->id, SID, sizeof(SID));
    memcpy(s->epoch, "E1", 3);
    s->mode = MODE_PER_PARTICIPANT;
    s->total_time_ms = 120000;
    memcpy(session_add_participant(s)->id, ANNA, sizeof(ANNA));
    memcpy(session_add_participant(s)->id, BERT, sizeof(BERT));
    s->p[0].total_time_ms = 1000;
    s->p[1].total_time_ms = 60000;
    s->p[1].index = 1;
    assert_int_equal(session_create(s, T0, &c, NULL), RC_OK);
}

static void
run(struct session *s, enum command_type type, int64_t now)
{
    struct command cmd = { .type = type };
    struct change c;

    assert_int_equal(session_command(s, &cmd, now, &c, NULL), RC_OK);
}

static void
is_json(const char *text)
{
    struct json_object *o = json_tokener_parse(text);

    assert_non_null(o);
    json_object_put(o);
}

static void
shows(const struct session *s, int64_t now, const char *expected)
{
    struct buf out;

    buf_init(&out, 100000);
    session_json(&out, s, now);
    assert_string_equal(buf_cstr(&out), expected);
    is_json(buf_cstr(&out));
    buf_fini(&out);
}

static void
a_new_session_looks_like_the_contract(void **state)
{
    struct session s;

    (void)state;
    create(&s);
    shows(&s, T0 + 5,
          "{\"session_id\":\"" SID
          "\",\"sync_mode\":\"per_participant\",\"status\":\"pending\","
          "\"version\":1,\"participants\":[{\"participant_id\":\"" ANNA
          "\",\"participant_index\":0,\"total_time_ms\":1000,\"time_used_ms\":0,"
          "\"time_remaining_ms\":1000,\"cycle_count\":0,\"is_active\":false,"
          "\"has_expired\":false,\"allotted_ms\":1000},{\"participant_id\":\"" BERT
          "\",\"participant_index\":1,\"total_time_ms\":60000,\"time_used_ms\":0,"
          "\"time_remaining_ms\":60000,\"cycle_count\":0,\"is_active\":false,"
          "\"has_expired\":false,\"allotted_ms\":60000}],\"active_participant_id\":null,"
          "\"total_time_ms\":120000,\"time_per_cycle_ms\":null,\"cycle_started_at\":null,"
          "\"session_started_at\":null,\"session_completed_at\":null,\"increment_ms\":0,"
          "\"created_at\":\"2026-11-22T15:46:43.096Z\","
          "\"updated_at\":\"2026-11-22T15:46:43.096Z\",\"cycle_number\":0,\"paused_at\":null,"
          "\"paused_total_ms\":0,\"auto_advance\":false,\"warn_at_ms\":[10000],"
          "\"epoch\":\"E1\","
          "\"server_time\":\"2026-11-22T15:46:43.101Z\"}");
    session_fini(&s);
}

static void
every_optional_field_has_its_place(void **state)
{
    struct session s;

    (void)state;
    create(&s);
    s.time_per_cycle_ms = 7000;
    s.max_time_ms = 8000;
    s.metadata = xstrdup("{\"k\":[1,2]}");
    memcpy(s.owner, "a\"b", 4);
    memcpy(s.p[1].group_id, ANNA, sizeof(ANNA));
    s.p[1].out = OUT_REMOVED;
    run(&s, COMMAND_START, T0 + 10);
    run(&s, COMMAND_PAUSE, T0 + 1010);
    s.auto_advance = true;
    s.max_cycles = 9;
    s.warn_at_ms[0] = 100;
    s.warn_at_ms[1] = 2000;
    s.on_timeout.type = TIMEOUT_ELIMINATE;
    s.on_timeout.winner = 1;
    memcpy(s.on_timeout.action, "fold \"", 7);
    memcpy(s.on_timeout.outcome, "lost", 5);
    memcpy(s.on_timeout.penalty, "{\"p\":-5}", 9);
    s.last_timeout.version = 2;
    s.last_timeout.at = T0 + 1000;
    s.last_timeout.expired = 0;
    s.result.reason = REASON_LAST_ONE_LEFT;
    s.result.expired = 0;
    s.result.winner = 1;
    shows(&s, T0 + 2000,
          "{\"session_id\":\"" SID "\",\"sync_mode\":\"per_participant\",\"status\":\"paused\","
          "\"version\":3,\"participants\":[{\"participant_id\":\"" ANNA
          "\",\"participant_index\":0,\"total_time_ms\":0,\"time_used_ms\":1000,"
          "\"time_remaining_ms\":0,\"cycle_count\":0,\"is_active\":true,"
          "\"has_expired\":true,\"allotted_ms\":1000},{\"participant_id\":\"" BERT
          "\",\"participant_index\":1,\"total_time_ms\":60000,\"time_used_ms\":0,"
          "\"time_remaining_ms\":60000,\"cycle_count\":0,\"is_active\":false,"
          "\"has_expired\":false,\"group_id\":\"" ANNA "\",\"allotted_ms\":60000,"
          "\"out\":\"removed\"}],\"active_participant_id\":\"" ANNA
          "\",\"total_time_ms\":120000,\"time_per_cycle_ms\":7000,\"cycle_started_at\":null,"
          "\"session_started_at\":\"2026-11-22T15:46:43.106Z\",\"session_completed_at\":null,"
          "\"increment_ms\":0,\"max_time_ms\":8000,"
          "\"created_at\":\"2026-11-22T15:46:43.096Z\","
          "\"updated_at\":\"2026-11-22T15:46:44.106Z\",\"cycle_number\":1,"
          "\"paused_at\":\"2026-11-22T15:46:44.106Z\",\"paused_total_ms\":0,"
          "\"auto_advance\":true,\"max_cycles\":9,\"warn_at_ms\":[100,2000],"
          "\"action_on_timeout\":{\"type\":"
          "\"eliminate\",\"action\":\"fold \\\"\",\"penalty\":{\"p\":-5},\"outcome\":\"lost\","
          "\"winner_participant_id\":\"" BERT "\"},"
          "\"last_timeout\":{\"version\":2,\"at\":\"2026-11-22T15:46:44.096Z\","
          "\"expired_participant_id\":\"" ANNA
          "\",\"action_applied\":\"notify\",\"action\":\"fold \\\"\","
          "\"penalty\":{\"p\":-5}},"
          "\"result\":{\"reason\":\"last_one_left\",\"expired_participant_id\":\"" ANNA
          "\",\"winner_participant_id\":\"" BERT "\"},\"metadata\":{\"k\":[1,2]},"
          "\"owner\":\"a\\\"b\",\"epoch\":\"E1\","
          "\"server_time\":\"2026-11-22T15:46:45.096Z\"}");
    session_fini(&s);
}

static void
the_running_clock_is_read_at_server_time(void **state)
{
    struct session s;
    struct buf out;

    (void)state;
    create(&s);
    run(&s, COMMAND_START, T0);
    buf_init(&out, 100000);
    session_json(&out, &s, T0 + 400);
    assert_non_null(strstr(out.data, "\"total_time_ms\":1000,\"time_used_ms\":0,"
                                     "\"time_remaining_ms\":600,"));
    assert_non_null(strstr(out.data, "\"time_remaining_ms\":60000,"));
    assert_non_null(strstr(out.data, "\"deadline_at\":\"2026-11-22T15:46:44.096Z\""));
    buf_clear(&out);
    session_json(&out, &s, T0 + 4000);
    assert_non_null(strstr(out.data, "\"time_remaining_ms\":0,"));
    buf_fini(&out);
    session_fini(&s);
}

static void
a_switch_answers_a_part(void **state)
{
    struct session s;
    struct buf out;

    (void)state;
    create(&s);
    run(&s, COMMAND_START, T0);
    run(&s, COMMAND_SWITCH, T0 + 1000);
    buf_init(&out, 100000);
    session_switch_json(&out, &s, 0, T0 + 1004);
    assert_string_equal(
        out.data,
        "{\"session_id\":\"" SID "\",\"active_participant_id\":\"" BERT
        "\",\"cycle_started_at\":\"2026-11-22T15:46:44.096Z\",\"participants\":["
        "{\"participant_id\":\"" ANNA "\",\"participant_index\":0,\"total_time_ms\":0,"
        "\"time_used_ms\":1000,\"time_remaining_ms\":0,\"cycle_count\":1,\"is_active\":false,"
        "\"has_expired\":true,\"allotted_ms\":1000},{\"participant_id\":\"" BERT
        "\",\"participant_index\":1,\"total_time_ms\":60000,\"time_used_ms\":0,"
        "\"time_remaining_ms\":59996,\"cycle_count\":0,\"is_active\":true,"
        "\"has_expired\":false,\"allotted_ms\":60000}],\"status\":\"running\","
        "\"expired_participant_id\":\"" ANNA "\",\"version\":3,\"cycle_number\":2,"
        "\"epoch\":\"E1\",\"server_time\":\"2026-11-22T15:46:44.100Z\"}");
    is_json(out.data);
    buf_clear(&out);
    session_switch_json(&out, &s, -1, T0 + 1004);
    assert_null(strstr(out.data, "expired_participant_id"));
    is_json(out.data);
    buf_fini(&out);
    session_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_session_looks_like_the_contract),
        cmocka_unit_test(every_optional_field_has_its_place),
        cmocka_unit_test(the_running_clock_is_read_at_server_time),
        cmocka_unit_test(a_switch_answers_a_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
