#include "common/arena.h"
#include "common/base64.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/revoke.h"
#include "common/token.h"
#include "common/token_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define PREVIOUS "fedcba9876543210fedcba9876543210"
#define NOW_S 1700000000
#define NOW_MS (NOW_S * 1000LL)
#define PLAYER "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"

static char dir[] = "/tmp/test_token.XXXXXX";
static struct conf conf;
static struct token_keys *keys;
static const struct token *got;
static struct fail failure;

static const char *
path_of(const char *name)
{
    static char path[100];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void
write_key(const char *name, EVP_PKEY *pkey, bool is_private)
{
    FILE *f = fopen(path_of(name), "a");

    assert_non_null(f);
    assert_non_null(pkey);
    if (is_private)
        assert_int_equal(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_PUBKEY(f, pkey), 1);
    fclose(f);
}

static void
make_pair(const char *name, EVP_PKEY *pkey)
{
    char file[40];

    snprintf(file, sizeof(file), "%s.key", name);
    write_key(file, pkey, true);
    snprintf(file, sizeof(file), "%s.pub", name);
    write_key(file, pkey, false);
    write_key("all.pub", pkey, false);
    EVP_PKEY_free(pkey);
}

static int
make_keys(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    make_pair("RS256", EVP_RSA_gen(2048));
    make_pair("short", EVP_RSA_gen(1024));
    make_pair("ES256", EVP_EC_gen("P-256"));
    make_pair("second", EVP_EC_gen("P-256"));
    make_pair("P-384", EVP_EC_gen("P-384"));
    make_pair("EdDSA", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
    return 0;
}

static int
remove_keys(void **state)
{
    static const char *const names[] = {
        "RS256", "short", "ES256", "second", "P-384", "EdDSA"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char file[40];

        snprintf(file, sizeof(file), "%s.key", names[i]);
        unlink(path_of(file));
        snprintf(file, sizeof(file), "%s.pub", names[i]);
        unlink(path_of(file));
    }
    unlink(path_of("all.pub"));
    return rmdir(dir);
}

static void
start(void)
{
    token_keys_free(keys);
    failure = (struct fail){ 0 };
    assert_int_equal(token_keys_new(&conf, &keys, &failure), RC_OK);
}

static int
begin(void **state)
{
    (void)state;
    conf = (struct conf){ .jwt_secret = SECRET,
                          .jwt_secret_previous = "",
                          .jwt_issuer = "",
                          .jwt_audience = "",
                          .jwt_public_key_file = "" };
    start();
    return 0;
}

static int
end(void **state)
{
    (void)state;
    token_keys_free(keys);
    keys = NULL;
    return 0;
}

static struct token_key *
private_key(enum token_algorithm a, const char *name)
{
    struct token_key *key[TOKEN_KEYS_MAX];
    char file[40];
    size_t n;

    if (a == TOKEN_HS256)
        return token_key_secret(SECRET);
    snprintf(file, sizeof(file), "%s.key", name);
    assert_int_equal(token_key_read(a, path_of(file), true, key, &n, &failure), RC_OK);
    assert_int_equal(n, 1);
    return key[0];
}

/* A signed token of these texts, whatever they are. */
static const char *
sign(struct token_key *key, const char *head, const char *body)
{
    static char text[70000];
    unsigned char sig[TOKEN_SIGNATURE_MAX];
    size_t len, sig_len;

    base64_encode((const unsigned char *)head, strlen(head), text);
    len = strlen(text);
    text[len++] = '.';
    base64_encode((const unsigned char *)body, strlen(body), text + len);
    len += strlen(text + len);
    assert_true(token_key_sign(key, text, len, sig, &sig_len));
    text[len++] = '.';
    base64_encode(sig, sig_len, text + len);
    token_key_free(key);
    return text;
}

static enum rc
check_at(const char *text, int64_t now_ms)
{
    failure = (struct fail){ 0 };
    return token_check(keys, text, strlen(text), now_ms, &got, &failure);
}

static enum rc
check(const char *text)
{
    return check_at(text, NOW_MS);
}

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD "{\"sub\":\"u\",\"exp\":1700000100}"

static enum rc
check_claims(const char *body)
{
    return check(sign(token_key_secret(SECRET), HS, body));
}

/* --- good ones --- */

static void
test_everything_a_token_says(void **state)
{
    (void)state;
    assert_int_equal(check_claims("{\"sub\":\"M\xc3\xbcller\",\"exp\":1700000100.5,\"iat\":"
                                  "1699999999,\"nbf\":1699999999,\"sid\":\"s\",\"jti\":\"j\","
                                  "\"role\":\"moderator\",\"participants\":[\"" PLAYER
                                  "\"],\"name\":{\"other\":[1]}}"),
                     RC_OK);
    assert_string_equal(got->sub, "M\xc3\xbcller");
    assert_string_equal(got->sid, "s");
    assert_string_equal(got->jti, "j");
    assert_int_equal(got->role, ROLE_MODERATOR);
    assert_int_equal(got->exp_ms, 1700000100500);
    assert_int_equal(got->iat_ms, 1699999999000);
    assert_int_equal(got->n, 1);
    assert_string_equal(got->participants[0], PLAYER);
}

static void
test_what_is_not_said_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(check_claims(GOOD), RC_OK);
    assert_int_equal(got->role, ROLE_USER);
    assert_string_equal(got->sid, "");
    assert_string_equal(got->jti, "");
    assert_int_equal(got->iat_ms, 0);
    assert_int_equal(got->n, 0);
}

/* The example of jwt.io. */
static void
test_token_made_by_others(void **state)
{
    static const char text[] =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l"
        "IiwiYWRtaW4iOnRydWUsImlhdCI6MTUxNjIzOTAyMn0."
        "KMUFsIDTnFmyG3nMiGM6H9FNFUROf3wh7SmqJp-QV30";

    (void)state;
    conf.jwt_secret = "a-string-secret-at-least-256-bits-long";
    start();
    /* the signature is good: what is missing is the claim */
    assert_int_equal(check(text), RC_UNAUTHENTICATED);
    assert_string_equal(failure.message, "The token is not valid: exp");
}

static void
test_each_algorithm_by_its_key_file(void **state)
{
    static const enum token_algorithm all[] = { TOKEN_RS256, TOKEN_ES256, TOKEN_EDDSA };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        const char *name = token_algorithm_name(all[i]);
        char file[40], path[100], head[40], *text;

        snprintf(file, sizeof(file), "%s.pub", name);
        snprintf(path, sizeof(path), "%s", path_of(file));
        snprintf(head, sizeof(head), "{\"alg\":\"%s\"}", name);
        conf.jwt_algorithm = (int)all[i];
        conf.jwt_public_key_file = path;
        start();
        text = xstrdup(sign(private_key(all[i], name), head, GOOD));
        assert_int_equal(check(text), RC_OK);
        assert_string_equal(got->sub, "u");
        text[strlen(text) - 8] ^= 1; /* still base64 */
        assert_int_equal(check(text), RC_UNAUTHENTICATED);
        free(text);
    }
}

