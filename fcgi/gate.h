/*
 * gate.h - the steps between route and handler, in the order of the specification: who asks,
 * how often, path parameters, query, body (spec: platform, "Who is asking" and "Limits").
 *
 * Limiter and revocations (revoke.h) cost no round trip of their own: gate_rider hands their
 * commands to the load of the handler. A call that ends before any load (a bad body, say) asks
 * them alone, so that such calls count too, and they are judged before what was wrong with the
 * body is told. A failed authentication counts on the general limit of the address, everything
 * else on the user where there is one; a token with `role: service` is not counted.
 */
#ifndef FCGI_GATE_H
#define FCGI_GATE_H

#include "common/rc.h"
#include "common/session_store.h"
#include "fcgi/request.h"

/* All steps. RC_OK: the handler may run. Else the failure; RC_VALIDATION has in rq->body.issues
 * what is wrong with path, query and body together. */
enum rc gate_pass(struct req *rq, struct fail *f) MUSTCHECK;

/* What a handler hands to its first call of the store. Lives in the arena. */
struct store_rider *gate_rider(struct req *rq);

/* The same by hand, for handlers with a batch of their own. */
void gate_limit_append(struct req *rq, struct redis_batch *b);
enum rc gate_limit_judge(struct req *rq, const struct redis_batch *b, struct fail *f) MUSTCHECK;

/* Ask limiter and revocations alone if nobody has yet. RC_LIMITED, RC_UNAUTHENTICATED, or
 * RC_OK, also when nobody answers. */
enum rc gate_limit_settle(struct req *rq, struct fail *f) MUSTCHECK;

/* From here on nobody asks: what follows counts on the address. */
void gate_forget_caller(struct req *rq);

/* "switch", "get", ...: as in its keys and metrics; NULL for none. Static. */
const char *gate_limit_name(enum limit_kind kind);

/* Print the RateLimit-* headers of a limited route. */
void gate_limit_headers(const struct req *rq, struct buf *out);

#endif
