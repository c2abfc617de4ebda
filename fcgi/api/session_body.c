#include "fcgi/api/session_body.h"

#include "common/field.h"
#include "common/session.h"
#include "fcgi/api/session_control.h"

#include <json-c/json.h>
#include <string.h>

#define DAY_MS 86400000

static bool
is_mode(struct json_object *body, const char *mode)
{
    struct json_object *v;

    return json_object_object_get_ex(body, "sync_mode", &v) &&
           json_object_is_type(v, json_type_string) &&
           strcmp(json_object_get_string(v), mode) == 0;
}

#define IS_MODE(words, more)                                                                  \
    "{\"properties\":{\"sync_mode\":{\"enum\":[" words "]}},\"required\":[\"sync_mode\"" more \
    "]}"
#define NEEDS_NOBODY IS_MODE("\"global\",\"count_up\"", "")
#define HAS_OTHER_TOTAL                                                  \
    "{\"anyOf\":[" IS_MODE("\"count_up\"", "") "," IS_MODE("\"global\"", \
                                                           ",\"time_per_cycle_ms\"") "]}"

static bool
needs_nobody(struct json_object *body)
{
    return is_mode(body, "global") || is_mode(body, "count_up");
}

static bool
has_other_total(struct json_object *body)
{
    return is_mode(body, "count_up") ||
           (is_mode(body, "global") && body_has(body, "time_per_cycle_ms"));
}

/* clang-format off */
#define AMOUNT(what)                                                     \
    .label = what, .min = 1000, .max = DAY_MS,                           \
    .too_small = what " must be at least 1000ms (1 second)",             \
    .too_big = what " cannot exceed 86400000ms (24 hours)"

static const struct field participant_fields[] = {
    { .name = "participant_id", .type = F_UUID, .label = "Participant ID", .required = true,
      .doc = "Any UUID, unique within the session." },
    { .name = "participant_index", .type = F_INT, .label = "Participant index", .required = true,
      .min = 0, .max = INT64_MAX, .too_small = "Participant index must be non-negative",
      .doc = "Place in the rotation; equal ones keep the order of the list." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .doc = "The bank this participant starts with." },
    { .name = "group_id", .type = F_UUID, .label = "Group ID",
      .doc = "per_group: with whom the bank is shared; with nobody when it is left out. Elsewhere "
             "returned as sent." },
    { .type = F_END },
};

static const struct field member_fields[] = {
    { .type = F_UUID, .label = "Member", .doc = "A participant_id." },
    { .type = F_END },
};

static const struct field group_fields[] = {
    { .name = "group_id", .type = F_UUID, .label = "Group ID", .required = true,
      .doc = "Any UUID, unique among the groups." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .doc = "The bank that the members share." },
    { .name = "members", .type = F_ARRAY, .label = "Members", .max = SESSION_PARTICIPANTS_MAX,
      .items = member_fields, .too_big = "Cannot exceed 1000 members",
      .doc = "Who is in the group, beside those whose group_id says so." },
    { .type = F_END },
};

static const struct field timeout_fields[] = {
    { .name = "type", .type = F_ENUM, .label = "Action type", .required = true,
      .one_of = "notify|end_session|game_over|skip_cycle|skip_question|auto_action|auto_fold|eliminate",
      .doc = "notify: the turn goes on (where the clock is the session's, it ends). end_session "
             "(game_over): the session ends. skip_cycle (skip_question): the turn is handed over. "
             "auto_action (auto_fold): the action is announced. eliminate: out, and handed over." },
    { .name = "action", .type = F_STR, .label = "Action", .min = 1, .max = 64,
      .doc = "Announced as it is, for example fold." },
    { .name = "penalty", .type = F_OBJECT, .label = "Penalty", .max = SESSION_PENALTY_MAX,
      .doc = "Shown in last_timeout as it is." },
    { .name = "outcome", .type = F_STR, .label = "Outcome", .min = 1, .max = 64,
      .doc = "Shown in the result of a session that ends as expired." },
    { .name = "winner_participant_id", .type = F_UUID, .label = "Winner",
      .doc = "Who wins when the session ends as expired; with end_session and two of them it is "
             "otherwise the other one." },
    { .type = F_END },
};

