/*
 * id.h - identifiers: UUIDs from clients, random ids, epochs.
 *
 * Two UUIDs are equal regardless of case; keys use lower case, the spelling of
 * the create body is what clients get back (spec: sync, section 2).
 */
#ifndef COMMON_ID_H
#define COMMON_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_LEN 36
#define EPOCH_MAX 40 /* with the NUL */

/*
 * The grammar of the reference (contract 1.5): 8-4-4-4-12 hex of any case, version nibble 1-8,
 * variant 8/9/a/b, or the nil UUID, or the max UUID in lower case.
 */
bool id_is_uuid(const char *s, size_t len);
/* The looser grammar of `/ws?sessionId=`: 8-4-4-4-12 hex digits. */
bool id_is_uuid_shape(const char *s, size_t len);
/* Lower-case copy of a 36-character id into out. */
void id_lower(const char *s, char out[ID_LEN + 1]);
bool id_equal(const char *a, const char *b); /* case-insensitive; both NUL-terminated */

/* Ids of a list, to find the same one again. */
struct id_ref {
    const char *id; /* borrowed */
    int32_t place;
};
/* By id in any case, then by place. */
void id_refs_sort(struct id_ref *refs, size_t n);
/* Place of the first of the sorted refs with that id, -1 none. */
int32_t id_refs_find(const struct id_ref *refs, size_t n, const char *id);

/* A random version 4 UUID (RFC 9562), from the kernel's random source. */
void id_uuid4(char out[ID_LEN + 1]);
/* A UUID out of 16 bytes that are as good as random: version 8, theirs but for 6 bits. */
void id_uuid8(const unsigned char bytes[16], char out[ID_LEN + 1]);
/* `n` random characters of [0-9a-z] and a NUL: commit ids, owners of leases. */
void id_random(char *out, size_t n);

/* CRC-16/XMODEM, the one Redis Cluster uses for slots. */
uint16_t id_crc16(const char *s, size_t len);

/*
 * Epoch: "<created us, 11 base36 digits>-<4 random>.<life, 9 base36 digits>"; sorts as text.
 * `life_n` is the partition's life (keys.h), 0..36^9-1.
 */
void epoch_make(char out[EPOCH_MAX], int64_t created_us, int64_t life_n);
/* Raise the life part of `epoch` to life_n when that is newer; true when it changed. */
bool epoch_raise(char epoch[EPOCH_MAX], int64_t life_n);
/* The life part; -1 when the text is no epoch. */
int64_t epoch_life(const char *epoch);
bool epoch_is_valid(const char *s, size_t len);

#endif
