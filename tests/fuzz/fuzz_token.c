/*
 * A token: two lines are its header and its claims, which are signed here so that all of them
 * is looked at; anything else is the token as it came.
 */
#include "common/arena.h"
#include "common/base64.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/token.h"
#include "common/token_key.h"
#include "fuzz.h"

#include <string.h>

#define NOW_MS 1700000000000LL
#define SECRET "0123456789abcdef0123456789abcdef"
#define TEXT_MAX 20000

/* The bytes of [s, s + len) as base64 at the end of `text`. */
static size_t
add(char *text, size_t at, const char *s, size_t len)
{
    base64_encode((const unsigned char *)s, len, text + at);
    return at + strlen(text + at);
}

static char *
sign(const char *s, size_t len, size_t *out_len)
{
    const char *end = memchr(s, '\n', len);
    struct token_key *key = token_key_secret(SECRET);
    unsigned char signature[TOKEN_SIGNATURE_MAX];
    char *text = xalloc(BASE64_LEN(len) + BASE64_LEN(sizeof(signature)) + 8);
    size_t signature_len = 0, at;

    at = add(text, 0, s, (size_t)(end - s));
    text[at++] = '.';
    at = add(text, at, end + 1, len - (size_t)(end + 1 - s));
    HOLD(token_key_sign(key, text, at, signature, &signature_len));
    token_key_free(key);
    text[at++] = '.';
    *out_len = add(text, at, (const char *)signature, signature_len);
    return text;
}

/* Exactly as many bytes as there are, so that a read past the end is a finding. */
static bool
check(const char *s, size_t len)
{
    const struct conf conf = { .jwt_secret = SECRET,
                               .jwt_secret_previous = "",
                               .jwt_issuer = "",
                               .jwt_audience = "",
                               .jwt_public_key_file = "" };
    struct token_keys *keys = NULL;
    const struct token *token = NULL;
    bool taken;

    HOLD(token_keys_new(&conf, &keys, NULL) == RC_OK);
    taken = token_check(keys, s, len, NOW_MS, &token, NULL) == RC_OK;
    if (taken) {
        HOLD(token->sub[0] != '\0' && json_utf8_is_valid(token->sub, strlen(token->sub)));
        HOLD(token->exp_ms > NOW_MS - 3600000 && token->role < ROLE__MAX);
        for (size_t k = 0; k < token->n; k++)
            HOLD(id_is_uuid_shape(token->participants[k], strlen(token->participants[k])));
        HOLD(token_check(keys, s, len, NOW_MS, &token, NULL) == RC_OK); /* remembered */
    }
    token_keys_free(keys);
    return taken;
}

bool
fuzz_take(const char *s, size_t len)
{
    char *text;
    bool taken;

    if (len > TEXT_MAX)
        return false;
    if (len == 0 || memchr(s, '\n', len) == NULL)
        return check(s, len);
    text = sign(s, len, &len);
    taken = check(text, len);
    free(text);
    return taken;
}
