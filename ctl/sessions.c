/*
 * kairosctl sessions - what stands in Redis, for people: lists, one session decoded or raw, and
 * the end of one. Looking changes nothing: what is due is left to the timekeeper.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/id.h"
#include "common/json.h"
#include "common/keys.h"
#include "common/redis.h"
#include "common/session_json.h"
#include "common/session_load.h"
#include "common/session_store.h"
#include "ctl.h"

#include <getopt.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sysexits.h>

#define BATCH 200
#define LIST_LIMIT 100
#define STATE_MAX (4 << 20)

struct line {
    char id[ID_LEN + 1];
    enum sync_mode mode;
    enum sync_status status; /* STATUS_UNSET: cannot be read */
    int64_t version, updated_ms;
    size_t people;
};

struct tool {
    const struct conf *conf;
    struct redis *redis;
    struct redis_batch *batch;
    struct line *lines;
    size_t n;
    enum sync_status status; /* STATUS_UNSET: any */
    bool raw;
    size_t limit;
};

/* --- list --- */

/* Read some of the sessions that have a wake-up in the partition, which is every session. */
static enum rc
read_some(struct tool *t, const char *const *ids, size_t n, struct fail *f)
{
    struct redis_batch *b = redis_batch_new();
    enum rc rc;

    for (size_t i = 0; i < n; i++)
        session_load_add(b, t->conf->key_prefix, ids[i]);
    rc = redis_run(t->redis, b, f);
    for (size_t i = 0; i < n && rc == RC_OK; i++) {
        struct line *line = &t->lines[t->n];
        struct fail why = { 0 };
        struct session s;
        int64_t now_us = 0;
        enum rc one;

        session_init(&s);
        one = session_load_read(b, (int)i * SESSION_LOAD_COMMANDS, ids[i], &s, &now_us, &why);
        *line = (struct line){ .mode = s.mode,
                               .status = s.status,
                               .version = s.version,
                               .updated_ms = s.updated_at,
                               .people = s.n };
        if (one == RC_STATE_UNREADABLE)
            line->status = STATUS_UNSET;
        snprintf(line->id, sizeof(line->id), "%s", ids[i]);
        session_fini(&s);
        if (one == RC_STORE_UNAVAILABLE)
            rc = fail_log(f, one, "%s", why.log);
        else if (one != RC_SESSION_NOT_FOUND &&
                 (t->status == STATUS_UNSET || t->status == line->status))
            t->n++;
    }
    redis_batch_free(b);
    return rc;
}

static enum rc
read_partition(struct tool *t, int partition, struct fail *f)
{
    const redisReply *all;
    const char **ids;
    size_t n = 0;
    enum rc rc;

    redis_batch_clear(t->batch);
    redis_batch_add(t->batch, "ZRANGE %s 0 -1", keys_wakeups(t->conf->key_prefix, partition).s);
    rc = redis_run(t->redis, t->batch, f);
    if (rc == RC_OK)
        rc = redis_batch_check(t->batch, 0, f);
    if (rc != RC_OK)
        return rc;
    all = redis_batch_reply(t->batch, 0);
    ids = xalloc((all->elements + 1) * sizeof(*ids));
    for (size_t i = 0; i < all->elements; i++)
        if (redis_is_id(all->element[i]))
            ids[n++] = all->element[i]->str;
    t->lines = xrealloc(t->lines, (t->n + n + 1) * sizeof(*t->lines));
    for (size_t i = 0; i < n && rc == RC_OK; i += BATCH)
        rc = read_some(t, ids + i, i + BATCH < n ? BATCH : n - i, f);
    free(ids);
    return rc;
}

static int
newest_first(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->updated_ms != y->updated_ms)
        return x->updated_ms < y->updated_ms ? 1 : -1;
    return strcmp(x->id, y->id);
}

static void
print_lines(const struct tool *t)
{
    struct buf at;

    buf_init(&at, 64);
    for (size_t i = 0; i < t->n && i < t->limit; i++) {
        const struct line *l = &t->lines[i];

        buf_clear(&at);
        buf_time(&at, l->updated_ms);
        printf("%s  %-15s  %-9s  v%-6" PRId64 "  %4zu  %.24s\n", l->id, sync_mode_name(l->mode),
               l->status == STATUS_UNSET ? "unreadable" : sync_status_name(l->status),
               l->version, l->people, buf_cstr(&at) + 1);
    }
    buf_fini(&at);
    if (t->n > t->limit)
        ctl_say("%zu more; --limit=N shows them", t->n - t->limit);
}

