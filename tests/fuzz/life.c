#include "life.h"

#include "common/buf.h"
#include "common/event.h"
#include "common/session_json.h"
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_MAX (1024 * 1024)
#define STEPS 6

uint64_t
life_draw(uint64_t *seed, uint64_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % below;
}

void
life_same_again(const struct session *s)
{
    struct session back;
    struct buf a, b;

    buf_init(&a, TEXT_MAX);
    buf_init(&b, TEXT_MAX);
    session_init(&back);
    event_snapshot(&a, s);
    HOLD(event_lines_apply(a.data, a.len, &back, NULL) == RC_OK);
    event_snapshot(&b, &back);
    HOLD(strcmp(buf_cstr(&a), buf_cstr(&b)) == 0);
    session_fini(&back);
    buf_fini(&a);
    buf_fini(&b);
}

void
life_apply(struct session *s, enum command_type type, int64_t now, uint64_t *seed,
           struct change *c)
{
    struct command cmd = { .type = type,
                           .newcomer = { .index = (int64_t)life_draw(seed, 9) - 1,
                                         .total_time_ms = 1000 },
                           .correction = { .sets = life_draw(seed, 2) == 0,
                                           .ms = (int64_t)life_draw(seed, 5000) - 1 } };
    bool is_new = s->n == 0 || type == COMMAND_ADD;
    char id[ID_LEN + 1];

    snprintf(id, sizeof(id), "%08" PRIx64 "-0000-4000-8000-000000000000",
             life_draw(seed, UINT32_MAX));
    cmd.participant_id = is_new ? id : s->p[life_draw(seed, s->n)].id;
    if (session_command(s, &cmd, now, c, NULL) != RC_OK)
        c->type = EVENT_NONE;
}

static void
look(const struct session *s, int64_t now, struct buf *out)
{
    buf_clear(out);
    session_json(out, s, now);
    session_switch_json(out, s, -1, now);
    HOLD(session_wakeup(s, 0, 1000) != 0);
    for (size_t k = 0; k < s->n; k++)
        HOLD(session_remaining(s, k, now) >= (s->mode == MODE_COUNT_UP ? -1 : 0));
    HOLD(session_clock(s, now) >= -1);
}

void
life_run(struct session *s, int64_t now, uint64_t *seed)
{
    struct change c;
    struct buf out;

    buf_init(&out, TEXT_MAX);
    for (int step = 0; step < STEPS; step++) {
        look(s, now, &out);
        if (life_draw(seed, 2) == 0 && session_expire(s, now, 1000, &c) &&
            c.type == EVENT_SESSION_DELETED)
            break;
        if (life_draw(seed, 8) == 0)
            session_recover(s, now, &c);
        life_apply(s, (enum command_type)(1 + life_draw(seed, COMMAND__MAX - 1)), now, seed,
                   &c);
        now += (int64_t)life_draw(seed, 5000);
    }
    look(s, now, &out);
    buf_fini(&out);
}
