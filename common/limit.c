#include "limit.h"
#include "buf.h"
#include "lua_scripts.h"
#include "redis.h"
#include <hiredis/hiredis.h>

#define COUNT_MAX 1000000000
#define SPAN_MAX_MS (366LL * 24 * 3600 * 1000)

static const struct {
    const char *name;
    int64_t ms;
} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };

/* Digits at *s, at most `max`; moves *s behind them. */
static bool
take_number(const char **s, int64_t max, int64_t *out)
{
    const char *p = *s;
    int64_t v = 0;

    while (*p >= '0' && *p <= '9') {
        v = v * 10 + (*p++ - '0');
        if (v > max)
            return false;
    }
    if (p == *s)
        return false;
    *s = p;
    *out = v;
    return true;
}

/* "10s", "250ms", "2": a span of 1 ms or more, at *s. */
static bool
take_span(const char **s, int64_t *ms)
{
    int64_t v;
    size_t len;

    if (!take_number(s, SPAN_MAX_MS, &v))
        return false;
    len = strspn(*s, "mhs");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].name) != len || strncmp(*s, units[i].name, len) != 0)
            continue;
        *s += len;
        *ms = v * units[i].ms;
        return v > 0 && v <= SPAN_MAX_MS / units[i].ms;
    }
    return false;
}

enum rc
limit_parse(const char *s, int64_t default_window_ms, struct limit_rule *out, struct fail *f)
{
    struct limit_rule rule = { .window_ms = default_window_ms };
    const char *p = s;
    bool good = take_number(&p, COUNT_MAX, &rule.count);

    if (good && *p == '/') {
        p++;
        good = take_span(&p, &rule.window_ms);
        if (good && *p == '+') {
            p++;
            good = take_span(&p, &rule.cooldown_ms);
        }
    }
    if (!good || *p != '\0')
        return fail_set(f, RC_VALIDATION,
                        "\"%.40s\" is no limit: N, N/window or N/window+cooldown, "
                        "as 100, 100/60s, 10/1s+10s",
                        s);
    *out = rule;
    return RC_OK;
}

int
limit_add(struct redis_batch *b, const struct limit_rule *rule, const char *key)
{
    char count[I64_SIZE], window[I64_SIZE], cooldown[I64_SIZE];
    const char *argv[] = { key, count, window, cooldown };

    if (rule->count == 0)
        return -1;
    i64_print(count, rule->count);
    i64_print(window, rule->window_ms);
    i64_print(cooldown, rule->cooldown_ms);
    return redis_batch_script(b, LUA_LIMIT_HIT, 1, 4, argv, NULL);
}

struct limit_state
limit_read(const struct redisReply *reply, size_t first, const struct limit_rule *rule)
{
    struct limit_state state = { .limit = rule->count, .window_ms = rule->window_ms };

    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != first + 3)
        return state;
    for (size_t i = first; i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER)
            return state;
    }
    if (reply->element[first + 1]->integer < 0 ||
        reply->element[first + 1]->integer > COUNT_MAX ||
        reply->element[first + 2]->integer < 0 ||
        reply->element[first + 2]->integer > 2 * SPAN_MAX_MS)
        return state;
    state.known = true;
    state.refused = reply->element[first]->integer == 0;
    state.remaining = reply->element[first + 1]->integer;
    state.reset_ms = reply->element[first + 2]->integer;
    return state;
}

struct limit_state
limit_result(const struct redis_batch *b, int place, const struct limit_rule *rule)
{
    return limit_read(redis_batch_reply(b, place), 0, rule);
}
