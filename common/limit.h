/*
 * limit.h - rate limits in Redis: a sliding window over two counted buckets, with an optional
 * cool-down that attempts do not prolong (spec platform, "Limits").
 *
 * Redis keys: keys_limit() (string, TTL of two windows or the cool-down). Script:
 * lua/limit_hit.lua. The switch limit is counted inside commit.lua with the same rule.
 * Fail-open: when only the limiter fails, the request passes.
 */
#ifndef COMMON_LIMIT_H
#define COMMON_LIMIT_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_batch;
struct redisReply;

/* "N/window[+cooldown]": "10/1s+10s", "100/60s". count 0: no limit. */
struct limit_rule {
    int64_t count;
    int64_t window_ms;
    int64_t cooldown_ms;
};

struct limit_state {
    bool known; /* false: the limiter did not answer */
    bool refused;
    int64_t limit, remaining;
    int64_t reset_ms; /* until the window is free again, or the cool-down ends */
    int64_t window_ms;
};

/*
 * Parse a rule; a bare integer N means N per `default_window_ms` (the reference's meaning).
 * Units ms, s, m, h; a number without unit is seconds. RC_OK or RC_VALIDATION.
 */
enum rc limit_parse(const char *s, int64_t default_window_ms, struct limit_rule *out,
                    struct fail *f) MUSTCHECK;

/* Add "count one hit now" to a batch; returns its place. `key` is built by keys_limit. A rule
 * of count 0 adds nothing and returns -1, which limit_result takes. */
int limit_add(struct redis_batch *b, const struct limit_rule *rule, const char *key);
/* Read the verdict after the run. */
struct limit_state limit_result(const struct redis_batch *b, int place,
                                const struct limit_rule *rule);
/* The same from the verdict alone: allowed, remaining, reset_ms, which are the elements of
 * `reply` from `first` to its last. */
struct limit_state limit_read(const struct redisReply *reply, size_t first,
                              const struct limit_rule *rule);

#endif
