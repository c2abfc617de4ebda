/*
 * redis_batch.h - what a batch is made of, for redis.c alone (redis.h has the calls).
 *
 * Commands stand as RESP bytes in one buffer that keeps its memory, so a warm process adds a
 * command without malloc. Replies that redis.c reads come from an arena that keeps its memory,
 * too; those that are given by others are hiredis's own.
 */
#ifndef COMMON_REDIS_BATCH_H
#define COMMON_REDIS_BATCH_H

#include "redis.h"
#include <stdbool.h>

struct arena;
struct redisReader;

struct redis_command {
    size_t at, len; /* in the wire bytes */
    int script;     /* member of enum lua_script, -1: no script */
    struct redisReply *reply;
    bool pooled; /* the reply is the pool's */
};

struct redis_batch {
    char *wire;
    size_t len, room;
    bool overflow; /* more than a batch may hold: it cannot be sent */
    struct redis_command *cmd;
    int n, size;
    struct arena *pool; /* of the replies; NULL before the first */
    int got;            /* replies that have come */
    bool repeatable;    /* sent twice does no more than sent once */
};

/* SHA-1 of a script in hex. Borrowed, static. */
const char *redis_script_sha(int script);
/* Add a command that stands as RESP bytes already. */
int redis_batch_add_raw(struct redis_batch *b, const char *wire, size_t len);
/* Let the reader make the next replies in the pool of this batch, arrays of at most
 * REDIS_REPLY_ELEMENTS_MAX. */
void redis_batch_pool(struct redis_batch *b, struct redisReader *reader);
/* Take a reply that was made so, as redis_batch_give does. */
bool redis_batch_take(struct redis_batch *b, struct redisReply *reply);
/* The reply of `from` (a batch that ends now) at its place moves to `to`. */
void redis_batch_move(struct redis_batch *to, int to_place, struct redis_batch *from,
                      int place);
/* Drop the replies, keep the commands. */
void redis_batch_drop_replies(struct redis_batch *b);

#endif
