#include "base64.h"
#include "buf.h"
#include "token.h"
#include "token_key.h"

static void
put_base64(struct buf *out, const unsigned char *bytes, size_t n)
{
    char text[BASE64_LEN(TOKEN_TEXT_MAX) + 1];

    if (n > TOKEN_TEXT_MAX) {
        out->overflow = true;
        return;
    }
    base64_encode(bytes, n, text);
    buf_str(out, text);
}

static void
put_string(struct buf *json, const char *name, const char *value)
{
    if (!value || value[0] == '\0')
        return;
    buf_printf(json, ",\"%s\":", name);
    buf_json(json, value, strlen(value));
}

static void
put_claims(struct buf *json, const struct token_claims *c)
{
    buf_str(json, "{\"sub\":");
    buf_json(json, c->sub, strlen(c->sub));
    buf_printf(json, ",\"iat\":%lld,\"exp\":%lld", (long long)c->iat_s, (long long)c->exp_s);
    put_string(json, "role", role_name(c->role));
    put_string(json, "sid", c->sid);
    put_string(json, "jti", c->jti);
    put_string(json, "iss", c->iss);
    put_string(json, "aud", c->aud);
    for (size_t i = 0; i < c->n; i++) {
        buf_str(json, i == 0 ? ",\"participants\":[" : ",");
        buf_json(json, c->participants[i], strlen(c->participants[i]));
    }
    buf_str(json, c->n > 0 ? "]}" : "}");
}

bool
token_mint(const struct token_key *key, const struct token_claims *claims, struct buf *out)
{
    unsigned char sig[TOKEN_SIGNATURE_MAX];
    size_t start = out->len, sig_len;
    struct buf json;
    char head[48];
    int n;

    buf_init(&json, TOKEN_TEXT_MAX);
    put_claims(&json, claims);
    n = snprintf(head, sizeof(head), "{\"alg\":\"%s\",\"typ\":\"JWT\"}",
                 token_algorithm_name(token_key_algorithm(key)));
    put_base64(out, (const unsigned char *)head, (size_t)n);
    buf_char(out, '.');
    put_base64(out, (const unsigned char *)buf_cstr(&json), json.len);
    if (json.overflow || out->overflow ||
        !token_key_sign(key, out->data + start, out->len - start, sig, &sig_len)) {
        buf_fini(&json);
        return false;
    }
    buf_fini(&json);
    buf_char(out, '.');
    put_base64(out, sig, sig_len);
    return !out->overflow;
}