static const struct field warning_field[] = {
    { .type = F_INT, .label = "Warning", .min = 100, .max = DAY_MS },
};

static const struct field reader[] = {
    { .type = F_STR, .plain = true, .label = "Reader", .min = 1, .max = SESSION_OWNER_MAX - 1 },
};

/* Made of all fields, a body would contradict itself: some belong to one mode only. */
#define CREATE_EXAMPLE \
    "{\"sync_mode\":\"per_participant\",\"total_time_ms\":600000,\"increment_ms\":2000," \
    "\"participants\":[" \
    "{\"participant_id\":\"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa\",\"participant_index\":0," \
    "\"total_time_ms\":300000}," \
    "{\"participant_id\":\"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\",\"participant_index\":1," \
    "\"total_time_ms\":300000}]}"

const struct field session_create_fields[] = {
    { .name = "session_id", .type = F_UUID, .label = "Session ID",
      .doc = "Chosen by the client; made by the server when it is left out." },
    { .name = "sync_mode", .type = F_ENUM, .label = "Sync mode", .required = true,
      .one_of = "per_participant|per_cycle|per_group|global|count_up",
      .missing = "Invalid sync mode. Must be one of: per_participant, per_cycle, per_group, "
                 "global, count_up",
      .doc = "What burns: the bank of the active participant, the time of the turn, the bank of "
             "the active participant's group, one bank for everybody, or nothing (count_up)." },
    { .name = "participants", .type = F_ARRAY, .label = "Participants", .required = true,
      .min = 1, .max = SESSION_PARTICIPANTS_MAX, .items = participant_fields,
      .too_small = "At least one participant is required",
      .too_big = "Cannot exceed 1000 participants",
      .spared = needs_nobody, .spared_schema = NEEDS_NOBODY,
      .doc = "Who takes turns, in the order in which they are shown. Not needed in global and "
             "count_up, where a switch without them counts a lap." },
    { .name = "groups", .type = F_ARRAY, .label = "Groups", .min = 1, .max = SESSION_GROUPS_MAX,
      .items = group_fields, .too_small = "At least one group is required",
      .too_big = "Cannot exceed 1000 groups",
      .doc = "per_group only: who shares which bank, in the order in which turns go round. Groups "
             "that only participants name follow, with the largest total_time_ms of their "
             "members; somebody without a group is one alone, named by the participant_id." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .spared = has_other_total, .spared_schema = HAS_OTHER_TOTAL,
      .doc = "global: the bank. per_cycle: the time of a turn, where there is no time_per_cycle_ms. "
             "Elsewhere stored and returned. Not needed in count_up, and in global beside "
             "time_per_cycle_ms." },
    { .name = "time_per_cycle_ms", .type = F_INT, AMOUNT("Time per cycle"),
      .doc = "per_cycle: the time of every turn. global: the bank, where there is no total_time_ms. "
             "Elsewhere stored and returned." },
    { .name = "increment_ms", .type = F_INT, .label = "Increment", .min = 0, .max = 60000,
      .too_small = "Increment must be non-negative",
      .too_big = "Increment cannot exceed 60000ms (1 minute)",
      .doc = "per_participant: added to a bank at each hand-over, short for the time_control fischer; "
             "beside another one it is refused. Elsewhere stored and returned." },
    { .name = "time_control", .type = F_OBJECT, .label = "Time control", .items = session_control_types,
      .variants = session_control_variants,
      .doc = "per_participant only: how banks burn, and what a hand-over brings to one who is not at zero." },
    { .name = "max_time_ms", .type = F_INT, AMOUNT("Max time"),
      .doc = "count_up: where the session ends. Elsewhere stored and returned." },
    { .name = "active_participant_id", .type = F_UUID, .label = "Active participant ID",
      .doc = "Who begins; by rotation when it is left out." },
    { .name = "auto_advance", .type = F_BOOL, .label = "auto_advance",
      .doc = "Whether the turn is handed over when its time is up. Modes with turns only." },
    { .name = "max_cycles", .type = F_INT, .label = "Max cycles", .min = 1, .max = SESSION_CYCLES_MAX,
      .doc = "per_cycle: the session is completed after so many turns; 1000 by default where turns "
             "are handed over by time." },
    { .name = "action_on_timeout", .type = F_OBJECT, .label = "Action on timeout",
      .items = timeout_fields, .doc = "What happens when a clock reaches zero." },
    { .name = "warn_at_ms", .type = F_ARRAY, .label = "warn_at_ms", .min = 0,
      .max = SESSION_WARNINGS_MAX, .items = warning_field, .too_big = "Cannot exceed 5 warnings",
      .doc = "When a running clock falls below one of these, clients are warned, once in a turn. "
             "10000 alone when it is left out." },
    { .name = "metadata", .type = F_OBJECT, .label = "Metadata", .max = SESSION_METADATA_MAX,
      .doc = "Any object of at most 10 KB, returned as sent. With `visibility` \"private\" the "
             "session is missing for those who neither own it nor take part." },
    { .name = "readers", .type = F_ARRAY, .label = "Readers", .min = 1, .max = SESSION_READERS_MAX,
      .items = reader, .too_big = "Cannot exceed 100 readers",
      .doc = "Only for role service: the `sub`s of those who alone may read the session; only "
             "services may command it." },
    { .type = F_END, .example = CREATE_EXAMPLE },
};

