#include "doctor.h"

#include "common/buf.h"
#include "common/conf.h"
#include "common/metrics.h"
#include "common/status.h"
#include "web.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILES_BESIDE 100 /* that a broadcaster has open beside its clients */
#define BODY_MAX (8 << 20)

/* The soft limit of open files of a process; -1 when it cannot be read. */
static int64_t
files_of(int pid)
{
    char path[32], line[256];
    int64_t limit = -1;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    in = fopen(path, "re");
    while (in != NULL && fgets(line, sizeof(line), in) != NULL)
        if (strncmp(line, "Max open files", 14) == 0 &&
            sscanf(line + 14, " %" SCNd64, &limit) != 1)
            limit = INT64_MAX; /* "unlimited" */
    if (in != NULL)
        fclose(in);
    return limit;
}

static void
check_files(struct doctor *d)
{
    int64_t needed = d->conf->ws_max_clients + FILES_BESIDE, least = INT64_MAX;
    int pids[METRICS_HOLDERS];
    size_t n = metrics_holders(pids), known = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t limit = files_of(pids[i]);

        known += limit >= 0;
        if (limit >= 0 && limit < least)
            least = limit;
    }
    if (known == 0)
        doctor_say(d, DOCTOR_WARN, "open files",
                   "start synckairos-broadcaster on this host, or run this on its host",
                   "no broadcaster of this host is known");
    else if (least < needed)
        doctor_say(d, DOCTOR_WARN, "open files",
                   "raise LimitNOFILE (ulimit -n) and MAX_OPEN_FILES, or lower WS_MAX_CLIENTS",
                   "a broadcaster may open %" PRId64 ", and WS_MAX_CLIENTS needs %" PRId64,
                   least, needed);
    else
        doctor_say(d, DOCTOR_OK, "open files", NULL,
                   "%zu broadcasters may open %" PRId64 " or more, %" PRId64 " are needed",
                   known, least, needed);
}

static void
check_status(struct doctor *d)
{
    struct status *status = NULL;
    struct fail f = { 0 };

    if (status_view(d->conf->status_file, &status, &f) != RC_OK) {
        doctor_say(d, DOCTOR_FAIL, "status file",
                   "start the programs with this STATUS_FILE, on this host, in a folder that "
                   "they may write",
                   "%s", f.log);
        return;
    }
    doctor_say(d, DOCTOR_OK, "status file", NULL, "is shared");
    metrics_attach(status_metrics(status));
    check_files(d);
    metrics_attach(NULL);
    status_close(status);
}

static bool
is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static void
check_metrics(struct doctor *d)
{
    const char *host = d->conf->metrics_host;
    struct web_url url = { 0 };
    struct buf text;
    struct web_answer a = { .text = &text };

    if (!d->conf->enable_metrics || d->conf->metrics_port == 0) {
        doctor_say(d, DOCTOR_OK, "metrics", NULL, "are switched off");
        return;
    }
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        host = "localhost";
    snprintf(url.host, sizeof(url.host), "%s", host);
    snprintf(url.port, sizeof(url.port), "%d", (int)d->conf->metrics_port);
    buf_init(&text, BODY_MAX);
    web_get(&url, "/metrics", "", &a);
    if (a.status != 200 || strstr(a.body, "synckairos_") == NULL)
        doctor_say(d, DOCTOR_FAIL, "metrics",
                   "start a broadcaster, and give METRICS_PORT a port that nobody else has",
                   "METRICS_PORT %s answers %d %s", url.port, a.status, a.error);
    else if (!is_loopback(d->conf->metrics_host) && d->conf->app_env == ENV_PRODUCTION)
        doctor_say(d, DOCTOR_WARN, "metrics",
                   "set METRICS_HOST=127.0.0.1, or let a firewall guard METRICS_PORT",
                   "whoever reaches %s may read them", d->conf->metrics_host);
    else
        doctor_say(d, DOCTOR_OK, "metrics", NULL, "can be scraped on port %s", url.port);
    buf_fini(&text);
}

void
doctor_host(struct doctor *d)
{
    check_status(d);
    check_metrics(d);
}
