/*
 * doctor.h - what the checks of `kairosctl doctor` share. Each file doctor_*.c looks at one
 * part of an installation and says a line for each thing that it looked at.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "common/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct conf;
struct json_object;
struct redis;

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    const struct conf *conf;
    struct redis *redis;
    const char *url;          /* of the web server: http[s]://host[:port] */
    const char *token;        /* a good token; "" there is none */
    int64_t idle_ms;          /* how long a WebSocket is left alone */
    struct json_object *list; /* NULL: as text */
    int bad;                  /* lines that are not ok */
};

/* Say how `check` went: what was found, and what to change (NULL when it is ok). */
void doctor_say(struct doctor *d, enum doctor_level level, const char *check,
                const char *remedy, const char *fmt, ...) PRINTF(5, 6);

/* Say how many of `most` connections are used; more than 80 % are too many. */
void doctor_say_connections(struct doctor *d, const char *check, const char *remedy,
                            int64_t used, int64_t most);

void doctor_redis(struct doctor *d);    /* reachable, version, memory, persistence, users */
void doctor_postgres(struct doctor *d); /* reachable, migrations, connections */
void doctor_web(struct doctor *d);      /* FastCGI, tokens, WebSocket */
void doctor_host(struct doctor *d);     /* open files, metrics */

#endif
