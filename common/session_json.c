#include "control.h"
#include "mode.h"
#include "session_json_inside.h"

static void
time_or_null(struct buf *out, int64_t at)
{
    if (at == 0)
        LIT(out, "null");
    else
        buf_time(out, at);
}

static void
id_or_null(struct buf *out, const struct session *s, int32_t place)
{
    if (place < 0)
        LIT(out, "null");
    else
        word_add(out, s->p[place].id);
}

static void
active_group_add(struct buf *out, const struct session *s)
{
    if (s->mode != MODE_PER_GROUP)
        return;
    LIT(out, ",\"active_group_id\":");
    if (s->active < 0)
        LIT(out, "null");
    else
        word_add(out, s->g[s->p[s->active].group].id);
}

/* The fields of the reference, in its order. */
static void
header_add(struct buf *out, const struct session *s)
{
    LIT(out, ",\"active_participant_id\":");
    id_or_null(out, s, s->active);
    active_group_add(out, s);
    LIT(out, ",\"total_time_ms\":");
    buf_i64(out, s->total_time_ms);
    LIT(out, ",\"time_per_cycle_ms\":");
    if (s->time_per_cycle_ms < 0)
        LIT(out, "null");
    else
        buf_i64(out, s->time_per_cycle_ms);
    LIT(out, ",\"cycle_started_at\":");
    time_or_null(out, s->cycle_started_at);
    LIT(out, ",\"session_started_at\":");
    time_or_null(out, s->session_started_at);
    LIT(out, ",\"session_completed_at\":");
    time_or_null(out, s->session_completed_at);
    LIT(out, ",\"increment_ms\":");
    buf_i64(out, s->increment_ms);
    if (s->max_time_ms >= 0) {
        LIT(out, ",\"max_time_ms\":");
        buf_i64(out, s->max_time_ms);
    }
    LIT(out, ",\"created_at\":");
    buf_time(out, s->created_at);
    LIT(out, ",\"updated_at\":");
    buf_time(out, s->updated_at);
}

static void
text_add(struct buf *out, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_str(out, name);
    buf_json(out, text, strlen(text));
}

static void
action_add(struct buf *out, const struct session *s)
{
    text_add(out, ",\"action\":", s->on_timeout.action);
    if (s->on_timeout.penalty[0] == '\0')
        return;
    LIT(out, ",\"penalty\":");
    buf_str(out, s->on_timeout.penalty);
}

static void
warnings_add(struct buf *out, const struct session *s)
{
    LIT(out, ",\"warn_at_ms\":[");
    for (size_t k = 0; k < SESSION_WARNINGS_MAX && s->warn_at_ms[k] != 0; k++) {
        if (k > 0)
            buf_char(out, ',');
        buf_i64(out, s->warn_at_ms[k]);
    }
    buf_char(out, ']');
}

/* What was asked for when the session was created. */
static void
policy_add(struct buf *out, const struct session *s)
{
    LIT(out, ",\"auto_advance\":");
    bool_add(out, s->auto_advance);
    if (s->max_cycles > 0)
        ms_add(out, ",\"max_cycles\":", s->max_cycles);
    warnings_add(out, s);
    if (s->on_timeout.type == TIMEOUT_NONE)
        return;
    LIT(out, ",\"action_on_timeout\":{\"type\":");
    word_add(out, timeout_action_name(s->on_timeout.type));
    action_add(out, s);
    text_add(out, ",\"outcome\":", s->on_timeout.outcome);
    if (s->on_timeout.winner >= 0) {
        LIT(out, ",\"winner_participant_id\":");
        id_or_null(out, s, s->on_timeout.winner);
    }
    buf_char(out, '}');
}

static void
stages_add(struct buf *out, const struct time_control *control)
{
    for (int32_t k = 0; k < control->n_stages; k++) {
        const struct time_stage *stage = &control->stages[k];

        buf_str(out, k == 0 ? ",\"stages\":[{" : ",{");
        if (stage->moves > 0) {
            LIT(out, "\"moves\":");
            buf_i64(out, stage->moves);
            buf_char(out, ',');
        }
        LIT(out, "\"add_ms\":");
        buf_i64(out, stage->add_ms);
        LIT(out, ",\"increment_ms\":");
        buf_i64(out, stage->increment_ms);
        buf_char(out, '}');
    }
    if (control->n_stages > 0)
        buf_char(out, ']');
}

/* What a type has is never 0. */
static void
parameter_add(struct buf *out, const char *name, int64_t value)
{
    if (value > 0)
        ms_add(out, name, value);
}

static void
control_add(struct buf *out, const struct session *s)
{
    const struct time_control *control = &s->control;

    if (control->type == CONTROL_NONE)
        return;
    LIT(out, ",\"time_control\":{\"type\":");
    word_add(out, control_type_name(control->type));
    if (control->type == CONTROL_FISCHER)
        ms_add(out, ",\"increment_ms\":", control->increment_ms);
    parameter_add(out, ",\"delay_ms\":", control->delay_ms);
    parameter_add(out, ",\"periods\":", control->periods);
    parameter_add(out, ",\"moves\":", control->moves);
    parameter_add(out, ",\"period_ms\":", control->period_ms);
    stages_add(out, control);
    buf_char(out, '}');
}

static void
timeout_add(struct buf *out, const struct session *s)
{
    if (s->last_timeout.version == 0)
        return;
    LIT(out, ",\"last_timeout\":{\"version\":");
    buf_i64(out, s->last_timeout.version);
    LIT(out, ",\"at\":");
    buf_time(out, s->last_timeout.at);
    if (s->last_timeout.expired >= 0) {
        LIT(out, ",\"expired_participant_id\":");
        id_or_null(out, s, s->last_timeout.expired);
    }
    if (s->last_timeout.expired >= 0 && s->mode == MODE_PER_GROUP) {
        LIT(out, ",\"expired_group_id\":");
        word_add(out, s->g[s->p[s->last_timeout.expired].group].id);
    }
    LIT(out, ",\"action_applied\":");
    word_add(out, timeout_action_name(s->last_timeout.applied));
    action_add(out, s);
    buf_char(out, '}');
}

