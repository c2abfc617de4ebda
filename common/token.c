/*
 * What is cheap is judged first: shape, header, signature, claims. Header and claims pass the
 * scanner of request bodies (json.h), which refuses duplicate names, so that no other reader of
 * the same token can see another `sub`.
 */
#include "token.h"
#include "arena.h"
#include "base64.h"
#include "conf.h"
#include "json.h"
#include "log.h"
#include "token_key.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <sysexits.h>

#define CACHE_SIZE 256
#define SIGNATURE_END 16
#define INSTANT_MAX_MS 253402300799000 /* the end of the year 9999 */
#define INVALID "The token is not valid"

struct known {
    char *text; /* NULL: empty */
    size_t len;
    struct token *token;
};

struct token_keys {
    const struct conf *conf;
    struct token_key *key[TOKEN_KEYS_MAX]; /* any of them may have signed */
    size_t n;
    struct known known[CACHE_SIZE]; /* by the end of the text, which nobody chooses */
};

static const char *const role_names[ROLE__MAX] = {
    [ROLE_NONE] = "",           [ROLE_USER] = "user",
    [ROLE_SERVICE] = "service", [ROLE_MODERATOR] = "moderator",
    [ROLE_ADMIN] = "admin",
};

const char *
role_name(enum role r)
{
    return role_names[r];
}

enum role
role_parse(const char *s)
{
    for (int r = ROLE_USER; r < ROLE__MAX; r++)
        if (strcmp(role_names[r], s) == 0)
            return (enum role)r;
    return ROLE_NONE;
}

/* --- keys --- */

static enum rc
read_file(struct token_keys *k, const char *path, struct fail *f)
{
    struct fail why = { 0 };

    if (token_key_read((enum token_algorithm)k->conf->jwt_algorithm, path, false, k->key, &k->n,
                       &why) == RC_OK)
        return RC_OK;
    return fail_set(f, RC_VALIDATION, "JWT_PUBLIC_KEY_FILE: %s", why.message);
}

enum rc
token_keys_new(const struct conf *conf, struct token_keys **out, struct fail *f)
{
    struct token_keys *k = xalloc(sizeof(*k));
    enum rc rc = RC_OK;

    k->conf = conf;
    if (conf->jwt_algorithm != TOKEN_HS256) {
        if (conf->jwt_public_key_file[0] != '\0')
            rc = read_file(k, conf->jwt_public_key_file, f);
    } else if (conf->jwt_secret[0] != '\0') {
        k->key[k->n++] = token_key_secret(conf->jwt_secret);
        if (conf->jwt_secret_previous[0] != '\0')
            k->key[k->n++] = token_key_secret(conf->jwt_secret_previous);
    }
    *out = k;
    if (rc != RC_OK) {
        token_keys_free(k);
        *out = NULL;
    }
    return rc;
}

void
token_keys_free(struct token_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        token_key_free(k->key[i]);
    for (size_t i = 0; i < CACHE_SIZE; i++)
        free(k->known[i].token), free(k->known[i].text);
    free(k);
}

struct token_keys *
token_keys_start(const struct conf *conf)
{
    struct fail f = { 0 };
    struct token_keys *k;

    if (token_keys_new(conf, &k, &f) != RC_OK)
        fatal(EX_CONFIG, "%s", f.message);
    if (k->n == 0 && conf->auth_required)
        log_warn("no_token_key", LOG_STR("so", "every token is refused"),
                 LOG_STR("set", conf->jwt_algorithm == TOKEN_HS256 ? "JWT_SECRET"
                                                                   : "JWT_PUBLIC_KEY_FILE"));
    return k;
}

/* --- pieces --- */

struct piece {
    const char *s;
    size_t len;
};

/* Exactly three, with dots between them. */
static bool
split(const char *text, size_t len, struct piece piece[3])
{
    const char *end = text + len;

    for (int i = 0; i < 3; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));

        if ((dot == NULL) != (i == 2))
            return false;
        piece[i] = (struct piece){ text, (size_t)((dot ? dot : end) - text) };
        text = dot ? dot + 1 : end;
    }
    return true;
}

/* The JSON object that a piece holds, to be put by the caller; NULL when it holds none. */
static struct json_object *
piece_json(const struct piece *p)
{
    unsigned char bytes[BASE64_BYTES(TOKEN_TEXT_MAX)];
    struct json_object *json = NULL;
    size_t n;

    if (!base64_decode(p->s, p->len, bytes, &n) ||
        json_parse((const char *)bytes, n, &json, NULL) != RC_OK)
        return NULL;
    if (json_object_is_type(json, json_type_object))
        return json;
    json_object_put(json);
    return NULL;
}

/* A string of 1..TOKEN_NAME_MAX bytes without control characters; NULL for anything else. */
static const char *
name_of(struct json_object *v)
{
    const char *s = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
            return NULL;
    return len > 0 && len <= TOKEN_NAME_MAX ? s : NULL;
}

