/*
 * pass.h - the tokens of open sockets: what their clients may see, until the token ends or is
 * revoked (spec sync, section 7).
 *
 * A token was verified before the upgrade. Whether it was revoked is asked of Redis at once
 * afterwards, and again when the link for pushes was lost, for then a revocation may have been
 * missed; otherwise they come by Pub/Sub. TOKEN_EXPIRING is sent 60 s before `exp`, at `exp`
 * the socket is closed with 4401, unless a REFRESH has brought another token of the same `sub`.
 *
 * With the same question a socket is counted among those of its user (seat.h); one too many is
 * closed with 4429.
 *
 * A turn of the loop costs nothing while no token ends: the next end is known, and only then
 * all clients are looked at.
 */
#ifndef BROADCASTER_PASS_H
#define BROADCASTER_PASS_H

#include "common/fault.h"
#include "link.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct clients;
struct conf;
struct passes; /* opaque */
struct token;
struct token_keys;

#define PASS_WARN_MS 60000

struct pass_calls {
    /* As link_send. */
    bool (*ask)(void *ctx, struct redis_batch *b, link_done *done, void *arg);
    bool (*is_up)(void *ctx);     /* whether asking makes sense now */
    int64_t (*now_ms)(void *ctx); /* epoch, of this host */
    void *tally;                  /* failures.h */
    void *ctx;
};

struct passes *passes_new(const struct conf *conf, struct token_keys *keys,
                          struct clients *clients, const struct pass_calls *calls);
/* All clients have left; the answer that is under way comes before, or never. */
void passes_free(struct passes *p);

/* An open client at `address` (address.h, address_limit_key) has brought `token` (copied);
 * NULL: it is anonymous, and counts as its address. */
void pass_take(struct passes *p, struct client *c, const struct token *token,
               const char *address);
/* CONNECTED is queued: a token that ends soon, or has, is told now. */
void pass_greet(struct passes *p, struct client *c);
/* REFRESH. FAULT_UNAUTHENTICATED: it is no good token, which counts on the address (failures.h)
 * and closes the socket when it was one too many; FAULT_OTHER_SUB: somebody else's. Then the
 * old one stays. */
enum fault pass_refresh(struct passes *p, struct client *c, const char *text);
/* The socket is gone. */
void pass_leave(struct passes *p, struct client *c);

/* A back end: limits do not count it. */
bool pass_is_unlimited(const struct client *c);

/* Several times a second. */
void passes_tick(struct passes *p);
/* A message of the channel (common/revoke.h). */
void passes_revoked(struct passes *p, const char *message, size_t len);
/* The link for pushes is there again. */
void passes_link_up(struct passes *p);
/* Ask what is to be asked; at the end of each turn. */
void passes_pump(struct passes *p);

#endif
