/*
 * asyncapi.h - the description of the WebSocket (AsyncAPI 3.0), made from one table of
 * messages. A state looks as in OpenAPI (openapi.h). Tests hold every frame of theirs to it.
 */
#ifndef FCGI_ASYNCAPI_H
#define FCGI_ASYNCAPI_H

struct buf;

/* The complete document, about 20 KB. */
void asyncapi_json(struct buf *out);

#endif
