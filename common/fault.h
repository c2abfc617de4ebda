/*
 * fault.h - why a WebSocket client is sent an ERROR: the broadcaster says it, the description
 * of the API lists it. One table holds code and sentence.
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include <stdbool.h>

enum fault {
    FAULT_NONE,
    FAULT_INVALID_MESSAGE,
    FAULT_UNKNOWN_TYPE,
    FAULT_NOT_SUBSCRIBED,
    FAULT_SUBSCRIPTION_LIMIT,
    FAULT_SERVER_FULL,
    FAULT_STATE_UNREADABLE,
    FAULT_SESSION_NOT_FOUND,
    FAULT_UNAUTHENTICATED,
    FAULT_OTHER_SUB,
    FAULT__MAX
};

/* The code on the wire, and the sentence for a person; not for FAULT_NONE. */
const char *fault_code(enum fault fault);
const char *fault_message(enum fault fault);
/* The message itself is wrong: a client that goes on so is closed. The others say that a good
 * one cannot be followed now. */
bool fault_is_malformed(enum fault fault);

#endif
