/*
 * schema.h - objects as closed JSON Schema, from tables of their members: for what the service
 * says (openapi_schema.c) and what is said on a WebSocket (asyncapi.c).
 */
#ifndef FCGI_SCHEMA_H
#define FCGI_SCHEMA_H

#include <stdbool.h>

struct buf;

/* Fragments of JSON Schema, with ' for ". */
#define INTEGER "'type':'integer'"
#define COUNT "'type':'integer','minimum':0"
#define FLAG "'type':'boolean'"
#define TEXT "'type':'string'"
#define UUID "'type':'string','format':'uuid'"
#define UUID_OR_NULL "'type':['string','null'],'format':'uuid'"
#define INSTANT "'type':'string','format':'date-time'"
#define INSTANT_OR_NULL "'type':['string','null'],'format':'date-time'"
#define REF(name) "'$ref':'#/components/schemas/" name "'"
#define LIST(name) "'type':'array','items':{" REF(name) "}"
#define STATUS \
    "'type':'string','enum':['pending','running','paused','completed','expired','cancelled']"

#define TIMEOUT_TYPE \
    "'type':'string','enum':['notify','end_session','skip_cycle','auto_action','eliminate']"

/* A table of these ends with a row without a name. */
struct member {
    const char *name;
    const char *schema; /* a fragment as above */
    bool always; /* else left out when there is nothing to say; never null for that reason */
    const char *doc;
};

/* JSON as it is written in C: every ' becomes ". */
void schema_put(struct buf *out, const char *text);
/* ,"description":"..." */
void schema_doc(struct buf *out, const char *doc);
/* {...}; `minimal` leaves the members "participants" and "groups" out. */
void schema_object(struct buf *out, const struct member *members, bool minimal,
                   const char *doc);

#endif
