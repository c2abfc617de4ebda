/*
 * server.h - HTTP and WebSocket by libwebsockets, on sockets that listener.h accepted.
 *
 * Messages go out as complete frames of ours in raw writes, many at once (LWS_WRITE_RAW on a
 * WebSocket skips the library's own framing, which is not documented: tests guard it).
 * permessage-deflate is not offered, it could not work with that.
 */
#ifndef BROADCASTER_SERVER_H
#define BROADCASTER_SERVER_H

#include "client.h"
#include <stdbool.h>
#include <stddef.h>

struct app;
struct lws_context_creation_info;
struct lws_vhost;
struct server; /* opaque */

/* How clients reach their sockets. */
extern const struct client_io server_io;

/* Ends the process when libwebsockets cannot start. */
struct server *server_new(struct app *app);
/* Whether one more socket may come in, beside those of the server and `waiting` others. */
bool server_has_room(const struct server *s, int waiting);
/* Take over an accepted socket, of which the first `len` bytes were read already; it is closed
 * when that fails. */
void server_adopt(struct server *s, int fd, const char *head, size_t len);
/* One more virtual host, for sockets that do not belong to clients; ends the process when there
 * is none. Lives as long as the server. */
struct lws_vhost *server_add_vhost(struct server *s,
                                   const struct lws_context_creation_info *info);
/* Cut what is left, and free what the library holds: call, run the loop, call again. */
void server_destroy_begin(struct server *s);
void server_destroy_end(struct server *s);

#endif
