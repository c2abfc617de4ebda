/*
 * etag.h - entity tags of sessions, "<epoch>-<version>" in quotes: they name a state, not
 * bytes, so they are always weak and compared without their W/ (RFC 9110, 8.8.3.2).
 */
#ifndef COMMON_ETAG_H
#define COMMON_ETAG_H

#include "id.h"
#include <stdbool.h>
#include <stdint.h>

#define ETAG_MAX (EPOCH_MAX + 24) /* with quotes and the NUL */

/* The tag with its quotes, without W/. */
void etag_make(char out[ETAG_MAX], const char *epoch, int64_t version);

/* Whether `list` is what RFC 9110 lets If-Match be: "*", or tags with commas between them. */
bool etag_list_is_valid(const char *list);
/* Whether a valid list names `tag` (as etag_make gives it), or anything. */
bool etag_list_has(const char *list, const char *tag);
/* The version that the first tag of a valid list speaks of; 0 when it is none of ours. */
int64_t etag_list_version(const char *list);

#endif
