/*
 * What clients are told: each message is framed once for all who get it. Whoever fell behind is
 * given the newest state when it has caught up.
 */
#include "hub_inside.h"

#include "client.h"
#include "common/access.h"
#include "common/event.h"
#include "common/warning.h"
#include "frame.h"

#include <assert.h>
#include <utlist.h>

/* The message in h->text as a frame of one reference. */
struct frame *
hub_text_frame(struct hub *h)
{
    assert(!h->text.overflow);
    return frame_new(FRAME_TEXT, h->text.data, h->text.len);
}

/* Whether the client may see the session; judged anew at each change, which may let it in. */
static bool
may_see(const struct sub *sub)
{
    const struct session *s = &sub->watch->s;
    const struct pass *pass = &sub->client->pass;
    const struct caller who = { .token = pass->token, .is_free = pass->is_free };

    return (!s->is_private && s->readers == NULL) ||
           access_judge(&who, s, COMMAND_NONE) == ACCESS_ALLOWED;
}

/* Whether the state of `w` is newer than what `sub` was sent. */
static bool
is_news(const struct sub *sub)
{
    const struct watch *w = sub->watch;

    return sub->synced && (sub->lap < w->lap || sub->version < w->s.version) && may_see(sub);
}

static void
mark_sent(struct sub *sub, uint32_t lap, int64_t version)
{
    sub->lap = lap;
    sub->version = version;
}

/* The client fell behind: whatever comes next is news to it. */
static void
mark_lost(struct client *c)
{
    for (struct sub *sub = c->subs; sub != NULL; sub = sub->more)
        if (sub->version != 0)
            sub->version = -1;
}

static void
reply(struct client *c, struct frame *f)
{
    f->stays = true;
    if (client_reply(c, f))
        mark_lost(c);
}

void
hub_reply(struct hub *h, struct client *c)
{
    struct frame *f = hub_text_frame(h);

    reply(c, f);
    frame_drop(f);
}

static void
send_state(struct sub *sub, struct frame *f)
{
    bool was_behind = sub->client->is_behind;

    if (client_queue(sub->client, f)) {
        mark_sent(sub, sub->watch->lap, sub->watch->s.version);
        return;
    }
    if (!was_behind && sub->client->is_behind)
        mark_lost(sub->client);
}

static struct frame *
newest(struct hub *h, struct watch *w, enum state_kind kind)
{
    if (w->newest[kind] == NULL) {
        buf_clear(&h->text);
        protocol_state(&h->text, kind, &w->s, w->at_ms);
        w->newest[kind] = hub_text_frame(h);
        hub_set_hot(h, w, true);
    }
    return w->newest[kind];
}

/* Whether the change from d->version on is all that `sub` needs. */
static bool
follows(const struct sub *sub, const struct delta *d)
{
    return d != NULL && sub->lap == sub->watch->lap && sub->version == d->version;
}

void
hub_push_state(struct hub *h, struct watch *w, enum state_kind kind, const struct delta *d)
{
    struct frame *change = NULL;

    for (struct sub *sub = w->subs; sub != NULL; sub = sub->next) {
        /* who is behind is given the newest when it has caught up */
        if (!is_news(sub) || sub->client->close_code != 0 || sub->client->is_behind)
            continue;
        if (!sub->delta || !follows(sub, d)) {
            send_state(sub, newest(h, w, sub->delta ? STATE_SYNC : kind));
            continue;
        }
        if (change == NULL) {
            buf_clear(&h->text);
            protocol_delta(&h->text, &w->s, d, w->at_ms);
            change = hub_text_frame(h);
        }
        send_state(sub, change);
    }
    frame_drop(change);
}

/* The message in h->text goes to those whose state is exactly `version`. */
static void
push_about(struct hub *h, struct watch *w, int64_t version)
{
    struct frame *f = hub_text_frame(h);

    for (struct sub *sub = w->subs; sub != NULL; sub = sub->next) {
        bool was_behind = sub->client->is_behind;

        if (!sub->synced || sub->lap != w->lap || sub->version != version || !may_see(sub))
            continue;
        if (!client_queue(sub->client, f) && !was_behind && sub->client->is_behind)
            mark_lost(sub->client);
    }
    frame_drop(f);
}

void
hub_push_timeout(struct hub *h, struct watch *w, const struct event *ev)
{
    if (ev->applied == TIMEOUT_AUTO_ACTION) {
        buf_clear(&h->text);
        protocol_action(&h->text, w->spelling, ev, w->s.on_timeout.action);
        push_about(h, w, ev->version);
    }
    buf_clear(&h->text);
    protocol_time_expired(&h->text, w->spelling, ev);
    push_about(h, w, ev->version);
}

