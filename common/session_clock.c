/* What time does to a session: deadlines, what follows them, idleness and outages. */
#include "mode.h"
#include "session_change.h"

#define BACKSTOP_BEHIND_MS 3600000
#define BACKSTOP_STEP_MS 900000

int64_t
session_deadline(const struct session *s)
{
    return s->status == STATUS_RUNNING ? mode_deadline(s) : 0;
}

int64_t
session_last_resort(const struct session *s, int64_t ended_ttl_ms)
{
    int64_t deadline = session_deadline(s);

    if (sync_status_is_terminal(s->status))
        return s->session_completed_at + ended_ttl_ms;
    return (deadline != 0 ? deadline : s->updated_at) + SESSION_IDLE_MS;
}

int64_t
session_backstop(const struct session *s, int64_t ended_ttl_ms)
{
    int64_t at = session_last_resort(s, ended_ttl_ms) + BACKSTOP_BEHIND_MS;

    return (at + BACKSTOP_STEP_MS - 1) / BACKSTOP_STEP_MS * BACKSTOP_STEP_MS;
}

int64_t
session_due_at(const struct session *s, int64_t ended_ttl_ms)
{
    int64_t deadline = session_deadline(s);

    return deadline != 0 ? deadline : session_last_resort(s, ended_ttl_ms);
}

/* --- what follows when a clock reaches zero --- */

/* Who wins when the clock of `loser` ends the session: as was asked for, or the other of two.
 */
static int32_t
winner_against(const struct session *s, int32_t loser)
{
    int32_t other = -1;
    size_t in = 0;

    if (s->on_timeout.winner >= 0 || s->on_timeout.type != TIMEOUT_END_SESSION || loser < 0)
        return s->on_timeout.winner;
    for (size_t k = 0; k < s->n; k++) {
        in += s->p[k].out == OUT_NONE;
        if (s->p[k].out == OUT_NONE && (int32_t)k != loser)
            other = (int32_t)k;
    }
    return in == 2 ? other : -1;
}

static void
end_expired(struct session *s, int64_t at, struct change *c)
{
    c->type = EVENT_SESSION_EXPIRED;
    s->result.expired = c->expired;
    s->result.winner = winner_against(s, c->expired);
    session_finish(s, STATUS_EXPIRED, REASON_TIMEOUT, at);
}

/* The turn goes on; whose it is was marked by the charge. */
static void
go_on(struct session *s, int64_t at, struct change *c)
{
    (void)s;
    (void)at;
    c->type = EVENT_PARTICIPANT_EXPIRED;
}

static void
hand_over(struct session *s, int64_t at, struct change *c)
{
    int32_t next = mode_ops(s->mode)->next(s, true);

    if (next < 0) {
        end_expired(s, at, c);
        return;
    }
    if (session_is_last_cycle(s)) {
        s->result.expired = c->expired;
        session_cycles_done(s, at, c);
        return;
    }
    c->type = EVENT_CYCLE_SWITCHED;
    mode_ops(s->mode)->hand_over(s);
    session_turn_begin(s, next, at);
}

static void
eliminate(struct session *s, int64_t at, struct change *c)
{
    int32_t last;

    mode_ops(s->mode)->put_out(s);
    if (mode_ops(s->mode)->sides(s, &last) != 1) {
        hand_over(s, at, c);
        return;
    }
    c->type = EVENT_SESSION_COMPLETED;
    s->result.expired = c->expired;
    s->result.winner = last;
    mode_turn_count(s);
    session_finish(s, STATUS_COMPLETED, REASON_LAST_ONE_LEFT, at);
}

typedef void (*consequence_fn)(struct session *s, int64_t at, struct change *c);

/* What each action does where there are turns, without and with auto_advance. */
static const consequence_fn consequences[TIMEOUT__MAX][2] = {
    [TIMEOUT_NONE] = { go_on, hand_over },
    [TIMEOUT_NOTIFY] = { go_on, hand_over },
    [TIMEOUT_END_SESSION] = { end_expired, end_expired },
    [TIMEOUT_SKIP_CYCLE] = { hand_over, hand_over },
    [TIMEOUT_AUTO_ACTION] = { go_on, hand_over },
    [TIMEOUT_ELIMINATE] = { eliminate, eliminate },
};

/* The clock has been charged up to `at` and stands at zero; it is committed at `now`. */
static void
time_out(struct session *s, int64_t at, int64_t now, struct change *c)
{
    bool has_turns = mode_ops(s->mode)->has_turns;
    consequence_fn follow =
        has_turns ? consequences[s->on_timeout.type][s->auto_advance] : end_expired;

    c->reason = REASON_TIMEOUT;
    c->participant = s->active;
    c->expired = has_turns ? s->active : -1;
    follow(s, at, c);
    session_change_seal(s, at, c);
    s->last_timeout.version = s->version;
    s->last_timeout.at = at;
    s->last_timeout.expired = c->expired;
    s->last_timeout.applied = s->on_timeout.type;
    if (c->type == EVENT_CYCLE_SWITCHED)
        s->handed_over_at = now;
}

bool
session_expire(struct session *s, int64_t now_ms, int64_t ended_ttl_ms, struct change *c)
{
    int64_t deadline = session_deadline(s);
    int64_t end = session_last_resort(s, ended_ttl_ms);

    session_change_none(c);
    if (now_ms < s->updated_at)
        now_ms = s->updated_at;
    if (deadline != 0 && deadline <= now_ms) {
        session_charge(s, deadline);
        time_out(s, deadline, now_ms, c);
        return true;
    }
    if (end > now_ms)
        return false;
    c->reason = REASON_IDLE;
    session_delete_at(s, end, c);
    return true;
}

bool
session_recover(struct session *s, int64_t gap_from_ms, struct change *c)
{
    session_change_none(c);
    if (s->status != STATUS_RUNNING)
        return false;
    session_pause_begin(s, gap_from_ms > s->updated_at ? gap_from_ms : s->updated_at, c);
    c->reason = REASON_RECOVERY;
    return true;
}

int64_t
session_remaining(const struct session *s, size_t place, int64_t now_ms)
{
    return mode_ops(s->mode)->of_participant(s, (int32_t)place, mode_open(s, now_ms));
}

int64_t
session_group_remaining(const struct session *s, size_t place, int64_t now_ms)
{
    bool is_on = s->active >= 0 && s->p[s->active].group == (int32_t)place;

    return is_on ? mode_left_of(s->g[place].total_time_ms, mode_open(s, now_ms))
                 : s->g[place].total_time_ms;
}

int64_t
session_clock(const struct session *s, int64_t now_ms)
{
    return mode_ops(s->mode)->of_session(s, mode_open(s, now_ms));
}

int64_t
session_running_clock(const struct session *s, int64_t now_ms)
{
    if (s->status != STATUS_RUNNING)
        return -1;
    return mode_ops(s->mode)->left(s, s->active, mode_open(s, now_ms));
}

int64_t
session_elapsed(const struct session *s, int64_t now_ms)
{
    return mode_ops(s->mode)->has_turns ? -1 : s->time_used_ms + mode_open(s, now_ms);
}

bool
session_has_expired(const struct session *s, size_t place)
{
    const struct participant *p = &s->p[place];

    return p->group >= 0 ? s->g[p->group].has_expired : p->has_expired;
}
