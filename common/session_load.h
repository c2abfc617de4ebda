/*
 * session_load.h - what a read of a session's hash says beyond the state: what a commit has to
 * compare with. For the files of session_store.h.
 */
#ifndef COMMON_SESSION_LOAD_H
#define COMMON_SESSION_LOAD_H

#include "id.h"
#include "rc.h"
#include <stdbool.h>
#include <stdint.h>

struct redis_batch;
struct redisReply;
struct session;

#define SESSION_LOAD_COMMANDS 3 /* that session_load_add adds */
#define VERSION_TEXT 24
#define COMMIT_ID_MAX 24
#define RUN_ID_MAX 64

struct session_loaded {
    bool exists;
    char version[VERSION_TEXT];    /* as stored, "" when the session does not exist */
    char epoch[EPOCH_MAX];         /* as stored */
    char commit_id[COMMIT_ID_MAX]; /* of the last change */
    char run_id[RUN_ID_MAX];       /* life of the partition; "" and 0 when none has begun */
    int64_t life_n;
    int64_t gap_from_ms; /* when the first outage that pauses it began; 0 none */
    int64_t now_us;      /* Redis TIME of the read */
    /* session_backstop of the state as stored, where the TTL of its key points to; of a session
     * that has ended another one, so that it is set anew */
    int64_t backstop_ms;
};

/*
 * Take the replies of HGETALL, of HMGET of the life and of TIME, which stand one after another
 * in `reply`. RC_OK also when the session does not exist (ld->exists); RC_STATE_UNREADABLE,
 * with version and epoch filled when there were any, so that even such a session can be put
 * off; RC_STORE_UNAVAILABLE when the replies are none.
 */
enum rc session_load_take(const struct redisReply *const *reply, struct session *s,
                          struct session_loaded *ld, struct fail *f) MUSTCHECK;
/* The same from a batch; checks each reply for an error first. */
enum rc session_load_result(const struct redis_batch *b, int place, struct session *s,
                            struct session_loaded *ld, struct fail *f) MUSTCHECK;

/* Add the one command of a load that may be of a slice (session_slice.h); its place. Of a
 * session that is not large it reads the whole, dearer than session_load_add by a script. */
int session_load_slice_add(struct redis_batch *b, const char *prefix, const char *id);
/* Read its reply, as session_load_result: s->is_slice tells what it is. */
enum rc session_load_slice_result(const struct redis_batch *b, int place, struct session *s,
                                  struct session_loaded *ld, struct fail *f) MUSTCHECK;

#endif
