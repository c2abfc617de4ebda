/*
 * fake_hub.h - a hub whose subscriber and loader are lists, for the unit tests of the hub.
 */
#ifndef TESTS_UNIT_BROADCASTER_FAKE_HUB_H
#define TESTS_UNIT_BROADCASTER_FAKE_HUB_H

#include "broadcaster/hub.h"
#include "broadcaster/protocol.h"
#include "broadcaster/watch.h"
#include "fake.h"

static struct clients set;
static struct hub *hub;
static struct watch *loading[HUB_LOAD_MAX];
static size_t n_loading;
static int subscribes, unsubscribes;
static bool reader_down;

static void
on_subscribe(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
    subscribes++;
}

static void
on_unsubscribe(void *ctx, const char *id)
{
    (void)ctx;
    (void)id;
    unsubscribes++;
}

static bool
on_load(void *ctx, struct watch **ws, size_t n)
{
    (void)ctx;
    if (reader_down)
        return false;
    assert_true(n_loading + n <= HUB_LOAD_MAX);
    for (size_t i = 0; i < n; i++)
        loading[n_loading++] = ws[i];
    return true;
}

static int64_t
on_now(void *ctx)
{
    (void)ctx;
    return T0 + 77;
}

static const struct hub_calls calls = {
    .subscribe = on_subscribe, .unsubscribe = on_unsubscribe, .load = on_load, .now_ms = on_now
};

static inline int
begin(void **state)
{
    (void)state;
    clients_init(&set, &fake_io, 1000, 0);
    hub = hub_new(&calls, 100);
    n_loading = 0;
    subscribes = unsubscribes = 0;
    reader_down = false;
    hub_link_up(hub);
    return 0;
}

static inline int
end(void **state)
{
    (void)state;
    hub_free(hub);
    clients_fini(&set);
    return 0;
}

static inline struct fake *
join(void)
{
    struct fake *f = fake_open(&set, 0);

    hub_join(hub, &f->c, SID, false);
    return f;
}

static inline void
leave(struct fake *f)
{
    hub_leave(hub, &f->c);
    fake_close(f);
}

/* The one load under way, or a pump that starts it, is answered with `s` (NULL: not found). */
static inline void
loaded(enum rc rc, const struct session *s, int64_t at_ms)
{
    struct session copy;

    hub_pump(hub);
    assert_int_equal(n_loading, 1);
    n_loading = 0;
    session_init(&copy);
    if (s != NULL)
        session_copy(&copy, s);
    hub_loaded(hub, loading[0], rc, &copy, at_ms);
    session_fini(&copy);
}

static inline void
feed(const struct life *l)
{
    hub_event(hub, SID_LOWER, l->event.data, l->event.len);
}

/* What `f` got since the last look. */
static inline const char *
got(struct fake *f)
{
    clients_flush(&set);
    return fake_words(f);
}

/* A client that has its first state. */
static inline struct fake *
join_live(const struct life *l)
{
    struct fake *f = join();

    if (subscribes == 1)
        hub_subscribed(hub, SID_LOWER);
    loaded(RC_OK, &l->s, l->now);
    got(f);
    return f;
}

#endif
