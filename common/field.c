/*
 * Each type of field is a row of `kinds`: how zod calls it, which function checks a value of
 * the right JSON type, and how it reads as a schema. Codes and default texts are zod 4's.
 */
#include "field.h"
#include "arena.h"
#include "buf.h"
#include "id.h"
#include <assert.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>

#define PATH_SIZE 256
#define KEY_SHOWN_MAX 100 /* bytes of an unknown key that an answer repeats */

/* Where a value is: a key of `up`, or (key NULL) an item of it. */
struct place {
    const struct place *up;
    const char *key;
    size_t index;
};

struct check {
    struct body *b;
    struct arena *mem;
    bool strict;
};

/* ---- faults ---- */

static bool
is_full(const struct body *b)
{
    return b->n_issues >= BODY_ISSUES_MAX || b->issue_bytes >= BODY_ISSUE_BYTES_MAX;
}

static void
issue_append(struct body *b, struct arena *mem, struct issue one)
{
    struct issue *issue = arena_alloc(mem, sizeof *issue);

    *issue = one;
    issue->next = NULL;
    if (b->tail == NULL)
        b->tail = &b->issues;
    *b->tail = issue;
    b->tail = &issue->next;
    b->n_issues++;
    b->issue_bytes += strlen(one.field) + strlen(one.message);
    if (!is_full(b) || strcmp(one.code, "too_many_issues") == 0)
        return;
    issue_append(b, mem,
                 (struct issue){ .field = "",
                                 .message = "Too many faults: the list ends here",
                                 .code = "too_many_issues" });
}

void
body_issue(struct body *b, struct arena *mem, const char *path, const char *code,
           const char *message)
{
    if (is_full(b))
        return;
    issue_append(b, mem,
                 (struct issue){ .field = arena_dup(mem, path, strlen(path)),
                                 .message = arena_dup(mem, message, strlen(message)),
                                 .code = code });
}

static void
place_text(const struct place *at, char *out, size_t size)
{
    size_t used;

    out[0] = '\0';
    if (at == NULL)
        return;
    place_text(at->up, out, size); /* as deep as the tables are, not as the input is */
    used = strlen(out);
    if (at->key != NULL)
        snprintf(out + used, size - used, "%s%s", used > 0 ? "." : "", at->key);
    else
        snprintf(out + used, size - used, "%s%zu", used > 0 ? "." : "", at->index);
}

static void PRINTF(4, 5)
    fault(struct check *c, const struct place *at, const char *code, const char *fmt, ...)
{
    char path[PATH_SIZE], message[512];
    va_list ap;

    place_text(at, path, sizeof path);
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    body_issue(c->b, c->mem, path, code, message);
}

/* What JavaScript calls the type of a value. */
static const char *
type_word(struct json_object *v)
{
    switch (json_object_get_type(v)) {
    case json_type_boolean:
        return "boolean";
    case json_type_double:
    case json_type_int:
        return "number";
    case json_type_object:
        return "object";
    case json_type_array:
        return "array";
    case json_type_string:
        return "string";
    case json_type_null:
        break;
    }
    return "null";
}

/* ---- the types ---- */

static void check_object(struct check *c, const struct field *fields, struct json_object *obj,
                         const struct place *at);

static const struct kind {
    const char *expected; /* zod's word for it */
    enum json_type type;  /* what json-c must have found; for F_INT also a double */
    const char *amount;   /* zod's "Too small: expected <amount> >=5<unit>" */
    const char *unit;
} kinds[] = {
    [F_UUID] = { "string", json_type_string, NULL, NULL },
    [F_INT] = { "number", json_type_int, "number to be", "" },
    [F_STR] = { "string", json_type_string, "string to have", " characters" },
    [F_ENUM] = { "string", json_type_string, NULL, NULL },
    [F_BOOL] = { "boolean", json_type_boolean, NULL, NULL },
    [F_OBJECT] = { "record", json_type_object, "object to have", " bytes" },
    [F_ARRAY] = { "array", json_type_array, "array to have", " items" },
};

static void
fault_small(struct check *c, const struct field *fd, const struct place *at)
{
    const struct kind *kind = &kinds[fd->type];

    if (fd->too_small != NULL)
        fault(c, at, "too_small", "%s", fd->too_small);
    else if (fd->label == NULL)
        fault(c, at, "too_small", "Too small: expected %s >=%" PRId64 "%s", kind->amount,
              fd->min, kind->unit);
    else if (fd->type == F_INT && fd->min == 0)
        fault(c, at, "too_small", "%s must be non-negative", fd->label);
    else
        fault(c, at, "too_small", "%s must %s at least %" PRId64 "%s", fd->label,
              fd->type == F_INT ? "be" : "have", fd->min, kind->unit);
}

