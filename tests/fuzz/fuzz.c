#include "fuzz.h"

#include "common/arena.h"
#include "common/base64.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/rc.h"
#include "common/token_key.h"

#include <json-c/json.h>
#include <string.h>

void
fuzz_hold_json(const struct buf *text)
{
    struct json_object *json = NULL;

    HOLD(!text->overflow);
    HOLD(json_parse(text->data, text->len, &json, NULL) == RC_OK);
    json_object_put(json);
}

void
fuzz_hold_shown(const struct buf *text)
{
    static const char *const stored[] = { "\"metadata\":{", "\"penalty\":" };

    HOLD(!text->overflow);
    for (size_t i = 0; i < sizeof(stored) / sizeof(*stored); i++)
        if (memmem(text->data, text->len, stored[i], strlen(stored[i])) != NULL)
            return;
    fuzz_hold_json(text);
}

/* The bytes of [s, s + len) as base64 at the end of `text`. */
static size_t
add(char *text, size_t at, const char *s, size_t len)
{
    base64_encode((const unsigned char *)s, len, text + at);
    return at + strlen(text + at);
}

char *
fuzz_sign(const struct token_key *key, const char *s, size_t len, size_t *out_len)
{
    const char *end = memchr(s, '\n', len);
    unsigned char signature[TOKEN_SIGNATURE_MAX];
    char *text = xalloc(BASE64_LEN(len) + BASE64_LEN(sizeof(signature)) + 8);
    size_t signature_len = 0, at;

    at = add(text, 0, s, (size_t)(end - s));
    text[at++] = '.';
    at = add(text, at, end + 1, len - (size_t)(end + 1 - s));
    HOLD(token_key_sign(key, text, at, signature, &signature_len));
    text[at++] = '.';
    *out_len = add(text, at, (const char *)signature, signature_len);
    return text;
}