static void
result_add(struct buf *out, const struct session *s)
{
    if (s->result.reason == REASON_NONE)
        return;
    LIT(out, ",\"result\":{\"reason\":");
    word_add(out, change_reason_name(s->result.reason));
    if (s->result.expired >= 0) {
        LIT(out, ",\"expired_participant_id\":");
        id_or_null(out, s, s->result.expired);
    }
    if (s->result.winner >= 0) {
        LIT(out, ",\"winner_participant_id\":");
        id_or_null(out, s, s->result.winner);
    }
    if (s->status == STATUS_EXPIRED)
        text_add(out, ",\"outcome\":", s->on_timeout.outcome);
    buf_char(out, '}');
}

/* The clock that is the session's, in modes where there is one. */
static void
clock_add(struct buf *out, const struct session *s, int64_t now)
{
    ms_add(out, ",\"time_remaining_ms\":", session_clock(s, now));
    if (s->mode == MODE_GLOBAL)
        ms_add(out, ",\"allotted_ms\":", s->allotted_ms);
    if (s->mode == MODE_COUNT_UP)
        ms_add(out, ",\"time_elapsed_ms\":", session_elapsed(s, now));
    if (s->n == 0)
        ms_add(out, ",\"time_used_ms\":", s->time_used_ms);
}

/* What is ours beyond the reference. */
static void
extras_add(struct buf *out, const struct session *s, int64_t now)
{
    int64_t deadline = session_deadline(s);

    clock_add(out, s, now);
    LIT(out, ",\"cycle_number\":");
    buf_i64(out, s->cycle_number);
    LIT(out, ",\"paused_at\":");
    time_or_null(out, s->paused_at);
    LIT(out, ",\"paused_total_ms\":");
    buf_i64(out, s->paused_total_ms);
    control_add(out, s);
    policy_add(out, s);
    timeout_add(out, s);
    if (deadline != 0) {
        LIT(out, ",\"deadline_at\":");
        buf_time(out, deadline);
    }
    result_add(out, s);
    if (s->metadata != NULL) {
        LIT(out, ",\"metadata\":");
        buf_str(out, s->metadata);
    }
    if (s->owner[0] != '\0') {
        LIT(out, ",\"owner\":");
        buf_json(out, s->owner, strlen(s->owner));
    }
}

static void
stamp_add(struct buf *out, const struct session *s, int64_t server_time_ms)
{
    LIT(out, ",\"epoch\":");
    word_add(out, s->epoch);
    LIT(out, ",\"server_time\":");
    buf_time(out, server_time_ms);
    buf_char(out, '}');
}

static void
state_add(struct buf *out, const struct session *s, bool whole, int64_t server_time_ms)
{
    LIT(out, "{\"session_id\":");
    word_add(out, s->id);
    LIT(out, ",\"sync_mode\":");
    word_add(out, sync_mode_name(s->mode));
    LIT(out, ",\"status\":");
    word_add(out, sync_status_name(s->status));
    LIT(out, ",\"version\":");
    buf_i64(out, s->version);
    if (whole)
        session_json_participants(out, s, NULL, server_time_ms);
    if (whole && s->mode == MODE_PER_GROUP)
        session_json_groups(out, s, NULL, server_time_ms);
    header_add(out, s);
    extras_add(out, s, server_time_ms);
    stamp_add(out, s, server_time_ms);
}

void
session_json(struct buf *out, const struct session *s, int64_t server_time_ms)
{
    state_add(out, s, true, server_time_ms);
}

void
session_json_minimal(struct buf *out, const struct session *s, int64_t server_time_ms)
{
    state_add(out, s, false, server_time_ms);
}

void
session_part_json(struct buf *out, const struct session *s, const struct session_part *part,
                  int64_t server_time_ms)
{
    session_json_participants(out, s, part, server_time_ms);
    if (s->mode == MODE_PER_GROUP)
        session_json_groups(out, s, part, server_time_ms);
    else
        LIT(out, ",\"groups\":[]");
}

static void
switch_add(struct buf *out, const struct session *s, int32_t expired, bool whole,
           int64_t server_time_ms)
{
    LIT(out, "{\"session_id\":");
    word_add(out, s->id);
    LIT(out, ",\"active_participant_id\":");
    id_or_null(out, s, s->active);
    LIT(out, ",\"cycle_started_at\":");
    time_or_null(out, s->cycle_started_at);
    if (whole)
        session_json_participants(out, s, NULL, server_time_ms);
    LIT(out, ",\"status\":");
    word_add(out, sync_status_name(s->status));
    if (expired >= 0) {
        LIT(out, ",\"expired_participant_id\":");
        id_or_null(out, s, expired);
    }
    LIT(out, ",\"version\":");
    buf_i64(out, s->version);
    LIT(out, ",\"cycle_number\":");
    buf_i64(out, s->cycle_number);
    stamp_add(out, s, server_time_ms);
}

void
session_switch_json(struct buf *out, const struct session *s, int32_t expired,
                    int64_t server_time_ms)
{
    switch_add(out, s, expired, true, server_time_ms);
}

void
session_switch_json_minimal(struct buf *out, const struct session *s, int32_t expired,
                            int64_t server_time_ms)
{
    switch_add(out, s, expired, false, server_time_ms);
}