/* Make the file `name` of others, one behind the other, the first `len` bytes of each. */
static const char *
join(const char *name, const char *const *parts, const size_t *len, size_t n)
{
    static char path[100];
    FILE *to;

    snprintf(path, sizeof(path), "%s", path_of(name));
    to = fopen(path, "w");
    assert_non_null(to);
    for (size_t i = 0; i < n; i++) {
        FILE *from = fopen(path_of(parts[i]), "r");
        char text[4096];
        size_t all;

        assert_non_null(from);
        all = fread(text, 1, sizeof(text), from);
        fclose(from);
        fwrite(text, 1, len != NULL && len[i] < all ? len[i] : all, to);
    }
    fclose(to);
    return path;
}

static void
test_several_keys_of_a_file_rotate(void **state)
{
    static const char *const two[] = { "ES256.pub", "second.pub" };

    (void)state;
    conf.jwt_algorithm = TOKEN_ES256;
    conf.jwt_public_key_file = join("two.pub", two, NULL, 2);
    start();
    unlink(conf.jwt_public_key_file);
    assert_int_equal(
        check(sign(private_key(TOKEN_ES256, "ES256"), "{\"alg\":\"ES256\"}", GOOD)), RC_OK);
    assert_int_equal(
        check(sign(private_key(TOKEN_ES256, "second"), "{\"alg\":\"ES256\"}", GOOD)), RC_OK);
}

