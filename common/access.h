/*
 * access.h - who may do what to a sync session (spec sync, section 6). One table, for the REST
 * workers and for WebSockets. Pure.
 */
#ifndef COMMON_ACCESS_H
#define COMMON_ACCESS_H

#include "session.h"
#include "token.h"
#include <stdbool.h>

/* Who asks. */
struct caller {
    const struct token *token; /* verified; NULL: anonymous */
    bool is_free;              /* AUTH_REQUIRED=false: everybody may do everything */
};

enum access {
    ACCESS_MISSING, /* there is no such session, for this caller */
    ACCESS_FORBIDDEN,
    ACCESS_ALLOWED
};

/*
 * Judge a command on the session as it is, due changes applied; COMMAND_NONE is a read. A
 * command on a session that the caller may not read is ACCESS_MISSING.
 */
enum access access_judge(const struct caller *who, const struct session *s,
                         enum command_type what);

/* A trusted back end, or an administrator, who may do the same: `readers`, other owners. */
bool access_is_trusted(const struct caller *who);
/* Whether limits do not count the caller: back ends, but not administrators. */
bool access_is_unlimited(const struct caller *who);

#endif
