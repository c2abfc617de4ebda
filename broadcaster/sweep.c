#include "sweep.h"

#include "client.h"
#include "common/clock.h"

/* Shorter ones are of few sockets, and the loop's timers count in milliseconds. */
#define TOOK_MIN_US 1000
#define REST_MAX_US 10000

void
sweep_init(struct sweep *s, uv_loop_t *loop, struct clients *clients)
{
    *s = (struct sweep){ .clients = clients };
    uv_timer_init(loop, &s->timer);
}

int64_t
sweep_rest_us(int64_t took_us)
{
    if (took_us < TOOK_MIN_US)
        return 0;
    return took_us < REST_MAX_US ? took_us : REST_MAX_US;
}

/* The turn that it wakes the loop for ends with a sweep. */
static void
on_rested(uv_timer_t *timer)
{
    (void)timer;
}

void
sweep_turn(struct sweep *s)
{
    int64_t began_us, ended_us;

    if (s->clients->dirty == NULL)
        return;
    began_us = clock_mono_us();
    if (began_us < s->rests_until_us) {
        uv_timer_start(&s->timer, on_rested,
                       (uint64_t)(s->rests_until_us - began_us + 999) / 1000, 0);
        return;
    }
    clients_flush(s->clients);
    ended_us = clock_mono_us();
    s->rests_until_us = ended_us + sweep_rest_us(ended_us - began_us);
}

void
sweep_close(struct sweep *s)
{
    uv_close((uv_handle_t *)&s->timer, NULL);
}