/* Rather no start than a key that is not there when its tokens come. */
static void
test_a_key_file_counts_as_a_whole(void **state)
{
    static const char *const files[] = { "ES256.pub", "second.pub", "ES256.pub", "second.pub",
                                         "ES256.pub" };
    static const size_t cut[] = { 4096, 100 };
    static const struct {
        const size_t *len;
        size_t n;
        const char *message; /* NULL: it is one */
    } cases[] = {
        { NULL, 4, NULL },
        { NULL, 5,
          "JWT_PUBLIC_KEY_FILE: only 4 of the 5 blocks of the file are public keys, of which "
          "there may be 4" },
        { cut, 2,
          "JWT_PUBLIC_KEY_FILE: only 1 of the 2 blocks of the file are public keys, of which "
          "there may be 4" },
    };

    (void)state;
    conf.jwt_algorithm = TOKEN_ES256;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct token_keys *made = NULL;

        conf.jwt_public_key_file = join("some.pub", files, cases[i].len, cases[i].n);
        failure = (struct fail){ 0 };
        assert_int_equal(token_keys_new(&conf, &made, &failure),
                         cases[i].message != NULL ? RC_VALIDATION : RC_OK);
        assert_string_equal(failure.message, cases[i].message != NULL ? cases[i].message : "");
        token_keys_free(made);
        unlink(conf.jwt_public_key_file);
    }
}

static void
test_previous_secret_verifies_only(void **state)
{
    struct token_claims claims = { .sub = "u", .exp_s = NOW_S + 60 };
    struct buf text;

    (void)state;
    conf.jwt_secret_previous = PREVIOUS;
    start();
    assert_int_equal(check(sign(token_key_secret(PREVIOUS), HS, GOOD)), RC_OK);
    buf_init(&text, TOKEN_TEXT_MAX);
    assert_true(token_mint_own(keys, &claims, &text));
    conf.jwt_secret_previous = "";
    start();
    assert_int_equal(check(buf_cstr(&text)), RC_OK);
    assert_int_equal(check(sign(token_key_secret(PREVIOUS), HS, GOOD)), RC_UNAUTHENTICATED);
    buf_fini(&text);
}

/* --- hostile ones --- */

static void
test_algorithm_none(void **state)
{
    static const char *const names[] = { "none", "None", "NONE", "nOnE", "", "HS384", "RS256" };
    char head[60], text[400];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len;

        snprintf(head, sizeof(head), "{\"alg\":\"%s\"}", names[i]);
        assert_int_equal(check(sign(token_key_secret(SECRET), head, GOOD)), RC_UNAUTHENTICATED);
        base64_encode((const unsigned char *)head, strlen(head), text);
        len = strlen(text);
        text[len++] = '.';
        base64_encode((const unsigned char *)GOOD, strlen(GOOD), text + len);
        len += strlen(text + len);
        assert_int_equal(check(text), RC_UNAUTHENTICATED);
        snprintf(text + len, 2, ".");
        assert_int_equal(check(text), RC_UNAUTHENTICATED);
    }
}

/* The public key is no secret: an HMAC with it proves nothing. */
static void
test_hmac_with_the_public_key(void **state)
{
    char path[100], pem[4096];
    size_t n;
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s", path_of("RS256.pub"));
    f = fopen(path, "r");
    n = fread(pem, 1, sizeof(pem) - 1, f);
    pem[n] = '\0';
    fclose(f);
    conf.jwt_algorithm = TOKEN_RS256;
    conf.jwt_public_key_file = path;
    start();
    assert_int_equal(check(sign(token_key_secret(pem), HS, GOOD)), RC_UNAUTHENTICATED);
    assert_int_equal(check(sign(token_key_secret(pem), "{\"alg\":\"RS256\"}", GOOD)),
                     RC_UNAUTHENTICATED);
    assert_int_equal(
        check(sign(private_key(TOKEN_RS256, "RS256"), "{\"alg\":\"HS256\"}", GOOD)),
        RC_UNAUTHENTICATED);
}