void
hub_push_warning(struct hub *h, struct watch *w, const struct warning_note *note)
{
    buf_clear(&h->text);
    protocol_time_warning(&h->text, w->spelling, note);
    push_about(h, w, note->version);
}

void
hub_end_sub(struct hub *h, struct sub *sub)
{
    struct watch *w = sub->watch;

    LL_DELETE2(sub->client->subs, sub, more);
    DL_DELETE(w->subs, sub);
    w->deltas -= sub->delta;
    free(sub->waiter);
    free(sub);
    if (w->subs == NULL)
        hub_set_idle(h, w, true);
}

/* SESSION_DELETED to all who know of the session; their subscription ends. `ev` NULL: it is
 * simply gone. */
void
hub_push_deleted(struct hub *h, struct watch *w, const struct event *ev)
{
    int64_t at_ms = ev != NULL ? ev->server_time_ms : h->calls.now_ms(h->calls.ctx);
    struct frame *f;

    buf_clear(&h->text);
    /* nobody said which change it was: at least the one after what is known */
    protocol_deleted(&h->text, w->spelling, ev != NULL ? ev->epoch : w->s.epoch,
                     ev != NULL ? ev->version : w->s.version + 1, at_ms);
    f = hub_text_frame(h);
    watch_forget(w);
    for (struct sub *sub = w->subs, *next; sub != NULL; sub = next) {
        next = sub->next;
        struct client *c = sub->client;

        if (sub->version == 0)
            continue; /* it knows of none */
        hub_end_sub(h, sub);
        if (c->subs == NULL && c->opened_with == w->hh.hashv)
            client_finish(c, f, 1000, "Session deleted");
        else
            reply(c, f);
    }
    frame_drop(f);
}

/* Answer one who waited for the load. */
static void
answer(struct hub *h, struct sub *sub, struct frame *sync, int64_t at_ms)
{
    const struct watch *w = sub->watch;
    struct waiter *waiter = sub->waiter;
    bool there = w->known == KNOWN_PRESENT && may_see(sub);

    sub->waiter = NULL;
    sub->synced = true;
    if (there && (waiter->version != w->s.version || strcmp(waiter->epoch, w->s.epoch) != 0)) {
        send_state(sub, sync);
        free(waiter);
        return;
    }
    buf_clear(&h->text);
    if (there) {
        protocol_unchanged(&h->text, &w->s, at_ms);
        mark_sent(sub, w->lap, w->s.version);
    } else {
        protocol_not_found(&h->text, w->spelling, at_ms);
    }
    hub_reply(h, sub->client);
    free(waiter);
}

/* Answer all who waited for this load, from what the watch knows now. */
void
hub_answer_waiters(struct hub *h, struct watch *w, int64_t at_ms)
{
    struct frame *sync = NULL;
    bool more = false;

    if (at_ms < w->at_ms)
        at_ms = w->at_ms;
    for (struct sub *sub = w->subs; sub != NULL; sub = sub->next) {
        if (sub->waiter == NULL)
            continue;
        if (!sub->waiter->served) {
            more = true;
            continue;
        }
        if (sync == NULL && w->known == KNOWN_PRESENT) {
            buf_clear(&h->text);
            protocol_state(&h->text, STATE_SYNC, &w->s, at_ms);
            sync = hub_text_frame(h);
        }
        answer(h, sub, sync, at_ms);
    }
    frame_drop(sync);
    if (more)
        hub_want_load(h, w);
}

/*
 * One session after the other, as the socket takes them: all at once could be more than a queue
 * holds, and the first ones would be given again and again. Whoever was served goes to the end.
 */
void
hub_catch_up(struct hub *h, struct client *c)
{
    struct sub *sub, *first = NULL;

    while ((sub = c->subs) != NULL && sub != first) {
        if (first == NULL)
            first = sub;
        LL_DELETE2(c->subs, sub, more);
        LL_APPEND2(c->subs, sub, more);
        if (sub->watch->known != KNOWN_PRESENT || !is_news(sub))
            continue;
        send_state(sub, newest(h, sub->watch, sub->delta ? STATE_SYNC : STATE_UPDATE));
        client_flush(c);
        if (c->set->io->is_stuck(c)) {
            client_stay_behind(c);
            return;
        }
    }
}