static bool
header_is_good(const struct piece *p, enum token_algorithm a)
{
    struct json_object *json = piece_json(p), *alg = NULL;
    bool good = json && json_object_object_get_ex(json, "alg", &alg) &&
                json_object_is_type(alg, json_type_string) &&
                strcmp(json_object_get_string(alg), token_algorithm_name(a)) == 0 &&
                !json_object_object_get_ex(json, "crit", NULL);

    json_object_put(json);
    return good;
}

static bool
signature_is_good(const struct token_keys *k, const char *text, const struct piece piece[3])
{
    unsigned char sig[BASE64_BYTES(TOKEN_TEXT_MAX)];
    size_t len = piece[0].len + 1 + piece[1].len, n;

    if (!base64_decode(piece[2].s, piece[2].len, sig, &n))
        return false;
    for (size_t i = 0; i < k->n; i++)
        if (token_key_verify(k->key[i], text, len, sig, n))
            return true;
    return false;
}

/* --- claims --- */

struct reading {
    struct token t;
    struct json_object *participants;
    int64_t nbf_ms;
};

/* Seconds, perhaps with a fraction (RFC 7519, NumericDate), as ms. */
static bool
take_instant(struct json_object *v, int64_t *ms)
{
    double s;

    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return false;
    s = json_object_get_double(v);
    if (!(s >= 0 && s <= (double)INSTANT_MAX_MS / 1000))
        return false;
    *ms = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) * 1000
                                                : (int64_t)(s * 1000);
    return true;
}

static bool
take_exp(struct json_object *v, struct reading *r)
{
    return take_instant(v, &r->t.exp_ms);
}

static bool
take_iat(struct json_object *v, struct reading *r)
{
    return take_instant(v, &r->t.iat_ms);
}

static bool
take_nbf(struct json_object *v, struct reading *r)
{
    return take_instant(v, &r->nbf_ms);
}

static bool
take_sub(struct json_object *v, struct reading *r)
{
    r->t.sub = name_of(v);
    return r->t.sub != NULL;
}

static bool
take_sid(struct json_object *v, struct reading *r)
{
    r->t.sid = name_of(v);
    return r->t.sid != NULL;
}

static bool
take_jti(struct json_object *v, struct reading *r)
{
    r->t.jti = name_of(v);
    return r->t.jti != NULL;
}

static bool
take_role(struct json_object *v, struct reading *r)
{
    r->t.role = json_object_is_type(v, json_type_string) ? role_parse(json_object_get_string(v))
                                                         : ROLE_NONE;
    return r->t.role != ROLE_NONE;
}

static bool
take_participants(struct json_object *v, struct reading *r)
{
    if (!json_object_is_type(v, json_type_array) ||
        json_object_array_length(v) > TOKEN_PARTICIPANTS_MAX)
        return false;
    r->participants = v;
    r->t.n = json_object_array_length(v);
    for (size_t i = 0; i < r->t.n; i++) {
        const char *id = name_of(json_object_array_get_idx(v, i));

        if (!id || !id_is_uuid(id, strlen(id)))
            return false;
    }
    return true;
}

/* clang-format off */
static const struct {
    const char *name;
    bool required;
    bool (*take)(struct json_object *v, struct reading *r);
} claims[] = {
    { "exp",          true,  take_exp },
    { "sub",          true,  take_sub },
    { "nbf",          false, take_nbf },
    { "iat",          false, take_iat },
    { "sid",          false, take_sid },
    { "jti",          false, take_jti },
    { "role",         false, take_role },
    { "participants", false, take_participants },
};
/* clang-format on */

/* `value`, or an array with it in it; anything when nothing is wanted. */
static bool
says(struct json_object *json, const char *name, const char *wanted)
{
    struct json_object *v = NULL;

    if (wanted[0] == '\0')
        return true;
    if (!json_object_object_get_ex(json, name, &v))
        return false;
    if (json_object_is_type(v, json_type_string))
        return strcmp(json_object_get_string(v), wanted) == 0;
    if (!json_object_is_type(v, json_type_array) || strcmp(name, "aud") != 0)
        return false;
    for (size_t i = 0; i < json_object_array_length(v); i++) {
        struct json_object *item = json_object_array_get_idx(v, i);

        if (json_object_is_type(item, json_type_string) &&
            strcmp(json_object_get_string(item), wanted) == 0)
            return true;
    }
    return false;
}

static enum rc
read_claims(const struct token_keys *k, struct json_object *json, int64_t now_ms,
            struct reading *r, struct fail *f)
{
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct json_object *v = NULL;
        bool there = json_object_object_get_ex(json, claims[i].name, &v);