static void
fault_big(struct check *c, const struct field *fd, const struct place *at)
{
    const struct kind *kind = &kinds[fd->type];

    if (fd->too_big != NULL)
        fault(c, at, "too_big", "%s", fd->too_big);
    else if (fd->label == NULL)
        fault(c, at, "too_big", "Too big: expected %s <=%" PRId64 "%s", kind->amount, fd->max,
              kind->unit);
    else
        fault(c, at, "too_big", "%s cannot exceed %" PRId64 "%s", fd->label, fd->max,
              kind->unit);
}

static bool
has_bounds(const struct field *fd)
{
    return fd->min != 0 || fd->max != 0;
}

static void
check_size(struct check *c, const struct field *fd, size_t size, const struct place *at)
{
    if (!has_bounds(fd))
        return;
    if (fd->min > 0 && size < (uint64_t)fd->min)
        fault_small(c, fd, at);
    else if (size > (uint64_t)fd->max)
        fault_big(c, fd, at);
}

/* Whether `word` is one of "a|b|c". */
static bool
is_one_of(const char *word, size_t len, const char *one_of)
{
    while (true) {
        size_t n = strcspn(one_of, "|");

        if (n == len && memcmp(word, one_of, n) == 0)
            return true;
        if (one_of[n] == '\0')
            return false;
        one_of += n + 1;
    }
}

static void
fault_enum(struct check *c, const struct field *fd, const struct place *at)
{
    struct buf words;
    const char *p;

    if (fd->missing != NULL) {
        fault(c, at, "invalid_value", "%s", fd->missing);
        return;
    }
    buf_init(&words, 400);
    for (p = fd->one_of; *p != '\0'; p++)
        buf_str(&words, *p == '|' ? "\"|\"" : (char[]){ *p, '\0' });
    fault(c, at, "invalid_value", "Invalid option: expected one of \"%s\"", buf_cstr(&words));
    buf_fini(&words);
}

/* Missing, null, or of another JSON type. */
static void
fault_kind(struct check *c, const struct field *fd, const char *received,
           const struct place *at)
{
    if (fd->type == F_ENUM)
        fault_enum(c, fd, at);
    else if (fd->missing != NULL)
        fault(c, at, "invalid_type", "%s", fd->missing);
    else
        fault(c, at, "invalid_type", "Invalid input: expected %s, received %s",
              kinds[fd->type].expected, received);
}

static void
fault_int(struct check *c, const struct field *fd, const char *code, const struct place *at)
{
    if (fd->label != NULL)
        fault(c, at, code, "%s must be an integer", fd->label);
    else if (strcmp(code, "invalid_type") == 0)
        fault(c, at, code, "Invalid input: expected int, received number");
    else
        fault(c, at, code, "Too %s: expected int to be %s%" PRId64, code + strlen("too_"),
              code[4] == 'b' ? "<=" : ">=-", FIELD_INT_MAX);
}

/* Doubles are exact here: whatever lies within the safe range, and all bounds do. */
static void
check_int(struct check *c, const struct field *fd, struct json_object *v,
          const struct place *at)
{
    double number = json_object_get_double(v);

    if (number > (double)FIELD_INT_MAX || number < (double)-FIELD_INT_MAX) {
        fault_int(c, fd, number > 0 ? "too_big" : "too_small", at);
    } else if (number != (double)(int64_t)number) {
        fault_int(c, fd, "invalid_type", at);
        return;
    }
    if (!has_bounds(fd))
        return;
    if (number < (double)fd->min)
        fault_small(c, fd, at);
    else if (number > (double)fd->max && fd->max < FIELD_INT_MAX)
        fault_big(c, fd, at);
}

static void
check_uuid(struct check *c, const struct field *fd, struct json_object *v,
           const struct place *at)
{
    if (id_is_uuid(json_object_get_string(v), (size_t)json_object_get_string_len(v)))
        return;
    if (fd->label != NULL)
        fault(c, at, "invalid_format", "%s must be a valid UUID", fd->label);
    else
        fault(c, at, "invalid_format", "Invalid UUID");
}

