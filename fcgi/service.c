#include "fcgi/service.h"

#include "common/changes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/log.h"
#include "common/pg.h"
#include "common/redis.h"
#include "common/report.h"
#include "common/session_store.h"
#include "common/status.h"
#include "common/token.h"
#include "fcgi/count.h"
#include "fcgi/io.h"

#include <string.h>
#include <sysexits.h>

#define PG_DEADLINE_MS 5000
#define OUT_MAX (REPLY_MAX + 64 * 1024)

void
service_init(struct service *s, const struct conf *conf)
{
    struct fail f = { 0 };

    memset(s, 0, sizeof(*s));
    s->app.conf = conf;
    if (proxy_list_parse(conf->trusted_proxies, &s->app.proxies, &f) != RC_OK)
        fatal(EX_CONFIG, "TRUSTED_PROXIES: %s", f.message);
    if (status_open(conf->status_file, &s->app.status, &f) != RC_OK)
        log_warn("status_not_shared", LOG_STR("cause", f.log));
    report_attach(status_reports(s->app.status));
    report_crashes("synckairos.fcgi");
    changes_attach(status_changes(s->app.status));
    count_init(&s->app);
    s->app.tokens = token_keys_start(conf);
    s->app.redis = redis_new(conf, "synckairos-fcgi");
    s->app.batch = redis_batch_new();
    s->app.store = session_store_new(conf, s->app.redis);
    s->app.pg = pg_new(conf->database_url, "synckairos-fcgi", PG_DEADLINE_MS);
    id_random(s->app.id_prefix, sizeof(s->app.id_prefix) - 1);
    request_init(&s->rq, &s->app);
    buf_init(&s->out, OUT_MAX);
}

void
service_fini(struct service *s)
{
    request_fini(&s->rq);
    buf_fini(&s->out);
    pg_free(s->app.pg);
    session_store_free(s->app.store);
    redis_batch_free(s->app.batch);
    redis_free(s->app.redis);
    token_keys_free(s->app.tokens);
    count_fini(&s->app);
    report_attach(NULL);
    changes_attach(NULL);
    status_close(s->app.status);
}

static void
access_line(const struct req *rq)
{
    if (rq->route != NULL && rq->route->limit == LIMIT_NONE && rq->reply.status < 400)
        return; /* probes come every second */
    log_info("request", LOG_STR("method", rq->method_text), LOG_STR("path", rq->path),
             LOG_INT("status", rq->reply.status),
             LOG_INT("duration_us", clock_mono_us() - rq->start_us),
             LOG_INT("bytes", (int64_t)rq->reply.body.len), LOG_STR("client", rq->client));
}

void
service_answer(struct service *s, struct io *io)
{
    struct fail f = { 0 };

    if (request_parse(&s->rq, io, &f) != RC_OK)
        reply_fail(&s->rq, &f, NULL);
    log_request(s->rq.id);
    if (f.rc == RC_OK)
        route_dispatch(&s->rq);
    buf_clear(&s->out);
    reply_render(&s->rq, &s->out);
    count_answer(&s->rq);
    if (!io->write(io, s->out.data, s->out.len))
        log_info("peer_gone", LOG_STR("path", s->rq.path));
    io->finish(io);
    if (s->out.size > REPLY_KEPT)
        buf_fini(&s->out);
    access_line(&s->rq);
    log_request(NULL);
    request_reset(&s->rq);
}
