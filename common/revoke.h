/*
 * revoke.h - tokens that are over before their time: a not-before instant for all tokens of a
 * `sub`, of a login (`sid`), or for one token (`jti`).
 *
 * Redis keys: keys_revoked() (string, epoch ms, TTL). Channel: keys_revoked_channel(), one
 * message "<kind> <epoch ms> <value>" for the sockets that are open. A token issued (`iat`) at
 * that instant or before, or at an unsaid one, is refused.
 */
#ifndef COMMON_REVOKE_H
#define COMMON_REVOKE_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_batch;
struct token;

enum revoke_kind { REVOKE_SUB, REVOKE_SID, REVOKE_JTI, REVOKE__MAX };

const char *revoke_kind_name(enum revoke_kind k); /* "sub", "sid", "jti" */

/* How long a revocation is kept: no token may last longer. */
#define REVOKE_KEPT_S (400 * 24 * 3600)

/* Add the questions about a token to a batch, 1..3 of them; returns the place of the first. */
int revoke_add(struct redis_batch *b, const char *prefix, const struct token *t);
/*
 * Judge their replies. RC_OK; RC_UNAUTHENTICATED "The token has been revoked"; else why Redis
 * has refused the question (redis_batch_check): who cannot be asked about is not let in.
 */
enum rc revoke_judge(const struct redis_batch *b, int place, const struct token *t,
                     struct fail *f) MUSTCHECK;

/* Add a revocation as of `now_ms`: two commands, the first one stores it, the second tells the
 * sockets. Returns the place of the first. */
int revoke_put(struct redis_batch *b, const char *prefix, enum revoke_kind kind,
               const char *value, int64_t now_ms);

/* Whether a message of the channel is about this token. */
bool revoke_hits(const char *message, size_t len, const struct token *t);

#endif