static void
check_str(struct check *c, const struct field *fd, struct json_object *v,
          const struct place *at)
{
    const char *s = json_object_get_string(v);
    bool is_plain = true;
    size_t points = 0;

    for (; *s != '\0'; s++) {
        points += (*s & 0xc0) != 0x80;
        is_plain = is_plain && (unsigned char)*s >= ' ' && *s != 0x7f;
    }
    check_size(c, fd, points, at);
    if (fd->plain && !is_plain)
        fault(c, at, "invalid_format", "%s must not contain control characters", fd->label);
}

static void
check_enum(struct check *c, const struct field *fd, struct json_object *v,
           const struct place *at)
{
    if (!is_one_of(json_object_get_string(v), (size_t)json_object_get_string_len(v),
                   fd->one_of))
        fault_enum(c, fd, at);
}

static void
check_free_object(struct check *c, const struct field *fd, struct json_object *v,
                  const struct place *at)
{
    size_t len = 0;

    if (!has_bounds(fd))
        return;
    json_object_to_json_string_length(
        v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    check_size(c, fd, len, at);
}

bool
field_holds_values(const struct field *fd)
{
    return fd->items->type != F_END && fd->items->name == NULL;
}

static void check_present(struct check *c, const struct field *fd, struct json_object *v,
                          const struct place *at);

/* An array that is too long is not looked into, as in zod. */
static void
check_array(struct check *c, const struct field *fd, struct json_object *v,
            const struct place *at)
{
    size_t n = json_object_array_length(v), i;

    check_size(c, fd, n, at);
    if (has_bounds(fd) && n > (uint64_t)fd->max)
        return;
    for (i = 0; i < n && !is_full(c->b); i++) {
        struct json_object *item = json_object_array_get_idx(v, i);
        const struct place here = { .up = at, .index = i };

        if (field_holds_values(fd))
            check_present(c, fd->items, item, &here);
        else
            check_object(c, fd->items, item, &here);
    }
}

/* The fields of the kind that the object says it is; of an unknown kind only the one that says
 * so, which is then at fault. */
static void
check_variant(struct check *c, const struct field *fd, struct json_object *obj,
              const struct place *at)
{
    struct check loose = { .b = c->b, .mem = c->mem };
    const struct field_variant *variant = fd->variants;
    struct json_object *word;

    if (json_object_object_get_ex(obj, fd->items->name, &word))
        while (variant->word != NULL &&
               (!json_object_is_type(word, json_type_string) ||
                strcmp(json_object_get_string(word), variant->word) != 0))
            variant++;
    if (variant->word != NULL)
        check_object(c, variant->fields, obj, at);
    else
        check_object(&loose, fd->items, obj, at);
}

static void
check_present(struct check *c, const struct field *fd, struct json_object *v,
              const struct place *at)
{
    enum json_type type = json_object_get_type(v);

    if (type != kinds[fd->type].type && !(fd->type == F_INT && type == json_type_double)) {
        fault_kind(c, fd, type_word(v), at);
        return;
    }
    switch (fd->type) {
    case F_UUID:
        check_uuid(c, fd, v, at);
        break;
    case F_INT:
        check_int(c, fd, v, at);
        break;
    case F_STR:
        check_str(c, fd, v, at);
        break;
    case F_ENUM:
        check_enum(c, fd, v, at);
        break;
    case F_OBJECT:
        if (fd->variants != NULL)
            check_variant(c, fd, v, at);
        else if (fd->items != NULL)
            check_object(c, fd->items, v, at);
        else
            check_free_object(c, fd, v, at);
        break;
    case F_ARRAY:
        check_array(c, fd, v, at);
        break;
    case F_BOOL:
    case F_END:
        break;
    }
}

static void
check_unknown_keys(struct check *c, const struct field *fields, struct json_object *obj,
                   const struct place *at)
{
    struct json_object_iterator it = json_object_iter_begin(obj);
    struct json_object_iterator end = json_object_iter_end(obj);
    char shown[KEY_SHOWN_MAX + sizeof "..."];

    for (; !json_object_iter_equal(&it, &end) && !is_full(c->b); json_object_iter_next(&it)) {
        const char *key = json_object_iter_peek_name(&it);
        const struct field *fd = fields;
        size_t len = strlen(key);

        while (fd->type != F_END && strcmp(fd->name, key) != 0)
            fd++;
        if (fd->type != F_END)
            continue;
        if (len > KEY_SHOWN_MAX)
            for (len = KEY_SHOWN_MAX; (key[len] & 0xc0) == 0x80;)
                len--;
        snprintf(shown, sizeof shown, "%.*s%s", (int)len, key, key[len] != '\0' ? "..." : "");
        fault(c, &(struct place){ .up = at, .key = shown }, "unrecognized_key",
              "Unrecognized key: \"%s\"", shown);
    }
}

static bool
is_spared(const struct field *fd, struct json_object *obj)
{
    return fd->spared != NULL && fd->spared(obj);
}

static bool
is_empty_array(struct json_object *v)
{
    return json_object_is_type(v, json_type_array) && json_object_array_length(v) == 0;
}

static void
check_object(struct check *c, const struct field *fields, struct json_object *obj,
             const struct place *at)
{
    const struct field *fd;

    if (!json_object_is_type(obj, json_type_object)) {
        fault(c, at, "invalid_type", "Invalid input: expected object, received %s",
              type_word(obj));
        return;
    }
    for (fd = fields; fd->type != F_END; fd++) {
        struct place here = { .up = at, .key = fd->name };
        struct json_object *v = NULL;
        bool has = json_object_object_get_ex(obj, fd->name, &v);

        if (has && is_empty_array(v) && is_spared(fd, obj))
            continue;
        if (has)
            check_present(c, fd, v, &here);
        else if (fd->required && !is_spared(fd, obj))
            fault_kind(c, fd, "undefined", &here);
        if (has && fd->excludes != NULL && body_has(obj, fd->excludes))
            fault(c, &here, "invalid_value", "Only one of %s and %s can be given", fd->name,
                  fd->excludes);
    }
    if (c->strict)
        check_unknown_keys(c, fields, obj, at);
}

/* A body that was not sent counts as {}: only what is required can be wrong with it. */
static void
check_no_body(struct check *c, const struct field *fields)
{
    const struct field *fd;

    for (fd = fields; fd->type != F_END; fd++)
        if (fd->required)
            fault_kind(c, fd, "undefined", &(struct place){ .key = fd->name });
}

enum rc
body_check(struct body *b, const struct field *fields, struct json_object *json, bool strict,
           struct arena *mem, struct fail *f)
{
    struct check c = { .b = b, .mem = mem, .strict = strict };

    *b = (struct body){ .fields = fields, .json = json };
    b->tail = &b->issues;
    if (json == NULL)
        check_no_body(&c, fields);
    else
        check_object(&c, fields, json, NULL);
    if (b->issues != NULL)
        return fail_invalid(f);
    return RC_OK;
}

/* ---- typed values ---- */

bool
body_has(struct json_object *obj, const char *name)
{
    return json_object_object_get_ex(obj, name, NULL);
}

/* The member when it has that JSON type, else NULL. */
static struct json_object *
member(struct json_object *obj, const char *name, enum json_type type)
{
    struct json_object *v;

    if (!json_object_object_get_ex(obj, name, &v) || !json_object_is_type(v, type))
        return NULL;
    return v;
}

int64_t
body_int(struct json_object *obj, const char *name, int64_t fallback)
{
    struct json_object *v = member(obj, name, json_type_int);

    if (v != NULL)
        return json_object_get_int64(v);
    v = member(obj, name, json_type_double);
    return v != NULL ? (int64_t)json_object_get_double(v) : fallback;
}

bool
body_bool(struct json_object *obj, const char *name, bool fallback)
{
    struct json_object *v = member(obj, name, json_type_boolean);

    return v != NULL ? json_object_get_boolean(v) : fallback;
}

const char *
body_str(struct json_object *obj, const char *name)
{
    struct json_object *v = member(obj, name, json_type_string);

    return v != NULL ? json_object_get_string(v) : NULL;
}

size_t
body_array_len(struct json_object *obj, const char *name)
{
    struct json_object *v = member(obj, name, json_type_array);

    return v != NULL ? json_object_array_length(v) : 0;
}

struct json_object *
body_array_at(struct json_object *obj, const char *name, size_t i)
{
    struct json_object *v = member(obj, name, json_type_array);

    return v != NULL ? json_object_array_get_idx(v, i) : NULL;
}

void
issues_json(struct buf *out, const struct issue *issues)
{
    const struct issue *issue;

    buf_char(out, '[');
    for (issue = issues; issue != NULL; issue = issue->next) {
        buf_str(out, issue == issues ? "{\"field\":" : ",{\"field\":");
        buf_json(out, issue->field, strlen(issue->field));
        buf_str(out, ",\"message\":");
        buf_json(out, issue->message, strlen(issue->message));
        buf_str(out, ",\"code\":");
        buf_json(out, issue->code, strlen(issue->code));
        buf_char(out, '}');
    }
    buf_char(out, ']');
}
