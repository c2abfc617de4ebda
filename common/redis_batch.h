/*
 * redis_batch.h - what a batch is made of, for redis.c alone (redis.h has the calls).
 *
 * Commands stand as RESP bytes in one buffer that keeps its memory, so a warm process adds a
 * command without malloc; hiredis allocates the replies.
 */
#ifndef COMMON_REDIS_BATCH_H
#define COMMON_REDIS_BATCH_H

#include "redis.h"
#include <stdbool.h>

struct redis_command {
    size_t at, len; /* in the wire bytes */
    int script;     /* member of enum lua_script, -1: no script */
    struct redisReply *reply;
};

struct redis_batch {
    char *wire;
    size_t len, room;
    bool overflow; /* more than a batch may hold: it cannot be sent */
    struct redis_command *cmd;
    int n, size;
    int got;         /* replies that have come */
    bool repeatable; /* sent twice does no more than sent once */
};

/* SHA-1 of a script in hex. Borrowed, static. */
const char *redis_script_sha(int script);
/* Add a command that stands as RESP bytes already. */
int redis_batch_add_raw(struct redis_batch *b, const char *wire, size_t len);
/* Drop the replies, keep the commands. */
void redis_batch_drop_replies(struct redis_batch *b);

#endif
