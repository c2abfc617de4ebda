/*
 * session_idem.h - what an Idempotency-Key was answered, as it is stored: one field of a
 * session's hash of verdicts (keys_idem), written by the script of the commit, read with the
 * load. For the files of session_store.h.
 *
 * A verdict is "<stored at, ms> <its number> <hash of the body> <status> <version> <answer>".
 * The script numbers them and keeps the newest 64 of a session; one older than a day counts no
 * more.
 */
#ifndef COMMON_SESSION_IDEM_H
#define COMMON_SESSION_IDEM_H

#include "rc.h"
#include "session_store.h"
#include <stdbool.h>
#include <stddef.h>

struct buf;

/*
 * Whether `text` is a verdict that counts at `now_ms`. Then *rc is RC_OK, with res->replay set
 * (its text borrowed from `text`), or RC_KEY_REUSED: it goes with another body.
 */
bool session_idem_read(const char *text, const struct store_idem *idem, int64_t now_ms,
                       struct store_result *res, enum rc *rc, struct fail *f);

/*
 * Print the verdict without time and number, which the script adds. `f` is the refusal, NULL
 * for none. False when there is more to say than is kept.
 */
bool session_idem_print(struct buf *out, const struct store_idem *idem, const struct session *s,
                        const struct store_result *res, const struct fail *f);

#endif
