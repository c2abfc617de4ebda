#include "fcgi/schema.h"

#include "common/buf.h"

#include <string.h>

void
schema_put(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t run = strcspn(text, "'");

        buf_add(out, text, run);
        text += run;
        if (*text == '\'') {
            buf_char(out, '"');
            text++;
        }
    }
}

void
schema_doc(struct buf *out, const char *doc)
{
    schema_put(out, ",'description':");
    buf_json(out, doc, strlen(doc));
}

static bool
is_long(const char *name)
{
    return strcmp(name, "participants") == 0 || strcmp(name, "groups") == 0;
}

void
schema_object(struct buf *out, const struct member *members, bool minimal, const char *doc)
{
    bool first = true;

    schema_put(out, "{'type':'object','additionalProperties':false");
    schema_doc(out, doc);
    schema_put(out, ",'properties':{");
    for (const struct member *m = members; m->name != NULL; m++) {
        if (minimal && is_long(m->name))
            continue;
        buf_printf(out, "%s\"%s\":{", m == members ? "" : ",", m->name);
        schema_put(out, m->schema);
        schema_doc(out, m->doc);
        buf_char(out, '}');
    }
    schema_put(out, "},'required':[");
    for (const struct member *m = members; m->name != NULL; m++) {
        if (!m->always || (minimal && is_long(m->name)))
            continue;
        buf_printf(out, "%s\"%s\"", first ? "" : ",", m->name);
        first = false;
    }
    buf_str(out, "]}");
}
