/* What a timekeeper does for a session whose wake-up came without a change. */
#include "buf.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session_commit.h"
#include "session_load.h"
#include "warning.h"
#include <inttypes.h>

#define MESSAGE_MAX 512
#define NUMBER_SIZE 24

enum { KEYS_N = 3, FIXED_N = 10 };

/* The messages that are due, each into its buffer; how many. */
static int
encode(struct buf out[SESSION_WARNINGS_MAX], const struct session *s, int64_t claimed_ms,
       int64_t now_ms)
{
    struct warning warnings[SESSION_WARNINGS_MAX];
    size_t n = session_warnings(s, warnings);
    int messages = 0;

    for (size_t i = 0; i < n && warnings[i].at_ms <= now_ms; i++) {
        if (warnings[i].at_ms < claimed_ms)
            continue; /* told before */
        buf_init(&out[messages], MESSAGE_MAX);
        warning_encode(&out[messages++], s, warnings[i].threshold_ms, now_ms);
    }
    return messages;
}

int
session_tell_add(struct redis_batch *b, const struct commit_terms *t, const struct session *s,
                 int64_t claimed_ms, int *messages)
{
    enum { LIFE, NOW, CLAIMED, NEXT, DUE, NUMBERS };
    int partition = keys_partition(t->id), place;
    int64_t now_ms = t->ld->now_us / 1000;
    const int64_t numbers[NUMBERS] = { t->ld->life_n, t->ld->now_us, claimed_ms,
                                       session_wakeup(s, now_ms, t->ended_ttl_ms),
                                       session_due_at(s, t->ended_ttl_ms) };
    struct key session = keys_session(t->prefix, t->id);
    struct key wakeups = keys_wakeups(t->prefix, partition);
    struct key life = keys_life(t->prefix, partition);
    struct key channel = keys_channel(t->prefix, t->id);
    char text[NUMBERS][NUMBER_SIZE], id[ID_LEN + 1];
    struct buf message[SESSION_WARNINGS_MAX];
    const char *argv[KEYS_N + FIXED_N + SESSION_WARNINGS_MAX] = {
        session.s,  wakeups.s, life.s, t->ld->version, t->ld->epoch, t->ld->run_id,
        text[LIFE], text[NOW], id,     text[CLAIMED],  text[NEXT],   text[DUE],
        channel.s,
    };

    id_lower(t->id, id);
    for (int i = 0; i < NUMBERS; i++)
        snprintf(text[i], NUMBER_SIZE, "%" PRId64, numbers[i]);
    *messages = encode(message, s, claimed_ms, now_ms);
    for (int i = 0; i < *messages; i++)
        argv[KEYS_N + FIXED_N + i] = buf_cstr(&message[i]);
    place = redis_batch_script(b, LUA_TELL, KEYS_N, KEYS_N + FIXED_N + *messages, argv, NULL);
    for (int i = 0; i < *messages; i++)
        buf_fini(&message[i]);
    return place;
}
