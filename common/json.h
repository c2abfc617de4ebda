/*
 * json.h - the scan that foreign JSON passes before json-c sees it.
 *
 * json-c silently accepts or changes: invalid UTF-8, lone surrogates, U+0000,
 * duplicate keys, numbers beyond int64 or double, text after the value. The
 * scan refuses all of these (spec: sync, section 6), depth over 32, and anything
 * that is not RFC 8259. It does no I/O, and allocates only the stack of key sets.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "rc.h"
#include <stddef.h>

#define JSON_DEPTH_MAX 32

struct json_object; /* json-c */

/* RC_OK, or RC_MALFORMED_JSON with a message that says what and at which byte. */
enum rc json_scan(const char *s, size_t len, struct fail *f) MUSTCHECK;

/* json_scan, then json-c. On success *out is the caller's (json_object_put); NULL for the JSON
 * value null. */
enum rc json_parse(const char *s, size_t len, struct json_object **out,
                   struct fail *f) MUSTCHECK;

/* Whether all of `s` is valid UTF-8 (RFC 3629) without U+0000. */
int json_utf8_is_valid(const char *s, size_t len);

#endif