static int
list(struct tool *t, int argc, char **argv)
{
    struct fail f = { 0 };

    (void)argv;
    if (argc > 0)
        return ctl_misused(&ctl_sessions, "list takes no argument");
    for (int i = 0; i < KEYS_PARTITIONS; i++)
        if (read_partition(t, i, &f) != RC_OK)
            return ctl_failed("sessions", &f);
    if (t->n > 0)
        qsort(t->lines, t->n, sizeof(*t->lines), newest_first);
    print_lines(t);
    return ctl_done();
}

/* --- show --- */

static int
by_name(const void *a, const void *b)
{
    const redisReply *const *x = a, *const *y = b;

    return strcmp(x[0]->str, y[0]->str);
}

/* Every field as it is stored, then when Redis looks at the session again and forgets it. */
static int
show_raw(struct tool *t, const char *id)
{
    struct key key = keys_session(t->conf->key_prefix, id);
    const redisReply *fields;
    struct fail f = { 0 };

    redis_batch_clear(t->batch);
    redis_batch_add(t->batch, "HGETALL %s", key.s);
    redis_batch_add(t->batch, "PTTL %s", key.s);
    redis_batch_add(t->batch, "ZSCORE %s %s",
                    keys_wakeups(t->conf->key_prefix, keys_partition(id)).s, id);
    if (redis_run(t->redis, t->batch, &f) != RC_OK ||
        redis_batch_check(t->batch, 0, &f) != RC_OK)
        return ctl_failed("sessions", &f);
    fields = redis_batch_reply(t->batch, 0);
    if (!redis_is_texts(fields)) {
        (void)fail_log(&f, RC_INTERNAL, "redis: HGETALL has no such answer");
        return ctl_failed("sessions", &f);
    }
    if (fields->elements == 0) {
        ctl_say("there is no session %s", id);
        return 1;
    }
    qsort(fields->element, fields->elements / 2, 2 * sizeof(*fields->element), by_name);
    printf("# %s\n", key.s);
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        printf("%s %s\n", fields->element[i]->str, fields->element[i + 1]->str);
    printf("# goes in %lld ms\n", redis_batch_reply(t->batch, 1)->integer);
    if (redis_batch_reply(t->batch, 2)->type == REDIS_REPLY_STRING)
        printf("# wakes up at %s\n", redis_batch_reply(t->batch, 2)->str);
    return ctl_done();
}

