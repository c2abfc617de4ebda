/*
 * session_body.h - what the bodies of /v1/sessions look like: the field tables that are checked
 * before a handler runs (session_body.c), and the draft of a session out of a create body that
 * passed (session_draft.c).
 */
#ifndef FCGI_API_SESSION_BODY_H
#define FCGI_API_SESSION_BODY_H

#include "common/field.h"

struct arena;   /* common/arena.h */
struct req;     /* fcgi/request.h */
struct session; /* common/session.h */

extern const struct field session_create_fields[];
extern const struct field session_command_fields[]; /* every command but switch */
extern const struct field session_switch_fields[];
extern const struct field participant_add_fields[];
extern const struct field participant_adjust_fields[];

/* An initialised session that ends with the request. */
struct session *session_of_request(struct req *rq);

/*
 * Fill `s` (initialised) for session_create from a body that session_create_fields let pass. An
 * id is made when none was sent; `owner` NULL: anonymous. The strings are copied. RC_OK, or
 * RC_VALIDATION with all that contradicts itself in body->issues.
 */
enum rc session_body_draft(struct session *s, struct body *body, struct arena *mem,
                           const char *owner, struct fail *f) MUSTCHECK;

#endif
