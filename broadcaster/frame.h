/*
 * frame.h - one WebSocket message (RFC 6455), framed once and shared by all who get it.
 *
 * A frame is immutable and counted: whoever queues it takes it, whoever has sent or given it up
 * drops it. Server frames are never masked, never fragmented, never compressed.
 */
#ifndef BROADCASTER_FRAME_H
#define BROADCASTER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD_MAX 10

enum frame_opcode { FRAME_TEXT = 0x1, FRAME_CLOSE = 0x8, FRAME_PING = 0x9, FRAME_PONG = 0xa };
#define FRAME_REASON_MAX 123

struct frame {
    uint32_t refs;
    uint32_t len; /* of bytes, head included */
    bool stays; /* no newer one makes up for it: a client that is behind gets it all the same */
    unsigned char bytes[];
};

/* The head of a final frame of `len` bytes; returns its length, 2, 4 or 10. */
size_t frame_head(unsigned char out[FRAME_HEAD_MAX], enum frame_opcode op, size_t len);

/* A new frame with one reference, the caller's. */
struct frame *frame_new(enum frame_opcode op, const void *payload, size_t len);
/* Bytes that go out among frames, and are none: the answer to a handshake. */
struct frame *frame_raw(const void *bytes, size_t len);
/* A Close frame; `reason` may be NULL, and is at most FRAME_REASON_MAX long. */
struct frame *frame_close(uint16_t code, const char *reason);
/*
 * What a Close frame with this payload is answered with (RFC 6455, 7.4): its own code; 0 when
 * it says none; 1002 for half a code, or one that nobody may send; 1007 for a reason that is no
 * UTF-8.
 */
uint16_t frame_close_answer(const void *payload, size_t len);
struct frame *frame_take(struct frame *f);
/* NULL is a no-op. */
void frame_drop(struct frame *f);

#endif
