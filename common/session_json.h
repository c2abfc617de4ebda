/*
 * session_json.h - a session as clients see it (spec sync, section 2), printed directly: this
 * is the hot answer of every request and push.
 */
#ifndef COMMON_SESSION_JSON_H
#define COMMON_SESSION_JSON_H

#include "session.h"

struct buf;

/* The whole state as a JSON object, remaining times computed at `server_time_ms`. */
void session_json(struct buf *out, const struct session *s, int64_t server_time_ms);
/* The same without `participants` and `groups`. */
void session_json_minimal(struct buf *out, const struct session *s, int64_t server_time_ms);

/* Some of the participants and groups: bit k is the one at place k. */
struct session_part {
    uint64_t p[(SESSION_PARTICIPANTS_MAX + 63) / 64];
    uint64_t g[(SESSION_GROUPS_MAX + 63) / 64];
};
static inline void
session_part_add(uint64_t *bits, size_t k)
{
    bits[k / 64] |= UINT64_C(1) << k % 64;
}
static inline bool
session_part_has(const uint64_t *bits, size_t k)
{
    return (bits[k / 64] >> k % 64 & 1) != 0;
}
/* `,"participants":[...],"groups":[...]` of these; empty outside per_group. */
void session_part_json(struct buf *out, const struct session *s,
                       const struct session_part *part, int64_t server_time_ms);

/* The answer of `switch` (contract 1.7): a subset, with version, cycle_number, epoch and
 * server_time; `expired` is a place in p[] or -1. */
void session_switch_json(struct buf *out, const struct session *s, int32_t expired,
                         int64_t server_time_ms);
void session_switch_json_minimal(struct buf *out, const struct session *s, int32_t expired,
                                 int64_t server_time_ms);

#endif
