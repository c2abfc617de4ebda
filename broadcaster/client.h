/*
 * client.h - what one socket still has to be sent, and when it is pinged, dropped or closed.
 *
 * Messages are queued as shared frames (frame.h) and leave once per turn of the loop, many in
 * one write. A client whose socket does not take them keeps a bounded queue; when that is full
 * the client is *behind*: the states that are queued are given up, none is queued any more, and
 * when the socket takes bytes again the hub gives it the newest ones. So a slow reader costs a
 * bounded amount and the others nothing.
 *
 * Sockets are reached through struct client_io only, so that all of this runs in tests
 * without one. A struct client is embedded in the memory of its socket, and idle ones are many:
 * keep it small.
 */
#ifndef BROADCASTER_CLIENT_H
#define BROADCASTER_CLIENT_H

#include "common/buf.h"
#include "frame_reader.h"
#include "heartbeat.h"
#include "meter.h"
#include <stdbool.h>
#include <stdint.h>

struct frame;
struct sub;
struct token;
struct client;

/* Bounds of the queue: frames are shared, so this costs little beside what is in flight. */
#define CLIENT_FRAMES_MAX 256
#define CLIENT_BYTES_MAX (4 * 1024 * 1024)
/* When all queues together hold more than this, each one is bounded by CLIENT_WRITE_MAX. */
#define CLIENTS_BYTES_MAX (256 * 1024 * 1024LL)
/* Most that one write gathers; what the socket does not take of it is copied for this client
 * alone. A longer message goes alone. */
#define CLIENT_WRITE_MAX (64 * 1024)
/* A closing socket that does not take its last bytes, or whose peer does not end it, is cut at
 * the first heartbeat after this. */
#define CLIENT_CLOSE_MS 5000

struct client_io {
    bool (*write)(struct client *c, const void *p, size_t len); /* false: the socket is gone */
    bool (*is_stuck)(struct client *c);   /* bytes of an earlier write still wait */
    void (*want_write)(struct client *c); /* call client_writable when nothing waits any more */
    void (*cut)(struct client *c);        /* drop the socket, later; no Close frame */
};

struct clients {
    const struct client_io *io;
    struct client *dirty; /* have something queued */
    struct heartbeat wheel;
    struct client *slots[HEARTBEAT_SLOTS_MAX];
    struct frame *ping;
    struct frame_parser *parser; /* of clients that are between two frames */
    struct buf gather;
    int64_t queued; /* bytes in all queues; a shared frame counts as often as it is queued */
    int n;
    int64_t skips;  /* how often a client fell behind */
    int64_t pushes; /* messages about states queued since they were last counted */
};

/* Who it is (pass.h). */
struct pass {
    struct token *token; /* owned; NULL: anonymous */
    struct client *prev, *next;
    char *address;             /* owned; limits count it, but not while there is a user */
    bool is_user;              /* who was known from the beginning */
    bool has_seat, wants_seat; /* counted, to be counted among the sockets of the user, or of
                                * the address (seat.h) */
    bool keeps_seat;           /* it has one, which is to be counted again */
    bool is_waiting, is_warned;
    bool is_free; /* nobody has to say who he is */
};

struct client {
    void *socket; /* of client_io */
    struct clients *set;
    struct sub *subs; /* what it watches (hub.h) */
    struct client *dirty_prev, *dirty_next;
    struct client *slot_prev, *slot_next;
    struct pass pass;
    struct frame **queue; /* owned, NULL while empty */
    struct frame_reader reader;
    char *rx;         /* first parts of a message in several frames; owned */
    int64_t heard_ms; /* when it last said anything; once closing: when that began */
    uint32_t queue_bytes, rx_len;
    uint32_t opened_with; /* of the hub: which session the socket was opened for; 0 none */
    struct meter messages, faults;
    uint16_t queue_n, queue_size;
    uint16_t close_code; /* 0: not closing */
    int16_t slot;
    bool is_open, is_dirty, is_behind, is_cut;
};

void clients_init(struct clients *set, const struct client_io *io, int64_t heartbeat_ms,
                  int64_t now_ms);
/* All clients are gone before. */
void clients_fini(struct clients *set);

/* A zeroed client joins; c->socket is set. */
void client_open(struct client *c, struct clients *set, int64_t now_ms);
/* The socket is gone: give up everything. The hub has let go of it before (hub_leave). */
void client_gone(struct client *c);

/*
 * Queue a message about a state. False when the client is behind (or has just become so):
 * it will be given the newest state by itself.
 */
bool client_queue(struct client *c, struct frame *f);
/* Queue an answer that is worth nothing later; dropped when the client does not take what it
 * was sent before. */
void client_answer(struct client *c, struct frame *f);
/* Queue a message that has to come (f->stays), also to a client that is behind. True when it
 * has just fallen behind, because the queue was full. A queue that is full of such messages
 * cuts the socket. */
bool client_reply(struct client *c, struct frame *f);
/* Queue `last` (may be NULL) and a Close frame. Nothing is queued any more; the socket goes
 * when the peer has answered, or is cut. */
void client_finish(struct client *c, struct frame *last, uint16_t code, const char *reason);

/* The peer has sent a Close with this payload: queue the answer. Nothing is queued any more;
 * the socket goes when the peer ends it, or is cut. */
void client_leave(struct client *c, const void *payload, size_t len);

/* Give up what is queued, and drop the socket without a Close frame, later: it is safe within
 * a list of clients. */
void client_cut(struct client *c);

void client_flush(struct client *c);
void clients_flush(struct clients *set);

/* The socket takes bytes again. True when it has drained and the client was behind:
 * hub_catch_up is due. */
bool client_writable(struct client *c);
/* It was not given everything: client_writable says true once more when it has drained. */
void client_stay_behind(struct client *c);

/* Serve the slots of the wheel that came up: ping, drop the silent and the stuck. */
void clients_beat(struct clients *set, int64_t now_ms, int64_t timeout_ms);

#endif
