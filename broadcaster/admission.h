/*
 * admission.h - who may open /ws: what can be decided without I/O is decided before the
 * upgrade, as an HTTP answer; a bad sessionId opens and closes 1008, as in SyncKairos 2.0
 * (spec sync, section 7). Pure.
 */
#ifndef BROADCASTER_ADMISSION_H
#define BROADCASTER_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBPROTOCOL "synckairos.v1"

struct admission {
    const char *path;
    const char *session_id;  /* of the query; NULL or "" none */
    const char *query_token; /* of the query; NULL or "" none */
    const char *origin;      /* this and the other headers: NULL none */
    const char *host;
    const char *version;     /* Sec-WebSocket-Version */
    const char *subprotocol; /* as offered */
    const char *authorization;
    bool is_signed_in; /* the token was verified */
    bool draining, full;
};

enum verdict {
    ADMIT,         /* watch session_id */
    ADMIT_BARE,    /* open without a session */
    ADMIT_MISSING, /* open, then close: no sessionId */
    ADMIT_MALFORMED,
    REFUSE_PATH,
    REFUSE_VERSION,
    REFUSE_TOKEN,
    REFUSE_ORIGIN,
    REFUSE_SUBPROTOCOL,
    REFUSE_FULL,
    REFUSE_DRAINING,
    REFUSE_RATE, /* the caller counts: not judged here */
    VERDICT__MAX
};

struct verdict_row {
    uint16_t status;  /* HTTP; 101: upgrade */
    const char *code; /* of the envelope */
    const char *message;
    const char *header; /* one more header line, NULL none */
    uint16_t close;     /* after the upgrade; 0: stays open */
    const char *reason;
};
extern const struct verdict_row verdict_rows[VERDICT__MAX];

/*
 * The token that the request brings, wherever it does: "Authorization: Bearer x", a subprotocol
 * "bearer.x" (browsers can set no header), "?token=x"; the first of these counts. Sets *len;
 * the text goes on behind it. NULL: none. It is not verified.
 */
const char *admission_token(const struct admission *a, size_t *len);

/* Whether our subprotocol is among those offered; they are case-sensitive. */
bool admission_wants_ours(const struct admission *a);

/* The next item of a comma-separated list without the blanks around it, and its length; NULL at
 * the end. */
const char *admission_list_next(const char **rest, size_t *len);

/* `allowed_origins` and `auth_required` as in conf.h. */
enum verdict admission_judge(const struct admission *a, const char *allowed_origins,
                             bool auth_required);

#endif
