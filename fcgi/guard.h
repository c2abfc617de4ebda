/*
 * guard.h - what the headers of a command say beside its body: under which condition it is
 * carried out (If-Match), and how short the answer may be (Prefer).
 */
#ifndef FCGI_GUARD_H
#define FCGI_GUARD_H

#include "common/rc.h"
#include <stdbool.h>

struct req;
struct store_terms;

/*
 * Read the headers of `rq` into `terms` (zeroed). RC_OK, or RC_VALIDATION with the header in
 * rq->body.issues.
 */
enum rc guard_read(struct req *rq, struct store_terms *terms, struct fail *f) MUSTCHECK;

/* Whether the caller prefers return=minimal (RFC 7240). */
bool guard_prefers_minimal(const struct req *rq);

#endif
