#include "health.h"

#include "app.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/status.h"
#include "reader.h"
#include "subscriber.h"
#include "timekeeper.h"

#include <inttypes.h>

static bool
has_redis(const struct app *app)
{
    return subscriber_is_up(app->subscriber) && reader_is_up(app->reader);
}

static unsigned
health(struct app *app, char *out, size_t size)
{
    static const char *const words[] = {
        [DATABASE_OFF] = "off", [DATABASE_DOWN] = "down", [DATABASE_CONNECTED] = "connected"
    };
    int64_t wall_ms = clock_wall_ms();
    int64_t up_ms = wall_ms - status_started_at(app->status);
    bool anonymous = app->conf->app_env == ENV_PRODUCTION && !app->conf->auth_required;

    snprintf(
        out, size,
        "{\"status\":\"ok\",\"timestamp\":%" PRId64 ",\"uptime\":%" PRId64
        ",\"database\":\"%s\",\"redis\":\"%s\",\"timekeeper\":\"%s\"%s,\"connections\":%d}",
        talk_now_ms(&app->talk), up_ms > 0 ? up_ms / 1000 : 0,
        words[status_database(app->status, wall_ms)], has_redis(app) ? "connected" : "down",
        timekeeper_is_well(app->timekeeper) ? "ok" : "absent",
        anonymous ? ",\"anonymous\":\"sync\"" : "", app->clients.n);
    return 200;
}

static unsigned
ready(struct app *app, char *out, size_t size)
{
    const char *why = app->draining     ? "The process is stopping"
                      : !has_redis(app) ? "The store does not answer"
                                        : NULL;

    if (why == NULL)
        snprintf(out, size, "{\"ready\":true,\"status\":\"ready\"}");
    else
        snprintf(out, size, "{\"ready\":false,\"status\":\"not_ready\",\"error\":\"%s\"}", why);
    return why == NULL ? 200 : 503;
}

unsigned
health_answer(struct app *app, const char *path, char *out, size_t size)
{
    if (strcmp(path, "/health") == 0)
        return health(app, out, size);
    if (strcmp(path, "/ready") == 0)
        return ready(app, out, size);
    snprintf(out, size,
             "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"There is nothing here\"}}");
    return 404;
}
