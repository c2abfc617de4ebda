/*
 * frame_reader.h - the frames that one client sends (RFC 6455, section 5), taken apart.
 *
 * wslay reads heads and takes off masks; it refuses lengths that are not written in the
 * shortest way and control frames that are long or in fragments. What else a server has to
 * refuse is refused here: frames without a mask, reserved bits and opcodes, fragments out of
 * turn. Messages are not put together and texts not looked at (talk.h).
 *
 * wslay's context has 4 KB. A client has one of its own only while half a frame of it is there;
 * between two frames all share one. No system call, no allocation unless a frame comes in
 * parts, one copy of what came.
 */
#ifndef BROADCASTER_FRAME_READER_H
#define BROADCASTER_FRAME_READER_H

#include "frame.h"
#include <stdbool.h>
#include <stddef.h>

struct frame_parser; /* opaque: what wslay knows of half a frame */

/* Of one client; zeroed to begin with. */
struct frame_reader {
    struct frame_parser *parser; /* owned, NULL between two frames */
    bool in_message;             /* further fragments are due */
    bool is_binary;              /* the message */
    bool is_over;                /* nothing more is read */
};

/* A part of the payload of a message. */
struct piece {
    const char *data;
    size_t len;
    bool last; /* of the message */
    bool binary;
};

struct frame_calls {
    void (*piece)(void *ctx, const struct piece *p);
    /* FRAME_PING, FRAME_PONG or FRAME_CLOSE, whole */
    void (*control)(void *ctx, enum frame_opcode op, const void *payload, size_t len);
    void *ctx;
};

/*
 * Read what has arrived. `shared`: the parser of all who are between two frames, NULL at first.
 * False: there was a frame that nobody may send (RFC 6455, 7.1.7: 1002); what came before it
 * was handed over. Behind that, and behind a Close, nothing is read any more.
 */
bool frame_reader_read(struct frame_reader *r, struct frame_parser **shared, const void *data,
                       size_t len, const struct frame_calls *calls);
void frame_reader_fini(struct frame_reader *r);
/* NULL is a no-op. */
void frame_parser_free(struct frame_parser *p);

#endif
