/*
 * redis_url.h - REDIS_URL taken apart. No I/O.
 *
 *   redis://[user[:password]@]host[:port][/db]      redis://:password@host is a password alone
 *   unix:///path/of.sock[?db=N]
 *
 * User and password are percent-decoded; an IPv6 host stands in brackets.
 */
#ifndef COMMON_REDIS_URL_H
#define COMMON_REDIS_URL_H

#include "rc.h"

struct redis_url {
    char path[104]; /* of a unix socket; "" for TCP */
    char host[256];
    int port;
    int db;
    char user[128];     /* "" the default user */
    char password[256]; /* "" none */
};

/* Fill *out. RC_OK, or RC_VALIDATION saying what is wrong (without the password). */
enum rc redis_url_parse(const char *url, struct redis_url *out, struct fail *f) MUSTCHECK;

#endif
