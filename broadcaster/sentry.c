#include "sentry.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/log.h"
#include "common/report.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <unistd.h>

#define LOOK_MS 1000
#define SEND_MS 5000
#define ENVELOPE_MAX 8192

struct sentry {
    const char *dsn;
    const char *environment;
    char *url; /* of the project's envelopes */
    char auth[320];
    uv_timer_t timer;
    uv_work_t work;
    struct buf envelope; /* of the report under way */
    CURLcode result;
    long status;
    bool busy, closed;
};

/* --- what is said --- */

static void
put(struct json_object *to, const char *key, const char *value)
{
    if (value[0] != '\0')
        json_object_object_add(to, key, json_object_new_string(value));
}

/* A UUID without its dashes. */
static void
event_id(char id[ID_LEN + 1])
{
    char *to = id;

    id_uuid4(id);
    for (const char *from = id; *from != '\0'; from++)
        if (*from != '-')
            *to++ = *from;
    *to = '\0';
}

static struct json_object *
event_of(const struct report *r, const char *id, const char *environment)
{
    struct json_object *event = json_object_new_object(), *tags = json_object_new_object(),
                       *message = json_object_new_object();
    char host[256] = "", status[8] = "";

    (void)!gethostname(host, sizeof(host) - 1);
    if (r->status != 0)
        snprintf(status, sizeof(status), "%d", (int)r->status);
    put(event, "event_id", id);
    json_object_object_add(event, "timestamp", json_object_new_double((double)r->at_ms / 1000));
    put(event, "platform", "c");
    put(event, "level", r->fatal ? "fatal" : "error");
    put(event, "logger", r->program);
    put(event, "server_name", host);
    put(event, "environment", environment);
    put(event, "transaction", r->route);
    put(message, "formatted", r->text);
    json_object_object_add(event, "message", message);
    put(tags, "code", r->code);
    put(tags, "status", status);
    put(tags, "request_id", r->request_id);
    json_object_object_add(event, "tags", tags);
    return event;
}

void
sentry_envelope(struct buf *out, const struct report *r, const char *dsn,
                const char *environment)
{
    char id[ID_LEN + 1];
    struct json_object *event, *head = json_object_new_object();
    const char *text;

    event_id(id);
    event = event_of(r, id, environment);
    put(head, "event_id", id);
    put(head, "dsn", dsn);
    text = json_object_to_json_string_ext(event, JSON_C_TO_STRING_PLAIN);
    buf_printf(out, "%s\n{\"type\":\"event\",\"length\":%zu}\n%s\n",
               json_object_to_json_string_ext(head, JSON_C_TO_STRING_PLAIN), strlen(text),
               text);
    json_object_put(event);
    json_object_put(head);
}

/* --- sending --- */

static size_t
ignore(char *data, size_t size, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * n;
}

/* In a thread of libuv's pool. */
static void
send_envelope(uv_work_t *work)
{
    struct sentry *s = work->data;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;

    s->result = CURLE_FAILED_INIT;
    s->status = 0;
    if (curl == NULL)
        return;
    headers = curl_slist_append(headers, "Content-Type: application/x-sentry-envelope");
    headers = curl_slist_append(headers, s->auth);
    curl_easy_setopt(curl, CURLOPT_URL, s->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, buf_cstr(&s->envelope));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)s->envelope.len);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SEND_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    s->result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &s->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

static void
on_closed(uv_handle_t *handle)
{
    struct sentry *s = handle->data;

    buf_fini(&s->envelope);
    free(s->url);
    free(s);
    curl_global_cleanup();
}

static void
on_sent(uv_work_t *work, int status)
{
    struct sentry *s = work->data;

    s->busy = false;
    if (status == 0 && (s->result != CURLE_OK || s->status / 100 != 2))
        log_warn("report not sent", LOG_STR("error", curl_easy_strerror(s->result)),
                 LOG_INT("status", s->status));
    if (s->closed)
        uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void
on_timer(uv_timer_t *timer)
{
    struct sentry *s = timer->data;
    struct report r;

    if (s->busy || !report_take(&r, clock_wall_ms()))
        return;
    buf_clear(&s->envelope);
    sentry_envelope(&s->envelope, &r, s->dsn, s->environment);
    s->busy = !s->envelope.overflow &&
              uv_queue_work(timer->loop, &s->work, send_envelope, on_sent) == 0;
}

/* --- life --- */

/* https://KEY@HOST[:PORT]/[PATH/]PROJECT: where its envelopes go, and the key. */
static void
read_dsn(struct sentry *s)
{
    CURLU *url = curl_url();
    char *key = NULL, *path = NULL, *project;
    char to[512];

    curl_url_set(url, CURLUPART_URL, s->dsn, 0);
    curl_url_get(url, CURLUPART_USER, &key, 0);
    curl_url_get(url, CURLUPART_PATH, &path, 0);
    project = path != NULL ? strrchr(path, '/') : NULL;
    if (key == NULL || project == NULL || project[1] == '\0') {
        fatal(78, "SENTRY_DSN: expected https://KEY@HOST/PROJECT");
        return; /* for cppcheck, which does not know that fatal ends the process */
    }
    *project++ = '\0';
    snprintf(to, sizeof(to), "%s/api/%s/envelope/", path, project);
    snprintf(s->auth, sizeof(s->auth),
             "X-Sentry-Auth: Sentry sentry_version=7, sentry_client=synckairos/2.0, "
             "sentry_key=%.128s",
             key);
    curl_url_set(url, CURLUPART_PATH, to, 0);
    curl_url_set(url, CURLUPART_USER, NULL, 0);
    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    curl_free(key);
    curl_free(path);
    path = NULL;
    if (curl_url_get(url, CURLUPART_URL, &path, 0) != CURLUE_OK)
        fatal(78, "SENTRY_DSN is no URL");
    s->url = xstrdup(path);
    curl_free(path);
    curl_url_cleanup(url);
}

struct sentry *
sentry_new(uv_loop_t *loop, const struct conf *conf)
{
    static const char *const environments[] = {
        [ENV_PRODUCTION] = "production", [ENV_DEVELOPMENT] = "development", [ENV_TEST] = "test"
    };
    struct sentry *s;

    if (conf->sentry_dsn[0] == '\0')
        return NULL;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s = xalloc(sizeof(*s));
    s->dsn = conf->sentry_dsn;
    s->environment = environments[conf->app_env];
    read_dsn(s);
    buf_init(&s->envelope, ENVELOPE_MAX);
    s->work.data = s;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, LOOK_MS, LOOK_MS);
    return s;
}

void
sentry_close(struct sentry *s)
{
    if (s == NULL)
        return;
    uv_timer_stop(&s->timer);
    s->closed = true;
    if (!s->busy)
        uv_close((uv_handle_t *)&s->timer, on_closed);
}
