/*
 * query.h - the query of a request, checked by the same tables as bodies (common/field.h): a
 * route names its parameters, a handler reads them from rq->args.
 */
#ifndef FCGI_QUERY_H
#define FCGI_QUERY_H

#include "common/rc.h"

struct req;

/*
 * Check the query against rq->route->query and fill rq->args. Parameters that the table does
 * not know are ignored. RC_OK; RC_VALIDATION with rq->body.issues; RC_BAD_REQUEST for a query
 * that cannot be decoded.
 */
enum rc query_check(struct req *rq, struct fail *f) MUSTCHECK;

#endif
