/*
 * redis_info.h - what a Redis says of itself: the text that INFO answers, and whether sessions
 * are safe with it.
 */
#ifndef COMMON_REDIS_INFO_H
#define COMMON_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis;
struct redisReply; /* hiredis */

#define REDIS_INFO_VALUE_MAX 256

/* The text of a reply to INFO; NULL when it is none. Borrowed. */
const char *redis_info_text(const struct redisReply *reply);
/* What stands behind "name:" in the text (NULL: in none), cut to fit; "" where it has no such
 * line. */
void redis_info_value(const char *info, const char *name, char out[REDIS_INFO_VALUE_MAX]);
bool redis_info_is(const char *info, const char *name, const char *value);
/* -1 where there is no such line. */
int64_t redis_info_number(const char *info, const char *name);

/*
 * Log what the connected server does when its memory is full and what it keeps when it ends;
 * warn when live sessions could be evicted or lost by that. One round trip; what cannot be
 * asked is not logged.
 */
void redis_info_log(struct redis *r);

#endif
