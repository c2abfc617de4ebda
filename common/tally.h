/*
 * tally.h - how often somebody did something lately, counted by all processes of a host in the
 * memory that they share (status.h): limits that have to be judged without asking Redis.
 *
 * A sliding window over two counted buckets with an optional cool-down, as in limit.h. Who is
 * counted is named by a text, kept as a hash. There is room for TALLY_SLOTS of them; a newcomer
 * takes the place of whoever was counted longest ago among a few, so that under a flood of
 * names some are forgotten, and nobody is refused for another's deeds. No locks: a slot is two
 * numbers that change in one piece each.
 */
#ifndef COMMON_TALLY_H
#define COMMON_TALLY_H

#include "limit.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_SLOTS 8192
#define TALLY_COUNT_MAX 65535

size_t tally_size(void);

/*
 * Count one of `who` in `area` (tally_size() bytes, aligned for int64_t, zeroed before anyone
 * used them) at now_ms, epoch. True when it is within the rule; else it is not counted, and
 * *wait_ms is when the next may pass. A rule of count 0 lets all pass,
 * and one of more than TALLY_COUNT_MAX, which is beyond what a slot counts.
 */
bool tally_hit(void *area, const struct limit_rule *rule, const char *who, int64_t now_ms,
               int64_t *wait_ms);

#endif
