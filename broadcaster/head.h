/*
 * head.h - the head of a request (RFC 9112), read by http_parser into what admission.h judges;
 * of one that wants a WebSocket, what RFC 6455 (4.2.1) asks of it. No I/O.
 */
#ifndef BROADCASTER_HEAD_H
#define BROADCASTER_HEAD_H

#include "admission.h"
#include "common/address.h"

/* Longest request head: a token needs room, in the query or in a header. */
#define HEAD_MAX 8192
/* Most header fields. */
#define HEAD_FIELDS_MAX 100

enum head_method { HEAD_GET, HEAD_HEAD, HEAD_OTHER };

struct head {
    struct admission a; /* is_signed_in, draining and full are the caller's */
    enum head_method method;
    const char *key;           /* Sec-WebSocket-Key; NULL: it wants no WebSocket */
    const char *said_peer;     /* X-Synckairos-Peer, NULL none */
    const char *forwarded_for; /* NULL none */
    bool delta;                /* wants STATE_DELTA */
    char text[HEAD_MAX + 1];   /* all these point into it */
    size_t text_len;
};

/* What came of it. HEAD_SLOW: it does not come (foyer.h). */
enum head_rc { HEAD_SOUND, HEAD_BAD, HEAD_LARGE, HEAD_SLOW };

/*
 * Read the head s[0..len), at most HEAD_MAX long. HEAD_LARGE: it does not end, or has too many
 * fields. HEAD_BAD: it is no HTTP; or two programs may read it differently (a field twice that
 * may come once, folded lines); or a parameter is badly encoded or has a NUL; or it wants an
 * upgrade, and not to a WebSocket in the one way there is: GET, HTTP/1.1, a Host, one key of 16
 * bytes, no body. Who may do what is not judged (admission.h).
 */
enum head_rc head_read(struct head *head, const char *s, size_t len);

/*
 * Whose request it is, when it came from `peer`. The web server says on the loopback interface
 * whose it is (X-Synckairos-Peer); nobody else is believed, and X-Forwarded-For only behind
 * `proxies`.
 */
void head_client(const struct head *head, const char *peer, const struct proxy_list *proxies,
                 char out[ADDRESS_MAX]);

#endif
