#include "session_change.h"

#include "mode.h"

void
session_change_none(struct change *c)
{
    *c = (struct change){
        .participant = -1, .expired = -1, .remaining_ms = -1, .elapsed_ms = -1
    };
}

/* The state has changed at `at`: one version more, and c complete. */
void
session_change_seal(struct session *s, int64_t at, struct change *c)
{
    const struct mode_ops *mode = mode_ops(s->mode);

    s->version++;
    s->updated_at = at;
    s->dirty = true;
    s->emptied = false;
    c->version = s->version;
    c->at_ms = at;
    if (c->participant < 0 && mode->has_turns)
        return;
    c->remaining_ms = mode->left(s, c->participant, 0);
    c->elapsed_ms = c->participant < 0 ? s->time_used_ms : s->p[c->participant].time_used_ms;
}

/* Times are brought up to `at`: the open turn's, or the pause's. */
void
session_charge(struct session *s, int64_t at)
{
    if (s->status == STATUS_RUNNING) {
        session_warn_passed(s, at);
        mode_charge(s, at);
    }
    if (s->status == STATUS_PAUSED) {
        s->paused_total_ms += at - s->paused_charged_at;
        s->paused_charged_at = at;
    }
}

void
session_turn_begin(struct session *s, int32_t place, int64_t at)
{
    s->active = place;
    s->cycle_started_at = at;
    s->cycle_number++;
    s->turn_used_ms = 0;
    s->warned = 0;
}

void
session_pause_begin(struct session *s, int64_t at, struct change *c)
{
    session_charge(s, at);
    s->status = STATUS_PAUSED;
    s->cycle_started_at = 0;
    s->paused_at = at;
    s->paused_charged_at = at;
    c->type = EVENT_SESSION_PAUSED;
    c->participant = s->active;
    session_change_seal(s, at, c);
}

void
session_pause_end(struct session *s)
{
    s->paused_at = 0;
    s->paused_charged_at = 0;
}

/* The session has ended at `at`, where its times have been brought up to. */
void
session_finish(struct session *s, enum sync_status status, enum change_reason reason,
               int64_t at)
{
    session_pause_end(s);
    s->status = status;
    s->result.reason = reason;
    s->session_completed_at = at;
    s->active = -1;
    s->cycle_started_at = 0;
    s->turn_used_ms = 0;
    s->warned = 0;
}

/* Nothing but the version moves: whoever watches learns that this was the last one. */
void
session_delete_at(struct session *s, int64_t at, struct change *c)
{
    s->version++;
    c->type = EVENT_SESSION_DELETED;
    c->version = s->version;
    c->at_ms = at;
}

bool
session_is_last_cycle(const struct session *s)
{
    return s->max_cycles > 0 && s->cycle_number >= s->max_cycles;
}

void
session_cycles_done(struct session *s, int64_t at, struct change *c)
{
    c->type = EVENT_SESSION_COMPLETED;
    mode_turn_count(s);
    session_finish(s, STATUS_COMPLETED, REASON_CYCLES_DONE, at);
}
