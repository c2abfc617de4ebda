/*
 * session_control.h - the time control of a create body: what may stand there, and the same as
 * the engine takes it. Only session_body.c uses it.
 */
#ifndef FCGI_API_SESSION_CONTROL_H
#define FCGI_API_SESSION_CONTROL_H

#include "common/field.h"

struct json_object; /* json-c */
struct session;     /* common/session.h */

/* items and variants of the field `time_control`. */
extern const struct field session_control_types[];
extern const struct field_variant session_control_variants[];

/* Fill s->control, and s->increment_ms as fischer says, from an object that they let pass. */
void session_control_draft(struct session *s, struct json_object *from);

#endif
