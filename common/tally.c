#include "tally.h"
#include "rc.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdatomic.h>

#define PROBES 8

struct slot {
    _Atomic uint64_t who;   /* 0: empty */
    _Atomic uint64_t state; /* struct window, packed */
    _Atomic int64_t until;  /* of a cool-down, epoch ms */
};

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share these: no hidden locks");

struct window {
    uint32_t bucket;      /* its number, of which the low bits are enough */
    uint16_t now, before; /* its hits, and those of the one before */
};

static struct window
unpack(uint64_t v)
{
    return (struct window){ (uint32_t)(v >> 32), (uint16_t)(v >> 16), (uint16_t)v };
}

static uint64_t
pack(struct window w)
{
    return (uint64_t)w.bucket << 32 | (uint64_t)w.now << 16 | w.before;
}

size_t
tally_size(void)
{
    return TALLY_SLOTS * sizeof(struct slot);
}

static uint64_t
hash_of(const char *who)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    uint64_t v;

    SHA256((const unsigned char *)who, strlen(who), hash);
    memcpy(&v, hash, sizeof(v));
    return v != 0 ? v : 1;
}

/* The slot of `who`; a fresh one when there is none. */
static struct slot *
find(struct slot *slots, uint64_t who)
{
    struct slot *oldest = NULL;

    for (int i = 0; i < PROBES; i++) {
        struct slot *s = &slots[(who + (uint64_t)i) % TALLY_SLOTS];
        uint64_t is = s->who;

        if (is == who)
            return s;
        if (is == 0 && atomic_compare_exchange_strong(&s->who, &is, who))
            return s;
        if (is == who) /* taken for the same one meanwhile */
            return s;
        if (!oldest || unpack(s->state).bucket < unpack(oldest->state).bucket)
            oldest = s;
    }
    oldest->who = who;
    oldest->state = 0;
    oldest->until = 0;
    return oldest;
}

/* The window as of now: counts of buckets that have passed are gone. */
static struct window
shift(struct window w, uint32_t bucket)
{
    if (w.bucket == bucket)
        return w;
    return (struct window){ bucket, 0, w.bucket + 1 == bucket ? w.now : 0 };
}

/* Whether one more fits; else when it will. */
static bool
fits(struct window w, const struct limit_rule *rule, int64_t into_ms, int64_t *wait_ms)
{
    int64_t left_ms = rule->window_ms - into_ms;

    /* w.now + w.before * left / window + 1 <= count, without losing the fraction */
    if ((w.now + 1 - rule->count) * rule->window_ms + w.before * left_ms <= 0)
        return true;
    if (w.now + 1 <= rule->count) /* the older bucket has to fade */
        *wait_ms =
            left_ms - (rule->count - w.now - 1) * rule->window_ms / (w.before + !w.before);
    else /* this bucket has to end, then fade */
        *wait_ms =
            left_ms + rule->window_ms - (rule->count - 1) * rule->window_ms / (w.now + !w.now);
    if (*wait_ms < 1)
        *wait_ms = 1;
    return false;
}

/* Always false: refused. */
static bool
cool_down(struct slot *slot, const struct limit_rule *rule, int64_t now_ms, int64_t *wait_ms)
{
    if (rule->cooldown_ms > 0) {
        slot->until = now_ms + rule->cooldown_ms;
        *wait_ms = rule->cooldown_ms;
    }
    return false;
}

bool
tally_hit(void *area, const struct limit_rule *rule, const char *who, int64_t now_ms,
          int64_t *wait_ms)
{
    struct slot *slot;
    uint64_t seen;

    *wait_ms = 0;
    if (rule->count == 0 || rule->count > TALLY_COUNT_MAX)
        return true;
    slot = find(area, hash_of(who));
    if (slot->until > now_ms) {
        *wait_ms = slot->until - now_ms;
        return false;
    }
    seen = slot->state;
    for (;;) {
        struct window w = shift(unpack(seen), (uint32_t)(now_ms / rule->window_ms));

        if (!fits(w, rule, now_ms % rule->window_ms, wait_ms))
            return cool_down(slot, rule, now_ms, wait_ms);
        if (w.now < TALLY_COUNT_MAX)
            w.now++;
        if (atomic_compare_exchange_weak(&slot->state, &seen, pack(w)))
            return true;
    }
}
