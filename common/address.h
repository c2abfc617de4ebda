/*
 * address.h - whose request it is, by address: the peer, or what trusted proxies say of it.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_MAX 64
#define PROXIES_MAX 64

/* An address or network; IPv4 is kept as ::ffff:a.b.c.d. */
struct net {
    uint8_t addr[16];
    uint8_t bits; /* 0..128 */
};

struct proxy_list {
    struct net net[PROXIES_MAX];
    size_t n;
};

/* Read TRUSTED_PROXIES or another list of addresses and networks, "10.0.0.0/8, ::1". RC_OK or
 * RC_VALIDATION. */
enum rc proxy_list_parse(const char *s, struct proxy_list *out, struct fail *f) MUSTCHECK;

/*
 * The address that asks: `peer`, or, while that is a trusted proxy, the hop to its left in
 * `forwarded_for` (NULL or "" for none). Hops that are no addresses end the walk. The result
 * is canonical text; an unknown peer is "unknown".
 */
void address_of_client(const struct proxy_list *proxies, const char *peer,
                       const char *forwarded_for, char out[ADDRESS_MAX]);

/* Whether `address`, as address_of_client gives it, is in the list. */
bool address_is_among(const struct proxy_list *list, const char *address);

/* What limits count: the address itself, IPv6 by its /64. */
void address_limit_key(const char *address, char out[ADDRESS_MAX]);

#endif
