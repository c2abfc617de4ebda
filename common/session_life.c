#include "changes.h"
#include "conf.h"
#include "keys.h"
#include "lua_scripts.h"
#include "redis.h"
#include "session_call.h"

#include <inttypes.h>

static void
life_add(struct session_store *st, int partition, const char *outage)
{
    struct key life = keys_life(st->conf->key_prefix, partition);
    struct key wakeups = keys_wakeups(st->conf->key_prefix, partition);
    struct key wake = keys_wake(st->conf->key_prefix, partition);
    char changes[24];
    const char *argv[] = {
        life.s, wakeups.s, redis_run_id(st->redis), outage, wake.s, changes
    };

    snprintf(changes, sizeof(changes), "%" PRId64, changes_known(partition));
    redis_batch_script(st->commit, LUA_LIFE_BEGIN, 2, 6, argv, NULL);
}

enum rc
session_lives_begin(struct session_store *st, const int *partition, size_t n, struct fail *f)
{
    char outage[24];
    enum rc rc = redis_connect(st->redis, f);

    if (rc != RC_OK)
        return rc;
    snprintf(outage, sizeof(outage), "%" PRId64, st->conf->outage_pause_ms);
    redis_batch_clear(st->commit);
    for (size_t i = 0; i < n; i++)
        life_add(st, partition[i], outage);
    rc = redis_run(st->redis, st->commit, f);
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = redis_batch_check(st->commit, (int)i, f);
    return rc;
}
