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

/* The answer of `switch` (contract 1.7): a subset, with version, cycle_number, epoch and
 * server_time; `expired` is a place in p[] or -1. */
void session_switch_json(struct buf *out, const struct session *s, int32_t expired,
                         int64_t server_time_ms);
void session_switch_json_minimal(struct buf *out, const struct session *s, int32_t expired,
                                 int64_t server_time_ms);

#endif
