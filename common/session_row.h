/*
 * session_row.h - a session as the fields of its Redis hash, and back.
 *
 * Fields: `h` the header, `m` the metadata as sent, `t` what follows a timeout, `k` the time
 * control and `x` who may see it (each absent when there is none), `w` when to warn (absent
 * when that is as usual), `p:<k>` one participant (k = place in the list), `g:<k>` one group.
 * `v` (version), `e` (epoch as committed), `c` (commit id) are the commit's own
 * (session_store.h), `o` is derived from the rows (session_slice.h). The same field/value pairs
 * travel in events. Of a slice, places are told as they are in the whole.
 */
#ifndef COMMON_SESSION_ROW_H
#define COMMON_SESSION_ROW_H

#include "rc.h"
#include <stdbool.h>
#include <stddef.h>

struct session;
struct buf;

#define SESSION_FIELD_MAX 16 /* "p:999" and the NUL, with room */

/*
 * Walk the fields of s: those marked dirty, or all. `fn` gets name and value, both
 * borrowed until it returns. `m`, `t`, `k` and `w` never change: they go with the dirty
 * header of version 1 only.
 */
void session_fields(const struct session *s, bool all,
                    void (*fn)(void *ctx, const char *name, const char *value, size_t len),
                    void *ctx);

/*
 * Take one field into s (initialised; p[] and g[] grow as needed). Names other than h, m, t,
 * k, w, x, p:<k>, g:<k> are ignored. RC_OK or RC_STATE_UNREADABLE; s is then only good for
 * session_fini.
 */
enum rc session_field_set(struct session *s, const char *name, size_t name_len,
                          const char *value, size_t len, struct fail *f) MUSTCHECK;

/* The field `x`: append its value, nothing when everybody may see the session; and take one. */
void session_access_field(const struct session *s, struct buf *out);
enum rc session_access_set(struct session *s, const char *value, size_t len,
                           struct fail *f) MUSTCHECK;

/* After all fields: whether the whole is consistent (header present, a mode that is built, no
 * hole in p[] or g[], everybody in a group where there are some, places in range, the instants
 * of its status set), so that the engine may run on it. RC_OK or RC_STATE_UNREADABLE. */
enum rc session_fields_done(struct session *s, struct fail *f) MUSTCHECK;

#endif
