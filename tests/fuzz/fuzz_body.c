/*
 * A body of the REST API: the first line says for which route ("POST /v1/sessions", with
 * " loose" behind it where unknown keys pass), the rest is the body. What is refused has a list
 * of faults that is JSON; a create body that is taken makes a session that lives, and is shown
 * as JSON.
 */
#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/session_json.h"
#include "fcgi/api/session_body.h"
#include "fcgi/route.h"
#include "fuzz.h"
#include "life.h"

#include <json-c/json.h>
#include <string.h>

#define T0 1795362403096LL
#define TEXT_MAX (4 * 1024 * 1024)
#define BODY_MAX (256 * 1024)
#define ARENA_MAX (8 * 1024 * 1024) /* as a request has at least */

struct input {
    const struct field *fields;
    bool strict;
    const char *body;
    size_t len;
};

static const struct field *
fields_of(const char *line, size_t len)
{
    char name[128];

    for (size_t i = 0; i < route_count(); i++) {
        const struct route *r = route_at(i);
        int n = snprintf(name, sizeof(name), "%s %s", method_name(r->method), r->path);

        if (r->body != NULL && (size_t)n == len && memcmp(name, line, len) == 0)
            return r->body;
    }
    return session_create_fields;
}

static struct input
split(const char *s, size_t len)
{
    static const char loose[] = " loose";
    const char *end = memchr(s, '\n', len);
    size_t line = end == NULL ? 0 : (size_t)(end - s), tail = sizeof(loose) - 1;
    struct input in = { .strict = true };

    in.body = end == NULL ? s : end + 1;
    in.len = len - (size_t)(in.body - s);
    if (line >= tail && memcmp(s + line - tail, loose, tail) == 0) {
        in.strict = false;
        line -= tail;
    }
    in.fields = fields_of(s, line);
    return in;
}

static void
hold_faults(const struct body *b, struct buf *out)
{
    HOLD(b->issues != NULL && b->n_issues <= BODY_ISSUES_MAX + 1);
    buf_clear(out);
    issues_json(out, b->issues);
    fuzz_hold_json(out);
}

static void
live(struct session *s, struct buf *out)
{
    uint64_t seed = 1 + s->n;
    struct change c;

    HOLD(session_create(s, T0, &c, NULL) == RC_OK && c.type == EVENT_SESSION_CREATED);
    buf_clear(out);
    session_json(out, s, T0 + 1);
    fuzz_hold_json(out);
    life_same_again(s);
    life_run(s, T0 + 1, &seed);
    buf_clear(out);
    session_json(out, s, T0 + 1);
    fuzz_hold_json(out);
}

/* A draft that contradicts itself is refused with a list of faults, as a wrong body is. */
static bool
take_create(struct body *b, struct arena *mem, struct buf *out)
{
    struct session s;
    bool taken;

    session_init(&s);
    taken = session_body_draft(&s, b, mem, "somebody", NULL) == RC_OK;
    if (taken)
        live(&s, out);
    else
        hold_faults(b, out);
    session_fini(&s);
    return taken;
}

static bool
take_json(const struct input *in, struct json_object *json, struct arena *mem, struct buf *out)
{
    struct body b = { 0 };

    if (json != NULL && !json_object_is_type(json, json_type_object))
        return false; /* the gate refuses these by themselves */
    if (body_check(&b, in->fields, json, in->strict, mem, NULL) != RC_OK) {
        hold_faults(&b, out);
        return false;
    }
    return in->fields != session_create_fields || take_create(&b, mem, out);
}

bool
fuzz_take(const char *s, size_t len)
{
    struct input in = split(s, len);
    struct json_object *json = NULL;
    struct arena *mem;
    struct buf out;
    bool taken;

    if (in.len > BODY_MAX || json_parse(in.body, in.len, &json, NULL) != RC_OK)
        return false;
    mem = arena_new(ARENA_MAX);
    buf_init(&out, TEXT_MAX);
    taken = take_json(&in, json, mem, &out);
    buf_fini(&out);
    arena_free(mem);
    json_object_put(json);
    return taken;
}