static void
print_state(const struct session *s, int64_t now_ms)
{
    struct json_object *state = NULL;
    struct fail f = { 0 };
    struct buf text;

    buf_init(&text, STATE_MAX);
    session_json(&text, s, now_ms);
    if (json_parse(buf_cstr(&text), text.len, &state, &f) == RC_OK)
        puts(json_object_to_json_string_ext(state, JSON_C_TO_STRING_PRETTY |
                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(state);
    buf_fini(&text);
}

static enum rc
load(struct tool *t, const char *id, struct session *s, int64_t *now_us, struct fail *f)
{
    enum rc rc;

    redis_batch_clear(t->batch);
    session_load_add(t->batch, t->conf->key_prefix, id);
    rc = redis_run(t->redis, t->batch, f);
    return rc == RC_OK ? session_load_read(t->batch, 0, id, s, now_us, f) : rc;
}

static int
show_one(struct tool *t, const char *id)
{
    struct fail f = { 0 };
    struct session s;
    int64_t now_us = 0;
    int status = 0;
    enum rc rc;

    if (t->raw)
        return show_raw(t, id);
    session_init(&s);
    rc = load(t, id, &s, &now_us, &f);
    if (rc == RC_OK)
        print_state(&s, now_us / 1000);
    else if (rc == RC_SESSION_NOT_FOUND)
        ctl_say("there is no session %s", id);
    else
        status = ctl_failed(
            rc == RC_STATE_UNREADABLE ? "cannot be read, see --raw" : "sessions", &f);
    session_fini(&s);
    if (rc == RC_SESSION_NOT_FOUND)
        return 1;
    return status != 0 ? status : ctl_done();
}

/* --- delete --- */

static int
delete_one(struct tool *t, const char *id)
{
    static const struct store_terms terms = { .actor = "kairosctl sessions delete" };
    const struct command command = { .type = COMMAND_DELETE };
    struct session_store *st = session_store_new(t->conf, t->redis);
    struct store_result res = { 0 };
    struct fail f = { 0 };
    struct session s;
    int status = 0;
    enum rc rc;

    session_init(&s);
    rc = session_store_command(st, id, &command, &terms, &s, &res, &f);
    if (rc != RC_OK) {
        status = ctl_failed(id, &f);
    } else if (res.change.type == EVENT_NONE) {
        ctl_say("there is no session %s", id);
        status = 1;
    } else {
        printf("deleted %s\n", id);
    }
    session_fini(&s);
    session_store_free(st);
    return status;
}

/* --- the frame --- */

static int
for_each(struct tool *t, int argc, char **argv, int (*fn)(struct tool *t, const char *id))
{
    int status = 0;

    if (argc == 0)
        return ctl_misused(&ctl_sessions, "which session?");
    for (int i = 0; i < argc; i++)
        if (!id_is_uuid_shape(argv[i], strlen(argv[i])))
            return ctl_misused(&ctl_sessions, "an id is a UUID");
    for (int i = 0; i < argc; i++) {
        char id[ID_LEN + 1];
        int one;

        id_lower(argv[i], id);
        one = fn(t, id);
        status = one != 0 ? one : status;
    }
    return status != 0 ? status : ctl_done();
}

static int
show(struct tool *t, int argc, char **argv)
{
    return for_each(t, argc, argv, show_one);
}

static int delete (struct tool *t, int argc, char **argv)
{
    return for_each(t, argc, argv, delete_one);
}

static const struct {
    const char *name;
    int (*fn)(struct tool *t, int argc, char **argv);
} verbs[] = { { "list", list }, { "show", show }, { "delete", delete } };

static bool
take_option(struct tool *t, int option)
{
    char *end;
    long n;

    switch (option) {
    case 'r':
        t->raw = true;
        return true;
    case 'l':
        n = strtol(optarg, &end, 10);
        t->limit = n > 0 ? (size_t)n : 0;
        return *end == '\0' && n > 0;
    case 's':
        for (int s = STATUS_UNSET + 1; s < STATUS__MAX; s++)
            if (strcmp(sync_status_name((enum sync_status)s), optarg) == 0)
                t->status = (enum sync_status)s;
        return t->status != STATUS_UNSET;
    default:
        return false;
    }
}

static int
run(const struct conf *conf, int argc, char **argv)
{
    static const struct option options[] = { { "raw", no_argument, NULL, 'r' },
                                             { "status", required_argument, NULL, 's' },
                                             { "limit", required_argument, NULL, 'l' },
                                             { NULL, 0, NULL, 0 } };
    struct tool t = { .conf = conf, .limit = LIST_LIMIT };
    int option, status;
    size_t verb = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(&t, option))
            return ctl_misused(&ctl_sessions, "unknown option, or not such a value");
    while (verb < sizeof(verbs) / sizeof(*verbs) &&
           (optind == argc || strcmp(verbs[verb].name, argv[optind]) != 0))
        verb++;
    if (verb == sizeof(verbs) / sizeof(*verbs))
        return ctl_misused(&ctl_sessions, "list, show or delete?");
    t.redis = redis_new(conf, "kairosctl");
    t.batch = redis_batch_new();
    status = verbs[verb].fn(&t, argc - optind - 1, argv + optind + 1);
    free(t.lines);
    redis_batch_free(t.batch);
    redis_free(t.redis);
    return status;
}

const struct ctl_command ctl_sessions = {
    .name = "sessions",
    .summary = "list, show or delete sessions",
    .usage =
        "kairosctl sessions list [--status=STATUS] [--limit=N]\n"
        "kairosctl sessions show [--raw] ID...\n"
        "kairosctl sessions delete ID...\n"
        "list prints id, mode, status, version, participants and last change, the newest "
        "first\n"
        "(100 of them). show prints the state as clients see it at this moment; with --raw "
        "the\n"
        "fields as Redis holds them. delete ends a session as its owner would: watchers are\n"
        "told, and the audit trail names kairosctl. Exits 1 when there is no such session.\n",
    .run = run,
};