static void
test_key_of_somebody_else(void **state)
{
    (void)state;
    assert_int_equal(check(sign(token_key_secret(PREVIOUS), HS, GOOD)), RC_UNAUTHENTICATED);
}

static void
test_without_a_key_nothing_is_accepted(void **state)
{
    (void)state;
    conf.jwt_secret = "";
    start();
    assert_int_equal(check(sign(token_key_secret(""), HS, GOOD)), RC_UNAUTHENTICATED);
    assert_int_equal(check(sign(token_key_secret(SECRET), HS, GOOD)), RC_UNAUTHENTICATED);
}

static void
test_one_flipped_bit_anywhere(void **state)
{
    char *text = xstrdup(sign(token_key_secret(SECRET), HS, GOOD));

    (void)state;
    assert_int_equal(check(text), RC_OK);
    for (size_t i = 0; text[i] != '\0'; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            if (token_check(keys, text, strlen(text), NOW_MS, &got, NULL) == RC_OK)
                fail_msg("byte %zu, bit %d", i, bit);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    }
    for (size_t len = 0; len < strlen(text); len++)
        assert_int_equal(token_check(keys, text, len, NOW_MS, &got, NULL), RC_UNAUTHENTICATED);
    free(text);
}

static void
test_bad_shapes(void **state)
{
    static const char *const texts[] = { "",
                                         ".",
                                         "..",
                                         "...",
                                         "a.b.c",
                                         "a.b",
                                         "e30.e30.",
                                         "e30.e30.e30",
                                         "\xff.\xff.\xff",
                                         "e30=.e30=.e30=" };
    char *more;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(check(texts[i]), RC_UNAUTHENTICATED);
    more = xalloc(1000);
    snprintf(more, 1000, "%s.e30", sign(token_key_secret(SECRET), HS, GOOD));
    assert_int_equal(check(more), RC_UNAUTHENTICATED);
    snprintf(more, 1000, "%s=", sign(token_key_secret(SECRET), HS, GOOD));
    assert_int_equal(check(more), RC_UNAUTHENTICATED);
    free(more);
    assert_int_equal(token_check(keys, "a\0b.c.d", 7, NOW_MS, &got, NULL), RC_UNAUTHENTICATED);
}

/* A signature in its second spelling: the spare bits of the last character. */
static void
test_one_text_for_one_token(void **state)
{
    char *text = xstrdup(sign(token_key_secret(SECRET), HS, GOOD));
    char *last = text + strlen(text) - 1;

    (void)state;
    assert_int_equal(check(text), RC_OK);
    *last = (char)(*last == 'Z' || *last == '9' ? '_' : *last + 1);
    assert_int_equal(check(text), RC_UNAUTHENTICATED);
    free(text);
}

static void
test_huge_token(void **state)
{
    char *body = xalloc(50000);

    (void)state;
    memset(body, ' ', 6000); /* 8000 characters */
    memcpy(body, GOOD, strlen(GOOD));
    assert_int_equal(check_claims(body), RC_OK);
    memset(body + 6000, ' ', 40000);
    assert_int_equal(check_claims(body), RC_UNAUTHENTICATED);
    memset(body, '[', 40000);
    assert_int_equal(check_claims(body), RC_UNAUTHENTICATED);
    free(body);
}

