#include "fcgi/api/api.h"
#include "fcgi/route.h"

/* The tables of all resources. */
static const struct route *const tables[] = {
    session_routes, session_batch_routes,  session_list_routes,
    guest_routes,   session_events_routes, time_routes,
    ops_routes,     docs_routes,           metrics_routes,
};

size_t
route_count(void)
{
    size_t n = 0;

    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct route *r = tables[t]; r->path != NULL; r++)
            n++;
    }
    return n;
}

const struct route *
route_at(size_t i)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct route *r = tables[t]; r->path != NULL; r++) {
            if (i-- == 0)
                return r;
        }
    }
    return NULL;
}
