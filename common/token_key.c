#include "token_key.h"
#include "arena.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#define P256_BYTES 32 /* of each of the two numbers of an ES256 signature */
#define RSA_BITS_MIN 2048

struct token_key {
    enum token_algorithm algorithm;
    EVP_PKEY *pkey; /* NULL: HS256 */
    char *secret;
    bool is_private;
};

static const struct {
    const char *name;
    int type; /* of the key, as OpenSSL counts */
    const char *wanted;
} algorithms[TOKEN_ALGORITHM__MAX] = {
    [TOKEN_HS256] = { "HS256", EVP_PKEY_NONE, "" },
    [TOKEN_RS256] = { "RS256", EVP_PKEY_RSA, "an RSA key of 2048 bits or more" },
    [TOKEN_ES256] = { "ES256", EVP_PKEY_EC, "a key on the curve P-256" },
    [TOKEN_EDDSA] = { "EdDSA", EVP_PKEY_ED25519, "an Ed25519 key" },
};

const char *
token_algorithm_name(enum token_algorithm a)
{
    return algorithms[a].name;
}

enum token_algorithm
token_key_algorithm(const struct token_key *k)
{
    return k->algorithm;
}

/* --- keys --- */

struct token_key *
token_key_secret(const char *secret)
{
    struct token_key *k = xalloc(sizeof(*k));

    k->algorithm = TOKEN_HS256;
    k->secret = xstrdup(secret);
    k->is_private = true;
    return k;
}

void
token_key_free(struct token_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    if (k->secret)
        OPENSSL_cleanse(k->secret, strlen(k->secret));
    free(k->secret);
    free(k);
}

static bool
is_p256(const EVP_PKEY *pkey)
{
    char name[32];
    size_t len;

    return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof(name),
                                          &len) == 1 &&
           strcmp(name, SN_X9_62_prime256v1) == 0;
}

static bool
suits(enum token_algorithm a, const EVP_PKEY *pkey)
{
    if (EVP_PKEY_get_base_id(pkey) != algorithms[a].type)
        return false;
    if (a == TOKEN_RS256)
        return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN;
    return a != TOKEN_ES256 || is_p256(pkey);
}

/* What is not for people at a terminal: a key that is locked by a passphrase is no key. */
static int
no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static size_t
count_blocks(BIO *file)
{
    static const char begin[] = "-----BEGIN ";
    char line[128];
    size_t n = 0;

    BIO_seek(file, 0);
    while (BIO_gets(file, line, sizeof(line)) > 0)
        n += strncmp(line, begin, sizeof(begin) - 1) == 0;
    return n;
}

static enum rc
read_keys(enum token_algorithm a, BIO *file, bool is_private, struct token_key **key, size_t *n,
          struct fail *f)
{
    EVP_PKEY *pkey;
    size_t blocks;

    while (*n < TOKEN_KEYS_MAX &&
           (pkey = is_private ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL)
                              : PEM_read_bio_PUBKEY(file, NULL, no_passphrase, NULL)) != NULL) {
        struct token_key *k = xalloc(sizeof(*k));

        *k = (struct token_key){ .algorithm = a, .pkey = pkey, .is_private = is_private };
        key[(*n)++] = k;
        if (!suits(a, pkey))
            return fail_set(f, RC_VALIDATION, "key %zu of the file is not %s", *n,
                            algorithms[a].wanted);
    }
    if (*n == 0)
        return fail_set(f, RC_VALIDATION, "there is no %s key in the file, as PEM",
                        is_private ? "private" : "public");
    /* one that was left out would be missed only when its tokens come */
    blocks = is_private ? *n : count_blocks(file);
    if (blocks != *n)
        return fail_set(f, RC_VALIDATION,
                        "only %zu of the %zu blocks of the file are public keys, of which "
                        "there may be %d",
                        *n, blocks, TOKEN_KEYS_MAX);
    return RC_OK;
}