static void
test_headers_that_are_refused(void **state)
{
    static const char *const heads[] = {
        "{}",
        "[]",
        "null",
        "\"HS256\"",
        "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"HS256\",\"alg\":\"none\"}",
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"HS256\\u0000\"}",
        "{\"alg\":\"HS256\"}x",
        "{\"Alg\":\"HS256\"}",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        if (check(sign(token_key_secret(SECRET), heads[i], GOOD)) != RC_UNAUTHENTICATED)
            fail_msg("%s", heads[i]);
    /* what only says more is none of our business: no key is taken from the token */
    assert_int_equal(
        check(sign(token_key_secret(SECRET),
                   "{\"alg\":\"HS256\",\"kid\":\"../../etc/passwd\",\"jwk\":{}}", GOOD)),
        RC_OK);
}

static void
test_claims_that_are_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "null",
        "{}",
        "{\"sub\":\"u\"}",
        "{\"exp\":1700000100}",
        "{\"sub\":\"\",\"exp\":1700000100}",
        "{\"sub\":null,\"exp\":1700000100}",
        "{\"sub\":7,\"exp\":1700000100}",
        "{\"sub\":[\"u\"],\"exp\":1700000100}",
        "{\"sub\":\"a\\nb\",\"exp\":1700000100}",
        "{\"sub\":\"a\\u007fb\",\"exp\":1700000100}",
        "{\"sub\":\"a\\u0000b\",\"exp\":1700000100}",
        "{\"sub\":\"\\ud800\",\"exp\":1700000100}",
        "{\"sub\":\"\xff\",\"exp\":1700000100}",
        "{\"sub\":\"u\",\"sub\":\"admin\",\"exp\":1700000100}",
        "{\"sub\":\"u\",\"exp\":1,\"exp\":1700000100}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"e\\u0078p\":1800000000}",
        "{\"sub\":\"u\",\"exp\":\"1700000100\"}",
        "{\"sub\":\"u\",\"exp\":true}",
        "{\"sub\":\"u\",\"exp\":null}",
        "{\"sub\":\"u\",\"exp\":-1}",
        "{\"sub\":\"u\",\"exp\":1e300}",
        "{\"sub\":\"u\",\"exp\":1e999}",
        "{\"sub\":\"u\",\"exp\":9223372036854775807}",
        "{\"sub\":\"u\",\"exp\":99999999999999999999}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":\"0\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"iat\":{}}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"role\":\"root\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"role\":\"\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"role\":\"Admin\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"role\":[\"admin\"]}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"sid\":1}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"jti\":\"\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"participants\":\"" PLAYER "\"}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"participants\":[7]}",
        "{\"sub\":\"u\",\"exp\":1700000100,\"participants\":[\"me\"]}",
        GOOD GOOD,
    };
    char *sub = xalloc(600);

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        if (check_claims(bodies[i]) != RC_UNAUTHENTICATED)
            fail_msg("%s", bodies[i]);
    snprintf(sub, 600, "{\"sub\":\"%0255d\",\"exp\":1700000100}", 7);
    assert_int_equal(check_claims(sub), RC_OK);
    snprintf(sub, 600, "{\"sub\":\"%0256d\",\"exp\":1700000100}", 7);
    assert_int_equal(check_claims(sub), RC_UNAUTHENTICATED);
    free(sub);
}

/* --- time --- */

static void
test_leeway_of_exp_nbf_and_iat(void **state)
{
    static const struct {
        const char *body;
        int64_t at_ms;
        bool good;
    } cases[] = {
        { "{\"sub\":\"u\",\"exp\":1700000000}", NOW_MS + 29999, true },
        { "{\"sub\":\"u\",\"exp\":1700000000}", NOW_MS + 30000, false },
        { "{\"sub\":\"u\",\"exp\":0}", NOW_MS, false },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000030}", NOW_MS, true },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000031}", NOW_MS, false },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000031}", NOW_MS + 1000, true },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000030}", NOW_MS, true },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000031}", NOW_MS, false },
        { "{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000031}", NOW_MS + 1000, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        enum rc rc =
            check_at(sign(token_key_secret(SECRET), HS, cases[i].body), cases[i].at_ms);

        if ((rc == RC_OK) != cases[i].good)
            fail_msg("%s at %lld", cases[i].body, (long long)cases[i].at_ms);
    }
}

static void
test_so_many_participants_and_no_more(void **state)
{
    struct buf body;

    (void)state;
    buf_init(&body, TOKEN_TEXT_MAX);
    buf_str(&body, "{\"sub\":\"u\",\"exp\":1700000100,\"participants\":[\"" PLAYER "\"");
    for (int i = 1; i < TOKEN_PARTICIPANTS_MAX; i++)
        buf_str(&body, ",\"" PLAYER "\"");
    buf_str(&body, "]}");
    assert_int_equal(check_claims(buf_cstr(&body)), RC_OK);
    assert_int_equal(got->n, TOKEN_PARTICIPANTS_MAX);
    body.len -= 2;
    buf_str(&body, ",\"" PLAYER "\"]}");
    assert_int_equal(check_claims(buf_cstr(&body)), RC_UNAUTHENTICATED);
    buf_fini(&body);
}

