/*
 * api.h - the route tables, one per resource, each in the file of that name. A table ends with
 * an empty row.
 */
#ifndef FCGI_API_API_H
#define FCGI_API_API_H

#include "fcgi/route.h"

extern const struct route session_routes[];
extern const struct route session_batch_routes[];
extern const struct route session_list_routes[];
extern const struct route session_events_routes[];
extern const struct route guest_routes[];
extern const struct route time_routes[];
extern const struct route ops_routes[];
extern const struct route docs_routes[];
extern const struct route metrics_routes[];

#endif
