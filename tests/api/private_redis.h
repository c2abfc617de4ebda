/*
 * private_redis.h - a redis-server of one test program, on a unix socket in a temporary folder.
 * Started and stopped at will; everything goes with private_redis_stop. Failures abort the
 * test program: without a Redis there is nothing to test.
 */
#ifndef TESTS_API_PRIVATE_REDIS_H
#define TESTS_API_PRIVATE_REDIS_H

#include "common/conf.h"
#include <stdbool.h>
#include <sys/types.h>

struct redisContext;

struct private_redis {
    char dir[64];
    char socket[80];
    char url[96];
    pid_t pid; /* 0: not running */
};

void private_redis_start(struct private_redis *p);
/* kill -9, then start again on the same socket with the data that is on disk (AOF, fsync
 * always, so nothing acknowledged is lost). */
void private_redis_kill(struct private_redis *p);
void private_redis_restart(struct private_redis *p);
void private_redis_stop(struct private_redis *p);

/* Settings for the tests: this server, prefix "t:", limits on with the usual rules. */
struct conf private_redis_conf(const struct private_redis *p);
/* One command by itself; the reply as text or the integer as decimal, "" for nil, arrays joined
 * by spaces. Static. Aborts when there is no answer; an error reply is returned as text. */
const char *private_redis_ask(const struct private_redis *p, const char *fmt, ...) PRINTF(2, 3);

/* `ms` as the upper bound of a measured time: larger where SLOW says that all is slower. */
int64_t patient_ms(int64_t ms);

#endif
