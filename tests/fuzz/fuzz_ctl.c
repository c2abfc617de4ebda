/*
 * What Redis tells kairosctl, and the files of keys that it reads: the first line names what is
 * done (the table below); behind it stands the file, and what Redis says (servers.h).
 */
#include "common/arena.h"
#include "common/event.h"
#include "common/redis.h"
#include "ctl/ctl.h"
#include "ctl/doctor.h"
#include "ctl/keyfile.h"
#include "ctl/listen.h"
#include "ctl/web.h"
#include "fuzz.h"
#include "servers.h"

#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#define ID "0e6c81f0-58b2-4f6f-9d39-6f4f4a6d2f01"
#define CHANGES_MAX 16

struct input {
    const char *file;
    size_t len;
    struct redis *redis;
};

static struct conf conf;

/* --- keys --- */

static bool
keys_write(const struct input *in)
{
    FILE *out = fopen("/dev/null", "we");
    struct fail f = { 0 };
    size_t n = 0;
    enum rc rc;

    HOLD(out != NULL);
    rc = keyfile_write(&conf, in->redis, out, &n, &f);
    fclose(out);
    return rc == RC_OK;
}

static bool
keys_read(const struct input *in)
{
    char *exact = xalloc(in->len + 1);
    FILE *file = fmemopen(exact, in->len + 1, "w+e");
    struct fail f = { 0 };
    size_t n = 0;
    enum rc rc;

    HOLD(file != NULL && fwrite(in->file, 1, in->len, file) == in->len);
    rewind(file);
    rc = keyfile_read(&conf, in->redis, file, &n, &f);
    fclose(file);
    free(exact);
    return rc == RC_OK;
}

static bool
keys_clear(const struct input *in)
{
    struct fail f = { 0 };

    return keyfile_clear(&conf, in->redis, &f) == RC_OK;
}

static bool
keys_look(const struct input *in)
{
    int64_t sessions, records;
    struct fail f = { 0 };

    return keyfile_look(&conf, in->redis, &sessions, &records, &f) == RC_OK;
}

/* --- what is shown --- */

/* What it prints goes nowhere. */
static bool
sessions(int argc, char **argv)
{
    int out = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), status;

    HOLD(out >= 0 && nowhere >= 0);
    fflush(stdout);
    HOLD(dup2(nowhere, STDOUT_FILENO) >= 0);
    optind = 1;
    status = ctl_sessions.run(&conf, argc, argv);
    fflush(stdout);
    HOLD(dup2(out, STDOUT_FILENO) >= 0);
    close(out);
    close(nowhere);
    return status == 0;
}

static bool
sessions_list(const struct input *in)
{
    char name[] = "sessions", list[] = "list";

    (void)in;
    return sessions(2, (char *[]){ name, list, NULL });
}

static bool
sessions_show(const struct input *in)
{
    char name[] = "sessions", show[] = "show", id[] = ID;

    (void)in;
    return sessions(3, (char *[]){ name, show, id, NULL });
}

static bool
sessions_raw(const struct input *in)
{
    char name[] = "sessions", raw[] = "--raw", show[] = "show", id[] = ID;

    (void)in;
    return sessions(4, (char *[]){ name, raw, show, id, NULL });
}

static bool
changes(const struct input *in)
{
    struct listen *l = listen_new(&conf, NULL);
    bool came = true, any = false;
    struct fail f = { 0 };
    struct event ev;

    (void)in;
    for (int i = 0; i < CHANGES_MAX && listen_next(l, 0, &ev, &came, &f) == RC_OK; i++)
        any = any || came;
    listen_free(l);
    return any;
}

/* Nothing is found that is not ok. */
static bool
doctor(const struct input *in)
{
    struct doctor d = { .conf = &conf,
                        .redis = in->redis,
                        .url = "",
                        .token = "",
                        .list = json_object_new_array() };

    doctor_redis(&d);
    json_object_put(d.list);
    return d.bad == 0;
}

static bool
url(const struct input *in)
{
    char *text = xalloc(in->len + 1);
    struct web_url parsed;
    bool taken;

    memcpy(text, in->file, in->len);
    taken = web_url_parse(text, &parsed);
    HOLD(!taken || (parsed.host[0] != '\0' && parsed.port[0] != '\0'));
    free(text);
    return taken;
}

static const struct part {
    const char *name;
    bool (*run)(const struct input *in);
} parts[] = {
    { "write", keys_write }, { "read", keys_read },     { "clear", keys_clear },
    { "look", keys_look },   { "list", sessions_list }, { "show", sessions_show },
    { "raw", sessions_raw }, { "changes", changes },    { "doctor", doctor },
    { "url", url },
};

static const struct part *
part_of(const char *s, size_t len)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (strlen(parts[i].name) == len && memcmp(parts[i].name, s, len) == 0)
            return &parts[i];
    return NULL;
}

bool
fuzz_take(const char *s, size_t len)
{
    size_t head = servers_begin(s, len, false);
    const char *end = memchr(s, '\n', head);
    size_t line = end == NULL ? head : (size_t)(end - s);
    struct input in = { .file = end == NULL ? s + head : end + 1 };
    const struct part *part = part_of(s, line);
    bool taken;

    if (part == NULL)
        return false;
    in.len = (size_t)(s + head - in.file);
    conf = servers_conf();
    in.redis = redis_new(&conf, "fuzz");
    taken = part->run(&in);
    redis_free(in.redis);
    servers_end();
    return taken;
}