/* Whose issuer's clock runs ahead: it was issued when it was first seen, so what is revoked
 * afterwards is over. */
static void
test_issued_when_first_seen_at_the_latest(void **state)
{
    char *text = xstrdup(sign(token_key_secret(SECRET), HS,
                              "{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000020}"));

    (void)state;
    assert_int_equal(check_at(text, NOW_MS + 7), RC_OK);
    assert_int_equal(got->iat_ms, NOW_MS + 7);
    assert_true(revoke_hits("sub 1700000000007 u", 19, got));
    assert_false(revoke_hits("sub 1700000000006 u", 19, got));
    assert_int_equal(check_at(text, NOW_MS + 60000), RC_OK);
    assert_int_equal(got->iat_ms, NOW_MS + 7);
    free(text);
}

/* What was verified once is known, but no longer than it is good. */
static void
test_known_token_ends(void **state)
{
    char *text = xstrdup(sign(token_key_secret(SECRET), HS, GOOD));
    const struct token *first;

    (void)state;
    assert_int_equal(check(text), RC_OK);
    first = got;
    assert_int_equal(check(text), RC_OK);
    assert_ptr_equal(got, first);
    assert_int_equal(check_at(text, NOW_MS + 130000 - 1), RC_OK);
    assert_int_equal(check_at(text, NOW_MS + 130000), RC_UNAUTHENTICATED);
    assert_string_equal(failure.message, "The token has expired");
    free(text);
}

/* More tokens than are kept: each is still told apart. */
static void
test_many_tokens(void **state)
{
    char body[80], sub[16];

    (void)state;
    for (int i = 0; i < 2000; i++) {
        snprintf(sub, sizeof(sub), "u%d", i % 1000);
        snprintf(body, sizeof(body), "{\"sub\":\"%s\",\"exp\":1700000100}", sub);
        assert_int_equal(check_claims(body), RC_OK);
        assert_string_equal(got->sub, sub);
    }
}

/* --- issuer, audience, header --- */

static void
test_issuer_and_audience_only_when_set(void **state)
{
    static const struct {
        const char *more;
        bool any, iss, aud;
    } cases[] = {
        { "", true, false, false },
        { ",\"iss\":\"me\",\"aud\":\"us\"", true, true, true },
        { ",\"iss\":\"Me\",\"aud\":\"us \"", true, false, false },
        { ",\"iss\":[\"me\"],\"aud\":[\"x\",\"us\"]", true, false, true },
        { ",\"iss\":7,\"aud\":[7,[\"us\"]]", true, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int k = 0; k < 3; k++) {
            const bool good[] = { cases[i].any, cases[i].iss, cases[i].aud };
            char body[120];

            conf.jwt_issuer = k == 1 ? "me" : "";
            conf.jwt_audience = k == 2 ? "us" : "";
            start();
            snprintf(body, sizeof(body), "{\"sub\":\"u\",\"exp\":1700000100%s}", cases[i].more);
            if ((check_claims(body) == RC_OK) != good[k])
                fail_msg("%s, %d", body, k);
        }
    }
}