        if (there ? !claims[i].take(v, r) : claims[i].required)
            return fail_set(f, RC_UNAUTHENTICATED, INVALID ": %s", claims[i].name);
    }
    if (!says(json, "iss", k->conf->jwt_issuer) || !says(json, "aud", k->conf->jwt_audience))
        return fail_set(f, RC_UNAUTHENTICATED, "The token is not for this service");
    if (r->t.exp_ms + TOKEN_LEEWAY_MS <= now_ms)
        return fail_set(f, RC_UNAUTHENTICATED, "The token has expired");
    if (r->nbf_ms - TOKEN_LEEWAY_MS > now_ms || r->t.iat_ms - TOKEN_LEEWAY_MS > now_ms)
        return fail_set(f, RC_UNAUTHENTICATED, "The token is not valid yet");
    /* it is here, so it was issued: a clock that runs ahead gets it past no revocation */
    if (r->t.iat_ms > now_ms)
        r->t.iat_ms = now_ms;
    return RC_OK;
}

/* --- memory --- */

static char *
put_text(char *at, const char *s, const char **out)
{
    size_t size = strlen(s) + 1;

    memcpy(at, s, size);
    *out = at;
    return at + size;
}

/* One block: the struct, the participants, the texts. `ids` NULL: those of t. */
static struct token *
pack(const struct token *t, struct json_object *ids)
{
    size_t list = t->n * sizeof(*t->participants);
    struct token *copy =
        xalloc(sizeof(*copy) + list + strlen(t->sub) + strlen(t->sid) + strlen(t->jti) + 3);
    char(*participants)[ID_LEN + 1] = (void *)(copy + 1);
    char *at = (char *)participants + list;

    *copy = *t;
    copy->participants = (const char(*)[ID_LEN + 1]) participants;
    for (size_t i = 0; i < t->n; i++)
        memcpy(participants[i],
               ids ? json_object_get_string(json_object_array_get_idx(ids, i))
                   : t->participants[i],
               ID_LEN + 1);
    at = put_text(at, t->sub, &copy->sub);
    at = put_text(at, t->sid, &copy->sid);
    put_text(at, t->jti, &copy->jti);
    return copy;
}

struct token *
token_dup(const struct token *t)
{
    return pack(t, NULL);
}

/* --- all of it --- */

static enum rc
verify(const struct token_keys *k, const char *text, size_t len, int64_t now_ms,
       struct token **out, struct fail *f)
{
    struct reading r = { .t = { .role = ROLE_USER, .sid = "", .jti = "" } };
    struct json_object *json;
    struct piece piece[3];
    enum rc rc;

    if (len > TOKEN_TEXT_MAX || !split(text, len, piece) ||
        !header_is_good(&piece[0], (enum token_algorithm)k->conf->jwt_algorithm) ||
        !signature_is_good(k, text, piece))
        return fail_set(f, RC_UNAUTHENTICATED, INVALID);
    json = piece_json(&piece[1]);
    if (!json)
        return fail_set(f, RC_UNAUTHENTICATED, INVALID);
    rc = read_claims(k, json, now_ms, &r, f);
    if (rc == RC_OK && r.t.sub) /* `sub` is required */
        *out = pack(&r.t, r.participants);
    json_object_put(json);
    return rc;
}

static struct known *
slot_of(struct token_keys *k, const char *text, size_t len)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = len > SIGNATURE_END ? len - SIGNATURE_END : 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return &k->known[hash % CACHE_SIZE];
}

/* In constant time: how long it takes does not tell how much of a token was guessed. */
static bool
is_known(const struct known *known, const char *text, size_t len, int64_t now_ms)
{
    return known->text && known->len == len && CRYPTO_memcmp(known->text, text, len) == 0 &&
           known->token->exp_ms + TOKEN_LEEWAY_MS > now_ms;
}

static void
remember(struct known *known, const char *text, size_t len, struct token *token)
{
    free(known->token);
    free(known->text);
    known->text = xalloc(len);
    memcpy(known->text, text, len);
    known->len = len;
    known->token = token;
}

enum rc
token_check(struct token_keys *k, const char *text, size_t len, int64_t now_ms,
            const struct token **out, struct fail *f)
{
    struct token *fresh = NULL;
    struct known *known;
    enum rc rc;

    *out = NULL;
    if (len > TOKEN_TEXT_MAX)
        return fail_set(f, RC_UNAUTHENTICATED, INVALID);
    known = slot_of(k, text, len);
    if (!is_known(known, text, len, now_ms)) {
        rc = verify(k, text, len, now_ms, &fresh, f);
        if (rc != RC_OK)
            return rc;
        remember(known, text, len, fresh);
    }
    *out = known->token;
    return RC_OK;
}

const char *
token_of_header(const char *header, size_t *len)
{
    static const char scheme[] = "Bearer ";

    *len = 0;
    if (!header || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    header += sizeof(scheme) - 1;
    header += strspn(header, " ");
    *len = strcspn(header, " \t,");
    return header[*len + strspn(header + *len, " \t")] == '\0' && *len > 0 ? header : NULL;
}

bool
token_mint_own(const struct token_keys *k, struct token_claims *c, struct buf *out)
{
    if (k->n == 0)
        return false;
    if (k->conf->jwt_issuer[0] != '\0')
        c->iss = k->conf->jwt_issuer;
    if (k->conf->jwt_audience[0] != '\0')
        c->aud = k->conf->jwt_audience;
    return token_mint(k->key[0], c, out);
}
