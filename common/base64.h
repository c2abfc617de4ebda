/*
 * base64.h - base64url without padding (RFC 4648, section 5), strictly: one text for one value.
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Characters that n bytes become, without a NUL; most bytes that n characters become. */
#define BASE64_LEN(n) (((n)*4 + 2) / 3)
#define BASE64_BYTES(n) ((n) / 4 * 3 + 2)

/* Write `n` bytes as text with a NUL; room for BASE64_LEN(n) + 1. */
void base64_encode(const unsigned char *bytes, size_t n, char *out);

/*
 * Read `len` characters into `out` (room for BASE64_BYTES(len)). False for any other character,
 * padding included, a length that no value has, or spare bits that are not 0.
 */
bool base64_decode(const char *s, size_t len, unsigned char *out, size_t *n);

#endif
