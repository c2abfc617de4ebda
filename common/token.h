/*
 * token.h - who asks: JSON Web Tokens (RFC 7519) as callers bring them.
 *
 * A token is accepted when it is signed by a key of the configuration with the algorithm of the
 * configuration (JWT_ALGORITHM), has a `sub` and an `exp` that is not over, and agrees with
 * JWT_ISSUER and JWT_AUDIENCE where these are set. `exp`, `nbf` and `iat` have a leeway of 30
 * s: a token that says it was issued later than that would outlive its revocation. What is not
 * understood is refused: other algorithms, critical headers, unknown roles, claims of a wrong
 * type, duplicate names, a second text for the same bytes.
 *
 * Whether a token was revoked is asked of Redis (revoke.h); nothing here does I/O but the
 * reading of key files at the start.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include "id.h"
#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct conf;
struct token_keys; /* opaque: the keys, and the tokens that were verified last */

#define TOKEN_TEXT_MAX 8192
#define TOKEN_NAME_MAX 255 /* bytes of sub, sid and jti */
#define TOKEN_PARTICIPANTS_MAX 128
#define TOKEN_LEEWAY_MS 30000

enum role { ROLE_NONE, ROLE_USER, ROLE_SERVICE, ROLE_MODERATOR, ROLE_ADMIN, ROLE__MAX };

/* "user", ...; "" for ROLE_NONE. */
const char *role_name(enum role r);
/* The member of that name, or ROLE_NONE. */
enum role role_parse(const char *s);

/* What a verified token says. One block of memory; the texts lie in it. */
struct token {
    int64_t exp_ms;
    int64_t iat_ms; /* not after it was first seen here; 0: not said */
    enum role role;
    const char *sub;
    const char *sid, *jti; /* "" not said */
    size_t n;              /* participants that the caller may act for */
    const char (*participants)[ID_LEN + 1];
};

/*
 * Make the keys of the configuration. RC_OK, also when none is configured: then every token is
 * refused. RC_VALIDATION with the name of the setting: a key file without a key that suits.
 */
enum rc token_keys_new(const struct conf *conf, struct token_keys **out,
                       struct fail *f) MUSTCHECK;
void token_keys_free(struct token_keys *k); /* NULL is a no-op */
/* The same for main: ends the process with status 78, or warns when no key is configured. */
struct token_keys *token_keys_start(const struct conf *conf);

/*
 * Verify a token at `now_ms` (epoch). RC_OK with *out, borrowed until the next call or
 * token_keys_free; RC_UNAUTHENTICATED otherwise. A token that was verified by these keys before
 * costs one SHA-256 and no allocation: the last 256 are kept until they expire.
 */
enum rc token_check(struct token_keys *k, const char *text, size_t len, int64_t now_ms,
                    const struct token **out, struct fail *f) MUSTCHECK;

/* The token of an `Authorization: Bearer` header; NULL when it is none, *len its length. */
const char *token_of_header(const char *header, size_t *len);

/* A copy that lives until free(). */
struct token *token_dup(const struct token *t);

/* What to put into a token. */
struct token_claims {
    const char *sub, *sid, *jti, *iss, *aud; /* NULL: left out, but sub */
    enum role role;                          /* ROLE_NONE: left out */
    int64_t iat_s, exp_s;
    const char *const *participants;
    size_t n;
};

struct token_key; /* token_key.h */

/* Append a signed token. False when the key cannot sign. */
bool token_mint(const struct token_key *key, const struct token_claims *claims,
                struct buf *out);
/* The same with the key that verifies (JWT_SECRET), issuer and audience of the configuration.
 */
bool token_mint_own(const struct token_keys *k, struct token_claims *claims, struct buf *out);

#endif
