/* What a client says on /ws. What is understood can be repeated in an answer, as JSON. */
#include "broadcaster/protocol.h"
#include "common/buf.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define T0 1795362403096LL
#define ANSWER_MAX 65536

static void
answer(const struct message *m, enum fault fault)
{
    const struct pong pong = { .client_timestamp = m->timestamp,
                               .receive_us = T0 * 1000,
                               .transmit_us = T0 * 1000 };
    struct buf out;

    buf_init(&out, ANSWER_MAX);
    if (fault != FAULT_NONE)
        protocol_error(&out, fault, NULL, T0);
    else if (m->type == MESSAGE_PING)
        protocol_pong(&out, &pong);
    else
        protocol_not_found(&out, m->session_id, T0);
    fuzz_hold_json(&out);
    buf_fini(&out);
}

bool
fuzz_take(const char *s, size_t len)
{
    struct message m = { 0 };
    enum fault fault = protocol_parse(s, len, &m);

    HOLD(fault < FAULT__MAX);
    if (fault == FAULT_NONE) {
        HOLD(m.type > MESSAGE_NONE && m.type < MESSAGE__MAX);
        HOLD(m.session_id[0] == '\0' || id_is_uuid_shape(m.session_id, strlen(m.session_id)));
        HOLD(m.last_known_version >= -1);
    }
    answer(&m, fault);
    free(m.token);
    return fault == FAULT_NONE;
}
