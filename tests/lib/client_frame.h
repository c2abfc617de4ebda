/*
 * client_frame.h - a frame as a client sends it (RFC 6455, 5.2): masked, its length written in
 * the shortest way.
 */
#ifndef TESTS_LIB_CLIENT_FRAME_H
#define TESTS_LIB_CLIENT_FRAME_H

#include "broadcaster/frame.h"
#include <string.h>

#define CLIENT_FRAME_HEAD_MAX (FRAME_HEAD_MAX + 4)

/* `first`: FIN, reserved bits and opcode. Returns the length; `out` has room for the payload
 * and CLIENT_FRAME_HEAD_MAX. */
static inline size_t
client_frame(unsigned char *out, unsigned first, const void *payload, size_t len)
{
    static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    size_t n = frame_head(out, FRAME_TEXT, len);

    out[0] = (unsigned char)first;
    out[1] |= 0x80;
    memcpy(out + n, mask, sizeof(mask));
    n += sizeof(mask);
    for (size_t i = 0; i < len; i++)
        out[n + i] = ((const unsigned char *)payload)[i] ^ mask[i % 4];
    return n + len;
}

#endif
