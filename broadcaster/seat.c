#include "seat.h"

#include "common/conf.h"
#include "common/id.h"
#include "common/keys.h"
#include "common/redis.h"
#include "lua_scripts.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>

#define ANY 1000000000

void
seats_init(struct seats *s, const struct conf *conf)
{
    s->conf = conf;
    seats_renew(s);
}

void
seats_renew(struct seats *s)
{
    id_random(s->owner, sizeof(s->owner) - 1);
}

bool
seats_are_on(const struct seats *s)
{
    return s->conf->rate_limit_enabled && s->conf->ws_max_open > 0;
}

static int
add(const struct seats *s, struct redis_batch *b, const char *who, const char *what,
    int64_t max)
{
    struct key seats = keys_seats(s->conf->key_prefix, who);
    struct key owners = keys_seat_owners(s->conf->key_prefix);
    char most[24];

    snprintf(most, sizeof(most), "%" PRId64, max);
    return redis_batch_script(
        b, LUA_WS_SEAT, 2, 6,
        (const char *[]){ seats.s, owners.s, s->owner, SEAT_LEASE_S, what, most }, NULL);
}

int
seat_open(const struct seats *s, struct redis_batch *b, const char *who, bool anyway)
{
    return add(s, b, who, "open", anyway ? ANY : s->conf->ws_max_open);
}

int
seat_close(const struct seats *s, struct redis_batch *b, const char *who)
{
    return add(s, b, who, "close", ANY);
}

int
seat_beat(const struct seats *s, struct redis_batch *b)
{
    struct key owners = keys_seat_owners(s->conf->key_prefix);

    /* the link that this goes by does not load what Redis has forgotten */
    redis_batch_addv(b, 3, (const char *[]){ "SCRIPT", "LOAD", lua_script_text[LUA_WS_SEAT] },
                     NULL);
    redis_batch_addv(b, 3, (const char *[]){ "SCRIPT", "LOAD", lua_script_text[LUA_WS_BEAT] },
                     NULL);
    return redis_batch_script(b, LUA_WS_BEAT, 1, 3,
                              (const char *[]){ owners.s, s->owner, SEAT_LEASE_S }, NULL);
}

enum seat_verdict
seat_verdict(const struct redis_batch *b, int place)
{
    const redisReply *reply = redis_batch_reply(b, place);

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        return SEAT_SILENT;
    return reply->integer == 0 ? SEAT_REFUSED : SEAT_TAKEN;
}
