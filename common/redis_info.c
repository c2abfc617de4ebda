#include "redis_info.h"

#include "log.h"
#include "redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
redis_info_text(const struct redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_STRING ? reply->str : NULL;
}

/* What follows "name:" at the beginning of a line; NULL when there is no such line. */
static const char *
find(const char *info, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1;
    }
    return NULL;
}

void
redis_info_value(const char *info, const char *name, char out[REDIS_INFO_VALUE_MAX])
{
    const char *value = find(info, name);

    if (value == NULL)
        value = "";
    snprintf(out, REDIS_INFO_VALUE_MAX, "%.*s", (int)strcspn(value, "\r\n"), value);
}

bool
redis_info_is(const char *info, const char *name, const char *value)
{
    char text[REDIS_INFO_VALUE_MAX];

    redis_info_value(info, name, text);
    return strcmp(text, value) == 0;
}

int64_t
redis_info_number(const char *info, const char *name)
{
    const char *value = find(info, name);

    return value != NULL ? strtoll(value, NULL, 10) : -1;
}

static void
log_policy(const char *info)
{
    char policy[REDIS_INFO_VALUE_MAX];
    bool kept = redis_info_is(info, "aof_enabled", "1");

    redis_info_value(info, "maxmemory_policy", policy);
    log_info("redis settings", LOG_STR("maxmemory_policy", policy),
             LOG_STR("appendonly", kept ? "yes" : "no"),
             LOG_INT("maxmemory", redis_info_number(info, "maxmemory")));
    if (strcmp(policy, "noeviction") != 0)
        log_warn("redis may evict live sessions", LOG_STR("maxmemory_policy", policy),
                 LOG_STR("remedy", "maxmemory-policy noeviction"));
    if (!kept)
        log_warn("redis loses sessions when it ends", LOG_STR("appendonly", "no"),
                 LOG_STR("remedy", "appendonly yes"));
}

void
redis_info_log(struct redis *r)
{
    struct redis_batch *b = redis_batch_new();
    const char *info = NULL;

    redis_batch_add(b, "INFO memory persistence");
    if (redis_run(r, b, NULL) == RC_OK)
        info = redis_info_text(redis_batch_reply(b, 0));
    if (info != NULL)
        log_policy(info);
    redis_batch_free(b);
}
