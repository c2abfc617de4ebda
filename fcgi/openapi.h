/*
 * openapi.h - the description of this API (OpenAPI 3.1), made from what the service runs on:
 * the route tables say which operations there are and the field tables which bodies they take.
 * Only the answers have a table of their own (openapi_schema.c), held to the printers by tests.
 *
 * The document is the same for the whole life of a program: about 40 KB.
 */
#ifndef FCGI_OPENAPI_H
#define FCGI_OPENAPI_H

struct buf;

/* The complete document. */
void openapi_json(struct buf *out);

/* Its part "components": schemas, responses, headers, how to say who one is. */
void openapi_components(struct buf *out);

/* Members of "schemas": SyncState and all that it refers to. */
void openapi_state_schemas(struct buf *out);

#endif
