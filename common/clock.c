#include "clock.h"

#include <time.h>

static int64_t
read_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t
clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t
clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

void
clock_sleep_until_us(int64_t mono_us)
{
    struct timespec ts = { .tv_sec = mono_us / 1000000, .tv_nsec = mono_us % 1000000 * 1000 };

    if (mono_us > 0)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}
