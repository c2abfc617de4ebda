#include "fault.h"

#include <assert.h>

static const struct {
    const char *code, *message;
} faults[FAULT__MAX] = {
    [FAULT_INVALID_MESSAGE] = { "INVALID_MESSAGE", "Message is not valid" },
    [FAULT_UNKNOWN_TYPE] = { "UNKNOWN_TYPE", "Message type is not known" },
    [FAULT_NOT_SUBSCRIBED] = { "NOT_SUBSCRIBED",
                               "This connection does not watch that session" },
    [FAULT_SUBSCRIPTION_LIMIT] = { "SUBSCRIPTION_LIMIT",
                                   "This connection watches 100 sessions already" },
    [FAULT_SERVER_FULL] = { "SERVER_FULL", "This server watches as many sessions as it may" },
    [FAULT_STATE_UNREADABLE] = { "STATE_DESERIALIZATION_ERROR",
                                 "The session cannot be read at the moment" },
    [FAULT_SESSION_NOT_FOUND] = { "SESSION_NOT_FOUND", "Session not found" },
    [FAULT_UNAUTHENTICATED] = { "UNAUTHENTICATED", "The token is not valid" },
    [FAULT_OTHER_SUB] = { "FORBIDDEN", "The token is of somebody else" },
};

const char *
fault_code(enum fault fault)
{
    assert(fault > FAULT_NONE && fault < FAULT__MAX);
    return faults[fault].code;
}

const char *
fault_message(enum fault fault)
{
    assert(fault > FAULT_NONE && fault < FAULT__MAX);
    return faults[fault].message;
}

bool
fault_is_malformed(enum fault fault)
{
    return fault == FAULT_INVALID_MESSAGE || fault == FAULT_UNKNOWN_TYPE;
}
