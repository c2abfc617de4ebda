/* The field tables as JSON Schema 2020-12, the dialect of OpenAPI 3.1. */
#include "buf.h"
#include "field.h"
#include <inttypes.h>

static void
put_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json(out, value, strlen(value));
}

/* Integers beyond JavaScript's safe ones are refused whatever the table says. */
static void
put_bounds(struct buf *out, const struct field *fd, const char *min_name, const char *max_name)
{
    if (fd->min == 0 && fd->max == 0)
        return;
    buf_printf(out, ",\"%s\":", min_name);
    buf_i64(out, fd->min);
    buf_printf(out, ",\"%s\":", max_name);
    buf_i64(out, fd->max < FIELD_INT_MAX ? fd->max : FIELD_INT_MAX);
}

static void
put_words(struct buf *out, const char *one_of)
{
    const char *p = one_of;

    buf_str(out, ",\"enum\":[");
    while (true) {
        size_t n = strcspn(p, "|");

        buf_json(out, p, n);
        if (p[n] == '\0')
            break;
        buf_char(out, ',');
        p += n + 1;
    }
    buf_char(out, ']');
}

static void put_closed(struct buf *out, const struct field *fields, const char *doc);

static void
put_variants(struct buf *out, const struct field *fd)
{
    const struct field_variant *variant;

    buf_str(out, "{\"oneOf\":[");
    for (variant = fd->variants; variant->word != NULL; variant++) {
        if (variant != fd->variants)
            buf_char(out, ',');
        put_closed(out, variant->fields, NULL);
    }
    buf_char(out, ']');
    put_text(out, "description", fd->doc);
    buf_char(out, '}');
}

void
field_schema_one(struct buf *out, const struct field *fd)
{
    static const char *const types[] = {
        [F_UUID] = "string",  [F_INT] = "integer",   [F_STR] = "string",  [F_ENUM] = "string",
        [F_BOOL] = "boolean", [F_OBJECT] = "object", [F_ARRAY] = "array",
    };

    if (fd->variants != NULL) {
        put_variants(out, fd);
        return;
    }
    if (fd->type == F_OBJECT && fd->items != NULL) {
        put_closed(out, fd->items, fd->doc);
        return;
    }
    buf_printf(out, "{\"type\":\"%s\"", types[fd->type]);
    if (fd->type == F_UUID)
        put_text(out, "format", "uuid");
    if (fd->type == F_INT) {
        put_bounds(out, fd, "minimum", "maximum");
        buf_printf(out, ",\"examples\":[%" PRId64 "]", fd->min);
    }
    if (fd->type == F_STR)
        put_bounds(out, fd, "minLength", "maxLength");
    if (fd->plain)
        put_text(out, "pattern", "^[^\\u0000-\\u001f\\u007f]*$");
    if (fd->type == F_ENUM)
        put_words(out, fd->one_of);
    if (fd->type == F_ARRAY) {
        if (fd->spared == NULL)
            put_bounds(out, fd, "minItems", "maxItems");
        else
            buf_printf(out, ",\"maxItems\":%" PRId64, fd->max);
        buf_str(out, ",\"items\":");
        (field_holds_values(fd) ? field_schema_one : field_schema)(out, fd->items);
    }
    if (fd->type == F_OBJECT)
        buf_str(out, ",\"additionalProperties\":true");
    if (fd->doc != NULL)
        put_text(out, "description", fd->doc);
    buf_char(out, '}');
}

/* What is needed but in some objects: either it is one of them, or it has the field. And it may
 * be the one and not the other. */
static void
put_spared(struct buf *out, const struct field *fd, bool first)
{
    buf_str(out, first ? ",\"allOf\":[" : ",");
    buf_printf(out, "{\"anyOf\":[%s,{\"required\":[\"%s\"]", fd->spared_schema, fd->name);
    if (fd->type == F_ARRAY)
        buf_printf(out, ",\"properties\":{\"%s\":{\"minItems\":%" PRId64 "}}", fd->name,
                   fd->min);
    buf_str(out, "}]}");
    if (fd->excludes != NULL)
        buf_printf(out, ",{\"not\":{\"required\":[\"%s\",\"%s\"]}}", fd->name, fd->excludes);
}

static void
put_closed(struct buf *out, const struct field *fields, const char *doc)
{
    const struct field *fd;
    bool any_required = false, any_spared = false;

    buf_str(out, "{\"type\":\"object\",\"additionalProperties\":false");
    if (doc != NULL)
        put_text(out, "description", doc);
    buf_str(out, ",\"properties\":{");
    for (fd = fields; fd->type != F_END; fd++) {
        if (fd != fields)
            buf_char(out, ',');
        buf_json(out, fd->name, strlen(fd->name));
        buf_char(out, ':');
        field_schema_one(out, fd);
    }
    buf_char(out, '}');
    for (fd = fields; fd->type != F_END; fd++) {
        if (!fd->required || fd->spared != NULL)
            continue;
        buf_str(out, any_required ? "," : ",\"required\":[");
        buf_json(out, fd->name, strlen(fd->name));
        any_required = true;
    }
    buf_str(out, any_required ? "]" : "");
    for (fd = fields; fd->type != F_END; fd++) {
        if (fd->spared == NULL)
            continue;
        put_spared(out, fd, !any_spared);
        any_spared = true;
    }
    buf_str(out, any_spared ? "]}" : "}");
}

void
field_schema(struct buf *out, const struct field *fields)
{
    put_closed(out, fields, NULL);
}
