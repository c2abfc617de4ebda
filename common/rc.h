/*
 * rc.h - how everything here fails: one table of failure codes and the record
 * that carries a failure upwards.
 *
 * Every fallible call returns `enum rc`. The first layer that sees a failure
 * fills `struct fail`; layers above pass it on unchanged, and only the router
 * (or the loop) logs it. One row of RC_LIST is the enum, the HTTP status and
 * the `error.code` of the wire (spec: platform, "Answers").
 */
#ifndef COMMON_RC_H
#define COMMON_RC_H

#include <stdint.h>

#define MUSTCHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* clang-format off */
#define RC_LIST(X)                                                      \
    X(RC_OK,                    200, "OK")                              \
    X(RC_VALIDATION,            400, "VALIDATION_ERROR")                \
    X(RC_MALFORMED_JSON,        400, "MALFORMED_JSON")                  \
    X(RC_BAD_REQUEST,           400, "BAD_REQUEST")                     \
    X(RC_TRANSITION,            400, "INVALID_STATE_TRANSITION")        \
    X(RC_UNAUTHENTICATED,       401, "UNAUTHENTICATED")                 \
    X(RC_FORBIDDEN,             403, "FORBIDDEN")                       \
    X(RC_NOT_FOUND,             404, "NOT_FOUND")                       \
    X(RC_SESSION_NOT_FOUND,     404, "SESSION_NOT_FOUND")               \
    X(RC_METHOD_NOT_ALLOWED,    405, "METHOD_NOT_ALLOWED")              \
    X(RC_CONFLICT,              409, "CONFLICT")                        \
    X(RC_SESSION_EXISTS,        409, "SESSION_EXISTS")                  \
    X(RC_PRECONDITION,          412, "PRECONDITION_FAILED")             \
    X(RC_TOO_LARGE,             413, "PAYLOAD_TOO_LARGE")               \
    X(RC_URI_TOO_LONG,          414, "URI_TOO_LONG")                    \
    X(RC_MEDIA_TYPE,            415, "UNSUPPORTED_MEDIA_TYPE")          \
    X(RC_KEY_REUSED,            422, "IDEMPOTENCY_KEY_REUSED")          \
    X(RC_LIMITED,               429, "RATE_LIMIT_EXCEEDED")             \
    X(RC_HEADERS_TOO_LARGE,     431, "REQUEST_HEADER_FIELDS_TOO_LARGE") \
    X(RC_INTERNAL,              500, "INTERNAL_ERROR")                  \
    X(RC_STATE_UNREADABLE,      500, "STATE_DESERIALIZATION_ERROR")     \
    X(RC_STORE_UNAVAILABLE,     503, "STORE_UNAVAILABLE")               \
    X(RC_STORE_FULL,            503, "STORE_FULL")                      \
    X(RC_OUTCOME_UNKNOWN,       503, "OUTCOME_UNKNOWN")                 \
    X(RC_WORKER_UNAVAILABLE,    503, "WORKER_UNAVAILABLE")
/* clang-format on */

enum rc {
#define X(name, status, code) name,
    RC_LIST(X)
#undef X
        RC__MAX
};

/*
 * One failure. `message` goes to the client (a sentence, never driver text, SQL
 * or a path); `log` goes only to the log. `details` is empty or a complete JSON
 * value for `error.details`. `retry_after_ms` > 0 makes a Retry-After header
 * (rounded up to seconds).
 */
struct fail {
    enum rc rc;
    char message[256];
    char log[256];
    char details[192];
    int64_t retry_after_ms;
};

/* HTTP status (200..599) and wire code of `rc`; RC__MAX and beyond count as RC_INTERNAL. */
int rc_status(enum rc rc);
const char *rc_code(enum rc rc);

/*
 * Record a failure that the client may read and return its code, so that
 * `return fail_set(f, RC_CONFLICT, "...")` is one statement. The first failure
 * wins: when f already holds one it is left alone and its own code returned. `f` may be
 * NULL. `rc` must not be RC_OK.
 */
enum rc fail_set(struct fail *f, enum rc rc, const char *fmt, ...) PRINTF(3, 4);
/* The same for a request of which `details` tell what is wrong: RC_VALIDATION. */
enum rc fail_invalid(struct fail *f);

/*
 * The same for a failure whose cause is ours (a store, a bug): `fmt` goes to
 * `log`, and `message` becomes the fixed sentence of that code. The store codes
 * also get retry_after_ms = 1000.
 */
enum rc fail_log(struct fail *f, enum rc rc, const char *fmt, ...) PRINTF(3, 4);

/* Forget a failure, so that f can be used for another try. */
void fail_reset(struct fail *f);

#endif
