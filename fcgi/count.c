#include "fcgi/count.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/status.h"
#include "fcgi/gate.h"
#include "fcgi/request.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* What METRIC_CODE lists. */
static const enum rc store_codes[] = { RC_STORE_UNAVAILABLE, RC_STORE_FULL, RC_OUTCOME_UNKNOWN,
                                       RC_STATE_UNREADABLE };

/* "/v1/sessions/{id}" is "/v1/sessions/:id", as dashboards of SyncKairos 2.0 know it. */
static size_t
name_route(const char *path)
{
    char name[METRICS_ROUTE_MAX];
    size_t len = 0;

    for (; *path != '\0' && len < sizeof(name) - 1; path++) {
        if (*path == '{')
            name[len++] = ':';
        else if (*path != '}')
            name[len++] = *path;
    }
    name[len] = '\0';
    return metrics_route(name);
}

void
count_init(struct app *app)
{
    struct fail f = { 0 };

    if (!app->conf->enable_metrics)
        return;
    if (proxy_list_parse(app->conf->metrics_allow, &app->metrics_allow, &f) != RC_OK)
        fatal(EX_CONFIG, "METRICS_ALLOW: %s", f.message);
    metrics_attach(status_metrics(app->status));
    app->route_places = xalloc(route_count() * sizeof(*app->route_places));
    for (size_t i = 0; i < route_count(); i++)
        app->route_places[i] = name_route(route_at(i)->path);
}

void
count_fini(struct app *app)
{
    metrics_attach(NULL);
    free(app->route_places);
    app->route_places = NULL;
}

static size_t
status_place(int status)
{
    const char text[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
                          (char)('0' + status % 10), '\0' };

    return metric_label_place(METRIC_STATUS, text);
}

static void
count_failure(const struct req *rq)
{
    enum rc rc = rq->reply.rc;

    if (rc == RC_LIMITED)
        metrics_add(METRIC_LIMIT_REJECTIONS, 1,
                    metric_label_place(METRIC_LIMIT, gate_limit_name(rq->limit_kind)), 0, 0);
    for (size_t i = 0; i < sizeof(store_codes) / sizeof(store_codes[0]); i++) {
        if (rc == store_codes[i])
            metrics_add(METRIC_STORE_ERRORS, 1, metric_label_place(METRIC_CODE, rc_code(rc)), 0,
                        0);
    }
}

void
count_answer(const struct req *rq)
{
    int64_t us = clock_mono_us() - rq->start_us;
    size_t method, route = 0;

    if (!metrics_are_on())
        return;
    method = metric_label_place(METRIC_METHOD, rq->method_text);
    if (rq->route != NULL)
        route = rq->app->route_places[rq->route_index];
    metrics_add(METRIC_HTTP_REQUESTS, 1, method, route, status_place(rq->reply.status));
    metrics_observe_us(METRIC_HTTP_DURATION, us, method, route);
    if (rq->route != NULL && rq->route->limit == LIMIT_SWITCH)
        metrics_observe_us(METRIC_SWITCH_DURATION, us, 0, 0);
    if (rq->reply.rc != RC_OK)
        count_failure(rq);
}
