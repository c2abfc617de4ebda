#include "listen.h"

#include "common/arena.h"
#include "common/conf.h"
#include "common/event.h"
#include "common/keys.h"
#include "common/redis.h"

#include <hiredis/hiredis.h>

struct listen {
    const struct conf *conf;
    char id[ID_LEN + 1]; /* "" all */
    struct redis *redis;
    struct redis_batch *batch;
    bool subscribed;
    const redisReply *message; /* in the batch; that the last event points into */
};

struct listen *
listen_new(const struct conf *conf, const char *id)
{
    struct listen *l = xalloc(sizeof(*l));

    l->conf = conf;
    if (id != NULL)
        id_lower(id, l->id);
    l->redis = redis_new(conf, "kairosctl");
    l->batch = redis_batch_new();
    return l;
}

void
listen_free(struct listen *l)
{
    redis_batch_free(l->batch);
    redis_free(l->redis);
    free(l);
}

static enum rc
subscribe(struct listen *l, struct fail *f)
{
    const char *prefix = l->conf->key_prefix;
    enum rc rc;

    l->message = NULL;
    redis_batch_clear(l->batch);
    if (l->id[0] != '\0')
        redis_batch_add(l->batch, "SUBSCRIBE %s", keys_channel(prefix, l->id).s);
    else
        redis_batch_add(l->batch, "PSUBSCRIBE %s", keys_every_channel(prefix).s);
    rc = redis_run(l->redis, l->batch, f);
    if (rc == RC_OK)
        rc = redis_batch_check(l->batch, 0, f);
    l->subscribed = rc == RC_OK;
    return rc;
}

/* The text of a message; NULL for anything else (another subscription's confirmation). */
static const redisReply *
text_of(const redisReply *message)
{
    const redisReply *kind, *text;

    if (message->type != REDIS_REPLY_ARRAY || message->elements < 3)
        return NULL;
    kind = message->element[0];
    text = message->element[message->elements - 1];
    if (kind->type != REDIS_REPLY_STRING || strstr(kind->str, "message") == NULL)
        return NULL;
    return text->type == REDIS_REPLY_STRING ? text : NULL;
}

enum rc
listen_next(struct listen *l, int64_t wait_ms, struct event *ev, bool *came, struct fail *f)
{
    const redisReply *text;
    struct fail ignored = { 0 };
    enum rc rc = RC_OK;

    *came = false;
    if (!l->subscribed)
        rc = subscribe(l, f);
    if (rc != RC_OK)
        return rc;
    if (l->message != NULL)
        redis_batch_clear(l->batch);
    rc = redis_next(l->redis, l->batch, wait_ms, &l->message, f);
    l->subscribed = rc == RC_OK;
    text = rc == RC_OK && l->message != NULL ? text_of(l->message) : NULL;
    /* what is no change (a warning) is not told */
    *came = text != NULL && event_decode(text->str, text->len, ev, &ignored) == RC_OK;
    return rc;
}