enum rc
token_key_read(enum token_algorithm a, const char *path, bool is_private,
               struct token_key *key[TOKEN_KEYS_MAX], size_t *n, struct fail *f)
{
    BIO *file = BIO_new_file(path, "r");
    enum rc rc;

    *n = 0;
    if (!file) {
        ERR_clear_error();
        return fail_set(f, RC_VALIDATION, "the file cannot be read");
    }
    rc = read_keys(a, file, is_private, key, n, f);
    ERR_clear_error(); /* "no start line" is how a file ends */
    BIO_free(file);
    while (rc != RC_OK && *n > 0)
        token_key_free(key[--*n]);
    return rc;
}

/* --- ES256: two numbers of fixed length in a token, DER in OpenSSL --- */

/* The caller frees *der with OPENSSL_free; 0 when it cannot be. */
static int
to_der(const unsigned char *sig, unsigned char **der)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(sig + P256_BYTES, P256_BYTES, NULL);
    int len = 0;

    *der = NULL;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        len = i2d_ECDSA_SIG(pair, der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return len > 0 ? len : 0;
}

static bool
from_der(const unsigned char *der, size_t len, unsigned char *sig)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good =
        pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, P256_BYTES) == P256_BYTES &&
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + P256_BYTES, P256_BYTES) == P256_BYTES;

    ECDSA_SIG_free(pair);
    return good;
}

/* --- verify and sign --- */

static const EVP_MD *
digest_of(const struct token_key *k)
{
    return k->algorithm == TOKEN_EDDSA ? NULL : EVP_sha256();
}

static void
hmac(const struct token_key *k, const char *text, size_t len, unsigned char *out)
{
    unsigned n = 0;

    HMAC(EVP_sha256(), k->secret, (int)strlen(k->secret), (const unsigned char *)text, len, out,
         &n);
}

static bool
pkey_verify(const struct token_key *k, const char *text, size_t len, const unsigned char *sig,
            size_t sig_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, digest_of(k), NULL, k->pkey) == 1 &&
                EVP_DigestVerify(ctx, sig, sig_len, (const unsigned char *)text, len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool
token_key_verify(const struct token_key *k, const char *text, size_t len,
                 const unsigned char *sig, size_t sig_len)
{
    unsigned char mac[SHA256_DIGEST_LENGTH], *der = NULL;
    int der_len;
    bool good;

    if (k->algorithm == TOKEN_HS256) {
        hmac(k, text, len, mac);
        return sig_len == sizeof(mac) && CRYPTO_memcmp(mac, sig, sizeof(mac)) == 0;
    }
    if (k->algorithm != TOKEN_ES256)
        return pkey_verify(k, text, len, sig, sig_len);
    if (sig_len != 2 * P256_BYTES)
        return false;
    der_len = to_der(sig, &der);
    good = der_len > 0 && pkey_verify(k, text, len, der, (size_t)der_len);
    OPENSSL_free(der);
    return good;
}

static bool
pkey_sign(const struct token_key *k, const char *text, size_t len, unsigned char *sig,
          size_t *sig_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good;

    *sig_len = TOKEN_SIGNATURE_MAX;
    good = ctx && EVP_DigestSignInit(ctx, NULL, digest_of(k), NULL, k->pkey) == 1 &&
           EVP_DigestSign(ctx, sig, sig_len, (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool
token_key_sign(const struct token_key *k, const char *text, size_t len,
               unsigned char sig[TOKEN_SIGNATURE_MAX], size_t *sig_len)
{
    unsigned char der[TOKEN_SIGNATURE_MAX];
    size_t der_len;

    if (!k->is_private)
        return false;
    if (k->algorithm == TOKEN_HS256) {
        hmac(k, text, len, sig);
        *sig_len = SHA256_DIGEST_LENGTH;
        return true;
    }
    if (k->algorithm != TOKEN_ES256)
        return pkey_sign(k, text, len, sig, sig_len);
    *sig_len = 2 * P256_BYTES;
    return pkey_sign(k, text, len, der, &der_len) && from_der(der, der_len, sig);
}
