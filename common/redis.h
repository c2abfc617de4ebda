/*
 * redis.h - commands to Redis in batches: what is sent together is awaited together, so one
 * batch is one round trip.
 *
 * `struct redis` is a blocking connection for workers, the timekeeper and kairosctl. It
 * connects on first use, knows the run id of the server it talks to, and after a failure
 * tries again with capped, jittered backoff (50..500 ms), answering RC_STORE_UNAVAILABLE at
 * once in between. Deadlines: connect 1 s, replies 2 s. The broadcaster's event loop sends the
 * same batches through its own link (broadcaster/link.h).
 *
 * Scripts are the files of common/lua/, embedded at build time, called by EVALSHA; on NOSCRIPT
 * they are loaded and the refused commands (only those, they had no effect) are sent once more.
 */
#ifndef COMMON_REDIS_H
#define COMMON_REDIS_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct redisReader; /* hiredis */
struct redisReply;  /* hiredis */
struct redis;       /* opaque */
struct redis_batch; /* opaque: commands and, after a run, their replies */

struct redis *redis_new(const struct conf *conf, const char *client_name);
void redis_free(struct redis *r);
/* Run id of the connected server, "" while there is no connection. Borrowed until the next run.
 */
const char *redis_run_id(const struct redis *r);
/* The socket, -1 without one; for tests and for closing after fork. */
int redis_fd(const struct redis *r);
/* Connect now if there is no connection. RC_OK or RC_STORE_UNAVAILABLE. */
enum rc redis_connect(struct redis *r, struct fail *f) MUSTCHECK;

struct redis_batch *redis_batch_new(void);
void redis_batch_free(struct redis_batch *b);
/* Forget commands and replies, keep the memory. */
void redis_batch_clear(struct redis_batch *b);
int redis_batch_count(const struct redis_batch *b);

/* Add a command; returns its place. printf-like as in hiredis: %s, %b (ptr, size_t), %lld. */
int redis_batch_add(struct redis_batch *b, const char *fmt, ...);
int redis_batch_addv(struct redis_batch *b, int argc, const char **argv, const size_t *lens);
/* Add EVALSHA of `script`, a member of enum lua_script (generated lua_scripts.h: LUA_COMMIT is
 * common/lua/commit.lua). `argv` holds nkeys keys, then arguments. */
int redis_batch_script(struct redis_batch *b, int script, int nkeys, int argc,
                       const char **argv, const size_t *lens);

/* An array of more is no answer to anything that is asked: it ends the connection, before
 * memory is taken for elements that have not come. */
#define REDIS_REPLY_ELEMENTS_MAX (1 << 22)
/* For a link that does its own I/O: hold hiredis's reader to that. From one thread only. */
void redis_reply_bound(struct redisReader *reader);
/* The commands as RESP bytes, for such a link. */
const char *redis_batch_wire(const struct redis_batch *b, size_t *len);
/* Give the next reply to the batch, which owns it then; true when all have come. */
bool redis_batch_give(struct redis_batch *b, struct redisReply *reply);

/* Reply of the command at `place`; NULL before the run or when it was lost. Owned by the batch.
 */
const struct redisReply *redis_batch_reply(const struct redis_batch *b, int place);
/*
 * RC_OK unless the reply is missing or an error: OOM, MISCONF, READONLY, LOADING, BUSY,
 * CLUSTERDOWN, TRYAGAIN, NOREPLICAS, MASTERDOWN are RC_STORE_UNAVAILABLE, any other RC_INTERNAL
 * (with the text in f->log).
 */
enum rc redis_batch_check(const struct redis_batch *b, int place, struct fail *f) MUSTCHECK;

/*
 * Send all and await all: three system calls when the replies come in one piece. RC_OK: every
 * command has a reply (which may be an error reply). RC_STORE_UNAVAILABLE: nothing was
 * executed, or nothing but what may be executed twice (reads, limits).
 * RC_OUTCOME_UNKNOWN: a change may have been executed, replies are lost. After a failure the
 * connection is closed. When the server had closed an idle connection, a new one is tried at
 * once, where that cannot do anything twice.
 */
enum rc redis_run(struct redis *r, struct redis_batch *b, struct fail *f) MUSTCHECK;

/*
 * After a SUBSCRIBE or PSUBSCRIBE: the next message that the server sends by itself, in the
 * memory of `b`, which is cleared by the caller after a message and not otherwise: half of one
 * may lie there. NULL when none came for `wait_ms`. RC_OK, or RC_STORE_UNAVAILABLE: the
 * connection is closed, and with it what was subscribed to.
 */
enum rc redis_next(struct redis *r, struct redis_batch *b, int64_t wait_ms,
                   const struct redisReply **out, struct fail *f) MUSTCHECK;

/* Microseconds since epoch from a TIME reply; -1 when it is none. */
int64_t redis_time_us(const struct redisReply *reply);
/* Whether it is an array of nothing but strings. */
bool redis_is_texts(const struct redisReply *reply);
/* Whether it is a string that has the shape of a UUID. */
bool redis_is_id(const struct redisReply *reply);

#endif
