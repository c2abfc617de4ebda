/* Which values of warn_at_ms a running clock crosses: told to clients, and no change. */
#include "mode.h"
#include "session_change.h"

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

void
session_warn_set_up(struct session *s)
{
    int64_t given[SESSION_WARNINGS_MAX];
    size_t n = 0;

    memcpy(given, s->warn_at_ms, sizeof(given));
    memset(s->warn_at_ms, 0, sizeof(s->warn_at_ms));
    qsort(given, SESSION_WARNINGS_MAX, sizeof(given[0]), compare);
    for (size_t k = 0; k < SESSION_WARNINGS_MAX; k++)
        if (given[k] != 0 && (n == 0 || s->warn_at_ms[n - 1] != given[k]))
            s->warn_at_ms[n++] = given[k];
}

/* The instant at which warn_at_ms[k] is crossed; 0: never, or not again. A clock runs down. */
static int64_t
crossing(const struct session *s, size_t k)
{
    int64_t in_ms;

    if (s->warn_at_ms[k] == 0 || (s->warned >> k & 1) != 0)
        return 0;
    in_ms = mode_ops(s->mode)->crossing(s, s->warn_at_ms[k]);
    return in_ms < 0 ? 0 : s->cycle_started_at + in_ms;
}

void
session_warn_passed(struct session *s, int64_t at)
{
    if (session_deadline(s) == 0)
        return;
    for (size_t k = 0; k < SESSION_WARNINGS_MAX; k++) {
        int64_t crossed_at = crossing(s, k);

        if (crossed_at != 0 && crossed_at <= at)
            s->warned |= INT64_C(1) << k;
    }
}

size_t
session_warnings(const struct session *s, struct warning out[SESSION_WARNINGS_MAX])
{
    size_t n = 0;

    if (session_deadline(s) == 0)
        return 0;
    for (size_t k = 0; k < SESSION_WARNINGS_MAX; k++) {
        int64_t at = crossing(s, k);
        size_t i = n;

        if (at == 0)
            continue;
        for (; i > 0 && out[i - 1].at_ms >= at; i--)
            out[i] = out[i - 1];
        out[i] = (struct warning){ .at_ms = at, .threshold_ms = s->warn_at_ms[k] };
        n++;
    }
    return n;
}

int64_t
session_wakeup(const struct session *s, int64_t told_ms, int64_t ended_ttl_ms)
{
    struct warning warnings[SESSION_WARNINGS_MAX];
    size_t n = session_warnings(s, warnings);

    for (size_t i = 0; i < n; i++)
        if (warnings[i].at_ms > told_ms)
            return warnings[i].at_ms;
    return session_due_at(s, ended_ttl_ms);
}
