/*
 * failures.h - how often an address brought a token that was none: with an upgrade, or with
 * REFRESH on an open socket. Both count together on RATE_LIMIT_GENERAL, in the memory that the
 * processes of a host share (tally.h).
 */
#ifndef BROADCASTER_FAILURES_H
#define BROADCASTER_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

struct conf;

/*
 * Count one more of `address` (address.h, address_limit_key) in `tally` at now_ms, epoch.
 * False: those were too many, and *wait_ms says when the next may come. True as well where
 * nothing is limited, or `tally` is NULL.
 */
bool failures_add(const struct conf *conf, void *tally, const char *address, int64_t now_ms,
                  int64_t *wait_ms);

#endif
