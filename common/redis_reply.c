/*
 * Replies out of the arena of their batch. hiredis asks malloc twice for each element, and for
 * a session of a thousand that was two thirds of what a load cost.
 */
#include "arena.h"
#include "redis_batch.h"
#include <hiredis/hiredis.h>

/* What a reply may take: more than any server sends. The memory is the answer's, not a plan. */
#define POOL_MAX ((size_t)1 << 40)

static redisReply *
reply_new(const redisReadTask *task, size_t more)
{
    redisReply *reply = arena_alloc(task->privdata, sizeof(*reply) + more);

    reply->type = task->type;
    if (task->parent != NULL) {
        redisReply *parent = task->parent->obj;

        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *
create_string(const redisReadTask *task, char *s, size_t len)
{
    redisReply *reply = reply_new(task, len + 1);

    reply->str = (char *)(reply + 1);
    reply->len = len;
    if (len > 0)
        memcpy(reply->str, s, len);
    return reply;
}

/* NULL is the end of the connection, as when memory is short. */
static void *
create_array(const redisReadTask *task, int elements)
{
    size_t n = elements > 0 ? (size_t)elements : 0;
    redisReply *reply;

    if (n > REDIS_REPLY_ELEMENTS_MAX)
        return NULL;
    reply = reply_new(task, n * sizeof(*reply->element));
    reply->elements = n;
    reply->element = (struct redisReply **)(void *)(reply + 1);
    return reply;
}

static void *
create_integer(const redisReadTask *task, long long v)
{
    redisReply *reply = reply_new(task, 0);

    reply->integer = v;
    return reply;
}

static void *
create_nil(const redisReadTask *task)
{
    redisReply *reply = reply_new(task, 0);

    reply->type = REDIS_REPLY_NIL; /* the task is a string, or an array */
    return reply;
}

/* Replies that are hiredis's own, but for those that nobody can have asked for. */
static void *(*create_any_array)(const redisReadTask *task, int elements);

static void *
create_bounded_array(const redisReadTask *task, int elements)
{
    return elements > REDIS_REPLY_ELEMENTS_MAX ? NULL : create_any_array(task, elements);
}

void
redis_reply_bound(struct redisReader *reader)
{
    static redisReplyObjectFunctions bounded;

    if (bounded.createArray == NULL) {
        create_any_array = reader->fn->createArray;
        bounded = *reader->fn;
        bounded.createArray = create_bounded_array;
    }
    reader->fn = &bounded;
}

/* All at once, with the arena. */
static void
free_nothing(void *reply)
{
    (void)reply;
}

static redisReplyObjectFunctions functions = { create_string, create_array, create_integer,
                                               create_nil, free_nothing };

void
redis_batch_pool(struct redis_batch *b, struct redisReader *reader)
{
    if (b->pool == NULL)
        b->pool = arena_new(POOL_MAX);
    reader->fn = &functions;
    reader->privdata = b->pool;
}
