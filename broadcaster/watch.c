#include "watch.h"

#include "common/arena.h"
#include "frame.h"

#include <assert.h>

/* About a second of commits to one session at the highest rate seen. */
#define BACKLOG_MAX (512 * 1024)

struct watch *
watch_new(const char *id)
{
    struct watch *w = xalloc(sizeof(*w));

    id_lower(id, w->id);
    memcpy(w->spelling, id, ID_LEN);
    session_init(&w->s);
    buf_init(&w->backlog, BACKLOG_MAX);
    return w;
}

void
watch_free(struct watch *w)
{
    if (w == NULL)
        return;
    assert(w->subs == NULL && !w->loading);
    session_fini(&w->s);
    buf_fini(&w->backlog);
    watch_cool(w);
    free(w);
}

void
watch_cool(struct watch *w)
{
    for (int kind = 0; kind < STATE_KINDS; kind++) {
        frame_drop(w->newest[kind]);
        w->newest[kind] = NULL;
    }
}

int
watch_order(const char *epoch_a, int64_t version_a, const char *epoch_b, int64_t version_b)
{
    int order = strcmp(epoch_a, epoch_b);

    if (order != 0)
        return order;
    return version_a < version_b ? -1 : version_a > version_b;
}

enum watch_step
watch_judge(const struct watch *w, const struct event *ev)
{
    bool creates = ev->type == EVENT_SESSION_CREATED && ev->version == 1;

    if (w->known != KNOWN_PRESENT) {
        if (ev->type == EVENT_SESSION_DELETED)
            return STEP_IGNORE;
        return creates ? STEP_CREATE : STEP_RELOAD;
    }
    if (watch_order(ev->epoch, ev->version, w->s.epoch, w->s.version) <= 0)
        return STEP_IGNORE;
    if (ev->type == EVENT_SESSION_DELETED)
        return STEP_DELETE;
    if (strcmp(ev->epoch, w->s.epoch) != 0)
        return creates ? STEP_CREATE : STEP_RELOAD;
    return ev->version == w->s.version + 1 ? STEP_APPLY : STEP_RELOAD;
}

static void
changed(struct watch *w, int64_t at_ms)
{
    w->known = KNOWN_PRESENT;
    w->at_ms = at_ms;
    memcpy(w->spelling, w->s.id, sizeof(w->spelling));
    watch_cool(w);
}

bool
watch_apply(struct watch *w, enum watch_step step, const struct event *ev)
{
    assert(step == STEP_APPLY || step == STEP_CREATE);
    if (step == STEP_CREATE) {
        session_fini(&w->s);
        session_init(&w->s);
        memcpy(w->s.id, ev->session_id, sizeof(w->s.id));
        w->lap++;
    }
    if (event_apply(ev, &w->s, NULL) != RC_OK)
        return false;
    session_clean(&w->s);
    changed(w, ev->server_time_ms);
    return true;
}

void
watch_adopt(struct watch *w, struct session *s, int64_t at_ms)
{
    if (w->known != KNOWN_PRESENT || strcmp(w->s.epoch, s->epoch) != 0 ||
        s->version < w->s.version)
        w->lap++;
    session_fini(&w->s);
    w->s = *s;
    session_init(s);
    changed(w, at_ms);
}

void
watch_forget(struct watch *w)
{
    session_fini(&w->s);
    session_init(&w->s);
    w->known = KNOWN_MISSING;
    w->lap++;
    watch_cool(w);
}

bool
watch_keep(struct watch *w, const char *payload, size_t len)
{
    uint32_t n = (uint32_t)len;

    if (w->backlog.len + sizeof(n) + len > w->backlog.max)
        return false;
    buf_add(&w->backlog, &n, sizeof(n));
    buf_add(&w->backlog, payload, len);
    return true;
}

bool
watch_kept(const struct watch *w, size_t *pos, const char **payload, size_t *len)
{
    uint32_t n;

    if (*pos >= w->backlog.len)
        return false;
    memcpy(&n, w->backlog.data + *pos, sizeof(n));
    *payload = w->backlog.data + *pos + sizeof(n);
    *len = n;
    *pos += sizeof(n) + n;
    return true;
}