static void
test_header_grammar(void **state)
{
    static const struct {
        const char *header, *token; /* NULL: none */
    } cases[] = {
        { NULL, NULL },
        { "", NULL },
        { "Bearer", NULL },
        { "Bearer ", NULL },
        { "Bearer a.b.c", "a.b.c" },
        { "bearer a", "a" },
        { "BEARER   a  ", "a" },
        { "Basic YTpi", NULL },
        { "Bearer a b", NULL },
        { "Bearer a,Bearer b", NULL },
        { "Bearera", NULL },
        { "Token a", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t len;
        const char *s = token_of_header(cases[i].header, &len);

        assert_int_equal(s != NULL, cases[i].token != NULL);
        if (s && (len != strlen(cases[i].token) || memcmp(s, cases[i].token, len) != 0))
            fail_msg("%s", cases[i].header);
    }
}

/* --- minting, copies, key files --- */

static void
test_minted_token_says_what_was_asked(void **state)
{
    const char *players[] = { PLAYER };
    struct token_claims claims = { .sub = "\"u\"",
                                   .sid = "s",
                                   .jti = "j",
                                   .role = ROLE_SERVICE,
                                   .iat_s = NOW_S,
                                   .exp_s = NOW_S + 60,
                                   .participants = players,
                                   .n = 1 };
    struct token *copy;
    struct buf text;

    (void)state;
    conf.jwt_issuer = "me";
    conf.jwt_audience = "us";
    start();
    buf_init(&text, TOKEN_TEXT_MAX);
    assert_true(token_mint_own(keys, &claims, &text));
    assert_int_equal(check(buf_cstr(&text)), RC_OK);
    copy = token_dup(got);
    token_keys_free(keys);
    keys = NULL;
    assert_string_equal(copy->sub, "\"u\"");
    assert_string_equal(copy->sid, "s");
    assert_string_equal(copy->jti, "j");
    assert_int_equal(copy->role, ROLE_SERVICE);
    assert_int_equal(copy->iat_ms, NOW_MS);
    assert_int_equal(copy->exp_ms, NOW_MS + 60000);
    assert_string_equal(copy->participants[0], PLAYER);
    free(copy);
    buf_fini(&text);
}

static void
test_public_key_cannot_sign(void **state)
{
    struct token_claims claims = { .sub = "u", .exp_s = NOW_S };
    char path[100];
    struct buf text;

    (void)state;
    snprintf(path, sizeof(path), "%s", path_of("EdDSA.pub"));
    conf.jwt_algorithm = TOKEN_EDDSA;
    conf.jwt_public_key_file = path;
    start();
    buf_init(&text, TOKEN_TEXT_MAX);
    assert_false(token_mint_own(keys, &claims, &text));
    buf_fini(&text);
}

static void
test_key_files_that_do_not_suit(void **state)
{
    static const struct {
        enum token_algorithm a;
        const char *file;
    } cases[] = {
        { TOKEN_RS256, "short.pub" }, { TOKEN_RS256, "ES256.pub" },
        { TOKEN_RS256, "RS256.key" }, { TOKEN_RS256, "none.pub" },
        { TOKEN_ES256, "P-384.pub" }, { TOKEN_ES256, "RS256.pub" },
        { TOKEN_ES256, "EdDSA.pub" }, { TOKEN_EDDSA, "ES256.pub" },
        { TOKEN_ES256, "all.pub" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct token_keys *none = NULL;

        conf.jwt_algorithm = (int)cases[i].a;
        conf.jwt_public_key_file = path_of(cases[i].file);
        failure = (struct fail){ 0 };
        assert_int_equal(token_keys_new(&conf, &none, &failure), RC_VALIDATION);
        assert_null(none);
        assert_memory_equal(failure.message, "JWT_PUBLIC_KEY_FILE: ", 21);
        assert_null(strstr(failure.message, dir));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(test_everything_a_token_says),
        T(test_what_is_not_said_has_its_default),
        T(test_token_made_by_others),
        T(test_each_algorithm_by_its_key_file),
        T(test_several_keys_of_a_file_rotate),
        T(test_a_key_file_counts_as_a_whole),
        T(test_previous_secret_verifies_only),
        T(test_algorithm_none),
        T(test_hmac_with_the_public_key),
        T(test_key_of_somebody_else),
        T(test_without_a_key_nothing_is_accepted),
        T(test_one_flipped_bit_anywhere),
        T(test_bad_shapes),
        T(test_one_text_for_one_token),
        T(test_huge_token),
        T(test_headers_that_are_refused),
        T(test_claims_that_are_refused),
        T(test_leeway_of_exp_nbf_and_iat),
        T(test_so_many_participants_and_no_more),
        T(test_issued_when_first_seen_at_the_latest),
        T(test_known_token_ends),
        T(test_many_tokens),
        T(test_issuer_and_audience_only_when_set),
        T(test_header_grammar),
        T(test_minted_token_says_what_was_asked),
        T(test_public_key_cannot_sign),
        T(test_key_files_that_do_not_suit),
    };

    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
