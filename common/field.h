/*
 * field.h - declarative check of a JSON body: a table of fields in, typed values
 * out, every fault collected. Handlers see only what passed.
 *
 * Messages and codes are the reference's (contract 1.6, zod 4), so that clients
 * of SyncKairos 2.0 read what they know. The same tables make the OpenAPI schemas.
 */
#ifndef COMMON_FIELD_H
#define COMMON_FIELD_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct json_object;

#define FIELD_INT_MAX 9007199254740991 /* 2^53 - 1, the last safe integer of JavaScript */

enum field_type {
    F_END, /* ends a table */
    F_UUID,
    F_INT,  /* any JSON number of integral value within +-FIELD_INT_MAX */
    F_STR,  /* length in code points */
    F_ENUM, /* one_of "a|b|c" */
    F_BOOL,
    F_OBJECT, /* free object, max bytes as JSON text; with `items` as these say */
    F_ARRAY,  /* of objects described by `items`; of values when items[0] has no name */
};

struct field;

/* What an object is when its selecting member has that word; a list ends with a word NULL. */
struct field_variant {
    const char *word;
    const struct field *fields; /* the selecting member among them */
};

struct field {
    const char *name;
    enum field_type type;
    bool required;
    /* In such objects it need not be there, and an array may be empty; NULL: in none. The
     * schema says the same to JSON Schema. */
    bool (*spared)(struct json_object *obj);
    const char *spared_schema;
    const char *excludes; /* where it is spared: what must not stand beside it; NULL: nothing */
    bool plain;           /* F_STR: without control characters (U+0000 to U+001F, U+007F) */
    const char *label;    /* "Total time": begins the messages of this field */
    int64_t min, max; /* F_INT value, F_STR/F_ARRAY length, F_OBJECT bytes; both 0: no bound */
    const char *one_of;
    const struct field *items;
    /* F_OBJECT: one of several kinds, told by the F_ENUM items[0]; the first when that is not
     * there. */
    const struct field_variant *variants;
    const char
        *missing; /* message when missing or of the wrong kind; NULL: zod's default text */
    const char *too_small; /* full message; NULL: made from label and min */
    const char *too_big;
    const char *doc;     /* one sentence for OpenAPI */
    const char *example; /* in the F_END row: a whole body as JSON, for OpenAPI; NULL: none */
};

/* One fault: `field` is a dotted path ("participants.0.total_time_ms"), `code` zod's name. */
struct issue {
    const char *field;
    const char *message;
    const char *code;
    struct issue *next;
};

/* A checked body. Everything is the arena's. */
struct body {
    const struct field *fields;
    struct json_object *json; /* NULL when no body was sent */
    struct issue
        *issues; /* in the order of the table, then unrecognized keys; NULL when clean */
    struct issue **tail;
    size_t n_issues, issue_bytes; /* listed so far; past the caps below nothing more is */
};

/* However wrong a body is, its list of faults stays small: past one of these it ends with one
 * more fault `too_many_issues`. */
#define BODY_ISSUES_MAX 2000
#define BODY_ISSUE_BYTES_MAX (256 * 1024) /* of paths and messages */

/*
 * Check `json` (an object; NULL counts as {}) against `fields`. strict: unknown
 * keys at any depth but inside F_OBJECT are faults `unrecognized_key`; else ignored.
 * RC_OK; RC_VALIDATION "Request validation failed" with body->issues filled.
 */
enum rc body_check(struct body *b, const struct field *fields, struct json_object *json,
                   bool strict, struct arena *mem, struct fail *f) MUSTCHECK;

/* Add a fault found before or after body_check (which forgets the ones from before); a zeroed
 * body is good enough. `path` and `message` are copied, `code` is not. */
void body_issue(struct body *b, struct arena *mem, const char *path, const char *code,
                const char *message);

/* Typed values. `obj` is b->json or one item of an array; a missing key gives the fallback. */
bool body_has(struct json_object *obj, const char *name);
int64_t body_int(struct json_object *obj, const char *name, int64_t fallback);
bool body_bool(struct json_object *obj, const char *name, bool fallback);
const char *body_str(struct json_object *obj,
                     const char *name); /* NULL when missing; borrowed */
size_t body_array_len(struct json_object *obj, const char *name);
struct json_object *body_array_at(struct json_object *obj, const char *name, size_t i);

/* `details` of the error answer: [{"field","message","code"},...]. */
void issues_json(struct buf *out, const struct issue *issues);

/* The table as a closed JSON Schema (OpenAPI 3.1) object. */
void field_schema(struct buf *out, const struct field *fields);
/* Whether an F_ARRAY holds values as items[0] says, not objects. */
bool field_holds_values(const struct field *fd);

/* The schema of one field alone. */
void field_schema_one(struct buf *out, const struct field *fd);

#endif
