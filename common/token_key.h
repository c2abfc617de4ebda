/*
 * token_key.h - signatures of tokens: one key and the one algorithm it is for (RFC 7515, 7518,
 * 8037), on OpenSSL.
 *
 * A key is bound to its algorithm when it is read, so nothing that a token says can choose how
 * it is verified. Debian's libjwt 1.10 is not used: it picks the algorithm out of the token,
 * reads the key file at every verification, and knows no EdDSA.
 */
#ifndef COMMON_TOKEN_KEY_H
#define COMMON_TOKEN_KEY_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>

#define TOKEN_SECRET_MIN 32 /* characters */
#define TOKEN_SIGNATURE_MAX 1024
#define TOKEN_KEYS_MAX 4 /* in a file */

enum token_algorithm {
    TOKEN_HS256,
    TOKEN_RS256,
    TOKEN_ES256,
    TOKEN_EDDSA,
    TOKEN_ALGORITHM__MAX
};

/* "HS256", ..., as in a token's header. */
const char *token_algorithm_name(enum token_algorithm a);

struct token_key; /* opaque */

/* A key for HS256 out of a secret, which is copied. Never NULL. */
struct token_key *token_key_secret(const char *secret);

/*
 * Read every key of a PEM file, 1..TOKEN_KEYS_MAX of them, into key[] (*n of them): public
 * ones, or private ones to sign with. RC_OK, or RC_VALIDATION: no such file, no key in it, too
 * many, or one that is damaged or not for `a` (RSA of 2048 bits or more, P-256, Ed25519); then
 * *n is 0.
 */
enum rc token_key_read(enum token_algorithm a, const char *path, bool is_private,
                       struct token_key *key[TOKEN_KEYS_MAX], size_t *n,
                       struct fail *f) MUSTCHECK;

void token_key_free(struct token_key *k); /* NULL is a no-op */

enum token_algorithm token_key_algorithm(const struct token_key *k);

/* Whether `sig` is the signature of `text` under this key. */
bool token_key_verify(const struct token_key *k, const char *text, size_t len,
                      const unsigned char *sig, size_t sig_len);

/* Sign `text`; *sig_len bytes in sig. False when the key cannot: a public one. */
bool token_key_sign(const struct token_key *k, const char *text, size_t len,
                    unsigned char sig[TOKEN_SIGNATURE_MAX], size_t *sig_len);

#endif