/* clang-format on */

static bool
has_total(struct json_object *body)
{
    return body_has(body, "total_time_ms");
}

static bool
has_addition(struct json_object *body)
{
    return body_has(body, "add_ms");
}

/* clang-format off */
#define EXPECTED_VERSION                                                                     \
    { .name = "expected_version", .type = F_INT, .label = "Expected version", .min = 1,      \
      .max = INT64_MAX, .doc = "The version the session must still have; else 409." }

const struct field session_command_fields[] = {
    EXPECTED_VERSION,
    { .type = F_END },
};

const struct field participant_add_fields[] = {
    EXPECTED_VERSION,
    { .name = "participant_id", .type = F_UUID, .label = "Participant ID", .required = true,
      .doc = "Any UUID, unique within the session." },
    { .name = "participant_index", .type = F_INT, .label = "Participant index",
      .min = 0, .max = INT64_MAX, .too_small = "Participant index must be non-negative",
      .doc = "Place in the rotation; behind all others when it is left out." },
    { .name = "total_time_ms", .type = F_INT, AMOUNT("Total time"), .required = true,
      .doc = "The bank this participant starts with; in per_group that of a new group." },
    { .name = "group_id", .type = F_UUID, .label = "Group ID",
      .doc = "per_group: the group to join, or the name of a new one; alone when it is left out. "
             "Elsewhere returned as sent." },
    { .type = F_END },
};

const struct field participant_adjust_fields[] = {
    EXPECTED_VERSION,
    { .name = "total_time_ms", .type = F_INT, .label = "Total time", .required = true,
      .min = 0, .max = SESSION_BANK_MAX, .spared = has_addition,
      .spared_schema = "{\"required\":[\"add_ms\"]}", .excludes = "add_ms",
      .too_small = "Total time must be non-negative",
      .too_big = "Total time cannot exceed 86400000ms (24 hours)",
      .doc = "What the clock has left from now on. Either this or add_ms." },
    { .name = "add_ms", .type = F_INT, .label = "Added time", .required = true,
      .min = -SESSION_BANK_MAX, .max = SESSION_BANK_MAX, .spared = has_total,
      .spared_schema = "{\"required\":[\"total_time_ms\"]}",
      .too_small = "Added time cannot be below -86400000ms",
      .too_big = "Added time cannot exceed 86400000ms (24 hours)",
      .doc = "By how much the clock is moved; negative takes time away." },
    { .name = "reason", .type = F_STR, .label = "Reason", .required = true, .min = 1, .max = 200,
      .doc = "Why, for the audit trail." },
    { .type = F_END },
};

const struct field session_switch_fields[] = {
    EXPECTED_VERSION,
    { .name = "current_participant_id", .type = F_UUID, .label = "Current participant ID",
      .doc = "Who must still be active; else 409. Makes repeating a switch safe." },
    { .name = "next_participant_id", .type = F_UUID, .label = "Next participant ID",
      .doc = "Who is next; by rotation when it is left out." },
    { .type = F_END },
};
/* clang-format on */
