/*
 * A token: two lines are its header and its claims, which are signed here so that all of them
 * is looked at; anything else is the token as it came.
 */
#include "common/conf.h"
#include "common/json.h"
#include "common/token.h"
#include "fuzz.h"

#include <string.h>

#define NOW_MS 1700000000000LL
#define SECRET "0123456789abcdef0123456789abcdef"
#define TEXT_MAX 20000

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
    text = fuzz_sign(SECRET, s, len, &len);
    taken = check(text, len);
    free(text);
    return taken;
}
