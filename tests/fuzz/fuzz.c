#include "fuzz.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/rc.h"

#include <json-c/json.h>

void
fuzz_hold_json(const struct buf *text)
{
    struct json_object *json = NULL;

    HOLD(!text->overflow);
    HOLD(json_parse(text->data, text->len, &json, NULL) == RC_OK);
    json_object_put(json);
}
