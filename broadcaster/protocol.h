/*
 * protocol.h - what is said on /ws (spec sync, section 7): JSON text to structs and back. No
 * I/O.
 *
 * Envelope in camelCase, state in snake_case, as SyncKairos 2.0 has it. What a client may say
 * is a table in protocol.c; unknown keys are ignored, a known key of the wrong kind is a fault.
 */
#ifndef BROADCASTER_PROTOCOL_H
#define BROADCASTER_PROTOCOL_H

#include "common/fault.h"
#include "common/id.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct delta;
struct event;
struct session;
struct warning_note;

enum message_type {
    MESSAGE_NONE,
    MESSAGE_PING,
    MESSAGE_RECONNECT,
    MESSAGE_SUBSCRIBE,
    MESSAGE_UNSUBSCRIBE,
    MESSAGE_REFRESH,
    MESSAGE__MAX
};

#define MESSAGE_NUMBER_MAX 32

struct message {
    enum message_type type;
    char timestamp[MESSAGE_NUMBER_MAX]; /* the number of a PING as it was sent; "" none */
    char session_id[ID_LEN + 1];        /* "" none */
    bool delta;                         /* of a SUBSCRIBE */
    char *token;                        /* of a REFRESH; to be freed */
    int64_t last_known_version;         /* -1 none */
    char epoch[EPOCH_MAX];              /* "" none */
};

/* Parse one message of a client. FAULT_NONE, or what is wrong with it; out->token is to be
 * freed in either case. */
enum fault protocol_parse(const char *s, size_t len, struct message *out);
/* --- messages of the server, appended to `out`; times are epoch ms of the server clock --- */

/* `id` NULL: opened without a session. */
void protocol_connected(struct buf *out, const char *id, int64_t at_ms);

/* SUBSCRIBED, UNSUBSCRIBED; `id` in the spelling of the client. */
void protocol_subscribed(struct buf *out, const char *id, int64_t at_ms);
void protocol_unsubscribed(struct buf *out, const char *id, int64_t at_ms);

enum state_kind { STATE_SYNC, STATE_UPDATE, STATE_KINDS };
/* The whole state, remaining times as of at_ms. */
void protocol_state(struct buf *out, enum state_kind kind, const struct session *s,
                    int64_t at_ms);
/* STATE_DELTA: what `d` says that has made s of the version before, at at_ms. */
void protocol_delta(struct buf *out, const struct session *s, const struct delta *d,
                    int64_t at_ms);
/* STATE_SYNC for a client that has this epoch and version already. */
void protocol_unchanged(struct buf *out, const struct session *s, int64_t at_ms);
/* ACTION of the expiry `ev`; `action` "": the session has no name for it. */
void protocol_action(struct buf *out, const char *id, const struct event *ev,
                     const char *action);
/* TIME_EXPIRED of the change `ev`; `id` in the spelling that clients know. */
void protocol_time_expired(struct buf *out, const char *id, const struct event *ev);
/* TIME_WARNING */
void protocol_time_warning(struct buf *out, const char *id, const struct warning_note *w);
/* `version` is that of the deletion. */
void protocol_deleted(struct buf *out, const char *id, const char *epoch, int64_t version,
                      int64_t at_ms);

struct pong {
    const char *client_timestamp; /* JSON number, "" none */
    int64_t receive_us, transmit_us;
    bool store_is_away;
};
void protocol_pong(struct buf *out, const struct pong *p);

/* `id` NULL or "": about no session. */
void protocol_error(struct buf *out, enum fault fault, const char *id, int64_t at_ms);
void protocol_not_found(struct buf *out, const char *id, int64_t at_ms);
/* TOKEN_EXPIRING */
void protocol_token_expiring(struct buf *out, int64_t expires_at_ms, int64_t at_ms);
void protocol_draining(struct buf *out, int64_t reconnect_in_ms, int64_t at_ms);

#endif
