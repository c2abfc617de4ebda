/*
 * What is stored and published: the fields of a session as lines, an event, or a warning. What
 * is accepted is a session on which the whole engine runs.
 */
#include "common/arena.h"
#include "common/event.h"
#include "common/warning.h"
#include "fuzz.h"
#include "life.h"

#define T0 1795362403096LL

static bool
take_event(const char *s, size_t len, struct session *out)
{
    struct event ev;

    if (event_decode(s, len, &ev, NULL) != RC_OK)
        return false;
    HOLD(ev.version > 0 && ev.at_ms > 0 && ev.fields_len < len);
    return event_apply(&ev, out, NULL) == RC_OK;
}

static uint64_t
seed_of(const char *s, size_t len)
{
    uint64_t seed = 1469598103934665603ULL;

    for (size_t i = 0; i < len; i++)
        seed = (seed ^ (unsigned char)s[i]) * 1099511628211ULL;
    return seed | 1;
}

static bool
take_session(const char *s, size_t len)
{
    uint64_t seed = seed_of(s, len);
    struct session session;
    bool taken;

    session_init(&session);
    taken = take_event(s, len, &session);
    if (!taken) {
        session_fini(&session);
        session_init(&session);
        taken = event_lines_apply(s, len, &session, NULL) == RC_OK;
    }
    if (taken) {
        life_same_again(&session);
        life_run(&session, life_draw(&seed, 2) == 0 ? T0 : session.updated_at, &seed);
    }
    session_fini(&session);
    return taken;
}

bool
fuzz_take(const char *s, size_t len)
{
    struct warning_note note;

    if (warning_is(s, len))
        return warning_decode(s, len, &note, NULL) == RC_OK;
    return take_session(s, len);
}
