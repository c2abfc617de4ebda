/*
 * app.h - the parts of one broadcaster process, wired together by loop.c. All but the
 * threads of the timekeeper and of the audit run on the one loop.
 */
#ifndef BROADCASTER_APP_H
#define BROADCASTER_APP_H

#include "client.h"
#include "server_clock.h"
#include "sweep.h"
#include "talk.h"
#include <stdbool.h>
#include <uv.h>

struct app {
    const struct conf *conf;
    uv_loop_t uv;
    struct server_clock clock;
    struct clients clients;
    struct sweep sweep;
    struct talk talk;
    struct hub *hub;
    struct token_keys *tokens;
    struct passes *passes;
    struct subscriber *subscriber;
    struct reader *reader;
    struct timekeeper *timekeeper;
    struct audit_drain *audit_drain; /* NULL without PostgreSQL */
    struct audit_backlog *audit_backlog;
    struct recovery *recovery; /* NULL without PostgreSQL */
    struct status *status;
    struct database *database;
    struct server *server;
    struct listener *listener;
    struct foyer *foyer;
    struct sentry *sentry; /* NULL: nobody is told */
    struct scrape *scrape; /* NULL: nothing is counted */
    struct drain *drain;   /* NULL until SIGTERM */
    bool draining;
    bool done; /* the last client has gone */
};

#endif
