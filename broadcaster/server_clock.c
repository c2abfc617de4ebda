#include "server_clock.h"

#include "common/clock.h"

/* Two quartz clocks may part by this much while 8 samples are taken. */
#define DRIFT_US 1000

void
server_clock_init(struct server_clock *c)
{
    *c = (struct server_clock){ 0 };
}

static bool
contradicts(const struct server_clock *c, int64_t offset_us, int64_t round_us)
{
    int64_t apart = offset_us - c->samples[c->best].offset_us;
    int64_t allowed = (round_us + c->samples[c->best].round_us) / 2 + DRIFT_US;

    return c->n > 0 && (apart > allowed || apart < -allowed);
}

bool
server_clock_sample(struct server_clock *c, int64_t sent_us, int64_t received_us,
                    int64_t redis_us)
{
    int64_t round_us = received_us - sent_us;
    int64_t offset_us = redis_us - (sent_us + round_us / 2);

    if (round_us < 0 || redis_us <= 0)
        return false;
    if (contradicts(c, offset_us, round_us))
        server_clock_init(c);
    c->samples[c->next].offset_us = offset_us;
    c->samples[c->next].round_us = round_us;
    c->next = (c->next + 1) % SERVER_CLOCK_SAMPLES;
    if (c->n < SERVER_CLOCK_SAMPLES)
        c->n++;
    c->best = 0;
    for (int i = 1; i < c->n; i++)
        if (c->samples[i].round_us < c->samples[c->best].round_us)
            c->best = i;
    return true;
}

bool
server_clock_is_set(const struct server_clock *c)
{
    return c->n > 0;
}

int64_t
server_clock_at(const struct server_clock *c, int64_t mono_us)
{
    if (c->n == 0)
        return clock_wall_us() + (mono_us - clock_mono_us());
    return mono_us + c->samples[c->best].offset_us;
}

int64_t
server_clock_error_us(const struct server_clock *c)
{
    return c->n == 0 ? -1 : c->samples[c->best].round_us / 2;
}
